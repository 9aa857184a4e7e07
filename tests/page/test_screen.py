"""One screen as a user meets it: where things stand at every size, what comes in, what must not get lost."""

import base64
import re
import time

import pytest
from playwright.sync_api import expect

from busi_model.clinic import words
from busi_model.page import strings
from tests.support.browser import expect_result, phantom_file, saved, upload, wait_until

PICTURE = "#viewer .overlay canvas.frame"
SCREENS = [(1100, 720), (1280, 720), (1440, 900), (1920, 1080), (3840, 2160)]
SMALL = {"phone": (390, 844), "tablet": (820, 1180)}


def inside(box, width, height):
    return (
        box["x"] >= -1
        and box["y"] >= -1
        and box["x"] + box["width"] <= width + 1
        and (box["y"] + box["height"] <= height + 1)
    )


def shown_number(tab):
    return tab.locator(".worklist li", has=tab.locator("[aria-current=true]")).locator("b").inner_text()


def drop(tab, *paths, name="dropped.png"):
    """Files let go over the page, as a browser tells it."""
    tab.evaluate(
        """async ([files, name]) => {
          const dataTransfer = new DataTransfer();
          for (const data of files) {
            const png = await (await fetch("data:image/png;base64," + data)).blob();
            dataTransfer.items.add(new File([png], name, { type: "image/png" }));
          }
          const how = { dataTransfer, bubbles: true, cancelable: true };
          document.querySelector("#reading-panel").dispatchEvent(new DragEvent("drop", how));
        }""",
        [[base64.b64encode(path.read_bytes()).decode() for path in paths], name],
    )


def fills(tab):
    """How much of the stage the picture takes, by the side that bounds it."""
    box, stage = (tab.locator(which).bounding_box() for which in (PICTURE, "#viewer .overlay svg"))
    return max(box["width"] / stage["width"], box["height"] / stage["height"])


def test_letters_are_larger_on_a_large_screen(open_staged_tab, tmp_path):
    tab = open_staged_tab(viewport={"width": 1440, "height": 900})
    upload(tab, phantom_file(tmp_path, "malignant", 1, 300, 420))
    expect_result(tab, 420, 300)
    parts = ["#clear", "#feedback-agree", "#result .verdict", ".worklist li b", "#viewer .overlay text"]
    size = "node => parseFloat(getComputedStyle(node).fontSize)"
    before = [tab.locator(part).first.evaluate(size) for part in parts]
    tab.set_viewport_size({"width": 3840, "height": 2160})
    wanted = [pytest.approx(1.25 * px) for px in before]
    wait_until(tab, lambda: [tab.locator(part).first.evaluate(size) for part in parts] == wanted)  # buttons grow slowly
    assert tab.locator(".topline").bounding_box()["height"] <= 56


@pytest.mark.parametrize("shape", [(300, 420), (420, 300), (306, 900)], ids=["landscape", "portrait", "wide"])
def test_the_picture_is_whole_and_stays_in_view_from_1100_px_on(open_staged_tab, tmp_path, shape):
    tab = open_staged_tab(viewport={"width": 1280, "height": 720})
    upload(tab, phantom_file(tmp_path, "malignant", 1, *shape))
    expect_result(tab, shape[1], shape[0])
    boxes = {}
    for width, height in SCREENS:
        tab.set_viewport_size({"width": width, "height": height})
        frame = tab.locator(PICTURE)
        wait_until(tab, lambda: inside(frame.bounding_box(), width, height))  # noqa: B023 (used at once)
        wait_until(tab, lambda: fills(tab) > 0.97)  # the viewer follows the window a moment later
        box, stage = frame.bounding_box(), tab.locator("#viewer .overlay svg").bounding_box()
        boxes[width, height] = box
        assert inside(stage, width, height)
        assert 0.97 < fills(tab) < 1.01
        assert stage["height"] > 0.6 * height and stage["width"] > 0.4 * width
        line, tabs = tab.locator(".topline").bounding_box(), tab.get_by_role("tablist").first.bounding_box()
        assert line["y"] == 0 and line["height"] <= 56 and tabs["y"] + tabs["height"] <= 56
        notice = tab.locator("#notice").bounding_box()
        assert tabs["x"] + tabs["width"] <= notice["x"] and inside(notice, width, 56)
        assert tab.evaluate("document.scrollingElement.scrollHeight <= innerHeight + 1")
        assert tab.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    tab.set_viewport_size({"width": 1280, "height": 720})
    column = tab.locator("#result-column")
    assert column.evaluate("node => node.scrollHeight > node.clientHeight")
    before = boxes[1280, 720]
    wait_until(tab, lambda: tab.locator(PICTURE).bounding_box() == before)
    tab.locator("#feedback-agree").scroll_into_view_if_needed()
    assert column.evaluate("node => node.scrollTop") > 0 and tab.locator(PICTURE).bounding_box() == before
    assert inside(before, 1280, 720)


