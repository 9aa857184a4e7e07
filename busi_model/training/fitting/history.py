"""What an epoch has brought: quick figures of held-out images, a row of history.csv, a log that other programs show.

Enters: the averaged network after an epoch. Leaves: history.csv and, where it is wanted, RUN/tensorboard, for
`tensorboard --logdir RUN`, whose package is loaded only then. Nothing leaves the machine. The figures steer nothing:
`evaluate` makes those that are reported.
"""

import contextlib
import csv
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from busi_model.model.network import MultiTaskUNet
from busi_model.model.preprocess import Preprocess
from busi_model.names import CLASS_NAMES
from busi_model.training.fitting.dataset import ImageSet
from busi_model.training.fitting.loss import denominators, multi_task_loss
from busi_model.training.fitting.recipe import RunError, TrainConfig

LOGS = ("tensorboard",)


@torch.no_grad()
def validate(
    network: MultiTaskUNet,
    images: ImageSet,
    preprocess: Preprocess,
    device: torch.device | str,
    bfloat16: bool = False,
    config: TrainConfig | None = None,
    weights: torch.Tensor | None = None,
) -> dict[str, float]:
    """Quick figures for the progress line, in the network's square; `evaluate` makes those that are reported.

    val_loss and its parts are defined as training's (config: its shares and smoothing; weights (3,): of the classes),
    but of whole images as they are, without augmentation or dropout, and each part is a mean over all images."""
    network.eval()
    config = config or TrainConfig()
    weights = torch.ones(len(CLASS_NAMES), device=device) if weights is None else weights
    dice: list[float] = []
    correct: list[bool] = []
    sums = counts = torch.zeros(())
    for indices in torch.arange(len(images)).split(16):
        x = preprocess.normalise(images.images[indices].float())[:, None].to(device)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
            output = network(x.contiguous(memory_format=torch.channels_last))
        mask, label = (images.masks[indices].float() / 255)[:, None].to(device), images.labels[indices].to(device)
        _, parts = multi_task_loss(output, mask, label, weights, config.class_loss, config.smoothing, config.mask_loss)
        means_over = denominators(mask, label, weights)
        means = torch.stack(list(parts.values())).to(means_over.dtype)
        sums = sums + torch.where(means_over > 0, means * means_over, 0.0)  # a part that is a mean over nothing is NaN
        counts = counts + means_over
        found = output.mask_logits[:, 0].cpu() > 0
        truth = images.masks[indices] > 127
        overlap = (found & truth).sum(dim=(1, 2))
        both = found.sum(dim=(1, 2)) + truth.sum(dim=(1, 2))
        dice += (2 * overlap / both)[truth.any(dim=2).any(dim=1)].tolist()
        correct += (output.class_logits.argmax(dim=1).cpu() == images.labels[indices]).tolist()
    of_part = dict(zip(parts, torch.where(counts > 0, sums / counts, 0.0).tolist(), strict=True))
    total = config.mask_loss * (of_part["bce"] + of_part["dice"]) + config.class_loss * of_part["class"]
    return {
        "val_loss": total,
        **{f"val_loss_{name}": value for name, value in of_part.items()},
        "val_dice": float(np.mean(dice)) if dice else float("nan"),
        "val_missed": float(np.mean(np.array(dice) < 0.1)) if dice else float("nan"),
        "val_accuracy": float(np.mean(correct)),
    }


def write_history(history: list[dict], path: Path | str) -> None:
    """A row an epoch; a cell is empty where an older program, whose run was resumed, did not compute the figure."""
    columns = dict.fromkeys(name for row in history for name in row)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(history)


def check_log(kind: str | None) -> None:
    """Raises RunError where the package is not installed; cheap, to be called before any work."""
    if kind and importlib.util.find_spec(kind) is None:
        raise RunError(f"--log {kind} needs the package {kind}. In BUSI's folder, run: pip install '.[{kind}]'")


@contextlib.contextmanager
def opened_log(kind: str | None, folder: Path | str) -> Iterator[Callable[[dict], None]]:
    """A function that takes the row of an epoch; it does nothing where no log is wanted. A resumed run goes on in the
    same log. Raises RunError."""
    check_log(kind)
    if kind is None:
        yield lambda row: None
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(Path(folder, kind))) as writer:

        def write(row: dict) -> None:
            for name, value in row.items():
                if name != "epoch":
                    writer.add_scalar(_tag(name), value, row["epoch"])
            writer.flush()  # a kill loses no epoch that history.csv holds

        yield write


def _tag(name: str) -> str:
    """Losses of training and of held-out images under one heading, so that they are compared."""
    side, _, rest = name.partition("_")
    return {"train": f"training/{rest}", "val": f"held out/{rest}"}.get(side, f"run/{name}")
