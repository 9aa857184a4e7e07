"""How far readers agree: with the model, with each other, with themselves; kappas with intervals.

Enters: the table of `results.readings`. Leaves: rows of `figures.summarise` (measure, value, low, high, n, note).
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from busi_model.intervals import Formula, Row, bootstrap, sums_by
from busi_model.names import CLASS_NAMES, DESCRIPTOR_WORDS

BIRADS_ORDER = ("1", "2", "3", "4A", "4B", "4C", "5")  # 0 (incomplete) and 6 (known) stand in no order with these
BIRADS_NOTE = "linear weights, 1 to 5; 0 and 6 left out"


def weighted_kappa(confusion: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Counts (..., C, C), weights of agreement (C, C) in [0, 1] -> kappa (...) (Cohen, Psychol Bull 70 (1968) 213);
    with the unit matrix Cohen's of 1960. NaN when chance is certain to agree."""
    n = confusion.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = (confusion * weights).sum(axis=(-2, -1)) / n
        chance = confusion.sum(axis=-1)[..., :, None] * confusion.sum(axis=-2)[..., None, :]
        expected = (chance * weights).sum(axis=(-2, -1)) / n**2
        return np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)


def linear_weights(n: int) -> np.ndarray:
    """Of n ordered categories: 1 on the diagonal, 0 between the first and the last."""
    place = np.arange(n)
    return 1 - abs(place[:, None] - place) / (n - 1)


def fleiss_sums(ratings: np.ndarray) -> np.ndarray:
    """Counts (cases, C), the same number of readers in each row -> what Fleiss' kappa is made of, to be summed over
    cases (cases, C + 2): agreement within the case, 1, counts of each class."""
    n = ratings.sum(axis=1)
    agreement = (ratings * (ratings - 1)).sum(axis=1) / (n * (n - 1))
    return np.column_stack([agreement, np.ones(len(ratings)), ratings])


def fleiss_kappa(sums: np.ndarray) -> np.ndarray:
    """Sums (..., C + 2) -> Fleiss' kappa (...) (Fleiss 1971); NaN when chance is certain to agree."""
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = sums[..., 0] / sums[..., 1]
        shares = sums[..., 2:] / sums[..., 2:].sum(axis=-1, keepdims=True)
        expected = (shares**2).sum(axis=-1)
        return np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)


# Rows of the summary


def class_rows(table: pd.DataFrame, rng: np.random.Generator) -> Iterator[Row]:
    """Kappas of the class, own and final read: with the model, and between the readers where there are several."""
    for kind in ("own", "final"):
        if table[f"{kind}_class"].notna().any():
            yield _with_model(table, kind, rng)
            if table["reader"].nunique() > 1:
                yield _between_readers(table, kind, rng)


def _with_model(table: pd.DataFrame, kind: str, rng: np.random.Generator) -> Row:
    both = table[table[f"{kind}_class"].notna() & table["model_class"].notna()]
    sums = sums_by(both["case"], _one_hot(both[f"{kind}_class"], both["model_class"], CLASS_NAMES))
    value, low, high = bootstrap(sums, _kappa_of_sums(len(CLASS_NAMES), np.eye(len(CLASS_NAMES))), rng)
    return f"Cohen's kappa with the model, {kind} read", value, low, high, len(both), ""


def _between_readers(table: pd.DataFrame, kind: str, rng: np.random.Generator) -> Row:
    """Over the cases that all of them read."""
    counts = pd.crosstab(table["case"], table[f"{kind}_class"]).reindex(columns=CLASS_NAMES, fill_value=0)
    complete = counts[counts.sum(axis=1) == table["reader"].nunique()].to_numpy(float)
    value, low, high = bootstrap(fleiss_sums(complete), fleiss_kappa, rng)
    note = f"{table['reader'].nunique()} readers, the cases that all of them read"
    return f"Fleiss' kappa between readers, {kind} read", value, low, high, len(complete), note


