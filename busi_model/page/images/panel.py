"""The reading panel: images come in; a worklist, the viewer and the result in words stand side by side.

Gradio never decodes the upload: `inbox` hands over its path and `read_image` does the rest. This file lays out and
wires; `actions.Reader` answers with a `Step`, which becomes updates of components here, by name.
"""

import base64
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.blocks import Block

from busi_model.clinic.view import encode_png, thumbnail
from busi_model.dicom_out.write import IDENTIFIED
from busi_model.image import ImageError
from busi_model.page import strings
from busi_model.page.images.actions import Reader
from busi_model.page.images.behind import Behind
from busi_model.page.images.case import THUMBNAIL_PX
from busi_model.page.images.inbox import inbox_component, uploaded
from busi_model.page.images.opened import OpenImages
from busi_model.page.images.result import Step, empty_data, message_html, parts_html, waiting_html
from busi_model.page.images.takeaway import Takeaway, model_version
from busi_model.page.images.worklist import Visit, packed_list, worklist_component
from busi_model.page.remarks import plain_html
from busi_model.page.server.visitor import household
from busi_model.page.viewer.component import packed, viewer_component
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor

EXAMPLE_SEED = 3
# "multiple": a second image must not wait for the first. The Predictor itself takes one image at a time.
QUIET: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "multiple", "api_visibility": "private"}
READ: dict[str, Any] = {**QUIET, "concurrency_limit": 8, "concurrency_id": "read"}
AHEAD: dict[str, Any] = {**QUIET, "concurrency_limit": 2, "concurrency_id": "ahead"}


def build(
    predictor: Predictor, folder: str | os.PathLike, feedback: Callable[[OpenImages, str], Any] | None = None
) -> None:
    """Lay out the panel inside the current gr.Blocks.

    folder: private, served by Gradio, emptied by it. feedback: makes the panel under the result, of the open images and
    the hash of the weights, as `feedback.panel.Panel` does; None: no feedback is asked for.
    """
    Panel(predictor, Path(folder), feedback).connect()


