"""python -m benchmarks.descriptors --data BrEaST [--weights DIR] [--out DIR]: which words `clinic.descriptors` may say.

Enters: BrEaST in its published layout, its spreadsheet included (Pawlowska et al., Scientific Data 11 (2024) 148), and
weights that never trained on it. Leaves: descriptors.md, the agreement of every word with the radiologists' (5 folds by
case, one image a patient: each case is judged by cuts that never saw it; intervals from 1,000 bootstraps of cases), and
the constants that belong into `clinic/descriptors.py`, fitted on all cases. Needs openpyxl.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from openpyxl import load_workbook
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from busi_model.clinic import descriptors
from busi_model.clinic.measure import Lesion, measure_lesions
from busi_model.image import read_image
from busi_model.intervals import LIMITS, drawn_groups
from busi_model.predict import Predictor

N_FOLDS, SEED = 5, 0
WORD_SHARE = 0.6  # of the lesions shall get a word for their shape, the surest
IMAGES = "BrEaST-Lesions_USG-images_and_masks"
CUTS = np.arange(0.4, 1.2, 0.005)  # of gray behind / beside, that are tried
LEFT_OUT = {  # what no word is said of: how the spreadsheet tells that it is there
    "margin not circumscribed": lambda row: row["Margin"].startswith("not circumscribed"),
    "spiculated": lambda row: "spiculated" in row["Margin"],
    "halo": lambda row: row["Halo"] == "yes",
    "calcifications in the mass": lambda row: row["Calcifications"] == "in a mass",
    "echo: hypo- or anechoic": lambda row: row["Echogenicity"] in ("hypoechoic", "anechoic"),
}


class DataError(ValueError):
    """What was found, what was expected, what to do."""


@dataclass(frozen=True, eq=False)  # == on arrays would raise
class Outlined:
    """A lesion of BrEaST that the network outlined."""

    row: dict  # of the spreadsheet
    gray: np.ndarray
    lesion: Lesion  # the largest outline
    reference: Lesion
    malignant: float  # probability
    dice: float


def outlined_lesions(folder, predictor: Predictor) -> tuple[list[Outlined], int]:
    """All lesions whose image is there -> those that were outlined, and how many there are."""
    found, n_lesions = [], 0
    for row in _spreadsheet(Path(folder)):
        if row["Classification"] == "normal" or not (Path(folder) / IMAGES / row["Image_filename"]).is_file():
            continue
        n_lesions += 1
        prediction = predictor(Path(folder) / IMAGES / row["Image_filename"])
        if not prediction.mask.any():
            continue
        reference = read_image(Path(folder) / IMAGES / row["Mask_tumor_filename"]).gray > 127
        dice = 2 * (reference & prediction.mask).sum() / (reference.sum() + prediction.mask.sum())
        lesion, *_ = measure_lesions(prediction.mask)
        malignant = prediction.class_probabilities["malignant"]
        found.append(
            Outlined(row, prediction.frame.gray, lesion, measure_lesions(reference)[0], malignant, float(dice))
        )
    return found, n_lesions


def _spreadsheet(folder):
    files = sorted(folder.glob("*.xlsx"))
    if len(files) != 1:
        raise DataError(f"{folder} holds {len(files)} spreadsheets; BrEaST's folder with its one .xlsx is expected.")
    head, *rows = load_workbook(files[0], read_only=True).active.values
    return [dict(zip(head, row, strict=True)) for row in rows if row[0] is not None]


# Fits


def best_cut(ratios: np.ndarray, shadowing: np.ndarray) -> float:
    """The cut with the best kappa, the middle of several."""
    kappas = np.array([kappa(shadowing, ratios < cut) for cut in CUTS])
    return float(CUTS[kappas >= np.nanmax(kappas) - 1e-9].mean())


def shape_model(features: np.ndarray, irregular: np.ndarray):
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(features, irregular)


def folds(labels):
    return StratifiedKFold(N_FOLDS, shuffle=True, random_state=SEED).split(labels, labels)


def raw_weights(model) -> tuple[np.ndarray, float]:
    """Coefficients and offset for features as they are measured."""
    scaler, regression = model
    weights = regression.coef_[0] / scaler.scale_
    return weights, float(regression.intercept_[0] - weights @ scaler.mean_)


# Agreement


def kappa(a, b) -> float:
    """Cohen's, of two bool (n,); NaN when both always say one thing."""
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    return (np.mean(a == b) - chance) / (1 - chance) if chance < 1 else np.nan


