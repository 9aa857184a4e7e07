"""The files of a weights folder, each read by itself and checked before it is used; no pickle is read.

Enters: paths. Leaves: plain values, arrays and tensors, or a CheckpointError, which says what was found, what was
expected and what to do. `checkpoint` makes a network of them.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from busi_model.model.network import MultiTaskUNet
from busi_model.model.ood import OodDetector
from busi_model.model.weights_folder import (
    CONFIG_NAME,
    OLD_OOD_NAME,
    OOD_NAME,
    SEEN_NAME,
    WEIGHTS_NAME,
    CheckpointError,
)
from busi_model.names import CLASS_NAMES

FORMAT = 1  # raised when older code can no longer read what newer code writes


def read_config(path: Path) -> dict[str, Any]:
    """config.json, of a format and with classes that this program knows."""
    if not path.is_file():
        raise CheckpointError(f"The weights folder has no {CONFIG_NAME}. Point to a folder written by train.py.")
    try:
        config = finite_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{CONFIG_NAME} is not readable JSON. Copy it again from where it was made.") from error
    if not isinstance(config, dict) or "format" not in config:
        raise CheckpointError(f"{CONFIG_NAME} was not written by this program: it lacks the key 'format'.")
    if config["format"] != FORMAT:
        raise CheckpointError(
            f"{CONFIG_NAME} has format {config['format']}; this program reads format {FORMAT}. Update the program."
        )
    if config.get("class_names") != list(CLASS_NAMES):
        raise CheckpointError(
            f"{CONFIG_NAME} lists the classes {config.get('class_names')}; {list(CLASS_NAMES)} are expected."
        )
    return config


def finite_json(path: Path) -> Any:
    """The file's content. Raises OSError, RecursionError, and ValueError also for a number that is not finite."""
    return json.loads(path.read_text(encoding="utf-8"), parse_float=_finite, parse_constant=_finite)


def _finite(number: str) -> float:
    if not math.isfinite(float(number)):
        raise ValueError(f"{number} is not finite")
    return float(number)


def read_ood(folder: Path, n_inputs: int) -> OodDetector | None:
    """The detector of strange pictures, or None. n_inputs: of the distance; the score takes the texture too."""
    path = next((folder / name for name in (OOD_NAME, OLD_OOD_NAME) if (folder / name).is_file()), None)
    if path is None:
        return None
    try:
        with safe_open(path, framework="np") as file:
            ood = OodDetector(**{name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (not a dict)
        ood.check(n_inputs)
    except (SafetensorError, OSError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise CheckpointError(
            f"{path.name} ({path.stat().st_size} bytes) was not written by train.py for these weights. Copy it again "
            "from where it was made, or delete it to go without."
        ) from error
    return ood


def read_seen(path: Path) -> frozenset[str]:
    """Digests of the training pictures; none where there is no such file."""
    if not path.is_file():
        return frozenset()
    try:
        lines = path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{SEEN_NAME} is damaged. Copy it again from where it was made.") from error
    if wrong := [line for line in lines if not re.fullmatch("[0-9a-f]{16}", line)]:
        raise CheckpointError(
            f"{SEEN_NAME} holds {wrong[0][:20]!r}; lines of 16 hexadecimal digits are expected. Copy it again."
        )
    return frozenset(lines)


def read_weights(path: Path, network: MultiTaskUNet) -> dict[str, torch.Tensor]:
    """State dict in fp32 whose names and shapes are the network's."""
    if not path.is_file():
        raise CheckpointError(f"The weights folder has no {WEIGHTS_NAME}. Point to a folder written by train.py.")
    expected = {k: v.shape for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        head = path.read_bytes()[:64]
        found = "a pickle, which is never loaded" if head[:2] in (b"PK", b"\x80\x02") else "truncated or another format"
        if head.startswith(b"version https://git-lfs"):
            found = "a Git LFS pointer; run `git lfs pull`"
        raise CheckpointError(
            f"{WEIGHTS_NAME} ({path.stat().st_size} bytes) is not a whole safetensors file: {found}. "
            "Copy or download it again."
        ) from error
    wrong = [k for k in expected if k not in tensors or tensors[k].shape != expected[k]]
    wrong += [k for k in tensors if k not in expected]
    if wrong:
        raise CheckpointError(
            f"{WEIGHTS_NAME} belongs to another network: {len(wrong)} of {len(expected)} tensors are missing, "
            f"surplus or of another shape, {wrong[0]} first. Take both files from one training run."
        )
    if broken := [k for k, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise CheckpointError(
            f"{WEIGHTS_NAME} is damaged: {broken[0]} holds NaN or infinity. Copy or download it again."
        )
    return tensors
