"""A DICOM file becomes the pixels of one frame, millimetres per pixel and the regions that hold echoes.

Enters: an open file. Leaves: a `DicomPicture` or an `ImageError`. No tag leaves as text: a message never repeats what
a file says, because any tag may name a patient.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import numpy as np

from busi_model.decode.dicom.geometry import geometry
from busi_model.decode.dicom.pixels import stored_pixels
from busi_model.decode.dicom.source import Source, open_source
from busi_model.decode.dicom.tags import Tags
from busi_model.frame import Box, ImageError, Notice, check_frame

T = TypeVar("T")
_ULTRASOUND = ("1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.3")  # SOP classes: one frame, several
_MODALITIES = ("MG", "MR", "CT", "CR", "DX", "RF", "XA", "NM", "PT", "SM")  # that `words.PARTS` has words for


@dataclass(frozen=True, eq=False)
class DicomPicture:
    """One frame of a DICOM file."""

    stored: np.ndarray  # pixels (H, W) or (H, W, 3), as they are in the file
    show: Callable[[np.ndarray], np.ndarray]  # any rows of them -> gray or RGB; uint8 where the file says how
    white_is_zero: bool  # what `show` gives is to be inverted in the end
    spacing_mm: tuple[float, float] | None  # (row, column)
    scan_regions: tuple[Box, ...]
    pixel_aspect: float  # height of a pixel over its width
    notices: tuple[Notice, ...]


def count_dicom_frames(file: BinaryIO) -> int:
    """file: binary, open. Raises ImageError."""
    return _guarded(lambda: open_source(file).n_frames)


def read_dicom(file: BinaryIO, frame: int | None = None) -> DicomPicture:
    """file: binary, open. frame: from 0 on; None is the middle one (notice "middle_frame"). Raises ImageError.

    Further notices: "burned_in" (the file says that text is in its pixels), "other_modality", "windowed" and "inverted"
    (gray was mapped as the file asks), "regions_disagree", "spacings_differ" and "scanned_spacing" (no millimetres
    then), "pixels_not_square", "tag_ignored" (a tag of no use was left out).
    """
    return _guarded(lambda: _read(open_source(file), frame))


def _guarded(work: Callable[[], T]) -> T:
    try:
        return work()
    except (ImageError, MemoryError):
        raise
    except Exception:  # pydicom raises whatever a damaged file leads it to, with the values that it found
        raise ImageError("damaged") from None


def _read(source: Source, frame: int | None) -> DicomPicture:
    tags, notices = Tags(source.tags), list(source.notices)
    if frame is None:
        frame = source.n_frames // 2
        if source.n_frames > 1:
            notices.append(Notice("middle_frame", values={"count": source.n_frames, "frame": frame + 1}))
    check_frame(frame, source.n_frames)
    notices += _modality_notices(tags)
    if tags.word("BurnedInAnnotation") == "YES":
        notices.append(Notice("burned_in"))
    tags.take_from_groups(frame)
    stored = stored_pixels(source, tags, frame)
    stored.show(stored.pixels[:1])  # damaged tables are found here, where that is told
    found = geometry(tags, frame)
    return DicomPicture(
        stored.pixels,
        stored.show,
        stored.white_is_zero,
        found.spacing_mm,
        found.scan_regions,
        found.pixel_aspect,
        (*notices, *tags.notices, *stored.notices),
    )


def _modality_notices(tags: Tags) -> list[Notice]:
    modality, sop_class = tags.word("Modality"), tags.word("SOPClassUID")
    if modality == "US" or (not modality and sop_class.startswith(_ULTRASOUND)):
        return []
    found = modality if modality in _MODALITIES else "other_kind_of_picture"  # no other text of the file leaves
    return [Notice("other_modality", values={"found": found})]
