"""The viewer as a form's field: what is saved is what is shown, to half a pixel, by mouse, finger and key."""

import json

import gradio as gr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect

from busi_model.page import strings
from busi_model.page.viewer import field as editor
from busi_model.page.viewer.component import FIELD_ACTIONS
from busi_model.phantom import draw_phantom
from busi_model.reading.outline import dice, rasterise, repair
from tests.support.panel import PATIENCE_MS, Canvas, new_tab, served_here

SQUARE = [[200.0, 150.0], [300.0, 150.0], [300.0, 250.0], [200.0, 250.0]]
WIDTH, HEIGHT = 560, 440


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Address of a page with one editor, and the list of what its button saved."""
    saved = []
    gray, _ = draw_phantom("malignant", 3, HEIGHT, WIDTH)
    with gr.Blocks(analytics_enabled=False) as page:
        outlines = editor.build("bench")
        gr.Button("Save", elem_id="save").click(lambda value: saved.append(value), [outlines], None)
        page.load(lambda: editor.show("case 1", gray, [SQUARE]), None, [outlines])
    with served_here(page, tmp_path_factory.mktemp("bench")) as url:
        yield url, saved


class Hand:
    """A browser with the editor open."""

    def __init__(self, chromium, bench, **context):
        url, self._saved = bench
        self.tab = new_tab(chromium, url, viewport={"width": 1000, "height": 800}, **context)
        self.canvas = Canvas(self.tab, "#bench")
        expect(self.canvas.dots).to_have_count(4, timeout=PATIENCE_MS)

    def press(self, tool):
        self.tab.locator(f"#bench [data-tool={tool}]").click()

    def save(self):
        """Press Save -> outlines as Python reads them."""
        count = len(self._saved)
        self.tab.locator("#save").click()
        while len(self._saved) == count:
            self.tab.wait_for_timeout(50)
        return editor.drawn(self._saved[-1], "case 1")


@pytest.fixture
def hand(chromium, bench):
    opened = Hand(chromium, bench)
    yield opened
    opened.tab.context.close()


def assert_near(point, expected, within=0.5):
    assert np.abs(np.subtract(point, expected)).max() <= within, f"{point} is not {expected}"


def test_a_dragged_point_is_saved_where_it_was_let_go_at_two_zooms(hand):
    hand.canvas.drag(SQUARE[1], (350.3, 120.8))
    assert_near(hand.save()[0][1], (350.3, 120.8))
    before = hand.tab.locator("#bench output").inner_text()
    hand.tab.keyboard.press("+")
    hand.tab.keyboard.press("+")
    expect(hand.tab.locator("#bench output")).not_to_have_text(before)
    hand.canvas.drag(SQUARE[3], (230.6, 262.2))
    (points,) = hand.save()
    assert_near(points[1], (350.3, 120.8))
    assert_near(points[3], (230.6, 262.2))
    assert [points[0], points[2]] == [tuple(SQUARE[0]), tuple(SQUARE[2])]  # nothing else has moved
    shown = hand.canvas.dots.nth(3)
    assert points[3] == (float(shown.get_attribute("cx")), float(shown.get_attribute("cy")))


def test_add_remove_undo_redo_reset(hand):
    hand.canvas.drag((250, 150), (250, 110))  # a line gets a point, which goes along
    (points,) = hand.save()
    assert len(points) == 5
    assert_near(points[1], (250, 110))
    hand.press("undo")
    assert hand.save() == [[tuple(point) for point in SQUARE]]
    hand.press("redo")
    assert hand.save() == [points]
    hand.tab.mouse.dblclick(*hand.canvas.on_screen(*points[1]))
    assert hand.save() == [[tuple(point) for point in SQUARE]]
    hand.canvas.dots.nth(2).focus()
    hand.tab.keyboard.press("Delete")
    (three,) = hand.save()
    assert three == [tuple(SQUARE[i]) for i in (0, 1, 3)]
    hand.canvas.dots.first.focus()
    hand.tab.keyboard.press("Delete")
    expect(hand.tab.locator("#bench .note")).to_contain_text(strings.VIEWER_TEXTS["too_few_points"])
    assert hand.save() == [three]
    hand.press("reset")
    assert hand.save() == [[tuple(point) for point in SQUARE]]


def test_by_keys_alone(hand):
    hand.canvas.dots.first.focus()
    hand.tab.keyboard.press("Tab")  # to the second point
    hand.tab.keyboard.press("ArrowRight")
    hand.tab.keyboard.press("Shift+ArrowDown")
    (points,) = hand.save()
    assert points[1] == (301.0, 160.0)
    hand.canvas.dots.nth(3).focus()
    hand.tab.keyboard.press("Delete")  # the last point; the focus stays in the picture
    for _ in range(3):
        hand.tab.keyboard.press("Control+z")
    assert hand.save() == [[tuple(point) for point in SQUARE]]
    hand.tab.locator("#bench [data-tool=draw]").focus()
    hand.tab.keyboard.press("Enter")
    hand.canvas.svg.focus()
    hand.tab.keyboard.press("Enter")  # a ring in the middle
    ring = hand.save()[1]
    assert_near(np.mean(ring, axis=0), (WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5), within=0.1)


def test_a_lesion_is_drawn_and_all_are_deleted(hand):
    hand.press("draw")
    angles = np.linspace(0, 2 * np.pi, 24)
    circle = np.stack([420 + 60 * np.cos(angles), 330 + 60 * np.sin(angles)], axis=1).tolist()
    hand.canvas.stroke(circle)
    square, drawn = hand.save()
    assert square == [tuple(point) for point in SQUARE]
    overlap = dice(rasterise([drawn], WIDTH, HEIGHT), rasterise([circle], WIDTH, HEIGHT))
    assert overlap > 0.97
    assert repair([drawn], WIDTH, HEIGHT).changed is False
    hand.press("smooth")
    smooth = hand.save()[1]
    assert len(smooth) == len(drawn) and smooth != drawn
    assert dice(rasterise([smooth], WIDTH, HEIGHT), rasterise([circle], WIDTH, HEIGHT)) > 0.95  # it does not shrink
    hand.press("delete_lesion")
    hand.press("delete_lesion")
    expect(hand.tab.locator("#bench .note")).to_contain_text(strings.VIEWER_TEXTS["no_lesion"])
    assert hand.save() == []


def test_a_stroke_from_outline_to_outline_replaces_the_part_between(hand):
    hand.press("draw")
    hand.canvas.stroke([(300, 160), (340, 200), (300, 240)])  # a bulge on the right side
    (points,) = hand.save()
    assert {tuple(point) for point in SQUARE} <= set(points)
    expected = [*SQUARE[:2], (340, 200), *SQUARE[2:]]
    assert dice(rasterise([points], WIDTH, HEIGHT), rasterise([expected], WIDTH, HEIGHT)) > 0.96
    assert max(x for x, _ in points) == pytest.approx(340, abs=1)
    hand.press("undo")
    assert hand.save() == [[tuple(point) for point in SQUARE]]


def test_a_form_shows_nothing_that_was_computed_and_has_the_same_keys(hand):
    tab = hand.tab
    shown = tab.locator("#bench [data-do]").evaluate_all("nodes => nodes.map(node => node.dataset.do)")
    assert shown == list(FIELD_ACTIONS)
    tab.keyboard.press("d")  # the points go, the line stays
    expect(hand.canvas.dots).to_have_count(0)
    expect(tab.locator("#bench .overlay .outline path.line")).to_be_visible()
    tab.keyboard.press("o")
    expect(tab.locator("#bench .overlay .outline path.line")).not_to_be_visible()
    tab.keyboard.press("b")
    expect(tab.locator("#bench .original svg")).to_be_visible()


def test_a_finger_drags_a_point(chromium, bench):
    hand = Hand(chromium, bench, has_touch=True)
    touch = hand.tab.context.new_cdp_session(hand.tab)
    hand.canvas.svg.scroll_into_view_if_needed()

    def send(kind, *at):
        points = [{"x": x, "y": y} for x, y in at]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = hand.canvas.on_screen(*SQUARE[2])
    target = hand.canvas.on_screen(330, 290)
    send("touchStart", (x + 8, y - 6))  # a finger is less exact than a mouse
    send("touchMove", (target[0] + 8, target[1] - 6))
    send("touchEnd")
    (points,) = hand.save()
    assert_near(points[2], (330, 290))
    hand.tab.context.close()


# Without a browser


@settings(deadline=None, max_examples=12)
@given(st.sampled_from(["benign", "malignant"]), st.integers(0, 1000))
def test_thinned_outlines_stay_on_the_lesion(class_name, seed):
    _, mask = draw_phantom(class_name, seed, 200, 240)
    polygons = editor.model_polygons(mask)
    assert dice(rasterise(polygons, 240, 200), mask) > 0.95
    carried = editor.value("k", polygons)
    assert editor.drawn(carried, "k") == [[tuple(point) for point in points] for points in polygons]
    assert editor.drawn(editor.value("k", editor.drawn(carried, "k")), "k") == editor.drawn(carried, "k")


def test_an_empty_mask_has_no_outline():
    assert editor.model_polygons(np.zeros((80, 90), bool)) == []


@pytest.mark.parametrize(
    "carried",
    [
        "",
        "null",
        "[]",
        '{"shown": "k"}',
        '{"shown": "k", "lesions": [{"points_xy": [[1]]}]}',
        '{"shown": "k", "lesions": 3}',
    ],
)
def test_what_is_no_outline_is_refused_with_words(carried):
    with pytest.raises(editor.EditorError, match="could not be read"):
        editor.drawn(carried, "k")


def test_outlines_of_another_picture_are_refused():
    with pytest.raises(editor.EditorError, match="another picture"):
        editor.drawn(editor.value("case 1", [SQUARE]), "case 2")


def test_the_picture_is_in_the_page_and_a_large_one_is_shown_smaller():
    update = editor.show("k", np.zeros((3000, 4000), np.uint8), [])
    scene = update.props["scene"]
    size = json.loads(scene["rest"])
    assert (size["width"], size["height"]) == (4000, 3000)
    assert scene["image"]["url"].startswith("data:image/png;base64,")
    assert json.loads(update.value) == {"shown": "k", "lesions": []}
