"""An answer to the model's outline, and what the model said, as records: for reading sessions and for feedback.

Enters: the editor's value, the verdict on the outline, a Prediction. Leaves: parts of the store's records, or a
sentence that says what does not fit. An outline that crosses itself is not saved but repaired and shown again:
`OutlineRepairedError`.
"""

from busi_model.clinic.descriptors import describe
from busi_model.clinic.measure import measure_lesions
from busi_model.names import DESCRIPTOR_WORDS
from busi_model.page import strings
from busi_model.page.viewer import field as editor
from busi_model.page.viewer.field import model_polygons
from busi_model.predict import Prediction
from busi_model.reading.errors import OutlineError, RecordError
from busi_model.reading.outline import Polygons, Repaired, encode_mask, repair
from busi_model.reading.records import Descriptors, Model, Outline


class OutlineRepairedError(ValueError):
    """The outline was repaired: nothing is saved until the reader has seen it. str() says what was done."""

    def __init__(self, repaired: Repaired):
        super().__init__(strings.OUTLINE_MENDED.format(text=repaired.text))
        self.polygons = repaired.polygons


def need_one_opinion(class_name: str | None, no_lesion: bool, nothing_there: bool = False) -> None:
    """A lesion's class, and that there is none, are not taken together. Raises RecordError."""
    if class_name not in (None, "normal") and (no_lesion or nothing_there):
        text = strings.CLASS_AND_NO_LESION if no_lesion else strings.CLASS_AND_NOTHING
        raise RecordError(text.format(class_name=strings.CLASS_NAMES[class_name].lower()))


def outline_answer(
    key: str, shown: Outline, verdict: str | None, no_lesion: bool, carried: str, class_name: str | None
) -> dict:
    """outline_verdict, outline and no_lesion_confirmed of a record, when they fit each other.

    key: what the editor's value must belong to. shown: the model's outline, as it stood in the editor at first.
    verdict: of `records.OUTLINE_VERDICTS`, or None. no_lesion: ticked. carried: the editor's value. class_name: the
    reader's own.
    Raises RecordError, EditorError, OutlineError or OutlineRepairedError.
    """
    polygons = editor.drawn(carried, key)
    changed = polygons != editor.drawn(editor.value(key, shown.polygons), key)
    if verdict == "good" and changed:
        raise RecordError(strings.GOOD_BUT_CHANGED)
    if verdict == "corrected" and not changed:
        raise RecordError(strings.CORRECTED_BUT_UNCHANGED)
    if verdict == "nothing_there" and changed and polygons:
        raise RecordError(strings.NOTHING_BUT_DRAWN)
    if polygons and no_lesion:
        raise RecordError(strings.LESION_AND_NO_LESION)
    if changed and not polygons and not no_lesion:
        raise RecordError(strings.CONFIRM_NO_LESION)
    need_one_opinion(class_name, no_lesion, verdict == "nothing_there" and bool(shown.polygons))
    return {
        "outline_verdict": verdict,
        "outline": sound_outline(polygons, shown.width, shown.height) if changed else None,
        "no_lesion_confirmed": no_lesion,
    }


def sound_outline(polygons: Polygons, width: int, height: int) -> Outline:
    """Polygons that cross nothing, as a record. Raises OutlineError, or OutlineRepairedError with what to show."""
    repaired = repair(polygons, width, height)
    if repaired.changed:
        raise OutlineRepairedError(repaired)
    return Outline.checked(polygons=polygons, width=width, height=height)


def program_descriptors(prediction: Prediction) -> Descriptors | None:
    """What the program says of the largest lesion; None without an outline."""
    if prediction.refused or not prediction.mask.any():
        return None
    frame = prediction.frame
    lesion, *_ = measure_lesions(prediction.mask, None, frame.spacing_mm, frame.pixel_aspect)
    words = {one.name: one.word for one in describe(frame.gray, lesion)}
    return Descriptors.checked(**{name: words[name] for name in DESCRIPTOR_WORDS})


def model_record(prediction: Prediction, weights_sha256: str, descriptors: Descriptors | None = None) -> Model:
    """What the model said, as it is kept: the outline is the one that the editor shows, the mask is the model's own."""
    height, width = prediction.mask.shape
    polygons = []
    for points in model_polygons(prediction.mask):
        try:
            polygons += repair([[(x, y) for x, y in points]], width, height).polygons
        except OutlineError:  # thinned to nothing: a speck that the mask still holds
            continue
    return Model.checked(
        class_name=None if prediction.refused else prediction.label,
        confidence=None if prediction.refused else prediction.confidence,
        class_probabilities={} if prediction.refused else prediction.class_probabilities,
        outline=Outline.checked(polygons=polygons, width=width, height=height),
        mask_png=encode_mask(prediction.mask),
        weights_sha256=weights_sha256,
        refused=prediction.refused,
        warnings=tuple(warning.code for warning in prediction.warnings),
        descriptors=descriptors,
    )
