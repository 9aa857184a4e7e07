"""Many readers, many cases, read before and after: is the difference more than the luck of these readers and cases?

Enters: ratings or hits of every reader on every case, and which cases are positive. Leaves: figures of merit with their
covariance, the Obuchowski-Rockette analysis of variance, the power of a next study. Only arrays: `reader_study` makes
them of a session. Checked against the results that MRMCaov's user guide prints for Van Dyke's data
(tests/support/van_dyke.py).

Obuchowski & Rockette, Commun Stat Simul 24 (1995) 285; degrees of freedom: Hillis, Stat Med 26 (2007) 596; power:
Hillis, Obuchowski & Berbaum, Acad Radiol 18 (2011) 129; DeLong et al., Biometrics 44 (1988) 837.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95  # of all intervals
MAX_CASES = 10_000  # of a next study; more is no plan


def delong(ratings: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratings (N, K) and bool (K,) -> N areas under the empirical ROC curve, their covariance (N, N).

    Equal ratings count one half. The covariance is NaN with fewer than two positive or two other cases.
    """
    of_positive, of_others = _placements(ratings, positive)
    return of_positive.mean(axis=1), _covariance_of_means(of_positive) + _covariance_of_means(of_others)


def share(hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bool (N, K), the cases that count -> N shares of hits (sensitivity or specificity), their covariance (N, N)."""
    hits = np.asarray(hits, float)
    return hits.mean(axis=1), _covariance_of_means(hits)


def _placements(ratings: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-> (N, positive cases): share of the others below each; (N, other cases): share of the positive above each."""
    ratings, positive = np.asarray(ratings, float), np.asarray(positive, bool)
    if positive.all() or not positive.any():
        raise ValueError("An ROC curve needs positive cases and others.")
    of_positive, of_others = [], []
    for row in ratings:  # one at a time: all together would need readers x positive x other numbers
        a, b = row[positive][:, None], row[~positive][None, :]
        wins = (a > b) + 0.5 * (a == b)
        of_positive.append(wins.mean(axis=1))
        of_others.append(wins.mean(axis=0))
    return np.array(of_positive), np.array(of_others)


def _covariance_of_means(values: np.ndarray) -> np.ndarray:
    if values.shape[1] < 2:
        return np.full((len(values), len(values)), math.nan)
    return np.atleast_2d(np.cov(values)) / values.shape[1]


def interval(value: float, variance: float) -> tuple[float, float]:
    """A figure in [0, 1] and its variance -> normal interval within [0, 1]; NaN without any spread, which is not
    certainty."""
    if not variance > 0:
        return math.nan, math.nan
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * math.sqrt(variance)
    return max(0.0, value - half), min(1.0, value + half)


def paired(values: np.ndarray, covariance: np.ndarray) -> tuple[float, float, float, float]:
    """One reader's figure before and after (2,), its covariance (2, 2) -> difference, low, high, two-sided p."""
    difference = float(values[1] - values[0])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if not variance > 1e-15:  # both reads say the same of every case: rounding is no spread
        return difference, math.nan, math.nan, math.nan
    error = math.sqrt(variance)
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    return difference, difference - half, difference + half, float(2 * stats.norm.sf(abs(difference) / error))


@dataclass(frozen=True, eq=False)  # == on the array would raise
class Analysis:
    """Before against after, readers and cases both drawn from larger populations. NaN: undefined."""

    merits: np.ndarray  # (2, J): before and after, of each reader
    means: tuple[float, float]
    intervals: tuple[tuple[float, float], tuple[float, float]]  # of the means, each from its own read alone
    difference: float  # after minus before, mean of the readers
    low: float
    high: float
    standard_error: float
    f: float
    df: float  # of the denominator, Hillis'; the numerator's is 1
    p: float
    p_these_readers: float  # cases drawn, readers fixed: says nothing of other readers
    ms_read: float  # mean squares: before or after, and its interaction with the reader
    ms_read_reader: float
    var_reader: float  # variance components; an estimate may be negative
    var_read_reader: float
    error: float  # variance of one figure over cases
    cov1: float  # same reader, other read
    cov2: float  # other reader, same read
    cov3: float  # other reader, other read


def obuchowski_rockette(merits: np.ndarray, covariance: np.ndarray) -> Analysis:
    """Figures of merit (2, J), J >= 2 readers, and their covariance (2 J, 2 J), rows as in merits.ravel().

    Raises ValueError for another shape.
    """
    merits = np.asarray(merits, float)
    if merits.ndim != 2 or merits.shape[0] != 2 or merits.shape[1] < 2:
        raise ValueError(f"Figures of merit are {merits.shape}; (2, readers) with two readers or more is expected.")
    n = merits.shape[1]
    by_read = np.asarray(covariance, float).reshape(2, n, 2, n)
    same = np.stack([by_read[0, :, 0], by_read[1, :, 1]])  # (2, J, J), within a read
    other = by_read[0, :, 1]  # (J, J), across
    off = ~np.eye(n, dtype=bool)
    error, cov1 = float(np.einsum("ijj->", same) / (2 * n)), float(np.trace(other) / n)
    cov2, cov3 = float(same[:, off].mean()), float(other[off].mean())
    means = merits.mean(axis=1)
    of_readers = merits.mean(axis=0)
    ms_read = float(n * ((means - merits.mean()) ** 2).sum())
    ms_reader = float(2 * ((of_readers - merits.mean()) ** 2).sum() / (n - 1))
    rest = merits - means[:, None] - of_readers + merits.mean()
    ms_rest = float((rest**2).sum() / (n - 1))
    excess = max(cov2 - cov3, 0.0)
    denominator = ms_rest + n * excess
    difference = float(means[1] - means[0])
    low = high = error_of = f = df = p = math.nan
    if denominator > 1e-15:
        df = denominator**2 / (ms_rest**2 / (n - 1)) if ms_rest > 1e-15 else math.inf
        f, error_of = ms_read / denominator, math.sqrt(2 / n * denominator)
        p = float(stats.f.sf(f, 1, df)) if math.isfinite(df) else float(stats.chi2.sf(f, 1))
        half = float(stats.t.ppf((1 + LEVEL) / 2, df)) * error_of
        low, high = difference - half, difference + half
    fixed = error - cov1 + (n - 1) * excess
    return Analysis(
        merits,
        (float(means[0]), float(means[1])),
        (_of_one_read(merits[0], float(same[0][off].mean())), _of_one_read(merits[1], float(same[1][off].mean()))),
        difference,
        *(low, high, error_of, f, df, p),
        float(stats.chi2.sf(ms_read / fixed, 1)) if fixed > 1e-15 else math.nan,
        ms_read,
        ms_rest,
        (ms_reader - ms_rest) / 2 - cov1 + cov3,
        ms_rest - error + cov1 + excess,
        *(error, cov1, cov2, cov3),
    )


def _of_one_read(merits: np.ndarray, cov2: float) -> tuple[float, float]:
    """Interval of the readers' mean, from one read alone; NaN without any spread."""
    n, ms = len(merits), float(np.var(merits, ddof=1))
    total = ms + n * max(cov2, 0.0)
    if not total > 1e-15:
        return math.nan, math.nan
    df = total**2 / (ms**2 / (n - 1)) if ms > 1e-15 else math.inf
    half = stats.t.ppf((1 + LEVEL) / 2, df) * math.sqrt(total / n)
    return max(0.0, float(merits.mean() - half)), min(1.0, float(merits.mean() + half))


def power(pilot: Analysis, pilot_cases: int, readers: int, cases: int, gain: float) -> float:
    """Chance that a study of so many readers and cases, with the pilot's share of positive ones, finds a true
    difference of `gain` at 5 %, readers and cases random. NaN when the pilot has no spread."""
    shrink = pilot_cases / cases
    interaction, excess = max(pilot.var_read_reader, 0.0), max(pilot.cov2 - pilot.cov3, 0.0)
    own = max(pilot.error - pilot.cov1, 0.0)
    denominator = interaction + shrink * (own + (readers - 1) * excess)
    within = interaction + shrink * max(own - excess, 0.0)
    if not denominator > 1e-15:
        return math.nan
    df = denominator**2 / (within**2 / (readers - 1)) if within > 1e-15 else 1e9
    noncentrality = readers * gain**2 / (2 * denominator)
    return float(stats.ncf.sf(stats.f.ppf(0.95, 1, df), 1, df, noncentrality))


def cases_needed(pilot: Analysis, pilot_cases: int, readers: int, gain: float, wanted: float = 0.8) -> int | None:
    """The fewest cases with which `power` reaches what is wanted; None where MAX_CASES do not."""
    if not power(pilot, pilot_cases, readers, MAX_CASES, gain) >= wanted:
        return None
    low, high = 1, MAX_CASES  # power grows with the cases
    while low < high:
        middle = (low + high) // 2
        if power(pilot, pilot_cases, readers, middle, gain) >= wanted:
            high = middle
        else:
            low = middle + 1
    return low
