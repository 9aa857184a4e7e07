"""Quick feedback under the result of a single image: one click says agree, disagree or unsure, and is kept.

Enters: the visit, and the id of the case whose result is on the screen; a click that names another case than the one
shown is refused. Leaves: one record in the store, and a receipt that stays until it is put away. What was typed for an
image and not sent is there again when the image is.
"""

import logging
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from busi_model.page import strings
from busi_model.page.answers import OutlineRepairedError, model_record, outline_answer
from busi_model.page.remarks import plain_html, problem_html, receipt_html
from busi_model.page.viewer import field as editor
from busi_model.page.viewer.field import EditorError
from busi_model.reading.errors import ReadingError, RecordError
from busi_model.reading.hub.sync import HubSync
from busi_model.reading.records import MAX_COMMENT, Feedback
from busi_model.reading.storage.pictures import image_sha256
from busi_model.reading.storage.store import Store, new_key

LOG = logging.getLogger(__name__)
HOW: dict[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "concurrency_limit": 8,
    "concurrency_id": "feedback",
}
BLANK: dict[str, Any] = {"own_class": None, "verdict": None, "no_lesion": False, "comment": "", "keep_image": False}
EDIT = """() => {
    const edit = document.querySelector("#viewer [data-do=edit]");
    if (edit.getAttribute("aria-pressed") === "false") edit.click();
    document.querySelector("#viewer").scrollIntoView({block: "nearest"});
}"""


@dataclass
class Drafts:
    """What one user typed of each image, by case id."""

    shown: str | None = None
    typed: dict[str, dict] = field(default_factory=dict)  # values by the names in `BLANK`
    keys: dict[str, str] = field(default_factory=dict)  # of the record to come: a double click saves once
    answered: set[str] = field(default_factory=set)

    def forget_others(self, case_ids: set[str]) -> None:
        """Of images that are open no more nothing is kept."""
        self.typed = {case_id: typed for case_id, typed in self.typed.items() if case_id in case_ids}
        self.keys = {case_id: key for case_id, key in self.keys.items() if case_id in case_ids}
        self.answered &= case_ids