def birads_rows(table: pd.DataFrame, rng: np.random.Generator) -> Iterator[Row]:
    """Weighted kappas of the BI-RADS category: before against after, and between readers (mean over their pairs:
    Light, Psychol Bull 76 (1971) 365). None where no category was given."""
    n, weights = len(BIRADS_ORDER), linear_weights(len(BIRADS_ORDER))
    both = table[table["own_birads"].isin(BIRADS_ORDER) & table["final_birads"].isin(BIRADS_ORDER)]
    if len(both):
        sums = sums_by(both["case"], _one_hot(both["own_birads"], both["final_birads"], BIRADS_ORDER))
        value, low, high = bootstrap(sums, _kappa_of_sums(n, weights), rng)
        yield "BI-RADS category, weighted kappa, own against final read", value, low, high, len(both), BIRADS_NOTE
    for kind in ("own", "final"):
        given = table[table[f"{kind}_birads"].isin(BIRADS_ORDER)]
        pairs = list(combinations(dict.fromkeys(given["reader"]), 2))
        if pairs:
            wide = given.pivot(index="case", columns="reader", values=f"{kind}_birads")
            sums, n_cases = _pair_sums(wide, pairs, BIRADS_ORDER)
            value, low, high = bootstrap(sums, _kappa_of_sums(n, weights), rng)
            name = f"BI-RADS category, weighted kappa between readers, {kind} read"
            yield name, value, low, high, n_cases, f"{BIRADS_NOTE}; mean over {len(pairs)} pairs; n counts cases"


def descriptor_rows(table: pd.DataFrame, rng: np.random.Generator) -> Iterator[Row]:
    """Cohen's kappas of each descriptor's word: with the program's, and between readers (mean over their pairs, as for
    the category). None where no reader said a word."""
    for descriptor, words in DESCRIPTOR_WORDS.items():
        formula = _kappa_of_sums(len(words), np.eye(len(words)))
        for kind in ("own", "final"):
            said = table[table[f"{kind}_{descriptor}"].notna()]
            if said.empty:
                continue
            both = said[said[f"model_{descriptor}"].notna()]
            sums = sums_by(both["case"], _one_hot(both[f"{kind}_{descriptor}"], both[f"model_{descriptor}"], words))
            value, low, high = bootstrap(sums, formula, rng)
            note = f"{' or '.join(words)}; the program said a word in {len(both)} of {len(said)} readings"
            yield f"{descriptor}, kappa with the program, {kind} read", value, low, high, len(both), note
            pairs = list(combinations(dict.fromkeys(said["reader"]), 2))
            if pairs:
                wide = said.pivot(index="case", columns="reader", values=f"{kind}_{descriptor}")
                sums, n_cases = _pair_sums(wide, pairs, words)
                value, low, high = bootstrap(sums, formula, rng)
                note = f"{' or '.join(words)}; mean over {len(pairs)} pairs; n counts cases"
                yield f"{descriptor}, kappa between readers, {kind} read", value, low, high, n_cases, note


def _pair_sums(wide: pd.DataFrame, pairs: list[tuple[str, str]], names: tuple[str, ...]) -> tuple[np.ndarray, int]:
    """Words (cases, readers) -> counts of each pair for each case (cases, pairs x C x C), cases with a pair."""
    wide = wide[wide.notna().sum(axis=1) > 1]
    parts = []
    for one, other in pairs:
        read = wide[[one, other]].notna().all(axis=1).to_numpy()
        part = np.zeros((len(wide), len(names) ** 2))
        part[read] = _one_hot(wide.loc[read, one], wide.loc[read, other], names)
        parts.append(part)
    return np.concatenate(parts, axis=1), len(wide)


def _one_hot(a: pd.Series, b: pd.Series, names: Sequence[str]) -> np.ndarray:
    """Two columns of the same length -> (rows, C x C), one 1 a row."""
    a, b = (np.array([names.index(word) for word in column], int) for column in (a, b))
    return np.eye(len(names) ** 2)[a * len(names) + b]


def _kappa_of_sums(n: int, weights: np.ndarray) -> Formula:
    """Formula: sums (..., pairs x n x n) -> mean kappa of the pairs (...); pairs without one do not count."""

    def formula(sums: np.ndarray) -> np.ndarray:
        kappas = weighted_kappa(sums.reshape(*sums.shape[:-1], -1, n, n), weights)
        defined = np.isfinite(kappas)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(defined, kappas, 0).sum(axis=-1) / defined.sum(axis=-1)

    return formula
