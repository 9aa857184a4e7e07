"""A run folder: its weights judge the cases that it never saw, and it keeps its operating point and its reports."""

import dataclasses
import json
import sys
from pathlib import Path

import pandas as pd

from busi_model import checkpoint
from busi_model.operating_point import OperatingPoint
from busi_model.predict import Predictor
from busi_model.training import calibrate
from busi_model.training.augment import paint_marks
from busi_model.training.cases import Case
from busi_model.training.evaluate import evaluate_cases, write_report
from busi_model.training.fit import RunError


def predict(folder: Path, held_out: list[list[Case]], device) -> list[calibrate.HeldOut]:
    """What a run's network says of its held-out cases, one list a hospital, before any decision."""
    predictor = Predictor.load(folder / "weights", device)
    return [calibrate.predict_held_out(predictor, hospital) for hospital in held_out]


def store_operating_point(folder: Path, point: OperatingPoint):
    """Put a run's operating point beside its weights and into them."""
    loaded = checkpoint.load(folder / "weights")
    checkpoint.save(
        folder / "weights", loaded.network, loaded.preprocess, point, loaded.training, loaded.figures, loaded.gate
    )
    write_operating_point(point, folder)


def evaluate_with(folder: Path, point: OperatingPoint, held_out: list[list[Case]], device) -> list[list[pd.DataFrame]]:
    """Tables of a run's held-out cases through its weights with this operating point, one a hospital: as the images
    are, and with calipers and text painted on them."""
    store_operating_point(folder, point)
    predictor = Predictor.load(folder / "weights", device)
    return [
        [evaluate_cases(predictor, hospital, paint=paint) for hospital in held_out] for paint in (None, paint_marks)
    ]


def report(tables, marked, folder: Path, what: str, weights: str, recipe: dict):
    """Write and print one report a hospital: RUN/evaluation for the first, RUN/evaluation-SOURCE for others."""
    for number, (table, with_marks) in enumerate(zip(tables, marked, strict=True)):
        source = table["source"].iloc[0]
        folds = table["fold"].unique()
        which = f" fold {folds[0]}" if len(folds) == 1 else f", {len(folds)} folds"
        place = folder / ("evaluation" if number == 0 else f"evaluation-{source}")
        write_report(table, place, f"{source}{which}, {what}", weights, recipe, marked=with_marks)
        print((place / "report.md").read_text(encoding="utf-8"))


def write_operating_point(point: OperatingPoint, folder):
    checkpoint.write_json(dataclasses.asdict(point), Path(folder) / "operating_point.json")


def read_operating_point(folder) -> OperatingPoint:
    if folder is None:
        print("No --operating-point given: probabilities will be uncalibrated.", file=sys.stderr)
        return OperatingPoint()
    path = Path(folder) / "operating_point.json"
    if not path.is_file():
        raise RunError(f"{folder} holds no operating_point.json. Name the folder of a run that held out a fold.")
    return OperatingPoint.from_dict(json.loads(path.read_text(encoding="utf-8")))
