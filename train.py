"""Train BUSI's network: flags -> split -> fit -> calibrate -> save -> report.

    python train.py --data BUSI --manifest busi_manifest.csv --folds 0 --out runs/fold0      # folds 1-4, validated on 0
    python train.py --data BUSI --manifest busi_manifest.csv --cross-validate --out runs/cv  # all five, out-of-fold
    python train.py --data BUSI --manifest busi_manifest.csv --extra BUS-BRA --folds all \
        --operating-point runs/cv --out runs/release                                         # the weights to ship
    python train.py ... --extra BUS-BRA --extra corrected-cases     # and what clinicians corrected, for training only

The same command resumes a run that was stopped. RUN/weights is ready for `Predictor.load`; RUN/evaluation says how
the weights do on images that they never saw; history.csv and curves.png show the epochs.
"""

import argparse
import dataclasses
import json
import platform
import signal
import sys
from pathlib import Path

import pandas as pd
import torch

from busi_model import checkpoint
from busi_model.network import count_multiply_adds, count_parameters
from busi_model.operating_point import OperatingPoint
from busi_model.predict import Predictor
from busi_model.training import calibrate
from busi_model.training.cases import CLINICIAN, N_FOLDS, CaseError, find_cases, without_twins, write_manifest
from busi_model.training.evaluate import choose_split, evaluate_cases, plot_history, write_report
from busi_model.training.fit import RunError, TrainConfig, Trainer, load_images

EXTRA_FOLDS = range(1, 7)  # of BUS-BRA: fold 7 stays out for evaluation, 8-10 for a final test


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder in BUSI's published layout")
    parser.add_argument("--manifest", help="CSV that says how to split; without it near-duplicates are kept together")
    parser.add_argument(
        "--extra",
        action="append",
        default=[],
        help="BUS-BRA's folder: its folds 1-6 are mixed into training, one for one; or a folder of cases that "
        "clinicians corrected: they join the training images, never a held-out fold. May be given several times",
    )
    parser.add_argument("--folds", default="0", help="fold to hold out, 0-4, or 'all' to train on everything")
    parser.add_argument("--cross-validate", action="store_true", help="hold out each fold in turn")
    parser.add_argument("--operating-point", help="run folder whose temperatures to take (with --folds all)")
    parser.add_argument("--out", required=True, help="run folder, made if absent, resumed if present")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    for field in dataclasses.fields(TrainConfig):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    return parser.parse_args(arguments)


