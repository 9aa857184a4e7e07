"""Everything that turns the network's logits into a decision, in one place and stored with the weights.

The network returns logits; `Predictor` makes probabilities with these temperatures; only this module decides.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class OperatingPoint:
    """Temperatures and thresholds, fitted on predictions for images that the weights never saw."""

    temperature: float = 1.0  # divides class logits; 1 = as trained
    mask_temperature: float = 1.0  # divides mask logits
    mask_threshold: float = 0.5  # calibrated mask probability from which a pixel is lesion
    min_lesion_share: float = 0.001  # smaller spots than this share of the image are dropped as specks
    low_confidence: float = 0.6  # below this probability of the likeliest class a warning is given
    fitted_on: str = "nothing: probabilities are as the network gives them"  # split, n and figures, in words

    def __post_init__(self):
        if not (self.temperature > 0 and self.mask_temperature > 0):
            raise ValueError(f"Temperatures are {self.temperature} and {self.mask_temperature}; both must be above 0.")
        if not 0 < self.mask_threshold < 1:
            raise ValueError(f"mask_threshold is {self.mask_threshold}; a probability in (0, 1) is expected.")

    def class_probabilities(self, class_logits: np.ndarray) -> np.ndarray:
        """Logits (..., 3) -> probabilities (..., 3) that sum to 1, by temperature (Guo et al., ICML 2017)."""
        scaled = np.asarray(class_logits, np.float64) / self.temperature
        scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        return scaled / scaled.sum(axis=-1, keepdims=True)

    def mask_probability(self, mask_logits: np.ndarray) -> np.ndarray:
        """Logits, any shape -> float32 probabilities in [0, 1], same shape."""
        clipped = np.clip(mask_logits / self.mask_temperature, -30.0, 30.0)  # exp(30) is far from overflow
        return (1.0 / (1.0 + np.exp(-clipped))).astype(np.float32)

    def mask(self, mask_probability: np.ndarray) -> np.ndarray:
        """Probability (H, W) -> bool (H, W): above threshold, holes filled, specks dropped."""
        filled = ndimage.binary_fill_holes(mask_probability >= self.mask_threshold)
        labels, count = ndimage.label(filled)
        if count == 0:
            return filled
        area_px2 = np.bincount(labels.ravel())
        keep = area_px2 >= self.min_lesion_share * filled.size
        keep[0] = False
        return keep[labels]
