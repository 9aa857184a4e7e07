"""Calibration at one's own hospital: from few labelled images, into a file of its own."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from busi_model.__main__ import main
from busi_model.model import checkpoint
from busi_model.model.operating_point import OperatingPoint, Rate, Threshold
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from busi_model.training.calibration import recalibrate
from busi_model.training.data.layouts import find_cases
from tests.training.test_calibrate import _held_out

BASE = OperatingPoint(
    temperature=1.0,
    thresholds=(Threshold("balanced", 0.5, None, None), Threshold("sensitive", 0.2, None, None)),
    least_evidence=0.3,
)


@pytest.fixture(scope="module")
def labelled(phantom_folder):
    return phantom_folder("our-clinic", 7, seed=11, height=70, width=90)


def test_much_data_finds_the_scale_that_was_put_in():
    point, kept = recalibrate.refit(BASE, [_held_out(n=1500, scale=2.5)])
    assert point.temperature == pytest.approx(2.5, rel=0.1)
    assert kept == ["what turns away pictures that are no breast ultrasound"]
    assert point.threshold("sensitive").malignant_probability != 0.2


def test_what_few_images_cannot_tell_stays_and_is_said():
    held_out = _held_out(n=400)
    few = np.concatenate([np.flatnonzero(held_out.labels == 0)[:16], np.flatnonzero(held_out.labels == 1)[:4]])
    chosen = np.zeros(400, bool)
    chosen[few] = True
    point, kept = recalibrate.refit(BASE, [held_out.where(chosen)])
    words = " ".join(kept)
    for part in ("malignant (4 images, 5 needed)", "normal (0 images", "thresholds for malignant (4 malignant"):
        assert part in words
    assert point.class_bias[1:] == BASE.class_bias[1:] and point.thresholds == BASE.thresholds
    assert point.least_evidence == BASE.least_evidence


def test_one_file_is_written_and_the_weights_stay_as_they_were(untrained, labelled, tmp_path, capsys):
    weights = shutil.copytree(untrained, tmp_path / "weights")
    before = {p.name: p.read_bytes() for p in weights.iterdir()}
    out = tmp_path / "elsewhere" / "ours.json"
    arguments = ["--weights", str(weights), "--data", str(labelled), "--out", str(out), "--device", "cpu"]
    assert main(["calibrate", *arguments]) == 0
    said = capsys.readouterr().out
    assert "before" in said and "after" in said and "Kept as the weights brought it" in said
    assert "BUSI_OPERATING_POINT=" in said
    assert {p.name: p.read_bytes() for p in weights.iterdir()} == before and list(out.parent.iterdir()) == [out]
    predictor = Predictor.load(weights, "cpu", operating_point=out)
    fitted_on = predictor.operating_point.fitted_on
    assert "images of your own (" in fitted_on and "our-clinic" in fitted_on
    # evaluate on the same images says so on top; predict takes the file, too
    arguments = ["--weights", str(weights), "--data", str(labelled), "--split", "all", "--device", "cpu"]
    assert main(["evaluate", *arguments, "--operating-point", str(out), "--out", str(tmp_path / "report")]) == 0
    assert "calibrated on" in capsys.readouterr().err
    assert "calibrated on 21 of these very 21 images" in (tmp_path / "report" / "report.md").read_text().split("\n|")[0]
    image = str(next((labelled / "benign").glob("*(1).png")))
    shown = []
    for name, flags in (("own", []), ("ours", ["--operating-point", str(out)])):
        arguments = ["--weights", str(weights), "--device", "cpu", "--out", str(tmp_path / name)]
        assert main(["predict", image, *arguments, *flags]) == 0
        shown.append((tmp_path / name / "predictions.csv").read_text())
    assert shown[0] != shown[1]


def test_without_outlines_the_class_alone_is_fitted(untrained, labelled, tmp_path, capsys):
    """A host may know the class and no more; what nobody could measure is said of no number that changed."""
    weights = shutil.copytree(untrained, tmp_path / "weights")
    of_margin, of_threshold = Rate(0.8, 0.7, 0.9, 50), Rate(0.9, 0.8, 0.95, 40)
    thresholds = (Threshold("balanced", 0.5, of_threshold, of_threshold),)
    base = dataclasses.replace(BASE, thresholds=thresholds, margin_coverage=of_margin)
    checkpoint.replace(weights, operating_point=base)
    folder = shutil.copytree(labelled, tmp_path / "classes-only")
    for path in folder.rglob("*_mask*.png"):
        path.unlink()
    for path in (folder / "malignant").iterdir():
        path.unlink()
    for number in range(8):
        gray = draw_phantom("benign", 500 + number, 70, 90)[0]
        Image.fromarray(gray).save(folder / "benign" / f"further ({number}).png")
    out = tmp_path / "ours.json"
    arguments = ["--weights", str(weights), "--data", str(folder), "--out", str(out), "--device", "cpu"]
    assert main(["calibrate", *arguments]) == 0
    said = capsys.readouterr().out
    assert "margin band (0 outlined lesions, 20 needed)" in said and "malignant (0 images, 5 needed)" in said
    assert "mixed in these images: 68% benign, 0% malignant, 32% normal" in said
    content = json.loads(out.read_text())
    both = content["figures"]["calibration error (ECE)"]
    assert both["before"]["low"] <= both["before"]["value"] <= both["before"]["high"] != both["after"]["high"]
    point = Predictor.load(weights, "cpu", operating_point=out).operating_point
    assert point.class_bias[0] != 0 != point.class_bias[2] and point.class_bias[1] == 0
    assert (point.mask_temperature, point.least_evidence) == (base.mask_temperature, base.least_evidence)
    assert point.margin_coverage == of_margin  # the band is as it was
    assert point.thresholds[0].sensitivity == of_threshold  # no malignant image to measure it on
    assert point.thresholds[0].specificity.n == 22 and point.conformal_coverage.n == 22
    assert main(["evaluate", *arguments[:4], "--split", "all", "--out", str(tmp_path / "x"), "--device", "cpu"]) == 1
    assert "has no mask" in capsys.readouterr().err  # figures of outlines need outlines


def test_lesions_without_an_outline_do_not_count_as_outlines():
    """Mixed with outlined ones they change the class alone."""
    held_out = _held_out(n=240, scale=2.5)
    lesions = np.flatnonzero(held_out.labels != 2)[::2]
    masks = held_out.masks.copy()
    masks[lesions] = False
    mixed, _ = recalibrate.refit(BASE, [dataclasses.replace(held_out, masks=masks)])
    chosen = np.ones(240, bool)
    chosen[lesions] = False
    only, _ = recalibrate.refit(mixed, [held_out.where(chosen)])
    none, kept = recalibrate.refit(BASE, [dataclasses.replace(held_out, masks=np.zeros_like(masks))])
    assert mixed.mask_temperature == only.mask_temperature != none.mask_temperature == BASE.mask_temperature
    assert mixed.margin_inside == only.margin_inside != none.margin_inside == BASE.margin_inside
    assert (mixed.temperature, mixed.class_bias) == (none.temperature, none.class_bias) != (1.0, (0.0, 0.0, 0.0))
    assert "(0 outlined lesions, 20 needed)" in " ".join(kept)


@pytest.mark.parametrize("keep", [1, 6])
def test_too_few_images_get_a_sentence(untrained, labelled, tmp_path, capsys, keep):
    folder = shutil.copytree(labelled, tmp_path / "few")
    for path in [p for p in folder.rglob("*.png") if int(p.stem.split("(")[1].split(")")[0]) > keep]:
        path.unlink()
    arguments = ["--weights", str(untrained), "--data", str(folder), "--out", str(tmp_path / "x.json")]
    assert main(["calibrate", *arguments, "--device", "cpu"]) == 1
    said = capsys.readouterr().err
    assert "needed" in said and "Traceback" not in said and not (tmp_path / "x.json").exists()


def test_repeats_that_are_left_out_are_named(untrained, labelled, tmp_path, capsys):
    folder = shutil.copytree(labelled, tmp_path / "few")
    for path in folder.rglob("* (7)*.png"):
        path.unlink()
    for ending in ("", "_mask"):
        shutil.copy(folder / "benign" / f"benign (1){ending}.png", folder / "benign" / f"benign (8){ending}.png")
    arguments = ["--weights", str(untrained), "--data", str(folder), "--out", str(tmp_path / "x.json")]
    assert main(["calibrate", *arguments, "--device", "cpu"]) == 1
    said = capsys.readouterr()
    assert "few: 1 left out, repeats of a picture" in said.out and "18 labelled images found" in said.err


def test_images_that_the_weights_learned_from_are_refused(untrained, labelled, tmp_path, capsys):
    weights = shutil.copytree(untrained, tmp_path / "weights")
    seen = frozenset(checkpoint.fingerprint(c.read()[0].gray) for c in find_cases(labelled)[:3])
    checkpoint.replace(weights, seen=seen)
    arguments = ["--weights", str(weights), "--data", str(labelled), "--out", str(tmp_path / "x.json")]
    assert main(["calibrate", *arguments, "--device", "cpu"]) == 1
    assert "3 of 21 images were used to train these weights" in capsys.readouterr().err


def test_a_point_for_other_weights_or_a_damaged_one_is_refused(untrained, tmp_path):
    for content, words in (
        ("{}", "is no operating point"),
        ("not json", "is no operating point"),
        (
            json.dumps({"weights_sha256": "0" * 64, "operating_point": dataclasses.asdict(BASE)}),
            "fitted for other weights",
        ),
    ):
        (tmp_path / "point.json").write_text(content)
        with pytest.raises(checkpoint.CheckpointError, match=words):
            Predictor.load(untrained, "cpu", operating_point=tmp_path / "point.json")
    with pytest.raises(checkpoint.CheckpointError, match="no-such.json does not exist"):
        Predictor.load(untrained, "cpu", operating_point=tmp_path / "no-such.json")
