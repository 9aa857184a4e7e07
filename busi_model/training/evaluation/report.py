"""Figures become Markdown: an evaluation's report, the table of a study, sections of the model card.

Enters: what metrics.json and ood.json hold. Leaves: lines of text. The one figure made here is the mean over hospitals.
"""

from pathlib import Path

import numpy as np

from busi_model.files import write_json
from busi_model.model.operating_point import OperatingPoint
from busi_model.names import CLASS_NAMES

SUMMARY_FIGURES = (  # of the table that has a row a hospital
    ("Dice", "dice_mean"),
    ("missed", "missed"),
    ("AUC benign/malignant", "auc_benign_malignant"),
    ("ECE", "ece"),
    ("normals outlined", "normal_outlined"),
)
SUMMARY_RELIABILITY = (
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
            *reliability_sections(content),
        ]
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


def reliability_sections(content: dict) -> list[str]:
    """Lines of Markdown: what doubt is worth, shortcuts, subgroups."""
    lines = ["| doubt and agreement | share | 95 % interval | n |", "|---|---|---|---|"]
    lines += [f"| {name} | {_share(r)} |" for name, r in content["trust"].items() if r["n"]]
    if content["shortcuts"]:
        lines += ["", "| painted marks | value | 95 % interval | n |", "|---|---|---|---|"]
        lines += [f"| {name} | {_share(r)} |" for name, r in content["shortcuts"].items()]
    for words, figures in content.get("changes", {}).items():  # an evaluation may be older
        lines += ["", f"| {words} | value | 95 % interval | n |", "|---|---|---|---|"]
        lines += [f"| {name} | {_share(r)} |" for name, r in figures.items()]
    lines += ["", "| by | subgroup | n | accuracy | lesion Dice |", "|---|---|---|---|---|"]
    for row in content["subgroups"]:
        accuracy, dice = (_cell(row[k]) if row[k]["n"] else "-" for k in ("accuracy", "dice"))
        lines.append(f"| {row['by']} | {row['subgroup']} | {row['n']} | {accuracy} | {dice} |")
    return [*lines, ""]


def _share(rate: dict) -> str:
    return f"{rate['value']:.3f} | {rate['low']:.3f} to {rate['high']:.3f} | {rate['n']}"


def write_summary(contents: list[dict], folder: Path | str, what: str) -> dict:
    """What `write_report` returned for each hospital -> summary.md and summary.json: a row a hospital, and the mean
    over hospitals, each counting alike whatever it sent."""
    rows = {}
    for content in contents:
        rows[content["title"].split(",")[0]] = {
            "n": content["n_images"],
            **{words: content["figures"][name] for words, name in SUMMARY_FIGURES},
            **{words: content["trust"][name] for words, name in SUMMARY_RELIABILITY if name in content["trust"]},
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


def _cell(figure: dict | None) -> str:
    if figure is None or figure["value"] is None or np.isnan(figure["value"]):
        return "-"
    return f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"


def operating_point_section(point: OperatingPoint) -> list[str]:
    """Lines of Markdown for the model card: how the weights decide, and what that is worth."""
    silent = f"nothing is outlined where neither head is surer of a lesion than {point.least_evidence:.3f}; "
    silent = silent if point.least_evidence > 0 else ""
    faint = (
        f", in a faint lesion from {point.faint_share} of the surest pixels' probability" if point.faint_share else ""
    )
    lines = [
        "## Operating point",
        "",
        f"Fitted on {point.fitted_on}, each hospital counting alike. Class temperature {point.temperature:.3f}, bias "
        f"{', '.join(f'{b:+.2f}' for b in point.class_bias)} (benign, malignant, normal), mask "
        f"temperature {point.mask_temperature:.3f}. A pixel is lesion from {point.mask_threshold} on{faint}; specks "
        f"below {100 * point.min_lesion_share:.1f} % of the image are dropped; {silent}"
        f"the margin band runs from {point.margin_outside:.2f} to {point.margin_inside:.2f}; a class stays in the set "
        f"from {point.conformal_probability:.3f} on, malignant also from the threshold in use on.",
    ]
    if point.class_mix:
        mix = ", ".join(f"{share:.0%}" for share in point.class_mix)
        lines += ["", f"The probabilities assume this mix of benign, malignant and normal images: {mix}."]
    lines += ["", "The rates are means over hospitals left out, each judged by a point fitted on the others."]
    if point.thresholds:
        lines += [
            "",
            "| suspicious of malignancy | from probability | sensitivity | specificity |",
            "|---|---|---|---|",
        ]
    for t in point.thresholds:
        rates = (
            f"{r.value:.3f} ({r.low:.3f}-{r.high:.3f}), n = {r.n}" if r else "not measured"
            for r in (t.sensitivity, t.specificity)
        )
        lines.append(f"| {t.name} | {t.malignant_probability:.3f} | {' | '.join(rates)} |")
    return lines


def ood_section(report: dict) -> list[str]:
    """Lines of Markdown for the model card, of a report of `measure_ood`."""
    lines = [
        "## Pictures that are no breast ultrasound",
        "",
        f"Refused from a score of {report['ood_score']:.2f} or a distance of {report['ood_distance']:.1f} on. Each "
        "hospital is judged by a network and a detector that never saw it; the last column by the limits of the other "
        "hospitals alone, which is what one more hospital may expect.",
        "",
        "| hospital left out | n | refused | by the others' limits |",
        "|---|---|---|---|",
    ]
    for name, row in report["hospitals"].items():
        lines.append(f"| {name} | {row['n']} | {_percent(row['refused'])} | {_percent(row['refused_by_others'])} |")
    lines += [
        "",
        f"Of pictures whose whole kind the detector never saw {_percent(report['passed'])} pass (mean over kinds "
        f"{report['passed_mean_over_kinds']:.1%}):",
        "",
        "| kind left out | n (sources) | pass |",
        "|---|---|---|",
    ]
    for kind, row in report["kinds"].items():
        lines.append(f"| {kind} | {row['n']} ({row['sources']}) | {_percent(row['passed'])} |")
    organs = "; ".join(
        f"{kind} (n = {row['n']}, {row['patients']} patient) {row['refused']:.0%}"
        for kind, row in report["other_ultrasound"].items()
    )
    lines += ["", f"Ultrasound of other organs is not claimed to be refused. Refused here: {organs}. No thyroid.", ""]
    return lines


def _percent(r: dict) -> str:
    return f"{r['value']:.1%} ({r['low']:.1%}-{r['high']:.1%})"
