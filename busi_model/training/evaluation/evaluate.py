"""Weights and cases go in; a table with one row a case, figures with intervals, plots and a report come out.

Everything passes through `Predictor` and is compared in the image's own pixels, as a user would see it.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import binary_erosion
from tqdm import tqdm

from busi_model.files import write_json
from busi_model.intervals import N_RESAMPLES
from busi_model.model import checkpoint
from busi_model.names import CLASS_NAMES
from busi_model.predict import Predictor
from busi_model.training.data.cases import Case
from busi_model.training.evaluation import metrics, subgroups
from busi_model.training.evaluation.plots import plot_evaluation
from busi_model.training.evaluation.report import report_markdown

BLACK_BELOW = 8  # gray levels


def evaluate_cases(
    predictor: Predictor,
    cases: list[Case],
    progress: bool = True,
    paint: Callable[[np.ndarray, str], np.ndarray] | None = None,
) -> pd.DataFrame:
    """One row a case; `metrics` says what the columns are made into.

    paint: what to do to each picture first, (gray uint8 (H, W), case_id) -> gray of the same size.
    """
    rows = []
    for case in tqdm(cases, desc="evaluating", unit="image", disable=not progress, leave=False):
        frame, truth = case.read()
        digest = case.published_fingerprint or checkpoint.fingerprint(frame.gray)
        if paint:
            frame = replace(frame, gray=paint(frame.gray, case.case_id))
        prediction = predictor(frame).judged_anyway  # what is refused wrongly counts all the same
        share = float(truth.mean())
        rows.append(
            {
                "case_id": case.case_id,
                "hospital": case.hospital,
                "seen": digest in predictor.checkpoint.seen,
                "fitted_on": digest in predictor.checkpoint.fitted_on_images,
                "group": case.group,
                "fold": case.fold,
                "subgroup": case.subgroup,
                "class_name": case.class_name,
                "predicted": prediction.label,
                **dict(zip(metrics.PROBABILITY_COLUMNS, prediction.class_probabilities.values(), strict=True)),
                **dict(zip(metrics.LOGIT_COLUMNS, prediction.class_logits.astype(float), strict=True)),
                "lesion_share": share,
                "size": metrics.size_name(share) if truth.any() else "",
                "long_side_px": max(truth.shape),
                "black_share": float((frame.gray < BLACK_BELOW).mean()),
                "found_px2": int(prediction.mask.sum()),
                **{
                    f"suspicious_{t.name}": prediction.class_probabilities["malignant"] >= t.malignant_probability
                    for t in predictor.operating_point.thresholds
                },
                "class_set": " ".join(prediction.class_set),
                "ood_score": prediction.ood_score,
                "ood_distance": prediction.ood_distance,
                "contour_in_margin": _contour_share(truth, prediction.margin),
                **metrics.mask_figures(prediction.mask, truth),
                "warnings": " ".join(w.code for w in prediction.warnings),
            }
        )
    return pd.DataFrame(rows)


def _contour_share(truth: np.ndarray, band: np.ndarray) -> float:
    """Share of the reference contour's pixels (the mask's own outermost ones) that lie in a band; NaN without one."""
    contour = truth & ~binary_erosion(truth, border_value=0)
    return float(band[contour].mean()) if contour.any() else float("nan")


def write_report(
    table: pd.DataFrame,
    folder: Path | str,
    title: str,
    weights_sha256: str,
    recipe: dict,
    calibrated_on: str,
    resamples: int = N_RESAMPLES,
    marked: pd.DataFrame | None = None,
    left_out: dict[str, list[str]] | None = None,
    changed: dict[str, pd.DataFrame] | None = None,
) -> dict:
    """Write per_case.csv, metrics.json, report.md and plots into a folder; returns what metrics.json holds.

    weights_sha256 and recipe say whose figures these are; the model card compares them with the weights it describes.
    calibrated_on: the images that the operating point was fitted on, in words.
    marked: the table of some of these cases with marks painted on them. left_out: why -> images that do not count.
    changed: what was done to some of these cases, in words -> their table.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "per_case.csv", index=False)
    labels = table["class_name"].map(CLASS_NAMES.index).to_numpy()
    content = {
        "title": title,
        "n_images": len(table),
        "n_groups": int(table["group"].nunique()),
        "n_by_class": {name: int((table["class_name"] == name).sum()) for name in CLASS_NAMES},
        "n_by_size": {name: int((table["size"] == name).sum()) for name in metrics.SIZE_NAMES},
        "n_hd95_undefined": int(table.loc[table["class_name"] != "normal", "hd95_px"].isna().sum()),
        "weights_sha256": weights_sha256,
        "recipe": recipe,
        "calibrated_on": calibrated_on,
        "remarks": remarks(table, left_out or {}),
        "resamples": resamples,
        "figures": metrics.with_intervals(table, resamples),
        "confusion_matrix": metrics.confusion(table).tolist(),
        "trust": {name: asdict(rate) for name, rate in subgroups.reliability_figures(table).items()},
        "subgroups": subgroups.subgroup_rows(table),
        "shortcuts": {} if marked is None else subgroups.shortcut_figures(_same_cases(table, marked), marked),
        "changes": {
            words: subgroups.change_figures(_same_cases(table, other), other)
            for words, other in (changed or {}).items()
        },
        "failures": subgroups.failures(table),
        "reliability": metrics.reliability(table[metrics.PROBABILITY_COLUMNS].to_numpy(), labels),
    }
    write_json(content, folder / "metrics.json")
    (folder / "report.md").write_text(report_markdown(content), encoding="utf-8")
    plot_evaluation(table, content, folder)
    return content


def remarks(table: pd.DataFrame, left_out: dict[str, list[str]]) -> list[str]:
    """What a reader must know before any figure: images that the weights or their calibration saw, and images left
    out."""
    lines = []
    if n := int(table["seen"].sum()):
        lines.append(
            f"**The weights were trained on {n} of these {len(table)} images.** These figures say how well they "
            "remember, not how well they do on a new patient."
        )
    if n := int(table["fitted_on"].sum()):
        lines.append(
            f"**The operating point was calibrated on {n} of these very {len(table)} images**, which flatters the "
            "figures of the class."
        )
    lines += [f"{len(names)} images do not count: {why}." for why, names in left_out.items()]
    return lines


def _same_cases(table: pd.DataFrame, marked: pd.DataFrame) -> pd.DataFrame:
    """The rows of the cases that marks were painted on, in their order."""
    return table.set_index("case_id").loc[marked["case_id"]].reset_index()