class Panel:
    """Components and what their events do. Each handler gets and gives a dict by component."""

    def __init__(self, predictor: Predictor, folder: Path, feedback: Callable[[OpenImages, str], Any] | None):
        self.folder = folder
        self.images = OpenImages(predictor, folder)
        point, sha256 = predictor.operating_point, predictor.checkpoint.weights_sha256
        self.reader = Reader(self.images, Takeaway(point, model_version(predictor), sha256))
        self.behind = Behind(self.reader.screen)
        self.visit = gr.State(Visit(), delete_callback=self.reader.leave)
        self.seen = gr.HTML("", visible="hidden", elem_id="seen")  # id of the case whose result is on the screen
        with gr.Row(elem_id="reading-panel"):
            with gr.Column(scale=2, min_width=210, elem_id="open-images"):
                self.inbox = inbox_component("upload")
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
                self.feedback = feedback(self.images, sha256) if feedback else None
                plain_html(f"<p>{strings.PRIVACY}</p>", elem_classes="quiet", elem_id="privacy")
        script = (Path(__file__).parent / "download.js").read_text(encoding="utf-8")
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

    def connect(self) -> None:
        own = {self.visit, self.threshold}
        if self.feedback:
            own |= {self.feedback.drafts, *self.feedback.fields}  # what was typed is kept when the image changes
        how = {"inputs": own, "outputs": self.shown, **READ}
        self.inbox.hand(self.read, **how).then(self.ahead, {self.visit}, [self.worklist], **AHEAD)
        for button, gray in self.examples:
            button.click(partial(self.example, gray), **how)
        self.worklist.pick(self.pick, **how)
        self.worklist.look(self.look, **how)
        self.worklist.close(self.close, **how)
        self.worklist.restore(self.restore, **how).then(self.ahead, {self.visit}, [self.worklist], **AHEAD)
        self.clear.click(self.close_all, **how)
        self.undo.click(self.reopen, **how)
        self.insist.click(self.show_anyway, **how)
        self.threshold.input(self.refresh, **how)
        self.viewer.crop(self.crop, **how)
        self.viewer.frame(self.frame, **how)
        self.viewer.mark(self.mark, **how)
        self.viewer.outline(self.outline, **how)
        behind = {"inputs": {self.visit}, "outputs": [self.viewer], "concurrency_limit": 2, **QUIET}
        self.viewer.film(self.film, **behind)
        self.viewer.judge(self.judge, **behind)
        self.viewer.explain(self.explain, **behind)
        asked: set[Block] = {self.visit, self.seen, self.threshold}
        for kind, button in self.takes.items():
            button.click(partial(self.give, kind), asked, [self.handover], concurrency_limit=2, **QUIET)
        if self.feedback:
            self.feedback.connect(self.visit, self.seen)
            self.viewer.outline(None, None, [self.feedback.verdict], js="() => 'corrected'", trigger_mode="multiple")

    def read(self, values: dict, event: gr.EventData, request: gr.Request) -> Iterator[dict]:
        """Files were uploaded."""
        sent = _sent(event)
        values[self.visit].address = household(request.client.host if request.client else "")
        sources, tokens = [], []
        for file in sent.get("files", []) if isinstance(sent.get("files"), list) else []:
            try:
                sources.append(uploaded(file["path"], self.folder))
                tokens.append(str(file["token"])[:40])
            except (ImageError, TypeError, KeyError, OSError, ValueError):
                continue  # not what inbox.js sends
        if not sources:
            yield {self.words: message_html(strings.UNREADABLE_HEADING, strings.EVENT_FAILED)}
            return
        how: dict[str, Any] = {"tokens": tokens, "show": bool(sent.get("show", True))}
        yield from self._answers(values, self.reader.read(sources, *self._of(values), **how))

    def example(self, gray: np.ndarray, values: dict) -> Iterator[dict]:
        yield from self._answers(values, self.reader.read([gray], *self._of(values), synthetic=True))

    def pick(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        sent = _sent(event)
        yield from self._answers(values, self.reader.pick(*self._of(values), sent.get("case"), sent.get("listed")))

    def look(self, values: dict, event: gr.EventData) -> dict:
        """As `pick`, of an image that is analysed: of a generator Gradio would send the answer twice."""
        return list(self.pick(values, event))[-1]

    def close(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        yield from self._answers(values, self.reader.close(*self._of(values), [_sent(event).get("case")]))

    def close_all(self, values: dict) -> Iterator[dict]:
        visit, threshold = self._of(values)
        yield from self._answers(values, self.reader.close(visit, threshold, list(visit.case_ids)))

    def reopen(self, values: dict) -> Iterator[dict]:
        yield from self._answers(values, self.reader.reopen(*self._of(values)))

    def restore(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        sent = _sent(event)
        kept = cases if isinstance(cases := sent.get("cases"), list) else []
        yield from self._answers(values, self.reader.restore(*self._of(values), kept, sent.get("shown")))

    def show_anyway(self, values: dict) -> dict:
        return self._answer(values, self.reader.insist(*self._of(values)))

    def refresh(self, values: dict) -> dict:
        return self._answer(values, self.reader.refresh(*self._of(values)))

    def mark(self, values: dict, event: gr.EventData) -> dict:
        return self._answer(values, self.reader.mark(*self._of(values), _sent(event)))

    def outline(self, values: dict, event: gr.EventData) -> dict:
        return self._answer(values, self.reader.outline(*self._of(values), _sent(event)))

    def crop(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        yield from self._answers(values, self.reader.crop(*self._of(values), _sent(event)))

    def frame(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        yield from self._answers(values, self.reader.frame(*self._of(values), _sent(event)))

    def film(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        for scene in self.behind.film(values[self.visit], _sent(event).get("case")):
            yield {self.viewer: _packed(scene)}

    def judge(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        for scene in self.behind.judge(values[self.visit], _sent(event).get("case")):
            yield {self.viewer: _packed(scene)}

    def explain(self, values: dict, event: gr.EventData) -> dict:
        return {self.viewer: _packed(self.behind.explain(values[self.visit], _sent(event).get("case")))}

    def ahead(self, values: dict) -> Iterator[dict]:
        for worklist in self.behind.ahead(values[self.visit]):
            yield {self.worklist: packed_list(worklist)}

    def give(self, kind: str, values: dict) -> dict:
        return {self.handover: self.reader.take(kind, values[self.visit], values[self.seen], values[self.threshold])}

    def _of(self, values: dict) -> tuple[Visit, str]:
        return values[self.visit], values[self.threshold]

    def _answers(self, values: dict, steps: Iterable[Step | None]) -> Iterator[dict]:
        for step in steps:
            yield self._answer(values, step)

    def _answer(self, values: dict, step: Step | None) -> dict:
        """Updates of all components; of none when the step was overtaken."""
        if step is None:
            return {self.words: gr.skip()}
        if step.words is None or step.viewer is None:
            return {self.worklist: packed_list(step.worklist)}
        said = {
            self.worklist: packed_list(step.worklist),
            self.viewer: packed(step.viewer),
            self.words: step.words,
            self.seen: step.case_id or "",
            self.measures: step.measures + parts_html(step),  # not in `words`: see `images.result`
            self.text: step.text or "",
        }
        if step.n_closed:
            said[self.undo] = strings.REOPEN.format(count=step.n_closed)
        return said | (self.feedback.turn(values, step.case_id) if self.feedback else {})


def _sent(event: gr.EventData) -> dict:
    """What the browser sent along; a stranger's program may send anything."""
    return event._data if isinstance(event._data, dict) else {}


def _packed(scene: dict) -> dict:
    """A scene, or Gradio's "no change"."""
    return packed(scene) if "turn" in scene else scene


def _example_button(class_name: str) -> tuple[gr.Button, np.ndarray]:
    """A button with a small picture of the synthetic image, and the image."""
    gray, _ = draw_phantom(class_name, EXAMPLE_SEED)
    png = base64.b64encode(encode_png(thumbnail(gray, THUMBNAIL_PX))).decode("ascii")
    # In the page itself: /config, which names no folder of the server.
    icon: Any = {"path": f"synthetic-{class_name}.png", "url": f"data:image/png;base64,{png}"}
    return gr.Button(strings.EXAMPLE_BUTTONS[class_name], icon=icon, size="sm", min_width=160), gray
