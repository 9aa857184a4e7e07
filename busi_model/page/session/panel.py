"""The reading session's panel: read first, lock, see the model, decide, save; then the next case.

The page holds no state of its own: the code and the step's key travel with each click, the store knows the rest. So a
reload, another browser or a restart of the server finds the reader at the same step, and a double click saves once.
What was typed but not saved is kept in the browser tab by seat.js. The model is asked on the server once a reading is
locked; before that nothing of it is sent.

What is locked gets its receipt whatever happens next; when the next step cannot be shown, that is said apart. What was
typed into a step that is over (saved before, closed, deleted) is never dropped: it is offered as text.
"""

import asyncio
import json
import logging

import gradio as gr
import numpy as np

from busi_model.image import Frame
from busi_model.page import strings
from busi_model.page.answers import Mended, model_record, program_descriptors
from busi_model.page.remarks import problem_html, receipt_html, remark_html
from busi_model.page.session import view as session_view
from busi_model.page.session.form import answer_of, is_same, typed_text
from busi_model.page.session.layout import Layout
from busi_model.page.viewer import field as editor
from busi_model.page.viewer.field import EditorError
from busi_model.phantom import draw_phantom
from busi_model.reading import words as store_words
from busi_model.reading.access import take_apart
from busi_model.reading.errors import (
    CodeError,
    ConflictError,
    OutlineError,
    PictureError,
    ReadingError,
    RecordError,
    StageError,
    TooManyAttempts,
)
from busi_model.reading.outline import dice, rasterise
from busi_model.reading.progress import Desk, Step
from busi_model.reading.records import Profile
from busi_model.reading.sessions import Sessions

