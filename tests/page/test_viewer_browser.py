"""The viewer's tools under a user's hand, in a real browser: edit, ruler, crop, frames, and who gets wheel and keys."""

import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from busi_model.clinic import words
from busi_model.page import strings
from busi_model.phantom import draw_phantom
from tests.page.test_access import grave_findings
from tests.page.test_viewer import PICTURE, SCALE, press, pressed, staged, zoom_percent
from tests.support.browser import expect_result, phantom_file, shown_outlines, upload
from tests.support.panel import Canvas

NOTE = "#viewer .note"
FILM = "#viewer .film"


def film_file(folder, n_frames=6, height=300, width=420):
    frames = [Image.fromarray(draw_phantom("malignant", seed, height, width)[0]) for seed in range(n_frames)]
    path = folder / "film.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    return path


def point(canvas, number):
    dot = canvas.dots.nth(number)
    return float(dot.get_attribute("cx")), float(dot.get_attribute("cy"))


def test_an_outline_is_edited_in_the_big_picture_and_everything_follows(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path)
    measures = tab.locator("#measures")
    before = measures.inner_text()
    size = tab.locator(PICTURE).bounding_box()
    tab.locator("#feedback-more button").first.click()
    tab.locator("#feedback-edit").click()
    expect(tab.locator("#viewer [data-do=edit]")).to_have_attribute("aria-pressed", "true")
    assert tab.locator(PICTURE).bounding_box()["width"] == size["width"]
    canvas = Canvas(tab, "#viewer")
    x, y = point(canvas, 0)
    canvas.drag((x, y), (x + 25, y + 12))
    expect(measures).to_contain_text(words.MEASURES_NOTE_EDITED)
    expect(tab.locator("#result")).to_contain_text(words.OUTLINE_EDITED)
    expect(tab.locator("#viewer .badge")).to_be_visible()
    moved = point(canvas, 0)
    assert moved == pytest.approx((x + 25, y + 12), abs=0.5)
    assert tuple(shown_outlines(tab)[0][0]) == moved  # to the digit, after the way to the server and back
    corrected = strings.OUTLINE_VERDICTS["corrected"]
    expect(tab.locator("#feedback-verdict").get_by_label(corrected)).to_be_checked()
    press(tab, "i")
    expect(tab.locator(f"{PICTURE} .model")).to_be_visible()
    tab.keyboard.press("Control+z")
    expect(measures).to_have_text(before, use_inner_text=True)
    expect(tab.locator("#viewer .badge")).to_be_hidden()
    tab.locator("#viewer [data-tool=redo]").click()
    expect(measures).to_contain_text(words.MEASURES_NOTE_EDITED)
    assert point(canvas, 0) == moved
    tab.locator("#viewer [data-tool=reset]").click()
    expect(measures).to_have_text(before, use_inner_text=True)
    tab.locator("#viewer [data-tool=delete_lesion]").click()
    expect(measures).to_have_text("")
    expect(tab.locator(NOTE)).to_have_text(strings.VIEWER_TEXTS["no_lesion"])
    press(tab, "d")
    expect(canvas.dots).to_have_count(0)


def test_a_point_moves_by_keys_and_keeps_the_focus_while_the_server_measures(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path)
    press(tab, "d")
    canvas = Canvas(tab, "#viewer")
    x, y = point(canvas, 3)
    canvas.dots.nth(3).focus()
    for moves in (1, 2):
        press(tab, "Shift+ArrowRight")
        expect(tab.locator("#measures")).to_contain_text(words.MEASURES_NOTE_EDITED)
        assert point(canvas, 3) == (x + 10 * moves, y)
    expect(canvas.dots.nth(3)).to_be_focused()


