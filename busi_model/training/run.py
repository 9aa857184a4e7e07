"""A run folder: its weights judge the cases that it never saw, and it keeps its operating point and its reports."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from busi_model import checkpoint
from busi_model.operating_point import OperatingPoint
from busi_model.predict import Predictor
from busi_model.training import calibrate
from busi_model.training.augment import paint_marks
from busi_model.training.cases import Case
from busi_model.training.evaluate import evaluate_cases, write_report
from busi_model.training.fit import RunError

N_PARTS = 5  # of the held-out images, for cross-fitting


def predict(folder: Path, held_out: list[list[Case]], device) -> list[calibrate.HeldOut]:
    """What a run's network says of its held-out cases, one list a hospital, before any decision."""
    predictor = Predictor.load(folder / "weights", device)
    return [calibrate.predict_held_out(predictor, hospital) for hospital in held_out]


def store_operating_point(folder: Path, point: OperatingPoint):
    """Put a run's operating point beside its weights and into them."""
    loaded = checkpoint.load(folder / "weights")
    _store(folder / "weights", loaded, point, loaded.ood)
    write_operating_point(point, folder)


def evaluate_with(folder: Path, point: OperatingPoint, held_out: list[list[Case]], device) -> list[list[pd.DataFrame]]:
    """Tables of a run's held-out cases through its weights with this operating point, one a hospital: as the images
    are, and with calipers and text painted on them."""
    store_operating_point(folder, point)
    predictor = Predictor.load(folder / "weights", device)
    return [
        [evaluate_cases(predictor, hospital, paint=paint) for hospital in held_out] for paint in (None, paint_marks)
    ]


def report(tables, marked, folder: Path, what: str, weights: str, recipe: dict, calibrated_on: str):
    """Write and print one report a hospital: RUN/evaluation for the first, RUN/evaluation-SOURCE for others."""
    for number, (table, with_marks) in enumerate(zip(tables, marked, strict=True)):
        source = table["source"].iloc[0]
        folds = table["fold"].unique()
        which = f" fold {folds[0]}" if len(folds) == 1 else f", {len(folds)} folds"
        place = folder / ("evaluation" if number == 0 else f"evaluation-{source}")
        write_report(table, place, f"{source}{which}, {what}", weights, recipe, calibrated_on, marked=with_marks)
        print((place / "report.md").read_text(encoding="utf-8"))
        print(f"{place} holds this report, plots and one row a case.")


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


def recalibrate(weights: Path, hospitals: list[list[Case]], trained_on: list[list[Case]], folder: Path, device) -> None:
    """Give weights a gate and an operating point fitted on images that they never saw, and report what both are worth.

    hospitals: scored cases, one list a hospital. trained_on: what the weights were trained on, for the gate. The rates
    and the reports in `folder` are cross-fitted: each fifth of the groups is judged by a point fitted on the others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    loaded = checkpoint.load(weights)
    gate = calibrate.fit_training_gate(Predictor.load(weights, device), trained_on)
    _store(weights, loaded, loaded.operating_point, gate)
    predictor = Predictor.load(weights, device)
    held_out = [calibrate.predict_held_out(predictor, cases) for cases in hospitals]
    parts = [_parts(cases) for cases in hospitals]
    tables, marked = [[] for _ in hospitals], [[] for _ in hospitals]
    for part in range(N_PARTS):
        others = [h.where(p != part) for h, p in zip(held_out, parts, strict=True)]
        predictor.operating_point = calibrate.fit_operating_point(others, "the other parts")
        for i, cases in enumerate(hospitals):
            own = [c for c, p in zip(cases, parts[i], strict=True) if p == part]
            tables[i].append(evaluate_cases(predictor, own))
            marked[i].append(evaluate_cases(predictor, own, paint=paint_marks))
    tables, marked = ([pd.concat(t, ignore_index=True) for t in kind] for kind in (tables, marked))
    names = ", ".join(f"{len(cases)} of {cases[0].source} fold {cases[0].fold}" for cases in hospitals)
    point = calibrate.fit_operating_point(held_out, f"{sum(map(len, hospitals))} held-out images ({names})")
    point = calibrate.with_rates(point, pd.concat(tables, ignore_index=True))
    _store(weights, loaded, point, gate)
    write_operating_point(point, folder)
    recipe = loaded.training.get("recipe", {})
    report(tables, marked, folder, "held out", loaded.weights_sha256, recipe, "the other fifths of these images")


def _store(weights, loaded, point, gate):
    checkpoint.save(weights, loaded.network, loaded.preprocess, point, loaded.training, loaded.figures, gate)


def _parts(cases) -> np.ndarray:
    """Part numbers (N,): groups stay together, classes are spread."""
    labels, groups = ([getattr(c, name) for c in cases] for name in ("class_name", "group"))
    parts = np.zeros(len(cases), int)
    splitter = StratifiedGroupKFold(N_PARTS, shuffle=True, random_state=0)
    for part, (_, own) in enumerate(splitter.split(labels, labels, groups)):
        parts[own] = part
    return parts
