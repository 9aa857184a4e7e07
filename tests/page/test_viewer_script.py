"""The viewer's script alone: what each tool sends, and what a late or an early answer of the server does to it."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.viewer_bench import Bench, gray_png, scene

SQUARE = [[100, 100], [200, 100], [200, 200], [100, 200]]


@pytest.fixture
def bench(chromium):
    tab = chromium.new_page(viewport={"width": 1000, "height": 900})
    broken = []
    tab.on("pageerror", lambda error: broken.append(str(error)))
    yield Bench(tab)
    tab.close()
    assert broken == []


def near(point, expected, within=0.5):
    return all(abs(a - b) <= within for a, b in zip(point, expected, strict=True))


def test_an_edit_is_sent_once_and_an_older_answer_changes_nothing(bench):
    bench.show(scene())
    bench.press("d")
    bench.drag((200, 100), (220, 80))
    (sent,) = bench.sent("outline")
    assert (sent["case"], sent["frame"], sent["revision"]) == ("a", 0, 1)
    moved = sent["lesions"][0][1]
    assert near(moved, (220, 80)) and [sent["lesions"][0][i] for i in (0, 2, 3)] == [SQUARE[i] for i in (0, 2, 3)]
    bench.show(scene(note="explained"))  # an answer to something else, made before the edit
    dot = bench.tab.locator("circle").nth(1)
    assert [float(dot.get_attribute(name)) for name in ("cx", "cy")] == moved
    bench.show(scene(revision=1, drawn=sent["lesions"]))
    bench.press("Control+z")
    assert bench.sent("outline")[1]["lesions"] == [SQUARE] and len(bench.sent("outline")) == 2


def test_a_scene_that_comes_during_a_drag_leaves_the_point_under_the_hand(bench):
    bench.show(scene())
    bench.press("d")
    bench.drag((100, 100), (80, 90), up=False)
    bench.show(scene(note="progress"))
    bench.tab.mouse.move(*bench.at(70, 85))
    bench.tab.mouse.up()
    (sent,) = bench.sent("outline")
    assert near(sent["lesions"][0][0], (70, 85))


def test_a_repaired_outline_is_taken_and_undo_brings_the_drawn_one_back(bench):
    bench.show(scene())
    bench.press("d")
    bench.drag((200, 100), (220, 80))
    (sent,) = bench.sent("outline")
    repaired = [[[100, 100], [150, 100], [100, 150]], [[160, 160], [200, 160], [200, 200]]]
    bench.show(scene(revision=1, drawn=repaired, note="OutlineRepairedError."))
    assert bench.tab.locator(".editing path[data-part]").count() == 2
    bench.press("Control+z")
    assert bench.sent("outline")[-1]["lesions"] == sent["lesions"]


def test_keys_held_down_send_once_when_they_are_let_go(bench):
    bench.show(scene())
    bench.press("d")
    bench.tab.locator("circle").nth(2).focus()
    for _ in range(3):
        bench.tab.keyboard.down("ArrowRight")
    assert bench.sent("outline") == []
    bench.tab.keyboard.up("ArrowRight")
    (sent,) = bench.sent("outline")
    assert sent["lesions"][0][2] == [203, 200]
    expect(bench.tab.locator("circle").nth(2)).to_be_focused()


def test_a_new_picture_ends_what_was_in_hand(bench):
    bench.show(scene())
    bench.press("d")
    bench.drag((200, 100), (220, 80))
    bench.show({"turn": 2, "case": None, "image": None})
    bench.show(scene("b", turn=2))
    assert bench.tab.locator("circle").count() == 0 and bench.tab.locator(".badge").is_hidden()
    bench.show(scene("a", turn=1, revision=1))  # an answer to the image before
    bench.press("d", "Control+z")
    assert len(bench.sent("outline")) == 1  # there is nothing to undo in it


def test_the_ruler_in_pixels_and_with_unequal_millimetres(bench):
    bench.show(scene())
    bench.press("l")
    bench.drag((50, 50), (250, 50))
    assert bench.note() == "Ruler: 200 px."
    bench.show(scene(spacing_mm=[0.2, 0.1], scaled=True))
    text = bench.tab.locator(".calipers text")
    assert text.text_content() == "20.0 mm"
    bench.drag((50, 50), (50, 150))  # its left end is in reach: it is taken anew
    assert text.text_content() == "28.3 mm"  # 200 px across are 20 mm, 100 px down are 20 mm
    bench.press("Delete")
    assert text.count() == 0
    for end in ((60, 60), (60, 110)):
        bench.tab.mouse.click(*bench.at(*end))
    assert text.text_content() == "10.0 mm"


def test_a_known_length_is_sent_with_its_ends(bench):
    bench.show(scene())
    bench.press("k")
    bench.drag((20, 40), (20, 240))
    bench.tab.locator("form.scale input[type=number]").fill("25")
    bench.tab.locator("form.scale input[type=checkbox]").check()
    bench.press("Enter")
    (sent,) = bench.sent("mark")
    assert near(sent["start"], (20, 40)) and near(sent["end"], (20, 240))
    assert (sent["case"], sent["mm"], sent["next"]) == ("a", 25, True)


def test_a_box_is_sent_in_whole_pixels_inside_the_frame(bench):
    bench.show(scene())
    bench.press("c")
    bench.drag((49.6, 29.6), (600, 129.6))
    assert bench.note().startswith("Crop: 350 by 100 px")
    bench.tab.locator(".crop-bar button").click()
    assert bench.sent("crop") == [{"case": "a", "box": [50, 30, 400, 130]}]
    assert bench.tab.locator(".crop-bar").is_hidden()


def test_a_box_by_keys_and_one_that_is_too_small(bench):
    bench.show(scene())
    bench.press("c", "Enter", "ArrowRight", "ArrowDown", "Enter")
    assert "at least 64 by 64" in bench.note() and bench.tab.locator(".crop-bar button").is_disabled()


def test_suggested_parts_are_drawn_and_sent(bench):
    parts = [[0, 0, 200, 300], [200, 0, 400, 300]]
    bench.show(scene(done=False, lesions=[], model=[], crops=parts))
    bench.tab.locator(".parts button").nth(1).click()
    assert bench.sent("crop") == [{"case": "a", "box": parts[1]}]
    bench.show(scene(done=False, lesions=[], model=[], crops=parts, frames=3, frame=0, judged=1))
    assert bench.tab.locator(".film").is_visible()
    bench.press("c")
    assert bench.tab.locator(".crop .suggested").count() == 2
    bench.show({"turn": 9, "case": None, "image": None})  # of an image that cannot be read nothing can be judged
    assert not any(bar.is_visible() for bar in bench.tab.locator(".parts, .film, .crop-bar, .edit-bar").all())


def test_an_answer_that_was_overtaken_changes_nothing(bench):
    bench.show(scene(made=7, frames=3, frame=0, judged=3, film={"first": None, "ready": 0}, scores=[]))
    judge = bench.tab.locator(".film .judge")
    assert judge.is_hidden()
    bench.show(scene(made=6, frames=3, frame=0, judged=1, film={"first": None, "ready": 0}, scores=[]))
    assert judge.is_hidden()
    bench.show(scene(made=8, frames=3, frame=0, judged=1, film={"first": None, "ready": 0}, scores=[]))
    assert judge.is_visible()


def film(**changes):
    return scene(**{"frames": 5, "film": {"first": None, "ready": 0}, "judged": 1, "scores": [[0, 0.3]], **changes})


def test_a_frame_is_asked_for_when_the_reader_rests_on_it(bench):
    bench.show(film())
    bench.svg.focus()
    bench.press("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft")
    assert bench.tab.locator(".film .at").inner_text() == "Frame 3 of 5"
    bench.tab.wait_for_function("window.sent.some(([name]) => name === 'frame')")
    assert bench.sent("film") == [{"case": "a"}] and bench.sent("frame") == [{"case": "a", "index": 2}]
    first = gray_png(400, 300) + "#frame-0000."
    bench.show(film(film={"first": {"url": first}, "ready": 5}))  # previews, of the turn before
    shown = bench.tab.locator(".overlay canvas.frame")
    expect(shown).to_have_attribute("data-href", re.compile(r"#frame-0002\.$"))
    expect(bench.tab.locator(".overlay .outline")).to_be_hidden()  # it belongs to another frame
    bench.show(film(turn=2, frame=2, image={"url": gray_png(400, 300) + "#2"}))
    expect(shown).to_have_attribute("data-href", re.compile("#2$"))
    expect(bench.tab.locator(".overlay .outline path.line")).to_be_visible()


def test_the_worst_frame_is_one_click_away(bench):
    bench.show(film(judged=5, scores=[[i, 0.1 * i] for i in range(5)], worst=4, worst_percent=40))
    assert bench.tab.locator(".film .judge").is_hidden() and bench.tab.locator(".scores rect").count() == 5
    bench.tab.locator(".film button.worst").click()
    bench.tab.wait_for_function("window.sent.some(([name]) => name === 'frame')")
    assert bench.sent("frame") == [{"case": "a", "index": 4}]


def test_zoom_is_kept_on_demand_through_the_moment_between_two_images(bench):
    bench.show(scene())
    fitted = bench.zoom()
    bench.press("+", "+", "z")
    kept = bench.zoom()
    bench.show({"turn": 2, "case": None, "image": None})
    bench.show(scene("b", turn=2))
    assert bench.zoom() == kept > fitted
    bench.press("z")
    bench.show(scene("c", turn=3))
    assert bench.zoom() == fitted


def test_the_wheel_is_the_pages_until_the_picture_has_the_focus(bench):
    bench.show(scene())
    bench.press("1")
    bench.svg.hover()
    bench.tab.mouse.wheel(0, -200)
    bench.tab.wait_for_timeout(100)
    assert bench.zoom() == 100
    bench.svg.click()
    bench.tab.mouse.wheel(0, -200)
    bench.tab.wait_for_function("document.querySelector('output').textContent !== '100 %'")
    assert bench.zoom() > 100


def test_letters_are_keys_after_a_click_on_a_radio_button_and_text_in_a_text_field(bench):
    bench.show(scene())
    outline = bench.tab.locator("[data-do=outline]")
    bench.tab.evaluate("document.body.insertAdjacentHTML('beforeend', '<input type=radio><textarea></textarea>')")
    bench.tab.locator("body > input[type=radio]").click()
    bench.press("o")
    assert outline.get_attribute("aria-pressed") == "false"
    bench.tab.locator("textarea").click()
    bench.press("o")
    assert outline.get_attribute("aria-pressed") == "false"
    assert bench.tab.locator("textarea").input_value() == "o"


def test_what_is_on_is_drawn_and_nothing_else(bench):
    bench.show(scene(band=[[[90, 90], [210, 90], [210, 210]]]))
    for layer, key in (("margin", "m"), ("axes", "a"), ("outline", "o")):
        drawing = bench.tab.locator(f".overlay g.{layer}")
        before = drawing.is_visible()
        assert before == (layer == "outline")
        bench.press(key)
        assert drawing.is_visible() != before
    assert re.search("show-axes", bench.tab.locator(".viewer").get_attribute("class"))


GATED = """() => {
  const real = window.fetch;
  window.gates = [];
  window.fetch = async (address) => {
    await new Promise((open) => window.gates.push(open));
    return real(address);
  };
}"""
GRAYS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, value) => sum + value, 0) / data.length;
}"""


