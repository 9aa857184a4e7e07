"""The reading session's parts on the page: the entry, then picture and task. What they do is in panel.py."""

from pathlib import Path
from typing import Any

import gradio as gr

from busi_model.clinic import words
from busi_model.names import DESCRIPTOR_WORDS
from busi_model.page import strings
from busi_model.page.remarks import plain_html, warning_html
from busi_model.page.viewer import field as editor
from busi_model.reading.records import ROLES
from busi_model.reading.session.questionnaire import SUS_ITEMS

TAB_SCRIPT = (Path(__file__).parent / "tab.js").read_text(encoding="utf-8")
BIRADS = ("0", "1", "2", "3", "4A", "4B", "4C", "5", "6")


class Layout:
    """Components inside the current gr.Blocks, as attributes. Only the entry is visible at first."""

    def __init__(self, warning: str | None):
        self.tab = gr.HTML("", html_template="", js_on_load=TAB_SCRIPT, visible="hidden", elem_id="session-tab")
        if warning:
            plain_html(warning_html(warning))
        with gr.Column(elem_id="session-entry") as self.entry:
            plain_html(f"<h2>{strings.ENTRY_HEADING}</h2><p>{strings.ENTRY_TEXT}</p>", elem_classes="entry-words")
            self.code = gr.Textbox(label=strings.ENTRY_CODE, max_length=100, elem_id="session-code")
            self.enter_button = gr.Button(strings.ENTRY_ENTER, variant="primary", elem_id="session-enter")
        with gr.Row(visible=False) as self.head_row:
            self.head = plain_html("", elem_id="session-head")
            self.leave_button = gr.Button(strings.LEAVE, size="md", min_width=110, scale=0, elem_id="session-leave")
        with gr.Row(elem_id="session-row"):
            with gr.Column(scale=5, min_width=330, visible=False, elem_id="session-picture") as self.picture:
                self.editor = editor.build("session-editor")
            with gr.Column(scale=3, min_width=330):
                self.receipt = plain_html("", elem_id="session-receipt")
                self.task = plain_html("", elem_id="session-task")
                with gr.Column(visible=False, elem_id="session-profile") as self.profile:
                    self._lay_out_profile()
                with gr.Column(visible=False) as self.practice:
                    self.compare_button = gr.Button(strings.COMPARE, elem_id="session-compare")
                    self.start_button = gr.Button(strings.START, variant="primary", elem_id="session-start")
                with gr.Column(visible=False) as self.case:
                    self._lay_out_case()
                with gr.Column(visible=False) as self.questionnaire:
                    self.answers = [_sus_radio(number, item) for number, item in enumerate(SUS_ITEMS, start=1)]
                    self.send_button = gr.Button(strings.SEND_ANSWERS, variant="primary", elem_id="session-send")
                with gr.Column(visible=False, elem_id="session-stuck") as self.stuck:
                    self.again_button = gr.Button(strings.TRY_AGAIN, variant="primary", elem_id="session-again")
                    self.leave_out_button = gr.Button(strings.LEAVE_OUT, visible=False, elem_id="session-leave-out")
                self.waiting = plain_html("", elem_id="session-waiting")
                self.problem = plain_html("", elem_id="session-problem")
                self.unsaved = gr.Textbox(
                    label=strings.UNSAVED,
                    lines=4,
                    max_lines=12,
                    visible=False,
                    interactive=False,
                    buttons=["copy"],
                    elem_id="session-unsaved",
                )
        # What a reader fills in, in the order of form.Fields; then the questionnaire, and what is optional.
        self.case_fields = [
            *(self.class_name, self.confidence, self.birads, self.verdict, self.no_lesion, self.comment, self.editor)
        ]
        # Any: Gradio gives a component its events when it is imported.
        self.fields: list[Any] = [*self.case_fields, *self.answers, *self.descriptors]
        self.forms = {
            "profile": self.profile,
            "familiarise": self.practice,
            "own": self.case,
            "final": self.case,
            "questionnaire": self.questionnaire,
        }

    def everything(self) -> list:
        """All that a step can change."""
        return [
            *(self.tab, self.entry, self.code, self.head_row, self.head, self.leave_button, self.receipt),
            *(self.picture, self.task),
            *(self.profile, self.years, self.practice, self.case, self.as_before, self.of_model, self.questionnaire),
            *(self.stuck, self.leave_out_button, self.unsaved),
            *(self.lock_button, self.save_button, self.problem, *self.fields),
        ]

    def _lay_out_profile(self) -> None:
        self.pseudonym = gr.Textbox(
            label=strings.PSEUDONYM, info=strings.PSEUDONYM_INFO, max_length=32, elem_id="pseudonym"
        )
        roles = [(strings.ROLE_NAMES[role], role) for role in ROLES]
        self.role = gr.Dropdown(roles, value=None, label=strings.ROLE, elem_id="role")
        self.years = gr.Number(None, label=strings.YEARS, elem_id="years")
        self.join_button = gr.Button(strings.JOIN, variant="primary", elem_id="session-join")

    def _lay_out_case(self) -> None:
        classes = [(shown, name) for name, shown in strings.CLASS_NAMES.items()]
        verdicts = [(shown, name) for name, shown in strings.OUTLINE_VERDICTS.items()]
        birads = [(strings.NOT_GIVEN, ""), *((category, category) for category in BIRADS)]
        plain_html(f"<p>{strings.SESSION_KEYS}</p>", elem_classes="quiet", elem_id="session-keys")
        with gr.Column(visible=False) as self.as_before:
            self.same_button = gr.Button(strings.SAME_ANSWER, size="md", elem_id="session-same")
        self.class_name = gr.Radio(classes, label=strings.CLASS_LABEL, elem_id="case-class")
        # A number, not a slider: a slider has a place before anybody touches it, and readers would leave it there.
        self.confidence = gr.Number(None, label=strings.CONFIDENCE, elem_id="case-confidence")
        self.birads = gr.Dropdown(birads, value="", label=strings.BIRADS, elem_id="case-birads")
        self.no_lesion = gr.Checkbox(False, label=strings.NO_LESION, elem_id="case-no-lesion")
        with gr.Column(visible=False) as self.of_model:
            self.verdict = gr.Radio(verdicts, label=strings.OUTLINE_VERDICT, elem_id="case-verdict")
            self.comment = gr.Textbox(label=strings.COMMENT, lines=2, max_lines=8, elem_id="case-comment")
        self.lock_button = gr.Button(strings.LOCK, variant="primary", elem_id="session-lock")
        self.save_button = gr.Button(strings.SAVE_CASE, variant="primary", elem_id="session-save")
        # Below the buttons: whoever leaves them out passes none of them on the way.
        plain_html(f"<p>{strings.DESCRIPTORS}</p>", elem_classes="entry-words", elem_id="case-descriptors")
        self.descriptors = [_descriptor_radio(name) for name in DESCRIPTOR_WORDS]


def _descriptor_radio(name: str) -> gr.Radio:
    said = [(words.DESCRIPTOR_WORDS[word], word) for word in DESCRIPTOR_WORDS[name]]
    return gr.Radio(
        [(strings.NOT_GIVEN, ""), *said], value="", label=words.DESCRIPTOR_ROWS[name], elem_id=f"case-{name}"
    )


def _sus_radio(number: int, item: str) -> gr.Radio:
    answers = [(shown, answer) for answer, shown in enumerate(strings.SUS_ANSWERS, start=1)]
    return gr.Radio(answers, label=f"{number}. {item}", elem_classes="sus", elem_id=f"sus-{number}")
