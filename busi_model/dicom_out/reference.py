"""What ties a result to the picture that it was made of: the picture's identifiers, and nothing else of its file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID, UltrasoundImageStorage, generate_uid
from pydicom.valuerep import DA, TM

from busi_model.decode.dicom.kind import HEAD_BYTES, is_dicom
from busi_model.image import ImageError, count_frames

# Type 1 of the results: without one of them there is no study to belong to.
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")
# Type 2: they may be empty, but must be there.
_MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
_MOMENTS = {"PatientBirthDate": DA, "StudyDate": DA, "StudyTime": TM}
_TAKEN_ALONG = ("SpecificCharacterSet", "Modality", "StudyDescription", "PatientAge", "IssuerOfPatientID")
_MOST_LETTERS = 1024  # of a value; a name has at most 5 x 64


class DicomResultError(ImageError):
    """No DICOM result can be made of this picture: what was found, what was expected, what to do."""


@dataclass(frozen=True, eq=False)
class Reference:
    """One frame of a DICOM file."""

    identity: Dataset  # identifiers and size, as of a still
    sop_class_uid: UID  # the file's own
    frame_number: int | None  # from 1 on; None for a file with a single frame
    weights: str  # hash of those that made the results

    def uid(self, *what: str) -> UID:
        """A UID that is the same for the same result of the same frame and weights, so that
        sending it twice keeps one."""
        return generate_uid(entropy_srcs=[self.weights, self.identity.SOPInstanceUID, str(self.frame_number), *what])

    def correct(self, made: Dataset) -> Dataset:
        """Every reference to the picture in a result: its own class, and the frame of several, in place."""
        for element in made.iterall():
            if element.VR == "SQ":
                for item in element.value:
                    if item.get("ReferencedSOPInstanceUID") == self.identity.SOPInstanceUID:
                        item.ReferencedSOPClassUID = self.sop_class_uid
                        if self.frame_number is not None and element.keyword == "SourceImageSequence":
                            item.ReferencedFrameNumber = self.frame_number
        return made

    def series_uid(self, *what: str) -> UID:
        """As `uid`, the same for all pictures of a series."""
        return generate_uid(entropy_srcs=[self.weights, self.identity.SeriesInstanceUID, *what])


def read_reference(path: Path | str, frame: int | None, weights: str) -> Reference:
    """path: a DICOM file. frame: as in `read_image`. weights: their hash. Raises DicomResultError."""
    return reference_of(read_identity(path), frame, weights)


def reference_of(identity: dict[str, Any], frame: int | None, weights: str) -> Reference:
    """identity: of `read_identity`. frame: as in `read_image`. weights: their hash."""
    tags, n_frames = Dataset(), identity["n_frames"]
    for keyword in identity.keys() - {"n_frames"}:
        setattr(tags, keyword, identity[keyword])
    number = None
    if n_frames > 1:
        number = 1 + (n_frames // 2 if frame is None else frame)
    # highdicom copies by the kind of picture, and makes no segmentation of one frame of several: to it, all are stills.
    sop_class, tags.SOPClassUID = tags.SOPClassUID, UltrasoundImageStorage
    return Reference(tags, sop_class, number, weights)


def read_identity(path: Path | str) -> dict[str, Any]:
    """What ties results to a DICOM file, as words, numbers and lists of words: value by keyword, None where it is
    empty; and "n_frames". It names the patient. Raises DicomResultError."""
    try:
        with open(path, "rb") as file:
            known = is_dicom(file.read(HEAD_BYTES))
        n_frames = count_frames(path) if known else 0  # with all checks of size and sense
    except (ImageError, OSError):
        known = False
    if not known:
        raise DicomResultError("no_study")
    try:
        return {"n_frames": n_frames, **_identifiers(path)}
    except DicomResultError:
        raise
    except Exception as error:  # pydicom raises whatever a damaged tag leads it to, with what stands in it
        raise DicomResultError("identifiers_unread", kind=type(error).__name__) from None


def identity_or_none(path: Path | str) -> dict[str, Any] | None:
    """As `read_identity`; None for a file that no results can be tied to. A helper ends with what its job raises, and
    most files that the page opens are no DICOM."""
    try:
        return read_identity(path)
    except DicomResultError:
        return None


def _identifiers(path: Path | str) -> dict[str, int | str | list | None]:
    wanted = [*_NEEDED, *_MAY_BE_EMPTY, *_TAKEN_ALONG]
    tags = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=wanted)
    found: dict[str, int | str | list | None] = {}
    for keyword in wanted:
        value = tags.get(keyword)
        if value not in (None, ""):
            found[keyword] = _moment(keyword, _plain(value))
        elif keyword in _MAY_BE_EMPTY:
            found[keyword] = None
        elif keyword in _NEEDED:
            raise DicomResultError("identifier_missing", keyword=keyword)
    return found


def _moment(keyword: str, value: int | str | list) -> int | str | list | None:
    """Dates and times as they are written today: ACR-NEMA had 1994.05.01 and 11:20:00. None for what is none: the
    study is known without it."""
    kind = _MOMENTS.get(keyword)
    if kind is None or not isinstance(value, str):
        return value
    value = value.strip().replace(":", "") if kind is TM else value.strip().replace(".", "")
    try:
        return value if kind(value) is not None else None
    except ValueError:
        return None


def _plain(value: object) -> int | str | list:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, MultiValue):
        return [_plain(one) for one in value]
    if len(str(value)) > _MOST_LETTERS:
        raise DicomResultError("identifier_long", most=_MOST_LETTERS)
    return str(value)
