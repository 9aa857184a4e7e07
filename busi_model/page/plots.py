"""Measured figures become pictures and tables as HTML; after every picture comes a table that says the same."""

import html
from collections.abc import Iterable, Sequence

from busi_model.page import strings

SIDE = 240  # of a plot, in its own units
EDGE = 34  # room for axis labels


def reliability_svg(bins: list[dict], title: str) -> str:
    """Bins with `confidence`, `accuracy` and `n` -> a reliability plot; a dot's area grows with its images."""
    most = max(b["n"] for b in bins)
    dots = "".join(
        f'<circle cx="{_x(b["confidence"]):.1f}" cy="{_y(b["accuracy"]):.1f}" r="{2 + 7 * (b["n"] / most) ** 0.5:.1f}">'
        f"<title>{b['accuracy']:.0%} (n = {b['n']})</title></circle>"
        for b in bins
    )
    line = " ".join(f"{_x(b['confidence']):.1f},{_y(b['accuracy']):.1f}" for b in bins)
    ticks = "".join(
        f'<text x="{_x(v):.1f}" y="{SIDE - EDGE + 15}" text-anchor="middle">{100 * v:.0f}</text>'
        f'<text x="{EDGE - 6}" y="{_y(v) + 4:.1f}" text-anchor="end">{100 * v:.0f}</text>'
        for v in (0, 0.25, 0.5, 0.75, 1)
    )
    x_words, y_words = strings.ABOUT_RELIABILITY_AXES
    label = html.escape(strings.ABOUT_RELIABILITY_PLOT.format(title=title))
    return (
        f'<svg class="plot" viewBox="-14 0 {SIDE + 14} {SIDE + 6}" role="img" aria-label="{label}">'
        f'<rect x="{EDGE}" y="8" width="{_x(1) - EDGE}" height="{SIDE - EDGE - 8}"/>'
        f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/><polyline points="{line}"/>{dots}{ticks}'
        f'<text x="{_x(0.5)}" y="{SIDE}" text-anchor="middle">{x_words}, %</text>'
        f'<text transform="translate(0 {_y(0.5)}) rotate(-90)" text-anchor="middle">{y_words}, %</text></svg>'
    )


def confusion_table(matrix: list[list[int]], names: list[str]) -> str:
    """Rows are the truth. Each cell is shaded by its share of the row and says its number of images."""
    rows = []
    for name, row in zip(names, matrix, strict=True):
        total = sum(row) or 1
        cells = "".join(f'<td style="--share:{n / total:.2f}">{n}</td>' for n in row)
        rows.append(f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>')
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    return (
        f'<table class="confusion"><caption>{strings.ABOUT_CONFUSION}</caption><thead><tr>'
        f'<th scope="col">{strings.ABOUT_TRUTH_SAID}</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def text_table(caption: str, head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells of text; the first of each row is its heading."""
    columns = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = ""
    for first, *cells in rows:
        others = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        body += f'<tr><th scope="row">{html.escape(first)}</th>{others}</tr>'
    caption = html.escape(caption)
    return f"<table><caption>{caption}</caption><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table>"


def _x(share: float) -> float:
    return EDGE + share * (SIDE - EDGE - 8)


def _y(share: float) -> float:
    return 8 + (1 - share) * (SIDE - EDGE - 8)
