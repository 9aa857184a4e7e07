"""Studies on disk become the model card beside the weights, in Hugging Face's form; no figure is typed by hand.

Abroad comes first: what the recipe is worth in a hospital that its network never saw is what a new user may expect.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from busi_model.files import write_json
from busi_model.model import checkpoint
from busi_model.training.evaluation.report import (
    figure_table,
    ood_section,
    operating_point_section,
    reliability_sections,
)
from busi_model.training.fitting.recipe import RunError

MODEL_NAME = "BUSI multi-task U-Net"
JUDGED = "{name}: the recipe, trained without the hospital that judges it"  # of the model-index: not these weights
TAGS = ["breast-ultrasound", "medical", "segmentation", "classification", "busi"]
OUTLINE_FIGURES = ("Dice", "missed", "normals outlined")  # of summary.json; the others are of the class
METRIC_TYPES = {"Dice": "dice", "AUC benign/malignant": "roc_auc", "ECE": "expected_calibration_error"}

HEADER = f"""# {MODEL_NAME}

One gray breast-ultrasound image in; the lesion's outline, the class (benign, malignant, normal) and a calibrated
probability out. **For research and teaching. Not a medical device: no diagnosis may rest on it.**

```python
from busi_model.predict import Predictor

prediction = Predictor.load("weights")("scan.png")
if not prediction.refused:
    prediction.class_probabilities, prediction.mask
```
"""

ABROAD = """## Abroad: in a hospital that the network never saw

What to expect at your own hospital. Each hospital was left out in turn: a network was trained on the others, calibrated
on predictions for the others, and judged here. Where the weights that the recipe goes on from had seen the hospital,
its network began from ImageNet instead, which costs it something. These weights themselves were trained on all of the
hospitals below, so no figure of theirs on these hospitals would say anything. Intervals: 95 %, bootstrap of patients or
groups of near-duplicates; they do not say how much one more hospital may differ. The mean counts each hospital alike.
"""

HOME = """## At home: other patients of hospitals that the network knows

Five folds; each network was calibrated on the other folds.
"""

USE = """## Intended and unintended use

For research, teaching and reading experiments with B-mode still images of the breast. Not for diagnosis, triage or
screening; not for other organs, Doppler or elastography, which the training data barely hold.
"""

LIMITS = """## Limits

- Four hospitals (Egypt, Brazil, Spain, Poland), each with few machines. Where the images look different, expect less
  than the worst row above. `busi calibrate` fits the promises to your own hospital from 20 labelled images on.
- Labels follow the data sets. Two outlines of the same BUSI picture agree with a mean Dice of 0.83 (median 0.92), and
  23 of its 780 published images lie in groups where one picture carries two labels (left out). BUS-BRA's outlines are
  tighter than BUSI's.
- Lesions that are faint, isoechoic or unusually small or large are the likeliest to be missed. `heads_disagree` and a
  class set of several classes catch part of these cases, not all: the tables say how many.
- Normal images come from two hospitals only (Egypt and Spain). Folds, ribs, shadows and fat lobules in them are
  outlined at the rate above. BUS-UCLM has a pictogram box on every image and most of the normals.
- A probability is right on average over the mix of classes that it was fitted on (above); where cancers are rarer, it
  is too high.
- No patient age, history or previous image enters the result.

## Data and licences

| data | from | licence, as its authors state it |
|---|---|---|
| BUSI | Al-Dhabyani et al., Data in Brief 28 (2020) 104863 | none in the paper; the Kaggle mirror says CC0 |
| BUS-BRA | Gómez-Flores et al., Medical Physics 2024 | free use with citation |
| BUS-UCLM | Vallez et al., Scientific Data 2025 | contradictory: CC BY 4.0 in the README, CC BY-NC in the LICENSE |
| BrEaST | Pawłowska et al., Scientific Data 2024 | CC BY 4.0 |

Splits keep near-duplicate pictures, the same lesion and the same patient on one side; patients and folds that are
reserved for a final test took part in nothing. The encoder starts from ImageNet weights (EfficientNet-Lite,
Apache-2.0).
"""

# CLAIM 2024 (Tejani et al., Radiology: AI 6(4), 2024): what a reader asks, and where the answer stands.
CLAIM = """## CLAIM 2024, in short

