"""One network of a study: trained on its part's images, judged on none of them.

Enters: a part, and what all networks of the study share. Leaves: a run folder with weights, history and curves. A
network starts from an ImageNet encoder, or from weights that have not seen what it is to be judged on.
"""

import dataclasses
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from busi_model.model import checkpoint
from busi_model.model.network import count_multiply_adds, count_parameters
from busi_model.model.operating_point import OperatingPoint
from busi_model.model.preprocess import Preprocess
from busi_model.training.data.splits import Part
from busi_model.training.evaluation.plots import plot_history
from busi_model.training.fitting import distributed
from busi_model.training.fitting.dataset import ImageSet, load_images
from busi_model.training.fitting.fit import Trainer
from busi_model.training.fitting.history import opened_log
from busi_model.training.fitting.recipe import RunError, TrainConfig


@dataclass(frozen=True)
class Settings:
    """What all networks of a study share."""

    config: TrainConfig
    device: str = "auto"
    start: str | None = None  # weights to go on from, where they have not seen what is held out
    scratch_epochs: int | None = None  # of networks that cannot go on from them; None: as the others
    log: str | None = None  # of `history.LOGS`, beside history.csv


def fit_part(settings: Settings, part: Part, folder: Path, point: OperatingPoint | None = None) -> None:
    """Train one network, or go on where it was stopped, and save it in folder/weights."""
    config, start = settings.config, _start(settings, part)
    if start is None and settings.scratch_epochs:
        config = dataclasses.replace(config, epochs=settings.scratch_epochs)
    preprocess = Trainer.preprocess_for(config)
    images = load_images(part.training, preprocess, "training images")
    trainer = Trainer(config, images, folder, settings.device, start=start.network if start else None)
    parameters, multiply_adds = count_parameters(trainer.network), count_multiply_adds(trainer.network, config.size)
    _describe(part, images, trainer, parameters, multiply_adds, start)
    training = {
        "recipe": recipe(config, start),
        "held_out": part.name or None,
        "n_training_images": {h: sum(c.hospital == h for c in part.training) for h in images.hospitals},
        "parameters": parameters,
        "multiply_adds": multiply_adds,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    seen = frozenset(case.fingerprint() for case in part.training)
    seen |= start.seen if start else frozenset()

    def save() -> None:
        network, point_ = trainer.averaged_network, point or OperatingPoint()
        checkpoint.save(folder / "weights", network, trainer.preprocess, point_, training, {}, None, seen)
        if trainer.history:
            plot_history(trainer.history, folder / "curves.png", len(images), len(validation))

    validation = _validation(part, preprocess, config.seed)
    with opened_log(settings.log if distributed.is_first() else None, folder) as log:

        def after_epoch() -> None:
            save()
            log(trainer.history[-1])

        try:
            trainer.fit(validation, after_epoch)
        finally:  # also when it is stopped: what was learned so far is usable
            if distributed.is_first() and trainer.history:
                save()


def _describe(
    part: Part,
    images: ImageSet,
    trainer: Trainer,
    parameters: int,
    multiply_adds: int,
    start: checkpoint.Checkpoint | None,
) -> None:
    each = zip(images.hospitals, trainer.shown, trainer.members, strict=True)
    shown = ", ".join(f"{n} of {len(members)} of {name}" for name, n, members in each)
    weights = ", ".join(f"{w:.2f}" for w in trainer.class_weights.tolist())
    print(
        f"{part.name or 'all'}: an epoch shows {shown}; {sum(map(len, part.held_out))} held out; class weights "
        f"{weights}; {parameters / 1e6:.2f} M parameters, {multiply_adds / 1e9:.2f} G multiply-adds at "
        f"{trainer.config.size} px; from {'the weights of --start' if start else 'an ImageNet encoder'}; "
        f"{trainer.describe_device()}",
        flush=True,
    )


def _validation(part: Part, preprocess: Preprocess, seed: int, most: int = 200) -> ImageSet:
    """Held-out images for the progress line and the curves; no decision is taken by them."""
    cases = [case for hospital in part.held_out for case in hospital]
    chosen = np.random.default_rng(seed).permutation(len(cases))[:most]
    return load_images([cases[i] for i in sorted(chosen)], preprocess, "held-out images")


def _start(settings: Settings, part: Part) -> checkpoint.Checkpoint | None:
    """The weights to go on from; None where there are none, or where they have seen what this part holds out."""
    if settings.start is None:
        return None
    own = Path(settings.start, part.name, "weights") if part.name else Path(settings.start)
    start = checkpoint.load(own if own.is_dir() else settings.start)
    held_out = [case for hospital in part.held_out for case in hospital]
    if held_out and not start.seen:
        raise RunError(f"{settings.start} does not say which images it has seen, so nothing can be held out from it.")
    return None if any(c.fingerprint() in start.seen for c in held_out) else start


def recipe(config: TrainConfig, start: checkpoint.Checkpoint | None) -> dict:
    """What two runs must share for the figures of one to speak for the other."""
    started = "ImageNet encoder"
    if start:
        started = start.training.get("recipe") or start.weights_sha256
    return {**dataclasses.asdict(config), "start": started}
