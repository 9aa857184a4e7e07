"""A study: networks that each never saw a part of the data are judged on that part.

Enters: hospitals. Leaves: run folders with weights, an operating point fitted on predictions for images that their
networks never saw, and reports. The part that is held out is a fold (the home report), a hospital (the abroad report)
or nothing (the release). Whatever it is, the steps are the same: fit, predict, calibrate on the other parts, evaluate.
"""

import dataclasses
import json
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from busi_model import checkpoint
from busi_model.files import write_json, written_whole
from busi_model.names import CLINICIAN
from busi_model.network import count_multiply_adds, count_parameters
from busi_model.operating_point import OperatingPoint
from busi_model.predict import Predictor
from busi_model.preprocess import Preprocess
from busi_model.training import calibrate, distributed, out_of_distribution
from busi_model.training.cases import Case, Hospital
from busi_model.training.dataset import ImageSet, load_images
from busi_model.training.drawn_marks import paint_marks
from busi_model.training.evaluate import evaluate_cases, write_report
from busi_model.training.fit import Trainer
from busi_model.training.history import opened_log
from busi_model.training.out_of_distribution import LeftOut
from busi_model.training.plots import WORST_NAME, plot_history, write_worst
from busi_model.training.recipe import RunError, TrainConfig
from busi_model.training.report import write_summary
from busi_model.training.splits import Part, check_parts, everything
from busi_model.training.subgroups import with_rates

MARKED_CASES = 150  # of each hospital, on which marks are painted to look for a shortcut


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


def run_study(settings: Settings, parts: list[Part], folder: Path, what: str) -> None:
    """Train each part's network; fit each one's operating point on the predictions of the others (on its own, which
    flatters, where there is but one part); report a hospital at a time; leave the point fitted on all predictions."""
    check_parts(parts, settings.config.class_loss > 0)
    folders = [folder / part.name if len(parts) > 1 else folder for part in parts]
    for part, place in zip(parts, folders, strict=True):
        fit_part(settings, part, place)
    if not distributed.is_first():
        return
    predictions = [_predict(place, part, settings.device) for place, part in zip(folders, parts, strict=True)]
    tables, marked = [], []
    for number, (place, part) in enumerate(zip(folders, parts, strict=True)):
        others = [h for k, those in enumerate(predictions) if k != number or len(parts) == 1 for h in those]
        point = calibrate.fit_operating_point(others, _words(others, what))
        store_operating_point(place, point)
        predictor = Predictor.load(place / "weights", settings.device)
        for cases in part.held_out:
            tables.append(evaluate_cases(predictor, cases))
            few = np.random.default_rng(0).permutation(len(cases))[:MARKED_CASES]
            marked.append(evaluate_cases(predictor, [cases[i] for i in sorted(few)], paint=paint_marks))
    limits = _measure_ood(settings, parts, folders, folder)
    pooled = pd.concat(tables, ignore_index=True)
    everything = [h for those in predictions for h in those]
    point = with_rates(calibrate.fit_operating_point(everything, _words(everything, what)), pooled)
    point = dataclasses.replace(point, **limits)
    write_operating_point(point, folder)
    if len(parts) == 1:
        store_operating_point(folders[0], point)
    digests = [checkpoint.load(place / "weights").weights_sha256 for place in folders]
    whose = digests[0] if len(parts) == 1 else f"{len(parts)} networks"
    calibrated_on = "the other parts"
    if len(parts) == 1:
        calibrated_on = "these very images, which flatters the figures of the class (--cross-validate does not)"
    contents, worst_of = [], []
    for name in dict.fromkeys(pooled["hospital"]):
        own, with_marks = (
            pd.concat([t for t in kind if t["hospital"].iloc[0] == name], ignore_index=True)
            for kind in (tables, marked)
        )
        place = folder / "evaluation" / name
        title = f"{name}, {what}" + (f", {parts[0].name}" if len(parts) == 1 else "")
        contents.append(
            write_report(own, place, title, whose, recipe(settings.config, None), calibrated_on, marked=with_marks)
        )
        worst_of.append((own, _judge(settings, parts, folders, name), place / WORST_NAME, title))
        print((place / "report.md").read_text(encoding="utf-8"))
    write_summary(contents, folder / "evaluation", what)
    print((folder / "evaluation" / "summary.md").read_text(encoding="utf-8"))
    for sheet in worst_of:
        write_worst(*sheet)
    print(
        f"{folder / 'evaluation'} holds these reports, plots and one row a case; {WORST_NAME} in it shows patients' "
        "pictures: keep it where the data are."
    )


