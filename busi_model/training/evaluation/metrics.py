"""A table with one row a case becomes figures with intervals. No images here, no network: numbers in, numbers out.

Undefined is NaN and is counted, never 0 or 1: Dice of a normal image, HD95 when either mask is empty, AUC without
both classes. Intervals are bootstraps of whole groups (`intervals`), so that twins and one patient's images move
together (for clustered images see Metrics Reloaded, Nat Methods 2024).
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy.ndimage import binary_erosion, distance_transform_edt
from scipy.special import softmax
from scipy.stats import rankdata
from sklearn.metrics import confusion_matrix

from busi_model.intervals import LIMITS, N_RESAMPLES, drawn_groups
from busi_model.names import CLASS_NAMES

MISSED_BELOW = 0.1  # Dice under which a lesion counts as not found at all
SIZE_EDGES = (0.03, 0.10)  # share of the image: small below 3 %, large from 10 %; about a third of BUSI each
SIZE_NAMES = ("small", "medium", "large")
CALIBRATION_BINS = 10
PROBABILITY_COLUMNS = [f"p_{name}" for name in CLASS_NAMES]
LOGIT_COLUMNS = [f"logit_{name}" for name in CLASS_NAMES]


def mask_figures(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Masks bool (H, W) -> dice, iou, hd95_px. All NaN without a reference lesion; HD95 also when nothing was found."""
    overlap = dice(found, truth)
    both = found.any() and truth.any()
    hd95_px = _hd95(found, truth) if both else float("nan")
    return {"dice": overlap, "iou": overlap / (2 - overlap), "hd95_px": hd95_px}


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Masks bool (H, W) -> `mask_figures`' Dice, without what takes longer."""
    n_truth = np.count_nonzero(truth)
    return 2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + n_truth) if n_truth else float("nan")


def _hd95(found: np.ndarray, truth: np.ndarray) -> float:
    """95 % of each contour lie within so many pixels of the other, the farther of both (Maier-Hein et al., Metrics
    Reloaded, Nat Methods 2024). A contour is a mask's outermost pixels."""
    one, other = (mask & ~binary_erosion(mask) for mask in (found, truth))
    away = (distance_transform_edt(~target)[contour] for contour, target in ((one, other), (other, one)))
    return max(float(np.percentile(distances, 95)) for distances in away)


