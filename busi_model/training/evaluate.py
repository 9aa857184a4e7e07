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

from busi_model import checkpoint
from busi_model.files import write_json
from busi_model.intervals import N_RESAMPLES
from busi_model.names import CLASS_NAMES
from busi_model.predict import Predictor
from busi_model.training import metrics
from busi_model.training import subgroups as trust
from busi_model.training.cases import N_FOLDS, Case, CaseError, Hospital
from busi_model.training.plots import plot_evaluation

BLACK_BELOW = 8  # gray levels


def choose_split(hospital: Hospital, split: str) -> tuple[list[Case], dict[str, list[str]]]:
    """Cases that count in figures, and why others do not -> their names. split: "fold0" to "fold4", "development",
    "test" (what is reserved) or "all". Raises CaseError."""
    kinds = {
        "all": lambda c: True,
        "development": lambda c: c.split == "development",
        "test": lambda c: c.split == "test",
    }
    kinds |= {f"fold{k}": lambda c, k=k: c.fold == k for k in range(N_FOLDS)}
    if split not in kinds:
        raise CaseError(f"The split is {split!r}; fold0 to fold{N_FOLDS - 1}, development, test or all is expected.")
    within = [c for c in hospital.cases if kinds[split](c)]
    chosen = [c for c in within if c.scored]
    if not chosen:
        raise CaseError(f"{hospital.name} holds no scored images of split {split!r}.")
    repeats = [c.case_id for c in within if not c.scored]
    repeated = {"repeats of a picture or lesion, or views that are not scored": repeats} if repeats else {}
    return chosen, hospital.left_out | repeated


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


def _contour_share(truth, band):
    """Share of the reference contour's pixels (the mask's own outermost ones) that lie in a band; NaN without one."""
    contour = truth & ~binary_erosion(truth, border_value=0)
    return float(band[contour].mean()) if contour.any() else float("nan")


