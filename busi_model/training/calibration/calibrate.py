"""Predictions for images that the weights never saw become the operating point: probabilities that mean what they say,
decisions whose price is known.

Few numbers, hard to overfit: a temperature for the mask, a temperature and two biases for the class (Guo et al., ICML
2017); the biases take back what class weights in training gave the rare classes. Each hospital counts alike, however
many images it sent, and the classes are weighed to one mix. What a fit claims of itself is checked on other images:
`subgroups.with_rates` measures on predictions whose own part took no part in the fit.
"""

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_erosion
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax
from sklearn.metrics import roc_curve
from tqdm import tqdm

from busi_model.model.operating_point import OperatingPoint, Threshold
from busi_model.names import CLASS_NAMES
from busi_model.predict import Predictor
from busi_model.training.data.cases import Case
from busi_model.training.evaluation import metrics

TEMPERATURE_RANGE = (0.2, 5.0)  # outside it something else is wrong than the scale
BIAS_RANGE = (-5.0, 5.0)
BIAS_PULL = 1e-3
PIXELS_PER_CASE = 500  # enough for one number, and no large lesion outweighs the rest
COVERAGE = 0.9  # of the conformal class sets
SENSITIVITY = 0.95  # of the threshold called "sensitive"
CONTOUR_SHARE = 0.8  # of the reference contour that the margin band shall hold
CLASS_MIX = (0.5, 0.3, 0.2)  # of benign, malignant, normal, that the probabilities assume: about the hospitals' mean
LEAST_OF_A_CLASS = 5  # images of a hospital, or it tells nothing of that class
DICE_PRICE = 0.005  # mean lesion Dice of the hospitals that may be paid for silence in normal images
MASK_THRESHOLDS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5)  # coarse: the best is broad
FAINT_SHARES = (0.4, 0.5, 0.6, 0.7)
MALIGNANT = CLASS_NAMES.index("malignant")


@dataclass(frozen=True)
class HeldOut:
    """What a network says of images that it never saw, before any decision, in the network's square."""

    hospital: str
    labels: np.ndarray  # class numbers (N,)
    class_logits: np.ndarray  # (N, 3)
    mask_logits: np.ndarray  # float16 (N, S, S)
    masks: np.ndarray  # bool (N, S, S)

    def where(self, chosen: np.ndarray) -> "HeldOut":
        """The images for which `chosen`, bool (N,), is true."""
        return HeldOut(self.hospital, *(getattr(self, f.name)[chosen] for f in dataclasses.fields(self)[1:]))


def predict_held_out(predictor: Predictor, cases: list[Case]) -> HeldOut:
    """Scored cases of one hospital -> what the predictor's network says of them."""
    class_logits, mask_logits, masks = [], [], []
    for case in tqdm(cases, desc="held-out images", unit="image", leave=False):
        frame, truth = case.read()
        class_logit, mask_logit, _ = (a[0] for a in predictor.logits([frame.gray]))
        class_logits.append(class_logit)
        mask_logits.append(mask_logit.astype(np.float16))
        masks.append(predictor.preprocess.square_mask(truth) > 127)
    labels = np.array([CLASS_NAMES.index(case.class_name) for case in cases])
    return HeldOut(cases[0].hospital, labels, *map(np.stack, (class_logits, mask_logits, masks)))