def train(arguments, config, cases, fold: int | None, folder: Path):
    """Fit one network, holding out a fold (None: nothing); returns its table of held-out cases, or None."""
    development = [c for c in cases if c.split == "development"]
    chosen = [c for c in development if c.fold != fold]
    extra, corrected = extra_cases(arguments.extra, [c for c in cases if c.split == "test" or c.fold == fold])
    chosen += corrected
    held_out = choose_split(cases, f"fold{fold}") if fold is not None else []
    preprocess = Trainer.preprocess_for(config)
    trainer = Trainer(
        config,
        load_images(chosen, preprocess, "training images"),
        load_images(extra, preprocess, "second hospital"),
        folder,
        arguments.device,
    )
    parameters, multiply_adds = (
        count_parameters(trainer.network),
        count_multiply_adds(trainer.network, config.size),
    )
    weights = ", ".join(f"{w:.2f}" for w in trainer.class_weights.tolist())
    print(
        f"{len(chosen)} training images ({len(corrected)} of them corrected by clinicians) + {len(extra)} of a second "
        f"hospital, {len(held_out)} held out; "
        f"class weights {weights}; {parameters / 1e6:.2f} M parameters, "
        f"{multiply_adds / 1e9:.2f} G multiply-adds at {config.size} px; {trainer.describe_device()}"
    )
    fingerprint = {
        "recipe": recipe(config, arguments),
        "held_out_fold": fold,
        "n_training_images": {
            "BUSI": len(chosen) - len(corrected),
            "BUS-BRA": len(extra),
            CLINICIAN: len(corrected),
        },
        "parameters": parameters,
        "multiply_adds": multiply_adds,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    point = read_operating_point(arguments.operating_point) if fold is None else OperatingPoint()
    validation = load_images(held_out, preprocess, "held-out images")
    try:
        trainer.fit(validation)
    except KeyboardInterrupt:  # what was learned so far is usable
        save_run(trainer, folder, point, fingerprint)
        raise
    save_run(trainer, folder, point, fingerprint)
    print(f"augmentation took {100 * trainer.history[-1]['augment_share']:.1f} % of the last epoch")
    if fold is None:
        print(f"Weights: {folder / 'weights'}. Evaluate them on images that they never saw.")
        return None
    return calibrate_and_report(folder, held_out, fold, fingerprint, arguments.device)


def extra_cases(folders, held_out):
    """Cases of the --extra folders: of a second hospital, and corrected by clinicians unless a twin is held out."""
    found = [case for folder in folders for case in find_cases(folder)]
    if wrong := {case.source for case in found} - {"BUS-BRA", CLINICIAN}:
        raise CaseError(
            f"--extra names a folder of {wrong.pop()}; BUS-BRA or an export of corrected cases is expected. "
            "Name the main data with --data."
        )
    held_out = [c for c in held_out if c.image_path.is_file()]
    held_out += [c for c in found if c.source == "BUS-BRA" and c.fold not in EXTRA_FOLDS]
    corrected = [c for c in found if c.source == CLINICIAN]
    kept = without_twins(corrected, held_out)
    if len(kept) < len(corrected):
        print(f"{len(corrected) - len(kept)} corrected cases left out: they show nearly the picture of a held-out one.")
    return [c for c in found if c.source == "BUS-BRA" and c.fold in EXTRA_FOLDS], kept


def recipe(config, arguments) -> dict:
    """What two runs must share for the figures of one to speak for the other."""
    second_hospital = any((Path(name) / "bus_data.csv").is_file() for name in arguments.extra)
    return {**dataclasses.asdict(config), "second_hospital": second_hospital}


def save_run(trainer, folder, point, fingerprint):
    checkpoint.save(folder / "weights", trainer.averaged_network, trainer.preprocess, point, fingerprint, {})
    if trainer.history:
        plot_history(trainer.history, folder / "curves.png")


def calibrate_and_report(folder, held_out, fold, fingerprint, device):
    """Fit the temperatures on the held-out fold, store them with the weights, report through the final weights."""
    predictor = Predictor.load(folder / "weights", device)
    table = evaluate_cases(predictor, held_out)
    point = calibrate.fit_operating_point(
        predictor, held_out, table, f"the {len(held_out)} scored images of fold {fold}, never trained on"
    )
    save_operating_point(point, folder)
    loaded = checkpoint.load(folder / "weights")  # anew: the Predictor has folded its own network's norms
    checkpoint.save(folder / "weights", loaded.network, loaded.preprocess, point, fingerprint, {})
    predictor = Predictor.load(folder / "weights", device)
    table = evaluate_cases(predictor, held_out)
    title = f"BUSI fold {fold}, held out"
    write_report(table, folder / "evaluation", title, predictor.checkpoint.weights_sha256, fingerprint["recipe"])
    print((folder / "evaluation" / "report.md").read_text(encoding="utf-8"))
    return table


def cross_validate(arguments, config, cases, folder: Path):
    """Hold out each fold in turn; report on the pooled predictions, each fold calibrated by the others."""
    tables = [train(arguments, config, cases, fold, folder / f"fold{fold}") for fold in range(N_FOLDS)]
    pooled = calibrate.cross_fitted(pd.concat(tables, ignore_index=True))
    points = [read_operating_point(folder / f"fold{fold}") for fold in range(N_FOLDS)]
    point = dataclasses.replace(
        points[0],
        temperature=calibrate.class_temperature(pooled),
        mask_temperature=sum(p.mask_temperature for p in points) / N_FOLDS,
        fitted_on=f"the {len(pooled)} scored out-of-fold images of five folds",
    )
    save_operating_point(point, folder)
    title = "BUSI, five folds, out of fold"
    write_report(pooled, folder / "evaluation", title, "five networks", recipe(config, arguments))
    print((folder / "evaluation" / "report.md").read_text(encoding="utf-8"))


def save_operating_point(point: OperatingPoint, folder):
    checkpoint.write_json(dataclasses.asdict(point), Path(folder) / "operating_point.json")


def read_operating_point(folder) -> OperatingPoint:
    if folder is None:
        print("No --operating-point given: probabilities will be uncalibrated.", file=sys.stderr)
        return OperatingPoint()
    path = Path(folder) / "operating_point.json"
    if not path.is_file():
        raise RunError(f"{folder} holds no operating_point.json. Name the folder of a run that held out a fold.")
    return OperatingPoint.from_dict(json.loads(path.read_text(encoding="utf-8")))


def main(arguments=None) -> int:
    arguments = parse_arguments(arguments)
    folder = Path(arguments.out)
    try:
        config = TrainConfig(**{f.name: getattr(arguments, f.name) for f in dataclasses.fields(TrainConfig)})
        cases = find_cases(arguments.data, arguments.manifest)
        folder.mkdir(parents=True, exist_ok=True)
        if not arguments.manifest:
            write_manifest(cases, folder / "split.csv")
            print(f"No manifest: near-duplicates were kept together; the split is in {folder / 'split.csv'}.")
        if arguments.cross_validate:
            cross_validate(arguments, config, cases, folder)
        elif arguments.folds == "all":
            train(arguments, config, cases, None, folder)
        elif arguments.folds in [str(k) for k in range(N_FOLDS)]:
            train(arguments, config, cases, int(arguments.folds), folder)
        else:
            raise RunError(f"--folds is {arguments.folds!r}; 0 to {N_FOLDS - 1}, or all, is expected.")
    except (CaseError, RunError, RuntimeError, ValueError) as error:
        print(f"train.py: {error}", file=sys.stderr)
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
