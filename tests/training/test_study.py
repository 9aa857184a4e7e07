"""Who learns from what, and who judges what: parts of a study, and two hospitals left out in turn end to end."""

import csv
import importlib.util
import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from busi_model.model import checkpoint
from busi_model.names import CLINICIAN
from busi_model.predict import Predictor
from busi_model.training import command
from busi_model.training.data import splits
from busi_model.training.data.cases import Hospital
from busi_model.training.data.layouts import find_hospital
from busi_model.training.fitting.recipe import RunError

TINY = ["--epochs", "1", "--size", "64", "--batch", "4", "--device", "cpu"]


@pytest.fixture(scope="module")
def hospitals(phantoms, phantom_folder):
    other = phantom_folder("elsewhere", 6, seed=9, height=80, width=100)
    return [find_hospital(phantoms), find_hospital(other)]


def _names(cases):
    return {(c.hospital, c.case_id) for c in cases}


def test_no_image_is_on_two_sides(hospitals):
    everyone = _names(c for h in hospitals for c in h.cases)
    for parts in (splits.by_fold(hospitals), splits.by_hospital(hospitals)):
        judged = []
        for part in parts:
            held_out = _names(c for cases in part.held_out for c in cases)
            assert held_out and not held_out & _names(part.training)
            groups = {(c.hospital, c.group) for c in part.training}
            assert not groups & {(c.hospital, c.group) for cases in part.held_out for c in cases}
            judged += sorted(held_out)
        assert len(judged) == len(set(judged)) and set(judged) == everyone  # each image is judged once
    (release,) = splits.everything(hospitals)
    assert _names(release.training) == everyone and release.held_out == []


def test_reserved_images_are_in_no_part(hospitals):
    own = hospitals[0]
    reserved = [replace(c, split="test", fold=None) for c in own.cases[:4]]
    some = [replace(own, cases=reserved + own.cases[4:]), hospitals[1]]
    for part in [*splits.by_fold(some), *splits.by_hospital(some), *splits.everything(some)]:
        seen = _names(part.training) | _names(c for cases in part.held_out for c in cases)
        assert not seen & _names(reserved)


def test_corrected_cases_join_training_but_never_where_their_twin_is_held_out(hospitals):
    twin = hospitals[0].cases[0]
    corrected = replace(twin, hospital=CLINICIAN, split="training", fold=None, scored=False)
    three = [*hospitals, Hospital(CLINICIAN, [corrected])]
    for part in splits.by_fold(three):
        assert (corrected in part.training) == (part.name != f"fold{twin.fold}")
    home, abroad = splits.by_hospital(three)
    assert corrected not in home.training and corrected in abroad.training


def test_folds_of_one_hospital_are_held_out_and_the_others_learned_whole(hospitals):
    judged, other = hospitals
    parts = splits.by_fold(hospitals, of=[judged.name])
    for part in parts:
        assert _names(other.cases) <= _names(part.training)
    held_out = [name for part in parts for cases in part.held_out for name in _names(cases)]
    assert sorted(held_out) == sorted(_names(judged.cases))
    with pytest.raises(RunError, match=f"--hold-out-of names nowhere; .*{other.name}"):
        splits.by_fold(hospitals, of=["nowhere"])


def test_one_hospital_cannot_be_left_out(hospitals):
    with pytest.raises(RunError, match="two hospitals at least; 1 given"):
        splits.by_hospital(hospitals[:1])


