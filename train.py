"""Train BUSI's network: flags -> split -> fit -> calibrate -> save -> report.

    python train.py --data BUSI --manifest BUSI/busi_manifest.csv --out runs/fold0  # folds 1-4, held out: 0
    python train.py --data BUSI --manifest BUSI/busi_manifest.csv --cross-validate --out runs/cv  # all five
    python train.py --data BUSI --manifest BUSI/busi_manifest.csv --folds all --operating-point runs/cv --out runs/all
                                                # the weights to ship: all images, calibrated by the five folds
    torchrun --nproc_per_node=4 train.py ...    # four GPUs (or CPU processes) share each batch; the same result
    python train.py ... --extra BUS-BRA --extra corrected-cases   # and what clinicians corrected, for training only
    python train.py ... --epochs 2 --size 128 --out runs/try      # does a change run at all? Minutes, on a CPU

The same command resumes a run that was stopped. RUN/weights is ready for `Predictor.load`; RUN/evaluation says how
the weights do on images that they never saw; history.csv and curves.png show the epochs.
"""

import argparse
import contextlib
import dataclasses
import inspect
import os
import platform
import re
import signal
import sys
from pathlib import Path

import busi_model  # noqa: F401 isort: skip (before torch: it sets how torch's threads wait)

import pandas as pd
import torch

from busi_model import checkpoint
from busi_model.network import count_multiply_adds, count_parameters
from busi_model.operating_point import OperatingPoint
from busi_model.predict import Predictor
from busi_model.training import calibrate, distributed, run
from busi_model.training.cases import CLINICIAN, N_FOLDS, Case, CaseError, find_cases, without_twins, write_manifest
from busi_model.training.evaluate import choose_split
from busi_model.training.fit import RunError, TrainConfig, Trainer
from busi_model.training.images import load_images
from busi_model.training.plots import plot_history

EXTRA_CALIBRATION = "fold6"  # of BUS-BRA: never trained on, so that calibration hears of a second hospital

SETTING = re.compile(r"^    (\w+): \w+ = .*?  # (.+)$", re.MULTILINE)  # of TrainConfig: its comment explains the flag


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder in BUSI's published layout")
    parser.add_argument("--manifest", help="CSV that says how to split; without it near-duplicates are kept together")
    parser.add_argument(
        "--extra",
        action="append",
        default=[],
        help="BUS-BRA's folder: its folds 1-5 are mixed into training; or a folder of cases that "
        "clinicians corrected: they join the training images, never a held-out fold. May be given several times",
    )
    parser.add_argument(
        "--start",
        help="weights folder to start from instead of an ImageNet encoder; or the run folder of a cross-validation: "
        "each fold goes on from its own network",
    )
    parser.add_argument("--folds", default="0", help="fold to hold out, 0-4, or 'all' to train on everything")
    parser.add_argument("--cross-validate", action="store_true", help="hold out each fold in turn")
    parser.add_argument("--operating-point", help="run folder whose temperatures to take (with --folds all)")
    parser.add_argument("--out", required=True, help="run folder, made if absent, resumed if present")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    words = dict(SETTING.findall(inspect.getsource(TrainConfig)))
    for field in dataclasses.fields(TrainConfig):
        flag = f"--{field.name.replace('_', '-')}"
        text = f"{words.get(field.name, '')} (default: {field.default})".replace("%", "%%")
        parser.add_argument(flag, type=field.type, default=field.default, metavar=field.type.__name__, help=text)
    return parser.parse_args(arguments)


