"""Lesions in words: the table of measurements for page, PDF and text, and what can be said of it.

Enters: `Lesion` records and their descriptors. Leaves: cells as text, one row a quantity and one column a lesion;
millimetres before pixels where they are known. A lesion whose contour is too uncertain is said to be no measurement.
"""

from collections.abc import Sequence

from busi_model.clinic import words
from busi_model.clinic.descriptors import AGREEMENT, Descriptor
from busi_model.clinic.measure import Lesion
from busi_model.clinic.report import rate_words
from busi_model.model.operating_point import OperatingPoint

Described = Sequence[tuple[Descriptor, ...]]  # what `describe` says of each lesion; empty: nothing is said


def table(lesions: list[Lesion], described: Described = ()) -> tuple[tuple[str, ...], ...]:
    """Cells as text, header first; empty without a lesion. A descriptor that has a word of any lesion is a row."""
    if not lesions:
        return ()
    columns = [_cells(lesion) for lesion in lesions]
    head = ("", *(f"{words.MEASURES_LESION} {lesion.number}" for lesion in lesions))
    rows = [(name, *(column[code] for column in columns)) for code, name in words.MEASURES_ROWS.items()]
    for code in _said(described):
        rows.append((words.DESCRIPTOR_ROWS[code], *(_word(one, code) for one in described)))
    return (head, *rows)


def notes(
    lesions: list[Lesion],
    spacing_mm: tuple[float, float] | None,
    marked: bool,
    point: OperatingPoint,
    edited: bool = False,
    carried: bool = False,
    described: Described = (),
) -> list[str]:
    """What must be known of the table, in sentences. marked: the spacing is the user's mark, not the file's; carried:
    that mark was made in an earlier image. edited: the outline is no longer the network's."""
    sentences = [
        spacing_words(spacing_mm, marked, carried),
        words.MEASURES_NOTE_EDITED if edited else words.MEASURES_NOTE,
    ]
    if not all(lesion.is_measured for lesion in lesions):
        sentences.append(words.NO_MEASUREMENT_NOTE)
    if all(lesion.margin_px is None for lesion in lesions):
        sentences += [] if edited else [words.MARGIN_NONE]
    elif point.margin_coverage is not None:
        sentences.append(words.MARGIN_COVERAGE.format(rate=rate_words(point.margin_coverage)))
    return sentences + _descriptor_notes(described, edited)


def spacing_words(spacing_mm: tuple[float, float] | None, marked: bool, carried: bool = False) -> str:
    if spacing_mm is None:
        return words.SPACING_NONE
    row, column = (f"{value:.3g}" for value in spacing_mm)
    mark = words.SPACING_CARRIED if carried else words.SPACING_MARK
    return (mark if marked else words.SPACING_FILE).format(row=row, column=column)


def lesion_sentence(lesion: Lesion) -> str:
    """For a report: its two axes, in millimetres where they are known."""
    if not lesion.is_measured:
        return words.TEXT_NO_MEASUREMENT.format(number=lesion.number)
    unit, axes = words.PX, (lesion.longest_axis_px, lesion.perpendicular_axis_px)
    if lesion.longest_axis_mm is not None and lesion.perpendicular_axis_mm is not None:
        unit, axes = words.MM, (lesion.longest_axis_mm, lesion.perpendicular_axis_mm)
    longest, perpendicular = _number(axes[0]), unit.format(value=_number(axes[1]))
    return words.TEXT_LESION.format(number=lesion.number, longest=longest, perpendicular=perpendicular)


def _descriptor_notes(described: Described, edited: bool) -> list[str]:
    """What the words are, and how well each that is said agreed with people."""
    if not described:
        return []
    sentences = [words.DESCRIPTORS_NOTE, *([words.DESCRIPTORS_NOTE_EDITED] if edited else [])]
    for code in _said(described):
        found = AGREEMENT[code]
        kappa, low, high = (f"{value:.2f}" for value in (found.kappa, found.low, found.high))
        name, against = words.DESCRIPTOR_ROWS[code], words.DESCRIPTOR_AGAINST[code]
        how = {"kappa": kappa, "low": low, "high": high, "n": found.n}
        sentences.append(words.DESCRIPTOR_AGREEMENT.format(name=name, against=against, **how))
    return sentences


def _said(described: Described) -> list[str]:
    """Names of the descriptors that some lesion has a word of, in the table's order."""
    named = {descriptor.name for one in described for descriptor in one if descriptor.word}
    return [code for code in words.DESCRIPTOR_ROWS if code in named]


def _word(described: Sequence[Descriptor], code: str) -> str:
    word = next(descriptor.word for descriptor in described if descriptor.name == code)
    return words.DESCRIPTOR_WORDS[word] if word else words.DESCRIPTOR_NONE


def _cells(lesion: Lesion) -> dict[str, str]:
    margin = words.NOT_MEASURED
    if lesion.margin_px is not None:
        said = words.PLUS_MINUS if lesion.is_measured else words.NO_MEASUREMENT
        margin = said.format(length=_quantity(lesion.margin_px, lesion.margin_mm))
    return {
        "longest": _quantity(lesion.longest_axis_px, lesion.longest_axis_mm),
        "perpendicular": _quantity(lesion.perpendicular_axis_px, lesion.perpendicular_axis_mm),
        "area": _quantity(lesion.area_px2, lesion.area_mm2, words.PX2, words.MM2),
        "taller": words.YES if lesion.taller_than_wide else words.NO,
        "circularity": f"{lesion.circularity:.2f}",
        "top": _quantity(lesion.top_px, lesion.top_mm),
        "margin": margin,
    }


def _quantity(pixels: float, millimetres: float | None, px: str = "", mm: str = "") -> str:
    """px, mm: how a figure is said; of a length when empty."""
    px, mm = px or words.PX, mm or words.MM
    text = px.format(value=_number(pixels))
    if millimetres is None:
        return text
    return words.WITH_MM.format(mm=mm.format(value=_number(millimetres)), px=text)


def _number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    return f"{value:.{2 if value < 1 else 1}f}" if value < 100 else f"{value:.0f}"
