"""The reading session's panel: read first, lock, see the model, decide, save; then the next case.

The page holds no state of its own: the code and the step's key travel with each click, the store knows the rest. So a
reload, another browser or a restart of the server finds the reader at the same step, and a double click saves once.
What was typed but not saved is kept in the browser tab by seat.js. The model is asked on the server once a reading is
locked; before that nothing of it is sent.
"""

import json
import logging

import gradio as gr
import numpy as np
from PIL import Image

from busi_model.image import Frame
from busi_model.page import editor, session_view, strings
from busi_model.page.editor import EditorError
from busi_model.page.session_form import Fields, Mended, final_read, model_record, own_read
from busi_model.page.session_layout import Layout
from busi_model.phantom import draw_phantom
from busi_model.reading.desk import Desk, Step
from busi_model.reading.errors import CodeError, OutlineError, ReadingError, RecordError
from busi_model.reading.outline import dice, rasterise
from busi_model.reading.records import Profile, Questionnaire
from busi_model.reading.session import Sessions

LOG = logging.getLogger(__name__)
# Both stand in the browser; `busiKeepDraft` is in seat.js. The verdict is the fourth field.
KEEP_DRAFT = "(seat, ...values) => window.busiKeepDraft(seat, values)"
CORRECTED = "(seat, ...values) => { values[3] = 'corrected'; window.busiKeepDraft(seat, values); return 'corrected'; }"
PRACTICE = "practice"  # key of the example's outline, which is not saved
PRACTICE_SEED = 11
PRACTICE_SHIFT_XY = (22, 14)  # pixels by which the outline to be put right lies beside the lesion
HOW = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 8, "concurrency_id": "session"}


def build(sessions: Sessions, predictor, outbox=None, warning: str | None = None) -> None:
    """Lay out the panel inside the current gr.Blocks.

    outbox: Outbox or None. warning: a sentence for the red line above everything (`outbox.storage_warning`), or None.
    """
    Panel(sessions, predictor, outbox, Layout(warning)).connect()


