"""A session as a reader study: ROC areas of every reader, and what before against after says of readers in general.

Enters: the table of `results.readings`, the rows whose truth is known. Leaves: rows of `figures.summarise`, the whole
analysis as a table, and files that iMRMC and R's MRMCaov read. The mathematics is in `mrmc`.

A reader's rating of malignancy is the confidence in the class that was given, counted negative where that class is not
malignant: -100 (surely not) to 100 (surely malignant). The model's is its probability of malignant.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from busi_model.intervals import Row
from busi_model.reading.analysis.mrmc import (
    MAX_CASES,
    Analysis,
    cases_needed,
    delong,
    interval,
    obuchowski_rockette,
    paired,
    share,
)

POSITIVE = "malignant"
READS = {"own": "before", "final": "after"}  # the kind of a read, and what it is called outside this program
GAIN, NEXT_READERS = 0.05, (5, 10, 20)  # of the next study: the difference in AUC it shall find, and with how many
LEAST = 2  # readers, malignant cases, other cases: below, nothing can be said of others of their kind


def ratings(table: pd.DataFrame, kind: str) -> pd.Series:
    """Malignancy as "own" or "final" read rate it, -100 to 100, or as the "model" does, 0 to 1; NaN: not rated."""
    if kind == "model":
        return table["model_malignant"].astype(float)
    sign = np.where(table[f"{kind}_class"] == POSITIVE, 1.0, -1.0)
    return table[f"{kind}_confidence"].astype(float).where(table[f"{kind}_class"].notna()) * sign


# One reader


def area_rows(known: pd.DataFrame) -> Iterator[Row]:
    """One reader's readings -> areas under the ROC curve and their difference, with DeLong's intervals."""
    for kind in ("model", *READS):
        yield _area(known, kind)
    both = known[ratings(known, "own").notna() & ratings(known, "final").notna()]
    name, why = f"AUC for {POSITIVE}, final minus own", _too_few(both)
    if why:
        yield name, math.nan, math.nan, math.nan, len(both), why
        return
    scores = np.stack([ratings(both, kind) for kind in READS])
    difference, low, high, p = paired(*delong(scores, both["truth"].to_numpy() == POSITIVE))
    yield name, difference, low, high, len(both), "DeLong's interval" if math.isfinite(p) else _NO_SPREAD
    yield f"AUC for {POSITIVE}, DeLong's p", p, math.nan, math.nan, len(both), "" if math.isfinite(p) else _NO_SPREAD


_NO_SPREAD = "undefined: the two reads rank the cases alike"


def _area(known: pd.DataFrame, kind: str) -> Row:
    rated = known[ratings(known, kind).notna()]
    name = f"AUC for {POSITIVE}, model" if kind == "model" else f"AUC for {POSITIVE}, {kind} read"
    if why := _too_few(rated):
        return name, math.nan, math.nan, math.nan, len(rated), why
    auc, covariance = delong(ratings(rated, kind).to_numpy()[None], rated["truth"].to_numpy() == POSITIVE)
    low, high = interval(float(auc[0]), float(covariance[0, 0]))
    note = "DeLong's interval" if math.isfinite(low) else "no interval: every malignant case was rated above the others"
    return name, float(auc[0]), low, high, len(rated), note


def _too_few(rated: pd.DataFrame) -> str:
    n = int((rated["truth"] == POSITIVE).sum())
    if min(n, len(rated) - n) >= LEAST:
        return ""
    return f"undefined: {n} malignant and {len(rated) - n} other cases were rated; {LEAST} of each are needed"


# All readers


@dataclass(frozen=True, eq=False)  # == on the arrays would raise
class Block:
    """Readers and cases without a gap: everybody read every case, before and after."""

    readers: list[str]
    cases: list
    positive: np.ndarray  # bool (K,)
    ratings: np.ndarray  # (2, J, K): before and after
    hits: np.ndarray  # bool (2, J, K): called malignant

    @property
    def words(self) -> str:
        return (
            f"{len(self.readers)} readers x {len(self.cases)} cases ({self.positive.sum()} malignant), all read by all"
        )


def crossed(known: pd.DataFrame) -> Block | str:
    """The block with the most readings that has no gap; or why there is none, in words.

    Readers who finished fewer cases are taken in as long as the block grows.
    """
    if not known["own_class"].notna().any():
        return "undefined: no read before the model was shown"
    both = known[ratings(known, "own").notna() & ratings(known, "final").notna()]
    read = {reader: set(part["case"]) for reader, part in both.groupby("reader", sort=False)}
    ranked = sorted(read, key=lambda reader: -len(read[reader]))
    blocks = [(ranked[:n], set.intersection(*(read[r] for r in ranked[:n]))) for n in range(LEAST, len(ranked) + 1)]
    if not blocks:
        return f"undefined: {len(ranked)} reader read before and after; {LEAST} are needed"
    readers, read_by_all = max(blocks, key=lambda block: (len(block[0]) * len(block[1]), len(block[0])))
    readers = [reader for reader in read if reader in readers]  # in the order of the table again
    cases = sorted(read_by_all)
    table = (
        both[both["reader"].isin(readers)]
        .set_index(["reader", "case"])
        .reindex(pd.MultiIndex.from_product([readers, cases], names=["reader", "case"]))
    )
    shape = (len(readers), len(cases))
    if why := _too_few(table.loc[readers[0]]):
        return f"{why}, by all of {len(readers)} readers"
    return Block(
        readers,
        cases,
        table.loc[readers[0], "truth"].to_numpy() == POSITIVE,
        np.stack([ratings(table, kind).to_numpy().reshape(shape) for kind in READS]),
        np.stack([(table[f"{kind}_class"] == POSITIVE).to_numpy().reshape(shape) for kind in READS]),
    )


def analyses(block: Block) -> dict[str, Analysis]:
    """Before against after for AUC, sensitivity and specificity at the reader's own cut, readers and cases random."""
    flat = (2 * len(block.readers), len(block.cases))
    hits = block.hits.reshape(flat)
    merits = {
        "AUC": delong(block.ratings.reshape(flat), block.positive),
        "sensitivity": share(hits[:, block.positive]),
        "specificity": share(~hits[:, ~block.positive]),
    }
    return {name: obuchowski_rockette(m.reshape(2, -1), covariance) for name, (m, covariance) in merits.items()}


