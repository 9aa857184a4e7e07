"""What the model's own doubt is worth: a table with one row a case goes in, named shares with intervals come out.

Class sets (conformal prediction), risk against coverage, the margin band, the two heads against each other, and
subgroups. All on cases that took no part in training nor in fitting the operating point.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pandas as pd

from busi_model.intervals import LIMITS, N_RESAMPLES, resampled_sums
from busi_model.model.operating_point import OperatingPoint, Rate, ReliabilityBin
from busi_model.names import CLASS_NAMES
from busi_model.training.evaluation.metrics import CALIBRATION_BINS, MISSED_BELOW, PROBABILITY_COLUMNS

REFERRED = 0.2  # share of cases that are handed to somebody else in the risk-coverage figure


def mean_rate(
    hits: pd.Series, groups: pd.Series, hospitals: pd.Series, resamples: int = N_RESAMPLES, seed: int = 0
) -> Rate:
    """As `rate`, the mean over hospitals, each counting alike whatever it sent; those where nothing counts are left
    out. The interval is of these hospitals' patients: it does not say how much other hospitals may differ."""
    counted = hits.notna()
    names = [name for name in hospitals.unique() if counted[hospitals == name].any()]
    if not names:
        return Rate(float("nan"), float("nan"), float("nan"), 0)
    rng, means, drawn = np.random.default_rng(seed), [], np.zeros(resamples)
    for name in names:
        own = hits[counted & (hospitals == name)].astype(float)
        means.append(own.mean())
        drawn += _resampled_means(own, groups[own.index], rng, resamples) / len(names)
    low, high = np.percentile(drawn, LIMITS)
    return Rate(float(np.mean(means)), float(low), float(high), int(counted.sum()))


def _resampled_means(hits: pd.Series, groups: pd.Series, rng: np.random.Generator, resamples: int) -> np.ndarray:
    of_group = pd.DataFrame({"sum": hits, "n": 1}).groupby(groups.to_numpy()).sum().to_numpy()
    drawn = resampled_sums(of_group, rng, resamples)
    return drawn[:, 0] / drawn[:, 1]


def rate(hits: pd.Series, groups: pd.Series, resamples: int = N_RESAMPLES, seed: int = 0) -> Rate:
    """Numbers in [0, 1] of single cases (NaN: does not count), their groups -> mean, 95 % bootstrap interval."""
    counted = hits.notna()
    hits, groups = hits[counted].astype(float), groups[counted]
    if hits.empty:
        return Rate(float("nan"), float("nan"), float("nan"), 0)
    means = _resampled_means(hits, groups, np.random.default_rng(seed), resamples)
    low, high = np.percentile(means, LIMITS)
    return Rate(float(hits.mean()), float(low), float(high), len(hits))


def reliability_figures(table: pd.DataFrame) -> dict[str, Rate]:
    """The table of `evaluate.evaluate_cases` -> shares by name, in the order of a report."""
    groups = table["group"]
    correct = table["predicted"] == table["class_name"]
    lesion = table["class_name"] != "normal"
    found = table["found_px2"] > 0
    disagree = table["warnings"].str.split().map(lambda codes: "heads_disagree" in codes)
    in_set = [truth in names.split() for truth, names in zip(table["class_name"], table["class_set"], strict=True)]
    size = table["class_set"].str.split().map(len)
    sure = table[PROBABILITY_COLUMNS].max(axis=1).rank(ascending=False, method="first") <= len(table) * (1 - REFERRED)
    figures = {
        "Class set holds the truth": pd.Series(in_set, table.index),
        "Class set holds one class": size == 1,
        "Class set holds two classes": size == 2,
        "Class set holds all three classes": size == 3,
        "Wrong class, all cases": ~correct,
        f"Wrong class after referring the least certain {REFERRED:.0%}": (~correct).where(sure),
        "Reference contour within the margin band, lesions found": table["contour_in_margin"].where(
            lesion & (table["dice"] >= MISSED_BELOW)
        ),
        "Heads disagree": disagree,
        "Heads disagree, and the class is wrong": (~correct).where(disagree),
        "Heads agree, and the class is wrong": (~correct).where(~disagree),
        "Nothing outlined though a lesion is named, and there is one": lesion.where(
            disagree & ~found & (table["predicted"] != "normal")
        ),
        "Something outlined though called normal, and there is a lesion": lesion.where(
            disagree & found & (table["predicted"] == "normal")
        ),
        "Turned away as no breast ultrasound": table["warnings"].str.contains("not_ultrasound|blank"),
    }
    malignant = table["class_name"] == "malignant"
    for column in [c for c in table.columns if c.startswith("suspicious_")]:
        suspicious, name = (
            table[column].astype(float),
            column.removeprefix("suspicious_"),
        )  # NaN: no threshold was known
        figures[f"Sensitivity, {name}"] = suspicious.where(malignant)
        figures[f"Specificity, {name}"] = (1 - suspicious).where(~malignant)
    return {name: rate(hits.astype("float"), groups) for name, hits in figures.items()}


