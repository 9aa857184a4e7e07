"""A reading becomes something to take away: text for a report, JSON for programs, one PDF page for people.

Enters: a Prediction with its measurements, and the words that a page already chose. Leaves: text and bytes. None of
them holds a file name, metadata, a date or anything else about the patient: only pixels and what was made of them.
"""

import hashlib
import io
import json
import textwrap
from dataclasses import asdict, dataclass

import numpy as np
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from busi_model.clinic.measure import Lesion
from busi_model.predict import Prediction

FORMAT = 1  # of the JSON; raised when a reader of the older one would misread it
GEOMETRY = ("outline_xy", "longest_axis_xy", "perpendicular_axis_xy")
PAGE_INCHES = (8.27, 11.69)  # A4
LEFT, RIGHT, TOP, BOTTOM = 0.09, 0.91, 0.955, 0.04  # margins as shares of the page
HEAD = 0.055  # title and notice
LINE = 0.0155  # height of a line of text as a share of the page
CHARACTERS = 102  # in a line of 9 pt between the margins
PICTURE_SHARES = (0.15, 0.4)  # of the page's height, at least and at most
WARNING = "#7c2d12"


@dataclass(frozen=True)
class Report:
    """What people read, in the words of the page, in reading order."""

    title: str
    notice: str  # what it must not be used for
    summary: tuple[str, ...]  # the result in sentences
    warnings: tuple[str, ...]
    table_heading: str
    table: tuple[tuple[str, ...], ...]  # header first, one row a lesion; empty without a lesion
    footer: tuple[str, ...]  # model, fingerprint, what measurements are


def as_text(report: Report) -> str:
    """Plain text to paste into a report, one statement a line."""
    lines = [*report.summary, *(f"! {warning}" for warning in report.warnings)]
    if report.table:
        header, *rows = report.table
        lines += ["", report.table_heading]
        lines += ["; ".join([row[0], *(f"{h} {v}" for h, v in zip(header[1:], row[1:], strict=True))]) for row in rows]
    return "\n".join([*lines, "", *report.footer, report.notice])


def as_json(prediction: Prediction, lesions: list[Lesion], model: dict, reading: dict) -> str:
    """Everything a program needs, as JSON with a final newline.

    model: version and sha256 of the weights. reading: what the reader chose, such as the operating point. Lengths are
    as in `Lesion`. `pixels_sha256` is of the gray frame's bytes, row by row, and ties the record to these very pixels.
    """
    frame = prediction.frame
    content = {
        "format": FORMAT,
        "use": "research only; not a medical device",
        "model": model,
        "image": {
            "width_px": frame.gray.shape[1],
            "height_px": frame.gray.shape[0],
            "pixels_sha256": hashlib.sha256(frame.gray.tobytes()).hexdigest(),
        },
        "class": prediction.label,
        "class_probabilities": prediction.class_probabilities,
        "class_set": list(prediction.class_set),
        "refused": prediction.refused,
        "warnings": [asdict(warning) for warning in prediction.warnings],
        **reading,
        "lesions": [_lesion(lesion) for lesion in lesions],
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _lesion(lesion):
    content = {name: value for name, value in vars(lesion).items() if name not in GEOMETRY}
    content["taller_than_wide"] = lesion.taller_than_wide
    return content | {name: np.round(getattr(lesion, name), 2).tolist() for name in GEOMETRY}


def as_pdf(report: Report, picture: np.ndarray) -> bytes:
    """One A4 page. picture: uint8 (H, W, 3), the overlay. Where there is much to say the picture gives way first, then
    the letters."""
    figure = Figure(figsize=PAGE_INCHES)
    FigureCanvasPdf(figure)
    rows = 4 + sum(len(_wrapped(line)) for line in (*report.summary, *report.warnings, *report.footer))
    rows += 2 * len(report.table) + (2 if report.table else 0)
    fit = min(1.0, (TOP - HEAD - PICTURE_SHARES[0] - BOTTOM) / (LINE * rows))  # of letters and lines
    height, width = picture.shape[:2]
    room = min(PICTURE_SHARES[1], TOP - HEAD - BOTTOM - fit * LINE * rows)
    share = min(room, (RIGHT - LEFT) * PAGE_INCHES[0] / PAGE_INCHES[1] * height / width)
    figure.text(LEFT, TOP, report.title, fontsize=15, weight="bold", va="top")
    figure.text(LEFT, TOP - 0.027, report.notice, fontsize=9, va="top", color=WARNING, weight="bold")
    y = TOP - HEAD - share
    axes = figure.add_axes((LEFT, y, share * PAGE_INCHES[1] / PAGE_INCHES[0] * width / height, share))
    axes.imshow(picture, interpolation="none", aspect="auto")
    axes.set_axis_off()
    y -= LINE
    for number, line in enumerate(report.summary):
        y = _write(figure, y, fit, line, **({} if number else {"weight": "bold", "size": 12}))
    for warning in report.warnings:
        y = _write(figure, y, fit, f"! {warning}", color=WARNING)
    if report.table:
        y = _write(figure, y - fit * LINE / 2, fit, report.table_heading, weight="bold")
        y = _table(figure, y, fit, report.table)
    y -= fit * LINE / 2
    for line in report.footer:
        y = _write(figure, y, fit, line, size=8, color="#475569")
    buffer = io.BytesIO()
    nothing = {"Creator": None, "Producer": None, "CreationDate": None}
    figure.savefig(buffer, format="pdf", dpi=200, metadata=nothing)
    return buffer.getvalue()


def _wrapped(text):
    return textwrap.wrap(text, CHARACTERS) or [""]


def _write(figure, y, fit, text, size=9, **look):
    for line in _wrapped(text):
        figure.text(LEFT, y, line, fontsize=fit * size, va="top", **look)
        y -= fit * LINE * max(1, size / 9)
    return y


def _table(figure, y, fit, table):
    """Columns of equal width, cells of up to two lines."""
    column = (RIGHT - LEFT) / len(table[0])
    characters = max(8, CHARACTERS // len(table[0]))
    for number, row in enumerate(table):
        for index, cell in enumerate(row):
            text = "\n".join(textwrap.wrap(cell, characters, break_long_words=False))
            weight = "normal" if number else "bold"
            figure.text(LEFT + index * column, y, text, fontsize=fit * 7.5, va="top", weight=weight)
        y -= fit * LINE * 2
    return y
