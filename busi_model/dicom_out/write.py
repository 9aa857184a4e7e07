"""One prediction of a DICOM picture becomes the bytes of DICOM results.

They carry the name, number and dates of the study, by which an archive files them: nothing else that the program
writes does. So they are made only when asked for.
"""

import io
from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from busi_model.clinic.measure import Lesion
from busi_model.decode.banner import without_banner
from busi_model.dicom_out.reference import DicomResultError, Reference, read_reference
from busi_model.predict import Prediction

KINDS = ("seg", "sr", "sc")  # segmentation, structured report, secondary capture
IDENTIFIED = "DICOM results carry the name, number and dates of their study. Keep them where the originals may be kept."


def require_highdicom() -> None:
    """Raises DicomResultError where the extra is not installed."""
    try:
        import highdicom  # noqa: F401
    except ImportError:
        raise DicomResultError("no_highdicom") from None


def dicom_results(
    path: Path | str,
    prediction: Prediction,
    lesions: list[Lesion],
    model: dict[str, str],
    kinds: Sequence[str] = KINDS,
    frame: int | None = None,
) -> dict[str, bytes]:
    """path: the DICOM file that was read. lesions: of `measure_lesions`. model: "version" and "weights_sha256".
    kinds: which of KINDS. frame: as given to `read_image`.

    Returns a file for each kind; no "seg" where nothing is outlined. Raises DicomResultError: for a refused picture,
    a file that is not DICOM or cannot be tied to, and where the extra is not installed.
    """
    _refuse(prediction)
    reference = read_reference(path, frame, model["weights_sha256"])
    return results_of(reference, prediction, lesions, model, kinds)


def results_of(
    reference: Reference,
    prediction: Prediction,
    lesions: list[Lesion],
    model: dict[str, str],
    kinds: Sequence[str] = KINDS,
) -> dict[str, bytes]:
    """As `dicom_results`, of a file whose identifiers were read before."""
    _refuse(prediction)
    require_highdicom()
    from busi_model.dicom_out import objects

    make = {
        "seg": lambda: objects.segmentation(reference, prediction, model),
        "sr": lambda: objects.report(reference, prediction, lesions, model),
        "sc": lambda: objects.capture(reference, prediction, without_banner(prediction.frame).gray),
    }
    try:
        made = {kind: make[kind]() for kind in kinds}
    except (KeyError, ValueError, TypeError, AttributeError) as error:  # its message may hold what the file says
        raise DicomResultError("identifiers_unfit", kind=type(error).__name__) from None
    return {kind: _written(dataset) for kind, dataset in made.items() if dataset is not None}


def _refuse(prediction: Prediction) -> None:
    if prediction.refused:
        raise DicomResultError("nothing_to_file")


def _written(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()
