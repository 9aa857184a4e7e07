"""Evaluations on disk become the model card beside the weights, in Hugging Face's form; no figure is typed by hand."""

import json
from pathlib import Path

from busi_model import checkpoint
from busi_model.training.evaluate import figure_table

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

LIMITS = """## Intended and unintended use

For research, teaching and reading experiments with B-mode still images of the breast. Not for diagnosis, triage or
screening; not for other organs, Doppler or elastography, which the training data barely hold.

## Limits

- Trained on one hospital in Egypt (BUSI) and, where the training table says so, one in Brazil (BUS-BRA), each with few
  machines. Other hospitals' images differ; published BUSI models fall far there.
- Labels follow the data sets: BUSI's were outlined and classed by its authors, and 23 of its 780 published images lie
  in groups where one picture carries two labels. Two outlines of the same BUSI picture agree with a mean Dice of 0.83
  (median 0.92).
- Lesions that are faint, isoechoic or unusually small or large are the likeliest to be missed. `heads_disagree` and
  `low_confidence` catch part of these cases, not all.
- Normal images are few (114 of 625) and come from BUSI alone.
- No patient age, history or previous image enters the result.

## Data

BUSI: Al-Dhabyani et al., Data in Brief 28 (2020) 104863. BUS-BRA: Gómez-Flores et al., Medical Physics 2024.
Splits keep near-duplicate pictures, the same lesion and the same patient on one side. The encoder starts from
ImageNet weights (EfficientNet-Lite, Apache-2.0).
"""


def write_card(weights_folder, evaluation_folders) -> None:
    """Store each evaluation's metrics.json in config.json as `figures` and write README.md. Raises CheckpointError."""
    folder = Path(weights_folder)
    loaded = checkpoint.load(folder)
    evaluations = [json.loads((Path(f) / "metrics.json").read_text(encoding="utf-8")) for f in evaluation_folders]
    config_path = folder / checkpoint.CONFIG_NAME
    config = json.loads(config_path.read_text(encoding="utf-8"))
    config["figures"] = {e["title"]: e for e in evaluations}
    checkpoint.write_json(config, config_path)
    (folder / "README.md").write_text(card_text(loaded, evaluations), encoding="utf-8")


def card_text(loaded: checkpoint.Checkpoint, evaluations: list[dict]) -> str:
    """The card as Markdown; `evaluations` are contents of metrics.json."""
    point = loaded.operating_point
    lines = [
        HEADER,
        "## Figures",
        "",
        "Intervals: 95 %, bootstrap of whole groups (near-duplicates, one lesion, one patient).",
    ]
    for evaluation in evaluations:
        if evaluation["weights_sha256"] == loaded.weights_sha256:
            whose = "These very weights"
        elif evaluation["recipe"] == loaded.training.get("recipe"):
            whose = "Not these weights but the same recipe, trained without these images"
        else:
            whose = "Other weights, of another recipe"
        lines += [
            "",
            f"### {evaluation['title']}",
            "",
            f"{whose}; {evaluation['n_images']} images in {evaluation['n_groups']} groups.",
            "",
            figure_table(evaluation),
        ]
    lines += [
        "",
        "## Operating point",
        "",
        f"Class temperature {point.temperature:.3f}, mask temperature {point.mask_temperature:.3f}, outline where the "
        f"lesion's probability is at least {point.mask_threshold}, specks below {100 * point.min_lesion_share:.1f} % "
        f"of the image dropped. Fitted on {point.fitted_on}. ECE on images that temperatures were fitted on flatters.",
        "",
        LIMITS,
        "## Training",
        "",
        "| what | value |",
        "|---|---|",
    ]
    lines += [f"| {key} | {value} |" for key, value in _flat(loaded.training)]
    return "\n".join(lines) + "\n"


def _flat(content, prefix=""):
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}".replace("_", " "), value
