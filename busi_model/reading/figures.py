"""A table of readings becomes figures with intervals: agreement, accuracy before and after, switches, trust, time.

Enters: the table of `results.readings`. Leaves: one row a figure. Every ratio is kept as its sums for each case, so one
bootstrap serves all: cases are drawn again whole, with all their readers, because two readers of one case are no two
cases (Efron & Tibshirani 1993, percentile interval). Undefined is NaN, never 0.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from busi_model.reading.outline import decode_mask, dice
from busi_model.reading.records import CLASS_NAMES

N_RESAMPLES = 1000  # as in training.evaluate
ALL = "all"  # the scope that pools all readers
POSITIVE = "malignant"
COLUMNS = ["scope", "measure", "value", "low", "high", "n", "note"]

Formula = Callable[[np.ndarray], np.ndarray]  # sums (..., K) -> values (...)


def summarise(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Readings -> scope ("all" or a pseudonym), measure, value, low, high (95 %), n (readings it rests on), note.

    Rates of one reader have Clopper & Pearson's exact interval, everything else a bootstrap over cases. p-values are
    McNemar's exact test on the readings that changed from right to wrong or back; n is their number.
    """
    rows = []
    readers = list(dict.fromkeys(table["reader"]))
    for scope in [ALL, *readers] if len(readers) > 1 else readers:
        part = table if scope == ALL else table[table["reader"] == scope]
        for measure, value, low, high, n, note in _measures(part, scope == ALL, np.random.default_rng(seed)):
            rows.append((scope, measure, value, low, high, n, note))
    return pd.DataFrame(rows, columns=COLUMNS)


def _measures(table, pooled, rng):
    for kind in ("own", "final"):
        if table[f"{kind}_class"].notna().any():
            yield _kappa_with_model(table, kind, rng)
            if table["reader"].nunique() > 1:
                yield _fleiss(table, kind, rng)
    known = table[table["truth"].notna()]
    if len(known):
        yield from _against_truth(known, pooled, rng)
        yield from _switches(known, pooled, rng)
    yield from _confidence(table, rng)
    for when in ("own", "final"):
        yield _mean(f"Dice of model and outline drawn {_WHEN[when]}", table, f"dice_model_{when}", rng)
    yield from _seconds(table)


_WHEN = {"own": "before the reveal", "final": "after the reveal"}


# Agreement


def cohen_kappa(confusion: np.ndarray) -> np.ndarray:
    """Counts (..., C, C) of two readers -> Cohen's kappa (...), unweighted (Cohen 1960); NaN when chance is certain."""
    n = confusion.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.trace(confusion, axis1=-2, axis2=-1) / n
        expected = (confusion.sum(axis=-1) * confusion.sum(axis=-2)).sum(axis=-1) / n**2
        return np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)


def fleiss_kappa(ratings: np.ndarray) -> float:
    """Counts (cases, classes), the same number of readers in each row -> Fleiss' kappa (Fleiss 1971)."""
    return float(_fleiss_formula(_fleiss_sums(ratings).sum(axis=0)))


def _fleiss_sums(ratings):
    """(cases, C) -> (cases, C + 2): agreement within the case, 1, counts of each class."""
    n = ratings.sum(axis=1)
    agreement = (ratings * (ratings - 1)).sum(axis=1) / (n * (n - 1))
    return np.column_stack([agreement, np.ones(len(ratings)), ratings])


def _fleiss_formula(sums):
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = sums[..., 0] / sums[..., 1]
        shares = sums[..., 2:] / sums[..., 2:].sum(axis=-1, keepdims=True)
        expected = (shares**2).sum(axis=-1)
        return np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)


def _kappa_with_model(table, kind, rng):
    both = table[table[f"{kind}_class"].notna() & table["model_class"].notna()]
    one_hot = np.zeros((len(both), len(CLASS_NAMES), len(CLASS_NAMES)))
    for row, (reader, model) in enumerate(zip(both[f"{kind}_class"], both["model_class"], strict=True)):
        one_hot[row, CLASS_NAMES.index(reader), CLASS_NAMES.index(model)] = 1
    sums = _by_case(both, one_hot.reshape(len(both), -1))
    value, low, high = _bootstrap(sums, lambda s: cohen_kappa(s.reshape(*s.shape[:-1], 3, 3)), rng)
    return f"Cohen's kappa with the model, {kind} read", value, low, high, len(both), ""


def _fleiss(table, kind, rng):
    """Between the readers, over the cases that all of them read."""
    counts = pd.crosstab(table["case"], table[f"{kind}_class"]).reindex(columns=CLASS_NAMES, fill_value=0)
    complete = counts[counts.sum(axis=1) == table["reader"].nunique()].to_numpy(float)
    value, low, high = _bootstrap(_fleiss_sums(complete), _fleiss_formula, rng)
    note = f"{table['reader'].nunique()} readers, the cases that all of them read"
    return f"Fleiss' kappa between readers, {kind} read", value, low, high, len(complete), note


# Against the truth


