"""The viewer in a real browser: what it draws lies where the prediction says, at every zoom, by mouse and by key."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from busi_model.clinic import words
from busi_model.clinic.view import outlines_xy
from busi_model.page import strings
from tests.support.browser import expect_result, phantom_file, shown_outlines, upload, wait_until

PICTURE = "#viewer .overlay svg"
FRAME = "#viewer .overlay canvas.frame"
SCALE = "#viewer form.scale"
# Where a point of the drawing and the same point of the picture are on the screen, [x, y] each.
ON_SCREEN = """(svg, points) => {
  const path = svg.querySelector(".outline path.line").getScreenCTM();
  const frame = svg.parentNode.querySelector("canvas.frame");
  const box = frame.getBoundingClientRect();
  const [w, h] = [frame.offsetWidth, frame.offsetHeight];
  return points.map(([x, y]) => {
    const drawn = new DOMPoint(x, y).matrixTransform(path);
    return [drawn.x, drawn.y, box.x + ((x + 0.5) / w) * box.width, box.y + ((y + 0.5) / h) * box.height, box.width / w];
  });
}"""


def staged(tab, tmp_path, height=300, width=420):
    """Open an image in the staged app, where the height says what is answered."""
    upload(tab, phantom_file(tmp_path, "malignant", 1, height, width))
    expect_result(tab, width, height)


def press(tab, *keys):
    for key in keys:
        tab.keyboard.press(key)


def pressed(tab, action):
    return tab.locator(f"#viewer [data-do={action}]").get_attribute("aria-pressed") == "true"


def zoom_percent(tab):
    return int(re.match(r"\d+", tab.locator("#viewer output").inner_text()).group())


def grays(tab):
    """Mean gray level of the picture on the screen."""
    tab.mouse.move(0, 0)
    return np.asarray(Image.open(io.BytesIO(tab.locator(PICTURE).screenshot())).convert("L")).mean()


def drag(tab, dx, dy, button="left"):
    box = tab.locator(PICTURE).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down(button=button)
    tab.mouse.move(x + dx, y + dy, steps=3)
    tab.mouse.up(button=button)


def assert_outline_on_lesion(tab, outlines):
    """Drawn outlines are the prediction's to 0.01 px, and the picture beneath lies within one of its pixels."""
    shown = shown_outlines(tab)
    assert len(shown) == len(outlines) > 0
    for drawn, expected in zip(shown, outlines, strict=True):
        assert np.abs(drawn - expected[: len(drawn)]).max() <= 0.01
        found = tab.locator(PICTURE).evaluate(ON_SCREEN, drawn[::9].tolist())
        x, y, picture_x, picture_y, scale = np.array(found).T
        assert np.hypot(x - picture_x, y - picture_y).max() <= scale[0]


@pytest.mark.parametrize("look", [{}, {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 3}])
def test_the_outline_lies_on_the_lesion_at_every_zoom(open_tab, predictor, tmp_path, look):
    tab = open_tab(**look)
    path = phantom_file(tmp_path, "malignant", 3, 330, 450)
    upload(tab, path)
    expect_result(tab, 450, 330)
    outlines = outlines_xy(predictor(path).mask)
    assert_outline_on_lesion(tab, outlines)
    for keys in (["1"], ["+"] * 4, ["ArrowRight", "ArrowDown"], ["-"] * 12, ["0"], ["b"]):
        if keys[0].startswith("Arrow"):
            tab.locator(PICTURE).focus()
        press(tab, *keys)
        assert_outline_on_lesion(tab, outlines)


def test_a_real_outline_lies_on_its_lesion(tab, predictor, data_dir):
    path = data_dir / "BUSI" / "malignant" / "malignant (3).png"
    upload(tab, path)
    prediction = predictor(path)
    expect_result(tab, *prediction.frame.gray.shape[::-1])
    for keys in ([], ["1"], ["+"] * 6):
        press(tab, *keys)
        assert_outline_on_lesion(tab, outlines_xy(prediction.mask))


