"""The page as a user meets it: `python app.py` in a process of its own, driven by a real browser.

What needs no browser (late answers, refusals, the model card) is tested on the panel's own functions.
"""

import base64
import io
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from busi_model.clinic.view import draw_overlay, encode_png
from busi_model.image import Notice, read_image
from busi_model.network import CLASS_NAMES
from busi_model.operating_point import OperatingPoint
from busi_model.page import about, result, single, strings
from busi_model.phantom import draw_phantom
from busi_model.predict import Prediction, Predictor

ROOT = Path(__file__).parents[1]
PATIENCE_S = 120  # for a machine that trains beside the tests; nothing waits longer than it must
CORRUPT = b"\x89PNG\r\n\x1a\n" + b"nothing that an image could be made of" * 20


@pytest.fixture(scope="session")
def weights(untrained, shipped):
    """The shipped weights; before there are any, an untrained network, which draws and says something too."""
    return shipped if (shipped / "config.json").is_file() else untrained


@pytest.fixture(scope="session")
def predictor(weights):
    return Predictor.load(weights)


@pytest.fixture(scope="session")
def address(weights, tmp_path_factory):
    """Address of a running app. At the end: no image left behind, no traceback and no file name printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("app") / "log.txt"
    temporary = tmp_path_factory.mktemp("temporary")
    with log.open("w") as sink:
        server = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env={
                **os.environ,
                "BUSI_WEIGHTS": str(weights),
                "BUSI_STORE": str(tmp_path_factory.mktemp("store")),
                "GRADIO_SERVER_PORT": str(port),
                "TMPDIR": str(temporary),
            },
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_until_served(url, server, log)
        yield url
    finally:
        server.terminate()
        server.wait(PATIENCE_S)
    printed = log.read_text()
    assert "Traceback" not in printed, printed
    assert "Jane Doe" not in printed, printed
    assert list(temporary.glob("busi-*")) == []


def wait_until_served(url, server, log):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"app.py ended with code {server.returncode}:\n{log.read_text()}")
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)  # the port is not open yet
    pytest.fail(f"app.py served no page within {PATIENCE_S} s:\n{log.read_text()}")


@pytest.fixture
def open_tab(chromium, address):
    """Opens the page as a new user each time. At the end: no request left the machine, none failed."""
    contexts, requested, failed = [], [], []

    def open_one():
        context = chromium.new_context(accept_downloads=True)
        context.set_default_timeout(PATIENCE_S * 1000)
        contexts.append(context)
        tab = context.new_page()
        tab.on("request", lambda request: requested.append(request.url))
        tab.on("response", lambda response: response.status >= 400 and failed.append(response.url))
        tab.on("pageerror", lambda error: failed.append(str(error)))
        tab.goto(address)
        expect(tab.locator("#result")).to_contain_text(strings.WAITING_HEADING)
        tab.locator("#upload input[type=file]").wait_for(state="attached")
        return tab

    expect.set_options(timeout=PATIENCE_S * 1000)
    yield open_one
    for context in contexts:
        context.close()
    hosts = {urlsplit(url).hostname for url in requested if url.startswith(("http", "ws"))}
    assert hosts == {"127.0.0.1"}
    assert any(url.endswith("SourceSansPro-Bold.woff2") for url in requested)
    assert failed == []


@pytest.fixture
def tab(open_tab):
    return open_tab()


def phantom_file(folder, class_name="malignant", seed=3, height=440, width=560):
    path = Path(folder) / f"{class_name}-{seed}.png"
    path.write_bytes(encode_png(draw_phantom(class_name, seed, height, width)[0]))
    return path


def upload(tab, path):
    tab.set_input_files("#upload input[type=file]", path)


def expect_result(tab, width, height):
    """Wait until the finished result of an image of this size stands in the page."""
    expect(tab.locator("#viewer img")).to_have_attribute("alt", re.compile(rf"{width} by {height} pixels\. .*outlined"))
    expect(tab.locator("#result .done")).to_be_visible()


def shown_picture(tab):
    """The displayed picture's pixels (H, W, 3), as the server delivers them."""
    answer = tab.request.get(tab.locator("#viewer img").get_attribute("src"))
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.body())).convert("RGB"))


