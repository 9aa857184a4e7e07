"""One prediction becomes a segmentation, a report of measurements (TID 1500) and a picture with the outline.

Enters: a Reference, a Prediction that was not refused, its lesions. Leaves: pydicom data sets. Coordinates are those of
the picture's own pixels: the segmentation has its rows and columns, the report its outlines, where the corner of the
first pixel is 0\\0 and its centre 0.5\\0.5 (PS3.3 C.18.6).
"""

import warnings
from typing import Any

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UltrasoundImageStorage, UltrasoundMultiFrameImageStorage

from busi_model.clinic.descriptors import Descriptor, describe
from busi_model.clinic.measure import Lesion
from busi_model.clinic.view import draw_overlay, regions
from busi_model.dicom_out.reference import Reference
from busi_model.predict import Prediction

warnings.filterwarnings("ignore", module="highdicom")  # of names in one piece, which it repeats

NAME, MAKER = "BUSI", "BUSI (research use only)"
SEG_SERIES, SR_SERIES, SC_SERIES = 9601, 9602, 9603  # numbers that a scanner does not use
_CLASSES = {
    "benign": codes.SCT.Benign,
    "malignant": hd.sr.CodedConcept("21594007", "SCT", "Malignant"),
    "normal": hd.sr.CodedConcept("17621005", "SCT", "Normal"),
}
_CLASS_BY_NETWORK = hd.sr.CodedConcept("busi-class", "99BUSI", "Likeliest class, by a network for research")
_PROBABILITY = {
    "benign": hd.sr.CodedConcept("busi-p-benign", "99BUSI", "Probability of a benign lesion"),
    "malignant": hd.sr.CodedConcept("111047", "DCM", "Probability of cancer"),
    "normal": hd.sr.CodedConcept("busi-p-normal", "99BUSI", "Probability of no lesion"),
}
_PIXELS = hd.sr.CodedConcept("{pixels}", "UCUM", "pixels")
_LENGTHS = (  # field of Lesion without its unit, name
    ("longest_axis", codes.SCT.LongAxis),
    ("perpendicular_axis", codes.SCT.ShortAxis),
    ("width", codes.SCT.Width),
    ("height", hd.sr.CodedConcept("busi-height", "99BUSI", "Height, along the depth")),
)
_NUMBERS = {  # by name of a `Descriptor`: what it is, as the record says it, and its unit
    "posterior": ("Gray behind / beside the lesion", codes.UCUM.NoUnits),
    "orientation": ("Depth / width of the outline", codes.UCUM.NoUnits),
    "shape": ("Probability of an irregular shape", codes.UCUM.NoUnits),
    "roundness": ("Short / long axis", codes.UCUM.NoUnits),
    "echo": (
        "Gray inside - beside the lesion, of 255",
        hd.sr.CodedConcept("{gray levels}", "UCUM", "gray levels"),
    ),
}
# Words of our own: by measurement, no finding of the BI-RADS lexicon, whose codes would say so.
_WORD_OF = {
    "posterior": hd.sr.CodedConcept("busi-word-post", "99BUSI", "Behind the lesion, by measurement"),
    "orientation": hd.sr.CodedConcept("busi-word-orient", "99BUSI", "Orientation, by measurement"),
    "shape": hd.sr.CodedConcept("busi-word-shape", "99BUSI", "Shape, by measurement"),
}
_CODE_OF_WORD = {
    "posterior shadowing": "busi-shadow",
    "no posterior shadowing": "busi-no-shadow",
    "parallel": "busi-parallel",
    "not parallel": "busi-not-paral",
    "irregular": "busi-irregular",
    "not irregular": "busi-not-irreg",
}