def test_switches_and_their_keys(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path, 302)  # two lesions
    layers = {"outline": "o", "margin": "m", "axes": "a"}
    for layer, key in layers.items():
        drawing = tab.locator(f"{PICTURE} g.{layer}")
        before = pressed(tab, layer)
        assert drawing.is_visible() == before == (layer == "outline")
        press(tab, key)
        assert drawing.is_visible() == pressed(tab, layer) == (not before)
        tab.locator(f"#viewer [data-do={layer}]").click()
        assert drawing.is_visible() == before
    press(tab, "m")
    expect(tab.locator("#viewer .note")).to_have_text(strings.MARGIN_NOTE)
    assert tab.locator(f"{PICTURE} .outline text").all_text_contents() == ["1", "2"]
    assert tab.locator(f"{PICTURE} .axes .cross").count() == 8  # two axes with two ends, twice
    press(tab, "b")
    expect(tab.locator("#viewer .original svg")).to_be_visible()
    assert tab.locator("#viewer .original svg path").count() == 0
    press(tab, "+", "+")
    boxes = tab.locator("#viewer svg[viewBox]").evaluate_all("nodes => nodes.map(n => n.getAttribute('viewBox'))")
    assert boxes[0] == boxes[1]  # the same part at the same zoom
    tab.locator("#viewer [data-do=keys]").click()
    press(tab, "o")
    assert pressed(tab, "outline")  # single keys are off


def test_switches_stay_as_they_are_for_the_next_image(staged_tab, tmp_path):
    staged(staged_tab, tmp_path)
    press(staged_tab, "o", "a")
    staged(staged_tab, tmp_path, 302, 440)
    assert (pressed(staged_tab, "outline"), pressed(staged_tab, "axes")) == (False, True)
    assert not staged_tab.locator(f"{PICTURE} g.outline").is_visible()


def test_zoom_keeps_the_pixel_under_the_pointer_and_100_percent_is_100_percent(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path)
    press(tab, "1")
    assert zoom_percent(tab) == 100
    frame = tab.locator(FRAME)
    assert frame.bounding_box()["width"] == pytest.approx(420, abs=0.5)
    at = tab.locator(PICTURE).bounding_box()
    x, y = at["x"] + at["width"] / 2 + 60, at["y"] + at["height"] / 2 - 40

    def share():
        box = frame.bounding_box()
        return (x - box["x"]) / box["width"], (y - box["y"]) / box["height"]

    before = share()
    tab.mouse.move(x, y)
    tab.locator(PICTURE).focus()
    tab.mouse.wheel(0, -300)
    expect(tab.locator("#viewer output")).not_to_have_text("100 %")
    assert zoom_percent(tab) > 150
    assert share() == pytest.approx(before, abs=0.003)
    drag(tab, 50, 20)
    moved = share()
    assert moved[0] < before[0] and moved[1] < before[1]
    press(tab, "0")
    tab.set_viewport_size({"width": 900, "height": 700})  # fitted stays fitted

    def filled():
        stage, picture = tab.locator(PICTURE).bounding_box(), frame.bounding_box()
        return max(picture[side] / stage[side] for side in ("width", "height"))

    wait_until(tab, lambda: 0.98 < filled() < 1.01)


def test_brightness_and_contrast_by_drag_and_by_key(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path)
    press(tab, "o")
    plain = grays(tab)
    press(tab, "w")
    drag(tab, 0, -60)
    brighter = grays(tab)
    assert brighter > plain + 20
    press(tab, "r")
    assert grays(tab) == pytest.approx(plain, abs=0.5)
    drag(tab, 0, 60, button="right")  # in any mode
    assert grays(tab) < plain - 20
    press(tab, "r", "w")
    tab.locator(PICTURE).focus()
    press(tab, *["ArrowUp"] * 8)
    assert grays(tab) > plain + 20
    press(tab, "r")
    # As defined: 255 wide around 127.5 is plain; half as wide doubles the slope.
    press(tab, "w")
    drag(tab, 100, 0)
    width = float(re.search(r"contrast (\d+)", tab.locator("#viewer .note").inner_text()).group(1))
    assert width == 155
    linear = tab.locator(f"{PICTURE} feFuncR")
    assert float(linear.get_attribute("slope")) == pytest.approx(255 / 155)
    assert float(linear.get_attribute("intercept")) == pytest.approx(0.5 - 0.5 * 255 / 155)