def size_name(lesion_share: float) -> str:
    """Lesion area as a share of the image -> small, medium or large."""
    return SIZE_NAMES[int(np.digitize(lesion_share, SIZE_EDGES))]


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """(N, K) probabilities, (N,) class numbers -> ECE of the top label, ten equal bins (Guo et al., ICML 2017)."""
    bins = reliability(probabilities, labels)
    return sum(b["n"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / len(labels)


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> list[dict]:
    """Non-empty bins of top-label confidence: n, mean confidence, accuracy, and the bin's edges."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "low": b / CALIBRATION_BINS,
            "high": (b + 1) / CALIBRATION_BINS,
            "n": int((which == b).sum()),
            "confidence": float(confidence[which == b].mean()),
            "accuracy": float(correct[which == b].mean()),
        }
        for b in range(CALIBRATION_BINS)
        if (which == b).any()
    ]


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean squared distance to the one-hot truth, 0 (perfect) to 2 (Brier 1950)."""
    return float(((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1).mean())


def area_under_roc(score: np.ndarray, positive: np.ndarray) -> float:
    """Scores (N,), truth bool (N,) -> the area under the curve, from ranks (Mann-Whitney: a report asks 5000 times, and
    scikit-learn looks over its arguments for ten times as long); NaN with one class only."""
    n = np.count_nonzero(positive)
    if n in (0, len(positive)):
        return float("nan")
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * (len(positive) - n)))


def sensitivity_at_specificity(score: np.ndarray, positive: np.ndarray, specificity: float = 0.9) -> float:
    """Largest sensitivity of any threshold whose specificity is at least the given one; NaN with one class only."""
    if positive.all() or not positive.any():
        return float("nan")
    negatives = np.sort(score[~positive])
    allowed = int((1 - specificity + 1e-12) * len(negatives))  # so many of them may reach the threshold
    if allowed == len(negatives):
        return 1.0
    return float((score[positive] > negatives[-1 - allowed]).mean())


# One row a case, columns as `evaluate.evaluate_cases` writes them: a DataFrame, or its columns in a dict.
Table: TypeAlias = pd.DataFrame | Mapping[str, np.ndarray]


def case_figures(table: Table) -> dict[str, float]:
    """Every figure of the report."""
    return outline_figures(table) | class_figures(table)


def outline_figures(table: Table) -> dict[str, float]:
    figures = {}
    names, sizes, dice, iou, hd95_px, found_px2 = (
        np.asarray(table[c]) for c in ("class_name", "size", "dice", "iou", "hd95_px", "found_px2")
    )
    lesions, normal = names != "normal", names == "normal"
    parts = {"": lesions}
    parts |= {f"_{name}": lesions & (names == name) for name in CLASS_NAMES[:2]}
    parts |= {f"_{name}": lesions & (sizes == name) for name in SIZE_NAMES}
    for suffix, part in parts.items():
        figures[f"dice_mean{suffix}"] = _nan_if_empty(np.mean, dice[part])
        figures[f"dice_median{suffix}"] = _nan_if_empty(np.median, dice[part])
        figures[f"iou_mean{suffix}"] = _nan_if_empty(np.mean, iou[part])
        figures[f"missed{suffix}"] = _nan_if_empty(np.mean, dice[part] < MISSED_BELOW)
    figures["hd95_median_px"] = _nan_if_empty(np.median, hd95_px[lesions & ~np.isnan(hd95_px)])
    figures["normal_outlined"] = _nan_if_empty(np.mean, found_px2[normal] > 0)
    return figures


def class_figures(table: Table) -> dict[str, float]:
    labels = (np.asarray(table["class_name"])[:, None] == np.array(CLASS_NAMES)).argmax(axis=1)
    probabilities = np.stack([table[c] for c in PROBABILITY_COLUMNS], axis=1)
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    n, n_predicted, n_right = (np.bincount(k, minlength=len(CLASS_NAMES)) for k in (labels, predicted, labels[right]))
    present = n > 0
    recall, f1 = n_right / np.maximum(n, 1), 2 * n_right / np.maximum(n + n_predicted, 1)
    figures = {
        "accuracy": right.mean(),
        "balanced_accuracy": recall[present].mean(),
        "f1_macro": f1[present].mean(),
        "f1_weighted": np.average(f1, weights=n),
    }
    for i, name in enumerate(CLASS_NAMES):
        figures[f"f1_{name}"] = f1[i] if present[i] else float("nan")
    for i, name in enumerate(CLASS_NAMES):
        figures[f"auc_{name}"] = area_under_roc(probabilities[:, i], labels == i)
    malignant = CLASS_NAMES.index("malignant")
    lesion = labels != CLASS_NAMES.index("normal")
    figures["auc_benign_malignant"] = _lesion_auc(probabilities[lesion], labels[lesion] == malignant)
    figures["malignant_sensitivity_at_90_specificity"] = sensitivity_at_specificity(
        probabilities[:, malignant], labels == malignant
    )
    figures["ece"] = expected_calibration_error(probabilities, labels)
    logits = np.stack([table[c] for c in LOGIT_COLUMNS], axis=1)
    figures["ece_before_calibration"] = expected_calibration_error(softmax(logits, axis=1), labels)
    figures["brier"] = brier_score(probabilities, labels)
    return {name: float(value) for name, value in figures.items()}


def _lesion_auc(probabilities: np.ndarray, malignant: np.ndarray) -> float:
    """Among images of lesions, by the probability of malignant against benign, "normal" left out of account."""
    pair = probabilities[:, [CLASS_NAMES.index("benign"), CLASS_NAMES.index("malignant")]]
    return area_under_roc(pair[:, 1] / np.maximum(pair.sum(axis=1), 1e-12), malignant)


def _nan_if_empty(function: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    return float(function(values)) if len(values) else float("nan")


def with_intervals(
    table: pd.DataFrame,
    resamples: int = N_RESAMPLES,
    seed: int = 0,
    figures: Callable[[Table], dict[str, float]] = case_figures,
) -> dict[str, dict[str, float]]:
    """Every figure with its 95 % interval: {name: {"value", "low", "high"}}, by resampling whole groups. figures: which
    ones, where not all of them are asked for."""
    rng = np.random.default_rng(seed)
    values = figures(table)
    rows_of_group = list(table.groupby("group", sort=True).indices.values())
    columns = {name: table[name].to_numpy() for name in table}  # a thousand DataFrames would take ten times as long
    of_resample = []
    for chosen in drawn_groups(len(rows_of_group), rng, resamples):
        rows = np.concatenate([rows_of_group[g] for g in chosen])
        of_resample.append(figures({name: column[rows] for name, column in columns.items()}))
    drawn = pd.DataFrame(of_resample)
    result = {}
    for name, value in values.items():
        defined = drawn[name].dropna()
        low, high = np.percentile(defined, LIMITS) if len(defined) and value == value else (np.nan, np.nan)
        result[name] = {"value": value, "low": float(low), "high": float(high)}
    return result


def confusion(table: pd.DataFrame) -> np.ndarray:
    """Counts (3, 3): truth by row, prediction by column, in the order of CLASS_NAMES."""
    return confusion_matrix(table["class_name"], table["predicted"], labels=list(CLASS_NAMES))