def segmentation(reference: Reference, prediction: Prediction, model: dict[str, str]) -> Dataset | None:
    """A binary segment for each lesion, the largest first; None without a lesion: a segmentation has one at least."""
    found = regions(prediction.mask)
    if not found:
        return None
    masks = np.zeros((1, *prediction.mask.shape, len(found)), np.uint8)
    for number, region in enumerate(found):
        masks[0][region.place][..., number] = region.filled & prediction.mask[region.place]
    algorithm = hd.AlgorithmIdentificationSequence(NAME, codes.DCM.ArtificialIntelligence, _version(model))
    segments = [
        hd.seg.SegmentDescription(
            number,
            f"Lesion {number}",
            codes.SCT.MorphologicallyAbnormalStructure,
            codes.SCT.Lesion,
            "AUTOMATIC",
            algorithm,
            tracking_uid=reference.uid("lesion", str(number)),
            tracking_id=f"Lesion {number}",
            anatomic_regions=[codes.SCT.Breast],
        )
        for number in range(1, len(found) + 1)
    ]
    made = hd.seg.Segmentation(
        [reference.identity],
        masks,
        "BINARY",
        segments,
        **_identity(reference, "seg", SEG_SERIES),
        manufacturer_model_name=model["version"],
        software_versions=_version(model),
        device_serial_number=model["weights_sha256"][:16],
        content_label="LESIONS",
        content_description="Outlines by a network for research",
        omit_empty_frames=False,
    )
    made.SeriesDescription = "BUSI outlines (research)"
    made.PatientOrientation = None  # must be there, and is unknown
    return reference.correct(made)


def report(reference: Reference, prediction: Prediction, lesions: list[Lesion], model: dict[str, str]) -> Dataset:
    """TID 1500: the class and its probabilities for the picture, outline, measurements, descriptors of each lesion."""
    if prediction.label is None:
        raise ValueError("The picture was refused; a report is made of one that was judged.")
    device = hd.sr.ObserverContext(
        codes.DCM.Device,
        hd.sr.DeviceObserverIdentifyingAttributes(
            hd.UID(reference.series_uid("device")), NAME, MAKER, model["version"], model["weights_sha256"][:16]
        ),
    )
    algorithm = hd.sr.AlgorithmIdentification(NAME, _version(model), family=codes.DCM.ArtificialIntelligence)
    # highdicom does not know retired and private classes; `correct` puts the file's own in their place.
    source = (
        UltrasoundImageStorage if reference.frame_number is None else UltrasoundMultiFrameImageStorage,
        reference.identity.SOPInstanceUID,
        None if reference.frame_number is None else [reference.frame_number],
    )
    picture = hd.sr.MeasurementsAndQualitativeEvaluations(
        hd.sr.TrackingIdentifier(reference.uid("picture"), "Picture"),
        source_images=[hd.sr.SourceImageForMeasurementGroup(*source)],
        algorithm_id=algorithm,
        finding_sites=[hd.sr.FindingSite(codes.SCT.Breast)],
        measurements=[
            hd.sr.Measurement(_PROBABILITY[name], round(100 * probability, 2), codes.UCUM.Percent)
            for name, probability in prediction.class_probabilities.items()
        ],
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(_CLASS_BY_NETWORK, _CLASSES[prediction.label])],
    )
    outlined = []
    for lesion in lesions:
        described = describe(prediction.frame.gray, lesion)
        group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            hd.sr.TrackingIdentifier(reference.uid("lesion", str(lesion.number)), f"Lesion {lesion.number}"),
            hd.sr.ImageRegion("POLYLINE", lesion.outline_xy + 0.5, hd.sr.SourceImageForRegion(*source)),
            finding_type=codes.SCT.Lesion,
            algorithm_id=algorithm,
            finding_sites=[hd.sr.FindingSite(codes.SCT.Breast)],
            measurements=[*_measurements(lesion), *_numbers(described)],
            qualitative_evaluations=_words(described),
        )
        group[0].ContentSequence.extend(_agreements(described))
        outlined.append(group)
    content = hd.sr.MeasurementReport(
        hd.sr.ObservationContext(observer_device_context=device),
        hd.sr.CodedConcept("47079-9", "LN", "US Breast"),
        [*outlined, picture],
        title=codes.DCM.ImagingMeasurementReport,
    )
    made = hd.sr.ComprehensiveSR(
        [reference.identity],
        content,
        **_identity(reference, "sr", SR_SERIES),
        is_complete=True,
    )
    made.SeriesDescription = "BUSI measurements (research)"
    return reference.correct(made)