def subgroup_rows(table: pd.DataFrame) -> list[dict]:
    """Accuracy and Dice by what the data say of each picture and by what can be read off it: one row a subgroup."""
    long_side = pd.cut(table["long_side_px"], [0, 400, 600, np.inf], labels=["<= 400 px", "401-600 px", "> 600 px"])
    border = pd.cut(table["black_share"], [-1, 0.05, 0.2, 1], labels=["< 5 % black", "5-20 % black", "> 20 % black"])
    marks = np.where(table["subgroup"].isin(["", "clean"]), "no marks", "marks (text, calipers, other)")
    by = {"class": table["class_name"], "lesion size": table["size"], "longer side": long_side, "black": border}
    if (table["hospital"] == "BUS-BRA").all():
        by["device"] = table["subgroup"]
    else:
        by |= {"marks": pd.Series(marks, table.index), "annotation": table["subgroup"]}
    rows = []
    for name, values in by.items():
        for value, part in table.groupby(values.astype(str), sort=True):
            if value and len(part) >= 5:
                rows.append(
                    {
                        "by": name,
                        "subgroup": value,
                        "n": len(part),
                        "accuracy": asdict(rate(_hits(part), part["group"])),
                        "dice": asdict(rate(part["dice"], part["group"])),
                    }
                )
    return rows


def shortcut_figures(table: pd.DataFrame, marked: pd.DataFrame) -> dict[str, dict]:
    """Accuracy as the images are, with marks painted on all, and on benign ones only, and the paired differences.

    Both tables hold the same cases in the same order. A difference whose interval holds 0 shows no shortcut.
    """
    plain, painted = _hits(table), _hits(marked)
    some = painted.where(table["class_name"] == "benign", plain)
    figures = {
        "Accuracy, images as they are": plain,
        "Accuracy, marks painted on all": painted,
        "Accuracy, marks painted on benign only": some,
        "Difference, marks on all": painted - plain,
        "Difference, marks on benign only": some - plain,
        "Lesion Dice, difference, marks on all": marked["dice"] - table["dice"],
    }
    return _rates(figures, table)


def change_figures(table: pd.DataFrame, changed: pd.DataFrame) -> dict[str, dict]:
    """Accuracy as the images are and with something painted on or removed, and how each class's probability moves, by
    the true class. Both tables hold the same cases in the same order; a difference whose interval holds 0 shows
    nothing."""
    truth = table["class_name"]
    plain, after = _hits(table), _hits(changed)
    figures = {}
    for name in ("all images", *CLASS_NAMES):
        chosen = truth.isin(CLASS_NAMES if name == "all images" else [name])
        figures[f"Accuracy, {name}, as they are"] = plain.where(chosen)
        figures[f"Accuracy, {name}, difference"] = (after - plain).where(chosen)
    for name in CLASS_NAMES:
        for said, column in zip(CLASS_NAMES, PROBABILITY_COLUMNS, strict=True):
            moved = (changed[column] - table[column]).where(truth == name)
            figures[f"Probability of {said}, {name} images, difference"] = moved
    figures["Lesion Dice, difference"] = changed["dice"] - table["dice"]
    return {name: one for name, one in _rates(figures, table).items() if one["n"]}


def _hits(table: pd.DataFrame) -> pd.Series:
    """1.0 where the class is right."""
    return (table["predicted"] == table["class_name"]).astype(float)


def _rates(figures: dict[str, pd.Series], table: pd.DataFrame) -> dict[str, dict]:
    return {name: asdict(rate(values, table["group"])) for name, values in figures.items()}


def failures(table: pd.DataFrame, most: int = 30) -> dict[str, list[str]]:
    """Names of the cases that failed, by how."""
    lesion = table["class_name"] != "normal"
    kinds = {
        "lesion missed": lesion & (table["dice"] < MISSED_BELOW),
        "malignant called benign": (table["class_name"] == "malignant") & (table["predicted"] == "benign"),
        "malignant called normal": (table["class_name"] == "malignant") & (table["predicted"] == "normal"),
        "benign called malignant": (table["class_name"] == "benign") & (table["predicted"] == "malignant"),
        "benign called normal": (table["class_name"] == "benign") & (table["predicted"] == "normal"),
        "normal outlined": ~lesion & (table["found_px2"] > 0),
    }
    return {kind: table.loc[rows, "case_id"].head(most).tolist() for kind, rows in kinds.items() if rows.any()}


def with_rates(point: OperatingPoint, table: pd.DataFrame) -> OperatingPoint:
    """The point with what its decisions are worth, measured on a table (of `evaluate_cases`) that it was not fitted on:
    each part's rows by an operating point fitted on the other parts. Each hospital counts alike."""
    malignant = table["class_name"] == "malignant"
    in_set = [truth in names.split() for truth, names in zip(table["class_name"], table["class_set"], strict=True)]
    in_margin = table["contour_in_margin"].where(table["dice"] >= MISSED_BELOW)
    unknown = pd.Series(np.nan, table.index)  # where no part had a threshold to judge by
    suspicious = {t.name: table.get(f"suspicious_{t.name}", unknown).astype(float) for t in point.thresholds}
    return dataclasses.replace(
        point,
        thresholds=tuple(
            dataclasses.replace(
                t,
                sensitivity=_mean_rate(suspicious[t.name].where(malignant), table),
                specificity=_mean_rate((1 - suspicious[t.name]).where(~malignant), table),
            )
            for t in point.thresholds
        ),
        conformal_coverage=_mean_rate(pd.Series(in_set, table.index, dtype=float), table),
        margin_coverage=_mean_rate(in_margin, table),
        reliability=tuple(_reliability(table)),
    )


def _mean_rate(hits: pd.Series, table: pd.DataFrame) -> Rate:
    return mean_rate(hits, table["group"], table["hospital"])


def _reliability(table: pd.DataFrame) -> Iterator[ReliabilityBin]:
    for name, column in zip(CLASS_NAMES, PROBABILITY_COLUMNS, strict=True):
        which = np.minimum((table[column] * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
        for b, part in table.groupby(which):
            observed = _mean_rate((part["class_name"] == name).astype(float), part)
            yield ReliabilityBin(name, b / CALIBRATION_BINS, (b + 1) / CALIBRATION_BINS, observed)
