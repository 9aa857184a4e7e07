"""What a reader filled in becomes a record, or a sentence that says what is missing.

Enters: the fields' values as Gradio hands them over, and the step that they answer. Leaves: an OwnRead or FinalRead of
the store. An outline that crosses itself is not saved but mended and shown again: `Mended`.
"""

from dataclasses import dataclass

from busi_model.page import strings
from busi_model.page.viewer import field as editor
from busi_model.page.viewer.field import model_polygons
from busi_model.predict import Prediction
from busi_model.reading.errors import OutlineError, ReadingError, RecordError
from busi_model.reading.outline import Repaired, encode_mask, repair
from busi_model.reading.progress import Saved, Step
from busi_model.reading.records import FinalRead, Model, Outline, OwnRead, Questionnaire


class Mended(ValueError):  # noqa: N818 - it reads as what it says
    """The outline was mended: nothing is saved until the reader has seen it. str() says what was done."""

    def __init__(self, repaired: Repaired):
        super().__init__(strings.OUTLINE_MENDED.format(text=repaired.text))
        self.polygons = repaired.polygons


@dataclass(frozen=True)
class Fields:
    """One case's fields, in the order in which the page lays them out and keeps them as a draft."""

    class_name: str | None = None
    confidence: float | None = None
    birads: str = ""  # "" is "not given"
    outline_verdict: str | None = None
    no_lesion: bool = False
    comment: str = ""
    carried: str = editor.NOTHING  # the editor's value


N_CASE_FIELDS = 7  # the questionnaire's ten answers follow them


def answer_of(step: Step, values) -> OwnRead | FinalRead | Questionnaire:
    """All fields' values -> the record that this step asks for. Raises as `own_read` and `final_read` do."""
    if step.stage == "own":
        return own_read(step, Fields(*values[:N_CASE_FIELDS]))
    if step.stage == "final":
        return final_read(step, Fields(*values[:N_CASE_FIELDS]))
    answers = values[N_CASE_FIELDS:]
    if None in answers:
        raise RecordError(strings.MISSING_ANSWERS)
    return Questionnaire.checked(answers=answers)


def is_same(saved: Saved, values) -> bool:
    """Whether just this was saved."""
    try:
        return saved.is_same(answer_of(saved.step, values))
    except (ReadingError, editor.EditorError, Mended, TypeError):
        return False


def typed_text(key, values) -> str:
    """What a reader typed into a step, as text to copy; "" when that is nothing. values: whatever the browser kept."""
    if not isinstance(key, str) or not values:
        return ""
    try:
        fields, answers = Fields(*values[:N_CASE_FIELDS]), values[N_CASE_FIELDS:]
        lines = [
            f"{strings.CLASS_LABEL}: {strings.CLASS_NAMES[fields.class_name]}" if fields.class_name else "",
            f"{strings.CONFIDENCE}: {fields.confidence:g}" if fields.confidence is not None else "",
            f"{strings.BIRADS}: {fields.birads}" if fields.birads else "",
            strings.NO_LESION if fields.no_lesion else "",
            f"{strings.OUTLINE_VERDICT}: {strings.OUTLINE_VERDICTS[fields.outline_verdict]}"
            if fields.outline_verdict
            else "",
            f"{strings.COMMENT}: {fields.comment}" if fields.comment else "",
        ]
        lines += [f"{number}. {answer}" for number, answer in enumerate(answers, start=1) if answer is not None]
        if any(lines) and key.rsplit("-", 1)[-1] in ("own", "final"):
            for points in editor.drawn(fields.carried, key):
                lines.append(strings.OUTLINE_POINTS.format(points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points)))
    except (editor.EditorError, LookupError, TypeError, ValueError):
        return "" if not any(values) else str(values)
    return "\n".join(line for line in lines if line)


def own_read(step: Step, fields: Fields) -> OwnRead:
    """The reader's own opinion. Raises RecordError, EditorError, OutlineError or Mended."""
    _need_class_and_confidence(fields)
    polygons = editor.drawn(fields.carried, step.key)
    if polygons and fields.no_lesion:
        raise RecordError(strings.LESION_AND_NO_LESION)
    outline = sound_outline(polygons, step.width, step.height) if polygons or fields.no_lesion else None
    return OwnRead.checked(
        class_name=fields.class_name,
        confidence=fields.confidence,
        birads=fields.birads or None,
        outline=outline,
    )


def final_read(step: Step, fields: Fields) -> FinalRead:
    """The reader's last word. Raises RecordError, EditorError, OutlineError or Mended."""
    _need_class_and_confidence(fields)
    if fields.outline_verdict is None:
        raise RecordError(strings.MISSING_VERDICT)
    return FinalRead.checked(
        class_name=fields.class_name,
        confidence=fields.confidence,
        birads=fields.birads or None,
        comment=fields.comment,
        **outline_answer(step.key, step.model.outline, fields),
    )


def outline_answer(key: str, shown: Outline, fields: Fields) -> dict:
    """outline_verdict, outline and no_lesion_confirmed of a record, when they fit each other.

    key: what the editor's value must belong to. shown: the model's outline, as it stood in the editor at first.
    Raises RecordError, EditorError, OutlineError or Mended.
    """
    polygons, verdict = editor.drawn(fields.carried, key), fields.outline_verdict
    changed = polygons != editor.drawn(editor.value(key, shown.polygons), key)
    if verdict == "good" and changed:
        raise RecordError(strings.GOOD_BUT_CHANGED)
    if verdict == "corrected" and not changed:
        raise RecordError(strings.CORRECTED_BUT_UNCHANGED)
    if verdict == "nothing_there" and changed and polygons:
        raise RecordError(strings.NOTHING_BUT_DRAWN)
    if polygons and fields.no_lesion:
        raise RecordError(strings.LESION_AND_NO_LESION)
    if changed and not polygons and not fields.no_lesion:
        raise RecordError(strings.CONFIRM_NO_LESION)
    return {
        "outline_verdict": verdict,
        "outline": sound_outline(polygons, shown.width, shown.height) if changed else None,
        "no_lesion_confirmed": fields.no_lesion,
    }


def _need_class_and_confidence(fields):
    if fields.class_name is None:
        raise RecordError(strings.MISSING_CLASS)
    if fields.confidence is None or not 0 <= fields.confidence <= 100:
        raise RecordError(strings.MISSING_CONFIDENCE)


def sound_outline(polygons, width: int, height: int) -> Outline:
    """Polygons that cross nothing, as a record. Raises Mended with what to show instead, or OutlineError."""
    repaired = repair(polygons, width, height)
    if repaired.changed:
        raise Mended(repaired)
    return Outline.checked(polygons=polygons, width=width, height=height)


def model_record(prediction: Prediction, weights_sha256: str) -> Model:
    """What the model said, as it is kept: the outline is the one that the editor shows, the mask is the model's own."""
    height, width = prediction.mask.shape
    polygons = []
    for points in model_polygons(prediction.mask):
        try:
            polygons += repair([points], width, height).polygons
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
    )