def study_rows(known: pd.DataFrame) -> Iterator[Row]:
    """All readers' readings -> areas, differences and p-values that hold for readers in general; the next study."""
    yield _model_area(known)
    block = crossed(known)
    if isinstance(block, str):
        yield f"AUC for {POSITIVE}, final minus own", math.nan, math.nan, math.nan, 0, block
        return
    found, n = analyses(block), block.ratings[0].size
    for i, kind in enumerate(READS):
        low, high = found["AUC"].intervals[i]
        yield f"AUC for {POSITIVE}, {kind} read", found["AUC"].means[i], low, high, n, f"mean of {block.words}"
    for merit, one in found.items():
        name = f"{merit} for {POSITIVE}"
        spread = f"F(1, {one.df:.1f}) = {one.f:.2f}" if math.isfinite(one.p) else "undefined: no reader changed"
        random = f"readers and cases random; {spread}; {block.words}"
        general = name if merit == "AUC" else f"{name}, readers and cases random"
        yield f"{general}, final minus own", one.difference, one.low, one.high, n, random
        yield f"{name}, Obuchowski-Rockette p", one.p, math.nan, math.nan, n, random
        fixed = "cases random; says nothing of other readers"
        yield f"{name}, p for these readers only", one.p_these_readers, math.nan, math.nan, n, fixed
    for n_readers in NEXT_READERS:
        yield _next_study(found["AUC"], block, n_readers)


def _model_area(known: pd.DataFrame) -> Row:
    """The model rates a case once, however many readers saw it."""
    by_case = known.groupby("case").agg(truth=("truth", "first"), model_malignant=("model_malignant", "mean"))
    return _area(by_case, "model")


