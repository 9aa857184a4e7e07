"""A table of readings becomes figures with intervals: agreement, accuracy before and after, ROC areas, switches,
trust, time, order.

Enters: the table of `results.readings`. Leaves: one row a figure. Kappas are in `agreement`, ROC areas and what holds
for readers in general in `reader_study`, the bootstrap in `intervals`. Undefined is NaN, never 0.
"""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from busi_model.intervals import Interval, Row, bootstrap, sums_by
from busi_model.reading.analysis.agreement import birads_rows, class_rows, descriptor_rows
from busi_model.reading.analysis.reader_study import POSITIVE, area_rows, study_rows
from busi_model.reading.outline import decode_mask, dice

ALL = "all"  # the scope that pools all readers
COLUMNS = ["scope", "measure", "value", "low", "high", "n", "note"]


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


def _measures(table: pd.DataFrame, pooled: bool, rng: np.random.Generator) -> Iterator[Row]:
    yield from class_rows(table, rng)
    yield from birads_rows(table, rng)
    yield from descriptor_rows(table, rng)
    known = table[table["truth"].notna()]
    if len(known):
        yield from _against_truth(known, pooled, rng)
        yield from study_rows(known) if pooled else area_rows(known)
        yield from _switches(known, pooled, rng)
    yield from _confidence(table, rng)
    for when in ("own", "final"):
        yield _mean(f"Dice of model and outline drawn {_WHEN[when]}", table, f"dice_model_{when}", rng)
    yield from _seconds(table)
    yield from _order(table, rng)


# Ratios of readings: kept as their sums for each case, so that cases are drawn again whole, with all their readers


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
    sums = sums_by(table["case"], np.column_stack([np.asarray(values, float), np.ones(len(table))]))

    def formula(s: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return s[..., 0] / s[..., 1]

    return bootstrap(sums, formula, rng)


def step(
    table: pd.DataFrame, values: np.ndarray | pd.Series, later: np.ndarray | pd.Series, rng: np.random.Generator
) -> Interval:
    """Mean of the values where `later` (bool, one a row) minus their mean elsewhere -> value, low, high."""
    values, later = np.asarray(values, float), np.asarray(later, bool)
    sums = sums_by(table["case"], np.column_stack([values * later, later, values * ~later, ~later]))

    def formula(s: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return s[..., 0] / s[..., 1] - s[..., 2] / s[..., 3]

    return bootstrap(sums, formula, rng)


_WHEN = {"own": "before the reveal", "final": "after the reveal"}


# Against the truth


def _against_truth(known: pd.DataFrame, pooled: bool, rng: np.random.Generator) -> Iterator[Row]:
    subsets = {
        "accuracy": (known, lambda t, k: t[k] == t["truth"]),
        f"sensitivity for {POSITIVE}": (known[known["truth"] == POSITIVE], lambda t, k: t[k] == POSITIVE),
        f"specificity for {POSITIVE}": (known[known["truth"] != POSITIVE], lambda t, k: t[k] != POSITIVE),
    }
    for name, (subset, right) in subsets.items():
        for kind in ("model", "own", "final"):
            part = subset[subset[f"{kind}_class"].notna()]
            title = f"{name}, model" if kind == "model" else f"{name}, {kind} read"
            yield rate(title, part, right(part, f"{kind}_class"), pooled, rng)
        paired = subset[subset["own_class"].notna()]
        if len(paired):
            own, final = right(paired, "own_class"), right(paired, "final_class")
            change = final.astype(float) - own.astype(float)
            value, low, high = ratio(paired, change, rng)
            yield f"{name}, final minus own", value, low, high, len(paired), ""
            p, n = mcnemar_exact(int((own & ~final).sum()), int((~own & final).sum()))
            note = "readings of one case are taken as independent" if pooled else ""
            yield f"{name}, McNemar's exact p", p, math.nan, math.nan, n, note


def mcnemar_exact(became_wrong: int, became_right: int) -> tuple[float, int]:
    """Readings that changed sides -> two-sided exact p (McNemar 1947, binomial form), their number."""
    n = became_wrong + became_right
    return (binomtest(became_right, n, 0.5).pvalue if n else 1.0), n


def _switches(known: pd.DataFrame, pooled: bool, rng: np.random.Generator) -> Iterator[Row]:
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
        yield rate(name, differed[chosen], followed[chosen], pooled, rng)


# Trust and time


def _confidence(table: pd.DataFrame, rng: np.random.Generator) -> Iterator[Row]:
    """Points on 0..100, final minus own, where the reader kept the class: trust moved by the model alone."""
    both = table[table["own_confidence"].notna() & table["model_class"].notna()]
    kept = both[both["own_class"] == both["final_class"]]
    agreed = kept["model_class"] == kept["own_class"]
    for name, part in (("the model agreed", kept[agreed]), ("the model disagreed", kept[~agreed])):
        shift = part["final_confidence"].astype(float) - part["own_confidence"].astype(float)
        value, low, high = ratio(part, shift, rng)
        yield f"confidence shift, class kept, {name}", value, low, high, len(part), "points of 100"


def _mean(name: str, table: pd.DataFrame, column: str, rng: np.random.Generator) -> Row:
    part = table[table[column].notna()]
    value, low, high = ratio(part, part[column].astype(float), rng)
    return name, value, low, high, len(part), ""


def _seconds(table: pd.DataFrame) -> Iterator[Row]:
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


def _order(table: pd.DataFrame, rng: np.random.Generator) -> Iterator[Row]:
    """What changed from the first to the second half of each reader's own order: learning, tiredness, growing trust."""
    later = 2 * table["position"] > table.groupby("reader")["position"].transform("max")
    known, agreed = table["truth"].notna(), table["model_class"].notna()
    timed = ~table["interrupted"].astype(bool) & table[["own_seconds", "final_seconds"]].notna().any(axis=1)
    seconds = table[["own_seconds", "final_seconds"]].astype(float).sum(axis=1, min_count=1)
    for name, values, rows in (
        ("accuracy, own read", table["own_class"] == table["truth"], known & table["own_class"].notna()),
        ("accuracy, final read", table["final_class"] == table["truth"], known),
        ("agreement with the model, final read", table["final_class"] == table["model_class"], agreed),
        ("seconds, whole case", seconds, timed),
    ):
        if rows.any():
            value, low, high = step(table[rows], values[rows], later[rows], rng)
            note = "halves of each reader's own order"
            yield f"{name}, second half minus first", value, low, high, int(rows.sum()), note


def dice_of(a_png: bytes | None, b_png: bytes | None) -> float:
    """Dice of two masks kept as PNG; NaN when one was not drawn or both are empty."""
    return math.nan if a_png is None or b_png is None else dice(decode_mask(a_png), decode_mask(b_png))
