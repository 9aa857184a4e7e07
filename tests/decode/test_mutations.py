"""Damaged files and invented values: the reader's own error comes out, or nothing."""

import csv
import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.mutations import mutated, run
from busi_model.image import ImageError, read_image
from busi_model.model import checkpoint
from busi_model.names import MANIFEST_COLUMNS
from busi_model.predict import Predictor
from busi_model.reading import outline
from busi_model.reading.errors import OutlineError, RecordError
from busi_model.reading.records import Outline
from busi_model.training.data.cases import CaseError
from busi_model.training.data.layouts import find_cases

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom")

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_damage_is_the_same_for_the_same_seed():
    assert mutated(b"0123456789" * 9, 5) == mutated(b"0123456789" * 9, 5) != mutated(b"0123456789" * 9, 6)


def test_every_reader_raises_its_own_error_only(capfd):
    outcomes, readers = set(), set()
    for number, reader, outcome, _, trace in run(400):
        assert outcome != "uncaught", f"file {number}, {reader}:\n{trace}"
        outcomes.add(outcome)
        readers.add(reader.split(":")[0])
    assert outcomes == {"read", "refused"} and len(readers) == 7


BEGINNINGS = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"GIF89a", b"RIFF____WEBP"]
BEGINNINGS += [b"\0" * 128 + b"DICM\x02\0", b"\x08\0\x05\0CS"]


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=400))
@settings(max_examples=200)
def test_the_decoder_takes_any_bytes(tmp_path_factory, beginning, rest):
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(beginning + rest)
    try:
        frame = read_image(path)
    except ImageError as error:
        assert str(error).endswith(".") and str(path) not in str(error)
    else:
        assert frame.gray.dtype == np.uint8 and min(frame.gray.shape) >= 64


numbers = st.floats() | st.floats(-200, 200) | st.integers()
points = st.tuples(numbers, numbers) | st.lists(numbers, max_size=3) | anything


@given(st.lists(st.lists(points, max_size=8) | anything, max_size=4) | anything)
@settings(max_examples=300)
def test_outlines_of_anything_are_repaired_or_refused(polygons):
    for function in (outline.check, outline.rasterise):
        try:
            function(polygons, 64, 48)
        except OutlineError as error:
            assert str(error).endswith(".")
    try:
        repaired = outline.repair(polygons, 64, 48).polygons
    except OutlineError as error:
        assert str(error).endswith(".")
    else:
        outline.check(repaired, 64, 48)
    try:
        Outline.checked(polygons=polygons, width=64, height=48)
    except RecordError as error:
        assert str(error).startswith("Not saved.")


cells = st.sampled_from(["benign (1).png", "benign", "normal", "A", "development", "test", "0", "7", "", "\0", "é"])


@given(st.lists(st.lists(cells | st.text(max_size=6), max_size=8), max_size=4), st.permutations(MANIFEST_COLUMNS))
@settings(max_examples=100)
def test_manifests_of_any_cells_are_obeyed_or_refused(phantoms, tmp_path_factory, rows, columns):
    path = tmp_path_factory.getbasetemp() / "manifest.csv"
    with open(path, "w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        csv.writer(file).writerows([columns, *rows])
    try:
        cases = find_cases(phantoms, path)
    except CaseError as error:
        assert str(error).endswith((".", "?", ")"))
    else:
        assert cases


@pytest.fixture(scope="module")
def weights_folder(untrained, tmp_path_factory):
    return shutil.copytree(untrained, tmp_path_factory.mktemp("damaged") / "weights")


@given(st.data())
@settings(max_examples=60)
def test_configs_of_any_values_are_used_or_refused(weights_folder, untrained, data):
    config = json.loads((untrained / checkpoint.CONFIG_NAME).read_text())
    place = data.draw(st.sampled_from([config, config["preprocess"], config["operating_point"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(anything | st.floats(0, 1) | st.integers(-5, 10**6))
    (weights_folder / checkpoint.CONFIG_NAME).write_text(json.dumps(config))
    try:
        predictor = Predictor(checkpoint.load(weights_folder), "cpu")
    except checkpoint.CheckpointError as error:
        assert checkpoint.CONFIG_NAME in str(error) or checkpoint.WEIGHTS_NAME in str(error)
    else:
        assert predictor(np.zeros((64, 70), np.uint8)).mask.shape == (64, 70)


@pytest.mark.parametrize(
    ("figure", "words"),
    [("NaN", "not readable JSON"), ("1e999", "not readable JSON"), ("[1]", "does not describe"), ("0", "does not")],
)
def test_a_temperature_that_is_none_is_refused(weights_folder, untrained, figure, words):
    text = (untrained / checkpoint.CONFIG_NAME).read_text()
    (weights_folder / checkpoint.CONFIG_NAME).write_text(text.replace('"temperature": 1.5', f'"temperature": {figure}'))
    with pytest.raises(checkpoint.CheckpointError, match=words):
        checkpoint.load(weights_folder)