def train(arguments, config, cases, fold: int | None, folder: Path) -> list[list[Case]]:
    """Fit one network, holding out a fold (None: nothing), and save it in folder/weights.

    Returns the scored cases that it never saw, one list a hospital. The second hospital's go round: each of
    the five folds has every fifth, so that together they show each image once.
    """
    point = run.read_operating_point(arguments.operating_point) if fold is None else OperatingPoint()
    chosen, corrected, extra, held_out = choose_cases(arguments, cases, fold)
    preprocess = Trainer.preprocess_for(config)
    trainer = Trainer(
        config,
        load_images(chosen + corrected, preprocess, "training images"),
        load_images(extra, preprocess, "second hospital"),
        folder,
        arguments.device,
        start=checkpoint.load(fold_weights(arguments.start, fold)).network if arguments.start else None,
    )
    parameters, multiply_adds = (
        count_parameters(trainer.network),
        count_multiply_adds(trainer.network, config.size),
    )
    weights = ", ".join(f"{w:.2f}" for w in trainer.class_weights.tolist())
    print(
        f"{len(chosen)} training images, {len(corrected)} corrected by clinicians, {len(extra)} of a second "
        f"hospital, {sum(map(len, held_out))} held out; "
        f"class weights {weights}; {parameters / 1e6:.2f} M parameters, "
        f"{multiply_adds / 1e9:.2f} G multiply-adds at {config.size} px; {trainer.describe_device()}"
    )
    fingerprint = {
        "recipe": recipe(config, arguments),
        "held_out_fold": fold,
        "n_training_images": {"BUSI": len(chosen), "BUS-BRA": len(extra), CLINICIAN: len(corrected)},
        "parameters": parameters,
        "multiply_adds": multiply_adds,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    validation = load_images(held_out[0] if fold is not None else [], preprocess, "held-out images")
    try:
        trainer.fit(validation)
    except KeyboardInterrupt:  # what was learned so far is usable
        if distributed.is_first():
            save_run(trainer, folder, point, fingerprint)
        raise
    if not distributed.is_first():
        return held_out  # the first process saves and reports
    save_run(trainer, folder, point, fingerprint)
    predictor = Predictor.load(folder / "weights", arguments.device)
    gate = calibrate.fit_training_gate(predictor, [c for c in (chosen + corrected, extra) if c])
    save_run(trainer, folder, point, fingerprint, gate)
    print(f"augmentation took {100 * trainer.history[-1]['augment_share']:.1f} % of the last epoch")
    return held_out


def choose_cases(arguments, cases, fold: int | None):
    """Training images, those corrected by clinicians, those of the second hospital; and what is held out, one list a
    hospital."""
    chosen = [c for c in cases if c.split == "development" and c.fold != fold]
    held_out = [choose_split(cases, f"fold{fold}")] if fold is not None else []
    second, corrected = extra_cases(arguments.extra, [c for c in cases if c.split == "test" or c.fold == fold])
    if second:
        held_out.append(choose_split(second, EXTRA_CALIBRATION)[fold or 0 :: N_FOLDS])
    return chosen, corrected, [c for c in second if c.split == "development"], held_out


def fold_weights(start, fold: int | None) -> Path:
    """The weights folder that --start names: itself, or one fold's of a cross-validation."""
    own = Path(start, f"fold{fold}", "weights")
    return own if own.is_dir() else Path(start)


def extra_cases(folders, held_out):
    """Cases of the --extra folders: all of a second hospital, and those corrected by clinicians that have no twin
    among the held-out ones."""
    found = [case for folder in folders for case in find_cases(folder)]
    if wrong := {case.source for case in found} - {"BUS-BRA", CLINICIAN}:
        raise CaseError(
            f"--extra names a folder of {wrong.pop()}; BUS-BRA or an export of corrected cases is expected. "
            "Name the main data with --data."
        )
    held_out = [c for c in held_out if c.image_path.is_file()]
    held_out += [c for c in found if c.split == "reserved"]
    corrected = [c for c in found if c.source == CLINICIAN]
    kept = without_twins(corrected, held_out)
    if len(kept) < len(corrected):
        print(f"{len(corrected) - len(kept)} corrected cases left out: they show nearly the picture of a held-out one.")
    return [c for c in found if c.source == "BUS-BRA"], kept


def recipe(config, arguments) -> dict:
    """What two runs must share for the figures of one to speak for the other."""
    second_hospital = any((Path(name) / "bus_data.csv").is_file() for name in arguments.extra)
    started = "ImageNet encoder"
    if arguments.start:  # one network went before, or one for each fold
        before = checkpoint.load(fold_weights(arguments.start, 0))
        started = before.training.get("recipe") or before.weights_sha256
    return {**dataclasses.asdict(config), "second_hospital": second_hospital, "start": started}


def save_run(trainer, folder, point, fingerprint, gate=None):
    checkpoint.save(folder / "weights", trainer.averaged_network, trainer.preprocess, point, fingerprint, {}, gate)
    if trainer.history:
        plot_history(trainer.history, folder / "curves.png")


def hold_out(arguments, config, cases, fold: int, folder: Path):
    """Train without one fold, calibrate on it, report on it: the figures of the class are flattered by that."""
    held_out = train(arguments, config, cases, fold, folder)
    if not distributed.is_first():
        return
    predictions = run.predict(folder, held_out, arguments.device)
    point = calibrate.fit_operating_point(predictions, f"the scored images of fold {fold}, never trained on")
    tables, marked = run.evaluate_with(folder, point, held_out, arguments.device)
    point = calibrate.with_rates(point, pd.concat(tables, ignore_index=True))
    run.store_operating_point(folder, point)
    digest = checkpoint.load(folder / "weights").weights_sha256
    flattered = "these very images, which flatters the figures of the class (--cross-validate does not)"
    run.report(tables, marked, folder, "held out", digest, recipe(config, arguments), flattered)


def cross_validate(arguments, config, cases, folder: Path):
    """Hold out each fold in turn; report on the pooled predictions, each fold calibrated by the others."""
    folders = [folder / f"fold{fold}" for fold in range(N_FOLDS)]
    held_out = [train(arguments, config, cases, fold, f) for fold, f in enumerate(folders)]
    if not distributed.is_first():
        return
    predictions = [run.predict(f, h, arguments.device) for f, h in zip(folders, held_out, strict=True)]
    results = []
    for fold, f in enumerate(folders):
        others = [p for k, those in enumerate(predictions) if k != fold for p in those]
        point = calibrate.fit_operating_point(others, f"the scored out-of-fold images of the folds but {fold}")
        results.append(run.evaluate_with(f, point, held_out[fold], arguments.device))
    tables, marked = (
        [pd.concat(hospital, ignore_index=True) for hospital in zip(*kind, strict=True)]
        for kind in zip(*results, strict=True)
    )
    pooled = pd.concat(tables, ignore_index=True)
    counts = ", ".join(f"{n} of {source}" for source, n in pooled["source"].value_counts().items())
    everything = [p for those in predictions for p in those]
    point = calibrate.fit_operating_point(everything, f"{len(pooled)} scored out-of-fold images ({counts})")
    run.write_operating_point(calibrate.with_rates(point, pooled), folder)
    run.report(tables, marked, folder, "out of fold", "five networks", recipe(config, arguments), "the other folds")


def main(arguments=None) -> int:
    arguments = parse_arguments(arguments)
    with distributed.joined(arguments.device):
        if distributed.is_first():
            return start(arguments)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # one process speaks for all
            return start(arguments)


def start(arguments) -> int:
    folder = Path(arguments.out)
    try:
        config = TrainConfig(**{f.name: getattr(arguments, f.name) for f in dataclasses.fields(TrainConfig)})
        cases = find_cases(arguments.data, arguments.manifest)
        folder.mkdir(parents=True, exist_ok=True)
        if not arguments.manifest and cases[0].source == "BUSI" and distributed.is_first():
            write_manifest(cases, folder / "split.csv")
            print(f"No manifest: near-duplicates were kept together; the split is in {folder / 'split.csv'}.")
        if arguments.cross_validate:
            cross_validate(arguments, config, cases, folder)
        elif arguments.folds == "all":
            train(arguments, config, cases, None, folder)
        elif arguments.folds in [str(k) for k in range(N_FOLDS)]:
            hold_out(arguments, config, cases, int(arguments.folds), folder)
        else:
            raise RunError(f"--folds is {arguments.folds!r}; 0 to {N_FOLDS - 1}, or all, is expected.")
    except (CaseError, RunError, RuntimeError, ValueError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        text = f"{error.filename or folder} cannot be read or written ({error.strerror}). The same command resumes."
        print(f"train.py: {text}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"Stopped. {folder} holds the last whole epoch: the same command resumes it.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    # A plain `kill` stops as Ctrl-C does; a shell that runs us in the background has both switched off.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
