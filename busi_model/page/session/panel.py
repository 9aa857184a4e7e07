"""The reading session's panel: read first, lock, see the model, decide, save; then the next case.

The page holds no state of its own: the code and the step's key travel with each click, the store knows the rest. So a
reload, another browser or a restart of the server finds the reader at the same step, and a double click saves once.
What was typed but not saved is kept in the browser tab by tab.js. The model is asked on the server once a reading is
locked; before that nothing of it is sent.

What is locked gets its receipt whatever happens next; when the next step cannot be shown, that is said apart. What was
typed into a step that is over (saved before, closed, deleted) is never dropped: it is offered as text. This file wires
and decides; how a step looks is in `view`.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import gradio as gr

from busi_model.page import strings
from busi_model.page.answers import OutlineRepairedError
from busi_model.page.remarks import problem_html, remark_html
from busi_model.page.session.form import answer_of, not_taken, typed_text
from busi_model.page.session.layout import Layout
from busi_model.page.session.view import Screen, mark
from busi_model.page.viewer import field as editor
from busi_model.page.viewer.field import EditorError
from busi_model.predict import Predictor
from busi_model.reading.errors import CodeError, ConflictError, ReadingError, RecordError, StageError, TooManyAttempts
from busi_model.reading.hub.sync import HubSync
from busi_model.reading.records import Profile
from busi_model.reading.session.access import take_apart
from busi_model.reading.session.place import Step
from busi_model.reading.session.progress import ReaderSession
from busi_model.reading.session.sessions import Sessions
from busi_model.reading.storage.store import Receipt

LOG = logging.getLogger(__name__)
# Both stand in the browser; `busiKeepDraft` is in tab.js. The verdict is the fourth field.
KEEP_DRAFT = "(tab, ...values) => window.busiKeepDraft(tab, values)"
CORRECTED = "(tab, ...values) => { values[3] = 'corrected'; window.busiKeepDraft(tab, values); return 'corrected'; }"
AS_LOCKED = "tab => JSON.parse(tab).own"
# As the tab kept it: a reader who comes back with a new code finds what they had typed.
WITH_DRAFT = "code => [code, sessionStorage.getItem('busi-draft') || '']"
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# Many, since a locked database is waited for: side by side, not one after the other.
HOW: dict[str, Any] = {**QUIET, "concurrency_limit": 32, "concurrency_id": "session"}
LOCKED_S = 0.5  # a save that waits longer waits for another program
LOCK_LOOKS = 20  # so often it is looked whether it does


class SessionPanel:
    """What the buttons do. Each answer is a dict {component: update}; a component that is not in it stays as it is."""

    def __init__(
        self, sessions: Sessions, predictor: Predictor, hub_sync: HubSync | None = None, warning: str | None = None
    ):
        """Lay out the panel inside the current gr.Blocks. hub_sync: for what is said of copies. warning: a sentence for
        the red line above everything (`hub.sync.storage_warning`), or None."""
        self.sessions, self.layout = sessions, Layout(warning)
        self.screen = Screen(self.layout, predictor, hub_sync)

    def connect(self) -> None:
        on = self.layout
        how: dict[str, Any] = {"outputs": on.everything(), **HOW}
        gr.on([on.enter_button.click, on.code.submit], self.enter, [on.code, on.tab], js=WITH_DRAFT, **how)
        on.tab.resume(self.resume, None, **how)
        on.leave_button.click(self.leave, None, **how)
        on.join_button.click(self.join, [on.tab, on.pseudonym, on.role, on.years], **how)
        on.compare_button.click(self.screen.compare, [on.editor], [on.problem], **HOW)
        on.start_button.click(self.start, [on.tab], **how)
        on.lock_button.click(self.lock, [on.tab, *on.fields], **how)
        on.save_button.click(self.save, [on.tab, *on.fields], **how)
        on.send_button.click(self.send, [on.tab, *on.fields], **how)
        on.again_button.click(self.again, [on.tab], **how)
        kept = [on.class_name, on.confidence, on.birads]
        on.same_button.click(None, [on.tab], kept, js=AS_LOCKED).then(None, [on.tab, *on.fields], None, js=KEEP_DRAFT)
        on.leave_out_button.click(self.leave_out, [on.tab], **how)
        saving = [on.join_button, on.start_button, on.lock_button, on.save_button, on.send_button]
        waits: dict[str, Any] = {"concurrency_limit": None, "trigger_mode": "multiple", **QUIET}
        gr.on([button.click for button in saving], self.tell_of_a_lock, None, [on.waiting], **waits)
        on.tab.change(self.shown, [on.tab], None, **HOW)  # it changes when another step is on the screen
        typed = [field.input for field in on.fields if field is not on.editor]
        typed.append(on.comment.change)  # a text's last letters reach the other fields' values only now
        gr.on(typed, None, [on.tab, *on.fields], None, js=KEEP_DRAFT, trigger_mode="multiple")
        on.editor.input(None, [on.tab, *on.fields], [on.verdict], js=CORRECTED, trigger_mode="multiple")

    def enter(self, code: str, kept: str, request: gr.Request) -> dict:
        """kept: the draft in the browser tab, as JSON, or nothing."""
        try:
            draft = json.loads(kept or "null")
        except ValueError:
            draft = None
        return self._answer(
            lambda: self.screen.step(code, self.sessions.enter(code, client=request.client.host), draft)
        )

    def resume(self, kept: gr.EventData) -> dict:
        """The page was loaded again in the same browser tab; `kept` is what tab.js remembers."""
        draft, unsaved = kept.draft, getattr(kept, "unsaved", None) or ""

        def come_back() -> dict:
            try:
                return self.screen.step(kept.code, self._session(kept.code), draft, unsaved=str(unsaved))
            except TooManyAttempts:
                raise
            except CodeError:
                key, values = (draft.get("key"), draft.get("values", [])) if isinstance(draft, dict) else (None, [])
                return self._shut_out(key, values, str(unsaved))

        return self._answer(come_back)

    def leave(self) -> dict:
        """Back to the entry. What was locked or saved is in the store."""
        return self.screen.entry()

    def join(self, tab: str, pseudonym: str | None, role: str | None, years: float | None) -> dict:
        def save(session: ReaderSession, step: Step) -> None:
            if not pseudonym or role is None or years is None:
                raise RecordError(strings.MISSING_PROFILE)
            session.join(Profile.checked(pseudonym=pseudonym, role=role, years=years))

        return self._act(tab, (), save)

    def start(self, tab: str) -> dict:
        return self._act(tab, (), lambda session, step: session.familiarised())

    def lock(self, tab: str, *values: Any) -> dict:
        return self._keep(tab, values, ReaderSession.save_own)

    def save(self, tab: str, *values: Any) -> dict:
        return self._keep(tab, values, ReaderSession.save_final)

    def send(self, tab: str, *values: Any) -> dict:
        return self._keep(tab, values, ReaderSession.save_questionnaire)

    def leave_out(self, tab: str) -> dict:
        """Go on without a case whose picture is damaged."""
        return self._act(tab, (), lambda session, step: session.leave_out(cast(str, step.key)))  # a case has a key

    def again(self, tab: str) -> dict:
        """Show the step that could not be shown."""
        code = json.loads(tab)["code"]
        return self._answer(lambda: self.screen.step(code, self._session(code)))

    async def tell_of_a_lock(self) -> AsyncIterator[str]:
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

    def shown(self, tab: str) -> None:
        """A step is on the reader's screen: its clock starts."""
        place = json.loads(tab or "{}")
        if not (place.get("key") and place.get("code")):
            return
        try:
            session = self._session(place["code"])
            step = session.step()
            if mark(step) == place["key"]:
                session.shown(step)
        except ReadingError as error:
            LOG.warning("A step's clock was not started: %s", error)

    def _session(self, code: str) -> ReaderSession:
        # Counted by the reader whom the code names: a neighbour's wrong guesses shut nobody out, and each made-up code
        # is no name of its own, which would be counted nowhere.
        locator, _ = take_apart(code)
        return self.sessions.enter(code, client=f"reader {locator}")

    def _keep(self, tab: str, values: Sequence[Any], save: Callable[[ReaderSession, Any, Any], Receipt]) -> dict:
        """As `_act`, of a step whose record is made of the fields. save(session, key, record): its receipt."""
        return self._act(tab, values, lambda session, step: save(session, step.key, answer_of(step, values)))

    def _act(self, tab: str, values: Sequence[Any], save: Callable[[ReaderSession, Step], Receipt | None]) -> dict:
        """Save the step that the reader saw, then show the next.

        values: of all fields, as they were sent. save(session, step): the record's receipt, or None.
        """

        def act() -> dict:
            place = json.loads(tab)
            try:
                session = self._session(place["code"])
                step = session.step()
            except TooManyAttempts:
                raise
            except (CodeError, StageError):
                return self._shut_out(place["key"], values)
            if mark(step) != place["key"]:
                return self._overtaken(place, session, values)
            try:
                receipt = save(session, step)
            except OutlineRepairedError as repaired:
                shown = gr.HTML(value=editor.value(place["key"], repaired.polygons))
                return {self.layout.editor: shown, **self.screen.refusal(repaired)}
            except (StageError, ConflictError):
                if mark(session.step()) == place["key"]:
                    raise
                return self._overtaken(place, session, values)  # in this very moment
            return self._go_on(place["code"], session, receipt)

        return self._answer(act)

    def _go_on(self, code: str, session: ReaderSession, receipt: Receipt | None) -> dict:
        """The next step; when it cannot be shown, at least that the one before is saved."""
        try:
            return self.screen.step(code, session, receipt=receipt)
        except Exception as error:
            if not isinstance(error, ReadingError):
                LOG.exception("The next step of a reading session could not be shown.")
            return self.screen.stuck(error, receipt)

    def _overtaken(self, place: dict, session: ReaderSession, values: Sequence[Any]) -> dict:
        """The step that the reader saw is over: it was saved before, or the host closed the session."""
        saved = session.saved(place["key"])
        text = not_taken(session, place["key"], values)
        answer = self.screen.step(place["code"], session, receipt=saved.receipt if saved else None, unsaved=text)
        closed = session.step().stage == "closed"
        if text and saved:
            said = strings.STEP_DIFFERS.format(receipt=saved.receipt.receipt)
        elif text:
            said = strings.STEP_CLOSED if closed else strings.STEP_OVER
        else:
            said = strings.STEP_DONE if saved or not closed else ""
        shown = problem_html if text else remark_html
        # A picture that is damaged, say, is told by the screen itself.
        return {**answer, self.layout.problem: (shown(said) if said else "") + answer[self.layout.problem]}

    def _shut_out(self, key: str | None, values: Sequence[Any], unsaved: str = "") -> dict:
        """The code opens nothing any more: session deleted, reader removed, or another code given out."""
        return self.screen.shut_out(key, typed_text(key, values) or unsaved)

    def _answer(self, action: Callable[[], dict]) -> dict:
        """What the action shows, or a sentence; then all fields stay as they are."""
        try:
            return action()
        except (ReadingError, EditorError) as error:
            return self.screen.refusal(error)
        except Exception:  # the reader must not lose the text, and the cause belongs in the log
            LOG.exception("A step of a reading session failed.")
            return self.screen.refusal(strings.STEP_FAILED)
