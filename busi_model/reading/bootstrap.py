"""Intervals of ratios that many readings make up, when several readings are of one case.

Enters: a table of readings and values, one a row. Leaves: value, low, high (95 %). Every ratio is kept as its sums for
each case, so one bootstrap serves all: cases are drawn again whole, with all their readers, because two readers of one
case are no two cases (Efron & Tibshirani 1993, percentile interval). Undefined is NaN, never 0.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import binomtest

N_RESAMPLES = 1000  # as in training.evaluate

Row = tuple[str, float, float, float, int, str]  # name, value, low, high, n, note
Interval = tuple[float, float, float]  # value, low, high
Formula = Callable[[np.ndarray], np.ndarray]  # sums (..., K) -> values (...)


def rate(name: str, table: pd.DataFrame, hit: pd.Series, pooled: bool, rng: np.random.Generator) -> Row:
    """A share of readings -> name, value, low, high, n, note; exact for one reader (Clopper & Pearson)."""
    n, hits = len(table), int(hit.sum())
    if n == 0:
        return name, math.nan, math.nan, math.nan, 0, "no such readings"
    exact = binomtest(hits, n).proportion_ci(method="exact")
    if not pooled:
        return name, hits / n, exact.low, exact.high, n, ""
    value, low, high = ratio(table, hit.astype(float), rng)
    if hits in (0, n):
        n_cases = table["case"].nunique()
        exact = binomtest(n_cases if hits else 0, n_cases).proportion_ci(method="exact")
        return name, value, exact.low, exact.high, n, f"exact interval for {n_cases} cases"
    return name, value, low, high, n, ""


def ratio(table: pd.DataFrame, values: np.ndarray | pd.Series, rng: np.random.Generator) -> Interval:
    """Mean of values, one a row of the table -> value, low, high."""
    sums = by_case(table, np.column_stack([np.asarray(values, float), np.ones(len(table))]))

    def formula(s: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return s[..., 0] / s[..., 1]

    return bootstrap(sums, formula, rng)


def step(
    table: pd.DataFrame, values: np.ndarray | pd.Series, later: np.ndarray | pd.Series, rng: np.random.Generator
) -> Interval:
    """Mean of the values where `later` (bool, one a row) minus their mean elsewhere -> value, low, high."""
    values, later = np.asarray(values, float), np.asarray(later, bool)
    sums = by_case(table, np.column_stack([values * later, later, values * ~later, ~later]))

    def formula(s: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return s[..., 0] / s[..., 1] - s[..., 2] / s[..., 3]

    return bootstrap(sums, formula, rng)


def by_case(table: pd.DataFrame, parts: np.ndarray) -> np.ndarray:
    """Parts (rows, K) -> their sums for each case (cases, K)."""
    codes, cases = pd.factorize(table["case"])
    sums = np.zeros((len(cases), parts.shape[1]))
    np.add.at(sums, codes, parts)
    return sums


def bootstrap(sums: np.ndarray, formula: Formula, rng: np.random.Generator) -> Interval:
    """Sums for each case (cases, K) -> value and 95 % interval; NaN where undefined."""
    if not len(sums):
        return math.nan, math.nan, math.nan
    value = float(formula(sums.sum(axis=0)))
    weights = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=N_RESAMPLES)  # (B, cases)
    values = formula(weights @ sums)  # (B,)
    values = values[np.isfinite(values)]
    if math.isnan(value) or len(values) < N_RESAMPLES / 2:
        return value, math.nan, math.nan
    low, high = np.percentile(values, (2.5, 97.5))
    if low == high:  # every case says the same: drawing them again shows no spread, which is not certainty
        return value, math.nan, math.nan
    return value, float(low), float(high)
