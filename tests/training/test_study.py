"""Who learns from what, and who judges what: parts of a study, and two hospitals left out in turn end to end."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from busi_model import checkpoint
from busi_model.phantom import write_phantom_dataset
from busi_model.predict import Predictor
from busi_model.training import command, study
from busi_model.training.cases import CLINICIAN, Hospital
from busi_model.training.fit import RunError
from busi_model.training.layouts import find_hospital

TINY = ["--epochs", "1", "--size", "64", "--batch", "4", "--device", "cpu"]


@pytest.fixture(scope="module")
def hospitals(phantoms, tmp_path_factory):
    other = tmp_path_factory.mktemp("data") / "elsewhere"
    write_phantom_dataset(other, 6, seed=9, height=80, width=100)
    return [find_hospital(phantoms), find_hospital(other)]


def _names(cases):
    return {(c.hospital, c.case_id) for c in cases}


def test_no_image_is_on_two_sides(hospitals):
    everyone = _names(c for h in hospitals for c in h.cases)
    for parts in (study.by_fold(hospitals), study.by_hospital(hospitals)):
        judged = []
        for part in parts:
            held_out = _names(c for cases in part.held_out for c in cases)
            assert held_out and not held_out & _names(part.training)
            groups = {(c.hospital, c.group) for c in part.training}
            assert not groups & {(c.hospital, c.group) for cases in part.held_out for c in cases}
            judged += sorted(held_out)
        assert len(judged) == len(set(judged)) and set(judged) == everyone  # each image is judged once
    (release,) = study.everything(hospitals)
    assert _names(release.training) == everyone and release.held_out == []


def test_reserved_images_are_in_no_part(hospitals):
    own = hospitals[0]
    reserved = [replace(c, split="test", fold=None) for c in own.cases[:4]]
    some = [replace(own, cases=reserved + own.cases[4:]), hospitals[1]]
    for part in [*study.by_fold(some), *study.by_hospital(some), *study.everything(some)]:
        seen = _names(part.training) | _names(c for cases in part.held_out for c in cases)
        assert not seen & _names(reserved)


def test_corrected_cases_join_training_but_never_where_their_twin_is_held_out(hospitals):
    twin = hospitals[0].cases[0]
    corrected = replace(twin, hospital=CLINICIAN, split="training", fold=None, scored=False)
    three = [*hospitals, Hospital(CLINICIAN, [corrected])]
    for part in study.by_fold(three):
        assert (corrected in part.training) == (part.name != f"fold{twin.fold}")
    home, abroad = study.by_hospital(three)
    assert corrected not in home.training and corrected in abroad.training


def test_one_hospital_cannot_be_left_out(hospitals):
    with pytest.raises(RunError, match="two hospitals at least; 1 given"):
        study.by_hospital(hospitals[:1])


@pytest.fixture(scope="module")
def abroad(hospitals, phantoms, tmp_path_factory):
    folder = tmp_path_factory.mktemp("abroad")
    data = [str(h.cases[0].image_path.parents[1]) for h in hospitals]
    arguments = [a for place in data for a in ("--data", place)]
    assert command.main([*arguments, "--leave-one-out", "--out", str(folder / "run"), *TINY]) == 0
    return folder / "run", arguments


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
