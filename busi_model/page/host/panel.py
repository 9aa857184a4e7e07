"""The host's view: make a session, watch its readers, take the records home, close, delete. Behind a password.

Enters: the password, once a page load; it opens a gr.State, which lies on the server. Leaves: what `reading.sessions`
does. Without BUSI_HOST_PASSWORD the page has no such view (`HostGate.exists`).
"""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from busi_model.batch.find import PassedOver
from busi_model.page import strings
from busi_model.page.host.calibration import LEAST_IMAGES, Calibration, fitted_html
from busi_model.page.host.cases import find_images, read_cases
from busi_model.page.host.results import results_html, table_html
from busi_model.page.remarks import deletion_words, deletions_html, plain_html, problem_html, remark_html
from busi_model.page.server.visits import browser_of
from busi_model.reading import results
from busi_model.reading.access import HostGate
from busi_model.reading.errors import ReadingError, RecordError
from busi_model.reading.export import Exported, export_cases, export_known
from busi_model.reading.hub_sync import Outbox
from busi_model.reading.records import NewSession
from busi_model.reading.report import write_csv, write_downloads
from busi_model.reading.sessions import SessionInfo, Sessions
from busi_model.reading.store import Store

LOG = logging.getLogger(__name__)
HOW: dict[str, Any] = {
    "show_progress": "minimal",
    "api_visibility": "private",
    "concurrency_limit": 2,
    "concurrency_id": "host",
}
ALONE: dict[str, Any] = {
    **HOW,
    "concurrency_limit": 1,
    "concurrency_id": "calibration",
}  # minutes: it holds up nothing else

# What cannot be undone is asked for in the browser; the answer comes as the last input.
ASK = "(...values) => [...values.slice(0, -1), confirm({question}) ? 'yes' : 'no']"
# Codes are shown once: they come into view, two frames later, when Gradio has drawn them.
INTO_VIEW = """() => requestAnimationFrame(() => requestAnimationFrame(
    () => document.getElementById("host-codes")?.scrollIntoView({ block: "center" })))"""


def build(
    store: Store,
    sessions: Sessions,
    gate: HostGate,
    folder: str | os.PathLike,
    outbox: Outbox | None = None,
    calibration: Calibration | None = None,
) -> None:
    """Lay out the panel inside the current gr.Blocks.

    folder: private, served by Gradio, emptied by it. outbox: Outbox or None, for what is said of copies. calibration:
    Calibration or None: then no operating point is offered.
    """
    Panel(store, sessions, gate, folder, outbox, calibration).connect()


