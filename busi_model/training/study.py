"""A study: networks that each never saw a part of the data are judged on that part.

Enters: hospitals. Leaves: run folders with weights, an operating point fitted on predictions for images that their
networks never saw, and reports. The part that is held out is a fold (the home report), a hospital (the abroad report)
or nothing (the release). Whatever it is, the steps are the same: fit, predict, calibrate on the other parts, evaluate.
"""

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from busi_model.files import write_json
from busi_model.model import checkpoint
from busi_model.model.operating_point import OperatingPoint
from busi_model.predict import Predictor
from busi_model.training.calibration import calibrate
from busi_model.training.data.cases import Case, Hospital
from busi_model.training.data.splits import Part, check_parts, everything
from busi_model.training.evaluation.evaluate import evaluate_cases, write_report
from busi_model.training.evaluation.plots import WORST_NAME, write_worst
from busi_model.training.evaluation.report import write_summary
from busi_model.training.evaluation.subgroups import with_rates
from busi_model.training.fitting import distributed
from busi_model.training.fitting.drawn_marks import paint_marks
from busi_model.training.fitting.recipe import RunError
from busi_model.training.one_network import Settings, fit_part, recipe
from busi_model.training.ood.refusals import fitted_detector, measured_limits

MARKED_CASES = 150  # of each hospital, on which marks are painted to look for a shortcut


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
    limits = measured_limits(settings.device, parts, folders, folder)
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
    detector = fitted_detector(Predictor.load(folder / "weights", settings.device), part)
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
