"""The host's view: make a session, watch its readers, take the records home, close, delete. Behind a password.

Enters: the password, once a page load; it opens a gr.State, which lies on the server. Leaves: what `Sessions`
does. Without BUSI_HOST_PASSWORD the page has no such view (`HostPassword.exists`). This file wires and decides; how it
looks is in `layout` and `view`, what the host takes home is in `downloads` and `calibration`.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from busi_model.batch.find import PassedOver
from busi_model.page import strings
from busi_model.page.host.calibration import Calibration
from busi_model.page.host.cases import find_images, read_cases
from busi_model.page.host.downloads import Downloads
from busi_model.page.host.layout import Layout
from busi_model.page.host.results import results_html
from busi_model.page.host.view import Screen
from busi_model.page.server.visitor import browser_of
from busi_model.reading.errors import ReadingError, RecordError
from busi_model.reading.hub.sync import HubSync
from busi_model.reading.records import NewSession
from busi_model.reading.session.access import HostPassword
from busi_model.reading.session.sessions import Sessions
from busi_model.reading.storage.store import Store

LOG = logging.getLogger(__name__)
HOW: dict[str, Any] = {
    "show_progress": "minimal",
    "api_visibility": "private",
    "concurrency_limit": 2,
    "concurrency_id": "host",
}
# Minutes: it holds up nothing else.
ALONE: dict[str, Any] = {**HOW, "concurrency_limit": 1, "concurrency_id": "calibration"}

# What cannot be undone is asked for in the browser; the answer comes as the last input.
ASK = "(...values) => [...values.slice(0, -1), confirm({question}) ? 'yes' : 'no']"
# Codes are shown once: they come into view, two frames later, when Gradio has drawn them.
INTO_VIEW = """() => requestAnimationFrame(() => requestAnimationFrame(
    () => document.getElementById("host-codes")?.scrollIntoView({ block: "center" })))"""


def _for_the_host(action: Callable[..., dict]) -> Callable[..., dict]:
    """For whoever gave the password, as the first argument says; a refusal is a sentence, and what was typed stays."""

    def guarded(panel: "HostPanel", allowed: bool, *values: Any) -> dict:
        try:
            if not allowed:
                raise RecordError(strings.HOST_LOGIN_FIRST)
            return action(panel, *values)
        except ReadingError as error:
            return panel.screen.refusal(error)
        except Exception:  # the cause belongs in the log, not on the page
            LOG.exception("An action in the host's view failed.")
            return panel.screen.refusal(strings.HOST_FAILED)

    guarded.__name__ = action.__name__
    return guarded


def _once_sure(action: Callable[..., dict]) -> Callable[..., dict]:
    """For a host who was sure, which the last argument says."""

    def asked(panel: "HostPanel", *values: Any) -> dict:
        *given, sure = values
        return action(panel, *given) if sure == "yes" else panel.screen.remark(strings.HOST_UNCHANGED)

    asked.__name__ = action.__name__
    return asked


class HostPanel:
    """What the buttons do. Each answer is a dict {component: update}; a component that is not in it stays as it is."""

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        host_password: HostPassword,
        folder: str | os.PathLike,
        hub_sync: HubSync | None = None,
        calibration: Calibration | None = None,
    ):
        """Lay out the panel inside the current gr.Blocks. folder: private, served by Gradio, emptied by it.
        hub_sync: for what is said of copies. calibration: None: no operating point is offered."""
        self.store, self.sessions, self.host_password = store, sessions, host_password
        self.calibration, self.downloads = calibration, Downloads(store, folder)
        self.layout = Layout(can_calibrate=calibration is not None)
        self.screen = Screen(self.layout, store, copies_to_hub=hub_sync is not None)

    def connect(self) -> None:
        on = self.layout
        how = {"outputs": on.shown, **HOW}
        gr.on(
            [on.open_button.click, on.password.submit],
            self.enter,
            [on.password],
            [on.allowed, on.password, on.entry, on.view, on.new, on.more, on.number, *on.shown],
            **HOW,
        )
        on.create_button.click(self.create, [on.allowed, *on.of_new], [*on.shown, *on.of_new, on.new], **HOW)
        on.codes.change(None, js=INTO_VIEW)
        chosen = [on.allowed, on.session]
        gr.on([on.refresh_button.click, on.session.input], self.choose, chosen, **how)
        on.results_button.click(self.figures, chosen, **how)
        on.download_button.click(self.download, chosen, **how)
        on.calibrate_button.click(self.calibrate, chosen, on.shown, **ALONE)
        on.add_button.click(self.add_reader, chosen, **how)
        for name, button, inputs in (
            ("close", on.close_button, chosen),
            ("renew", on.renew_button, [*chosen, on.number]),
            ("remove", on.remove_button, [*chosen, on.pseudonym]),
            ("delete", on.delete_button, [*chosen, on.confirm]),
            ("forget", on.forget_button, [on.allowed, on.receipt]),
        ):
            ask = ASK.format(question=json.dumps(strings.HOST_SURE[name]))
            button.click(getattr(self, name), [*inputs, on.sure], js=ask, **how)
        on.feedback_button.click(self.feedback, [on.allowed], **how)

    def enter(self, password: str, request: gr.Request) -> dict:
        try:
            self.host_password.check(password, client=request.client.host, browser=browser_of(request.session_hash))
            return {**self.screen.opened(self.sessions.list()), **self._state(None)}
        except ReadingError as error:
            return self.screen.refusal(error)

    @_for_the_host
    def create(
        self,
        name: str | None,
        images: list[str] | None,
        folder: str | None,
        manifest: str | None,
        n_readers: float,
        seed: float,
        read_first: bool,
        may_keep: bool,
    ) -> dict:
        on = self.layout
        new = NewSession.checked(
            name=(name or "").strip(),
            n_readers=n_readers,
            read_first=read_first,
            seed=seed,
            images_may_be_kept=may_keep,
        )
        passed = PassedOver()
        created = self.sessions.create(new, read_cases(find_images(images, folder or "", passed), manifest))
        said = " ".join([strings.HOST_CREATED, *passed.sentences()])
        emptied = {on.name: "", on.images: None, on.images_folder: "", on.manifest: None}
        return {**self._state(created.session_id, said), **emptied, **self.screen.made(created.codes)}

    @_for_the_host
    def choose(self, session_id: str | None) -> dict:
        return self._state(session_id)

    @_for_the_host
    def figures(self, session_id: str | None) -> dict:
        return {self.layout.results: results_html(self.store, _chosen(session_id))}

    @_for_the_host
    def download(self, session_id: str | None) -> dict:
        return self.screen.prepared(self.downloads.records(_chosen(session_id)))

    def calibrate(self, allowed: bool, session_id: str | None) -> Iterator[dict]:
        """Two answers: that it has begun, and then the operating point, or why there is none."""
        yield self._begun(allowed, session_id)
        yield self._calibrated(allowed, session_id)

    @_for_the_host
    def _begun(self, session_id: str | None) -> dict:
        _chosen(session_id)
        return self.screen.remark(strings.CALIBRATING)

    @_for_the_host
    def _calibrated(self, session_id: str | None) -> dict:
        assert self.calibration is not None  # without one there is no button
        chosen = _chosen(session_id)
        name = self._name_of(chosen)
        with self.downloads.place(chosen) as place:
            fitted = self.calibration.of_session(self.store, chosen, name, place)
            self._name_of(chosen)  # or it was deleted meanwhile
        return self.screen.prepared(fitted)

    @_for_the_host
    def add_reader(self, session_id: str | None) -> dict:
        return self.screen.codes([self.sessions.add_reader(_chosen(session_id))]) | self._state(session_id)

    @_for_the_host
    @_once_sure
    def renew(self, session_id: str | None, number: int) -> dict:
        return self.screen.codes([self.sessions.renew_code(_chosen(session_id), number)]) | self._state(session_id)

    @_for_the_host
    @_once_sure
    def close(self, session_id: str | None) -> dict:
        self.sessions.close(_chosen(session_id))
        return self._state(session_id, strings.HOST_CLOSED)

    @_for_the_host
    @_once_sure
    def remove(self, session_id: str | None, pseudonym: str | None) -> dict:
        chosen = _chosen(session_id)
        gone = self.sessions.remove_reader(chosen, pseudonym or "")
        self.downloads.drop(chosen)
        return self._state(session_id, self.screen.deleted(gone))

    @_for_the_host
    @_once_sure
    def delete(self, session_id: str | None, confirm: str | None) -> dict:
        chosen = _chosen(session_id)
        if (confirm or "").strip() != self._name_of(chosen):
            raise RecordError(strings.HOST_CONFIRM_FIRST)
        gone = self.sessions.delete(chosen)
        self.downloads.drop(chosen)
        return self._state(None, self.screen.deleted(gone))

    @_for_the_host
    @_once_sure
    def forget(self, receipt: str | None) -> dict:
        gone = self.store.remove_feedback(receipt or "")
        self.downloads.drop("feedback")
        return {**self.screen.remark(self.screen.deleted(gone)), **self.screen.deletions()}

    @_for_the_host
    def feedback(self) -> dict:
        return self.screen.prepared(self.downloads.feedback())

    def _state(self, session_id: str | None, said: str = "") -> dict:
        return self.screen.sessions(self.sessions.list(), session_id, said)

    def _name_of(self, session_id: str) -> str:
        name = next((info.name for info in self.sessions.list() if info.session_id == session_id), None)
        if name is None:
            raise RecordError(strings.HOST_CHOOSE_FIRST)
        return name


def _chosen(session_id: str | None) -> str:
    if not session_id:
        raise RecordError(strings.HOST_CHOOSE_FIRST)
    return session_id
