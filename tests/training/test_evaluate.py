import errno
import json
import shutil
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard
from PIL import Image

from busi_model.__main__ import main
from busi_model.errors import remedy
from busi_model.predict import Predictor
from busi_model.training.data.cases import CaseError
from busi_model.training.data.layouts import find_cases, find_hospital
from busi_model.training.data.splits import choose_split
from busi_model.training.evaluation import evaluate, plots
from busi_model.training.evaluation.evaluate import evaluate_cases, write_report
from busi_model.training.evaluation.plots import plot_history, worst_cases, write_worst
from busi_model.training.evaluation.report import write_summary
from busi_model.training.release.model_card import front_matter
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def cases(phantoms):
    return find_cases(phantoms)


@pytest.fixture(scope="module")
def predictor(untrained):
    return Predictor.load(untrained, device="cpu")


@pytest.fixture(scope="module")
def table(predictor, cases):
    return evaluate_cases(predictor, cases, progress=False)


def test_rows_are_what_the_predictor_says(table, predictor, cases):
    assert list(table["case_id"]) == [c.case_id for c in cases]
    frame, truth = cases[0].read()
    prediction = predictor(cases[0].image_path)
    row = table.iloc[0]
    assert row["p_malignant"] == prediction.class_probabilities["malignant"]
    assert row["found_px2"] == prediction.mask.sum()
    both = (prediction.mask & truth).sum()
    assert row["dice"] == pytest.approx(2 * both / (prediction.mask.sum() + truth.sum()))
    assert row["lesion_share"] == pytest.approx(truth.sum() / frame.gray.size)
    assert table.loc[table["class_name"] == "normal", "dice"].isna().all()


def test_report_holds_figures_intervals_and_counts(table, tmp_path):
    content = write_report(table, tmp_path, "Phantoms", "0" * 64, {}, "fold 1", resamples=20)
    stored = json.loads((tmp_path / "metrics.json").read_text())
    assert stored["n_images"] == 24 and stored["n_by_class"] == {"benign": 8, "malignant": 8, "normal": 8}
    assert stored["figures"]["accuracy"]["value"] == content["figures"]["accuracy"]["value"]
    assert np.sum(stored["confusion_matrix"]) == 24
    report = (tmp_path / "report.md").read_text()
    assert "Lesion Dice, mean" in report and "95 % interval" in report and "24 images" in report
    assert "calibrated on fold 1." in report
    assert len(pd.read_csv(tmp_path / "per_case.csv")) == 24
    for name in ("confusion.png", "roc.png", "reliability.png", "dice.png", "risk_coverage.png"):
        assert (tmp_path / name).stat().st_size > 3000


@pytest.mark.parametrize("kept", [["normal"], ["malignant"], ["benign", "malignant"]])
def test_some_classes_only_can_be_evaluated(phantoms, untrained, tmp_path, capsys, monkeypatch, kept):
    monkeypatch.setattr(evaluate, "write_report", partial(write_report, resamples=10))
    data = tmp_path / "data"
    for name in kept:
        shutil.copytree(phantoms / name, data / name)
    out = tmp_path / "out"
    arguments = ["--weights", untrained, "--data", data, "--split", "all", "--out", out, "--device", "cpu"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["evaluate", *map(str, arguments)]) == 0
    content = json.loads((out / "metrics.json").read_text())
    assert content["n_images"] == 8 * len(kept) and "| Accuracy |" in capsys.readouterr().out
    for name in ("confusion.png", "roc.png", "reliability.png", "dice.png", "risk_coverage.png"):
        assert (out / name).stat().st_size > 3000
    assert not (out / "worst.png").exists()  # pictures of patients stay in the folder of a run


def test_plots_carry_their_title_and_n(table, tmp_path, monkeypatch):
    shown = {}

    def texts(path, **how):
        figure = plots.plt.gcf()
        every = figure.findobj(plots.matplotlib.text.Text)
        shown[str(path).split("/")[-1]] = " ".join(t.get_text() for t in every)

    monkeypatch.setattr(plots.plt, "savefig", texts)
    write_report(table, tmp_path, "Phantoms, fold 0", "0" * 64, {}, "x", resamples=5)
    assert len(shown) == 5
    for name, words in shown.items():
        assert "Phantoms, fold 0" in words, name
        assert ("16 lesion images" if name == "dice.png" else "24 images") in words
    assert "malignant (n=8 of 24)" in shown["roc.png"] and "malignant (n=8)" in shown["dice.png"]