def test_a_marked_scale_gives_millimetres(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path)
    expect(tab.locator("#measures")).to_contain_text(words.SPACING_NONE.split(".")[0])
    press(tab, "1", "k")
    frame = tab.locator(FRAME).bounding_box()
    for y in (50, 250):  # 200 px on the screen and, at 100 %, in the picture
        tab.mouse.click(frame["x"] + 10, frame["y"] + y)
    tab.locator(f"{SCALE} input[type=number]").fill("20")
    press(tab, "Enter")
    expect(tab.locator("#measures")).to_contain_text("0.1 mm per pixel")
    expect(tab.locator("#measures tbody td").first).to_have_text(re.compile(r"^1[34]\.\d\smm\s\(1[34]\d\spx\)$"))
    assert re.search(r"1[34]\.\d x 1[34]\.\d mm\.", tab.locator("#text textarea").input_value())
    tab.locator("#viewer .forget").click()
    expect(tab.locator("#measures")).not_to_contain_text("mm²")


def test_a_scale_can_be_marked_without_a_mouse(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path)
    press(tab, "1", "k", "Enter", *["ArrowDown"] * 5, "Enter")  # 5 x 40 px
    expect(tab.locator(f"{SCALE} input[type=number]")).to_be_focused()
    tab.keyboard.type("20")
    press(tab, "Enter")
    expect(tab.locator("#measures")).to_contain_text("0.1 mm per pixel")


def test_a_scale_that_makes_no_sense_is_refused(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path)
    press(tab, "k", "Enter", "Enter")
    tab.keyboard.type("20")
    press(tab, "Enter")
    expect(tab.locator("#viewer .note")).to_contain_text("at least 10 px are expected")
    expect(tab.locator("#measures")).not_to_contain_text("mm²")


def test_an_explanation_is_computed_on_demand_and_belongs_to_its_image(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path)
    assert tab.locator(f"{PICTURE} image.explain").count() == 0
    press(tab, "e")
    heat = tab.locator(f"{PICTURE} image.explain")
    expect(heat).to_be_visible()
    expect(tab.locator("#viewer .note")).to_contain_text("malignant")
    answer = tab.request.get(heat.get_attribute("href"))
    picture = Image.open(io.BytesIO(answer.body()))
    assert (picture.mode, picture.size) == ("RGBA", (420, 300))
    press(tab, "e")
    assert not heat.is_visible()
    staged(tab, tmp_path, 302, 440)
    expect(heat).to_have_count(0)
    assert not pressed(tab, "explain")


def test_a_refused_picture_is_shown_without_a_result_until_insisted(staged_tab, tmp_path):
    tab = staged_tab
    upload(tab, phantom_file(tmp_path, "benign", 1, 308, 420))
    expect(tab.locator("#result h2")).to_have_text(words.VERDICTS["not_judged"])
    expect(tab.locator("#result")).to_contain_text(words.WARNINGS["not_ultrasound"][2])
    assert tab.locator(FRAME).count() == 1
    assert tab.locator(f"{PICTURE} path.line").count() == 0
    assert tab.locator("#viewer [data-do=explain]").is_disabled()
    expect(tab.locator("#take-report")).not_to_be_visible()
    tab.locator("#anyway").click()
    expect_result(tab, 420, 308)
    expect(tab.locator("#result")).to_contain_text(words.INSISTED_NOTE)


def test_the_operating_point_is_chosen_by_the_reader(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path, 306)  # malignant 55 %
    said = tab.locator("#result")
    expect(said).to_contain_text("Class open: malignant or benign")
    expect(said).to_contain_text("sensitivity 90 % (95 % interval 80 % to 96 %, n = 61)")
    tab.get_by_role("radio", name=strings.OPERATING_NAMES["sensitive"]).check()
    expect(said).to_contain_text("sensitivity 98 % (95 % interval 91 % to 100 %, n = 61)")