def wait_until(tab, condition):
    """For what only Python sees; the browser's events are handled while this waits."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not true after {PATIENCE_S} s"
        tab.wait_for_timeout(50)


def saved(tab, button):
    """File name and image of what a click on a download button saves."""
    with tab.expect_download() as download:
        tab.locator(button).click()
    image = Image.open(download.value.path())
    image.load()
    return download.value.suggested_filename, image


def assert_shows(tab, prediction):
    """Words, probabilities and picture in the page are this prediction's."""
    expect(tab.locator("#result h2")).to_contain_text(re.compile(strings.CLASS_NAMES[prediction.label], re.IGNORECASE))
    for name, probability in prediction.class_probabilities.items():
        row = tab.locator(f"#result tr[data-class={name}]")
        expect(row).to_contain_text(strings.CLASS_NAMES[name])
        expect(row).to_contain_text(result.percent(probability))
    for warning in prediction.warnings:
        expect(tab.locator("#result .warnings")).to_contain_text(warning.text)
    assert (shown_picture(tab) == draw_overlay(prediction.frame.gray, prediction.mask)).all()


def test_an_upload_shows_outline_class_and_probabilities(tab, predictor, tmp_path):
    path = phantom_file(tmp_path)
    upload(tab, path)
    expect_result(tab, 560, 440)
    assert_shows(tab, predictor(path))
    expect(tab.locator("#notice")).to_be_in_viewport()
    expect(tab.locator("#notice")).to_have_text(strings.RESEARCH_USE)
    assert strings.SYNTHETIC_NOTE not in tab.locator("#result").inner_text()  # our drawing, but the user's file


def test_a_real_image_is_labelled(tab, predictor, data_dir):
    path = data_dir / "BUSI" / "benign" / "benign (1).png"
    upload(tab, path)
    prediction = predictor(path)
    height, width = prediction.frame.gray.shape
    expect_result(tab, width, height)
    assert_shows(tab, prediction)


def test_downloads_are_the_frame_s_size_and_neutral(tab, predictor, tmp_path):
    path = phantom_file(tmp_path, "benign", 5, 330, 410)
    upload(tab, path)
    expect_result(tab, 410, 330)
    prediction = predictor(path)
    name, overlay = saved(tab, "#overlay")
    assert (name, overlay.size, overlay.info) == ("busi-overlay.png", (410, 330), {})
    assert (np.asarray(overlay) == draw_overlay(prediction.frame.gray, prediction.mask)).all()
    name, mask = saved(tab, "#mask")
    assert (name, mask.size, mask.info) == ("busi-mask.png", (410, 330), {})
    assert (np.asarray(mask) == prediction.mask * 255).all()


def test_a_second_upload_replaces_the_first_and_clear_removes_it(tab, predictor, tmp_path):
    upload(tab, phantom_file(tmp_path, "benign", 1))
    expect_result(tab, 560, 440)
    second = phantom_file(tmp_path, "malignant", 2, 300, 360)
    upload(tab, second)
    expect_result(tab, 360, 300)
    assert_shows(tab, predictor(second))
    tab.locator("#clear").click()
    expect(tab.locator("#result")).to_contain_text(strings.WAITING_HEADING)
    for gone in ("#viewer img", "#overlay", "#mask", "#clear"):
        expect(tab.locator(gone)).to_have_count(0)


def test_the_slow_answer_to_an_old_image_does_not_return(tab, predictor, tmp_path):
    answering = set()  # Gradio holds one such request open as long as any answer is due
    tab.on("request", lambda request: "/queue/data" in request.url and answering.add(request))
    tab.on("requestfinished", lambda request: answering.discard(request))
    tab.on("requestfailed", lambda request: answering.discard(request))
    slow = phantom_file(tmp_path, "benign", 1, 300, 310)
    Image.open(slow).resize((6200, 6000)).save(slow)  # takes seconds to decode, draw and encode
    tab.evaluate(
        """() => {
          window.seen = [];
          const note = () => {
            const image = document.querySelector("#viewer img");
            if (image && image.alt !== window.seen.at(-1)) window.seen.push(image.alt);
          };
          const everything = { subtree: true, childList: true, attributes: true };
          new MutationObserver(note).observe(document.body, everything);
        }"""
    )
    upload(tab, slow)
    expect(tab.locator("#result .busy")).to_be_visible()
    quick = phantom_file(tmp_path, "malignant", 2, 300, 360)
    upload(tab, quick)
    expect_result(tab, 360, 300)
    expected = tab.locator("#viewer img").get_attribute("alt")
    wait_until(tab, lambda: not answering)  # the server has finished with the slow one, too
    seen = tab.evaluate("window.seen")
    assert not any("6200 by 6000" in alt for alt in seen[seen.index(expected) :])
    assert tab.locator("#viewer img").get_attribute("alt") == expected


