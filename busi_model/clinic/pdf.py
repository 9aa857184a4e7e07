"""A `Report` as one A4 page for people: verdict and warnings on top, then picture, measurements and their meaning.

Enters: the Report, its table of measurements, lines that say when, by what and of which pixels it was made, and the
overlay. Leaves: bytes. No file name and no metadata of the image: only what was handed in.
"""

import io
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from busi_model.clinic import words
from busi_model.clinic.report import Report

PAGE_INCHES = (8.27, 11.69)  # A4
LEFT, RIGHT, TOP, BOTTOM = 0.09, 0.91, 0.955, 0.04  # margins as shares of the page
LINE = 0.0155  # height of a line of 9 pt as a share of the page
CHARACTERS = 102  # in a line of 9 pt between the margins
BOLD = 1.15  # times as wide
PICTURE_SHARES = (0.15, 0.42)  # of the page's height, at least and at most
WARNING, QUIET = "#7c2d12", "#475569"
CELL_PT = 8
GAP_PT = 9  # between two columns of the table
Part = tuple[str, dict[str, Any]]  # a sentence and how it looks


def as_pdf(
    report: Report,
    table: Sequence[Sequence[str]],
    notes: Sequence[str],
    footer: Sequence[str],
    picture: np.ndarray,
) -> bytes:
    """table: rows of cells, header first; empty without a lesion. notes: sentences on it. footer: sentences. picture:
    uint8 (H, W, 3). Where there is much to say the picture gives way first, then the letters."""
    above: list[Part] = [
        (words.REPORT_TITLE, {"size": 11, "color": QUIET}),
        (f"{report.headline}. {report.reason}", {"size": 14, "weight": "bold"}),
        (words.REPORT_USE, {"color": WARNING, "weight": "bold"}),
        (report.facts, {}),
        *((f"! {warning.sentence}", {"color": WARNING}) for warning in report.warnings),
        ("   ".join(f"{row.name} {row.percent}" for row in report.rows), {"size": 10}),
    ]
    below: list[Part] = [(sentence, {}) for sentence in (*(notes if table else ()), *report.meaning)]
    below += [(sentence, {"size": 8, "color": QUIET}) for sentence in footer]
    above, below = ([part for part in parts if part[0]] for parts in (above, below))
    cells = _Table(table) if table else None
    lines = sum(_height(*part) for part in (*above, *below)) + (cells.height if cells else 0) + 3
    fit = min(1.0, (TOP - PICTURE_SHARES[0] - BOTTOM) / (LINE * lines))  # of letters and lines
    figure = Figure(figsize=PAGE_INCHES)
    FigureCanvasPdf(figure)
    y = TOP
    for text, look in above:
        y = _write(figure, y, fit, text, **look)
    y = _show(figure, y - LINE / 2, picture, y - LINE * fit * (lines - sum(_height(*part) for part in above)) - BOTTOM)
    if cells:
        y = cells.draw(figure, y - fit * LINE / 2, fit) - fit * LINE / 2
    for text, look in below:
        y = _write(figure, y, fit, text, **look)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="pdf", dpi=200, metadata={"Creator": None, "Producer": None, "CreationDate": None})
    return buffer.getvalue()


def _show(figure: Figure, y: float, picture: np.ndarray, room: float) -> float:
    """room: the share of the page's height that the text leaves."""
    height, width = picture.shape[:2]
    share = min(max(room, PICTURE_SHARES[0]), PICTURE_SHARES[1])
    share = min(share, (RIGHT - LEFT) * PAGE_INCHES[0] / PAGE_INCHES[1] * height / width)
    axes = figure.add_axes((LEFT, y - share, share * PAGE_INCHES[1] / PAGE_INCHES[0] * width / height, share))
    axes.imshow(picture, interpolation="none", aspect="auto")
    axes.set_axis_off()
    return y - share - LINE


def _wrapped(text: str, size: float = 9, weight: str = "normal", **_: Any) -> list[str]:
    return textwrap.wrap(text, int(CHARACTERS * 9 / size / (BOLD if weight == "bold" else 1))) or [""]


def _height(text: str, look: dict[str, Any]) -> float:
    """In lines of 9 pt."""
    return len(_wrapped(text, **look)) * max(1, look.get("size", 9) / 9)


def _write(figure: Figure, y: float, fit: float, text: str, size: float = 9, **look: Any) -> float:
    for line in _wrapped(text, size, **look):
        figure.text(LEFT, y, line, fontsize=fit * size, va="top", **look)
        y -= fit * LINE * max(1, size / 9)
    return y


class _Table:
    """Columns as wide as their words need, rows as high as their cells: nothing lies on anything else."""

    def __init__(self, cells: Sequence[Sequence[str]]):
        weights = ["bold", *["normal"] * (len(cells) - 1)]
        widths = [
            max(_points(row[column], weight) for row, weight in zip(cells, weights, strict=True))
            for column in range(len(cells[0]))
        ]
        room = (RIGHT - LEFT) * PAGE_INCHES[0] * 72 - GAP_PT * (len(widths) - 1)
        while sum(widths) > room:  # the widest gives way; a cell that wraps is higher
            widths[widths.index(max(widths))] -= 1
        starts = np.cumsum([0, *(width + GAP_PT for width in widths)])
        self.starts = starts / (PAGE_INCHES[0] * 72)  # shares of the page
        self.rows = [
            [_fitting(cell, width, weight) for cell, width in zip(row, widths, strict=True)]
            for row, weight in zip(cells, weights, strict=True)
        ]
        self.heights = [max(1, *map(len, row)) for row in self.rows]
        self.height = sum(self.heights) + 1

    def draw(self, figure: Figure, y: float, fit: float) -> float:
        for number, (row, height) in enumerate(zip(self.rows, self.heights, strict=True)):
            for start, lines in zip(self.starts, row, strict=False):
                weight = "normal" if number else "bold"
                for at, line in enumerate(lines):  # on one baseline with the cells beside it, whatever their letters
                    down = fit * CELL_PT * (0.8 + 1.2 * at) / (PAGE_INCHES[1] * 72)
                    figure.text(LEFT + start, y - down, line, fontsize=fit * CELL_PT, va="baseline", weight=weight)
            y -= fit * LINE * height
        return y


def _points(text: str, weight: str) -> float:
    """Width of a line of CELL_PT: letters differ, and bold ones are wider."""
    font = get_font(findfont(FontProperties(weight=weight)))
    font.set_size(CELL_PT, 72)
    font.set_text(text)
    return font.get_width_height()[0] / 64


def _fitting(cell: str, width: float, weight: str) -> list[str]:
    """The cell in as few lines as its column's width, in points, lets it."""
    for characters in range(len(cell), 0, -1):
        lines = textwrap.wrap(cell, characters)
        if max(_points(line, weight) for line in lines or [""]) <= width:
            return lines
    return textwrap.wrap(cell, 1)
