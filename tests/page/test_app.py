"""The page as a user meets it: `python app.py` in a process of its own, driven by a real browser.

Opening images, results, worklist and downloads; the viewer is in test_page_viewer, access in test_page_access.
"""

import base64
import io
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pypdf
import pytest
from PIL import Image
from playwright.sync_api import expect

from busi_model import __version__
from busi_model.clinic import words
from busi_model.clinic.render import pixels_sha256
from busi_model.clinic.view import draw_overlay, outlines_xy
from busi_model.names import CLASS_NAMES
from busi_model.page import strings
from tests.support.browser import (
    PATIENCE_S,
    ROOT,
    assert_shows,
    expect_result,
    phantom_file,
    saved,
    shown_outlines,
    upload,
    wait_until,
    worded_of,
)

CORRUPT = b"\x89PNG\r\n\x1a\n" + b"nothing that an image could be made of" * 20


def test_an_upload_shows_outline_class_and_probabilities(tab, predictor, tmp_path):
    path = phantom_file(tmp_path)
    upload(tab, path)
    expect_result(tab, 560, 440)
    assert_shows(tab, predictor, predictor(path))
    expect(tab.locator("#notice")).to_be_in_viewport()
    expect(tab.locator("#notice")).to_have_text(strings.RESEARCH_USE)
    assert words.SYNTHETIC not in tab.locator("#result").inner_text()  # our drawing, but the user's file


def test_a_real_image_is_labelled(tab, predictor, data_dir):
    path = data_dir / "BUSI" / "benign" / "benign (1).png"
    upload(tab, path)
    prediction = predictor(path)
    height, width = prediction.frame.gray.shape
    expect_result(tab, width, height)
    assert_shows(tab, predictor, prediction)
    for shown, expected in zip(shown_outlines(tab), outlines_xy(prediction.mask), strict=True):
        assert np.abs(shown - expected[: len(shown)]).max() <= 0.01


def test_downloads_match_the_prediction_and_are_neutral(tab, predictor, tmp_path):
    path = phantom_file(tmp_path, "benign", 5, 330, 410)
    upload(tab, path)
    expect_result(tab, 410, 330)
    prediction = predictor(path)
    worded, today = worded_of(predictor, prediction), datetime.now(UTC).date()
    stem = f"busi-{today}-{pixels_sha256(prediction.frame.gray)[:8]}"  # the date and eight letters, no name
    name, content = saved(tab, "#take-overlay")
    overlay = Image.open(io.BytesIO(content))
    assert (name, overlay.size, overlay.info) == (f"{stem}-overlay.png", (410, 330), {})
    assert (np.asarray(overlay) == draw_overlay(prediction.frame.gray, prediction.mask)).all()
    name, content = saved(tab, "#take-mask")
    mask = Image.open(io.BytesIO(content))
    assert (name, mask.size, mask.info) == (f"{stem}-mask.png", (410, 330), {})
    assert (np.asarray(mask) == prediction.mask * 255).all()
    name, content = saved(tab, "#take-data")
    data = json.loads(content)
    assert name == f"{stem}.json" and data["class_probabilities"] == prediction.class_probabilities
    assert data["model"]["weights_sha256"] == predictor.checkpoint.weights_sha256
    assert len(data["lesions"]) == len(outlines_xy(prediction.mask))
    name, content = saved(tab, "#take-report")
    pdf = pypdf.PdfReader(io.BytesIO(content))
    assert name == f"{stem}.pdf" and len(pdf.pages) == 1 and not pdf.metadata
    said = " ".join(pdf.pages[0].extract_text().split())
    for part in (worded.headline, worded.reason, predictor.checkpoint.weights_sha256, str(today), __version__):
        assert part in said
    assert pixels_sha256(prediction.frame.gray) in said and data["verdict"] == worded.verdict
    assert tab.locator("#text textarea").input_value().startswith(f"{worded.headline}. {worded.reason}")


