"""The page's three public endpoints: an uploaded image goes in; its class, its outlines or its report come out.

Their types are what clients see: `gradio_client` shows them with `view_api`, others under /gradio_api/info. All other
endpoints of the page are private. docs/api.md has the schema and examples.
"""

import logging
import tempfile
from pathlib import Path
from typing import Any, Literal, TypedDict, cast, get_args

import gradio as gr

from busi_model.clinic.render import lesion_values
from busi_model.clinic.report import Finding, Report, report
from busi_model.clinic.view import encode_png, outlines_xy
from busi_model.image import ImageError
from busi_model.names import ClassName
from busi_model.page import strings
from busi_model.page.images.case import OpenImage
from busi_model.page.images.downloads import Downloads, model_version
from busi_model.page.server.decoding import read_image, uploaded
from busi_model.predict import Prediction, Predictor

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


class Outlined(TypedDict):
    """Where the lesions are, and how large."""

    refused: bool
    warnings: list[Warned]
    height_px: int
    width_px: int
    spacing_mm: list[float] | None  # of a pixel, down and across; None: the file does not say
    lesions: list[dict]  # the largest first: outline_xy, lengths, areas, descriptors
    weights_sha256: str


OutlineForm = Literal["polygons", "mask"]
ReportForm = Literal["pdf", "text", "json"]
LIKE: dict[str, Any] = {"concurrency_limit": 8, "concurrency_id": "read"}


def build(predictor: Predictor, private_folder: Path | str) -> None:
    """Add the endpoints to the current gr.Blocks. private_folder: served by Gradio, emptied by it."""
    folder = Path(private_folder)
    downloads = Downloads(predictor.operating_point, model_version(predictor), predictor.checkpoint.weights_sha256)

    def judged(image: object, measured: bool = True) -> tuple[OpenImage, Prediction]:
        """As the page would hold it, and its prediction. Raises gr.Error with a sentence."""
        try:
            frame = read_image(uploaded(image.get("path") if isinstance(image, dict) else None, folder))
            prediction = predictor(frame)
            case = OpenImage("", None, folder)
            case.show(frame)
            if measured:
                case.judge(prediction)
            return case, prediction
        except ImageError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception as error:  # the cause belongs in the log, not in the answer
            LOG.exception("Reading an image for the API failed.")
            raise gr.Error(strings.FAILED_TEXT, print_exception=False) from error

    def served(name: str, content: bytes) -> ServedFile:
        path = Path(tempfile.mkdtemp(dir=folder)) / name  # its random folder is what keeps other users out
        path.write_bytes(content)
        return {"path": str(path), "meta": {"_type": "gradio.FileData"}}

    def predict(image: ServedFile) -> tuple[Reading, ServedFile]:
        """Outline, class and confidence of one breast-ultrasound image; research use only.

        image: any image file that the page takes. Returns the figures, and the outlined region as a PNG of the
        image's size, 255 inside and 0 outside.
        """
        _, prediction = judged(image, measured=False)
        return _reading(prediction, predictor), served("mask.png", encode_png(prediction.mask))

    def outline(image: ServedFile, form: OutlineForm = "polygons") -> tuple[Outlined, ServedFile | None]:
        """Where the lesions of one breast-ultrasound image are, measured and described; research use only.

        form: "polygons" for the figures alone, "mask" for a PNG of the image's size beside them.
        """
        _need(form, OutlineForm)
        case, prediction = judged(image)
        mask = served("mask.png", encode_png(prediction.mask)) if form == "mask" else None
        return _outlined(case, prediction, predictor, downloads.report(case, None)), mask

    def printed(image: ServedFile, form: ReportForm = "pdf") -> ServedFile:
        """What the page says of one breast-ultrasound image, to print, to paste or to keep; research use only.

        form: "pdf" for a page with the outline drawn in, "text" for a few lines, "json" for all figures.
        """
        _need(form, ReportForm)
        case, _ = judged(image)
        if form == "text":
            return served("report.txt", downloads.text(case, None).encode())
        return served(f"report.{form}", downloads.content("data" if form == "json" else "report", case, None))

    gr.api(predict, api_name="predict", **LIKE)
    gr.api(outline, api_name="outline", **LIKE)
    gr.api(printed, api_name="report", **LIKE)


def _need(form: object, forms: Any) -> None:
    if form not in get_args(forms):
        asked = ", ".join(f'"{name}"' for name in get_args(forms))
        raise gr.Error(strings.API_FORM.format(forms=asked), print_exception=False)


def _outlined(case: OpenImage, prediction: Prediction, predictor: Predictor, worded: Report) -> Outlined:
    height, width = prediction.frame.gray.shape
    return {
        "refused": prediction.refused,
        "warnings": _warned(worded),
        "height_px": height,
        "width_px": width,
        "spacing_mm": None if case.spacing_mm is None else list(case.spacing_mm),
        "lesions": lesion_values(case.lesions, case.described),
        "weights_sha256": predictor.checkpoint.weights_sha256,
    }


def _warned(worded: Report) -> list[Warned]:
    return [{"code": warning.code, "text": warning.sentence} for warning in worded.warnings]


def _reading(prediction: Prediction, predictor: Predictor) -> Reading:
    height, width = prediction.frame.gray.shape
    outlines = outlines_xy(prediction.mask)
    worded = report(Finding.of(prediction, len(outlines)), predictor.operating_point)
    return {
        "verdict": worded.verdict,
        "headline": worded.headline,
        "reason": worded.reason,
        "label": None if prediction.refused else cast(ClassName | None, prediction.label),
        "confidence": None if prediction.refused else prediction.confidence,
        "class_probabilities": {row.code: row.probability for row in worded.rows},
        "class_set": [] if prediction.refused else list(prediction.class_set),
        "refused": prediction.refused,
        "warnings": _warned(worded),
        "height_px": height,
        "width_px": width,
        "outlines_xy": [] if prediction.refused else [outline.tolist() for outline in outlines],
        "weights_sha256": predictor.checkpoint.weights_sha256,
    }