def _against_truth(known, pooled, rng):
    subsets = {
        "accuracy": (known, lambda t, k: t[k] == t["truth"]),
        f"sensitivity for {POSITIVE}": (known[known["truth"] == POSITIVE], lambda t, k: t[k] == POSITIVE),
        f"specificity for {POSITIVE}": (known[known["truth"] != POSITIVE], lambda t, k: t[k] != POSITIVE),
    }
    for name, (subset, right) in subsets.items():
        for kind in ("model", "own", "final"):
            part = subset[subset[f"{kind}_class"].notna()]
            title = f"{name}, model" if kind == "model" else f"{name}, {kind} read"
            yield _rate(title, part, right(part, f"{kind}_class"), pooled, rng)
        paired = subset[subset["own_class"].notna()]
        if len(paired):
            own, final = right(paired, "own_class"), right(paired, "final_class")
            change = final.astype(float) - own.astype(float)
            value, low, high = _ratio(paired, change, rng)
            yield f"{name}, final minus own", value, low, high, len(paired), ""
            p, n = mcnemar_exact(int((own & ~final).sum()), int((~own & final).sum()))
            note = "readings of one case are taken as independent" if pooled else ""
            yield f"{name}, McNemar's exact p", p, math.nan, math.nan, n, note


def mcnemar_exact(became_wrong: int, became_right: int) -> tuple[float, int]:
    """Readings that changed sides -> two-sided exact p (McNemar 1947, binomial form), their number."""
    n = became_wrong + became_right
    return (binomtest(became_right, n, 0.5).pvalue if n else 1.0), n


def _switches(known, pooled, rng):
    """How often a reader whose own class differed from the model's took the model's: gain and automation bias."""
    differed = known[known["own_class"].notna() & known["model_class"].notna()]
    differed = differed[differed["own_class"] != differed["model_class"]]
    followed = differed["final_class"] == differed["model_class"]
    own_right, model_right = differed["own_class"] == differed["truth"], differed["model_class"] == differed["truth"]
    for name, chosen in (
        ("switched to a right model, own read wrong", model_right),
        ("switched to a wrong model, own read right (automation bias)", own_right),
        ("switched to a wrong model, own read wrong too", ~own_right & ~model_right),
    ):
        yield _rate(name, differed[chosen], followed[chosen], pooled, rng)


# Trust and time


def _confidence(table, rng):
    """Points on 0..100, final minus own, where the reader kept the class: trust moved by the model alone."""
    both = table[table["own_confidence"].notna() & table["model_class"].notna()]
    kept = both[both["own_class"] == both["final_class"]]
    agreed = kept["model_class"] == kept["own_class"]
    for name, part in (("the model agreed", kept[agreed]), ("the model disagreed", kept[~agreed])):
        shift = part["final_confidence"].astype(float) - part["own_confidence"].astype(float)
        value, low, high = _ratio(part, shift, rng)
        yield f"confidence shift, class kept, {name}", value, low, high, len(part), "points of 100"


def _mean(name, table, column, rng):
    part = table[table[column].notna()]
    value, low, high = _ratio(part, part[column].astype(float), rng)
    return name, value, low, high, len(part), ""


def _seconds(table):
    """Median and quartiles, of readings that were not interrupted."""
    timed = table[~table["interrupted"].astype(bool)]
    parts = timed[["own_seconds", "final_seconds"]].astype(float)
    for name, seconds in (
        ("seconds, own read", parts["own_seconds"]),
        ("seconds, final read", parts["final_seconds"]),
        ("seconds, whole case", parts.sum(axis=1, min_count=1)),
    ):
        seconds = seconds.dropna()
        low, value, high = np.percentile(seconds, (25, 50, 75)) if len(seconds) else (math.nan,) * 3
        note = f"median and quartiles; {len(table) - len(timed)} interrupted readings left out"
        yield name, value, low, high, len(seconds), note


def dice_of(a_png: bytes | None, b_png: bytes | None) -> float:
    """Dice of two masks kept as PNG; NaN when one was not drawn or both are empty."""
    return math.nan if a_png is None or b_png is None else dice(decode_mask(a_png), decode_mask(b_png))


# Intervals


def _rate(name, table, hit, pooled, rng):
    """A share of readings, with its interval."""
    n, hits = len(table), int(hit.sum())
    if n == 0:
        return name, math.nan, math.nan, math.nan, 0, "no such readings"
    exact = binomtest(hits, n).proportion_ci(method="exact")
    if not pooled:
        return name, hits / n, exact.low, exact.high, n, ""
    value, low, high = _ratio(table, hit.astype(float), rng)
    if hits in (0, n):
        n_cases = table["case"].nunique()
        exact = binomtest(n_cases if hits else 0, n_cases).proportion_ci(method="exact")
        return name, value, exact.low, exact.high, n, f"exact interval for {n_cases} cases"
    return name, value, low, high, n, ""


def _ratio(table, values, rng):
    """Mean of values, one a row of the table -> value, low, high."""
    sums = _by_case(table, np.column_stack([np.asarray(values, float), np.ones(len(table))]))

    def formula(s):
        with np.errstate(invalid="ignore", divide="ignore"):
            return s[..., 0] / s[..., 1]

    return _bootstrap(sums, formula, rng)


def _by_case(table, parts: np.ndarray) -> np.ndarray:
    """Parts (rows, K) -> their sums for each case (cases, K)."""
    codes, cases = pd.factorize(table["case"])
    sums = np.zeros((len(cases), parts.shape[1]))
    np.add.at(sums, codes, parts)
    return sums


def _bootstrap(sums: np.ndarray, formula: Formula, rng) -> tuple[float, float, float]:
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