class Panel:
    """Components and what their events do. Each answer is a dict {component: update}."""

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        gate: HostGate,
        folder: str | os.PathLike,
        outbox: Outbox | None,
        calibration: Calibration | None,
    ):
        self.store, self.sessions, self.gate, self.folder = store, sessions, gate, Path(folder)
        self.calibration = calibration
        self.has_outbox = outbox is not None
        self.prepared: dict[str, list[Path]] = {}  # session's id, or "feedback" -> folders with downloads
        self.sure = gr.Textbox("", visible=False, elem_id="host-sure")
        self.allowed = gr.State(False)
        with gr.Column(elem_id="host-door") as self.door:
            plain_html(f"<h2>{strings.HOST_HEADING}</h2>", elem_classes="door-words")
            self.password = gr.Textbox(label=strings.HOST_PASSWORD, type="password", elem_id="host-password")
            self.open_button = gr.Button(strings.HOST_OPEN, variant="primary", elem_id="host-open")
        self.said = plain_html("", elem_id="host-said")
        self.deletions = plain_html("", elem_id="host-deletions")
        # Built open and closed by `enter`: see feedback/panel.py.
        with gr.Column(visible=False) as self.view:
            with gr.Accordion(strings.HOST_NEW, open=True, elem_id="host-new") as self.new:
                self._lay_out_new()
            self.codes = gr.Textbox(
                label=strings.HOST_CODES, lines=2, max_lines=12, visible=False, buttons=["copy"], elem_id="host-codes"
            )
            with gr.Row():
                self.session = gr.Dropdown([], value=None, label=strings.HOST_SESSION, elem_id="host-session")
                self.refresh_button = gr.Button(strings.HOST_REFRESH, scale=0, min_width=110, elem_id="host-refresh")
            self.progress = plain_html("", elem_id="host-progress")
            with gr.Row():
                self.results_button = gr.Button(strings.HOST_RESULTS, size="md", elem_id="host-results")
                self.download_button = gr.Button(strings.HOST_DOWNLOADS, size="md", elem_id="host-downloads")
                self.calibrate_button = gr.Button(
                    strings.HOST_CALIBRATE, size="md", visible=self.calibration is not None, elem_id="host-calibrate"
                )
                self.add_button = gr.Button(strings.HOST_ADD_READER, size="md", elem_id="host-add")
                self.close_button = gr.Button(strings.HOST_CLOSE, size="md", elem_id="host-close")
            self.files = gr.File(label=strings.HOST_FILES, visible=False, interactive=False, elem_id="host-files")
            self.results = plain_html("", elem_id="host-figures")
            with gr.Accordion(strings.HOST_MORE, open=True, elem_id="host-more") as self.more:
                self._lay_out_more()

    def _lay_out_new(self) -> None:
        self.name = gr.Textbox(label=strings.HOST_NAME, max_length=100, elem_id="host-name")
        self.images = gr.File(label=strings.HOST_IMAGES, file_count="multiple", height=140, elem_id="host-images")
        self.images_folder = gr.Textbox(label=strings.HOST_FOLDER, elem_id="host-folder")
        self.manifest = gr.File(label=strings.HOST_TRUTH, file_types=[".csv"], height=110, elem_id="host-truth")
        with gr.Row():
            self.n_readers = gr.Number(2, label=strings.HOST_READERS, precision=0, elem_id="host-readers")
            self.seed = gr.Number(0, label=strings.HOST_SEED, precision=0, elem_id="host-seed")
        self.read_first = gr.Checkbox(True, label=strings.HOST_READ_FIRST, elem_id="host-read-first")
        self.may_keep = gr.Checkbox(False, label=strings.HOST_MAY_KEEP, elem_id="host-may-keep")
        self.create_button = gr.Button(strings.HOST_CREATE, variant="primary", elem_id="host-create")

    def _lay_out_more(self) -> None:
        with gr.Row():
            self.number = gr.Number(None, label=strings.HOST_NUMBER, elem_id="host-number")
            self.renew_button = gr.Button(strings.HOST_RENEW, elem_id="host-renew")
        with gr.Row():
            self.pseudonym = gr.Textbox(label=strings.HOST_PSEUDONYM, elem_id="host-pseudonym")
            self.remove_button = gr.Button(strings.HOST_REMOVE, elem_id="host-remove")
        with gr.Row():
            self.confirm = gr.Textbox(label=strings.HOST_CONFIRM, elem_id="host-confirm")
            self.delete_button = gr.Button(strings.HOST_DELETE, variant="stop", elem_id="host-delete")
        with gr.Row():
            self.receipt = gr.Textbox(label=strings.HOST_RECEIPT, elem_id="host-receipt")
            self.forget_button = gr.Button(strings.HOST_FORGET, elem_id="host-forget")
        self.feedback_button = gr.Button(strings.HOST_FEEDBACK, size="md", elem_id="host-feedback")

    def connect(self) -> None:
        shown = [self.said, self.deletions, self.codes, self.session, self.progress, self.files, self.results]
        how = {"outputs": shown, **HOW}
        gr.on(
            [self.open_button.click, self.password.submit],
            self.enter,
            [self.password],
            [self.allowed, self.password, self.door, self.view, self.new, self.more, *shown],
            **HOW,
        )
        new = [self.name, self.images, self.images_folder, self.manifest, self.n_readers, self.seed]
        new += [self.read_first, self.may_keep]
        self.create_button.click(self.create, [self.allowed, *new], [*shown, *new], **HOW)
        self.codes.change(None, js=INTO_VIEW)
        chosen = [self.allowed, self.session]
        gr.on([self.refresh_button.click, self.session.input], self.choose, chosen, **how)
        self.results_button.click(self.figures, chosen, **how)
        self.download_button.click(self.download, chosen, **how)
        self.calibrate_button.click(self.calibrate, chosen, shown, **ALONE)
        self.add_button.click(self.add_reader, chosen, **how)
        for name, button, inputs in (
            ("close", self.close_button, chosen),
            ("renew", self.renew_button, [*chosen, self.number]),
            ("remove", self.remove_button, [*chosen, self.pseudonym]),
            ("delete", self.delete_button, [*chosen, self.confirm]),
            ("forget", self.forget_button, [self.allowed, self.receipt]),
        ):
            ask = ASK.format(question=json.dumps(strings.HOST_SURE[name]))
            button.click(getattr(self, name), [*inputs, self.sure], js=ask, **how)
        self.feedback_button.click(self.feedback, [self.allowed], **how)

    def enter(self, password: str, request: gr.Request) -> dict:
        try:
            self.gate.check(password, client=request.client.host, browser=browser_of(request.session_hash))
            opened = {
                self.allowed: True,
                self.door: gr.Column(visible=False),
                self.view: gr.Column(visible=True),
                **{accordion: gr.Accordion(open=False) for accordion in (self.new, self.more)},
            }
            return {**opened, self.password: "", **self._state(None)}
        except ReadingError as error:
            return {self.said: problem_html(str(error))}

    def create(
        self,
        allowed: bool,
        name: str | None,
        images: list[str] | None,
        folder: str | None,
        manifest: str | None,
        n_readers: float,
        seed: float,
        read_first: bool,
        may_keep: bool,
    ) -> dict:
        def make() -> dict:
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
            emptied = {self.name: "", self.images: None, self.images_folder: "", self.manifest: None}
            return {**self._state(created.session_id, said), **emptied, **self._codes(created.codes)}

        return self._guarded(allowed, make)

    def choose(self, allowed: bool, session_id: str | None) -> dict:
        return self._guarded(allowed, lambda: self._state(session_id))

    def figures(self, allowed: bool, session_id: str | None) -> dict:
        return self._guarded(allowed, lambda: {self.results: results_html(self.store, _chosen(session_id))})

    def download(self, allowed: bool, session_id: str | None) -> dict:
        """CSV, JSONL, report, and the corrected cases as a ZIP in BUSI's layout."""

        def make() -> dict:
            chosen = _chosen(session_id)
            place = self._place(chosen)
            files = write_downloads(self.store, chosen, place / "session")
            exported = export_cases(self.store, place / "cases", [chosen])
            archive = shutil.make_archive(str(place / "session" / "corrected-cases"), "zip", place / "cases")
            files.append(Path(archive))
            shutil.rmtree(place / "cases")
            said = strings.HOST_EXPORTED.format(n_cases=exported.n_cases)
            if exported.n_conflicts:
                said += " " + strings.HOST_CONFLICTS.format(count=exported.n_conflicts)
            said += _skipped(exported)
            return {self.files: gr.File([str(file) for file in files], visible=True), self.said: remark_html(said)}

        return self._guarded(allowed, make)

    def calibrate(self, allowed: bool, session_id: str | None) -> Iterator[dict]:
        """Two answers: that it has begun, and then the operating point, or why there is none."""

        def begun() -> dict:
            _chosen(session_id)
            return {self.said: remark_html(strings.CALIBRATING)}

        yield self._guarded(allowed, begun)
        yield self._guarded(allowed, lambda: self._calibrated(_chosen(session_id)))

    def _calibrated(self, session_id: str) -> dict:
        assert self.calibration is not None  # without one there is no button
        name = self._name_of(session_id)
        place = self._place(session_id)
        cases, file = place / "reading-session", place / "operating-point.json"  # the folder's name stands in the file
        try:
            exported = export_known(self.store, cases, session_id, self.calibration.has_seen)
            skipped = _skipped(exported)
            if exported.n_cases < LEAST_IMAGES:
                too_few = strings.CALIBRATED_TOO_FEW.format(n_cases=exported.n_cases, least=LEAST_IMAGES)
                raise RecordError(too_few + skipped)
            if not self.calibration.is_installed():
                archive = shutil.make_archive(str(place / "cases-of-known-class"), "zip", place, cases.name)
                said = strings.CALIBRATED_ELSEWHERE.format(n_cases=exported.n_cases) + skipped
                return {self.files: gr.File([archive], visible=True), self.said: remark_html(said)}
            content = self.calibration.fit(cases, file)
            self._name_of(session_id)  # or it was deleted meanwhile
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(cases, ignore_errors=True)
        return {
            self.files: gr.File([str(file)], visible=True),
            self.results: fitted_html(content, name),
            self.said: remark_html(strings.CALIBRATED + skipped),
        }

    def add_reader(self, allowed: bool, session_id: str | None) -> dict:
        return self._guarded(
            allowed,
            lambda: self._codes([self.sessions.add_reader(_chosen(session_id))]) | self._state(session_id),
        )

    def renew(self, allowed: bool, session_id: str | None, number: int, sure: str = "yes") -> dict:
        return self._guarded(
            allowed,
            lambda: self._codes([self.sessions.renew_code(_chosen(session_id), number)]) | self._state(session_id),
            sure,
        )

    def close(self, allowed: bool, session_id: str | None, sure: str = "yes") -> dict:
        def close() -> dict:
            self.sessions.close(_chosen(session_id))
            return self._state(session_id, strings.HOST_CLOSED)

        return self._guarded(allowed, close, sure)

    def remove(self, allowed: bool, session_id: str | None, pseudonym: str | None, sure: str = "yes") -> dict:
        def remove() -> dict:
            chosen = _chosen(session_id)
            gone = self.sessions.remove_reader(chosen, pseudonym or "")
            self._drop_prepared(chosen)
            return self._state(session_id, deletion_words(gone, self.has_outbox))

        return self._guarded(allowed, remove, sure)

    def delete(self, allowed: bool, session_id: str | None, confirm: str | None, sure: str = "yes") -> dict:
        def delete() -> dict:
            chosen = _chosen(session_id)
            if (confirm or "").strip() != self._name_of(chosen):
                raise RecordError(strings.HOST_CONFIRM_FIRST)
            gone = self.sessions.delete(chosen)
            self._drop_prepared(chosen)
            return self._state(None, deletion_words(gone, self.has_outbox))

        return self._guarded(allowed, delete, sure)

    def forget(self, allowed: bool, receipt: str | None, sure: str = "yes") -> dict:
        def forget() -> dict:
            gone = self.store.remove_feedback(receipt or "")
            self._drop_prepared("feedback")
            return {self.said: remark_html(deletion_words(gone, self.has_outbox)), **self._open_deletions()}

        return self._guarded(allowed, forget, sure)

    def feedback(self, allowed: bool) -> dict:
        def make() -> dict:
            path = self._place("feedback") / "feedback.csv"
            write_csv(results.feedback(self.store), path)
            return {self.files: gr.File([str(path)], visible=True)}

        return self._guarded(allowed, make)

    def _guarded(self, allowed: bool, action: Callable[[], dict], sure: str = "yes") -> dict:
        """Do it for the host only, who was sure; a refusal is a sentence, and what was typed stays."""
        try:
            if not allowed:
                raise RecordError(strings.HOST_LOGIN_FIRST)
            if sure != "yes":
                return {self.said: remark_html(strings.HOST_UNCHANGED)}
            return action()
        except ReadingError as error:
            return {self.said: problem_html(str(error))}
        except Exception:  # the cause belongs in the log, not on the page
            LOG.exception("An action in the host's view failed.")
            return {self.said: problem_html(strings.HOST_FAILED)}

    def _state(self, session_id: str | None, said: str = "") -> dict:
        """The list of sessions and the readers of the chosen one, as they are now."""
        infos = self.sessions.list()
        chosen = next((info for info in infos if info.session_id == session_id), infos[0] if infos else None)
        choices = [(strings.HOST_CHOICE.format(name=i.name, made=_minute(i.created_at)), i.session_id) for i in infos]
        return {
            self.session: gr.Dropdown(choices, value=chosen.session_id if chosen else None),
            self.progress: _progress(chosen) if chosen else f"<p>{strings.HOST_NO_SESSION}</p>",
            self.said: remark_html(said) if said else "",
            self.results: "",
            self.files: gr.File(None, visible=False),
            **self._open_deletions(),
        }

    def _name_of(self, session_id: str) -> str:
        name = next((info.name for info in self.sessions.list() if info.session_id == session_id), None)
        if name is None:
            raise RecordError(strings.HOST_CHOOSE_FIRST)
        return name

    def _open_deletions(self) -> dict:
        return {self.deletions: deletions_html(self.store.deletions("done_at IS NULL"), self.has_outbox)}

    def _codes(self, codes: Sequence[str]) -> dict:
        return {self.codes: gr.Textbox("\n".join(codes), visible=True)}

    def _place(self, of: str) -> Path:
        """A folder for downloads; its random name is what keeps other users out. of: a session's id, or "feedback"."""
        place = Path(tempfile.mkdtemp(dir=self.folder))
        self.prepared.setdefault(of, []).append(place)
        return place

    def _drop_prepared(self, of: str) -> None:
        """What was prepared from records that are gone goes too."""
        for place in self.prepared.pop(of, []):
            shutil.rmtree(place, ignore_errors=True)


