"""The host's parts on the page: the entry, then a new session, the sessions that there are, and what is seldom needed.
What they do is in panel.py."""

from typing import Any

import gradio as gr

from busi_model.page import strings
from busi_model.page.remarks import plain_html


class Layout:
    """Components inside the current gr.Blocks, as attributes. Only the entry is visible at first."""

    def __init__(self, can_calibrate: bool):
        self.sure = gr.Textbox("", visible=False, elem_id="host-sure")
        self.allowed = gr.State(False)
        with gr.Column(elem_id="host-entry") as self.entry:
            plain_html(f"<h2>{strings.HOST_HEADING}</h2>", elem_classes="entry-words")
            self.password = gr.Textbox(label=strings.HOST_PASSWORD, type="password", elem_id="host-password")
            self.open_button = gr.Button(strings.HOST_OPEN, variant="primary", elem_id="host-open")
        self.said = plain_html("", elem_id="host-said")
        self.deletions = plain_html("", elem_id="host-deletions")
        # Built open and closed by `enter`: see feedback/panel.py.
        with gr.Column(visible=False, elem_id="host-view") as self.view:
            with gr.Accordion(strings.HOST_NEW, open=True, elem_id="host-new") as self.new:
                self._lay_out_new()
            self.codes = gr.Textbox(
                label=strings.HOST_CODES, lines=2, max_lines=12, visible=False, buttons=["copy"], elem_id="host-codes"
            )
            with gr.Row():
                self.session = gr.Dropdown([], value=None, label=strings.HOST_SESSION, elem_id="host-session")
                self.refresh_button = gr.Button(
                    strings.HOST_REFRESH, size="md", scale=0, min_width=110, elem_id="host-refresh"
                )
            self.progress = plain_html("", elem_id="host-progress")
            with gr.Row():
                self.results_button = gr.Button(strings.HOST_RESULTS, size="md", elem_id="host-results")
                self.download_button = gr.Button(strings.HOST_DOWNLOADS, size="md", elem_id="host-downloads")
                self.calibrate_button = gr.Button(
                    strings.HOST_CALIBRATE, size="md", visible=can_calibrate, elem_id="host-calibrate"
                )
                self.add_button = gr.Button(strings.HOST_ADD_READER, size="md", elem_id="host-add")
                self.close_button = gr.Button(strings.HOST_CLOSE, size="md", elem_id="host-close")
            self.files = gr.File(label=strings.HOST_FILES, visible=False, interactive=False, elem_id="host-files")
            self.results = plain_html("", elem_id="host-figures")
            with gr.Accordion(strings.HOST_MORE, open=True, elem_id="host-more") as self.more:
                self._lay_out_more()
        # What any answer can change, and what makes a new session, in the order of `HostPanel.create`. Any: a component
        # gets its events from Gradio when it is imported.
        self.shown: list[Any] = [
            *(self.said, self.deletions, self.codes, self.session, self.progress, self.files, self.results)
        ]
        self.of_new: list[Any] = [
            *(self.name, self.images, self.images_folder, self.manifest, self.n_readers, self.seed),
            *(self.read_first, self.may_keep),
        ]

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
            self.renew_button = gr.Button(strings.HOST_RENEW, size="md", elem_id="host-renew")
        with gr.Row():
            self.pseudonym = gr.Textbox(label=strings.HOST_PSEUDONYM, elem_id="host-pseudonym")
            self.remove_button = gr.Button(strings.HOST_REMOVE, size="md", elem_id="host-remove")
        with gr.Row():
            self.confirm = gr.Textbox(label=strings.HOST_CONFIRM, elem_id="host-confirm")
            self.delete_button = gr.Button(strings.HOST_DELETE, size="md", variant="stop", elem_id="host-delete")
        with gr.Row():
            self.receipt = gr.Textbox(label=strings.HOST_RECEIPT, elem_id="host-receipt")
            self.forget_button = gr.Button(strings.HOST_FORGET, size="md", elem_id="host-forget")
        self.feedback_button = gr.Button(strings.HOST_FEEDBACK, size="md", elem_id="host-feedback")