class Panel:
    """What the buttons do. Each answer is a dict {component: update}; a component that is not in it stays as it is."""

    def __init__(self, sessions, predictor, outbox, layout: Layout):
        self.sessions, self.predictor, self.outbox, self.layout = sessions, predictor, outbox, layout

    def connect(self) -> None:
        on = self.layout
        how = {"outputs": on.everything(), **HOW}
        gr.on([on.enter_button.click, on.code.submit], self.enter, [on.code], **how)
        on.seat.resume(self.resume, None, **how)
        on.leave_button.click(self.leave, None, **how)
        on.join_button.click(self.join, [on.seat, on.pseudonym, on.role, on.years], **how)
        on.compare_button.click(self.compare, [on.editor], [on.problem], **HOW)
        on.start_button.click(self.start, [on.seat], **how)
        on.lock_button.click(self.lock, [on.seat, *on.case_fields], **how)
        on.save_button.click(self.save, [on.seat, *on.case_fields], **how)
        on.send_button.click(self.send, [on.seat, *on.answers], **how)
        on.seat.change(self.shown, [on.seat], None, **HOW)  # it changes when another step is on the screen
        typed = [field.input for field in on.fields if field is not on.editor]
        typed.append(on.comment.change)  # a text's last letters reach the other fields' values only now
        gr.on(typed, None, [on.seat, *on.fields], None, js=KEEP_DRAFT, trigger_mode="multiple")
        on.editor.input(None, [on.seat, *on.fields], [on.verdict], js=CORRECTED, trigger_mode="multiple")

    def enter(self, code: str, request: gr.Request) -> dict:
        return self._answer(lambda: self._screen(code, self.sessions.enter(code, client=request.client.host)))

    def resume(self, kept: gr.EventData) -> dict:
        """The page was loaded again in the same browser tab; `kept` is what seat.js remembers."""

        def come_back():
            try:
                return self._screen(kept.code, self._desk(kept.code), draft=kept.draft)
            except CodeError as error:  # the reader was removed, or has a new code
                return {**self.leave(), **self._refusal(error)}

        return self._answer(come_back)

    def leave(self) -> dict:
        """Back to the door. What was locked or saved is in the store."""
        on = self.layout
        hidden = (on.head_row, on.picture, *on.forms.values())
        return {
            on.seat: "",
            on.door: gr.Column(visible=True),
            on.code: "",
            **{part: gr.update(visible=False) for part in hidden},
            **dict.fromkeys((on.head, on.receipt, on.task, on.problem), ""),
            on.editor: editor.hide(),
        }

    def join(self, seat, pseudonym, role, years) -> dict:
        def save(desk, step):
            if not pseudonym or role is None or years is None:
                raise RecordError(strings.MISSING_PROFILE)
            desk.join(Profile.checked(pseudonym=pseudonym, role=role, years=years))

        return self._act(seat, save)

    def start(self, seat) -> dict:
        return self._act(seat, lambda desk, step: desk.familiarised())

    def compare(self, carried) -> str:
        """How well the practice outline lies on the drawn lesion; nothing is saved."""
        try:
            mask = draw_phantom("malignant", PRACTICE_SEED)[1]
            height, width = mask.shape
            overlap = dice(rasterise(editor.drawn(carried, PRACTICE), width, height), mask)
            return session_view.remark_html(strings.PRACTICE_OVERLAP.format(percent=round(100 * overlap)))
        except (EditorError, OutlineError) as error:
            return session_view.problem_html(str(error))

    def lock(self, seat, *values) -> dict:
        return self._act(seat, lambda desk, step: desk.save_own(step.key, own_read(step, Fields(*values))))

    def save(self, seat, *values) -> dict:
        return self._act(seat, lambda desk, step: desk.save_final(step.key, final_read(step, Fields(*values))))

    def send(self, seat, *answers) -> dict:
        def save(desk, step):
            if None in answers:
                raise RecordError(strings.MISSING_ANSWERS)
            return desk.save_questionnaire(step.key, Questionnaire.checked(answers=answers))

        return self._act(seat, save)

    def shown(self, seat: str) -> None:
        """A step is on the reader's screen: its clock starts."""
        place = json.loads(seat or "{}")
        if not place.get("key"):
            return
        try:
            desk = self._desk(place["code"])
            step = desk.step()
            if _mark(step) == place["key"]:
                desk.shown(step)
        except ReadingError as error:
            LOG.warning("A step's clock was not started: %s", error)

    def _desk(self, code) -> Desk:
        # A code that has opened before is counted by itself: a neighbour's wrong guesses shut nobody out.
        return self.sessions.enter(code, client=code)

    def _act(self, seat, save) -> dict:
        """Save the step that the reader saw, then show the next."""

        def act():
            place = json.loads(seat)
            desk = self._desk(place["code"])
            step = desk.step()
            if _mark(step) != place["key"]:  # a second click, or another tab went on
                remark = session_view.remark_html(strings.STEP_DONE)
                return {**self._screen(place["code"], desk), self.layout.problem: remark}
            try:
                return self._screen(place["code"], desk, save(desk, step))
            except Mended as mended:
                shown = gr.HTML(value=editor.value(place["key"], mended.polygons))
                return {self.layout.editor: shown, **self._refusal(mended)}

        return self._answer(act)

    def _answer(self, action) -> dict:
        """What the action shows, or a sentence; then all fields stay as they are."""
        try:
            return action()
        except (ReadingError, EditorError) as error:
            return self._refusal(error)
        except Exception:  # the reader must not lose the text, and the cause belongs in the log
            LOG.exception("A step of a reading session failed.")
            return self._refusal(strings.STEP_FAILED)

    def _refusal(self, error) -> dict:
        return {self.layout.problem: session_view.problem_html(str(error))}

    def _screen(self, code, desk, receipt=None, draft=None) -> dict:
        """The next step, every part of it: nothing of the step before can stay beside it.

        draft: {"key", "values"} as the browser tab kept them, applied when they belong to this very step.
        """
        on = self.layout
        step = self._revealed(desk)
        values = [None, None, "", None, False, "", None, *(None for _ in on.answers)]
        kept = draft.get("values", []) if isinstance(draft, dict) and draft.get("key") == _mark(step) else []
        if len(kept) == len(on.fields):
            values = kept
        sync = self.outbox.state() if self.outbox else None
        form = on.forms.get(step.stage)
        return {
            on.seat: json.dumps({"code": code, "key": _mark(step)}),
            on.door: gr.Column(visible=False),
            on.head_row: gr.Row(visible=True),
            on.head: session_view.progress_html(step),
            on.receipt: session_view.receipt_html(receipt, sync) if receipt else "",
            on.task: session_view.task_html(step, self.predictor.operating_point),
            on.problem: "",
            on.picture: gr.Column(visible=step.stage in ("familiarise", "own", "final")),
            **{part: gr.Column(visible=part is form) for part in on.forms.values()},
            # Fields get values and columns get visible: a value that comes with `visible` can be lost in Gradio 6.31.
            on.of_model: gr.Column(visible=step.stage == "final"),
            on.lock_button: gr.Button(visible=step.stage == "own"),
            on.save_button: gr.Button(visible=step.stage == "final"),
            **{field: gr.update(value=value) for field, value in zip(on.fields, values, strict=True)},
            on.editor: _editor(step, carried=values[6]),
        }

    def _revealed(self, desk) -> Step:
        """The reader's step; when the model is to be shown it is asked, and its answer kept, first."""
        step = desk.step()
        if step.stage == "reveal":
            prediction = self.predictor(Frame(_gray(step), None, ()))
            desk.reveal(step.key, model_record(prediction, self.predictor.checkpoint.weights_sha256))
            step = desk.step()
        return step


def _mark(step: Step) -> str:
    """What names a step in the page: its key, or its stage where nothing is saved by key."""
    return step.key or step.stage


def _gray(step) -> np.ndarray:
    with Image.open(step.image_path) as image:
        return np.asarray(image.convert("L"))


def _editor(step, carried) -> gr.HTML:
    if step.stage == "familiarise":
        gray, mask = draw_phantom("malignant", PRACTICE_SEED)
        beside = [np.add(points, PRACTICE_SHIFT_XY).tolist() for points in editor.model_polygons(mask)]
        return editor.show(PRACTICE, gray, beside)
    if step.stage not in ("own", "final"):
        return editor.hide()
    outlines = step.model.outline.polygons if step.model else []
    try:
        drawn = editor.drawn(carried, step.key)
    except EditorError:  # no draft
        drawn = outlines
    return editor.show(step.key, _gray(step), drawn, reset_to=outlines)