def test_the_ruler_measures_pixels_then_millimetres_and_the_scale_goes_on(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path)
    press(tab, "1", "l")
    canvas = Canvas(tab, "#viewer")
    canvas.drag((100, 60), (300, 60))
    expect(tab.locator(NOTE)).to_have_text("Ruler: 200 px.")
    canvas.drag((300, 60), (250, 60))  # an end is taken anew
    label = tab.locator(f"{PICTURE} .calipers text")
    expect(label).to_have_text("150 px")
    press(tab, "k")
    for end in ((60, 100), (60, 200)):
        tab.mouse.click(*canvas.on_screen(*end))
    tab.locator(f"{SCALE} input[type=number]").fill("10")
    tab.locator(f"{SCALE} input[type=checkbox]").check()
    tab.locator(f"{SCALE} button").click()
    expect(label).to_have_text("15.0 mm")
    upload(tab, phantom_file(tmp_path, "malignant", 2, 300, 420))
    expect(tab.locator("#measures")).to_contain_text("earlier image of this size")
    expect(label).to_have_count(0)
    press(tab, "l", "Enter", "ArrowRight", "Enter")  # without a mouse
    expect(label).to_have_text(re.compile(r"^\d+\.\d mm$"))
    press(tab, "Delete")
    expect(label).to_have_count(0)


def test_a_box_is_cut_out_and_judged_as_an_image_of_its_own(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path)
    press(tab, "c")
    canvas = Canvas(tab, "#viewer")
    judge = tab.locator("#viewer .crop-bar button")
    canvas.drag((39.6, 29.6), (79.6, 59.6))
    expect(tab.locator(NOTE)).to_contain_text("at least 64 by 64")
    expect(judge).to_be_disabled()
    canvas.drag((79.6, 59.6), (239.6, 179.6))  # its corner
    expect(tab.locator(NOTE)).to_contain_text("200 by 150 px")
    judge.click()
    expect_result(tab, 200, 150)
    names = tab.locator(".worklist li i")
    expect(tab.locator(".worklist li b")).to_have_text(["Image 1", "Image 2, cropped"])
    assert names.nth(0).inner_text() == names.nth(1).inner_text() != ""
    expect(tab.locator(NOTE)).to_have_text(strings.CROPPED_NOTE.format(left=40, right=239, top=30, bottom=179))
    press(tab, "p")
    expect_result(tab, 420, 300)


def test_suggested_parts_are_one_click_away(staged_tab, tmp_path):
    tab = staged_tab
    upload(tab, phantom_file(tmp_path, "benign", 1, 314, 420))
    parts = tab.locator("#viewer .parts button")
    expect(parts).to_have_count(2)
    parts.nth(1).click()
    expect_result(tab, 210, 314)


# The word that a stream of answers has ended reaches the page late, as over a slow line.
LATE_END = """
const fetched = window.fetch;
window.fetch = async (...asked) => {
  const answer = await fetched(...asked);
  if (!String(asked[0].url ?? asked[0]).includes("/queue/data")) return answer;
  const late = new TransformStream({
    async transform(chunk, controller) {
      if (new TextDecoder().decode(chunk).includes("close_stream")) {
        window.ended = true;
        await new Promise((done) => setTimeout(done, 1500));
      }
      controller.enqueue(chunk);
    },
  });
  return new Response(answer.body.pipeThrough(late), { headers: answer.headers });
};
"""


def test_a_click_while_the_stream_of_answers_ends_is_answered(staged_visitors, tmp_path):
    tab = staged_visitors.open()
    tab.add_init_script(LATE_END)
    staged_visitors.reload(tab)
    upload(tab, phantom_file(tmp_path, "benign", 1, 314, 420))
    expect_result(tab, 420, 314)
    for part, size in ((1, (210, 314)), (0, (210, 314))):  # each by the same race
        tab.wait_for_function("() => window.ended")
        with tab.expect_response(lambda response: "/queue/join" in response.url):
            tab.locator("#viewer .parts button").nth(part).click()
        tab.evaluate("window.ended = false")
        expect_result(tab, *size)
        press(tab, "p")
        expect_result(tab, 420, 314)


