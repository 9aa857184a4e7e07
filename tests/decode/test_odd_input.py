"""Whatever is given, by whichever way in: a result, or a sentence that says what to do; and the next picture is read.

The kinds are in `odd_input`. Each goes through `read_image`, the command line, the API and, some of them, the browser.
"""

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import expect

from busi_model.batch.rows import ROWS
from busi_model.image import ImageError, count_frames, read_image
from busi_model.page import strings
from busi_model.phantom import draw_phantom
from tests.conftest import ROOT
from tests.support.browser import expect_result, phantom_file, upload
from tests.support.odd_input import KINDS, LARGE, PLACES, SECRET
from tests.support.picture_files import PATIENT

LONGEST_S = 60  # on a machine that trains beside the tests; without that, 2
SPIKE_MIB = 500
NEVER_SAID = (SECRET, PATIENT, "Traceback", "Error:", "/tmp", "busi-", "object at 0x", ".py")

# What pydicom warns of is silenced where the package is imported; pytest undoes that.
pytestmark = pytest.mark.filterwarnings("ignore:::pydicom")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All kinds as files, in a folder that is called after a patient."""
    folder = tmp_path_factory.mktemp("odd") / SECRET
    folder.mkdir()
    for kind in KINDS:
        kind.write(folder)
    return folder


def assert_discreet(text):
    for hidden in NEVER_SAID:
        assert hidden not in text, text


def assert_sentence(text, words):
    assert words in text
    assert text.endswith(".")
    assert_discreet(text)


def test_there_is_a_kind_for_every_way_to_go_wrong():
    assert len(KINDS) >= 60 and len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: ascii(kind.name[:40]))
def test_read_image(kind, folder):
    begin = time.monotonic()
    if kind.refused:
        with pytest.raises(ImageError) as caught:
            read_image(folder / kind.name)
        assert_sentence(str(caught.value), kind.refused)
        assert SECRET not in str(caught.value.__cause__)  # a log shows the cause, too
    else:
        frame = read_image(folder / kind.name)
        assert tuple(notice.code for notice in frame.notices) == kind.notices
        assert_discreet(repr(frame.notices))
    assert time.monotonic() - begin < LONGEST_S


@pytest.mark.parametrize(("place", "words"), PLACES)
def test_read_image_of_what_is_no_file(place, words):
    with pytest.raises(ImageError) as caught:
        read_image(place)
    assert_sentence(str(caught.value), words)


def test_frames_are_counted_or_refused(folder):
    for kind in KINDS:
        try:
            count = count_frames(folder / kind.name)
        except ImageError as error:
            assert_sentence(str(error), "more than 1000 frames" if "thousand" in kind.name else kind.refused)
        else:
            several = {"first_frame": 2, "middle_frame": 3}.get(kind.notices[0], 1) if kind.notices else 1
            assert count == (3 if "circle" in kind.name else several)


def test_pydicoms_own_files_are_read_or_refused():
    places = [p for p in (Path(pydicom.__file__).parent / "data" / "test_files").rglob("*") if p.is_file()]
    read = 0
    for path in places:
        try:
            read += read_image(path).gray.size > 0
        except ImageError as error:
            assert str(error).endswith(".") and "/" not in str(error).replace("JPEG 2000", "")
    assert len(places) > 80 and read > 30


# The command line

NO_FOLDERS = [place for place in PLACES if not Path(place[0][:200]).is_dir()]  # a folder is searched


@pytest.fixture(scope="module")
def judged(folder, shipped, tmp_path_factory):
    """Exit code, rows and what was printed, of one run over all kinds and places and a good picture after them."""
    out = tmp_path_factory.mktemp("judged")
    good = phantom_file(tmp_path_factory.mktemp("good"))
    places = [str(folder / kind.name) for kind in KINDS] + [place for place, _ in NO_FOLDERS]
    arguments = ["--weights", shipped, "--out", out, "--workers", "1", "--device", "cpu"]
    arguments += ["--masks", "--overlays", "--measurements"]
    command = [sys.executable, "-m", "busi_model", "predict", *map(str, arguments), "--", *places, str(good)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=600)
    rows = [json.loads(line) for line in (out / ROWS).read_text(encoding="utf-8").splitlines()]
    return done, rows, out


def test_the_command_line_goes_on_after_every_one(judged):
    done, rows, _ = judged
    assert done.returncode == 1, done.stderr.decode()
    assert len(rows) == len(KINDS) + len(NO_FOLDERS) + 1
    assert rows[-1]["status"] != "failed"
    errors = done.stderr.decode()
    assert "Traceback" not in errors and "Warning" not in errors
    assert len(errors.splitlines()) == sum(row["status"] == "failed" for row in rows)  # a line each, two\nlines too


def test_the_command_line_says_what_read_image_says(judged):
    _, rows, out = judged
    for kind, row in zip(KINDS, rows, strict=False):
        codes = tuple(warning["code"] for warning in row.get("warnings", ()))
        assert (row["status"] == "failed") == bool(kind.refused), row
        assert kind.refused in row["reason"] and codes[: len(kind.notices)] == kind.notices, row
        assert_discreet(row["reason"])
        assert row["status"] == "refused" or not kind.meaningless, row
        assert ("mask" in row) == (row["status"] not in ("failed", "refused")), row
        if "mask" in row:
            with Image.open(out / row["mask"]) as mask, Image.open(out / row["overlay"]) as overlay:
                assert mask.size == overlay.size
    for (_, words), row in zip(NO_FOLDERS, rows[len(KINDS) : -1], strict=True):
        assert row["status"] == "failed" and words in row["reason"]
        assert_discreet(row["reason"])


# The API


def test_the_api_answers_every_one(folder, address, predictor, tmp_path):
    client = Client(address, verbose=False, download_files=tmp_path, httpx_kwargs={"timeout": LONGEST_S})
    try:
        for kind in KINDS:
            begin = time.monotonic()
            try:
                reading, mask = client.predict(image=handle_file(folder / kind.name), api_name="/predict")
            except AppError as error:
                assert kind.refused, (kind.name, str(error))
                assert_sentence(str(error), kind.refused)
            else:
                codes = tuple(warning["code"] for warning in reading["warnings"])
                assert not kind.refused and set(kind.notices) <= set(codes), kind.name  # the weightiest come first
                assert_discreet(json.dumps(reading))
                with Image.open(mask) as image:
                    assert image.size == (reading["width_px"], reading["height_px"])
            assert time.monotonic() - begin < LONGEST_S, kind.name
        good = phantom_file(tmp_path)
        assert client.predict(image=handle_file(good), api_name="/predict")[0]["label"] == predictor(good).label
    finally:
        client.close()


# The browser

SHOWN = (
    "empty.png",
    "script.png",
    "archive.png",
    "half.jpeg",
    "claims.png",
    "nan.tif",
    "film.dcm",
    "<img src=x onerror=alert(1)>.png",
    "16 bits.tif",
    "loop.dcm",
    "turned.jpg",
    "black.png",
)


def test_the_page_shows_a_sentence_or_a_result(tab, folder, tmp_path):
    dialogs = []
    tab.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    kinds = [kind for kind in KINDS if kind.name in SHOWN]
    assert len(kinds) == len(SHOWN)
    for number, kind in enumerate(kinds):
        upload(tab, folder / kind.name)
        expect(tab.locator(".worklist li")).to_have_count(number + 1)
        if kind.refused:
            expect(tab.locator("#result h2")).to_have_text(strings.UNREADABLE_HEADING)
            expect(tab.locator("#result")).to_contain_text(kind.refused)
        else:
            expect(tab.locator("#result .done, #result .warnings").first).to_be_visible()
            for notice in read_image(folder / kind.name).notices:
                expect(tab.locator("#result")).to_contain_text(notice.text)
        assert_discreet(tab.locator("body").inner_text())
    upload(tab, phantom_file(tmp_path, "benign", 8, 200, 240))
    expect_result(tab, 240, 200)
    assert dialogs == []


# Memory


@contextmanager
def spiking(*weights):
    """A function that reads a file in another process, and gives what `tests.support.spike` says of it."""
    command = [sys.executable, "-m", "tests.support.spike", *map(str, weights)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(path):
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


@pytest.fixture(scope="module")
def spike():
    with spiking() as ask:
        yield ask


@pytest.mark.parametrize("kind", LARGE, ids=lambda kind: kind.name)
def test_large_files_take_little_memory(kind, spike, tmp_path):
    path = kind.write(tmp_path)
    found = spike(path)
    path.unlink()
    assert kind.refused in found["refused"] and bool(kind.refused) == bool(found["refused"])
    assert tuple(found["notices"]) == kind.notices
    assert found["mib"] <= SPIKE_MIB


@pytest.mark.slow
def test_judging_a_large_picture_takes_little_memory(shipped, tmp_path):
    gray = Image.fromarray(draw_phantom("malignant", 1)[0]).resize((8000, 5000), Image.Resampling.BILINEAR)
    gray.convert("RGB").save(tmp_path / "large.jpg")
    with spiking(shipped) as ask:
        found = ask(tmp_path / "large.jpg")
    assert found["lesions"] and found["mib"] <= SPIKE_MIB
