"""From gray as it is stored to gray as it is shown (PS3.3 C.11): modality, then values of interest, then presentation.

Enters: the tags. Leaves: a function of stored values, and notices of what it does. A table or a window that is of no
use is left out with a notice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from busi_model.decode.dicom.tags import Tags, positive
from busi_model.frame import Notice

WINDOWED = Notice("windowed")
INVERTED = Notice("inverted")
_MOST_ENTRIES = 2**16  # of a table

Show = Callable[[np.ndarray], np.ndarray]  # values of any shape -> what is shown, of the same shape


@dataclass(frozen=True, eq=False)
class _Table:
    """A look-up table: PS3.3 C.11.1.1."""

    levels: np.ndarray  # float64 (N,)
    first: int  # the stored value that the first entry is for
    top: float  # the largest value that its entries may have

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return self.levels[np.clip(np.asarray(values, np.int64) - self.first, 0, len(self.levels) - 1)]


def shown_gray(tags: Tags) -> tuple[Show, tuple[Notice, ...]]:
    """-> show(stored values, any shape) -> uint8 of the same shape where the file or its 8 bits say what is black and
    what is white, else numbers to be stretched; and the notices "windowed" and "inverted"."""
    bits, signed = tags.dataset.BitsStored, tags.dataset.PixelRepresentation == 1
    if bits == 1:
        return _as_bool, ()
    modality, top = _modality(tags), 2.0**bits - 1
    if isinstance(modality, _Table):
        top = modality.top
    window = _voi_table(tags) or _window(tags)
    show: Show
    notices: tuple[Notice, ...]
    if window:
        show, notices = _chain(modality, window), (WINDOWED,)
    elif bits <= 8 and not signed:
        turned = isinstance(modality, partial) and modality.keywords["slope"] < 0
        # Without a window all of the range is shown, wherever a slope and an intercept put it.
        whole = partial(_between, low=0.0, high=top)
        show = _chain(modality, whole) if isinstance(modality, _Table) else partial(_flipped, whole, top, turned)
        notices = (WINDOWED,) if isinstance(modality, _Table) else (INVERTED,) * turned
    else:
        return modality or _as_it_is, ()
    if bits <= 8:  # a table of all values: quicker, and it shows whether anything changes
        values = np.arange(2**bits) - (2 ** (bits - 1) if signed else 0)
        table = show(values)
        if not signed and np.array_equal(table, values):
            return _as_8_bits, ()
        show = partial(_look_up, table, values[0])
    return show, notices


def inverted(tags: Tags, white_is_zero: bool) -> bool:
    """Whether the presentation asks for an inversion; for MONOCHROME1 INVERSE only repeats what that says."""
    return not white_is_zero and tags.word("PresentationLUTShape") == "INVERSE"


def _chain(first: Show | None, then: Show) -> Show:
    return (lambda values: then(first(values))) if first else then


def _as_it_is(values: np.ndarray) -> np.ndarray:
    return values


def _as_bool(values: np.ndarray) -> np.ndarray:
    return values.astype(bool)


def _as_8_bits(values: np.ndarray) -> np.ndarray:
    return values.astype(np.uint8)


def _look_up(table: np.ndarray, lowest: int, values: np.ndarray) -> np.ndarray:
    return table[np.clip(values.astype(np.int64) - lowest, 0, len(table) - 1)]


def _flipped(show: Show, top: float, turned: bool, values: np.ndarray) -> np.ndarray:
    return show(top - np.asarray(values, np.float64) if turned else values)


def _between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    share = (np.asarray(values, np.float64) - low) / (high - low)
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def _modality(tags: Tags) -> Show | None:
    """The stored values' meaning: a table, a line, or None where they stand for themselves."""
    if "ModalityLUTSequence" in tags.dataset:
        table = _table(tags, "ModalityLUTSequence")
        if table:
            return table
    slope = (tags.numbers("RescaleSlope", usable=bool) or (1.0,))[0]
    intercept = (tags.numbers("RescaleIntercept") or (0.0,))[0]
    return None if (slope, intercept) == (1.0, 0.0) else partial(_line, slope=slope, intercept=intercept)


def _line(values: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    return np.asarray(values, np.float64) * slope + intercept


def _voi_table(tags: Tags) -> Show | None:
    if "VOILUTSequence" not in tags.dataset:
        return None
    table = _table(tags, "VOILUTSequence")
    return table and (lambda values: _between(table(np.rint(values)), 0.0, table.top))


def _table(tags: Tags, keyword: str) -> _Table | None:
    for item in tags.items(keyword)[:1]:
        descriptor = tags.numbers("LUTDescriptor", item, least=3)
        data = tags.value("LUTData", item)
        if descriptor is None or not data:
            continue
        n_entries, first, bits = (int(number) for number in descriptor[:3])
        n_entries = n_entries or _MOST_ENTRIES
        if first >= 2**15 and tags.dataset.PixelRepresentation == 1:  # signed, and written as if it were not
            first -= 2**16
        if isinstance(data, bytes):
            packed = len(data) < 2 * n_entries and bits <= 8  # one byte an entry
            data = np.frombuffer(data[: len(data) // 2 * 2], np.uint8 if packed else "<u2")
        levels = np.ravel(data).astype(np.float64)[:n_entries]
        if len(levels) == n_entries and 1 < n_entries <= _MOST_ENTRIES and 8 <= bits <= 16:
            # Some writers say 16 bits and mean 8 or 12: what no entry reaches would be dark.
            return _Table(levels, first, max(2.0**bits - 1, levels.max()))
    tags.leave_out(keyword)
    return None


def _window(tags: Tags) -> Show | None:
    """The file's first window (PS3.3 C.11.2.1.2 and C.11.2.1.3); None where there is none of use."""
    halves = [keyword for keyword in ("WindowCenter", "WindowWidth") if keyword in tags.dataset]
    if len(halves) < 2:
        for keyword in halves:
            tags.leave_out(keyword, "tag_alone")
        return None
    kind = tags.word("VOILUTFunction") or "LINEAR"
    if kind not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        tags.leave_out("VOILUTFunction")
    centres, widths = tags.numbers("WindowCenter"), tags.numbers("WindowWidth", usable=positive)
    if centres is None or widths is None:
        return None
    centre, width = centres[0], widths[0]
    if kind == "SIGMOID":

        def show(levels: np.ndarray) -> np.ndarray:
            share = 1 / (1 + np.exp(np.clip(-4 * (np.asarray(levels, np.float64) - centre) / width, -50, 50)))
            return np.rint(share * 255).astype(np.uint8)

        return show
    if kind != "LINEAR_EXACT":
        centre, width = centre - 0.5, max(width - 1, 1e-6)
    return partial(_between, low=centre - width / 2, high=centre + width / 2)