class FeedbackPanel:
    """Components and what their events do. Each answer is a dict {component: update}."""

    def __init__(self, store: Store, hub_sync: HubSync | None, images: Any, weights_sha256: str):
        """Lay out the panel inside the current gr.Blocks. images: gives a case by its id (of the images
        panel, which this one does not know)."""
        self.store, self.hub_sync, self.images, self.weights_sha256 = store, hub_sync, images, weights_sha256
        classes = [(words, name) for name, words in strings.CLASS_NAMES.items()]
        verdicts = [(words, name) for name, words in strings.OUTLINE_VERDICTS.items()]
        self.drafts = gr.State(Drafts())
        with gr.Column(elem_id="feedback-receipt-row"):
            self.receipt = plain_html("", elem_id="feedback-receipt")
            self.put_away = gr.Button(strings.FEEDBACK_PUT_AWAY, size="sm", visible=False, elem_id="feedback-put-away")
        with gr.Column(elem_id="feedback"):  # which of it there is says `_form_html`, to layout.css
            plain_html(f"<h2>{strings.FEEDBACK_HEADING}</h2>", elem_classes="entry-words")
            with gr.Row(elem_id="feedback-buttons"):
                self.verdict_buttons = {
                    name: gr.Button(words, size="md", min_width=90, elem_id=f"feedback-{name}")
                    for name, words in strings.FEEDBACK_BUTTONS.items()
                }
            self.again_button = gr.Button(strings.FEEDBACK_AGAIN, size="md", elem_id="feedback-again")
            script = (Path(__file__).parent / "form.js").read_text(encoding="utf-8")
            self.problem = gr.HTML("", js_on_load=script, apply_default_css=False, elem_id="feedback-problem")
            # Built open and closed by form.js: Gradio sets the fields of an accordion that was built closed anew some
            # frames after its first opening, and what was typed in between is lost.
            with gr.Accordion(strings.FEEDBACK_MORE, open=True, elem_id="feedback-more"):
                self.own_class = gr.Radio(classes, label=strings.CLASS_LABEL, elem_id="feedback-class")
                self.verdict = gr.Radio(verdicts, label=strings.OUTLINE_VERDICT, elem_id="feedback-verdict")
                self.edit_button = gr.Button(strings.FEEDBACK_EDIT, size="md", elem_id="feedback-edit")
                self.no_lesion = gr.Checkbox(False, label=strings.NO_LESION, elem_id="feedback-no-lesion")
                self.comment = gr.Textbox(
                    label=strings.COMMENT, lines=2, max_lines=8, max_length=MAX_COMMENT, elem_id="feedback-comment"
                )
                self.keep_image = gr.Checkbox(False, label=strings.KEEP_IMAGE, elem_id="feedback-keep")
        self.by_name = {name: getattr(self, name) for name in BLANK}
        self.fields = list(self.by_name.values())
        self.turned = [self.problem, *self.fields]  # what changes with the image

    def connect(self, visit: gr.State, seen: gr.HTML) -> None:
        """visit: whose `shown` is the case that the server takes to be on the screen. seen: holds the id of the case
        that is on it."""
        self.visit, self.seen = visit, seen
        how: dict[str, Any] = {
            "inputs": {visit, seen, self.drafts, *self.fields},
            "outputs": [*self.turned, self.receipt, self.put_away],
            **HOW,
        }
        self.edit_button.click(None, None, None, js=EDIT)
        for name, button in self.verdict_buttons.items():
            button.click(partial(self.send, name), **how)
        self.again_button.click(self.again, **how)
        self.put_away.click(lambda: ("", gr.Button(visible=False)), None, [self.receipt, self.put_away], **HOW)

    def turn(self, values: dict, case_id: str | None) -> dict:
        """The result of another case is on the screen, or of none: nothing of the one before may stay but its receipt.

        values: by component, as they were on the screen before.
        """
        drafts = values[self.drafts]
        if case_id == drafts.shown:
            return {}
        if drafts.shown is not None:
            typed = {name: values[part] for name, part in self.by_name.items()}
            drafts.typed[drafts.shown] = typed | {"comment": (typed["comment"] or "")[:MAX_COMMENT]}
        drafts.forget_others({*values[self.visit].case_ids, *values[self.visit].closed})
        drafts.shown = case_id
        typed = drafts.typed.get(case_id, BLANK)
        answered = case_id in drafts.answered
        begun = any(typed.values())
        return {
            **{part: gr.update(value=typed[name]) for name, part in self.by_name.items()},
            self.problem: _form_html(case_id, "answered" if answered else "begun" if begun else "empty"),
        }

    def send(self, verdict: str, values: dict) -> dict:
        """Save one opinion. When that fails the fields stay as they are."""
        try:
            key, case = self._case(values)
            typed = {name: values[part] for name, part in self.by_name.items()}
            gray = case.kept_gray if typed["keep_image"] else case.frame.gray
            record = self._record(verdict, key, case, typed, image_sha256(gray))
            receipt = self.store.save_feedback(key, record, gray if record.keep_image else None)
        except (ReadingError, EditorError, OutlineRepairedError) as error:
            return self._refusal(error)
        except Exception:  # the reader must not lose the text, and the cause belongs in the log
            LOG.exception("Feedback was not saved.")
            return self._refusal(strings.STEP_FAILED)
        values[self.drafts].answered.add(case.case_id)
        values[self.drafts].typed.pop(case.case_id, None)
        sync = self.hub_sync.state() if self.hub_sync else None
        number = values[self.visit].case_ids.index(case.case_id) + 1
        name = strings.WORKLIST_ITEM.format(number=number)
        return {
            self.receipt: receipt_html(receipt, sync, name),
            self.put_away: gr.Button(visible=True),
            self.problem: _form_html(case.case_id, "answered"),
        }

    def again(self, values: dict) -> dict:
        """Another answer to the same picture is a record of its own."""
        drafts = values[self.drafts]
        drafts.keys.pop(drafts.shown, None)
        drafts.answered.discard(drafts.shown)
        drafts.typed.pop(drafts.shown, None)
        case_id, drafts.shown = drafts.shown, None
        return self.turn(values, case_id)

    def _case(self, values: dict) -> tuple[str, Any]:
        """Key of the record to come, and the case that is on the screen. Raises RecordError when the server is at
        another one by now."""
        visit, drafts, case_id = values[self.visit], values[self.drafts], values[self.seen]
        case = self.images.get(case_id) if case_id in visit.case_ids else None
        if case is None or not case.is_judged or case.withheld:
            raise RecordError(strings.FEEDBACK_NO_PICTURE)
        if case_id != visit.shown:
            raise RecordError(strings.FEEDBACK_OTHER_PICTURE)
        return drafts.keys.setdefault(case_id, new_key()), case

    def _refusal(self, error: object) -> dict:
        return {self.problem: problem_html(str(error))}

    def _record(self, verdict: str, key: str, case: Any, typed: dict, sha256: str) -> Feedback:
        model = model_record(case.prediction, self.weights_sha256)
        drawn = None if case.drawn is None else case.drawn.polygons  # as it was edited in the viewer
        carried = editor.value(key, model.outline.polygons if drawn is None else drawn)
        answer = outline_answer(key, model.outline, typed["verdict"], typed["no_lesion"], carried, typed["own_class"])
        return Feedback.checked(
            verdict=verdict,
            model=model,
            image_sha256=sha256,
            own_class=typed["own_class"],
            comment=typed["comment"] or "",
            keep_image=typed["keep_image"],
            **answer,
        )


def _form_html(case_id: str | None, state: str) -> str:
    """How the form stands, for form.js and layout.css. state: "empty", "begun" or "answered"."""
    return f'<span hidden data-form="{state}" data-case="{case_id or ""}"></span>'