def test_a_second_upload_is_shown_and_closing_removes_all(tab, predictor, tmp_path):
    upload(tab, phantom_file(tmp_path, "benign", 1))
    expect_result(tab, 560, 440)
    second = phantom_file(tmp_path, "malignant", 2, 300, 360)
    upload(tab, second)
    expect_result(tab, 360, 300)
    assert_shows(tab, predictor, predictor(second))
    tab.locator("#clear").click()
    expect(tab.locator("#result")).to_contain_text(strings.WAITING_HEADING)
    for gone in ("#viewer image", ".worklist li"):
        expect(tab.locator(gone)).to_have_count(0)
    for hidden in ("#clear", "#take-report"):  # by the stylesheet, so that no event carries them
        expect(tab.locator(hidden)).not_to_be_visible()


def test_a_worklist_of_ten_is_read_through_with_keys(tab, predictor, tmp_path):
    sizes = [(200 + 10 * number, 240 + 10 * number) for number in range(9)]
    paths = [phantom_file(tmp_path, CLASS_NAMES[n % 3], n, *size) for n, size in enumerate(sizes)]
    corrupt = tmp_path / "Jane Doe 1956.png"
    corrupt.write_bytes(CORRUPT)
    upload(tab, *paths, corrupt)
    expect_result(tab, 240, 200)
    items = tab.locator(".worklist li")
    expect(items).to_have_count(10)
    expect(items.last).to_contain_text(strings.CASE_STATES["unreadable"])
    for state in ("waiting", "analysing"):
        expect(tab.locator(".worklist ol")).not_to_contain_text(strings.CASE_STATES[state])
    for height, width in sizes[1:4]:
        tab.keyboard.press("n")
        expect_result(tab, width, height)
    assert_shows(tab, predictor, predictor(paths[3]))
    expect(items.nth(3).locator(".open")).to_have_attribute("aria-current", "true")
    tab.keyboard.press("p")
    expect_result(tab, sizes[2][1], sizes[2][0])
    items.nth(7).locator(".open").click()
    expect_result(tab, sizes[7][1], sizes[7][0])
    tab.keyboard.press("ArrowDown")  # the focus is in the list
    expect_result(tab, sizes[8][1], sizes[8][0])
    tab.keyboard.press("ArrowDown")
    expect(tab.locator("#result h2")).to_have_text(strings.UNREADABLE_HEADING)
    expect(tab.locator("#viewer image")).to_have_count(0)
    assert "Jane Doe" in items.last.inner_text()  # the reader's own list, in this browser; nowhere else
    for part in ("#result", "#picture-column", "#take"):
        assert not any("Jane Doe" in text for text in tab.locator(part).all_inner_texts())


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
            const label = document.querySelector("#viewer .overlay svg").getAttribute("aria-label");
            if (label !== window.seen.at(-1)) window.seen.push(label);
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
    expected = tab.locator("#viewer .overlay svg").get_attribute("aria-label")
    wait_until(tab, lambda: not answering)  # the server has finished with the slow one, too
    seen = tab.evaluate("window.seen")
    assert not any("6200 by 6000" in label for label in seen[seen.index(expected) :])
    assert tab.locator("#viewer .overlay svg").get_attribute("aria-label") == expected
    expect(tab.locator(".worklist li")).to_have_count(2)


def test_a_corrupt_file_gets_a_sentence_and_takes_the_old_result_away(tab, tmp_path):
    upload(tab, phantom_file(tmp_path))
    expect_result(tab, 560, 440)
    corrupt = tmp_path / "Jane Doe 1956.png"
    corrupt.write_bytes(CORRUPT)
    upload(tab, corrupt)
    expect(tab.locator("#result h2")).to_have_text(strings.UNREADABLE_HEADING)
    expect(tab.locator("#viewer image")).to_have_count(0)
    text = tab.locator("body").inner_text()
    for hidden in ("Traceback", "Error:", "/tmp", "PIL"):
        assert hidden not in text
    assert "Jane Doe" not in tab.locator("#result").inner_text()
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
    dropped = [phantom_file(tmp_path, "malignant", seed, 240, 270) for seed in (1, 2)]
    tab.evaluate(
        """async (files) => {
          const dataTransfer = new DataTransfer();
          for (const data of files) {
            const png = await (await fetch("data:image/png;base64," + data)).blob();
            dataTransfer.items.add(new File([png], "dropped.png", { type: "image/png" }));
          }
          const how = { dataTransfer, bubbles: true, cancelable: true };
          document.querySelector("#result").dispatchEvent(new DragEvent("drop", how));
        }""",
        [base64.b64encode(path.read_bytes()).decode() for path in dropped],
    )
    expect_result(tab, 270, 240)
    expect(tab.locator(".worklist li")).to_have_count(3)