@pytest.mark.parametrize("size", SMALL)
def test_headline_and_picture_share_the_first_screen(open_staged_tab, tmp_path, size):
    width, height = SMALL[size]
    tab = open_staged_tab(viewport={"width": width, "height": height})
    upload(tab, *(phantom_file(tmp_path, "malignant", 1, height_px, 420) for height_px in (306, 302)))
    expect_result(tab, 420, 306)
    assert tab.evaluate("scrollY") == 0
    assert inside(tab.locator(PICTURE).bounding_box(), width, height)
    assert inside(tab.locator("#result h2").bounding_box(), width, height)
    assert tab.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


def test_with_two_lesions_no_cell_is_cut_off(staged_visitors, tmp_path):
    for size in ({"width": 1280, "height": 720}, {"width": 390, "height": 844}):
        tab = staged_visitors.open(viewport=size)
        upload(tab, phantom_file(tmp_path, "malignant", 1, 302, 420))
        expect_result(tab, 420, 302)
        cells = tab.locator("#measures td")
        assert cells.count() > 10
        cells.nth(1).evaluate(
            "(cell, said) => { cell.textContent = said; }", words.NO_MEASUREMENT.format(length="10.8 px")
        )
        assert tab.locator("#measures .scroll").evaluate("node => node.scrollWidth <= node.clientWidth")


