"""Is a picture out of distribution, that is: no breast ultrasound? Two numbers say how strange it is.

Enters: the encoder's deepest features of one picture and its gray levels. Leaves: a score (log-odds of "no breast
ultrasound", by logistic regression against photographs, other modalities, text, noise ...) and a distance (about 1 for
a picture like the training's); `OperatingPoint` says from where on a picture is refused. Beside the features stand
twelve plain image statistics and what makes ultrasound look like itself (`texture`), because a network can look at
noise or a page of text and see nothing unusual. The distance is Mahalanobis' in the space of the training pictures'
principal components, plus what lies outside that space (Lee et al., NeurIPS 2018; residual: Wang et al., ViM, CVPR
2022). `training.ood.detector` fits the score; here plain arithmetic applies it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

N_COMPONENTS = 64
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
TEXTURE_PX = 128  # longer side of the copy that texture is measured on
TEXTURE_LEAST_PX = 32  # its shorter side, at least: depth bands need rows
N_BANDS = 4  # of depth: speckle widens and smears sideways with it
LAGS = [(0, k) for k in range(1, 6)] + [(k, 0) for k in range(1, 6)] + [(1, 1), (1, -1), (2, 2), (2, -2)]  # px
BAND_LAGS = ((0, 1), (0, 2), (1, 0), (2, 0))
N_RINGS, N_SECTORS = 6, 3  # of the spectrum
N_STATISTICS = 12  # of `image_statistics`
N_TEXTURE = 77  # of `texture`
LIMIT = 8.0  # standard deviations: what lies further away counts no more in the score


@dataclass(frozen=True, eq=False)  # == on arrays would raise
class OodDetector:
    """What sets breast ultrasound apart from other pictures, for one network; float32, stored beside its weights.

    D inputs count for the distance, D + 77 for the score: texture came later.
    """

    mean: np.ndarray  # (D,), of the training pictures
    scale: np.ndarray  # (D,), standard deviations
    components: np.ndarray  # (K, D), rows orthonormal, of the standardised inputs
    variances: np.ndarray  # (K + 1,), along each component; the last: mean variance outside, per dimension
    score_mean: np.ndarray | None = None  # (D + 77,), of training pictures and others; None: older weights, no score
    score_scale: np.ndarray | None = None  # (D + 77,)
    score_weights: np.ndarray | None = None  # (D + 77,), log-odds for each standard deviation
    score_bias: np.ndarray | None = None  # (1,)

    def check(self, n_inputs: int) -> None:
        """Raises ValueError, or what NumPy raises, where the arrays are none for a distance of n_inputs numbers."""
        k, scored = len(self.components), (n_inputs + N_TEXTURE,)
        shapes = {"mean": (n_inputs,), "scale": (n_inputs,), "components": (k, n_inputs), "variances": (k + 1,)}
        if self.score_weights is not None:
            shapes |= {"score_mean": scored, "score_scale": scored, "score_weights": scored, "score_bias": (1,)}
        for name, array in vars(self).items():
            if array is None and name not in shapes:
                continue
            positive = name not in ("scale", "variances", "score_scale") or (array > 0).all()
            if array.dtype != np.float32 or array.shape != shapes[name] or not (np.isfinite(array).all() and positive):
                raise ValueError(name)

    def score(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs (N, D + 77) of `ood_inputs` -> log-odds (N,) that the picture is no breast ultrasound; NaN without a
        fitted score."""
        if self.score_weights is None:
            return np.full(len(inputs), np.nan)
        standard = np.clip((inputs - self.score_mean) / self.score_scale, -LIMIT, LIMIT)
        return standard @ self.score_weights + self.score_bias

    def distance(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs (N, D or more) of `ood_inputs` -> distances (N,): about 1 for pictures like the training's."""
        standard = (inputs[:, : len(self.mean)] - self.mean) / self.scale
        along = standard @ self.components.T  # (N, K)
        outside = np.maximum((standard**2).sum(axis=1) - (along**2).sum(axis=1), 0.0)
        squared = (along**2 / self.variances[:-1]).sum(axis=1) + outside / self.variances[-1]
        return squared / len(self.mean)


def ood_inputs(features: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """The network's features (C,) and the frame's gray levels uint8 (H, W) -> float32 (C + 12 + 77,)."""
    return np.concatenate([features, image_statistics(gray), texture(gray)]).astype(np.float32)


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


def _counts(levels: np.ndarray) -> np.ndarray:
    """uint8, any shape -> how often each of the 256 levels occurs."""
    return np.array(Image.fromarray(levels).histogram())


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b| of uint8, without the memory of a wider type."""
    larger = np.maximum(a, b)
    larger -= np.minimum(a, b)
    return larger


def _quantiles(counts: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Quantiles of whole numbers from how often each occurs."""
    return np.searchsorted(counts.cumsum(), np.array(shares) * counts.sum())


def texture(gray: np.ndarray) -> np.ndarray:
    """Gray uint8 (H, W) -> float (77,) from a copy of 128 px: what speckle does and other textures rarely do.

    It is smeared sideways, more so with depth (autocorrelation, spectrum by direction), tissue is layered (gradient
    ratios, rows against columns), and speckle is multiplicative: it grows with the brightness around it.
    """
    small = _small(gray)
    around = ndimage.uniform_filter(small, 7)
    fine = small - around
    strength = np.sqrt(np.maximum(ndimage.uniform_filter(fine * fine, 7), 0.0))
    speckle = fine / (strength + 2.0)
    return np.concatenate(
        [
            _autocorrelation(speckle, LAGS),  # 14
            *(_autocorrelation(band, BAND_LAGS) for band in np.array_split(speckle, N_BANDS)),  # 16
            _gradient_ratios(small),  # 12
            _multiplicative(around[3::7, 3::7].ravel(), strength[3::7, 3::7].ravel()),  # 10
            _layers(small),  # 7
            _spectrum(speckle),  # 18
        ]
    )


def _small(gray: np.ndarray) -> np.ndarray:
    factor = TEXTURE_PX / max(gray.shape)
    rows, columns = (max(TEXTURE_LEAST_PX, round(extent * factor)) for extent in gray.shape)
    return np.asarray(Image.fromarray(gray).resize((columns, rows), Image.Resampling.BILINEAR), np.float32)


def _autocorrelation(speckle: np.ndarray, lags: Sequence[tuple[int, int]]) -> list[float]:
    """lags: (down, right) in pixels."""
    power = float((speckle * speckle).mean()) + 1e-3
    rows, columns = speckle.shape
    found = []
    for down, right in lags:
        here = speckle[: rows - down, max(0, -right) : columns - max(0, right)]
        there = speckle[down:, max(0, right) : columns + min(0, right)]
        found.append(float((here * there).mean()) / power)
    return found


def _gradient_ratios(small: np.ndarray) -> list[float]:
    """How much steeper it is downwards than sideways: log ratio in each depth band, at three scales."""
    found = []
    for scale in (1, 2, 4):
        rows, columns = (extent // scale * scale for extent in small.shape)
        coarse = small[:rows, :columns].reshape(rows // scale, scale, columns // scale, scale).mean(axis=(1, 3))
        for band in np.array_split(coarse, N_BANDS):
            down, right = np.abs(np.diff(band, axis=0)).mean(), np.abs(np.diff(band, axis=1)).mean()
            found.append(np.log((down + 0.3) / (right + 0.3)))
    return found


def _multiplicative(brightness: np.ndarray, strength: np.ndarray) -> list[float]:
    """Brightness and strength of speckle in places (P,) -> slope and correlation of their logarithms, quantiles of
    their ratio, log strength by fifths of brightness."""
    x, y = np.log(brightness + 4.0), np.log(strength + 0.5)
    dx, dy = x - x.mean(), y - y.mean()
    both = float((dx * dy).mean())
    ratio = np.quantile(strength / (brightness + 4.0), (0.25, 0.5, 0.75))
    fifths = np.array_split(y[np.argsort(brightness, kind="stable")], 5)
    correlation = both / np.sqrt(float((dx * dx).mean() * (dy * dy).mean()) + 1e-4)
    return [both / (float((dx * dx).mean()) + 0.01), correlation, *ratio, *(fifth.mean() for fifth in fifths)]


def _layers(small: np.ndarray) -> list[float]:
    """Variance of row means and of column means, roughness of the row means, brightness of each depth band."""
    total = small.var() + 1.0
    rows, columns = small.mean(axis=1), small.mean(axis=0)
    parts = rows.var(), columns.var(), np.diff(rows).var()
    bands = (band.mean() / 255.0 for band in np.array_split(small, N_BANDS))
    return [*(np.log(part / total + 1e-4) for part in parts), *bands]


def _spectrum(speckle: np.ndarray) -> np.ndarray:
    """Log share of the power in each ring and sector (along rows, oblique, along columns)."""
    power = np.abs(np.fft.rfft2(speckle, (TEXTURE_PX, TEXTURE_PX))).ravel() ** 2
    share = np.bincount(_PLACES, power, N_RINGS * N_SECTORS + 1)[:-1] / (power.sum() + 1e-3)
    return np.log(share + 1e-4)


def _spectrum_places() -> np.ndarray:
    """Ring and sector of each frequency, as one number; the last number: beyond all rings."""
    v, u = np.abs(np.fft.fftfreq(TEXTURE_PX))[:, None], np.fft.rfftfreq(TEXTURE_PX)[None, :]
    ring = (np.hypot(u, v) / 0.5 * N_RINGS).astype(int)
    sector = (np.arctan2(v, u) / (np.pi / 2) * N_SECTORS).astype(int).clip(max=N_SECTORS - 1)
    return np.where(ring < N_RINGS, ring * N_SECTORS + sector, N_RINGS * N_SECTORS).ravel()


_PLACES = _spectrum_places()


def fit_distance(inputs: np.ndarray) -> OodDetector:
    """Inputs (N, D) of training pictures -> a detector that knows the distance only. More components than
    pictures allow are left out."""
    inputs = np.asarray(inputs, np.float64)
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-3
    _, singular, components = np.linalg.svd((inputs - mean) / scale, full_matrices=False)
    variances = singular**2 / len(inputs) + 1e-6
    k = min(N_COMPONENTS, max(1, len(inputs) // 4), len(variances) - 1)
    outside = variances[k:].sum() / (inputs.shape[1] - k)
    arrays = (mean, scale, components[:k], np.append(variances[:k], outside))
    return OodDetector(*(a.astype(np.float32) for a in arrays))