def test_the_worst_are_the_lowest_dice_and_the_surest_errors(table, cases, predictor, tmp_path):
    kinds = worst_cases(table, 3)
    lesions = table[table["class_name"] != "normal"]
    assert sorted(kinds["lowest Dice"]["dice"]) == sorted(lesions["dice"])[:3]
    wrong = table[table["class_name"] != table["predicted"]]
    surest = wrong[["p_benign", "p_malignant", "p_normal"]].max(axis=1).idxmax()
    assert kinds["surest of a wrong class"].index[0] == surest
    asked = []

    def judge(case_id):
        asked.append(case_id)
        case = next(c for c in cases if c.case_id == case_id)
        frame, truth = case.read()
        return frame.gray, truth, predictor(frame).mask

    write_worst(table, judge, tmp_path / "worst.png", "Phantoms")
    assert len(asked) == sum(map(len, worst_cases(table).values()))
    pixels = np.asarray(Image.open(tmp_path / "worst.png").convert("RGB")).astype(int)
    cyan = (pixels[..., 0] < 60) & (pixels[..., 1] > 180) & (pixels[..., 2] > 220)
    assert cyan.sum() > 100  # the reference is drawn
    right = table[(table["class_name"] == "normal")].assign(predicted="normal")
    write_worst(right, judge, tmp_path / "none.png", "Phantoms")
    assert not (tmp_path / "none.png").exists()


def test_splits(phantoms):
    hospital = find_hospital(phantoms)
    chosen, left_out = choose_split(hospital, "fold2")
    assert {c.fold for c in chosen} == {2} and left_out == {}
    assert len(choose_split(hospital, "all")[0]) == sum(c.scored for c in hospital.cases)
    twice = replace(hospital, cases=[replace(hospital.cases[0], scored=False), *hospital.cases[1:]])
    assert choose_split(twice, "all")[1] == {
        "repeats of a picture or lesion, or views that are not scored": [hospital.cases[0].case_id]
    }
    for wrong, words in (
        ("validation", "is expected"),
        ("fold9", "is expected"),
        ("test", "no scored images"),
    ):
        with pytest.raises(CaseError, match=words):
            choose_split(hospital, wrong)


def test_a_report_says_first_what_weights_and_calibration_have_seen(table, tmp_path):
    seen = table.assign(seen=[True] * 5 + [False] * 19, fitted_on=[False] * 20 + [True] * 4)
    left_out = {"their outline has another size": ["a.png", "b.png"]}
    content = write_report(seen, tmp_path, "Phantoms", "0" * 64, {}, "x", resamples=5, left_out=left_out)
    top = (tmp_path / "report.md").read_text().split("24 images (")[0]
    assert "trained on 5 of these 24 images" in top and "calibrated on 4 of these very 24 images" in top
    assert "2 images do not count: their outline has another size." in top and len(content["remarks"]) == 3
    assert write_report(table, tmp_path, "Phantoms", "0" * 64, {}, "x", resamples=5)["remarks"] == []


def test_summary_counts_each_hospital_alike(table, tmp_path):
    one = write_report(table, tmp_path / "a", "A, left out", "0" * 64, {}, "x", resamples=5)
    other = write_report(table[table["class_name"] != "normal"], tmp_path / "b", "B, left out", "0" * 64, {}, "x", 5)
    summary = write_summary([one, other], tmp_path, "left out")
    dice = [c["figures"]["dice_mean"]["value"] for c in (one, other)]
    assert summary["mean"]["Dice"] == pytest.approx(np.mean(dice))
    assert summary["mean"]["normals outlined"] == one["figures"]["normal_outlined"]["value"]  # B has no normal image
    assert "| B | 16 |" in (tmp_path / "summary.md").read_text()


