"""The panel for one image: a file comes in, the frame with its outline and the result in words go out.

Gradio never decodes the upload: `gr.File` hands over its path and `read_image` does the rest. Every step of a
reading sets every output, so that a picture and the result of another image can never stand side by side.
"""

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr

from busi_model.clinic.view import draw_overlay, encode_png
from busi_model.image import ImageError, read_image
from busi_model.page import strings
from busi_model.page.result import busy_html, message_html, outlined_words, result_html, waiting_html
from busi_model.phantom import draw_phantom

LOG = logging.getLogger(__name__)
EXAMPLE_SEED = 7


@dataclass
class Turn:
    """One user's place: how many images were opened so far. An answer to an earlier one is thrown away."""

    number: int = 0


@dataclass(frozen=True)
class Step:
    """What the panel shows at one moment; None means not shown."""

    words: str  # HTML
    picture: str | None = None  # path of a PNG
    picture_alt: str = ""
    overlay: str | None = None  # paths offered for download
    mask: str | None = None
    clearable: bool = True

    def outputs(self) -> list:
        """Updates in the order of `build`'s outputs. The upload field is emptied, ready for the next file."""
        return [
            None,
            gr.Image(self.picture, alt_text=self.picture_alt, visible=self.picture is not None),
            self.words,
            gr.DownloadButton(value=self.overlay, visible=self.overlay is not None),
            gr.DownloadButton(value=self.mask, visible=self.mask is not None),
            gr.Button(visible=self.clearable),
        ]


class Reader:
    """Reads images for all users: the Predictor, and the private folder that Gradio serves and empties."""

    def __init__(self, predictor, folder):
        self.predictor = predictor
        self.folder = Path(folder)

    def read(self, path, turn: Turn, synthetic: bool = False) -> Iterator[list]:
        """Path of an image -> the panel's outputs, step by step, until a newer image takes the turn."""
        turn.number += 1
        mine = turn.number
        for step in self._steps(path, synthetic):
            if turn.number != mine:
                break
            yield step.outputs()
        if turn.number != mine:
            # Gradio sends a run's last output again when the run ends: an outdated one must end with "no change".
            # Only an outdated one: that step can swallow the step before it, when both travel in one packet.
            yield [gr.skip()] * len(Step("").outputs())

    def clear(self, turn: Turn) -> list:
        turn.number += 1
        return Step(waiting_html(), clearable=False).outputs()

    def _steps(self, path, synthetic):
        yield Step(busy_html(strings.OPENING))
        try:
            frame = read_image(path)
            height, width = frame.gray.shape
            place = Path(tempfile.mkdtemp(dir=self.folder))  # its random name is what keeps other users out
            picture = _write(place / strings.IMAGE_FILE, frame.gray)
            alt = strings.IMAGE_ALT.format(width=width, height=height)
            yield Step(busy_html(strings.ANALYSING), picture, alt)
            prediction = self.predictor(frame)
            overlay = _write(place / strings.OVERLAY_FILE, draw_overlay(frame.gray, prediction.mask))
            mask = _write(place / strings.MASK_FILE, prediction.mask)
            words = result_html(prediction, self.predictor.operating_point, synthetic)
            outlined = outlined_words(prediction.mask)
            alt = strings.OVERLAY_ALT.format(width=width, height=height, outlined=outlined)
            yield Step(words, overlay, alt, overlay, mask)
        except ImageError as error:
            yield Step(message_html(strings.REFUSED_HEADING, str(error)))
        except Exception:  # the page must not stay at "Analysing…", and the cause belongs in the log
            LOG.exception("Reading an image failed.")
            yield Step(message_html(strings.FAILED_HEADING, strings.FAILED_TEXT))


def _write(path, array):
    path.write_bytes(encode_png(array))
    return str(path)


def build(predictor, folder) -> None:
    """Lay out the panel inside the current gr.Blocks. folder: private, served by Gradio, emptied by it."""
    reader = Reader(predictor, folder)
    turn = gr.State(Turn())
    with gr.Row():
        with gr.Column(scale=5, min_width=330):
            upload = gr.File(label=strings.UPLOAD_LABEL, height=84, elem_id="upload")
            viewer = gr.Image(
                visible=False,
                interactive=False,
                format="png",
                show_label=False,
                buttons=["fullscreen"],
                elem_id="viewer",
            )
        with gr.Column(scale=3, min_width=330):
            words = _html(waiting_html(), elem_id="result")
            with gr.Row():
                overlay, mask = [
                    gr.DownloadButton(label, visible=False, size="md", min_width=90, elem_id=elem_id)
                    for label, elem_id in (
                        (strings.DOWNLOAD_OVERLAY, "overlay"),
                        (strings.DOWNLOAD_MASK, "mask"),
                    )
                ]
                clear = gr.Button(strings.CLEAR, visible=False, size="md", min_width=90, elem_id="clear")
            _html(f"<p>{strings.PRIVACY}</p>", elem_classes="quiet")
    _html(f"<p>{strings.EXAMPLES_HEADING}</p>", elem_classes="quiet")
    with gr.Row(elem_id="examples"):
        examples = [
            (gr.Button(strings.EXAMPLE_BUTTONS[name], icon=path, size="sm", min_width=90), path)
            for name, path in draw_examples(folder).items()
        ]
    outputs = [upload, viewer, words, overlay, mask, clear]
    # "multiple": a second image must not wait for the first. The Predictor itself takes one image at a time.
    how = {
        "outputs": outputs,
        "show_progress": "hidden",
        "trigger_mode": "multiple",
        "concurrency_limit": 8,
        "concurrency_id": "read",
        "api_visibility": "private",
    }
    upload.upload(reader.read, [upload, turn], **how)
    for button, path in examples:
        button.click(partial(_read_example, reader, path), [turn], **how)
    clear.click(reader.clear, [turn], **how)


def _html(value, **arguments):
    return gr.HTML(value, apply_default_css=False, js_on_load=None, **arguments)


def _read_example(reader, path, turn):
    yield from reader.read(path, turn, synthetic=True)


def draw_examples(folder) -> dict[str, str]:
    """Class name -> path of a synthetic picture, drawn into a folder of its own within `folder`."""
    place = Path(tempfile.mkdtemp(dir=folder))
    paths = {}
    for name in strings.EXAMPLE_BUTTONS:
        gray, _ = draw_phantom(name, EXAMPLE_SEED)
        paths[name] = _write(place / f"synthetic-{name}.png", gray)
    return paths