def write_report(
    table: pd.DataFrame,
    folder,
    title: str,
    weights_sha256: str,
    recipe: dict,
    calibrated_on: str,
    resamples: int = N_RESAMPLES,
    marked: pd.DataFrame | None = None,
    left_out: dict[str, list[str]] | None = None,
) -> dict:
    """Write per_case.csv, metrics.json, report.md and plots into a folder; returns what metrics.json holds.

    weights_sha256 and recipe say whose figures these are; the model card compares them with the weights it describes.
    calibrated_on: the images that the operating point was fitted on, in words.
    marked: the table of some of these cases with marks painted on them. left_out: why -> images that do not count.
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
        "trust": {name: asdict(rate) for name, rate in trust.trust_figures(table).items()},
        "subgroups": trust.subgroup_rows(table),
        "shortcuts": {} if marked is None else trust.shortcut_figures(_same_cases(table, marked), marked),
        "failures": trust.failures(table),
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


def _same_cases(table, marked):
    """The rows of the cases that marks were painted on, in their order."""
    return table.set_index("case_id").loc[marked["case_id"]].reset_index()


SUMMARY_FIGURES = (  # of the table that has a row a hospital
    ("Dice", "dice_mean"),
    ("missed", "missed"),
    ("AUC benign/malignant", "auc_benign_malignant"),
    ("ECE", "ece"),
    ("normals outlined", "normal_outlined"),
)


def write_summary(contents: list[dict], folder, what: str) -> dict:
    """What `write_report` returned for each hospital -> summary.md and summary.json: a row a hospital, and the mean
    over hospitals, each counting alike whatever it sent."""
    rows = {}
    for content in contents:
        rows[content["title"].split(",")[0]] = {
            "n": content["n_images"],
            **{words: content["figures"][name] for words, name in SUMMARY_FIGURES},
            **{words: content["trust"][name] for words, name in SUMMARY_TRUST if name in content["trust"]},
        }
    columns = list(dict.fromkeys(key for row in rows.values() for key in row if key != "n"))
    mean = {}
    for column in columns:
        values = [row[column]["value"] for row in rows.values() if column in row]
        values = [v for v in values if v is not None and not np.isnan(v)]
        mean[column] = float(np.mean(values)) if values else float("nan")
    write_json({"what": what, "hospitals": rows, "mean": mean}, Path(folder) / "summary.json")
    lines = [f"| {what} | n | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | {row['n']} | " + " | ".join(_cell(row.get(column)) for column in columns) + " |")
    lines.append("| mean | | " + " | ".join("-" if np.isnan(v) else f"{v:.3f}" for v in mean.values()) + " |")
    Path(folder, "summary.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"hospitals": rows, "mean": mean}


def _cell(figure):
    if figure is None or figure["value"] is None or np.isnan(figure["value"]):
        return "-"
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"


SUMMARY_TRUST = (
    ("class set holds the truth", "Class set holds the truth"),
    ("sensitivity, sensitive", "Sensitivity, sensitive"),
    ("specificity, sensitive", "Specificity, sensitive"),
    ("sensitivity, balanced", "Sensitivity, balanced"),
    ("specificity, balanced", "Specificity, balanced"),
)


FIGURE_ROWS = (  # words, name in `metrics.case_figures`, and which n it has: a key of `counts` in `figure_table`
    ("Lesion Dice, mean", "dice_mean", "lesions"),
    ("Lesion Dice, median", "dice_median", "lesions"),
    ("Lesion IoU, mean", "iou_mean", "lesions"),
    ("Lesions missed (Dice < 0.1)", "missed", "lesions"),
    ("Dice, benign", "dice_mean_benign", "benign"),
    ("Dice, malignant", "dice_mean_malignant", "malignant"),
    ("Dice, small lesions (< 3 % of the image)", "dice_mean_small", "small"),
    ("Dice, medium lesions (3-10 %)", "dice_mean_medium", "medium"),
    ("Dice, large lesions (> 10 %)", "dice_mean_large", "large"),
    ("HD95, median, px of the image", "hd95_median_px", "hd95"),
    ("Normal images outlined by mistake", "normal_outlined", "normal"),
    ("Accuracy", "accuracy", "images"),
    ("Balanced accuracy", "balanced_accuracy", "images"),
    ("Macro F1", "f1_macro", "images"),
    ("Weighted F1", "f1_weighted", "images"),
    ("F1 benign", "f1_benign", "images"),
    ("F1 malignant", "f1_malignant", "images"),
    ("F1 normal", "f1_normal", "images"),
    ("AUC malignant against the rest", "auc_malignant", "images"),
    ("AUC malignant against benign", "auc_benign_malignant", "lesions"),
    ("AUC benign against the rest", "auc_benign", "images"),
    ("AUC normal against the rest", "auc_normal", "images"),
    ("Malignant sensitivity at 90 % specificity", "malignant_sensitivity_at_90_specificity", "images"),
    ("ECE", "ece", "images"),
    ("ECE before calibration", "ece_before_calibration", "images"),
    ("Brier score (0 to 2)", "brier", "images"),
)


def figure_table(content: dict) -> str:
    """Markdown table of all defined figures with intervals and n."""
    by_class = content["n_by_class"]
    lesions = by_class["benign"] + by_class["malignant"]
    counts = {"images": content["n_images"], "lesions": lesions, **by_class, **content["n_by_size"]}
    counts["hd95"] = lesions - content["n_hd95_undefined"]
    lines = ["| figure | value | 95 % interval | n |", "|---|---|---|---|"]
    for words, name, kind in FIGURE_ROWS:
        figure = content["figures"].get(name)  # an evaluation may be older than the figure
        if figure is None or figure["value"] is None or np.isnan(figure["value"]):
            continue
        digits = 1 if name.endswith("_px") else 3
        value, low, high = (f"{figure[k]:.{digits}f}" for k in ("value", "low", "high"))
        lines.append(f"| {words} | {value} | {low} to {high} | {counts[kind]} |")
    return "\n".join(lines)


def trust_sections(content: dict) -> list[str]:
    """Lines of Markdown: what doubt is worth, shortcuts, subgroups."""
    lines = ["| doubt and agreement | share | 95 % interval | n |", "|---|---|---|---|"]
    lines += [f"| {name} | {_share(r)} |" for name, r in content["trust"].items() if r["n"]]
    if content["shortcuts"]:
        lines += ["", "| painted marks | value | 95 % interval | n |", "|---|---|---|---|"]
        lines += [f"| {name} | {_share(r)} |" for name, r in content["shortcuts"].items()]
    lines += ["", "| by | subgroup | n | accuracy | lesion Dice |", "|---|---|---|---|---|"]
    for row in content["subgroups"]:
        accuracy, dice = (
            f"{row[k]['value']:.3f} ({row[k]['low']:.3f}-{row[k]['high']:.3f})" if row[k]["n"] else "-"
            for k in ("accuracy", "dice")
        )
        lines.append(f"| {row['by']} | {row['subgroup']} | {row['n']} | {accuracy} | {dice} |")
    return [*lines, ""]


def _share(rate):
    return f"{rate['value']:.3f} | {rate['low']:.3f} to {rate['high']:.3f} | {rate['n']}"


def report_markdown(content: dict) -> str:
    by_class = ", ".join(f"{n} {name}" for name, n in content["n_by_class"].items())
    matrix = ["| truth \\ said | " + " | ".join(CLASS_NAMES) + " |", "|---|---|---|---|"]
    for name, row in zip(CLASS_NAMES, content["confusion_matrix"], strict=True):
        matrix.append(f"| {name} | " + " | ".join(map(str, row)) + " |")
    return "\n".join(
        [
            f"# {content['title']}",
            "",
            *(line for remark in content.get("remarks", ()) for line in (remark, "")),
            f"{content['n_images']} images ({by_class}) in {content['n_groups']} groups. Intervals: 95 %, bootstrap of "
            f"{content['resamples']} resamples of whole groups. Dice and IoU are means over images that hold a lesion, "
            "in the image's own pixels; HD95 leaves out "
            f"{content['n_hd95_undefined']} lesions where nothing was outlined. "
            f"Weights sha256 {content['weights_sha256'][:16]}, calibrated on {content['calibrated_on']}.",
            "",
            figure_table(content),
            "",
            *matrix,
            "",
            *trust_sections(content),
        ]
    )