def auc(label, score) -> float:
    n = label.sum()
    if not 0 < n < len(label):
        return np.nan
    return (rankdata(score)[label].sum() - n * (n + 1) / 2) / (n * (len(label) - n))


def with_interval(figure, *columns) -> tuple[float, float, float]:
    """A figure of columns (n,) and its 95 % interval."""
    drawn = [figure(*(c[i] for c in columns)) for i in drawn_groups(len(columns[0]), np.random.default_rng(SEED))]
    return figure(*columns), *np.nanpercentile(drawn, LIMITS)


def report(cases: list[Outlined], n_lesions: int, weights_sha256: str) -> tuple[str, str]:
    """-> Markdown, and the constants as Python."""
    malignant = np.array([case.malignant for case in cases])
    rows, constants = [], []

    def row(name, agreement, n, label, number, words=""):
        """agreement: (kappa, low, high) or None."""
        said = "-" if agreement is None else "{:.2f} ({:.2f}-{:.2f})".format(*agreement)
        areas = ["{:.2f} ({:.2f}-{:.2f})".format(*with_interval(auc, label, score)) for score in number]
        rows.append([name, words, said, str(n), *areas])

    ratios = np.array([descriptors.behind_to_beside(c.gray, c.lesion) or np.nan for c in cases])
    features_of = np.array([c.row["Posterior_features"] for c in cases])
    told = np.isfinite(ratios) & (features_of != "combined")
    shadowing, seen = (features_of == "shadowing")[told], ratios[told]
    said = np.zeros(len(seen), bool)
    for fitted, judged in folds(shadowing):
        said[judged] = seen[judged] < best_cut(seen[fitted], shadowing[fitted])
    posterior = with_interval(kappa, shadowing, said)
    row("posterior shadowing", posterior, len(said), shadowing, (-seen, malignant[told]), "shadowing or not")
    enhancement = (features_of == "enhancement")[told]
    row("posterior enhancement", None, len(seen), enhancement, (seen, malignant[told]), "number only")
    constants.append(f"SHADOWING_BELOW = {best_cut(seen, shadowing):.2f}")

    names = list(descriptors.IRREGULAR_WEIGHTS)
    contours = np.array([[descriptors.contour_features(c.lesion)[name] for name in names] for c in cases])
    shape = np.array([c.row["Shape"] for c in cases])
    irregular = shape == "irregular"
    probability = np.zeros(len(cases))
    for fitted, judged in folds(irregular):
        model = shape_model(contours[fitted], irregular[fitted])
        probability[judged] = model.predict_proba(contours[judged])[:, 1]
    doubt = abs(probability - 0.5)
    sure = doubt >= np.quantile(doubt, 1 - WORD_SHARE)
    everything = with_interval(kappa, irregular, probability >= 0.5)
    row("irregular, all lesions", everything, len(cases), irregular, (probability, malignant), "no abstention")
    surest = with_interval(kappa, irregular[sure], probability[sure] >= 0.5)
    surest_label, surest_scores = irregular[sure], (probability[sure], malignant[sure])
    row("irregular, the surest", surest, int(sure.sum()), surest_label, surest_scores, "irregular, not irregular, none")
    weights, offset = raw_weights(shape_model(contours, irregular))
    listed = ", ".join(f'"{name}": {weight:.4g}' for name, weight in zip(names, weights, strict=True))
    constants += [f"IRREGULAR_WEIGHTS = {{{listed}}}", f"IRREGULAR_OFFSET = {offset:.4g}"]
    constants.append(f"IRREGULAR_SURE = {0.5 + np.quantile(doubt, 1 - WORD_SHARE):.2f}")

    ours, theirs = (np.array([descriptors.depth_to_width(o) for o in part]) for part in _outlines(cases))
    outside = (ours < descriptors.PARALLEL_BELOW) | (ours > descriptors.NOT_PARALLEL_ABOVE)
    geometry = with_interval(kappa, theirs[outside] > 1, ours[outside] > 1)
    row(
        "taller than wide, against the reference outline",
        geometry,
        int(outside.sum()),
        theirs[outside] > 1,
        (ours[outside], malignant[outside]),
        f"parallel, not parallel; none from {descriptors.PARALLEL_BELOW} to {descriptors.NOT_PARALLEL_ABOVE}",
    )
    oval_or_round = np.isin(shape, ("oval", "round"))
    ratio = np.array([descriptors.axis_ratio(c.lesion) for c in cases])[oval_or_round]
    is_round = (shape == "round")[oval_or_round]
    row("round, among oval and round", None, len(ratio), is_round, (ratio, malignant[oval_or_round]), "number only")
    values = [descriptors.inside_minus_beside(c.gray, c.lesion) for c in cases]
    echo = np.array([np.nan if value is None else value for value in values])
    plain = np.isin([c.row["Echogenicity"] for c in cases], ("hypoechoic", "anechoic", "isoechoic", "hyperechoic"))
    plain &= np.isfinite(echo)
    dark = np.array([LEFT_OUT["echo: hypo- or anechoic"](c.row) for c in cases])
    row("hypo- or anechoic, among plain echoes", None, int(plain.sum()), dark[plain], (-echo[plain], malignant[plain]))
    rows[-1][1] = "number only"
    for name, is_there in LEFT_OUT.items():
        label = np.array([is_there(c.row) for c in cases])
        rows.append([name, "left out", "-", str(len(cases)), "-", _area(with_interval(auc, label, malignant))])
    for key, value, n in (
        ("posterior", posterior, len(said)),
        ("orientation", geometry, int(outside.sum())),
        ("shape", surest, int(sure.sum())),
    ):
        constants.append(f'"{key}": Agreement({value[0]:.2f}, {value[1]:.2f}, {value[2]:.2f}, {n}, ...)')
    same = np.mean([c.dice >= 0.5 for c in cases])
    words = (
        f"{n_lesions} lesions, {len(cases)} of them outlined by the network ({same:.0%} of the outlines with a Dice of "
        f"0.5 or more); the largest outline counts, wherever it lies. Weights {weights_sha256[:12]}. {irregular.sum()} "
        f"irregular, {shadowing.sum()} with shadowing; {int((~told).sum())} lesions without enough picture below, or "
        "with combined posterior features, are not in the first two rows. The radiologists of other studies agree on "
        "posterior features with a kappa of 0.29 to 0.53."
    )
    head = ["descriptor", "word", "kappa of the word", "n", "AUC of the number", "AUC of P(malignant)"]
    lines = [words, "", *("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)), ""]
    return "\n".join(lines), "\n".join(constants) + "\n"


def _outlines(cases):
    return [c.lesion for c in cases], [c.reference for c in cases]


def _area(figures):
    return "{:.2f} ({:.2f}-{:.2f})".format(*figures)


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="BrEaST's folder, with its spreadsheet")
    parser.add_argument("--weights", default=str(Path(__file__).parents[1] / "weights"))
    parser.add_argument("--out", default="runs/descriptors", help="folder for descriptors.md and constants.txt")
    return parser.parse_args(arguments)


def main(arguments=None) -> int:
    arguments = parse_arguments(arguments)
    predictor = Predictor.load(arguments.weights)
    if any("BrEaST" in name for name in predictor.checkpoint.training.get("n_training_images", {})):
        print("descriptors: these weights trained on BrEaST; name some that did not with --weights.", file=sys.stderr)
        return 1
    try:
        cases, n_lesions = outlined_lesions(arguments.data, predictor)
    except DataError as error:
        print(f"descriptors: {error}", file=sys.stderr)
        return 1
    table, constants = report(cases, n_lesions, predictor.checkpoint.weights_sha256)
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "descriptors.md").write_text(table, encoding="utf-8")
    (folder / "constants.txt").write_text(constants, encoding="utf-8")
    print(table, constants, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
