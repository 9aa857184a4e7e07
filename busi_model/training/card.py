"""Evaluations on disk become the model card beside the weights, in Hugging Face's form; no figure is typed by hand."""

import json
from pathlib import Path

from busi_model import checkpoint
from busi_model.training.evaluate import figure_table, trust_sections

HEADER = """---
license: apache-2.0
library_name: pytorch
pipeline_tag: image-segmentation
tags: [breast-ultrasound, medical, segmentation, classification, busi]
---
# BUSI multi-task U-Net

One gray breast-ultrasound image in; the lesion's outline, the class (benign, malignant, normal) and a calibrated
probability out. **For research and teaching. Not a medical device: no diagnosis may rest on it.**

```python
from busi_model.predict import Predictor

prediction = Predictor.load("weights")("scan.png")
prediction.class_probabilities, prediction.mask
```
"""

USE = """## Intended and unintended use

For research, teaching and reading experiments with B-mode still images of the breast. Not for diagnosis, triage or
screening; not for other organs, Doppler or elastography, which the training data barely hold.
"""

LIMITS = """## Limits

- Trained on one hospital in Egypt (BUSI) and one in Brazil (BUS-BRA), each with few machines. Other hospitals' images
  differ; published BUSI models fall far there.
- Labels follow the data sets: BUSI's were outlined and classed by its authors, and 23 of its 780 published images lie
  in groups where one picture carries two labels. Two outlines of the same BUSI picture agree with a mean Dice of 0.83
  (median 0.92).
- Lesions that are faint, isoechoic or unusually small or large are the likeliest to be missed. `heads_disagree` and a
  class set of several classes catch part of these cases, not all: the tables above say how many.
- Normal images are few and come from BUSI alone, so the class "normal" may partly mean "looks like BUSI's normal
  images".
- No patient age, history or previous image enters the result.

## Data

BUSI: Al-Dhabyani et al., Data in Brief 28 (2020) 104863. BUS-BRA: Gómez-Flores et al., Medical Physics 2024.
Splits keep near-duplicate pictures, the same lesion and the same patient on one side. The encoder starts from
ImageNet weights (EfficientNet-Lite, Apache-2.0).
"""

# CLAIM 2024 (Tejani et al., Radiology: AI 6(4), 2024): what a reader asks, and where the answer stands.
CLAIM = """## CLAIM 2024, in short

| asked | answer |
|---|---|
| study design, goal | retrospective, public data; outline and class of one B-mode image |
| data sources, eligibility | BUSI and BUS-BRA as published, less BUSI's images with contradictory labels (see Data) |
| de-identification | done by the publishers; this project uses pixels only |
| reference standard | the data sets' own outlines and classes; BUS-BRA's are proven by biopsy |
| partitions | by group of near-duplicates and patients; five folds of BUSI, published folds of BUS-BRA |
| model, software, initialisation | see Training; code in the repository |
| training procedure, selection of the final model | `train.py`; the last epoch, never the best one |
| metrics and their uncertainty | tables above; bootstrap of whole groups, 1,000 resamples |
| robustness, shortcuts | painted marks and subgroups above |
| external validation | BUS-BRA figures above say whether the hospital was trained on |
| failures | by name, above |
| limits, intended use | above |
| registration, funding, ethics approval | none: public data, no intervention |
"""


def write_card(weights_folder, evaluation_folders) -> None:
    """Store each evaluation in config.json as `figures` and write README.md. Raises CheckpointError.

    evaluation_folders: as `evaluate` (metrics.json) or `strangers` (strangers.json) wrote them.
    """
    folder = Path(weights_folder)
    loaded = checkpoint.load(folder)
    evaluations, refusals = [], []
    for place in map(Path, evaluation_folders):
        measured = place / "strangers.json"
        kind, path = (refusals, measured) if measured.is_file() else (evaluations, place / "metrics.json")
        kind.append(json.loads(path.read_text(encoding="utf-8")))
    config_path = folder / checkpoint.CONFIG_NAME
    config = json.loads(config_path.read_text(encoding="utf-8"))
    config["figures"] = {e["title"]: e for e in evaluations}
    checkpoint.write_json(config, config_path)
    (folder / "README.md").write_text(card_text(loaded, evaluations, refusals), encoding="utf-8")


def card_text(loaded: checkpoint.Checkpoint, evaluations: list[dict], refusals: list[dict] = ()) -> str:
    """The card as Markdown; `evaluations` are contents of metrics.json, `refusals` of strangers.json."""
    lines = [
        HEADER,
        "## Figures",
        "",
        "Intervals: 95 %, bootstrap of whole groups (near-duplicates, one lesion, one patient).",
    ]
    for evaluation in evaluations:
        lines += ["", f"### {evaluation['title']}", "", _whose(evaluation, loaded), "", figure_table(evaluation), ""]
        lines += trust_sections(evaluation)
        lines += [f"Failures, {kind}: {', '.join(names)}.\n" for kind, names in evaluation["failures"].items()]
    lines += [*_operating_point(loaded.operating_point), "", USE]
    for measured in refusals:
        lines += _refused(measured)
    lines += [LIMITS, CLAIM, "## Training", "", "| what | value |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in _flat(loaded.training)]
    return "\n".join(lines) + "\n"


def _whose(evaluation, loaded):
    if evaluation["weights_sha256"] == loaded.weights_sha256:
        whose = "These very weights"
    elif evaluation["recipe"] == loaded.training.get("recipe"):
        whose = "Not these weights but the same recipe, trained without these images"
    else:
        whose = "Other weights, of another recipe"
    return f"{whose}; {evaluation['n_images']} images in {evaluation['n_groups']} groups."


def _operating_point(point):
    silent = f"nothing is outlined where neither head is surer of a lesion than {point.least_evidence:.3f}; "
    silent = silent if point.least_evidence > 0 else ""
    lines = [
        "## Operating point",
        "",
        f"Fitted on {point.fitted_on}, each hospital counting alike. Class temperature {point.temperature:.3f}, bias "
        f"{', '.join(f'{b:+.2f}' for b in point.class_bias)} (benign, malignant, normal), mask "
        f"temperature {point.mask_temperature:.3f}. A pixel is lesion from {point.mask_threshold} on; specks below "
        f"{100 * point.min_lesion_share:.1f} % of the image are dropped; {silent}"
        f"the margin band runs from {point.margin_outside:.2f} to {point.margin_inside:.2f}; a class stays in the set "
        f"from {point.conformal_probability:.3f} on.",
        "",
        "The rates are of out-of-fold images, each by an operating point fitted on other folds.",
    ]
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


def _refused(measured):
    limits = (("score", measured["ood_score"]), ("distance", measured["ood_distance"]))
    how = "".join(f"{name} {limit:.2f} or more, or " for name, limit in limits if limit is not None)
    lines = [
        "## Pictures that are no breast ultrasound",
        "",
        f"{measured['refused']} of {measured['n']} were refused ({how}blank). Where a detector was fitted on such "
        "pictures, it was fitted on these.",
        "",
        "| kind | refused | let through |",
        "|---|---|---|",
    ]
    for kind, row in measured["kinds"].items():
        some = ", ".join(row["let_through"][:8]) + (" ..." if len(row["let_through"]) > 8 else "")
        lines.append(f"| {kind} | {row['refused']} of {row['n']} | {some or '-'} |")
    organs = (f"{kind} {row['refused']} of {row['n']}" for kind, row in measured["other_ultrasound"].items())
    return [*lines, "", f"Ultrasound of other organs, of which nothing is claimed, refused: {', '.join(organs)}.", ""]


def _flat(content, prefix=""):
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}".replace("_", " "), value
