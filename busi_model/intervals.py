"""The one bootstrap: groups are drawn again whole, because two images of one patient, or two readers of one case, are
no two patients and no two cases (Efron & Tibshirani 1993, percentile interval).

Enters: sums for each group (of a patient's images, of a case's readings), from which a figure follows. Leaves: the
figure with its 95 % interval, or the sums of every resample. Undefined is NaN, never 0.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

N_RESAMPLES = 1000
LIMITS = (2.5, 97.5)  # per cent: a 95 % interval

Row = tuple[str, float, float, float, int, str]  # a figure in a table: name, value, low, high, n, note
Interval = tuple[float, float, float]  # value, low, high
Formula = Callable[[np.ndarray], np.ndarray]  # sums (..., K) -> values (...)


def drawn_groups(n: int, rng: np.random.Generator, resamples: int = N_RESAMPLES) -> np.ndarray:
    """Numbers of n groups, drawn with replacement: (B, n)."""
    return rng.integers(n, size=(resamples, n))


def resampled_sums(sums: np.ndarray, rng: np.random.Generator, resamples: int = N_RESAMPLES) -> np.ndarray:
    """Sums for each group (G, K) -> sums of every resample (B, K)."""
    n = len(sums)
    places = drawn_groups(n, rng, resamples) + n * np.arange(resamples)[:, None]
    times = np.bincount(places.ravel(), minlength=resamples * n).reshape(resamples, n)  # each group was drawn
    return times @ sums


def sums_by(groups: pd.Series, parts: np.ndarray) -> np.ndarray:
    """The group of each row and its parts (rows, K) -> their sums for each group (G, K)."""
    codes, names = pd.factorize(groups)
    sums = np.zeros((len(names), parts.shape[1]))
    np.add.at(sums, codes, parts)
    return sums


def bootstrap(sums: np.ndarray, formula: Formula, rng: np.random.Generator) -> Interval:
    """Sums for each group (G, K) -> value and 95 % interval; NaN where undefined."""
    if not len(sums):
        return math.nan, math.nan, math.nan
    value = float(formula(sums.sum(axis=0)))
    values = formula(resampled_sums(sums, rng))  # (B,)
    values = values[np.isfinite(values)]
    if math.isnan(value) or len(values) < N_RESAMPLES / 2:
        return value, math.nan, math.nan
    low, high = np.percentile(values, LIMITS)
    if low == high:  # every group says the same: drawing them again shows no spread, which is not certainty
        return value, math.nan, math.nan
    return value, float(low), float(high)
