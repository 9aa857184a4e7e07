"""The page's one public endpoint: an uploaded image goes in, figures as JSON and the mask as a PNG file come out.

Its types are what clients see: `gradio_client` shows them with `view_api`, others under /gradio_api/info. All other
endpoints of the page are private. docs/api.md has its schema and examples.
"""

import logging
import tempfile
from pathlib import Path
from typing import Literal, TypedDict

import gradio as gr

from busi_model.clinic.report import Finding, report
from busi_model.clinic.view import encode_png, outlines_xy
from busi_model.image import ImageError
from busi_model.page import strings
from busi_model.page.images.inbox import uploaded
from busi_model.page.server.decoding import read_image

LOG = logging.getLogger(__name__)


class FileKind(TypedDict):
    _type: Literal["gradio.FileData"]


class ServedFile(TypedDict):
    """Gradio's way to name a file: clients upload what is given so, and download what is returned so."""

    path: str  # on the server, as the upload answered; never one of the server's own files
    meta: FileKind


class Warned(TypedDict):
    code: str  # such as heads_disagree
    text: str


class Reading(TypedDict):
    """What the model says of one image."""

    # At the first threshold: suspicious, not_suspicious, no_lesion, contradiction, cannot_say or not_judged.
    verdict: str
    headline: str  # the verdict in words
    reason: str  # what decided it
    label: Literal["benign", "malignant", "normal"] | None  # None: refused
    confidence: float | None  # probability of the label
    class_probabilities: dict[str, float]  # calibrated, sum to 1; empty: refused
    class_set: list[str]  # the classes that cannot be ruled out, likeliest first
    refused: bool  # the picture cannot be judged: there is no class and no outline
    warnings: list[Warned]
    height_px: int
    width_px: int
    outlines_xy: list[list[list[float]]]  # one closed polygon a lesion, its points (x, y) in the image's pixels
    weights_sha256: str


def build(predictor, folder) -> None:
    """Add the endpoint `/predict` to the current gr.Blocks. folder: private, served by Gradio, emptied by it."""
    folder = Path(folder)

    def predict(image: ServedFile) -> tuple[Reading, ServedFile]:
        """Outline, class and confidence of one breast-ultrasound image; research use only.

        image: any image file that the page takes. Returns the figures, and the outlined region as a PNG of the
        image's size, 255 inside and 0 outside.
        """
        try:
            prediction = predictor(read_image(uploaded(image.get("path") if isinstance(image, dict) else None, folder)))
        except ImageError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception as error:  # the cause belongs in the log, not in the answer
            LOG.exception("Reading an image for the API failed.")
            raise gr.Error(strings.FAILED_TEXT, print_exception=False) from error
        mask = Path(tempfile.mkdtemp(dir=folder)) / "mask.png"  # its random name is what keeps other users out
        mask.write_bytes(encode_png(prediction.mask))
        return _reading(prediction, predictor), {"path": str(mask), "meta": {"_type": "gradio.FileData"}}

    gr.api(predict, api_name="predict", concurrency_limit=8, concurrency_id="read")


def _reading(prediction, predictor) -> Reading:
    height, width = prediction.frame.gray.shape
    outlines = outlines_xy(prediction.mask)
    worded = report(Finding.of(prediction, len(outlines)), predictor.operating_point)
    return {
        "verdict": worded.verdict,
        "headline": worded.headline,
        "reason": worded.reason,
        "label": None if prediction.refused else prediction.label,
        "confidence": None if prediction.refused else prediction.confidence,
        "class_probabilities": {row.code: row.probability for row in worded.rows},
        "class_set": [] if prediction.refused else list(prediction.class_set),
        "refused": prediction.refused,
        "warnings": [{"code": warning.code, "text": warning.sentence} for warning in worded.warnings],
        "height_px": height,
        "width_px": width,
        "outlines_xy": [] if prediction.refused else [outline.tolist() for outline in outlines],
        "weights_sha256": predictor.checkpoint.weights_sha256,
    }
