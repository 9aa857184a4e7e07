"""Bad and odd input by every way in: a sentence or a result, never a traceback, a name or a path of the server."""

import json
import subprocess
import sys

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import expect

from busi_model.__main__ import main
from busi_model.batch.rows import ROWS
from busi_model.image import ImageError, read_image
from busi_model.predict import Predictor
from tests.browser import expect_result, phantom_file, upload
from tests.conftest import ROOT
from tests.odd_input import KINDS, LARGE, PLACES, SECRET

MAX_MIB = 500
BY_NAME = {kind.name: kind for kind in KINDS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp(SECRET)
    for kind in KINDS:
        kind.write(folder)
    return folder


def _says_only(text, kind):
    """The words of a refusal, and nothing that could name a patient or the server."""
    assert kind.refused in text, text
    assert SECRET not in text and "/tmp" not in text and str(ROOT) not in text and "Traceback" not in text


def test_there_are_enough_kinds_and_no_two_of_one_name():
    assert len(KINDS) + len(LARGE) + len(PLACES) >= 60 and len(BY_NAME) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: repr(kind.name[:40]))
def test_is_read_or_refused_as_expected(folder, kind):
    if kind.refused:
        with pytest.raises(ImageError) as caught:
            read_image(folder / kind.name)
        _says_only(str(caught.value), kind)
    else:
        codes = {notice.code for notice in read_image(folder / kind.name).notices}
        assert set(kind.notices) <= codes


@pytest.mark.parametrize("kind", [k for k in KINDS if k.meaningless], ids=lambda kind: kind.name)
def test_what_is_no_breast_ultrasound_is_turned_away(folder, shipped_predictor, kind):
    assert shipped_predictor(folder / kind.name).refused


@pytest.fixture(scope="module")
def shipped_predictor(shipped):
    return Predictor.load(shipped)


@pytest.mark.parametrize(("place", "words"), PLACES, ids=[place[:30] for place, _ in PLACES])
def test_what_stands_in_place_of_a_file_is_refused(place, words):
    with pytest.raises(ImageError) as caught:
        read_image(place)
    assert words in str(caught.value)
    assert place not in str(caught.value)


def test_large_files_take_no_more_memory_than_promised(tmp_path):
    """Each in a process of its own, one after the other: their files are large, too."""
    for kind in LARGE:
        path = kind.write(tmp_path)
        command = [sys.executable, "-m", "tests.spike", str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
        found = json.loads(done.stdout)
        path.unlink()
        assert found["mib"] < MAX_MIB, (kind.name, found)
        if kind.refused:
            _says_only(found["refused"], kind)
        else:
            assert not found["refused"] and set(kind.notices) <= set(found["notices"]), (kind.name, found)


def test_the_command_line_gives_each_a_row(folder, untrained, tmp_path, capsys):
    paths = [str(folder / kind.name) for kind in KINDS]
    arguments = ["--weights", str(untrained), "--device", "cpu", "--workers", "1", "--out", str(tmp_path)]
    assert main(["predict", *paths, *arguments]) == 1  # some failed, and their rows say why
    rows = [json.loads(line) for line in (tmp_path / ROWS).read_text().splitlines()]
    assert [row["file"] for row in rows] == paths
    for kind, row in zip(KINDS, rows, strict=True):
        assert (row["status"] == "failed") == bool(kind.refused), row
        if kind.refused:
            _says_only(row["reason"], kind)
        else:
            assert set(kind.notices) <= {warning["code"] for warning in row["warnings"]}
    assert "Traceback" not in capsys.readouterr().err


def test_the_api_answers_each_and_goes_on(folder, address, tmp_path):
    client = Client(address, verbose=False, download_files=tmp_path)
    for kind in KINDS:
        call = client.submit(image=handle_file(folder / kind.name), api_name="/predict")
        try:
            reading, _ = call.result(timeout=60)
        except AppError as error:
            assert kind.refused, (kind.name, str(error))
            _says_only(str(error), kind)
        else:
            assert not kind.refused, kind.name
            assert set(kind.notices) <= {warning["code"] for warning in reading["warnings"]}
    reading, _ = client.predict(image=handle_file(phantom_file(tmp_path)), api_name="/predict")
    assert (reading["height_px"], reading["width_px"]) == (440, 560)
    client.close()


@pytest.mark.parametrize(
    "name",
    ["page.png", "script.png", "half.png", "claims.jpg", "nan.tif", "1x5000.png", "lossless.dcm", "empty.png"],
)
def test_the_page_says_what_is_wrong_and_goes_on(folder, tab, tmp_path, name):
    upload(tab, folder / name)
    expect(tab.locator("#result")).to_contain_text(BY_NAME[name].refused)
    upload(tab, phantom_file(tmp_path))
    expect_result(tab, 560, 440)


def test_a_name_that_is_a_script_does_nothing(folder, tab):
    tab.on("dialog", lambda dialog: pytest.fail("a script ran"))
    upload(tab, folder / "<img src=x onerror=alert(1)>.png")
    expect_result(tab, 104, 96)
    assert tab.locator("img[src='x']").count() == 0