def _next_study(pilot: Analysis, block: Block, n_readers: int) -> Row:
    needed = cases_needed(pilot, len(block.cases), n_readers, GAIN)
    note = (
        f"80 % power at two-sided 5 %, readers and cases random, {block.positive.mean():.0%} malignant; "
        f"this session is the pilot: {block.words}"
    )
    if needed is None:
        undefined = not math.isfinite(pilot.p)
        note = "undefined: no reader changed" if undefined else f"more than {MAX_CASES} cases; take more readers"
    name = f"next study: cases to find an AUC difference of {GAIN:g} with {n_readers} readers"
    return name, math.nan if needed is None else needed, math.nan, math.nan, len(block.cases), note


def study_table(known: pd.DataFrame) -> pd.DataFrame:
    """The whole analysis, one row a figure of merit: means, difference, test, variance components; empty without."""
    block = crossed(known) if len(known) else ""
    rows = []
    if isinstance(block, Block):
        size = {"readers": len(block.readers), "cases": len(block.cases), "malignant": int(block.positive.sum())}
        for merit, one in analyses(block).items():
            (before_low, before_high), (after_low, after_high) = one.intervals
            row = {"merit": merit, **size, "before": one.means[0], "before_low": before_low, "before_high": before_high}
            row |= {"after": one.means[1], "after_low": after_low, "after_high": after_high}
            row |= {
                "difference": one.difference,
                "low": one.low,
                "high": one.high,
                "standard_error": one.standard_error,
            }
            row |= {"f": one.f, "df": one.df, "p": one.p, "p_these_readers": one.p_these_readers}
            row |= {"var_reader": one.var_reader, "var_read_reader": one.var_read_reader, "error": one.error}
            rows.append(row | {"cov1": one.cov1, "cov2": one.cov2, "cov3": one.cov3})
    return pd.DataFrame(rows)


# For other programs


def imrmc_text(known: pd.DataFrame) -> str:
    """The input file of the FDA's iMRMC: truth, then a line a rating. Readers are numbered, as in `mrmcaov_table`:
    a pseudonym could be read as a number of the format."""
    rated = mrmcaov_table(known)
    truth = rated.groupby("case")["truth"].first()
    head = [
        "Ratings of malignancy before and after the model was shown, -100 to 100",
        f"N0:{int((truth == 0).sum())}",
        f"N1:{int((truth == 1).sum())}",
        f"NR:{rated['reader'].nunique()}",
        f"NM:{rated['treatment'].nunique()}",
        "BEGIN DATA:",
    ]
    lines = [f"-1,{case},truth,{value}" for case, value in truth.items()]
    lines += [f"{row.reader},{row.case},{row.treatment},{row.rating:g}" for row in rated.itertuples()]
    return "\n".join([*head, *lines, ""])


def mrmcaov_table(known: pd.DataFrame) -> pd.DataFrame:
    """One row a reader, case and read, as R's MRMCaov takes it: reader, pseudonym, treatment (before or after), case,
    truth (0 or 1), rating, called (0 or 1, malignant), crossed (1: part of the block that this program analyses)."""
    block = crossed(known) if len(known) else ""
    numbers = {name: f"reader{number}" for number, name in enumerate(dict.fromkeys(known["reader"]), start=1)}
    parts = []
    for kind, treatment in READS.items():
        part = known.assign(rating=ratings(known, kind), treatment=treatment, pseudonym=known["reader"])
        part["called"] = (known[f"{kind}_class"] == POSITIVE).astype(int)
        parts.append(part[part["rating"].notna()])
    rated = pd.concat(parts, ignore_index=True)
    rated["reader"] = rated["reader"].map(numbers)
    rated["truth"] = (rated["truth"] == POSITIVE).astype(int)
    rated["crossed"] = 0
    if isinstance(block, Block):
        inside = rated["pseudonym"].isin(block.readers) & rated["case"].isin(block.cases)
        rated["crossed"] = inside.astype(int)
    return rated[["reader", "pseudonym", "treatment", "case", "truth", "rating", "called", "crossed"]]