def test_a_corrupt_file_gets_a_sentence_and_takes_the_old_result_away(tab, tmp_path):
    upload(tab, phantom_file(tmp_path))
    expect_result(tab, 560, 440)
    corrupt = tmp_path / "Jane Doe 1956.png"
    corrupt.write_bytes(CORRUPT)
    upload(tab, corrupt)
    expect(tab.locator("#result h2")).to_have_text(strings.REFUSED_HEADING)
    expect(tab.locator("#viewer img")).to_have_count(0)
    text = tab.locator("body").inner_text()
    for hidden in ("Traceback", "Error:", "/tmp", "Jane Doe", "PIL"):
        assert hidden not in text
    upload(tab, phantom_file(tmp_path, "benign", 8, 200, 240))  # and the page goes on
    expect_result(tab, 240, 200)


def test_paste_and_drop_beside_the_field(tab, tmp_path):
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    pasted = phantom_file(tmp_path, "benign", 1, 220, 250)
    tab.evaluate(
        """async (data) => {
          const png = await (await fetch("data:image/png;base64," + data)).blob();
          await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
        }""",
        base64.b64encode(pasted.read_bytes()).decode(),
    )
    tab.keyboard.press("Control+V")
    expect_result(tab, 250, 220)
    dropped = phantom_file(tmp_path, "malignant", 1, 240, 270)
    tab.evaluate(
        """async (data) => {
          const png = await (await fetch("data:image/png;base64," + data)).blob();
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([png], "dropped.png", { type: "image/png" }));
          const how = { dataTransfer, bubbles: true, cancelable: true };
          document.querySelector("#result").dispatchEvent(new DragEvent("drop", how));
        }""",
        base64.b64encode(dropped.read_bytes()).decode(),
    )
    expect_result(tab, 270, 240)


@pytest.mark.parametrize("class_name", CLASS_NAMES)
def test_examples_say_that_they_are_synthetic(tab, class_name):
    tab.get_by_role("button", name=strings.EXAMPLE_BUTTONS[class_name]).click()
    expect_result(tab, 560, 440)
    expect(tab.locator("#result")).to_contain_text(strings.SYNTHETIC_NOTE)


def test_two_users_do_not_see_each_other(open_tab, tmp_path):
    first, second = open_tab(), open_tab()
    upload(first, phantom_file(tmp_path, "benign", 1, 200, 240))
    expect_result(first, 240, 200)
    expect(second.locator("#result")).to_contain_text(strings.WAITING_HEADING)
    upload(second, phantom_file(tmp_path, "benign", 2, 300, 360))
    expect_result(second, 360, 300)
    expect_result(first, 240, 200)