def test_an_example_says_that_it_is_synthetic(tab):
    tab.get_by_role("button", name=strings.EXAMPLE_BUTTONS["malignant"]).click()
    expect_result(tab, 560, 440)
    expect(tab.locator("#result")).to_contain_text(words.SYNTHETIC)


def test_two_users_do_not_see_each_other(open_tab, tmp_path):
    first, second = open_tab(), open_tab()
    upload(first, phantom_file(tmp_path, "benign", 1, 200, 240))
    expect_result(first, 240, 200)
    expect(second.locator("#result")).to_contain_text(strings.WAITING_HEADING)
    upload(second, phantom_file(tmp_path, "benign", 2, 300, 360))
    expect_result(second, 360, 300)
    expect_result(first, 240, 200)
    upload(first, phantom_file(tmp_path, "benign", 3, 310, 370))
    expect_result(first, 370, 310)
    expect(second.locator(".worklist li")).to_have_count(1)


def test_the_first_page_is_light(chromium, address):
    """Under 1 MB, everything that the browser fetches for it."""
    tab = chromium.new_page()
    sizes = []
    tab.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    tab.goto(address)
    tab.locator("#upload .zone").wait_for()
    tab.evaluate("document.fonts.ready.then(() => null)")
    tab.close()
    assert 0 < sum(sizes) < 1e6


def test_about_shows_what_was_measured(tab, predictor):
    tab.get_by_role("tab", name=strings.TAB_ABOUT).click()
    expect(tab.get_by_role("heading", name=strings.ABOUT_HEADING, exact=True)).to_be_visible()
    for title in predictor.checkpoint.figures:
        expect(tab.locator("#about")).to_contain_text(title)
    assert predictor.checkpoint.weights_sha256 in tab.locator("#about").evaluate("node => node.textContent")


def test_about_shows_how_other_programs_call_the_page(tab):
    """From the page's own server: that nothing else is asked, the fixture sees."""
    tab.get_by_role("tab", name=strings.TAB_ABOUT).click()
    tab.locator("#about-api button").first.click()
    shown = tab.locator("#about-api")
    expect(shown).to_contain_text("/gradio_api/call/predict")
    for name in ("predict", "outline", "report"):
        expect(shown.locator("td code", has_text=re.compile(f"^{name}$")).first).to_be_visible()
    assert shown.locator("a[href]").count() == 0  # no way out of a hospital's network


@pytest.mark.slow
def test_the_program_says_what_it_is_and_starts_no_page_when_asked_for_help():
    asked = subprocess.run([sys.executable, "app.py", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert asked.returncode == 0 and asked.stdout.startswith("usage: busi app") and "docs/settings.md" in asked.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BUSI_WEIGHTS", "", "The weights folder has no config.json"),
        ("GRADIO_SERVER_PORT", "http", "GRADIO_SERVER_PORT is 'http'; a number from 1 to 65535"),
        ("GRADIO_SERVER_NAME", "203.0.113.1", "Neither port 7860 nor the 99 after it is free at 203.0.113.1"),
    ],
)
def test_a_wrong_setting_ends_the_program_with_a_sentence(tmp_path, name, value, words):
    environment = {key: own for key, own in os.environ.items() if key != "GRADIO_SERVER_PORT"}
    environment |= {"BUSI_STORE": str(tmp_path / "store"), "TMPDIR": str(tmp_path), name: value or str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith(f"app: {words}")
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.glob("busi-*")) == []
