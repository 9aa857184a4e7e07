"""Calibrate at your own hospital: some labelled images, an operating point that holds there.

Enters: weights with their operating point, cases of one hospital or several; where lesions are not outlined, the class
alone is fitted. Leaves: an operating point in a file of its own, which `BUSI_OPERATING_POINT`, `predict` and `evaluate`
take, and figures before and after. What cannot be fitted on so few images stays as it was and is named. The weights and
the detector of other pictures are not touched.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_softmax

from busi_model.files import write_json
from busi_model.intervals import N_RESAMPLES
from busi_model.model.operating_point import OperatingPoint
from busi_model.names import CLASS_NAMES, LEAST_TO_CALIBRATE
from busi_model.predict import Predictor
from busi_model.training.calibration import calibrate
from busi_model.training.calibration.calibrate import MALIGNANT, HeldOut
from busi_model.training.data.cases import Case, CaseError, spread_over_folds
from busi_model.training.evaluation.evaluate import evaluate_cases
from busi_model.training.evaluation.metrics import class_figures, with_intervals
from busi_model.training.evaluation.subgroups import reliability_figures, with_rates

NORMAL = CLASS_NAMES.index("normal")
LEAST_OF_A_CLASS = 5  # for its bias
LEAST_FOR_THRESHOLD = 20  # malignant images, and as many others: a sensitivity of .95 is one miss in 20
LEAST_LESIONS = 20  # outlined, for the outline's temperature and margin band
LEAST_NORMALS = 20  # for the evidence that an outline needs
BIAS_PULL = 0.02  # of a bias towards what the weights brought: one image tells little


@dataclass(frozen=True)
class Recalibrated:
    point: OperatingPoint
    kept: list[str]  # what could not be fitted and stays as the weights brought it, in words
    before: pd.DataFrame  # `evaluate_cases` with the weights' own operating point
    after: pd.DataFrame  # each fifth of the images by a point fitted on the others


def recalibrate(predictor: Predictor, cases: list[Case]) -> Recalibrated:
    """Raises CaseError with fewer than LEAST_TO_CALIBRATE images, or when the weights were trained on them."""
    if len(cases) < LEAST_TO_CALIBRATE:
        raise CaseError(
            f"{len(cases)} labelled images found; at least {LEAST_TO_CALIBRATE} are needed to calibrate. "
            "With fewer, keep the operating point that the weights bring."
        )
    seen = predictor.checkpoint.seen
    if known := [c.case_id for c in cases if c.fingerprint() in seen]:
        raise CaseError(
            f"{len(known)} of {len(cases)} images were used to train these weights, {known[0]} first: calibrated on "
            "them every probability would be too sure. Take images that the weights never saw."
        )
    base = predictor.operating_point
    held_out = [calibrate.predict_held_out(predictor, own) for own in _by_hospital(cases)]
    cases = [case for own in _by_hospital(cases) for case in own]
    folds = spread_over_folds([c.class_name for c in cases], [c.group for c in cases])
    place = np.cumsum([0, *(len(h.labels) for h in held_out)])
    before, after = evaluate_cases(predictor, cases), []
    try:
        for fold in np.unique(folds):
            others = [h.where(folds[a:b] != fold) for h, a, b in zip(held_out, place, place[1:], strict=False)]
            predictor.operating_point, _ = refit(base, [h for h in others if len(h.labels)])
            after.append(evaluate_cases(predictor, [c for c, f in zip(cases, folds, strict=True) if f == fold]))
    finally:
        predictor.operating_point = base
    after = pd.concat(after, ignore_index=True)
    point, kept = refit(base, held_out)
    names = ", ".join(f"{len(h.labels)} of {h.hospital}" for h in held_out)
    point = dataclasses.replace(
        point, fitted_on=f"{len(cases)} images of your own ({names}), on top of: {base.fitted_on}"
    )
    return Recalibrated(_with_known_rates(point, after, base), kept, before, after)


def _with_known_rates(point: OperatingPoint, table: pd.DataFrame, base: OperatingPoint) -> OperatingPoint:
    """`with_rates`; what no image here could tell is not measured, or known from before where nothing was changed."""

    measured = with_rates(point, table)
    thresholds = []
    for new in measured.thresholds:
        old = base.threshold(new.name)
        if old is None or old.malignant_probability != new.malignant_probability:
            old = dataclasses.replace(new, sensitivity=None, specificity=None)
        rates = {k: getattr(new if getattr(new, k).n else old, k) for k in ("sensitivity", "specificity")}
        thresholds.append(dataclasses.replace(new, **rates))
    margin_coverage = measured.margin_coverage
    if margin_coverage is None or not margin_coverage.n:
        same = (point.margin_inside, point.margin_outside) == (base.margin_inside, base.margin_outside)
        margin_coverage = base.margin_coverage if same else None
    return dataclasses.replace(measured, thresholds=tuple(thresholds), margin_coverage=margin_coverage)


def _by_hospital(cases: list[Case]) -> list[list[Case]]:
    names = dict.fromkeys(case.hospital for case in cases)
    return [[case for case in cases if case.hospital == name] for name in names]


def refit(base: OperatingPoint, held_out: list[HeldOut]) -> tuple[OperatingPoint, list[str]]:
    """An operating point, and predictions of one hospital or several -> the point changed as far as so many images
    allow, and what was kept, in words."""
    labels = np.concatenate([h.labels for h in held_out])
    logits = np.concatenate([h.class_logits for h in held_out])
    weights = calibrate.hospital_weights([len(h.labels) for h in held_out])
    counts = np.bincount(labels, minlength=len(CLASS_NAMES))
    free = counts >= LEAST_OF_A_CLASS
    kept = [
        f"the bias of {name} ({n} images, {LEAST_OF_A_CLASS} needed)"
        for name, n, enough in zip(CLASS_NAMES, counts, free, strict=True)
        if not enough
    ]
    benign, malignant, normal = (float(np.average(labels == k, weights=weights)) for k in range(len(CLASS_NAMES)))
    mix = (benign, malignant, normal)
    point = dataclasses.replace(base, class_mix=mix, **_class_scaling(base, logits, labels, weights, free))
    changes: dict[str, Any] = {}
    probabilities = point.class_probabilities(logits)
    changes["conformal_probability"] = calibrate.conformal_probability(probabilities, labels, weights)
    n_malignant, n_others = counts[MALIGNANT], counts.sum() - counts[MALIGNANT]
    if min(n_malignant, n_others) >= LEAST_FOR_THRESHOLD:
        changes["thresholds"] = calibrate.thresholds(probabilities, labels, weights)
    else:
        kept.append(
            f"the thresholds for malignant ({n_malignant} malignant and {n_others} other images, {LEAST_FOR_THRESHOLD} "
            "of each needed)"
        )
    outlined = [h.where(h.masks.any(axis=(1, 2)) | (h.labels == NORMAL)) for h in held_out]
    outlined = [h for h in outlined if len(h.labels)]
    n_lesions = sum(int((h.labels != NORMAL).sum()) for h in outlined)
    if n_lesions >= LEAST_LESIONS:
        point = dataclasses.replace(point, mask_temperature=calibrate.mask_temperature(outlined))
        changes |= calibrate.margins(outlined, point)
    else:
        kept.append(f"the outline's temperature and margin band ({n_lesions} outlined lesions, {LEAST_LESIONS} needed)")
    n_normals = counts[NORMAL]
    if n_lesions >= LEAST_LESIONS and n_normals >= LEAST_NORMALS:
        changes["least_evidence"] = calibrate.least_evidence(outlined, point)
    else:
        kept.append(
            f"the evidence that an outline needs ({n_lesions} outlined lesions and {n_normals} normal images, "
            f"{LEAST_LESIONS} and {LEAST_NORMALS} needed)"
        )
    kept.append("what turns away pictures that are no breast ultrasound")
    return dataclasses.replace(point, **changes), kept


def _class_scaling(
    base: OperatingPoint, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, free: np.ndarray
) -> dict[str, Any]:
    """Temperature and bias with the least negative log-likelihood, pulled towards those of `base`; classes with too
    few images keep their bias."""
    start = np.array([np.log(base.temperature), *base.class_bias])

    def loss(x: np.ndarray) -> float:
        moved = np.where(free, x[1:], start[1:])
        scaled = log_softmax(logits * np.exp(-x[0]) + moved, axis=1)
        pull = BIAS_PULL * ((x - start) ** 2).sum()
        return -np.average(scaled[np.arange(len(labels)), labels], weights=weights) + pull

    limits = [tuple(np.log(calibrate.TEMPERATURE_RANGE)), *[calibrate.BIAS_RANGE] * len(CLASS_NAMES)]
    x = minimize(loss, start, bounds=limits).x
    bias = np.where(free, x[1:], start[1:])
    return {"temperature": float(np.exp(x[0])), "class_bias": tuple(map(float, bias))}


def figures_before_and_after(result: Recalibrated, resamples: int = N_RESAMPLES) -> dict[str, dict[str, dict]]:
    """What it is of, in words -> "before" and "after" -> value, low, high: the 95 % interval."""
    rows = []
    for table in (result.before, result.after):
        figures = with_intervals(table, resamples, figures=class_figures)
        rates = reliability_figures(table)
        row = {"accuracy": figures["accuracy"], "calibration error (ECE)": figures["ece"]}
        for words in ("Class set holds the truth", *(k for k in rates if k.startswith(("Sensitivity", "Specificity")))):
            row[words.lower()] = dataclasses.asdict(rates[words])
        rows.append(row)
    return {words: {"before": before, "after": rows[1][words]} for words, before in rows[0].items()}


def comparison(result: Recalibrated, figures: dict[str, dict[str, dict]]) -> str:
    """Lines for the terminal. figures: of `figures_before_and_after`."""
    lines = [f"{len(result.after)} images; each fifth judged by an operating point fitted on the others.", ""]
    for words, both in figures.items():
        lines.append(f"{words:40} before {_interval(both['before'])}   after {_interval(both['after'])}")
    mix = ", ".join(
        f"{share:.0%} {name}" for name, share in zip(CLASS_NAMES, result.point.class_mix or (), strict=True)
    )
    lines += ["", f"The probabilities now assume the classes as they are mixed in these images: {mix}."]
    return "\n".join([*lines, "Kept as the weights brought it: " + "; ".join(result.kept) + "."])


def _interval(figure: dict) -> str:
    if figure["value"] is None or np.isnan(figure["value"]):
        return "-".ljust(19)
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})".ljust(19)


def write(result: Recalibrated, figures: dict, predictor: Predictor, cases: list[Case], path: Path | str) -> None:
    """The file that BUSI_OPERATING_POINT names; it says for which weights, which images it was fitted on, and what it
    is worth there (figures: of `figures_before_and_after`)."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "weights_sha256": predictor.checkpoint.weights_sha256,
        "operating_point": dataclasses.asdict(result.point),
        "kept": result.kept,
        "figures": figures,
        "fitted_on_images": sorted(c.fingerprint() for c in cases),
    }
    write_json(content, path)