def test_about_names_the_weights(tab, weights, predictor):
    tab.get_by_role("tab", name=strings.TAB_ABOUT).click()
    card = weights / "README.md"
    if card.is_file():
        heading = re.search(r"^# (.+)$", card.read_text(encoding="utf-8"), re.MULTILINE).group(1)
        expect(tab.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    else:
        expect(tab.get_by_text(predictor.checkpoint.weights_sha256)).to_be_visible()


def test_missing_weights_end_the_program_with_a_sentence(tmp_path):
    ended = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**os.environ, "BUSI_WEIGHTS": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("app.py: The weights folder has no config.json")
    assert "Traceback" not in ended.stderr


# Without a browser: the panel's functions.


class Oracle:
    """Stands for a Predictor: answers at once with a fixed opinion, or raises."""

    operating_point = OperatingPoint(fitted_on="90 test images")

    def __init__(self, error=None, warnings=(), probabilities=(0.1, 0.87, 0.03)):
        self.error, self.warnings, self.probabilities = error, warnings, probabilities

    def __call__(self, frame):
        if self.error:
            raise self.error
        mask = np.zeros(frame.gray.shape, bool)
        mask[20:40, 30:60] = True
        probabilities = dict(zip(CLASS_NAMES, self.probabilities, strict=True))
        logits = np.zeros(3, np.float32)
        class_set = (max(probabilities, key=probabilities.get),)
        return Prediction(
            frame, probabilities, mask, mask.astype(np.float32), logits, class_set, mask & False, tuple(self.warnings)
        )


NO_CHANGE = [gr.skip()] * 6  # what an outdated run must end with: Gradio repeats a run's last output


def words(steps):
    """The HTML of each step."""
    return [outputs[2] for outputs in steps]


def test_a_late_answer_is_thrown_away(tmp_path):
    reader, turn = single.Reader(Oracle(), tmp_path), single.Turn()
    old = reader.read(phantom_file(tmp_path, "benign"), turn)
    assert strings.OPENING in next(old)[2]
    assert strings.ANALYSING in next(old)[2]
    new = words(reader.read(phantom_file(tmp_path, "malignant"), turn))
    assert "Malignant pattern, 87 %" in new[-1]
    assert list(old) == [NO_CHANGE]


def test_clearing_throws_the_running_answer_away(tmp_path):
    reader, turn = single.Reader(Oracle(), tmp_path), single.Turn()
    running = reader.read(phantom_file(tmp_path), turn)
    next(running)
    assert strings.WAITING_HEADING in reader.clear(turn)[2]
    assert list(running) == [NO_CHANGE]


def test_a_failure_of_the_program_is_a_sentence_too(tmp_path, caplog):
    reader = single.Reader(Oracle(error=RuntimeError("tensor at 0x7f")), tmp_path)
    last = words(reader.read(phantom_file(tmp_path), single.Turn()))[-1]
    assert strings.FAILED_HEADING in last and "0x7f" not in last
    assert "tensor at 0x7f" in caplog.text


def test_words_are_escaped_and_uncertainty_comes_first(tmp_path):
    warnings = [Notice("low_confidence", "Close <b>classes</b>.")]
    oracle = Oracle(warnings=warnings, probabilities=(0.45, 0.5, 0.05))
    frame = read_image(phantom_file(tmp_path))
    shown = result.result_html(oracle(frame), oracle.operating_point, synthetic=False)
    assert "Uncertain. Likeliest is a malignant pattern, 50 %" in shown
    assert "Close &lt;b&gt;classes&lt;/b&gt;." in shown
    assert "about 50 should be malignant" in shown and "90 test images" in shown


def test_uncalibrated_figures_are_not_called_frequencies(tmp_path):
    frame = read_image(phantom_file(tmp_path))
    shown = result.result_html(Oracle()(frame), OperatingPoint(), synthetic=False)
    assert strings.MEANING_NOT_FITTED in shown.replace("&#x27;", "'") and "Of 100 images" not in shown


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.874, "87 %"), (0.996, "over 99 %"), (1.0, "over 99 %"), (0.004, "under 1 %"), (0.006, "1 %")],
)
def test_no_probability_is_called_certain(probability, text):
    assert result.percent(probability) == text


def test_the_model_card_shows_pictures_of_its_own_folder_only(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "roc.png").write_bytes(encode_png(np.zeros((8, 8), np.uint8)))
    (tmp_path / "outside.png").write_bytes(encode_png(np.zeros((8, 8), np.uint8)))
    card = folder / "README.md"
    card.write_text(
        "---\nlicense: apache-2.0\n---\n# Card\n![ROC curve](roc.png)\nmiddle\n"
        "![x](../outside.png)\n![badge](https://example.org/badge.svg)\nend\n"
    )
    assert about.card_parts(card) == [
        ("# Card", "ROC curve", folder.resolve() / "roc.png"),
        ("middle", "x", None),
        ("", "badge", None),
        ("end", "", None),
    ]
