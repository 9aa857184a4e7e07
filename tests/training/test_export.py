"""The ONNX file against the Predictor that it was made of."""

import dataclasses
import json
import sys

import numpy as np
import onnxruntime
import pytest

from busi_model.__main__ import main
from busi_model.model.operating_point import OperatingPoint
from busi_model.model.preprocess import Preprocess
from busi_model.names import CLASS_NAMES
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor

TOLERANCE = 1e-3  # in probability


@pytest.fixture(scope="session")
def predictor(shipped):
    return Predictor.load(shipped, "cpu")


@pytest.fixture(scope="session")
def graph(shipped, tmp_path_factory):
    """The shipped weights, exported by the command, in ONNX Runtime."""
    path = tmp_path_factory.mktemp("onnx") / "made" / "busi.onnx"
    assert main(["export", "--weights", str(shipped), "--onnx", str(path)]) == 0
    assert [p.name for p in path.parent.iterdir()] == ["busi.onnx"]  # weights inside, nothing half-written beside it
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more of them spin, and a busy machine has no core for that
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _by_metadata(graph, pictures):
    """What a stranger computes who has the file alone: gray pictures -> class names with probabilities, masks."""
    about = graph.get_modelmeta().custom_metadata_map
    preprocess = Preprocess(**json.loads(about["preprocess"]))
    squares = np.stack([preprocess.square(gray)[None].astype(np.float32) for gray in pictures])
    classes, masks = graph.run(None, {"gray": squares})
    names = json.loads(about["class_names"])
    maps = [preprocess.restore(m[0], *gray.shape) for m, gray in zip(masks, pictures, strict=True)]
    return [dict(zip(names, map(float, row), strict=True)) for row in classes], maps


def _compare(graph, predictor, pictures):
    found, maps = _by_metadata(graph, pictures)
    for gray, probabilities, mask_probability in zip(pictures, found, maps, strict=True):
        expected = predictor(gray)
        assert probabilities == pytest.approx(expected.class_probabilities, abs=TOLERANCE)
        np.testing.assert_allclose(mask_probability, expected.mask_probability, atol=TOLERANCE)


def test_phantoms_get_the_predictors_probabilities(graph, predictor):
    _compare(graph, predictor, [draw_phantom(name, 3, 200 + 50 * i, 300)[0] for i, name in enumerate(CLASS_NAMES)])


def test_one_image_is_a_batch_too(graph, predictor):
    _compare(graph, predictor, [draw_phantom("malignant", 4)[0]])


def test_real_images_get_the_predictors_probabilities(graph, predictor, data_dir):
    from busi_model.training.data.layouts import find_cases

    cases = find_cases(data_dir / "BUSI", data_dir / "busi_manifest.csv")[::90]
    assert {case.class_name for case in cases} == set(CLASS_NAMES)
    _compare(graph, predictor, [case.read()[0].gray for case in cases])


def test_metadata_says_what_the_graph_needs_and_is(graph, predictor):
    about = graph.get_modelmeta().custom_metadata_map
    assert json.loads(about["class_names"]) == list(CLASS_NAMES)
    assert json.loads(about["preprocess"]) == json.loads(json.dumps(dataclasses.asdict(predictor.preprocess)))
    assert OperatingPoint.from_dict(json.loads(about["operating_point"])) == predictor.operating_point
    assert about["weights_sha256"] == predictor.checkpoint.weights_sha256
    assert "Not a medical device" in about["use"]
    assert [i.name for i in graph.get_inputs()] == ["gray"]
    assert [o.name for o in graph.get_outputs()] == ["class_probabilities", "mask_probability"]
    for place in ("input", "output"):
        assert str(predictor.preprocess.size) in about[place]


def test_without_the_exporters_packages(untrained, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", "--weights", str(untrained), "--onnx", str(tmp_path / "x.onnx")]) == 1
    assert "pip install onnx onnxscript" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