def test_the_surround_of_the_picture_is_dark_and_the_look_is_remembered(staged_visitors, tmp_path):
    tab = staged_visitors.open(viewport={"width": 1440, "height": 900}, color_scheme="light")
    upload(tab, phantom_file(tmp_path, "malignant", 1, 300, 420))
    expect_result(tab, 420, 300)
    ground = "node => getComputedStyle(node).backgroundColor.match(/\\d+/g).slice(0, 3).every(v => v < 40)"
    for _ in range(2):
        assert tab.locator("#viewer .stages").evaluate(ground)
        tab.locator("#look").click()
    tab.locator("#look").click()
    expect(tab.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    staged_visitors.reload(tab)
    expect(tab.locator("#look")).to_have_attribute("aria-pressed", "true")
    expect(tab.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    expect_result(tab, 420, 300)  # and the image is back


def test_before_the_first_image_there_is_nothing_of_a_result(staged_tab):
    tab = staged_tab
    for part in ("#upload .zone", "#first-lines", "#examples"):
        expect(tab.locator(part)).to_be_visible()
    assert tab.locator("#first-lines li").count() == 3
    for part in ("#viewer", "#threshold", "#take", "#feedback", ".worklist", "#clear", "#undo", "#anyway"):
        expect(tab.locator(part)).not_to_be_visible()
    box = tab.locator("#result-column").bounding_box()
    assert box["width"] <= 1 and box["height"] <= 1


def test_a_result_takes_at_most_45_words_and_the_switch_changes_it_at_once(staged_tab, tmp_path):
    tab = staged_tab
    upload(tab, phantom_file(tmp_path, "benign", 1, 312, 420))  # four warnings
    expect_result(tab, 420, 312)
    said = """() => {
      const copy = document.querySelector("#result").cloneNode(true);
      copy.querySelectorAll(".unseen, details > :not(summary)").forEach((node) => node.remove());
      return document.querySelector("#threshold").innerText + " " + copy.textContent.replace(/></g, "> <");
    }"""
    expect(tab.locator("#result h2")).to_have_text(words.VERDICTS["contradiction"])
    chosen = tab.locator("#threshold input:checked")
    tab.evaluate("document.activeElement?.blur()")
    looks = "node => [getComputedStyle(node).backgroundColor, getComputedStyle(node).borderColor]"
    seen = chosen.evaluate(looks)
    chosen.hover()  # white on white it would be chosen no more
    tab.wait_for_timeout(400)  # a transition
    assert chosen.evaluate(looks) == seen
    text = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", tab.evaluate(said))
    assert len([word for word in text.split() if re.search(r"\w", word)]) <= 45, text
    upload(tab, phantom_file(tmp_path, "benign", 1, 318, 420))
    expect_result(tab, 420, 318)
    expect(tab.locator("#result h2")).to_have_text(words.VERDICTS["not_suspicious"])
    tab.get_by_role("radio", name=strings.OPERATING_NAMES["sensitive"]).check()
    expect(tab.locator("#result h2")).to_have_text(words.VERDICTS["suspicious"])
    assert tab.locator("#text textarea").input_value().startswith("Suspicious of malignancy. Malignant 15 %; sensitive")
    tab.keyboard.press("p")  # a key works after a click that is not into a text field
    expect_result(tab, 420, 312)


def test_three_lesions_fit_into_the_column(open_staged_tab, tmp_path):
    tab = open_staged_tab(viewport={"width": 1280, "height": 720})
    upload(tab, phantom_file(tmp_path, "benign", 1, 320, 420))
    expect_result(tab, 420, 320)
    tab.keyboard.press("k")
    frame = tab.locator(PICTURE).bounding_box()
    for y in (20, 220):  # a scale, for the widest cells
        tab.mouse.click(frame["x"] + 10, frame["y"] + y)
    tab.locator("#viewer form.scale input[type=number]").fill("20")
    tab.keyboard.press("Enter")
    expect(tab.locator("#measures tbody td").first).to_contain_text("mm")
    expect(tab.locator("#measures thead th").last).to_have_text(f"{words.MEASURES_LESION} 3")
    column = tab.locator("#result-column").bounding_box()
    for cells in tab.locator("#measures tr").all():
        last = cells.locator("th, td").last.bounding_box()
        assert last["x"] + last["width"] <= column["x"] + column["width"]
    assert tab.locator("#measures .scroll").evaluate("node => node.scrollWidth <= node.clientWidth")


def test_what_is_dropped_during_an_upload_waits_its_turn_and_no_name_is_sent(staged_tab, tmp_path):
    tab = staged_tab
    sent = []

    def slowly(route):
        sent.append(route.request.post_data_buffer)
        time.sleep(0.5)
        route.continue_()

    tab.route("**/gradio_api/upload*", slowly)
    paths = [phantom_file(tmp_path, "benign", 1, height, 420) for height in (300, 302, 304)]
    drop(tab, paths[0], name="Jane Doe 1956.png")
    drop(tab, *paths[1:], name="Jane Doe 1957.png")
    expect(tab.locator("#upload .state")).to_contain_text("Uploading image")
    expect(tab.locator("#upload progress")).to_be_visible()
    expect(tab.locator(".worklist li")).to_have_count(3)
    expect(tab.locator(".worklist li").first).to_contain_text("Jane Doe 1956.png")  # in this browser only
    expect(tab.locator("#upload progress")).not_to_be_visible()
    assert len(sent) == 3 and not any(b"Jane" in body for body in sent)
    tab.evaluate(
        """async (data) => {
          const png = await (await fetch("data:image/png;base64," + data)).blob();
          const file = (name) => ({ name, isFile: true, file: (hand) => hand(new File([png], name)) });
          const folder = { name: "exam", isFile: false, createReader: () => {
            const parts = [[file("b.png"), file("a.png")], [file(".hidden")], []];
            return { readEntries: (hand) => hand(parts.shift()) };
          } };
          const event = new Event("drop", { bubbles: true, cancelable: true });
          event.dataTransfer = { items: [{ webkitGetAsEntry: () => folder }], files: [], types: ["Files"] };
          document.querySelector("#reading-panel").dispatchEvent(event);
        }""",
        base64.b64encode(paths[0].read_bytes()).decode(),
    )
    expect(tab.locator(".worklist li")).to_have_count(5)
    assert tab.locator(".worklist li i").all_inner_texts()[3:] == ["a.png", "b.png"]
    tab.evaluate(
        """() => {
          const event = new Event("dragover", { bubbles: true, cancelable: true });
          event.dataTransfer = { types: ["Files"] };
          document.body.dispatchEvent(event);
        }"""
    )
    expect(tab.locator("body")).to_have_class(re.compile("dropping"))


def test_a_lost_upload_is_said_and_can_be_tried_again(staged_visitors, staged_tab, tmp_path):
    tab = staged_tab
    tab.route("**/gradio_api/upload*", lambda route: route.abort())
    upload(tab, phantom_file(tmp_path, "benign", 1, 300, 420))
    expect(tab.locator("#upload .state")).to_contain_text("did not reach the server")
    tab.unroute("**/gradio_api/upload*")
    tab.locator("#upload .again").click()
    expect_result(tab, 420, 300)
    expect(tab.locator("#upload .state")).to_be_empty()
    assert len(staged_visitors.failed) == 1 and "ERR_FAILED" in staged_visitors.failed.pop()  # the upload itself


def test_leaving_raises_no_alarm(staged_tab):
    """Gradio takes its own end for a lost connection, and says so in its corner until the next page answers."""
    corner = "document.querySelector('.toast-wrap').checkVisibility()"
    staged_tab.evaluate("document.body.insertAdjacentHTML('beforeend', '<p class=toast-wrap>The server was lost</p>')")
    assert staged_tab.evaluate(corner)
    staged_tab.evaluate("window.dispatchEvent(new Event('beforeunload'))")
    assert not staged_tab.evaluate(corner)


def test_a_reload_brings_the_images_back_or_says_that_they_are_gone(staged_visitors, staged_tab, tmp_path):
    tab = staged_tab
    upload(tab, *(phantom_file(tmp_path, "benign", 1, height, 420) for height in (300, 302, 304)))
    expect(tab.locator(".worklist li")).to_have_count(3)
    expect_result(tab, 420, 300)
    tab.keyboard.press("n")
    expect_result(tab, 420, 302)
    staged_visitors.reload(tab)
    expect_result(tab, 420, 302)
    expect(tab.locator(".worklist li")).to_have_count(3)
    assert shown_number(tab) == "Image 2"
    # Before the page's own scripts: a list that is still on its way would be kept over it.
    tab.add_init_script("""sessionStorage.setItem("busi-open", '{"cases": ["of", "another server"], "shown": "of"}')""")
    staged_visitors.reload(tab)
    expect(tab.locator("#result h2")).to_have_text(strings.ALL_GONE_HEADING)
    expect(tab.locator("#upload .zone")).to_be_visible()


def test_back_asks_before_it_leaves_open_images(staged_tab, tmp_path):
    tab = staged_tab
    asked = []
    tab.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    upload(tab, phantom_file(tmp_path, "benign", 1, 300, 420))
    expect_result(tab, 420, 300)
    tab.locator("#viewer .overlay svg").click()
    tab.evaluate("history.back()")
    wait_until(tab, lambda: asked)
    assert asked == [strings.LEAVE_QUESTION]
    expect_result(tab, 420, 300)


def test_keys_are_counted_here_and_one_image_can_be_closed(staged_tab, tmp_path):
    tab = staged_tab
    upload(tab, *(phantom_file(tmp_path, "benign", 1, 300 + 2 * number, 420) for number in (0, 1, 2, 3, 1, 2, 1)))
    expect(tab.locator(".worklist li")).to_have_count(7)
    expect_result(tab, 420, 300)
    for state in ("waiting", "analysing"):
        expect(tab.locator(".worklist ol")).not_to_contain_text(strings.CASE_STATES[state])
    asked = []
    tab.on("request", lambda request: "/queue/join" in request.url and asked.append(request))
    tab.evaluate(
        """() => { for (let i = 0; i < 6; i++) document.body.dispatchEvent(
          new KeyboardEvent("keydown", { key: "n", bubbles: true })) }"""
    )
    assert shown_number(tab) == "Image 7"
    expect_result(tab, 420, 302)
    assert len(asked) <= 3
    tab.locator(".worklist li").last.locator(".close").click()
    expect(tab.locator(".worklist li")).to_have_count(6)
    expect_result(tab, 420, 304)
    tab.locator("#undo").click()
    expect(tab.locator(".worklist li")).to_have_count(7)
    tab.locator("#clear").click()
    expect(tab.locator(".worklist li")).to_have_count(0)
    tab.get_by_role("button", name=strings.REOPEN.format(count=7)).click()
    expect(tab.locator(".worklist li")).to_have_count(7)


def test_an_opinion_belongs_to_the_image_it_was_clicked_under(staged_tab, tmp_path):
    tab = staged_tab
    upload(tab, *(phantom_file(tmp_path, "benign", 1, height, 420) for height in (300, 302)))
    expect_result(tab, 420, 300)
    expect(tab.locator(".worklist li").last).to_contain_text(strings.CASE_STATES["done"])
    tab.locator("#feedback-more button").first.click()
    comment = tab.locator("#feedback-comment textarea")
    comment.fill("typed for the first")
    tab.locator("#feedback-class").get_by_label("Malignant").check()
    tab.keyboard.press("n")
    expect_result(tab, 420, 302)
    expect(comment).to_have_value("")
    place = tab.locator("#feedback-agree").bounding_box()

    def slowly(route):
        time.sleep(1)
        route.continue_()

    tab.route("**/queue/join*", slowly)
    tab.keyboard.press("p")
    tab.mouse.click(place["x"] + 5, place["y"] + 5)  # the first image is on its way: this click counts for none
    expect_result(tab, 420, 300)
    tab.unroute("**/queue/join*")
    expect(comment).to_have_value("typed for the first")
    expect(tab.locator("#feedback-class").get_by_label("Malignant")).to_be_checked()
    expect(tab.locator("#feedback-receipt")).to_be_empty()
    tab.locator("#feedback-disagree").click()
    receipt = tab.locator("#feedback-receipt")
    expect(receipt).to_contain_text("Image 1: Saved here")
    tab.keyboard.press("n")
    expect_result(tab, 420, 302)
    expect(receipt).to_contain_text("Image 1: Saved here")  # until it is read
    expect(tab.locator("#feedback-agree")).to_be_visible()
    tab.locator("#feedback-put-away").click()
    expect(receipt).to_be_empty()
    tab.keyboard.press("p")
    expect_result(tab, 420, 300)
    expect(tab.locator("#feedback-again")).to_be_visible()
    assert not tab.locator("#feedback-agree").is_visible()


def test_what_is_taken_away_is_of_the_image_on_the_screen(staged_tab, tmp_path):
    tab = staged_tab
    upload(tab, phantom_file(tmp_path, "benign", 1, 302, 420))
    expect_result(tab, 420, 302)
    name, content = saved(tab, "#take-report")
    assert re.fullmatch(r"busi-\d{4}-\d\d-\d\d-[0-9a-f]{8}\.pdf", name) and content.startswith(b"%PDF")
