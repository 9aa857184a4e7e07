"""Quick feedback under the result of a single image: one click says agree, disagree or unsure, and is kept.

Enters: the `Reading` that is on the screen, in a gr.State that single.py fills, and the outline as it was edited in the
viewer. Leaves: one record in the store, and a receipt. Class and comment may be added before the click. A new picture
starts anew.
"""

import dataclasses
import logging
from collections.abc import Callable
from functools import partial

import gradio as gr
import numpy as np

from busi_model.page import editor, session_view, strings
from busi_model.page.editor import EditorError
from busi_model.page.session_form import Fields, Mended, model_record, outline_answer
from busi_model.page.session_layout import html
from busi_model.predict import Prediction
from busi_model.reading.errors import ReadingError, RecordError
from busi_model.reading.records import Feedback, Model, image_sha256, new_key
from busi_model.reading.store import Store

LOG = logging.getLogger(__name__)
EDIT = """() => {
    const edit = document.querySelector("#viewer [data-do=edit]");
    if (edit.getAttribute("aria-pressed") === "false") edit.click();
    document.querySelector("#viewer").scrollIntoView({block: "nearest"});
}"""
HOW = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 8, "concurrency_id": "feedback"}


@dataclasses.dataclass(frozen=True, eq=False)  # a new one is a change, which Gradio sees by the hash
class Reading:
    """What the page shows of one picture: enough to keep an opinion of it."""

    key: str  # one a picture shown: a double click saves once
    model: Model
    image_sha256: str
    gray: np.ndarray  # uint8 (H, W): to keep it when the reader ticks so
    outlines: Callable[[], list | None]  # the outlines as they were edited in the viewer by now; None: the model's


def reading(
    prediction: Prediction | None,
    weights_sha256: str,
    current: Reading | None = None,
    outlines: Callable[[], list | None] = lambda: None,
) -> Reading | None:
    """What `build`'s state must hold while a finished prediction is on the screen; None: nothing is, or not yet.

    current: what it held before; while the same picture is shown that stays, and with it what was begun or saved.
    outlines: see `Reading`.
    """
    if prediction is None:
        return None
    gray = prediction.frame.gray
    sha256 = image_sha256(gray)
    if current is not None and current.image_sha256 == sha256:
        return current
    return Reading(new_key(), model_record(prediction, weights_sha256), sha256, gray, outlines)


def build(store: Store, current: gr.State, outbox=None) -> gr.Radio:
    """Lay out the panel inside the current gr.Blocks. current: holds a Reading, or None while nothing is shown.

    Returns the question how the model's outline is: once it was edited the answer is "corrected".
    """
    panel = Panel(store, outbox)
    panel.connect(current)
    return panel.verdict


class Panel:
    """Components and what their events do. Each answer is a dict {component: update}."""

    def __init__(self, store, outbox):
        self.store, self.outbox = store, outbox
        classes = [(words, name) for name, words in strings.CLASS_NAMES.items()]
        verdicts = [(words, name) for name, words in strings.OUTLINE_VERDICTS.items()]
        with gr.Column(visible=False, elem_id="feedback") as self.panel:
            html(f"<h3>{strings.FEEDBACK_HEADING}</h3><p>{strings.FEEDBACK_TEXT}</p>", elem_classes="door-words")
            # Built open and closed by `start`: Gradio sets the fields of an accordion that was built closed anew some
            # frames after its first opening, and what was typed in between is lost.
            with gr.Accordion(strings.FEEDBACK_MORE, open=True, elem_id="feedback-more") as self.more:
                self.own_class = gr.Radio(classes, label=strings.CLASS_LABEL, elem_id="feedback-class")
                self.verdict = gr.Radio(verdicts, label=strings.OUTLINE_VERDICT, elem_id="feedback-verdict")
                self.edit_button = gr.Button(strings.FEEDBACK_EDIT, size="md", elem_id="feedback-edit")
                self.no_lesion = gr.Checkbox(False, label=strings.NO_LESION, elem_id="feedback-no-lesion")
                self.comment = gr.Textbox(label=strings.COMMENT, lines=2, max_lines=8, elem_id="feedback-comment")
                self.keep_image = gr.Checkbox(False, label=strings.KEEP_IMAGE, elem_id="feedback-keep")
            with gr.Row() as self.buttons:
                self.verdict_buttons = {
                    name: gr.Button(words, size="md", min_width=90, elem_id=f"feedback-{name}")
                    for name, words in strings.FEEDBACK_BUTTONS.items()
                }
            self.receipt = html("", elem_id="feedback-receipt")
            self.again_button = gr.Button(strings.FEEDBACK_AGAIN, size="md", visible=False, elem_id="feedback-again")
        self.fields = [self.own_class, self.verdict, self.no_lesion, self.comment, self.keep_image]

    def connect(self, current) -> None:
        everything = [self.panel, self.more, self.buttons, self.receipt, self.again_button]
        everything += self.fields
        current.change(self.start, [current], everything, **HOW)
        self.edit_button.click(None, None, None, js=EDIT)
        for name, button in self.verdict_buttons.items():
            button.click(partial(self.send, name), [current, *self.fields], everything, **HOW)
        # The new state tells `start`, as a new picture does.
        self.again_button.click(_again, [current], [current], **HOW)

    def start(self, current: Reading | None) -> dict:
        """A new picture, or none: nothing of the one before may stay."""
        blank = dict(zip(self.fields, (None, None, False, "", False), strict=True))
        return {
            **{field: gr.update(value=value) for field, value in blank.items()},
            self.panel: gr.Column(visible=current is not None),
            self.more: gr.Accordion(open=False),
            self.buttons: gr.Row(visible=True),
            self.receipt: "",
            self.again_button: gr.Button(visible=False),
        }

    def send(self, verdict: str, current: Reading | None, *values) -> dict:
        """Save one opinion. When that fails the fields stay as they are."""
        try:
            if current is None:
                raise RecordError(strings.FEEDBACK_NO_PICTURE)
            record = _record(verdict, current, *values)
            receipt = self.store.save_feedback(current.key, record, current.gray if record.keep_image else None)
        except (ReadingError, EditorError, Mended) as error:
            return {self.receipt: session_view.problem_html(str(error))}
        except Exception:  # the reader must not lose the text, and the cause belongs in the log
            LOG.exception("Feedback was not saved.")
            return {self.receipt: session_view.problem_html(strings.STEP_FAILED)}
        sync = self.outbox.state() if self.outbox else None
        return {
            self.receipt: session_view.receipt_html(receipt, sync),
            self.buttons: gr.Row(visible=False),
            self.again_button: gr.Button(visible=True),
        }


def _again(current):
    """Another answer to the same picture is a record of its own."""
    return dataclasses.replace(current, key=new_key()) if current else None


def _record(verdict, current, own_class, outline_verdict, no_lesion, comment, keep_image):
    drawn = current.outlines()
    carried = editor.value(current.key, current.model.outline.polygons if drawn is None else drawn)
    fields = Fields(outline_verdict=outline_verdict, no_lesion=no_lesion, carried=carried)
    return Feedback.checked(
        verdict=verdict,
        model=current.model,
        image_sha256=current.image_sha256,
        own_class=own_class,
        comment=comment,
        keep_image=keep_image,
        **outline_answer(current.key, current.model.outline, fields),
    )