def _chosen(session_id: str | None) -> str:
    if not session_id:
        raise RecordError(strings.HOST_CHOOSE_FIRST)
    return session_id


def _skipped(exported: Exported) -> str:
    return "".join(
        " " + strings.HOST_SKIPPED.format(count=count, reason=reason) for reason, count in exported.skipped.items()
    )


def _progress(info: SessionInfo) -> str:
    rows = [
        (
            reader.number,
            reader.pseudonym or strings.HOST_NOT_HERE_YET,
            reader.role or "",
            "" if reader.years is None else f"{reader.years:g}",
            f"{reader.done} / {reader.total}",
            strings.HOST_STAGES[reader.stage],
            _minute(reader.last_seen or ""),
        )
        for reader in info.readers
    ]
    caption = strings.HOST_CAPTION_CLOSED if info.closed else strings.HOST_CAPTION
    how = strings.HOST_WITH_READ_FIRST if info.read_first else strings.HOST_WITHOUT_READ_FIRST
    caption = caption.format(name=info.name, n_cases=info.n_cases, how=how)
    table = table_html(pd.DataFrame(rows, columns=list(strings.HOST_COLUMNS)), caption)
    if info.left_out:
        table += problem_html(strings.HOST_LEFT_OUT.format(cases=", ".join(map(str, info.left_out))))
    return table


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")
