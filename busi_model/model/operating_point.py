"""Everything that turns the network's logits into a decision, in one place and stored with the weights.

The network returns logits; `Predictor` makes probabilities with these temperatures; only this module decides. What is
known of those decisions (how often they were right, on which images) is kept beside them, so that a page can say so.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.special import softmax

from busi_model.frame import strips

FAINTEST = 0.02  # probability below which no pixel is lesion, however faint the lesion
CORE_SHARE = 0.0023  # of the network's square (150 pixels of 256 x 256): the core of an outline


@dataclass(frozen=True)
class Rate:
    """A share that was measured, with its 95 % interval (bootstrap of groups) and the number of images it is of."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Threshold:
    """One way to call images suspicious of malignancy, for a clinician to pick."""

    name: str  # "balanced" or "sensitive"
    malignant_probability: float  # suspicious from this calibrated probability on
    sensitivity: Rate | None  # of malignant images; None: not measured
    specificity: Rate | None  # of all others


@dataclass(frozen=True)
class ReliabilityBin:
    """What became of the images whose calibrated probability of one class lay in [low, high)."""

    class_name: str
    low: float
    high: float
    observed: Rate  # share that truly was of the class


@dataclass(frozen=True)
class OperatingPoint:
    """Temperatures and thresholds, fitted on predictions for images that the weights never saw."""

    temperature: float = 1.0  # divides class logits; 1 = as trained
    class_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)  # added after that: training weighs rare classes up
    class_mix: tuple[float, float, float] | None = None  # shares of the classes that the probabilities assume
    mask_temperature: float = 1.0  # divides mask logits
    mask_threshold: float = 0.5  # calibrated mask probability from which a pixel is lesion
    faint_share: float | None = None  # of the surest pixels' probability, from which it is in a fainter lesion too
    min_lesion_share: float = 0.001  # smaller spots than this share of the image are dropped as specks
    least_evidence: float = 0.0  # of a lesion (`evidence`), below which nothing is outlined
    ood_score: float | None = None  # `OodDetector`'s, from which a picture is no breast ultrasound; None: unknown
    ood_distance: float | None = None  # likewise; either is enough
    low_confidence: float = 0.6  # below this probability of the likeliest class a warning is given
    thresholds: tuple[Threshold, ...] = ()  # empty: not measured
    conformal_probability: float = 1.0  # classes from this probability on are in the class set; 1 = only the likeliest
    conformal_coverage: Rate | None = None  # how often the class set held the truth
    margin_inside: float = 0.5  # mask probability from which a pixel is surely inside the lesion
    margin_outside: float = 0.5  # mask probability below which it is surely outside; the margin band lies between
    margin_coverage: Rate | None = None  # share of the reference contour that lay in the band
    reliability: tuple[ReliabilityBin, ...] = ()
    fitted_on: str = "nothing: probabilities are as the network gives them"  # split, n and figures, in words

    def __post_init__(self) -> None:
        if not (self.temperature >= 1e-3 and self.mask_temperature >= 1e-3):
            found = f"Temperatures are {self.temperature} and {self.mask_temperature}"
            raise ValueError(f"{found}; both must be above 0, at least 0.001.")
        if not 0 < self.mask_threshold < 1:
            raise ValueError(f"mask_threshold is {self.mask_threshold}; a probability in (0, 1) is expected.")
        if self.faint_share is not None and not 0 < self.faint_share < 1:
            raise ValueError(f"faint_share is {self.faint_share}; a share in (0, 1) or none is expected.")
        if not self.margin_outside <= self.margin_inside:
            raise ValueError(
                f"margin_outside is {self.margin_outside} and margin_inside {self.margin_inside}; "
                "outside must not be above inside."
            )

    @classmethod
    def from_dict(cls, content: dict) -> "OperatingPoint":
        """The inverse of `dataclasses.asdict`, as read from JSON. Raises TypeError or ValueError on other content."""

        def rate(value: dict[str, Any] | None) -> Rate | None:
            if value is None:
                return None
            known: dict[str, Any] = {key: math.nan if item is None else item for key, item in value.items()}
            return Rate(**known)  # JSON has no NaN

        content = dict(content)
        content.pop("silent_from_normal", None)  # of older weights: the class alone decided
        if "gate_distance" in content:  # of older weights
            content["ood_distance"] = content.pop("gate_distance")
        content["class_bias"] = tuple(content.get("class_bias", cls.class_bias))
        if content.get("class_mix") is not None:
            content["class_mix"] = tuple(content["class_mix"])
        for name in ("conformal_coverage", "margin_coverage"):
            content[name] = rate(content.get(name))
        content["thresholds"] = tuple(
            Threshold(**{**t, "sensitivity": rate(t["sensitivity"]), "specificity": rate(t["specificity"])})
            for t in content.get("thresholds", ())
        )
        content["reliability"] = tuple(
            ReliabilityBin(**{**b, "observed": rate(b["observed"])}) for b in content.get("reliability", ())
        )
        return cls(**content)

    def class_probabilities(self, class_logits: np.ndarray) -> np.ndarray:
        """Logits (..., 3) -> probabilities (..., 3) that sum to 1, by a temperature and a bias for each class (Guo et
        al., ICML 2017: temperature and vector scaling)."""
        scaled = np.asarray(class_logits, np.float64) / self.temperature + np.array(self.class_bias)
        return softmax(scaled, axis=-1)

    def mask_probability(self, mask_logits: np.ndarray) -> np.ndarray:
        """Logits, any shape -> float32 probabilities in [0, 1], same shape."""
        clipped = np.clip(mask_logits / self.mask_temperature, -30.0, 30.0)  # exp(30) is far from overflow
        return (1.0 / (1.0 + np.exp(-clipped))).astype(np.float32)

    def core(self, square_probability: np.ndarray) -> float:
        """Mask probability (S, S) in the network's square -> the mean of its surest pixels."""
        surest = max(1, round(CORE_SHARE * square_probability.size))
        return float(np.partition(square_probability, -surest, axis=None)[-surest:].mean())

    def evidence(self, core: float, normal_probability: float) -> float:
        """Mean of an image's surest pixels (`core`), probability of "normal" -> how sure either head is that
        there is a lesion: that mean, or the probability that the image is not normal. Where the
        class alone decides, too many outlines fall silent in a hospital that it has not seen (docs/experiments.md)."""
        return max(core, 1.0 - normal_probability)

    def pixel_threshold(self, core: float) -> float:
        """Mean of an image's surest pixels (`core`) -> the probability from which a pixel of it is lesion. In a
        hospital that it has not seen the network finds many a lesion without being sure of a single pixel: its outline
        lies where the probability has fallen to a share of its peak."""
        if self.faint_share is None:
            return self.mask_threshold
        return max(FAINTEST, min(self.mask_threshold, self.faint_share * core))

    def mask(self, mask_probability: np.ndarray, evidence: float = 1.0, threshold: float | None = None) -> np.ndarray:
        """Probability (H, W) -> bool (H, W): from the threshold on (`pixel_threshold`; `mask_threshold` if not given),
        holes filled, specks dropped; empty with too little evidence of a lesion."""
        if evidence < self.least_evidence:
            return np.zeros(mask_probability.shape, bool)
        mask = mask_probability >= (self.mask_threshold if threshold is None else threshold)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size:
            outlined = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            _fill_holes(outlined)
            _drop_specks(outlined, self.min_lesion_share * mask.size)
        return mask

    def is_out_of_distribution(self, score: float, distance: float) -> bool:
        """Whether a picture with this score and distance of `OodDetector` is no breast ultrasound. NaN: not known."""
        limits = (score, self.ood_score), (distance, self.ood_distance)
        return any(limit is not None and value >= limit for value, limit in limits)

    def margin(self, mask_probability: np.ndarray) -> np.ndarray:
        """Probability (H, W) -> bool (H, W): the band between surely outside and surely inside, where the contour of
        a lesion could reasonably lie."""
        return (mask_probability >= self.margin_outside) & (mask_probability < self.margin_inside)

    def threshold(self, name: str | None) -> Threshold | None:
        """The threshold of that name; None where none was fitted."""
        return next((t for t in self.thresholds if t.name == name), None)

    def class_set(self, class_probabilities: dict[str, float], threshold: str = "balanced") -> tuple[str, ...]:
        """The classes that cannot be ruled out, likeliest first: the likeliest and all that reach
        `conformal_probability` (split conformal prediction with the score 1 - p: Sadinle et al., JASA 2019), and
        malignant from the malignant threshold in use on: what is called suspicious is not ruled out."""
        ranked = sorted(class_probabilities, key=class_probabilities.__getitem__, reverse=True)
        in_use = self.threshold(threshold)
        least = dict.fromkeys(ranked, self.conformal_probability)
        if in_use:
            least["malignant"] = min(least["malignant"], in_use.malignant_probability)
        return tuple(name for i, name in enumerate(ranked) if i == 0 or class_probabilities[name] >= least[name])

    def observed(self, class_name: str, probability: float) -> ReliabilityBin | None:
        """What became of images that were given such a probability of this class; None where that was not measured."""
        for b in self.reliability:
            if b.class_name == class_name and b.low <= probability < b.high + (b.high == 1.0):
                return b
        return None


def _fill_holes(mask: np.ndarray) -> None:
    """All but the background that reaches the border, in place; ndimage.binary_fill_holes says the same ten times
    slower."""
    background, _ = ndimage.label(np.pad(~mask, 1, constant_values=True))
    np.not_equal(background[1:-1, 1:-1], background[0, 0], out=mask)


def _drop_specks(mask: np.ndarray, least_px2: float) -> None:
    """Regions smaller than that, in place."""
    labels, count = ndimage.label(mask)
    area_px2 = np.zeros(count + 1, np.int64)
    for rows in strips(*mask.shape):
        area_px2 += np.bincount(labels[rows].ravel(), minlength=count + 1)
    keep = area_px2 >= least_px2
    keep[0] = False
    for rows in strips(*mask.shape):
        mask[rows] = keep[labels[rows]]
