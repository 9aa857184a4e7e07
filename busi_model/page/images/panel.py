"""The reading panel: images come in; a worklist, the viewer and the result in words stand side by side.

Gradio never decodes the upload: inbox.js hands over its path and `read_image` does the rest. `layout` lays out, this
file wires; `actions.Actions` answers with a `View`, which becomes updates of components here, by name.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.blocks import Block

from busi_model.image import ImageError
from busi_model.page import strings
from busi_model.page.images.actions import Actions
from busi_model.page.images.background import Background
from busi_model.page.images.downloads import Downloads, model_version
from busi_model.page.images.layout import Layout
from busi_model.page.images.opened import OpenImages
from busi_model.page.images.result import View, message_html, parts_html
from busi_model.page.images.worklist import Visit, packed_list
from busi_model.page.server.decoding import uploaded
from busi_model.page.server.visitor import household
from busi_model.page.viewer.component import packed
from busi_model.predict import Predictor

# "multiple": a second image must not wait for the first. The Predictor itself takes one image at a time.
QUIET: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "multiple", "api_visibility": "private"}
READ: dict[str, Any] = {**QUIET, "concurrency_limit": 8, "concurrency_id": "read"}
AHEAD: dict[str, Any] = {**QUIET, "concurrency_limit": 2, "concurrency_id": "ahead"}


class ImagesPanel:
    """What the events do. Each handler gets and gives a dict by component."""

    def __init__(
        self,
        predictor: Predictor,
        folder: str | os.PathLike,
        feedback: Callable[[OpenImages, str], Any] | None = None,
    ):
        """Lay out the panel inside the current gr.Blocks.

        folder: private, served by Gradio, emptied by it. feedback: makes the panel under the result, of the open images
        and the hash of the weights, as `feedback.panel.FeedbackPanel` does; None: no feedback is asked for.
        """
        self.folder = Path(folder)
        self.images = OpenImages(predictor, self.folder)
        point, sha256 = predictor.operating_point, predictor.checkpoint.weights_sha256
        self.actions = Actions(self.images, Downloads(point, model_version(predictor), sha256))
        self.background = Background(self.actions.screen)
        self.visit = gr.State(Visit(), delete_callback=self.actions.leave)
        self.layout = Layout(point, partial(feedback, self.images, sha256) if feedback else None)

    def connect(self) -> None:
        on = self.layout
        own = {self.visit, on.threshold}
        if on.feedback:
            own |= {on.feedback.drafts, *on.feedback.fields}  # what was typed is kept when the image changes
        how = {"inputs": own, "outputs": on.shown, **READ}
        on.inbox.hand(self.read, **how).then(self.ahead, {self.visit}, [on.worklist], **AHEAD)
        for button, gray in on.examples:
            button.click(partial(self.example, gray), **how)
        on.worklist.pick(self.pick, **how)
        on.worklist.look(self.look, **how)
        on.worklist.close(self.close, **how)
        on.worklist.restore(self.restore, **how).then(self.ahead, {self.visit}, [on.worklist], **AHEAD)
        on.clear.click(self.close_all, **how)
        on.undo.click(self.reopen, **how)
        on.insist.click(self.show_anyway, **how)
        on.threshold.input(self.refresh, **how)
        on.viewer.crop(self.crop, **how)
        on.viewer.frame(self.frame, **how)
        on.viewer.mark(self.mark, **how)
        on.viewer.outline(self.outline, **how)
        quietly = {"inputs": {self.visit}, "outputs": [on.viewer], "concurrency_limit": 2, **QUIET}
        on.viewer.film(self.film, **quietly)
        on.viewer.judge(self.judge, **quietly)
        on.viewer.explain(self.explain, **quietly)
        asked: set[Block] = {self.visit, on.seen, on.threshold}
        for kind, button in on.takes.items():
            button.click(partial(self.give, kind), asked, [on.handover], concurrency_limit=2, **QUIET)
        if on.feedback:
            on.feedback.connect(self.visit, on.seen)
            on.viewer.outline(None, None, [on.feedback.verdict], js="() => 'corrected'", trigger_mode="multiple")

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
            yield {self.layout.words: message_html(strings.UNREADABLE_HEADING, strings.EVENT_FAILED)}
            return
        how: dict[str, Any] = {"tokens": tokens, "show": bool(sent.get("show", True))}
        yield from self._answers(values, self.actions.read(sources, *self._of(values), **how))

    def example(self, gray: np.ndarray, values: dict) -> Iterator[dict]:
        yield from self._answers(values, self.actions.read([gray], *self._of(values), synthetic=True))

    def pick(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        sent = _sent(event)
        yield from self._answers(values, self.actions.pick(*self._of(values), sent.get("case"), sent.get("listed")))

    def look(self, values: dict, event: gr.EventData) -> dict:
        """As `pick`, of an image that is analysed: of a generator Gradio would send the answer twice."""
        return list(self.pick(values, event))[-1]

    def close(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        yield from self._answers(values, self.actions.close(*self._of(values), [_sent(event).get("case")]))

    def close_all(self, values: dict) -> Iterator[dict]:
        visit, threshold = self._of(values)
        yield from self._answers(values, self.actions.close(visit, threshold, list(visit.case_ids)))

    def reopen(self, values: dict) -> Iterator[dict]:
        yield from self._answers(values, self.actions.reopen(*self._of(values)))

    def restore(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        sent = _sent(event)
        kept = cases if isinstance(cases := sent.get("cases"), list) else []
        yield from self._answers(values, self.actions.restore(*self._of(values), kept, sent.get("shown")))

    def show_anyway(self, values: dict) -> dict:
        return self._answer(values, self.actions.insist(*self._of(values)))

    def refresh(self, values: dict) -> dict:
        return self._answer(values, self.actions.refresh(*self._of(values)))

    def mark(self, values: dict, event: gr.EventData) -> dict:
        return self._answer(values, self.actions.mark(*self._of(values), _sent(event)))

    def outline(self, values: dict, event: gr.EventData) -> dict:
        return self._answer(values, self.actions.outline(*self._of(values), _sent(event)))

    def crop(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        yield from self._answers(values, self.actions.crop(*self._of(values), _sent(event)))

    def frame(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        yield from self._answers(values, self.actions.frame(*self._of(values), _sent(event)))

    def film(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        for scene in self.background.film(values[self.visit], _sent(event).get("case")):
            yield {self.layout.viewer: _packed(scene)}

    def judge(self, values: dict, event: gr.EventData) -> Iterator[dict]:
        for scene in self.background.judge(values[self.visit], _sent(event).get("case")):
            yield {self.layout.viewer: _packed(scene)}

    def explain(self, values: dict, event: gr.EventData) -> dict:
        return {self.layout.viewer: _packed(self.background.explain(values[self.visit], _sent(event).get("case")))}

    def ahead(self, values: dict) -> Iterator[dict]:
        for worklist in self.background.ahead(values[self.visit]):
            yield {self.layout.worklist: packed_list(worklist)}

    def give(self, kind: str, values: dict) -> dict:
        on = self.layout
        return {on.handover: self.actions.take(kind, values[self.visit], values[on.seen], values[on.threshold])}

    def _of(self, values: dict) -> tuple[Visit, str]:
        return values[self.visit], values[self.layout.threshold]

    def _answers(self, values: dict, views: Iterable[View | None]) -> Iterator[dict]:
        for view in views:
            yield self._answer(values, view)

    def _answer(self, values: dict, view: View | None) -> dict:
        """Updates of all components; of none when the view was overtaken."""
        on = self.layout
        if view is None:
            return {on.words: gr.skip()}
        if view.words is None or view.viewer is None:
            return {on.worklist: packed_list(view.worklist)}
        said = {
            on.worklist: packed_list(view.worklist),
            on.viewer: packed(view.viewer),
            on.words: view.words,
            on.seen: view.case_id or "",
            on.measures: view.measures + parts_html(view),  # not in `words`: see `images.result`
            on.text: view.text or "",
        }
        if view.n_closed:
            said[on.undo] = strings.REOPEN.format(count=view.n_closed)
        return said | (on.feedback.turn(values, view.case_id) if on.feedback else {})


def _sent(event: gr.EventData) -> dict:
    """What the browser sent along; another program may send anything."""
    return event._data if isinstance(event._data, dict) else {}


def _packed(scene: dict) -> dict:
    """A scene, or Gradio's "no change"."""
    return packed(scene) if "turn" in scene else scene
