import json
from itertools import islice

import numpy as np
import pytest

from busi_model.image import ImageError, read_image
from busi_model.model import checkpoint
from busi_model.model.ood import N_STATISTICS, N_TEXTURE, ood_inputs
from busi_model.model.operating_point import OperatingPoint
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from busi_model.training.data.layouts import find_cases
from busi_model.training.evaluation.report import ood_section
from busi_model.training.ood.data import (
    Inputs,
    LeftOut,
    case_inputs,
    gray_pictures,
    left_out_inputs,
    picture_inputs,
)
from busi_model.training.ood.detector import fit_ood, measure_ood
from busi_model.training.ood.not_ultrasound import Picture, other_ultrasound, pictures

D = 8 + N_STATISTICS + N_TEXTURE


def test_pictures_are_many_varied_readable_and_the_same_each_time():
    kinds, sources, names = set(), {}, []
    for one in pictures(seed=3):
        kinds.add(one.kind)
        assert sources.setdefault(one.source, one.kind) == one.kind  # a source lies in one kind
        names.append(one.name)
        try:
            read_image(np.ascontiguousarray(one.pixels))
        except ImageError as error:
            pytest.fail(f"{one.name}: {error}")
    assert len(set(names)) == len(names) >= 850 and len(kinds) >= 12
    for one, other in islice(zip(pictures(seed=3), pictures(seed=3), strict=True), 40):
        assert one.name == other.name and np.array_equal(one.pixels, other.pixels)


def test_other_ultrasound_names_its_organs():
    found = list(other_ultrasound())
    assert {p.kind for p in found} == {"heart", "lymph node", "obstetric"}
    assert sum(p.kind == "heart" for p in found) == 30


def _pictures(n, shift, rng):
    return (rng.normal(size=(n, D)) + shift).astype(np.float32)


def _left_out(hospital, rng):
    """Hospitals differ in the first number, other pictures from all of them in the last ten; kind "odd" does not."""
    place = np.zeros(D)
    others = {}
    for number, name in enumerate(("A", "B", "C")):
        place[0] = number
        others[name] = _pictures(200, place, rng)
    own = others.pop(hospital)
    strange = np.zeros(D)
    strange[-10:] = 6.0
    inputs = [_pictures(30, strange, rng), _pictures(30, 1.5 * strange, rng), _pictures(30, 0, rng)]
    kinds = np.repeat(["far", "further", "odd"], 30)
    names = np.array([f"picture {i}" for i in range(90)])
    sources = np.array([f"source {i // 3}" for i in range(90)])
    everyone = Inputs(kinds, sources, names, np.concatenate(inputs))
    organs = Inputs(np.array(["heart"] * 4), np.array(["film"] * 4), names[:4], _pictures(4, 0, rng))
    return LeftOut(hospital, own, others, everyone, organs)


@pytest.fixture(scope="module")
def left_out():
    rng = np.random.default_rng(0)
    return [_left_out(name, rng) for name in ("A", "B", "C")]


def test_limits_hold_in_each_hospital_left_out_and_kinds_are_judged_unseen(left_out):
    report = json.loads(json.dumps(measure_ood(left_out)))
    assert set(report["hospitals"]) == {"A", "B", "C"}
    for row in report["hospitals"].values():
        assert row["refused"]["value"] <= 0.02 and row["n"] == 200
        assert row["score_quantile"] <= report["ood_score"] and row["farthest"] < report["ood_distance"]
        assert row["refused_by_others"]["value"] >= row["refused"]["value"]
    assert report["kinds"]["further"]["passed"]["value"] == 0 and report["kinds"]["far"]["passed"]["value"] < 0.2
    odd = report["kinds"]["odd"]
    assert odd["passed"]["value"] > 0.9 and odd["n"] == 30 and odd["sources"] == 10  # nobody could have known
    assert report["passed"]["n"] == 90 and report["passed_mean_over_kinds"] == pytest.approx(report["passed"]["value"])
    assert report["other_ultrasound"]["heart"]["patients"] == 1
    text = "\n".join(ood_section(report))
    assert "| odd | 30 (10) |" in text and "No thyroid" in text