def test_a_picture_that_comes_late_never_stands_under_another_images_outline(bench):
    canvas = bench.tab.locator(".overlay canvas.frame")
    bench.show(scene())
    expect(canvas).to_have_attribute("data-href", re.compile("^data:"))
    assert canvas.evaluate(GRAYS) > 0
    bench.tab.evaluate(GATED)
    for turn, case in ((2, "b"), (3, "c")):
        bench.show(scene(case=case, turn=turn, width=300, image={"url": gray_png(300, 300) + f"#{case}"}))
        assert canvas.evaluate(GRAYS) == 0  # the image before is gone with its outline
    for number in (1, 0):  # the answers overtake each other
        bench.tab.evaluate(f"async () => {{ gates[{number}](); await new Promise((done) => setTimeout(done, 100)); }}")
        assert canvas.get_attribute("data-href").endswith("#c")


def test_a_lost_picture_is_asked_for_again_by_the_next_answer(bench):
    canvas = bench.tab.locator(".overlay canvas.frame")
    bench.tab.evaluate("() => { window.real = fetch; window.fetch = () => Promise.reject(new TypeError()); }")
    bench.show(scene())
    assert canvas.get_attribute("data-href") is None
    bench.tab.evaluate("() => { window.fetch = window.real; }")
    bench.show(scene(made=2))
    expect(canvas).to_have_attribute("data-href", re.compile("^data:"))