| asked | answer |
|---|---|
| study design, goal | retrospective, public data; outline and class of one B-mode image |
| data sources, eligibility | four data sets as published, less BUSI's images with contradictory labels (see Data) |
| de-identification | done by the publishers; this project uses pixels only |
| reference standard | the data sets' own outlines and classes; BUS-BRA's are proven by biopsy |
| partitions | by hospital (abroad) and by group of near-duplicates and patients (home, five folds) |
| model, software, initialisation | see Training; code in the repository |
| training procedure, selection of the final model | `busi train`; the last epoch, never the best one |
| metrics and their uncertainty | tables above; bootstrap of whole groups, 1,000 resamples |
| robustness, shortcuts | painted marks and subgroups above |
| external validation | each hospital left out in turn, above |
| failures | by name, above |
| limits, intended use | above |
| registration, funding, ethics approval | none: public data, no intervention |
"""


def write_card(
    weights_folder: Path | str,
    abroad: Path | str | None,
    home: Path | str | None = None,
    evaluation_folders: Iterable[Path | str] = (),
) -> None:
    """Store the figures in config.json and write README.md. Raises CheckpointError or RunError.

    abroad, home: folders of `busi train --leave-one-out` and `--cross-validate`; evaluation_folders: of `evaluate`.
    """
    folder = Path(weights_folder)
    loaded = checkpoint.load(folder)
    studies = [(words, *_study(place)) for words, place in ((ABROAD, abroad), (HOME, home)) if place]
    summary = _read(Path(abroad, "evaluation", "summary.json")) if abroad else None
    contents = [content for *_, of_study in studies for content in of_study]
    contents += [_read(Path(place, "metrics.json")) for place in evaluation_folders]
    ood = Path(abroad, "ood.json") if abroad else None
    config_path = folder / checkpoint.CONFIG_NAME
    config = json.loads(config_path.read_text(encoding="utf-8"))
    config["figures"] = {content["title"]: content for content in contents}
    write_json(config, config_path)
    refused = _read(ood) if ood and ood.is_file() else None
    text = front_matter(summary) + card_text(loaded, [study[:2] for study in studies], contents, refused)
    (folder / "README.md").write_text(text, encoding="utf-8")


def _study(folder: Path | str) -> tuple[str, list[dict]]:
    """A study's table with a row a hospital, and the contents of its reports."""
    place = Path(folder, "evaluation")
    summary = _read(place / "summary.json")
    table = (place / "summary.md").read_text(encoding="utf-8")
    return table, [_read(place / name / "metrics.json") for name in summary["hospitals"]]


def _read(path: Path) -> dict:
    if not path.is_file():
        raise RunError(f"{path.parent} holds no {path.name}. Name a folder that `busi train` or `evaluate` wrote.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(
            f"{path} is no whole JSON file ({error}). Let `busi train` or `evaluate` write it again."
        ) from error


def front_matter(abroad: dict | None) -> str:
    """The block at the top of the card, as the Hub reads it. abroad: a study's summary.json, whose figures become the
    model-index, each hospital one data set that the judged network never saw; None: there is no model-index."""
    facts = ModelCardData(
        license="apache-2.0",
        library_name="pytorch",
        pipeline_tag="image-segmentation",
        tags=TAGS,
        model_name=JUDGED.format(name=MODEL_NAME) if abroad else None,
        eval_results=list(_eval_results(abroad)) if abroad else None,
    )
    return f"---\n{facts.to_yaml(original_order=['license'])}\n---\n"


def _eval_results(abroad: dict) -> Iterator[EvalResult]:
    what, hospitals = abroad["what"], abroad["hospitals"]
    for hospital, figures in hospitals.items():
        for name, figure in figures.items():
            if isinstance(figure, dict) and figure["value"] is not None:
                low, high, n = (figure.get(key) for key in ("low", "high", "n"))
                words = name if low is None else f"{name}, 95 % interval {low:.3f} to {high:.3f}"
                words += "" if n is None else f", n = {n}"
                yield _eval_result(hospital, f"{hospital}, {what}: {figures['n']} images", name, words, figure["value"])
    for name, value in abroad["mean"].items():
        if value is not None:
            yield _eval_result("mean", f"Mean of {len(hospitals)} hospitals, each {what}", name, name, value)


def _eval_result(hospital: str, dataset_name: str, name: str, metric_name: str, value: float) -> EvalResult:
    outline = name in OUTLINE_FIGURES
    return EvalResult(
        task_type="image-segmentation" if outline else "image-classification",
        task_name="Outline of the lesion" if outline else "Benign, malignant or normal",
        dataset_type=hospital.lower(),
        dataset_name=dataset_name,
        metric_type=METRIC_TYPES.get(name) or re.sub(r"\W+", "_", name.lower()),
        metric_name=metric_name,
        metric_value=round(value, 4),
    )


def card_text(
    loaded: checkpoint.Checkpoint,
    studies: list[tuple[str, str]],
    contents: list[dict],
    refused: dict | None,
) -> str:
    """The card as Markdown, below its front matter. studies: (introduction, table with a row a hospital); contents: of
    each metrics.json; refused: of ood.json."""
    lines = [HEADER]
    for introduction, table in studies:
        lines += [introduction, table]
    if refused:
        lines += ood_section(refused)
    lines += [*operating_point_section(loaded.operating_point), "", USE, LIMITS, CLAIM, "## Figures in full", ""]
    for content in contents:
        lines += [f"### {content['title']}", "", _whose(content, loaded), "", figure_table(content), ""]
        lines += [line for remark in content.get("remarks", ()) for line in (remark, "")]
        lines += reliability_sections(content)
        lines += [f"Failures, {kind}: {', '.join(names)}.\n" for kind, names in content["failures"].items()]
    lines += ["## Training", "", "| what | value |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in checkpoint.flat_facts(loaded.training)]
    return "\n".join(lines) + "\n"


def _whose(evaluation: dict, loaded: checkpoint.Checkpoint) -> str:
    if evaluation["weights_sha256"] == loaded.weights_sha256:
        whose = "These very weights"
    else:
        whose = f"Not these weights: {evaluation['weights_sha256']}, none of which saw the images that it is judged on"
    return f"{whose}; {evaluation['n_images']} images in {evaluation['n_groups']} groups."
