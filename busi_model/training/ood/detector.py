"""Fits the detector that refuses pictures that are no breast ultrasound, and measures it on data it was not fitted on.

Enters: what `data` made of several hospitals and of pictures that are no ultrasound. Leaves: an `OodDetector` for the
release, and a report with its two limits. Every claim is about hospitals and kinds of pictures left out: a hospital's
images are judged by a network and a detector that never saw that hospital (`LeftOut`), and each kind of other pictures
by detectors fitted without that kind. Ultrasound of other organs is counted apart; nothing is claimed of it.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from busi_model.model.ood import LIMIT, N_STATISTICS, N_TEXTURE, OodDetector, fit_distance
from busi_model.predict import Predictor
from busi_model.training.evaluation.subgroups import rate
from busi_model.training.ood.data import IMAGES, Inputs, LeftOut
from busi_model.training.ood.not_ultrasound import other_ultrasound, pictures

REGULARISATION = 0.01  # scikit-learn's C: strong, for there are few hospitals and few kinds
FEATURE_SHARE = 0.5  # what a feature counts beside a texture number: it changes more from hospital to hospital
WORST = 0.99  # quantile of a left-out hospital's scores


def fit_ood(hospitals: dict[str, np.ndarray], others: Inputs) -> OodDetector:
    """Inputs (N, D + 77) of breast ultrasound by hospital, and of other pictures, all through one network -> a
    detector. Every hospital and every kind of other pictures counts alike."""
    rng = np.random.default_rng(0)
    known = [a[rng.permutation(len(a))[:IMAGES]] for a in hospitals.values()]
    strange = [others.inputs[others.kinds == kind] for kind in np.unique(others.kinds)]
    inputs = np.concatenate(known + strange).astype(np.float64)
    weights = np.concatenate([np.full(len(a), 1 / len(side) / len(a)) for side in (known, strange) for a in side])
    weights *= len(inputs) / 2
    mean = np.average(inputs, axis=0, weights=weights)
    scale = np.sqrt(np.average((inputs - mean) ** 2, axis=0, weights=weights)) + 1e-3
    scale[: -N_STATISTICS - N_TEXTURE] /= FEATURE_SHARE
    is_strange = np.arange(len(inputs)) >= sum(map(len, known))
    standard = np.clip((inputs - mean) / scale, -LIMIT, LIMIT)
    found = LogisticRegression(C=REGULARISATION, max_iter=1000).fit(standard, is_strange, weights)
    arrays = {"mean": mean, "scale": scale, "weights": found.coef_[0], "bias": found.intercept_}
    arrays = {f"score_{name}": a.astype(np.float32) for name, a in arrays.items()}
    return dataclasses.replace(fit_distance(np.concatenate(known)[:, :-N_TEXTURE]), **arrays)


def measure_ood(left_out: list[LeftOut]) -> dict:
    """Hospitals left out, two at least -> limits for `OperatingPoint` ("ood_score", "ood_distance") and what they are
    worth, as JSON takes it.

    The limits are the highest WORST quantile of the scores and the farthest distance over the hospitals left out. Of
    each hospital "refused" is by these; "refused_by_others" by the limits of the other hospitals alone, which is what
    one more hospital may expect. Of each other kind "passed" is by detectors and limits made without that kind.
    """
    fitted = [fit_ood(one.others, one.no_ultrasound) for one in left_out]
    scores = [d.score(one.own) for d, one in zip(fitted, left_out, strict=True)]
    distances = [d.distance(one.own) for d, one in zip(fitted, left_out, strict=True)]
    quantiles, farthest = [float(np.quantile(s, WORST)) for s in scores], [float(d.max()) for d in distances]
    limits = max(quantiles), float(np.nextafter(np.float32(max(farthest)), np.float32(np.inf)))
    hospitals = {}
    for i, one in enumerate(left_out):
        rest = [max(v for j, v in enumerate(values) if j != i) for values in (quantiles, farthest)]
        hospitals[one.hospital] = {
            "n": len(one.own),
            "score_quantile": quantiles[i],
            "farthest": farthest[i],
            "refused": _share(_beyond(scores[i], distances[i], limits)),
            "refused_by_others": _share(_beyond(scores[i], distances[i], rest)),
        }
    passed = pd.concat([_passed(left_out, kind, limits[1]) for kind in np.unique(left_out[0].no_ultrasound.kinds)])
    kinds = {kind: _kind(rows) for kind, rows in passed.groupby("kind")}
    return {
        "title": "Pictures that are no breast ultrasound, hospitals and kinds left out in turn",
        "ood_score": limits[0],
        "ood_distance": limits[1],
        "hospitals": hospitals,
        "kinds": kinds,
        "passed": asdict(rate(passed["passed"], passed["source"])),
        "passed_mean_over_kinds": float(np.mean([row["passed"]["value"] for row in kinds.values()])),
        "other_ultrasound": _other_organs(left_out, fitted, limits),
    }


def _beyond(score: np.ndarray, distance: np.ndarray, limits: Sequence[float]) -> np.ndarray:
    return (score >= limits[0]) | (distance >= limits[1])


def _share(hits: ArrayLike, sources: np.ndarray | None = None) -> dict:
    counted = pd.Series(np.asarray(hits, float))
    return asdict(rate(counted, pd.Series(np.arange(len(counted)) if sources is None else sources)))


def _passed(left_out: list[LeftOut], kind: str, farthest: float) -> pd.DataFrame:
    """How often each picture of this kind passes, over the hospitals left out, when no detector has seen the kind."""
    fitted = [fit_ood(one.others, one.no_ultrasound.where(one.no_ultrasound.kinds != kind)) for one in left_out]
    limit = max(float(np.quantile(d.score(one.own), WORST)) for d, one in zip(fitted, left_out, strict=True))
    of_kind = [one.no_ultrasound.where(one.no_ultrasound.kinds == kind) for one in left_out]
    shares = [
        ~_beyond(d.score(k.inputs), d.distance(k.inputs), (limit, farthest))
        for d, k in zip(fitted, of_kind, strict=True)
    ]
    columns = {"kind": kind, "source": of_kind[0].sources, "name": of_kind[0].names}
    return pd.DataFrame({**columns, "passed": np.mean(shares, axis=0)})


def _kind(rows: pd.DataFrame) -> dict:
    let_through = rows.loc[rows["passed"] > 0, "name"].tolist()
    return {
        "n": len(rows),
        "sources": int(rows["source"].nunique()),
        "passed": _share(rows["passed"], rows["source"].to_numpy()),
        "let_through": let_through,
    }


def _other_organs(left_out: list[LeftOut], fitted: list[OodDetector], limits: Sequence[float]) -> dict:
    """Shares of the pictures of each organ that are refused, over the networks. One patient each: no interval."""
    organs = left_out[0].other_organs
    refused = np.mean(
        [
            _beyond(d.score(one.other_organs.inputs), d.distance(one.other_organs.inputs), limits)
            for d, one in zip(fitted, left_out, strict=True)
        ],
        axis=0,
    )
    found = {}
    for kind in dict.fromkeys(organs.kinds.tolist()):
        of_kind = organs.kinds == kind
        patients = len(np.unique(organs.sources[of_kind]))
        found[kind] = {"n": int(of_kind.sum()), "patients": patients, "refused": float(refused[of_kind].mean())}
    return found


def measure_refusals(predictor: Predictor, seed: int = 0) -> dict:
    """How many pictures of `not_ultrasound` a predictor refuses, by kind, blank ones too, and what it makes of other
    organs' ultrasound.

    A check of weights as shipped: the detector was fitted on these, so the figures flatter it; `measure_ood` does not.
    """
    kinds: dict[str, dict[str, Any]] = {}
    for picture in tqdm(pictures(seed), "pictures", leave=False):
        refused = predictor(np.ascontiguousarray(picture.pixels)).refused
        of_kind = kinds.setdefault(picture.kind, {"n": 0, "refused": 0, "let_through": []})
        of_kind["n"] += 1
        of_kind["refused"] += refused
        if not refused:
            of_kind["let_through"].append(picture.name)
    other: dict[str, dict[str, int]] = {}
    for picture in other_ultrasound():
        of_organ = other.setdefault(picture.kind, {"n": 0, "refused": 0})
        of_organ["n"] += 1
        of_organ["refused"] += predictor(picture.pixels).refused
    point = predictor.operating_point
    return {
        "title": "Pictures that are no breast ultrasound",
        "weights_sha256": predictor.checkpoint.weights_sha256,
        "ood_score": point.ood_score,
        "ood_distance": point.ood_distance,
        "n": sum(row["n"] for row in kinds.values()),
        "refused": sum(row["refused"] for row in kinds.values()),
        "kinds": kinds,
        "other_ultrasound": other,
    }
