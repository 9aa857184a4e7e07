"""The reading panel: images come in; a worklist, the viewer and the result in words stand side by side.

Gradio never decodes the upload: `gr.File` hands over its path and `read_image` does the rest. This file lays out and
wires; `reader` answers.
"""

import base64
from functools import partial
from pathlib import Path

import gradio as gr

from busi_model.clinic.view import encode_png, thumbnail
from busi_model.page import feedback, strings
from busi_model.page.lightbox import THUMBNAIL_PX, Lightbox
from busi_model.page.reader import Reader, Visit
from busi_model.page.result import waiting_html
from busi_model.page.takeaway import Takeaway
from busi_model.page.viewer import empty_data, viewer_component
from busi_model.page.worklist import worklist_component
from busi_model.phantom import draw_phantom

EXAMPLE_SEED = 7


def build(predictor, folder, store=None, outbox=None) -> None:
    """Lay out the panel inside the current gr.Blocks.

    folder: private, served by Gradio, emptied by it. store: where feedback is kept, or None: then none is asked for.
    outbox: copies of the store's records to the Hub, or None.
    """
    lightbox = Lightbox(predictor, folder)
    point = predictor.operating_point
    reader = Reader(lightbox, point, Takeaway(point, model_version(predictor), predictor.checkpoint.weights_sha256))
    visit = gr.State(Visit(), delete_callback=lambda gone: lightbox.forget(gone.case_ids))
    with gr.Row(elem_id="reading-panel"):
        with gr.Column(scale=2, min_width=210, elem_id="open-images"):
            upload = gr.File(label=strings.UPLOAD_LABEL, file_count="multiple", height=84, elem_id="upload")
            worklist = worklist_component("worklist")
            _html(f"<p>{strings.EXAMPLES_HEADING}</p>", elem_classes="quiet", elem_id="examples-note")
            with gr.Row(elem_id="examples"):
                examples = [_example_button(name) for name in strings.EXAMPLE_BUTTONS]
            clear = gr.Button(strings.CLEAR, visible=False, size="sm", elem_id="clear")
        with gr.Column(scale=8, min_width=330, elem_id="picture-column"):
            viewer = viewer_component("viewer", empty_data())
            measures = _html("", elem_id="measures")
        with gr.Column(scale=4, min_width=330, elem_id="result-column"):
            words = _html(waiting_html(), elem_id="result")
            insist = gr.Button(strings.ANYWAY, visible=False, size="md", elem_id="anyway")
            threshold = gr.Radio(
                [(strings.OPERATING_NAMES.get(t.name, t.name), t.name) for t in point.thresholds],
                value=point.thresholds[0].name if point.thresholds else None,
                label=strings.OPERATING_CHOICE,
                visible=len(point.thresholds) > 1,
                elem_id="threshold",
            )
            with gr.Column(visible=False, elem_id="take") as take:
                _html(f"<h3>{strings.TAKE_HEADING}</h3>")
                with gr.Row():
                    takes = {
                        kind: gr.Button(words, size="sm", min_width=110, elem_id=f"take-{kind}")
                        for kind, words in strings.TAKE_BUTTONS.items()
                    }
                text = gr.Textbox(
                    label=strings.TAKE_TEXT, lines=4, max_lines=6, buttons=["copy"], interactive=False, elem_id="text"
                )
            if store:
                opinion = gr.State(None)
                feedback.build(store, opinion, outbox)
            _html(f"<p>{strings.PRIVACY}</p>", elem_classes="quiet")
    script = (Path(__file__).parent / "download.js").read_text(encoding="utf-8")
    handover = gr.HTML(None, html_template="", js_on_load=script, apply_default_css=False, elem_id="handover")

    outputs = [upload, worklist, viewer, words, measures, insist, take, text, clear]
    # "multiple": a second image must not wait for the first. The Predictor itself takes one image at a time.
    quiet = {"show_progress": "hidden", "trigger_mode": "multiple", "api_visibility": "private"}
    how = {**quiet, "outputs": outputs, "concurrency_limit": 8, "concurrency_id": "read"}
    behind = {**quiet, "outputs": [worklist], "concurrency_limit": 2, "concurrency_id": "ahead"}
    turns = [upload.upload(reader.read, [upload, visit, threshold], **how)]
    turns[0].then(reader.ahead, [visit], **behind)
    for button, gray in examples:
        turns.append(button.click(partial(_read_example, reader, gray), [visit, threshold], **how))
    turns.append(worklist.pick(reader.pick, [visit, threshold], **how))
    turns.append(insist.click(reader.insist, [visit, threshold], **how))
    threshold.input(reader.refresh, [visit, threshold], **how)
    viewer.mark(reader.mark, [visit, threshold], **how)
    viewer.explain(reader.explain, [visit], [viewer], concurrency_limit=2, **quiet)
    turns.append(clear.click(reader.clear, [visit], **how))
    if store:
        about = partial(_reading, lightbox, predictor.checkpoint.weights_sha256)
        for turn in turns:
            turn.then(about, [visit, opinion], [opinion], **quiet)
    for kind, button in takes.items():
        button.click(partial(reader.take, kind), [visit, threshold], [handover], concurrency_limit=2, **quiet)


def model_version(predictor) -> str:
    """What a record says of the network, beside the hash of its weights."""
    return f"MultiTaskUNet {predictor.checkpoint.network.arguments['encoder']}, {predictor.preprocess.size} px"


def _reading(lightbox, weights_sha256, visit, current):
    """What feedback is about: the result that is on the screen, or None."""
    case = lightbox.get(visit.shown) if visit.shown in visit.case_ids else None
    shown = None if case is None or case.withheld else case.prediction
    return feedback.reading(shown, weights_sha256, current)


def _html(value, **arguments):
    return gr.HTML(value, apply_default_css=False, js_on_load=None, **arguments)


def _read_example(reader, gray, visit, threshold_name):
    yield from reader.read([gray], visit, threshold_name, synthetic=True)


def _example_button(class_name):
    """A button with a small picture of the synthetic image, and the image."""
    gray, _ = draw_phantom(class_name, EXAMPLE_SEED)
    png = base64.b64encode(encode_png(thumbnail(gray, THUMBNAIL_PX))).decode("ascii")
    # In the page itself: /config, which names no folder of the server.
    icon = {"path": f"synthetic-{class_name}.png", "url": f"data:image/png;base64,{png}"}
    return gr.Button(strings.EXAMPLE_BUTTONS[class_name], icon=icon, size="sm", min_width=160), gray
