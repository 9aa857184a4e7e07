"""What ties a result to the picture that it was made of: the picture's identifiers, and nothing else of its file."""

from dataclasses import dataclass

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, UltrasoundImageStorage, generate_uid

from busi_model.dicom.kind import HEAD_BYTES, is_dicom
from busi_model.image import ImageError, count_frames

# Type 1 of the results: without one of them there is no study to belong to.
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")
# Type 2: they may be empty, but must be there.
_MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
_TAKEN_ALONG = ("SpecificCharacterSet", "Modality", "StudyDescription", "PatientAge", "IssuerOfPatientID")


class DicomResultError(ValueError):
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


def read_reference(path, frame: int | None, weights: str) -> Reference:
    """path: a DICOM file. frame: as in `read_image`. weights: their hash. Raises DicomResultError."""
    try:
        n_frames = count_frames(path)  # with all checks of size and sense
        with open(path, "rb") as file:
            known = is_dicom(file.read(HEAD_BYTES))
    except (ImageError, OSError):
        known = False
    if not known:
        text = "DICOM results belong to a study, and this file is no DICOM picture; one is expected."
        raise DicomResultError(f"{text} Ask for PNG overlays instead.")
    wanted = [*_NEEDED, *_MAY_BE_EMPTY, *_TAKEN_ALONG]
    tags = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=wanted)
    identity = Dataset()
    for keyword in _NEEDED:
        if tags.get(keyword) in (None, ""):
            text = f"The DICOM file lacks {keyword}, so no result can be tied to it; a whole file is expected."
            raise DicomResultError(f"{text} Export it again.")
        setattr(identity, keyword, tags[keyword].value)
    for keyword in _MAY_BE_EMPTY:
        setattr(identity, keyword, tags.get(keyword))
    for keyword in _TAKEN_ALONG:
        if tags.get(keyword) not in (None, ""):
            setattr(identity, keyword, tags[keyword].value)
    number = None
    if n_frames > 1:
        number = 1 + (n_frames // 2 if frame is None else frame)
    # highdicom copies by the kind of picture, and makes no segmentation of one frame of several: to it, all are stills.
    sop_class, identity.SOPClassUID = identity.SOPClassUID, UltrasoundImageStorage
    return Reference(identity, sop_class, number, weights)