def _judge(
    settings: Settings, parts: list[Part], folders: list[Path], hospital: str
) -> Callable[[str], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """case_id of one hospital -> gray, reference mask, and what is outlined by the network that never saw it."""
    of_case: dict[str, tuple[Case, Path]] = {}
    predictors: dict[Path, Predictor] = {}
    for part, place in zip(parts, folders, strict=True):
        cases = [case for held_out in part.held_out for case in held_out if case.hospital == hospital]
        of_case |= {case.case_id: (case, place) for case in cases}

    def judge(case_id: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        case, place = of_case[case_id]
        if place not in predictors:
            predictors[place] = Predictor.load(place / "weights", settings.device)
        frame, truth = case.read()
        return frame.gray, truth, predictors[place](frame).judged_anyway.mask

    return judge


def _measure_ood(settings: Settings, parts: list[Part], folders: list[Path], folder: Path) -> dict[str, Any]:
    """Where each part is one hospital: the limits of what is refused, fitted and measured on hospitals left out."""
    alone = [len(part.held_out) == 1 and part.name == part.held_out[0][0].hospital for part in parts]
    if len(parts) < 2 or not all(alone):
        return {}
    left_out = []
    for place, part in zip(folders, parts, strict=True):
        left_out.append(_left_out_inputs(settings, part, place))
    report = out_of_distribution.measure_ood(left_out)
    write_json(report, folder / "ood.json")
    return {name: report[name] for name in ("ood_score", "ood_distance")}


def _left_out_inputs(settings: Settings, part: Part, folder: Path) -> LeftOut:
    """Minutes of work: kept beside the weights that they belong to, by what the network saw."""
    predictor = Predictor.load(folder / "weights", settings.device)
    tones = "-".join(map(str, predictor.preprocess.tones))
    kept = folder / f"ood-{predictor.checkpoint.weights_sha256[:12]}-{tones}.npz"
    if not kept.is_file():
        others = _by_hospital(part.training)
        found = out_of_distribution.left_out_inputs(predictor, part.name, part.held_out[0], others)
        with written_whole(kept) as temporary, open(temporary, "wb") as file:
            found.write(file)
    return LeftOut.read(kept)


def _by_hospital(cases: list[Case]) -> dict[str, list[Case]]:
    """Name -> cases; clinicians' corrected ones are of hospitals that are unknown, and left out."""
    names = dict.fromkeys(case.hospital for case in cases if case.hospital != CLINICIAN)
    return {name: [case for case in cases if case.hospital == name] for name in names}


def _predict(folder: Path, part: Part, device: str) -> list[calibrate.HeldOut]:
    predictor = Predictor.load(folder / "weights", device)
    return [calibrate.predict_held_out(predictor, cases) for cases in part.held_out]


def _words(held_out: list[calibrate.HeldOut], what: str) -> str:
    counts: dict[str, int] = {}
    for one in held_out:
        counts[one.hospital] = counts.get(one.hospital, 0) + len(one.labels)
    words = ", ".join(f"{n} of {name}" for name, n in counts.items())
    return f"{sum(counts.values())} images, {what}: each judged by a network that never saw it ({words})"


def release(settings: Settings, hospitals: list[Hospital], folder: Path, operating_point: Path | str | None) -> None:
    """The weights to ship: trained on everything that is not reserved, with the operating point of a study."""
    [part] = everything(hospitals)
    check_parts([part], settings.config.class_loss > 0, judged=False)
    fit_part(settings, part, folder, read_operating_point(operating_point))
    if not distributed.is_first():
        return
    predictor = Predictor.load(folder / "weights", settings.device)
    own = {
        name: out_of_distribution.case_inputs(predictor, cases, out_of_distribution.IMAGES)
        for name, cases in _by_hospital(part.training).items()
    }
    detector = out_of_distribution.fit_ood(own, out_of_distribution.stranger_inputs(predictor))
    checkpoint.replace(folder / "weights", ood=detector)


def store_operating_point(folder: Path, point: OperatingPoint) -> None:
    """Put a run's operating point beside its weights and into them."""
    checkpoint.replace(folder / "weights", operating_point=point)
    write_operating_point(point, folder)


def write_operating_point(point: OperatingPoint, folder: Path | str) -> None:
    write_json(dataclasses.asdict(point), Path(folder) / "operating_point.json")


def read_operating_point(folder: Path | str | None) -> OperatingPoint:
    if folder is None:
        print("No --operating-point given: probabilities will be uncalibrated.", file=sys.stderr)
        return OperatingPoint()
    path = Path(folder) / "operating_point.json"
    if not path.is_file():
        raise RunError(f"{folder} holds no operating_point.json. Name the folder of a run that held something out.")
    return OperatingPoint.from_dict(json.loads(path.read_text(encoding="utf-8")))
