"""The reading panel's parts on the page: what was opened, the picture, the result and what to take of it.
What they do is in panel.py."""

import base64
import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from busi_model.clinic.view import encode_png, thumbnail
from busi_model.dicom_out.write import IDENTIFIED
from busi_model.model.operating_point import OperatingPoint
from busi_model.page import strings
from busi_model.page.images.case import THUMBNAIL_PX
from busi_model.page.images.result import empty_data, waiting_html
from busi_model.page.images.worklist import worklist_component
from busi_model.page.remarks import plain_html
from busi_model.page.viewer.component import packed, viewer_component
from busi_model.phantom import draw_phantom

FOLDER = Path(__file__).parent
EXAMPLE_SEED = 3


class Layout:
    """Components inside the current gr.Blocks, as attributes. feedback: makes the panel under the result, or None."""

    def __init__(self, point: OperatingPoint, feedback: Callable[[], Any] | None):
        self.seen = gr.HTML("", visible="hidden", elem_id="seen")  # id of the case whose result is on the screen
        with gr.Row(elem_id="reading-panel"):
            with gr.Column(scale=2, min_width=210, elem_id="open-images"):
                self.inbox = _inbox("upload")
                lines = "".join(f"<li>{line}</li>" for line in strings.WAITING_LINES)
                plain_html(f"<ul>{lines}</ul>", elem_id="first-lines")
                self.worklist = worklist_component("worklist")
                plain_html(f"<p>{strings.EXAMPLES_HEADING}</p>", elem_classes="quiet", elem_id="examples-note")
                with gr.Row(elem_id="examples"):
                    self.examples = [_example_button(name) for name in strings.EXAMPLE_BUTTONS]
                self.clear = gr.Button(strings.CLEAR, size="sm", elem_id="clear")
                self.undo = gr.Button(strings.REOPEN, size="sm", elem_id="undo")
            with gr.Column(scale=8, min_width=330, elem_id="picture-column"):
                self.viewer = viewer_component("viewer", packed(empty_data()))
            with gr.Column(scale=4, min_width=330, elem_id="result-column"):
                self.threshold = gr.Radio(
                    [(strings.OPERATING_NAMES.get(t.name, t.name), t.name) for t in point.thresholds],
                    value=point.thresholds[0].name if point.thresholds else None,
                    label=strings.OPERATING_CHOICE,
                    visible=len(point.thresholds) > 1,
                    elem_id="threshold",
                )
                self.words = plain_html(waiting_html(), elem_id="result")
                self.insist = gr.Button(strings.ANYWAY, size="md", elem_id="anyway")
                self.measures = plain_html("", elem_id="measures")
                self._lay_out_take()
                self.feedback = feedback() if feedback else None
                plain_html(f"<p>{strings.PRIVACY}</p>", elem_classes="quiet", elem_id="privacy")
        script = (FOLDER / "download.js").read_text(encoding="utf-8")
        self.handover = gr.HTML(None, html_template="", js_on_load=script, apply_default_css=False, elem_id="handover")
        # No column and no button that only comes and goes: at each status of an event Gradio's script goes through all
        # that an event names, and what lies in it. Which parts there are says `parts_html`, to the stylesheet.
        self.shown = [self.worklist, self.viewer, self.words, self.seen, self.measures, self.text, self.undo]
        self.shown += self.feedback.turned if self.feedback else []

    def _lay_out_take(self) -> None:
        with gr.Column(elem_id="take"):
            plain_html(f"<h2>{strings.TAKE_HEADING}</h2>")
            self.text = gr.Textbox(
                label=strings.TAKE_TEXT, lines=5, max_lines=8, buttons=["copy"], interactive=False, elem_id="text"
            )
            with gr.Row():
                self.takes = {
                    kind: gr.Button(words, size="sm", min_width=110, elem_id=f"take-{kind}")
                    for kind, words in strings.TAKE_BUTTONS.items()
                }
            with gr.Accordion(strings.TAKE_DICOM, open=False, elem_id="take-dicom"):
                plain_html(f"<p>{IDENTIFIED}</p>", elem_classes="quiet")
                with gr.Row():
                    self.takes |= {
                        kind: gr.Button(words, size="sm", min_width=110, elem_id=f"take-{kind}")
                        for kind, words in strings.TAKE_DICOM_BUTTONS.items()
                    }


def _inbox(elem_id: str) -> gr.HTML:
    """The way in for images: a drop zone whose script, inbox.js, uploads what is dropped, pasted or chosen. It sends
    the event `hand` with {files: [{path, token}], show}: uploaded files, and whether to show the first.

    Gradio's own field takes nothing while it is busy and sends the files' names along. Here names stay in the browser:
    each upload is called "image", and the token is what the browser knows the name by.
    """
    words = " ".join(f'data-{name}="{html.escape(text)}"' for name, text in strings.INBOX_WORDS.items())
    return gr.HTML(
        None,
        html_template=(
            f'<div class="inbox" {words}><label class="zone"><input type="file" multiple class="unseen">'
            f'<b>{strings.UPLOAD_LABEL}</b></label><p class="state" role="status"></p>'
            f'<progress hidden aria-label="{strings.INBOX_PROGRESS}"></progress>'
            f'<button type="button" class="again" hidden>{strings.INBOX_AGAIN}</button></div>'
        ),
        js_on_load=(FOLDER / "inbox.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def _example_button(class_name: str) -> tuple[gr.Button, np.ndarray]:
    """A button with a small picture of the synthetic image, and the image."""
    gray, _ = draw_phantom(class_name, EXAMPLE_SEED)
    png = base64.b64encode(encode_png(thumbnail(gray, THUMBNAIL_PX))).decode("ascii")
    # In the page itself: /config, which names no folder of the server.
    icon: Any = {"path": f"synthetic-{class_name}.png", "url": f"data:image/png;base64,{png}"}
    return gr.Button(strings.EXAMPLE_BUTTONS[class_name], icon=icon, size="sm", min_width=160), gray
