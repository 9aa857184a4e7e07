"""A folder with config.json and model.safetensors becomes a network ready for use, and the other way round.

config.json holds all that is needed to use the weights and to know where they came from: network arguments, class
order, preprocessing, operating point, training fingerprint, figures. Weights are safetensors; no pickle is read.
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from safetensors.torch import save as serialise

from busi_model.files import write_bytes, write_json
from busi_model.model.network import MultiTaskUNet
from busi_model.model.ood import N_STATISTICS, OodDetector
from busi_model.model.operating_point import OperatingPoint
from busi_model.model.preprocess import Preprocess
from busi_model.model.weights_files import FORMAT, finite_json, read_config, read_ood, read_seen, read_weights
from busi_model.model.weights_folder import (
    CONFIG_NAME,
    OLD_OOD_NAME,
    OOD_NAME,
    SEEN_NAME,
    WEIGHTS_NAME,
    CheckpointError,
    locate,
)
from busi_model.names import CLASS_NAMES

MAX_SIZE = 1024  # px, of the network's square; what is larger takes memory without bounds
_Width = Annotated[int, Field(ge=1, le=2048)]
Stored = TypeVar("Stored", Preprocess, OperatingPoint)  # dataclasses that config.json holds


@dataclass(frozen=True)
class Checkpoint:
    """A network in evaluation mode on the CPU and all that belongs to it."""

    network: MultiTaskUNet
    preprocess: Preprocess
    operating_point: OperatingPoint
    training: dict = field(default_factory=dict)  # recipe, data, versions: the fingerprint of the run
    figures: dict = field(default_factory=dict)  # what `evaluate` measured, by data set
    weights_sha256: str = ""  # of model.safetensors as loaded
    ood: OodDetector | None = None  # tells breast ultrasound from other pictures; None: not fitted
    seen: frozenset[str] = frozenset()  # `fingerprint` of each image that the weights were trained on; empty: unknown
    fitted_on_images: frozenset[str] = frozenset()  # likewise of those that `busi calibrate` fitted the point on


def flat_facts(facts: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    """`Checkpoint.training` as (words, value) for a table: inner names follow outer ones."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from flat_facts(value, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}".replace("_", " "), value


def fingerprint(gray: np.ndarray) -> str:
    """Gray uint8 (H, W) -> 16 hexadecimal digits that tell these pixels from all others, whatever file held them."""
    return hashlib.sha256(str(gray.shape).encode() + np.ascontiguousarray(gray).tobytes()).hexdigest()[:16]


def save(
    folder: Path | str,
    network: MultiTaskUNet,
    preprocess: Preprocess,
    operating_point: OperatingPoint,
    training: dict,
    figures: dict,
    ood: OodDetector | None = None,
    seen: frozenset[str] = frozenset(),
) -> None:
    """Write config.json, model.safetensors (kernels and matrices as fp16, norms and biases as fp32) and, when there is
    a detector of other pictures, ood.safetensors; seen.txt says what the weights were trained on."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue  # counts training steps; of no use here
        half = tensor.ndim > 1  # a norm's running variance can leave fp16's range
        tensors[name] = tensor.detach().to("cpu", torch.float16 if half else torch.float32).contiguous()
    write_bytes(serialise(tensors, metadata={"format": "pt"}), folder / WEIGHTS_NAME)
    if seen:
        write_bytes("".join(f"{digest}\n" for digest in sorted(seen)).encode(), folder / SEEN_NAME)
    else:
        (folder / SEEN_NAME).unlink(missing_ok=True)
    for name in (OOD_NAME, OLD_OOD_NAME):
        (folder / name).unlink(missing_ok=True)  # of an earlier network
    if ood is not None:
        arrays = {k: torch.from_numpy(v) for k, v in vars(ood).items() if v is not None}
        write_bytes(serialise(arrays), folder / OOD_NAME)
    config = {
        "format": FORMAT,
        **network.arguments,
        "class_names": list(CLASS_NAMES),
        "preprocess": dataclasses.asdict(preprocess),
        "operating_point": dataclasses.asdict(operating_point),
        "training": training,
        "figures": figures,
    }
    write_json(config, folder / CONFIG_NAME)


def replace(folder: Path | str, **changes: Any) -> None:
    """Save a weights folder again with other content of `Checkpoint`, its operating point, say."""
    loaded = dataclasses.replace(load(folder), **changes)
    names = ("network", "preprocess", "operating_point", "training", "figures", "ood", "seen")
    save(folder, *(getattr(loaded, name) for name in names))


def with_operating_point(loaded: Checkpoint, path: Path | str) -> Checkpoint:
    """The same weights with the operating point of a file that `busi calibrate` wrote. Raises CheckpointError."""
    path = Path(path)
    try:
        content = finite_json(path)
        point = _typed(OperatingPoint.from_dict(content["operating_point"]))
        digest = content["weights_sha256"]
        fitted_on = frozenset(content.get("fitted_on_images", ()))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path.name} does not exist. Name the file that `busi calibrate` wrote.") from error
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path.name} is no operating point that `busi calibrate` wrote. Name the file that its --out named."
        ) from error
    if digest != loaded.weights_sha256:
        raise CheckpointError(
            f"{path.name} was fitted for other weights ({digest[:12]}, not {loaded.weights_sha256[:12]}). Calibrate "
            "these weights with `busi calibrate`, or take the weights that it was fitted for."
        )
    return dataclasses.replace(loaded, operating_point=point, fitted_on_images=fitted_on)


def load(source: Path | str | None = None, revision: str | None = None) -> Checkpoint:
    """Read weights from a folder or, when no such folder exists, from a Hugging Face model repository "owner/name";
    None: those that came with the program.

    Raises CheckpointError with what was found, what was expected and what to do.
    """
    folder = locate(source, revision)
    config = read_config(folder / CONFIG_NAME)
    try:
        arguments = _Arguments.model_validate({key: config[key] for key in _Arguments.model_fields})
        network = MultiTaskUNet(**arguments.model_dump())
        preprocess = _typed(Preprocess(**config["preprocess"]))
        operating_point = _typed(OperatingPoint.from_dict(config["operating_point"]))
        if preprocess.size > MAX_SIZE:
            raise ValueError(f"size is {preprocess.size}; at most {MAX_SIZE} px are expected.")
        training, figures = (dict(config.get(key, {})) for key in ("training", "figures"))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        found = _in_words(error) if isinstance(error, ValidationError) else error
        raise CheckpointError(
            f"{CONFIG_NAME} does not describe a network of this program ({found}). "
            "Take both files from one training run."
        ) from error
    weights_path = folder / WEIGHTS_NAME
    network.load_state_dict(read_weights(weights_path, network), strict=False)  # names and shapes are checked there
    network.eval().requires_grad_(False)
    digest = hashlib.sha256(weights_path.read_bytes()).hexdigest()
    return Checkpoint(
        network,
        preprocess,
        operating_point,
        training,
        figures,
        digest,
        read_ood(folder, n_inputs=network.encoder.channels[-1] + N_STATISTICS),
        read_seen(folder / SEEN_NAME),
    )


class _Arguments(BaseModel):
    """Of `MultiTaskUNet`, within what a machine can hold."""

    encoder: str
    decoder_channels: tuple[_Width, _Width, _Width, _Width]
    class_hidden: _Width
    dropout: Annotated[float, Field(ge=0, lt=1)]


def _typed(content: Stored) -> Stored:
    """The same dataclass, after each value has been found to be of its field's type. Raises ValidationError."""
    return TypeAdapter(type(content)).validate_python(dataclasses.asdict(content))


def _in_words(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)[:3])
