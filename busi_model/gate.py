"""How far a picture is from those that the network was trained on: the number by which strangers are turned away.

Enters: the encoder's deepest features of one picture and its gray levels. Leaves: a distance, about 1 for a breast
ultrasound like those in training; `OperatingPoint` says from where on a picture is not one. The distance is
Mahalanobis' in the space of the training pictures' principal components, plus what lies outside that space (Lee et
al., NeurIPS 2018; residual: Wang et al., ViM, CVPR 2022). Twelve plain image statistics stand beside the features,
because a network can look at noise or a page of text and see nothing unusual.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

N_COMPONENTS = 64
N_STATISTICS = 12  # of `image_statistics`
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)  # == on arrays would raise
class Gate:
    """What the training pictures look like to one network; float32 arrays, stored beside its weights."""

    mean: np.ndarray  # (D,)
    scale: np.ndarray  # (D,), standard deviations
    components: np.ndarray  # (K, D), rows orthonormal, of the standardised inputs
    variances: np.ndarray  # (K + 1,), along each component; the last: mean variance outside, per dimension

    def distance(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs (N, D) of `gate_inputs` -> distances (N,): about 1 for pictures like the training's."""
        standard = (inputs - self.mean) / self.scale
        along = standard @ self.components.T  # (N, K)
        outside = np.maximum((standard**2).sum(axis=1) - (along**2).sum(axis=1), 0.0)
        squared = (along**2 / self.variances[:-1]).sum(axis=1) + outside / self.variances[-1]
        return squared / inputs.shape[1]


def gate_inputs(features: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """The network's features (C,) and the frame's gray levels uint8 (H, W) -> float32 (C + 12,)."""
    return np.concatenate([features, image_statistics(gray)]).astype(np.float32)


def image_statistics(gray: np.ndarray) -> np.ndarray:
    """Gray uint8 (H, W) -> float (12,): gray-level quantiles, shares of black and white, steps between neighbours
    (log mean and log median, along and across), share of gray levels in use."""
    levels = _counts(gray)
    steps = _counts(_distances(gray[:, 1:], gray[:, :-1])), _counts(_distances(gray[1:], gray[:-1]))
    return np.array(
        [
            *(_quantiles(levels, QUANTILES) / 255.0),
            levels[:8].sum() / gray.size,
            levels[246:].sum() / gray.size,
            *(np.log(counts @ np.arange(256) / counts.sum() + 0.1) for counts in steps),
            *(np.log(_quantiles(counts, (0.5,))[0] + 0.5) for counts in steps),
            (levels > 0).sum() / 256.0,
        ]
    )


def _counts(levels):
    """uint8, any shape -> how often each of the 256 levels occurs."""
    return np.array(Image.fromarray(levels).histogram())


def _distances(a, b):
    """|a - b| of uint8, without the memory of a wider type."""
    larger = np.maximum(a, b)
    larger -= np.minimum(a, b)
    return larger


def _quantiles(counts, shares):
    """Quantiles of whole numbers from how often each occurs."""
    return np.searchsorted(counts.cumsum(), np.array(shares) * counts.sum())


def fit_gate(inputs: np.ndarray) -> Gate:
    """Inputs (N, D) of training pictures -> Gate. More components than pictures allow are left out."""
    inputs = np.asarray(inputs, np.float64)
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-3
    _, singular, components = np.linalg.svd((inputs - mean) / scale, full_matrices=False)
    variances = singular**2 / len(inputs) + 1e-6
    k = min(N_COMPONENTS, max(1, len(inputs) // 4), len(variances) - 1)
    outside = variances[k:].sum() / (inputs.shape[1] - k)
    arrays = (mean, scale, components[:k], np.append(variances[:k], outside))
    return Gate(*(a.astype(np.float32) for a in arrays))
