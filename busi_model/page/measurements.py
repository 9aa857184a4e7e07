"""The lesions of a case become the page's table of measurements, and the same cells for text and PDF."""

import html

from busi_model.clinic.measure import Lesion
from busi_model.operating_point import OperatingPoint
from busi_model.page import strings
from busi_model.page.result import rate_words


def measurements_html(
    lesions: list[Lesion], spacing_mm, marked: bool, point: OperatingPoint, edited: bool = False, carried: bool = False
) -> str:
    """One row a lesion; nothing without a lesion. marked: the spacing is the user's mark, not the file's; carried: that
    mark was made in an earlier image. edited: the lesions are those of an outline that the user edited."""
    if not lesions:
        return ""
    head = "".join(f'<th scope="col">{column}</th>' for column in strings.MEASURES_COLUMNS)
    rows = "".join(_row(cells) for cells in table(lesions)[1:])
    notes = " ".join(notes_words(lesions, spacing_mm, marked, point, edited, carried))
    return (
        f'<section class="measures"><h2>{strings.MEASURES_HEADING}</h2><div class="scroll" tabindex="0" role="region" '
        f'aria-label="{strings.MEASURES_HEADING}"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        f"</div><p>{html.escape(notes)}</p></section>"
    )


def table(lesions: list[Lesion]) -> tuple[tuple[str, ...], ...]:
    """Cells as text, header first; millimetres before pixels where they are known. Empty without a lesion."""
    if not lesions:
        return ()
    rows = [
        (
            str(lesion.number),
            _quantity(lesion.area_px2, lesion.area_mm2, strings.PX2, strings.MM2),
            _quantity(lesion.longest_axis_px, lesion.longest_axis_mm),
            _quantity(lesion.perpendicular_axis_px, lesion.perpendicular_axis_mm),
            strings.YES if lesion.taller_than_wide else strings.NO,
            f"{lesion.circularity:.2f}",
            _quantity(lesion.top_px, lesion.top_mm),
            strings.NOT_MEASURED
            if lesion.margin_px is None
            else strings.PLUS_MINUS.format(length=_quantity(lesion.margin_px, lesion.margin_mm)),
        )
        for lesion in lesions
    ]
    return (strings.MEASURES_COLUMNS, *rows)


def notes_words(lesions, spacing_mm, marked, point, edited=False, carried=False) -> list[str]:
    """Where millimetres and outline come from, and how far the outline can be trusted."""
    spacing = spacing_words(spacing_mm, marked, carried)
    if edited:
        return [spacing, strings.MEASURES_EDITED]
    return [spacing, strings.MEASURES_NOTE, *margin_words(lesions, point)]


def spacing_words(spacing_mm, marked: bool, carried: bool = False) -> str:
    if spacing_mm is None:
        return strings.SPACING_NONE
    row, column = (f"{value:.3g}" for value in spacing_mm)
    mark = strings.SPACING_CARRIED if carried else strings.SPACING_MARK
    return (mark if marked else strings.SPACING_FILE).format(row=row, column=column)


def margin_words(lesions: list[Lesion], point: OperatingPoint) -> list[str]:
    """How far the margin band can be trusted."""
    if all(lesion.margin_px is None for lesion in lesions):
        return [strings.MARGIN_NONE]
    if point.margin_coverage is None:
        return [strings.MARGIN_NOTE]
    return [strings.MARGIN_NOTE, strings.MARGIN_COVERAGE.format(rate=rate_words(point.margin_coverage))]


def _quantity(pixels, millimetres, px=strings.PX, mm=strings.MM):
    text = px.format(value=_number(pixels))
    return text if millimetres is None else strings.WITH_MM.format(mm=mm.format(value=_number(millimetres)), px=text)


def _number(value):
    """Three significant digits, without an exponent."""
    return f"{value:.{2 if value < 1 else 1}f}" if value < 100 else f"{value:.0f}"


def _row(cells):
    first, *others = (html.escape(cell) for cell in cells)
    return f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'