def capture(reference: Reference, prediction: Prediction, gray: np.ndarray) -> Dataset:
    """The picture with its outlines drawn in, as colour. gray: the frame's, with its banner blanked."""
    frame = prediction.frame
    made = hd.sc.SCImage.from_ref_dataset(
        reference.identity,
        draw_overlay(gray, prediction.mask),
        "RGB",
        8,
        "PATIENT",
        pixel_spacing=frame.spacing_mm,  # type: ignore[arg-type]  # highdicom says whole numbers, and takes any
        patient_orientation=("L", "F"),  # highdicom asks for one; what ultrasound has is unknown
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **_identity(reference, "sc", SC_SERIES),
    )
    made.SeriesDescription = "BUSI outline drawn in (research)"
    for unknown in ("PatientOrientation", "Laterality"):
        setattr(made, unknown, None)
    if frame.spacing_mm is None and frame.pixel_aspect != 1:
        made.PixelAspectRatio = [round(1000 * frame.pixel_aspect), 1000]
    source = Dataset()
    source.ReferencedSOPClassUID = reference.identity.SOPClassUID
    source.ReferencedSOPInstanceUID = reference.identity.SOPInstanceUID
    made.SourceImageSequence = [source]
    return reference.correct(made)


def _identity(reference: Reference, kind: str, series_number: int) -> dict[str, Any]:
    return {
        "series_instance_uid": reference.series_uid(kind),
        "series_number": series_number,
        "sop_instance_uid": reference.uid(kind),
        "instance_number": reference.frame_number or 1,
        "manufacturer": MAKER,
    }


def _version(model: dict[str, str]) -> str:
    return f"weights {model['weights_sha256'][:12]}"


def _measurements(lesion: Lesion) -> list[hd.sr.Measurement]:
    """In millimetres where they are known, else in pixels."""
    unit, area_unit, length_unit = "px", _PIXELS, _PIXELS
    if lesion.area_mm2 is not None:
        unit, area_unit, length_unit = "mm", codes.UCUM.SquareMillimeter, codes.UCUM.Millimeter
    area = hd.sr.Measurement(codes.SCT.Area, round(getattr(lesion, f"area_{unit}2"), 3), area_unit)
    lengths = [
        hd.sr.Measurement(name, round(getattr(lesion, f"{field}_{unit}"), 3), length_unit) for field, name in _LENGTHS
    ]
    return [area, *lengths]


def _numbers(described: tuple[Descriptor, ...]) -> list[hd.sr.Measurement]:
    found = []
    for one in described:
        if one.number is not None:
            meaning, unit = _NUMBERS[one.name]
            name = hd.sr.CodedConcept(f"busi-{one.name}", "99BUSI", meaning)
            found.append(hd.sr.Measurement(name, round(one.number, 4), unit))
    return found


def _words(described: tuple[Descriptor, ...]) -> list[hd.sr.QualitativeEvaluation]:
    return [
        hd.sr.QualitativeEvaluation(_WORD_OF[one.name], hd.sr.CodedConcept(_CODE_OF_WORD[one.word], "99BUSI", one.word))
        for one in described
        if one.word
    ]


def _agreements(described: tuple[Descriptor, ...]) -> list[hd.sr.TextContentItem]:
    """What each word is worth, beside it: a word alone would claim more."""
    return [
        hd.sr.TextContentItem(
            codes.DCM.Comment, f"{_WORD_OF[one.name].meaning}: {one}.", hd.sr.RelationshipTypeValues.CONTAINS
        )
        for one in described
        if one.word
    ]