def test_hospitals_and_kinds_count_alike_however_many_pictures_they_sent(left_out):
    one = left_out[0]
    known = {"B": one.others["B"][:20], "C": one.others["C"]}
    far = one.no_ultrasound.where(one.no_ultrasound.kinds == "far")
    twice = {name: np.concatenate([a, a]) if name == "B" else a for name, a in known.items()}
    a, b = fit_ood(known, far), fit_ood(twice, far)
    assert a.score(one.own).mean() == pytest.approx(b.score(one.own).mean(), abs=0.1)


def test_inputs_of_a_hospital_left_out_survive_a_file(left_out, tmp_path):
    left_out[1].write(tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as file:  # a run of an earlier version goes on
        assert {"hospital", "own", "others/A", "strangers/inputs", "other_organs/inputs"} <= set(file.files)
    again = LeftOut.read(tmp_path / "b.npz")
    assert again.hospital == "B" and again.others.keys() == {"A", "C"}
    np.testing.assert_array_equal(again.own, left_out[1].own)
    for group in ("no_ultrasound", "other_organs"):
        for name, array in vars(getattr(left_out[1], group)).items():
            np.testing.assert_array_equal(getattr(getattr(again, group), name), array)


@pytest.fixture(scope="module")
def some_pictures():
    """One in twenty, to be quick."""
    return [s for s in gray_pictures()[::20] if s.kind != "blank"]


def test_a_predictor_with_a_fitted_detector_refuses_other_pictures_and_keeps_it_on_disk(
    untrained, phantoms, some_pictures, tmp_path
):
    predictor, cases = Predictor.load(untrained, device="cpu"), find_cases(phantoms)
    known, odd = case_inputs(predictor, cases), picture_inputs(predictor, some_pictures)
    np.testing.assert_allclose(case_inputs(predictor, cases, most=5), known[:5], rtol=0.01, atol=1e-3)
    detector = fit_ood({"phantoms": known[::2], "more phantoms": known[1::2]}, odd)
    limits = float(detector.score(known).max()) + 1, float(detector.distance(known).max()) * 3
    point = OperatingPoint(ood_score=limits[0], ood_distance=limits[1])
    loaded = checkpoint.load(untrained)
    checkpoint.save(tmp_path, loaded.network, loaded.preprocess, point, {}, {}, detector)
    predictor = Predictor.load(tmp_path, device="cpu")
    for name, array in vars(predictor.checkpoint.ood).items():
        np.testing.assert_array_equal(array, getattr(detector, name))
    gray = draw_phantom("benign", 77, 90, 110)[0]
    prediction = predictor(gray)
    inputs = ood_inputs(predictor.logits([gray])[2][0], gray)[None]
    assert not prediction.refused and prediction.ood_score == pytest.approx(detector.score(inputs)[0], abs=1e-3)
    refused = [predictor(np.ascontiguousarray(s.pixels)).refused for s in some_pictures]
    assert np.mean(refused) > 0.9


def test_a_hospital_left_out_is_seen_through_the_network_that_is_given(untrained, phantoms, monkeypatch):
    few = [Picture("noise", "n", f"n {i}", np.full((70, 80), 60 * i, np.uint8)) for i in range(3)]
    monkeypatch.setattr("busi_model.training.ood.data.gray_pictures", lambda seed: few)
    monkeypatch.setattr("busi_model.training.ood.data.other_ultrasound", lambda: few[:1])
    predictor, cases = Predictor.load(untrained, device="cpu"), find_cases(phantoms)
    found = left_out_inputs(predictor, "here", cases[:4], {"there": cases[4:]})
    assert found.own.shape[0] == 4 and found.others["there"].shape[0] == len(cases) - 4
    gray = cases[0].read()[0].gray
    own = ood_inputs(predictor.logits([gray])[2][0], gray)
    assert np.isclose(found.own, own, rtol=1e-3, atol=1e-4).all(axis=1).any()
    assert found.no_ultrasound.names.tolist() == ["n 0", "n 1", "n 2"] and len(found.other_organs.names) == 1
