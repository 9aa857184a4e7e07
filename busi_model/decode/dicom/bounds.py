"""How much of a DICOM file is looked at: what a small file can say that would take minutes or gigabytes to follow.

Everything here is checked before pydicom unfolds it. Raises ImageError.
"""

from typing import Literal

from pydicom import Dataset

from busi_model.frame import ImageError

MAX_TAG_READS = 200_000  # two a tag; an ultrasound machine writes some hundred tags, private ones some thousand
MAX_REGIONS_BYTES = 2**16  # of the scan regions, about 400 bytes each; a frame has up to ten
MAX_SEQUENCE_BYTES = 2**22  # of any other; what each of a thousand frames says of itself takes a quarter of that
MAX_PALETTE = 2**16  # entries: the descriptor has 16 bits for their number
_REGIONS = 0x00186011
_COLOURS = ("Red", "Green", "Blue")
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2  # kinds of segments, PS3.3 C.7.9.2


def check_sequences(tags: Dataset) -> None:
    """tags: as pydicom has read them; sequences of a known length are bytes that nobody has looked into yet."""
    for tag in list(tags.keys()):
        element = tags.get_item(tag)
        value = getattr(element, "value", None)
        if not isinstance(value, bytes):
            if int(tag) == _REGIONS and value is not None and len(value) > MAX_REGIONS_BYTES // 400:
                raise ImageError("many_tags")
            continue
        if len(value) > MAX_REGIONS_BYTES and int(tag) == _REGIONS:
            raise ImageError("many_tags")
        if len(value) > MAX_SEQUENCE_BYTES:
            raise ImageError("many_tags")


def check_palettes(tags: Dataset) -> None:
    """Segmented tables are measured before they are unfolded: 26 kB of them can ask for 1.5 GB."""
    for colour in _COLOURS:
        data = tags.get(f"Segmented{colour}PaletteColorLookupTableData")
        if not data:
            continue
        depth = tags["RedPaletteColorLookupTableDescriptor"].value[2]  # bits an entry, of all three tables
        order: Literal["little", "big"] = "little" if tags.original_encoding[1] else "big"
        if len(data) > 4 * MAX_PALETTE or _unfolded(bytes(data), depth // 8, order) > MAX_PALETTE:
            raise ImageError("damaged")


def _unfolded(data: bytes, size: int, order: Literal["little", "big"]) -> int:
    """How many entries a segmented table unfolds to; counting stops soon after MAX_PALETTE. size: bytes a word."""
    words = [int.from_bytes(data[at : at + size], order) for at in range(0, len(data) - size + 1, size)]
    count, at, steps_left = 0, 0, MAX_PALETTE
    while at + 1 < len(words) and count <= MAX_PALETTE:
        kind, length = words[at : at + 2]
        at += 2
        if kind == _INDIRECT:
            bytes_at = words[at : at + 4 // size]
            if order == "little":
                bytes_at.reverse()
            start = 0
            for word in bytes_at:
                start = start << 8 * size | word
            inner, steps = _segments(words, start, length, steps_left)
            count, steps_left = count + inner, steps_left - steps
            at += 4 // size
        else:
            count += length
            at += length if kind == _DISCRETE else 1
        steps_left -= 1
        if steps_left < 0:
            return MAX_PALETTE + 1
    return count


def _segments(words: list[int], at: int, n_segments: int, steps_left: int) -> tuple[int, int]:
    """Entries of n_segments that begin at a word, which may not refer to others in turn; and the steps this took."""
    count, steps = 0, 0
    while steps < n_segments and at + 1 < len(words):
        kind, length = words[at : at + 2]
        steps += 1
        if kind == _INDIRECT or steps > steps_left:
            raise ImageError("damaged")
        count += length
        at += 2 + (length if kind == _DISCRETE else 1)
    return count, steps
