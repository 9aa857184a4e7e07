"""What a reader filled in becomes a record, or a sentence that says what is missing.

Enters: the fields' values as Gradio hands them over, and the step that they answer. Leaves: an OwnRead or FinalRead of
the store. An outline that crosses itself is not saved but repaired and shown again: `OutlineRepairedError`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from busi_model.clinic import words
from busi_model.names import DESCRIPTOR_WORDS
from busi_model.page import strings
from busi_model.page.answers import OutlineRepairedError, need_one_opinion, outline_answer, sound_outline
from busi_model.page.viewer import field as editor
from busi_model.reading.errors import ReadingError, RecordError
from busi_model.reading.records import Descriptors, FinalRead, Model, OwnRead
from busi_model.reading.session.place import Saved, Step
from busi_model.reading.session.progress import ReaderSession
from busi_model.reading.session.questionnaire import SUS_ITEMS, Questionnaire


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
    descriptors: dict[str, str] = field(default_factory=dict)  # those that were said; laid out last

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Fields":
        """All fields' values, the questionnaire's too. A draft may come from before there were descriptors."""
        said = zip(DESCRIPTOR_WORDS, values[N_CASE_FIELDS + N_ANSWERS :], strict=False)
        return replace(cls(*values[:N_CASE_FIELDS]), descriptors={name: word for name, word in said if word})


N_CASE_FIELDS, N_ANSWERS = 7, len(SUS_ITEMS)  # the questionnaire's answers follow the case's fields


def answer_of(step: Step, values: Sequence[Any]) -> OwnRead | FinalRead | Questionnaire:
    """All fields' values -> the record that this step asks for. Raises as `own_read` and `final_read` do."""
    if step.stage == "own":
        return own_read(step, Fields.of(values))
    if step.stage == "final":
        return final_read(step, Fields.of(values))
    answers = values[N_CASE_FIELDS : N_CASE_FIELDS + N_ANSWERS]
    if None in answers:
        raise RecordError(strings.MISSING_ANSWERS)
    return Questionnaire.checked(answers=answers)


def is_same(saved: Saved, values: Sequence[Any]) -> bool:
    """Whether just this was saved."""
    try:
        return saved.is_same(answer_of(saved.step, values))
    except (ReadingError, editor.EditorError, OutlineRepairedError, TypeError):
        return False


def typed_text(key: object, values: Any) -> str:
    """What a reader typed into a step, as text to copy; "" when that is nothing. values: whatever the browser kept."""
    if not isinstance(key, str) or not values:
        return ""
    try:
        fields, answers = Fields.of(values), values[N_CASE_FIELDS : N_CASE_FIELDS + N_ANSWERS]
        lines = [
            f"{strings.CLASS_LABEL}: {strings.CLASS_NAMES[fields.class_name]}" if fields.class_name else "",
            f"{strings.CONFIDENCE}: {fields.confidence:g}" if fields.confidence is not None else "",
            f"{strings.BIRADS}: {fields.birads}" if fields.birads else "",
            strings.NO_LESION if fields.no_lesion else "",
            f"{strings.OUTLINE_VERDICT}: {strings.OUTLINE_VERDICTS[fields.outline_verdict]}"
            if fields.outline_verdict
            else "",
            f"{strings.COMMENT}: {fields.comment}" if fields.comment else "",
            *(
                f"{words.DESCRIPTOR_ROWS[name]}: {words.DESCRIPTOR_WORDS[said]}"
                for name, said in fields.descriptors.items()
            ),
        ]
        lines += [f"{number}. {answer}" for number, answer in enumerate(answers, start=1) if answer is not None]
        if any(lines) and key.rsplit("-", 1)[-1] in ("own", "final"):
            for points in editor.drawn(fields.carried, key):
                lines.append(strings.OUTLINE_POINTS.format(points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points)))
    except (editor.EditorError, LookupError, TypeError, ValueError):
        return "" if not any(values) else str(values)
    return "\n".join(line for line in lines if line)


def not_taken(session: ReaderSession, key: Any, values: Sequence[Any]) -> str:
    """What was typed into one of this reader's steps that is over, as text; "" when just that was saved."""
    if not session.owns(key):
        return ""
    saved = session.saved(key)
    return "" if saved and is_same(saved, values) else typed_text(key, values)


def own_read(step: Step, fields: Fields) -> OwnRead:
    """The reader's own opinion. Raises RecordError, EditorError, OutlineError or OutlineRepairedError."""
    _need_class_and_confidence(fields)
    polygons = editor.drawn(fields.carried, cast(str, step.key))  # a step of a case has a key, and a picture
    if polygons and fields.no_lesion:
        raise RecordError(strings.LESION_AND_NO_LESION)
    need_one_opinion(fields.class_name, fields.no_lesion)
    size = cast(int, step.width), cast(int, step.height)
    outline = sound_outline(polygons, *size) if polygons or fields.no_lesion else None
    return OwnRead.checked(
        class_name=fields.class_name,
        confidence=fields.confidence,
        birads=fields.birads or None,
        outline=outline,
        descriptors=_descriptors(fields),
    )


def final_read(step: Step, fields: Fields) -> FinalRead:
    """The reader's last word. Raises RecordError, EditorError, OutlineError or OutlineRepairedError."""
    _need_class_and_confidence(fields)
    if fields.outline_verdict is None:
        raise RecordError(strings.MISSING_VERDICT)
    shown = cast(Model, step.model).outline  # the model was revealed
    key = cast(str, step.key)
    outline = outline_answer(key, shown, fields.outline_verdict, fields.no_lesion, fields.carried, fields.class_name)
    return FinalRead.checked(
        class_name=fields.class_name,
        confidence=fields.confidence,
        birads=fields.birads or None,
        comment=fields.comment,
        descriptors=_descriptors(fields),
        **outline,
    )


def _descriptors(fields: Fields) -> Descriptors | None:
    return Descriptors.checked(**fields.descriptors) if fields.descriptors else None


def _need_class_and_confidence(fields: Fields) -> None:
    if fields.class_name is None:
        raise RecordError(strings.MISSING_CLASS)
    if fields.confidence is None or not 0 <= fields.confidence <= 100:
        raise RecordError(strings.MISSING_CONFIDENCE)