def test_card_leads_with_abroad_and_tells_whose_figures_it_shows(table, untrained, predictor, tmp_path):
    weights = shutil.copytree(untrained, tmp_path / "weights")
    place = tmp_path / "abroad" / "evaluation"
    contents = [
        write_report(table, place / name, f"{name}, left out", "2 networks", {}, "the others", resamples=20)
        for name in ("A", "B")
    ]
    write_summary(contents, place, "left out")
    older = json.loads((place / "B" / "metrics.json").read_text())
    del older["figures"]["brier"]  # written before the program had this figure
    (place / "B" / "metrics.json").write_text(json.dumps(older))
    write_report(table, tmp_path / "own", "Own", predictor.checkpoint.weights_sha256, {}, "fold 1", resamples=20)
    arguments = ["--weights", weights, "--abroad", tmp_path / "abroad", "--evaluation", tmp_path / "own"]
    assert main(["card", *map(str, arguments)]) == 0
    text = (weights / "README.md").read_text()
    assert text.startswith("---\nlicense: apache-2.0")
    assert text.index("## Abroad") < text.index("## Operating point") < text.index("## Limits")
    assert "| mean |" in text and "CC BY-NC in the LICENSE" in text
    found = {(r.dataset_type, r.metric_type): r for r in ModelCard.load(weights / "README.md").data.eval_results}
    summary = json.loads((place / "summary.json").read_text())
    for hospital in ("A", "B"):
        dice = summary["hospitals"][hospital]["Dice"]
        assert found[hospital.lower(), "dice"].metric_value == pytest.approx(dice["value"], abs=1e-4)
        assert f"{dice['low']:.3f} to {dice['high']:.3f}" in found[hospital.lower(), "dice"].metric_name
    assert found["mean", "roc_auc"].metric_value == pytest.approx(summary["mean"]["AUC benign/malignant"], abs=1e-4)
    a, b, own = (text.split(f"### {title}")[1] for title in ("A, left out", "B, left out", "Own"))
    assert "Not these weights: 2 networks" in a and "These very weights" in own
    assert "| Brier score" in a.split("###")[0] and "| Brier score" not in b.split("###")[0]
    accuracy = f"{np.mean(table['class_name'] == table['predicted']):.3f}"
    assert f"| Accuracy | {accuracy} |" in own
    figures = Predictor.load(weights, device="cpu").checkpoint.figures
    assert figures["A, left out"]["figures"]["accuracy"]["value"] == pytest.approx(float(accuracy), abs=5e-4)


def test_the_shipped_card_tells_the_hub_what_was_measured_abroad():
    """As the Hub's own client parses it: all figures of docs/figures/abroad, and none besides."""
    summary = json.loads((ROOT / "docs" / "figures" / "abroad" / "summary.json").read_text())
    data = ModelCard.load(ROOT / "weights" / "README.md").data
    assert (data.license, data.library_name, data.pipeline_tag) == ("apache-2.0", "pytorch", "image-segmentation")
    assert "without the hospital that judges it" in data.model_name
    told = sorted(
        (r.dataset_name.split(",")[0], r.metric_name.split(", 95")[0], r.metric_value) for r in data.eval_results
    )
    measured = [
        (hospital, name, round(figure["value"], 4))
        for hospital, figures in summary["hospitals"].items()
        for name, figure in figures.items()
        if name != "n" and figure["value"] is not None
    ]
    mean = f"Mean of {len(summary['hospitals'])} hospitals"
    measured += [(mean, name, round(value, 4)) for name, value in summary["mean"].items() if value is not None]
    assert told == sorted(measured) and len(told) > 20
    assert ModelCard(front_matter(None)).data.eval_results is None


def test_names_that_are_wrong_are_no_full_disk(untrained, tmp_path, capsys):
    (tmp_path / "file").touch()
    data = ["--weights", str(untrained), "--out", str(tmp_path / "file" / "out")]
    assert main(["refusals", *data, "--device", "cpu"]) == 1
    said = capsys.readouterr().err
    assert "A file stands where a folder is expected" in said and "Free some space" not in said
    for words in ("", "{half"):
        place = tmp_path / f"study{len(words)}" / "evaluation"
        place.mkdir(parents=True)
        if words:
            (place / "summary.json").write_text(words)
        assert main(["card", "--weights", str(untrained), "--abroad", str(place.parent)]) == 1
        said = capsys.readouterr().err
        assert ("no whole JSON file" if words else "holds no summary.json") in said and "Free some space" not in said
    assert remedy(OSError(errno.ENOSPC, "full")).startswith("Free some space")


def test_card_without_a_study_gets_a_sentence(untrained, tmp_path, capsys):
    weights = shutil.copytree(untrained, tmp_path / "weights")
    assert main(["card", "--weights", str(weights), "--abroad", str(tmp_path)]) == 1
    assert "holds no summary.json" in capsys.readouterr().err


def test_curves_are_drawn_with_and_without_validation(tmp_path):
    rows = [{"epoch": e, "train_bce": 1 / e, "val_dice": e / 10} for e in (1, 2, 3)]
    plot_history(rows, tmp_path / "with.png")
    plot_history([{k: v for k, v in row.items() if k != "val_dice"} for row in rows], tmp_path / "without.png")
    assert (tmp_path / "with.png").stat().st_size > (tmp_path / "without.png").stat().st_size > 3000
    for row in rows[1:]:  # an older run was resumed
        row |= {"val_loss": 1.5, "val_loss_bce": 0.5}
    plot_history(rows, tmp_path / "later.png", 20, 4)
    assert (tmp_path / "later.png").stat().st_size > (tmp_path / "with.png").stat().st_size