def fit_temperature(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Logits (N, K), class numbers (N,), weights (N,) -> the temperature with the least negative log-likelihood."""

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        top = scaled.max(axis=1)
        log_sum = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float(np.average(log_sum - scaled[np.arange(len(labels)), labels], weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURE_RANGE), method="bounded").x))


def fit_class_scaling(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[float, tuple[float, float, float]]:
    """Logits (N, 3), class numbers (N,), weights (N,) -> temperature and class bias with the least negative
    log-likelihood, and a slight pull of the bias towards 0. The bias of the last class is 0: only differences count.
    """

    def loss(x: np.ndarray) -> float:
        scaled = log_softmax(logits * np.exp(-x[0]) + np.array([x[1], x[2], 0.0]), axis=1)
        return -np.average(scaled[np.arange(len(labels)), labels], weights=weights) + BIAS_PULL * (x[1:] ** 2).sum()

    limits = [tuple(np.log(TEMPERATURE_RANGE)), BIAS_RANGE, BIAS_RANGE]
    found = minimize(loss, np.zeros(3), bounds=limits).x
    return float(np.exp(found[0])), (float(found[1]), float(found[2]), 0.0)


def hospital_weights(sizes: list[int]) -> np.ndarray:
    """Numbers of items a hospital -> a weight an item: each hospital counts alike."""
    return np.concatenate([np.full(n, 1 / n) for n in sizes])


def mix_weights(labels: list[np.ndarray]) -> np.ndarray:
    """Class numbers, (N,) a hospital -> a weight an image: the classes make up CLASS_MIX, and each hospital that has a
    class counts alike in it. Otherwise the bias of "normal" would follow which hospitals sent normal images: in one of
    four left out three in five images are normal, in two hardly any."""
    counts = np.stack([np.bincount(own, minlength=len(CLASS_NAMES)) for own in labels])  # (hospitals, 3)
    counts = np.where((counts >= LEAST_OF_A_CLASS) | (counts == counts.max(axis=0)), counts, 0)
    told = np.maximum((counts > 0).sum(axis=0), 1)
    weights = np.where(counts > 0, np.array(CLASS_MIX) / told / np.maximum(counts, 1), 0.0)
    return np.concatenate([row[own] for row, own in zip(weights, labels, strict=True)])


def _by_hospital(held_out: list[HeldOut]) -> list[HeldOut]:
    """Join the parts of each hospital."""
    joined = []
    for hospital in dict.fromkeys(h.hospital for h in held_out):
        parts = [h for h in held_out if h.hospital == hospital]
        arrays = [np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(HeldOut)[1:]]
        joined.append(HeldOut(hospital, *arrays))
    return joined


def fit_operating_point(held_out: list[HeldOut], fitted_on: str) -> OperatingPoint:
    """Held-out predictions of one or several networks -> temperatures and thresholds, without rates."""
    hospitals = _by_hospital(held_out)
    labels = np.concatenate([s.labels for s in hospitals])
    logits = np.concatenate([s.class_logits for s in hospitals])
    weights = mix_weights([s.labels for s in hospitals])
    temperature, class_bias = fit_class_scaling(logits, labels, weights)
    benign, malignant, normal = (float(np.average(labels == k, weights=weights)) for k in range(len(CLASS_NAMES)))
    point = OperatingPoint(
        temperature=temperature,
        class_bias=class_bias,
        class_mix=(benign, malignant, normal),
        mask_temperature=mask_temperature(hospitals),
        fitted_on=fitted_on,
    )
    point = dataclasses.replace(point, **pixel_thresholds(hospitals, point))
    probabilities = point.class_probabilities(logits)
    return dataclasses.replace(
        point,
        least_evidence=least_evidence(hospitals, point),
        conformal_probability=conformal_probability(probabilities, labels, weights),
        thresholds=thresholds(probabilities, labels, weights),
        **margins(hospitals, point),
    )


def thresholds(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[Threshold, ...]:
    """Calibrated probabilities (N, 3), class numbers (N,), weights (N,) -> "balanced", where sensitivity + specificity
    is greatest (Youden, Cancer 1950), and "sensitive", the highest with a sensitivity of at least SENSITIVITY; not
    measured. None without both malignant images and others: there is nothing to choose by."""
    score, malignant = probabilities[:, MALIGNANT], labels == MALIGNANT
    if malignant.all() or not malignant.any():
        return ()
    false_positive_rate, sensitivity, candidates = roc_curve(malignant, score, sample_weight=weights)
    balanced = min(1.0, candidates[np.argmax(sensitivity - false_positive_rate)])
    sensitive = candidates[np.argmax(sensitivity >= SENSITIVITY)]
    return Threshold("balanced", float(balanced), None, None), Threshold("sensitive", float(sensitive), None, None)


def conformal_probability(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """The probability from which a class stays in the set, so that the set holds the truth in COVERAGE of the cases."""
    truth = probabilities[np.arange(len(labels)), labels]
    corrected = min(1.0, COVERAGE * (1 + 1 / len(labels)))  # finite sample: (n + 1) / n
    return _weighted_quantile(truth, weights, 1 - corrected)


def margins(hospitals: list[HeldOut], point: OperatingPoint) -> dict[str, Any]:
    """The fields of the margin band, margin_inside and margin_outside: it holds CONTOUR_SHARE of the reference contours
    of lesions that were found, each lesion counting alike."""
    distances, weights = [], []
    for hospital in hospitals:
        for logits, mask in zip(hospital.mask_logits, hospital.masks, strict=True):
            found = point.mask(point.mask_probability(logits.astype(np.float32)))  # not faint: those tell no contour
            if 2 * (found & mask).sum() > metrics.MISSED_BELOW * (found.sum() + mask.sum()):
                contour = mask & ~binary_erosion(mask, border_value=0)
                distances.append(np.abs(logits[contour].astype(np.float64)) / point.mask_temperature)
                weights.append(np.full(len(distances[-1]), 1 / len(distances[-1]) / len(hospital.labels)))
    half = 0.0  # of the band's width, in calibrated logits
    if distances:
        half = _weighted_quantile(np.concatenate(distances), np.concatenate(weights), CONTOUR_SHARE)
    return {"margin_inside": float(expit(half)), "margin_outside": float(expit(-half))}


def pixel_thresholds(hospitals: list[HeldOut], point: OperatingPoint) -> dict[str, Any]:
    """The fields mask_threshold and faint_share with the greatest mean Dice of the lesions, each hospital counting
    alike. One half, the likeliest value of each pixel, draws too little: what is not sure is left out twice over."""
    candidates = [
        dataclasses.replace(point, mask_threshold=threshold, faint_share=share)
        for threshold, share in itertools.product(MASK_THRESHOLDS, FAINT_SHARES)
    ]
    of_hospital = []
    for hospital in hospitals:
        dice = []
        for logits, mask in zip(hospital.mask_logits, hospital.masks, strict=True):
            if not mask.any():
                continue
            square = point.mask_probability(logits.astype(np.float32))
            core, inside = point.core(square), square[mask]
            thresholds = [candidate.pixel_threshold(core) for candidate in candidates]
            of_threshold = {
                t: 2 * np.count_nonzero(inside >= t) / (np.count_nonzero(square >= t) + inside.size)
                for t in set(thresholds)
            }
            dice.append([of_threshold[t] for t in thresholds])
        if dice:
            of_hospital.append(np.mean(dice, axis=0))
    if not of_hospital:
        return {}
    best = candidates[int(np.argmax(np.mean(of_hospital, axis=0)))]
    return {"mask_threshold": best.mask_threshold, "faint_share": best.faint_share}


def least_evidence(hospitals: list[HeldOut], point: OperatingPoint) -> float:
    """The most evidence that may be asked of an outline: on average it costs the hospitals DICE_PRICE at most."""
    evidence, price = [], []
    for hospital in hospitals:
        normal = point.class_probabilities(hospital.class_logits)[:, CLASS_NAMES.index("normal")]
        n_lesions = max(1, hospital.masks.any(axis=(1, 2)).sum())
        for logits, mask, p in zip(hospital.mask_logits, hospital.masks, normal, strict=True):
            square = point.mask_probability(logits.astype(np.float32))
            core = point.core(square)
            evidence.append(point.evidence(core, p))
            outlined = point.mask(square, threshold=point.pixel_threshold(core))
            dice = np.nan_to_num(metrics.dice(outlined, mask))  # a normal has nothing to lose
            price.append(dice / n_lesions / len(hospitals))
    order = np.argsort(evidence)
    affordable = int((np.cumsum(np.array(price)[order]) <= DICE_PRICE).sum())  # lost when all up to here fall silent
    return float(np.append(np.array(evidence)[order], 1.0)[affordable])


def _weighted_quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(cumulative, share)), len(values) - 1)])


def mask_temperature(hospitals: list[HeldOut], seed: int = 0) -> float:
    rng = np.random.default_rng(seed)
    logits, truth = [], []
    for hospital in hospitals:
        chosen = rng.integers(hospital.masks[0].size, size=(len(hospital.masks), PIXELS_PER_CASE))
        logits.append(np.take_along_axis(hospital.mask_logits.reshape(len(chosen), -1), chosen, axis=1).ravel())
        truth.append(np.take_along_axis(hospital.masks.reshape(len(chosen), -1), chosen, axis=1).ravel())
    weights = hospital_weights([len(t) for t in truth])
    one = np.concatenate(logits).astype(np.float64)
    return fit_temperature(np.stack([np.zeros_like(one), one], axis=1), np.concatenate(truth).astype(int), weights)