LOG = logging.getLogger(__name__)
# Both stand in the browser; `busiKeepDraft` is in seat.js. The verdict is the fourth field.
KEEP_DRAFT = "(seat, ...values) => window.busiKeepDraft(seat, values)"
CORRECTED = "(seat, ...values) => { values[3] = 'corrected'; window.busiKeepDraft(seat, values); return 'corrected'; }"
AS_LOCKED = "seat => JSON.parse(seat).own"
PRACTICE = "practice"  # key of the example's outline, which is not saved
PRACTICE_SEED = 11
PRACTICE_SHIFT_XY = (22, 14)  # pixels by which the outline to be put right lies beside the lesion
# As the tab kept it: a reader who comes back with a new code finds what they had typed.
WITH_DRAFT = "code => [code, sessionStorage.getItem('busi-draft') || '']"
QUIET = {"show_progress": "hidden", "api_visibility": "private"}
# Many, since a locked database is waited for: side by side, not one after the other.
HOW = {**QUIET, "concurrency_limit": 32, "concurrency_id": "session"}
LOCKED_S = 0.5  # a save that waits longer waits for another program
LOCK_LOOKS = 20  # so often it is looked whether it does


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
        gr.on([on.enter_button.click, on.code.submit], self.enter, [on.code, on.seat], js=WITH_DRAFT, **how)
        on.seat.resume(self.resume, None, **how)
        on.leave_button.click(self.leave, None, **how)
        on.join_button.click(self.join, [on.seat, on.pseudonym, on.role, on.years], **how)
        on.compare_button.click(self.compare, [on.editor], [on.problem], **HOW)
        on.start_button.click(self.start, [on.seat], **how)
        on.lock_button.click(self.lock, [on.seat, *on.fields], **how)
        on.save_button.click(self.save, [on.seat, *on.fields], **how)
        on.send_button.click(self.send, [on.seat, *on.fields], **how)
        on.again_button.click(self.again, [on.seat], **how)
        kept = [on.class_name, on.confidence, on.birads]
        on.same_button.click(None, [on.seat], kept, js=AS_LOCKED).then(None, [on.seat, *on.fields], None, js=KEEP_DRAFT)
        on.leave_out_button.click(self.leave_out, [on.seat], **how)
        saving = [on.join_button, on.start_button, on.lock_button, on.save_button, on.send_button]
        waits = {"concurrency_limit": None, "trigger_mode": "multiple", **QUIET}
        gr.on([button.click for button in saving], self.tell_of_a_lock, None, [on.waiting], **waits)
        on.seat.change(self.shown, [on.seat], None, **HOW)  # it changes when another step is on the screen
        typed = [field.input for field in on.fields if field is not on.editor]
        typed.append(on.comment.change)  # a text's last letters reach the other fields' values only now
        gr.on(typed, None, [on.seat, *on.fields], None, js=KEEP_DRAFT, trigger_mode="multiple")
        on.editor.input(None, [on.seat, *on.fields], [on.verdict], js=CORRECTED, trigger_mode="multiple")

    def enter(self, code: str, kept: str, request: gr.Request) -> dict:
        """kept: the draft in the browser tab, as JSON, or nothing."""
        try:
            draft = json.loads(kept or "null")
        except ValueError:
            draft = None
        return self._answer(lambda: self._screen(code, self.sessions.enter(code, client=request.client.host), draft))

    def resume(self, kept: gr.EventData) -> dict:
        """The page was loaded again in the same browser tab; `kept` is what seat.js remembers."""
        draft, unsaved = kept.draft, getattr(kept, "unsaved", None) or ""

        def come_back():
            try:
                return self._screen(kept.code, self._desk(kept.code), draft, unsaved=str(unsaved))
            except TooManyAttempts:
                raise
            except CodeError:
                key, values = (draft.get("key"), draft.get("values", [])) if isinstance(draft, dict) else (None, [])
                return self._shut_out({"key": key}, values, str(unsaved))

        return self._answer(come_back)

    def leave(self) -> dict:
        """Back to the door. What was locked or saved is in the store."""
        on = self.layout
        hidden = (on.head_row, on.picture, on.stuck, *on.forms.values())
        return {
            on.seat: "",
            on.door: gr.Column(visible=True),
            on.code: "",
            on.unsaved: gr.Textbox(visible=False),
            **{part: gr.update(visible=False) for part in hidden},
            **dict.fromkeys((on.head, on.receipt, on.task, on.problem), ""),
            on.editor: editor.hide(),
        }

    def join(self, seat, pseudonym, role, years) -> dict:
        def profile(step):
            if not pseudonym or role is None or years is None:
                raise RecordError(strings.MISSING_PROFILE)
            return Profile.checked(pseudonym=pseudonym, role=role, years=years)

        return self._act(seat, (), profile, lambda desk, key, profile: desk.join(profile))

    def start(self, seat) -> dict:
        return self._act(seat, (), lambda step: None, lambda desk, key, nothing: desk.familiarised())

    def compare(self, carried) -> str:
        """How well the practice outline lies on the drawn lesion; nothing is saved."""
        try:
            mask = draw_phantom("malignant", PRACTICE_SEED)[1]
            height, width = mask.shape
            overlap = dice(rasterise(editor.drawn(carried, PRACTICE), width, height), mask)
            return remark_html(strings.PRACTICE_OVERLAP.format(percent=round(100 * overlap)))
        except (EditorError, OutlineError) as error:
            return problem_html(str(error))

    def lock(self, seat, *values) -> dict:
        return self._act(seat, values, lambda step: answer_of(step, values), Desk.save_own)

    def save(self, seat, *values) -> dict:
        return self._act(seat, values, lambda step: answer_of(step, values), Desk.save_final)

    def send(self, seat, *values) -> dict:
        return self._act(seat, values, lambda step: answer_of(step, values), Desk.save_questionnaire)

    def leave_out(self, seat) -> dict:
        """Go on without a case whose picture is damaged."""
        return self._act(seat, (), lambda step: None, lambda desk, key, nothing: desk.leave_out(key))

    def again(self, seat) -> dict:
        """Show the step that could not be shown."""
        code = json.loads(seat)["code"]
        return self._answer(lambda: self._screen(code, self._desk(code)))

    async def tell_of_a_lock(self):
        """While a save waits for another program, say so."""
        store = self.sessions.store
        for _ in range(LOCK_LOOKS):
            await asyncio.sleep(LOCKED_S)
            if store.locked_s() > LOCKED_S:
                yield remark_html(strings.LOCKED)
                while store.locked_s() > 0:
                    await asyncio.sleep(LOCKED_S)
                break
        yield ""

    def shown(self, seat: str) -> None:
        """A step is on the reader's screen: its clock starts."""
        place = json.loads(seat or "{}")
        if not (place.get("key") and place.get("code")):
            return
        try:
            desk = self._desk(place["code"])
            step = desk.step()
            if _mark(step) == place["key"]:
                desk.shown(step)
        except ReadingError as error:
            LOG.warning("A step's clock was not started: %s", error)

    def _desk(self, code) -> Desk:
        # Counted by the seat that the code names: a neighbour's wrong guesses shut nobody out, and each made-up code is
        # no name of its own, which would be counted nowhere.
        seat, _ = take_apart(code)
        return self.sessions.enter(code, client=f"seat {seat}")

    def _act(self, seat, values, make, save) -> dict:
        """Save the step that the reader saw, then show the next.

        values: of all fields, as they were sent. make(step): the record. save(desk, key, record): its receipt, or None.
        """

        def act():
            place = json.loads(seat)
            try:
                desk = self._desk(place["code"])
                step = desk.step()
            except TooManyAttempts:
                raise
            except (CodeError, StageError):
                return self._shut_out(place, values)
            if _mark(step) != place["key"]:
                return self._overtaken(place, desk, values)
            try:
                receipt = save(desk, step.key, make(step))
            except Mended as mended:
                shown = gr.HTML(value=editor.value(place["key"], mended.polygons))
                return {self.layout.editor: shown, **self._refusal(mended)}
            except (StageError, ConflictError):
                if _mark(desk.step()) == place["key"]:
                    raise
                return self._overtaken(place, desk, values)  # in this very moment
            return self._go_on(place["code"], desk, receipt)

        return self._answer(act)

    def _go_on(self, code, desk, receipt) -> dict:
        """The next step; when it cannot be shown, at least that the one before is saved."""
        on = self.layout
        try:
            return self._screen(code, desk, receipt=receipt)
        except Exception as error:
            if not isinstance(error, ReadingError):
                LOG.exception("The next step of a reading session could not be shown.")
            return {
                on.receipt: receipt_html(receipt, self._sync()) if receipt else "",
                on.picture: gr.Column(visible=False),
                **{part: gr.Column(visible=False) for part in on.forms.values()},
                on.stuck: gr.Column(visible=True),
                on.leave_out_button: gr.Button(visible=False),
                **self._refusal(strings.SAVED_BUT.format(problem=_reason(error))),
            }

    def _overtaken(self, place, desk, values) -> dict:
        """The step that the reader saw is over: it was saved before, or the host closed the session."""
        saved = desk.saved(place["key"])
        text = self._not_taken(desk, place["key"], values)
        answer = self._screen(place["code"], desk, receipt=saved.receipt if saved else None, unsaved=text)
        closed = desk.step().stage == "closed"
        if text and saved:
            said = strings.STEP_DIFFERS.format(receipt=saved.receipt.receipt)
        elif text:
            said = strings.STEP_CLOSED if closed else strings.STEP_OVER
        else:
            said = strings.STEP_DONE if saved or not closed else ""
        shown = problem_html if text else remark_html
        # A picture that is damaged, say, is told by the screen itself.
        return {**answer, self.layout.problem: (shown(said) if said else "") + answer[self.layout.problem]}

    def _not_taken(self, desk, key, values) -> str:
        """What was typed into one of this reader's steps that is over, as text; "" when just that was saved."""
        if not desk.owns(key):
            return ""
        saved = desk.saved(key)
        return "" if saved and is_same(saved, values) else typed_text(key, values)

    def _shut_out(self, place, values, unsaved="") -> dict:
        """The code opens nothing any more: session deleted, reader removed, or another code given out."""
        text = typed_text(place["key"], values) or unsaved
        kept = {"code": "", "key": place["key"], "unsaved": text}
        return {
            **self.leave(),
            self.layout.seat: json.dumps(kept) if text else "",
            self.layout.unsaved: gr.Textbox(text, visible=bool(text)),
            **self._refusal(strings.SHUT_OUT),
        }

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
        return {self.layout.problem: problem_html(str(error))}

    def _sync(self):
        return self.outbox.state() if self.outbox else None

    def _screen(self, code, desk, draft=None, receipt=None, unsaved="") -> dict:
        """The next step, every part of it: nothing of the step before can stay beside it.

        draft: {"key", "values"} as the browser tab kept them, applied when they belong to this very step, offered as
        text when to one that is over. unsaved: such a text from before.
        """
        on = self.layout
        step, gray, problem = self._look(desk)
        blank = [None, None, "", None, False, "", None, *(None for _ in on.answers), *("" for _ in on.descriptors)]
        values = blank
        kept = draft.get("values", []) if isinstance(draft, dict) else []
        if isinstance(kept, list) and len(blank) - len(on.descriptors) <= len(kept) <= len(blank):
            kept = [*kept, *blank[len(kept) :]]  # a draft may come from before there were descriptors
            if draft.get("key") == _mark(step):
                values = kept
            else:
                unsaved = self._not_taken(desk, draft.get("key"), kept) or unsaved
        form = on.stuck if problem else on.forms.get(step.stage)
        seat = {"code": code, "key": _mark(step)} | ({"unsaved": unsaved} if unsaved else {})
        if step.own:
            seat["own"] = [step.own.class_name, step.own.confidence, step.own.birads or ""]
        return {
            on.seat: json.dumps(seat),
            on.door: gr.Column(visible=False),
            on.head_row: gr.Row(visible=True),
            on.head: session_view.progress_html(step),
            on.receipt: receipt_html(receipt, self._sync()) if receipt else "",
            on.task: session_view.task_html(step, self.predictor.operating_point),
            on.problem: problem_html(problem) if problem else "",
            on.unsaved: gr.Textbox(unsaved, visible=bool(unsaved)),
            on.picture: gr.Column(visible=not problem and step.stage in ("familiarise", "own", "final")),
            **{part: gr.Column(visible=part is form) for part in (on.stuck, *on.forms.values())},
            # Fields get values and columns get visible: a value that comes with `visible` can be lost in Gradio 6.31.
            on.of_model: gr.Column(visible=step.stage == "final"),
            on.as_before: gr.Column(visible=step.stage == "final" and step.own is not None),
            on.lock_button: gr.Button(visible=step.stage == "own"),
            on.save_button: gr.Button(visible=step.stage == "final"),
            on.leave_out_button: gr.Button(visible=bool(problem) and gray is None),
            **({on.years: gr.update(value=None)} if step.stage == "profile" else {}),  # or an empty one is sent as 0
            **{field: gr.update(value=value) for field, value in zip(on.fields, values, strict=True)},
            on.editor: editor.hide() if problem else _editor(step, gray, carried=values[6]),
        }

    def _look(self, desk) -> tuple[Step, np.ndarray | None, str]:
        """The reader's step, its picture, and why it cannot be shown, "" if it can.

        When the model is to be shown it is asked, and its answer kept, first.
        """
        step = desk.step()
        if step.image_sha256 is None:
            return step, None, ""
        try:
            gray = desk.picture(step)
        except PictureError as error:
            return step, None, strings.PICTURE_DAMAGED.format(problem=error)
        if step.stage != "reveal":
            return step, gray, ""
        try:
            prediction = self.predictor(Frame(gray, None, ()))
            weights = self.predictor.checkpoint.weights_sha256
            desk.reveal(step.key, model_record(prediction, weights, program_descriptors(prediction)))
            return desk.step(), gray, ""
        except Exception as error:
            if not isinstance(error, ReadingError):
                LOG.exception("The model could not be asked in a reading session.")
            locked = strings.NOT_REVEALED if step.own else strings.NOT_REVEALED_AT_ONCE
            return step, gray, locked.format(problem=_reason(error))


def _reason(error) -> str:
    """Why, without "Not saved.": what was to be saved is another thing, and it was."""
    if not isinstance(error, ReadingError):
        return strings.SERVER_FAILED
    return str(error).removeprefix(store_words.PARTS["not_saved"]).lstrip()


def _mark(step: Step) -> str:
    """What names a step in the page: its key, or its stage where nothing is saved by key."""
    return step.key or step.stage


def _editor(step, gray, carried) -> gr.HTML:
    if step.stage == "familiarise":
        practice, mask = draw_phantom("malignant", PRACTICE_SEED)
        beside = [np.add(points, PRACTICE_SHIFT_XY).tolist() for points in editor.model_polygons(mask)]
        return editor.show(PRACTICE, practice, beside)
    if step.stage not in ("own", "final"):
        return editor.hide()
    outlines = step.model.outline.polygons if step.model else []
    try:
        drawn = editor.drawn(carried, step.key)
    except EditorError:  # no draft
        drawn = outlines
    return editor.show(step.key, gray, drawn, reset_to=outlines)