@pytest.fixture(scope="module")
def abroad(hospitals, few_pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("abroad")
    data = [str(h.cases[0].image_path.parents[1]) for h in hospitals]
    arguments = [a for place in data for a in ("--data", place)]
    assert command.main([*arguments, "--leave-one-out", "--out", str(folder / "run"), *TINY]) == 0
    return folder / "run", arguments


@pytest.mark.slow
def test_leaving_hospitals_out_reports_on_each_and_fits_on_all(abroad, hospitals):
    run, _ = abroad
    summary = json.loads((run / "evaluation" / "summary.json").read_text())
    names = [h.name for h in hospitals]
    assert list(summary["hospitals"]) == names
    point = json.loads((run / "operating_point.json").read_text())
    assert all(f"{len(h.cases)} of {h.name}" in point["fitted_on"] for h in hospitals)
    assert sum(point["class_mix"]) == pytest.approx(1)
    for own, other in (hospitals, hospitals[::-1]):
        loaded = checkpoint.load(run / own.name / "weights")
        digests = {checkpoint.fingerprint(c.read()[0].gray) for c in own.cases}
        assert not digests & loaded.seen and len(loaded.seen) == len(other.cases)
        assert other.name in loaded.operating_point.fitted_on and own.name not in loaded.operating_point.fitted_on
        table = pd.read_csv(run / "evaluation" / own.name / "per_case.csv")
        assert len(table) == sum(c.scored for c in own.cases) and not table["seen"].any()
        assert (run / "evaluation" / own.name / "worst.png").is_file()


@pytest.mark.slow
def test_a_release_takes_the_studys_promises_and_goes_on_only_where_it_may(abroad, hospitals, tmp_path, capsys):
    run, data = abroad
    arguments = [*data, "--folds", "all", "--operating-point", str(run), *TINY]
    assert command.main([*arguments, "--out", str(tmp_path / "release")]) == 0
    released = Predictor.load(tmp_path / "release" / "weights", device="cpu")
    fitted = json.loads((run / "operating_point.json").read_text())
    assert released.operating_point.temperature == fitted["temperature"]
    assert len(released.checkpoint.seen) == sum(len(h.cases) for h in hospitals)
    # Going on from one part's own network: that which has seen the hospital left out is not taken.
    capsys.readouterr()
    start = str(run / hospitals[0].name / "weights")
    arguments = [*data, "--leave-one-out", "--start", start, *TINY]
    assert command.main([*arguments, "--out", str(tmp_path / "on")]) == 0
    said = capsys.readouterr().out
    assert said.count("from the weights of --start") == 1 and said.count("from an ImageNet encoder") == 1


def _folder(phantoms, place, counts):
    """Class folders with the first images of each class."""
    for class_name, n in counts.items():
        (place / class_name).mkdir(parents=True)
        for number in range(1, n + 1):
            for path in (phantoms / class_name).glob(f"{class_name} ({number})*.png"):
                shutil.copy(path, place / class_name / path.name)
    return place


def _manifest(path, counts, fold):
    rows = ["image,class,group,split,fold,scored"]
    for name, n in counts.items():
        rows += [f"{name} ({i}).png,{name},{name}{i},development,{fold(name, i)},1" for i in range(1, n + 1)]
    path.write_text("\n".join(rows))
    return path


@pytest.mark.parametrize(
    ("counts", "fold", "arguments", "words"),
    [
        ({"normal": 8}, lambda name, i: i % 5, [], "all 7 training images are normal, so no class can be told"),
        ({"benign": 8, "normal": 8}, lambda name, i: i % 2, ["--folds", "4"], "fold4: no scored image is held out"),
        ({"benign": 8, "normal": 8}, lambda name, i: 0, [], "fold0: the training split holds no images"),
    ],
)
def test_what_cannot_be_trained_or_judged_is_said_before_the_first_epoch(
    phantoms, tmp_path, capsys, counts, fold, arguments, words
):
    data = _folder(phantoms, tmp_path / "data", counts)
    manifest = _manifest(tmp_path / "m.csv", counts, fold)
    arguments = ["--data", data, "--manifest", manifest, "--out", tmp_path / "run", *TINY, *arguments]
    assert command.main([*map(str, arguments)]) == 1
    printed = capsys.readouterr()
    assert words in printed.err and "hospital" in printed.out
    assert not (tmp_path / "run" / "last.pt").exists()


@pytest.mark.slow
def test_a_class_that_is_absent_ends_in_no_infinity(phantoms, tmp_path, capsys):
    """No malignant image is held out, nor learned from: one sentence, and a run that ends well, with its sheet of the
    worst cases and its log."""
    counts = {"benign": 6, "normal": 6}
    data = _folder(phantoms, tmp_path / "data", counts)
    manifest, run = _manifest(tmp_path / "m.csv", counts, lambda name, i: i % 2), tmp_path / "run"
    arguments = ["--data", data, "--manifest", manifest, "--out", run, "--log", "tensorboard", *TINY]
    assert command.main([*map(str, arguments)]) == 0
    printed = capsys.readouterr().out
    assert "fold0: no malignant image to learn from; the network will not know the class." in printed
    assert "shows patients' pictures" in printed
    assert json.loads((run / "operating_point.json").read_text())["thresholds"] == []
    assert Predictor.load(run / "weights", "cpu").operating_point.thresholds == ()
    assert (run / "evaluation" / "data" / "worst.png").stat().st_size > 10_000
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    with open(run / "history.csv") as file:
        [row] = csv.DictReader(file)
    for tag, column in (("training/bce", "train_bce"), ("held out/loss", "val_loss"), ("held out/dice", "val_dice")):
        [scalar] = events.Scalars(tag)
        assert scalar.step == 1 and scalar.value == pytest.approx(float(row[column]), rel=1e-5)


def test_a_log_whose_package_is_absent_gets_a_sentence(phantoms, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    arguments = ["--data", str(phantoms), "--out", str(tmp_path / "run"), "--log", "tensorboard", *TINY]
    assert command.main(arguments) == 1
    assert "pip install '.[tensorboard]'" in capsys.readouterr().err and not (tmp_path / "run").exists()