def test_frames_are_looked_through_judged_on_demand_and_the_worst_is_found(staged_tab, tmp_path):
    tab = staged_tab
    upload(tab, film_file(tmp_path))
    expect_result(tab, 420, 300)
    expect(tab.locator(f"{FILM} .clip")).to_be_hidden()
    at = tab.locator(f"{FILM} .at")
    expect(at).to_have_text("Frame 1 of 6")
    picture = tab.locator("#viewer .overlay canvas.frame")
    first = picture.get_attribute("data-href")
    tab.locator(PICTURE).focus()
    press(tab, "ArrowRight", "ArrowRight")
    expect(at).to_have_text("Frame 3 of 6")
    expect(picture).to_have_attribute("data-href", re.compile(r"busi-image-0002\.png"))  # it was judged, not only shown
    assert picture.get_attribute("data-href") != first
    expect(tab.locator("#viewer .viewer")).not_to_have_class(re.compile("between"))
    press(tab, ",")
    expect(at).to_have_text("Frame 2 of 6")
    expect(picture).to_have_attribute("data-href", re.compile(r"busi-image-0001\.png"))
    tab.locator(f"{FILM} input").focus()
    press(tab, "End")
    expect(picture).to_have_attribute("data-href", re.compile(r"busi-image-0005\.png"))
    tab.locator(f"{FILM} .judge").click()
    worst = tab.locator(f"{FILM} button.worst")
    expect(tab.locator(f"{FILM} .judge")).to_be_hidden()
    expect(worst).to_contain_text("frame 1, 87 %")
    assert tab.locator(f"{FILM} .scores rect").count() == 6
    clip = tab.locator(f"{FILM} .clip")
    expect(clip).to_contain_text("6 of 6 frames judged.")
    expect(clip).to_contain_text("Most suspicious: frame 1, malignant 87 %.")
    worst.click()
    expect(picture).to_have_attribute("data-href", re.compile(r"busi-image-0000\.png"))
    tab.locator(f"{FILM} .play").click()
    expect(picture).to_have_attribute("data-href", re.compile(r"busi-frame-\d{4}\.jpg"))
    tab.locator(f"{FILM} .play").click()
    expect(picture).to_have_attribute("data-href", re.compile(r"busi-image-\d+\.png"))


def test_the_wheel_scrolls_the_page_until_the_picture_has_the_focus(open_staged_tab, tmp_path):
    tab = open_staged_tab(viewport={"width": 900, "height": 500})
    staged(tab, tmp_path)
    press(tab, "1")
    # What nobody prevents scrolls the page.
    tab.evaluate("document.addEventListener('wheel', event => { window.taken = event.defaultPrevented })")
    tab.locator(PICTURE).hover()
    tab.mouse.wheel(0, 120)
    tab.wait_for_function("window.taken === false")
    assert zoom_percent(tab) == 100
    tab.locator(PICTURE).hover()
    tab.keyboard.down("Control")
    tab.mouse.wheel(0, -120)
    tab.keyboard.up("Control")
    tab.wait_for_function("window.taken === true")
    assert zoom_percent(tab) > 100
    press(tab, "1")
    tab.locator(PICTURE).click()
    tab.mouse.wheel(0, -120)
    expect(tab.locator("#viewer output")).not_to_have_text("100 %")


def test_keys_work_after_every_click_but_into_a_text_field(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path)
    tab.locator("#threshold input").last.check()
    press(tab, "m")
    assert pressed(tab, "margin")
    tab.locator("#result").click()
    press(tab, "m")
    assert not pressed(tab, "margin")
    tab.locator("#feedback-more button").first.click()
    tab.locator("#feedback-comment textarea").click()
    press(tab, "m", "o")
    assert not pressed(tab, "margin") and pressed(tab, "outline")


def test_the_zoom_is_kept_from_image_to_image_on_demand(staged_tab, tmp_path):
    tab = staged_tab
    staged(tab, tmp_path)
    fitted = zoom_percent(tab)
    press(tab, "+", "+", "z")
    kept = zoom_percent(tab)
    assert kept > fitted
    staged(tab, tmp_path, 302)
    assert zoom_percent(tab) == kept
    press(tab, "z")
    staged(tab, tmp_path, 306)
    assert zoom_percent(tab) < kept


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave_with_any_tool_in_hand(open_staged_tab, tmp_path, scheme):
    tab = open_staged_tab(color_scheme=scheme)
    upload(tab, film_file(tmp_path))
    expect_result(tab, 420, 300)
    tab.locator(f"{FILM} .judge").click()
    expect(tab.locator(f"{FILM} .judge")).to_be_hidden()
    for tool in ("d", "l", "k", "c"):
        press(tab, tool)
        if tool == "c":
            Canvas(tab, "#viewer").drag((40, 30), (200, 200))
        assert grave_findings(tab) == [], tool