def test_side_by_side_shows_the_same_picture_twice(bench):
    bench.show(scene())
    original, overlay = (bench.tab.locator(f".{kind} canvas.frame") for kind in ("original", "overlay"))
    expect(overlay).to_have_attribute("data-href", re.compile("^data:"))
    bench.tab.locator("[data-do=beside]").click()
    assert original.evaluate(GRAYS) == overlay.evaluate(GRAYS) > 0
    boxes = [part.bounding_box() for part in (original, overlay)]
    assert boxes[0]["width"] == boxes[1]["width"] and boxes[0]["y"] == boxes[1]["y"]
    bench.show(scene(case="b", turn=2, image={"url": gray_png(400, 300) + "#b"}))
    expect(original).to_have_attribute("data-href", re.compile("#b$"))
    assert original.evaluate(GRAYS) == overlay.evaluate(GRAYS) > 0


def test_a_picture_larger_than_a_tablets_canvas_is_shown_whole(bench):
    bench.show(scene(width=8000, height=5000, image={"url": gray_png(400, 250)}))
    canvas = bench.tab.locator(".overlay canvas.frame")
    expect(canvas).to_have_attribute("data-href", re.compile("^data:"))
    assert canvas.evaluate("canvas => canvas.width * canvas.height") <= 16e6
    box, at = canvas.bounding_box(), bench.at(-0.5, -0.5)
    assert (box["x"], box["y"]) == pytest.approx(at, abs=0.5)
    assert box["width"] / box["height"] == pytest.approx(1.6, rel=1e-3)
