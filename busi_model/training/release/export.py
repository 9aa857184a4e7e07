"""Weights become one ONNX file that any runtime can run without PyTorch and without this program.

Enters: a Predictor. Leaves: a graph from letterboxed gray levels to calibrated probabilities (normalisation, mirrored
view and temperatures are inside it), with all that stands outside the graph in its metadata. What Predictor does
besides (warnings, thresholding, specks) is the caller's.
"""

import dataclasses
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from busi_model.errors import UserError
from busi_model.files import written_whole
from busi_model.model.operating_point import CORE_SHARE
from busi_model.names import CLASS_NAMES
from busi_model.predict import Predictor

INPUT_NAME = "gray"
OUTPUT_NAMES = ("class_probabilities", "mask_probability")


class ExportError(UserError, RuntimeError):
    """What keeps an export from being made, and what to do."""


class SquareToProbabilities(nn.Module):
    """The part of `Predictor` between `Preprocess.square` and `Preprocess.restore`."""

    def __init__(self, predictor: Predictor):
        super().__init__()
        self.network = predictor.network
        self.preprocess = predictor.preprocess
        self.point = predictor.operating_point

    def forward(self, gray: Tensor) -> tuple[Tensor, Tensor]:
        """Gray levels 0..255, float (N, 1, S, S) -> class probabilities (N, 3), mask probability (N, 1, S, S)."""
        straight, mirror_image = (self.preprocess.in_tone(gray, tone) for tone in self.preprocess.tones)
        seen, mirrored = self.network(straight), self.network(mirror_image.flip(-1))
        class_logits = (seen.class_logits + mirrored.class_logits) / 2
        mask_logits = (seen.mask_logits + mirrored.mask_logits.flip(-1)) / 2
        return (
            (class_logits / self.point.temperature + torch.tensor(self.point.class_bias)).softmax(dim=1),
            (mask_logits / self.point.mask_temperature).sigmoid(),
        )


def export_onnx(predictor: Predictor, path: Path | str) -> None:
    """Write the graph for any number of images at once. predictor: on the CPU. Raises ExportError."""
    try:
        import onnxscript  # noqa: F401 (torch's exporter needs it, and onnx with it)
    except ModuleNotFoundError as error:
        raise ExportError("The ONNX export needs two more packages. Run: pip install onnx onnxscript") from error
    side = predictor.preprocess.size
    program = torch.onnx.export(
        SquareToProbabilities(predictor).eval(),
        (torch.zeros(2, 1, side, side),),
        input_names=[INPUT_NAME],
        output_names=list(OUTPUT_NAMES),
        dynamic_shapes={INPUT_NAME: {0: torch.export.Dim("N")}},
        dynamo=True,
        verbose=False,
    )
    if program is None:  # as its type allows, and with dynamo never
        raise ExportError("torch exported nothing; its dynamo exporter is expected. Update torch.")
    program.model.metadata_props.update(describe(predictor))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        program.save(temporary)


def describe(predictor: Predictor) -> dict[str, str]:
    """The graph's metadata: what to do before and after it, and whose weights it holds; lists and settings are JSON."""
    preprocess, point = predictor.preprocess, predictor.operating_point
    return {
        "input": (
            f"{INPUT_NAME}: float32 (N, 1, {preprocess.size}, {preprocess.size}), gray levels 0 to 255. The longer "
            f"side of the picture becomes {preprocess.size} px (bilinear, averaging), the picture is centred, the rest "
            "is 0; normalisation and the tones of both views are inside the graph."
        ),
        "output": (
            f"{OUTPUT_NAMES[0]}: float32 (N, {len(CLASS_NAMES)}), calibrated, in the order of class_names. "
            f"{OUTPUT_NAMES[1]}: float32 (N, 1, {preprocess.size}, {preprocess.size}), calibrated; a pixel is lesion "
            "from operating_point.mask_threshold on, or from faint_share times the mean of the surest "
            f"{CORE_SHARE:.2%} of the pixels where that is less."
        ),
        "class_names": json.dumps(list(CLASS_NAMES)),
        "preprocess": json.dumps(dataclasses.asdict(preprocess)),
        "operating_point": json.dumps(dataclasses.asdict(point)),
        "weights_sha256": predictor.checkpoint.weights_sha256,
        "use": "Research and teaching. Not a medical device: no diagnosis may rest on it.",
    }
