"""The page for everyone: axe-core in light, dark, small and large, keyboard only, text for screen readers."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from busi_model.clinic import words
from busi_model.page import strings
from tests.support.browser import expect_result, phantom_file, upload

LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1440, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1440, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
    "4k": {"color_scheme": "dark", "viewport": {"width": 3840, "height": 2160}},
}


def grave_findings(tab):
    found = Axe().run(tab, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        (finding["id"], [node["target"] for node in finding["nodes"]])
        for finding in found
        if finding["impact"] in ("serious", "critical")
    ]


def assert_fits(tab):
    assert tab.evaluate("document.documentElement.scrollWidth") <= tab.viewport_size["width"]


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_grave_and_nothing_sticks_out(open_staged_tab, tmp_path, look):
    tab = open_staged_tab(**LOOKS[look])
    assert grave_findings(tab) == []
    assert_fits(tab)
    upload(tab, *(phantom_file(tmp_path, "benign", 1, height, 420) for height in (306, 308, 312)))
    expect_result(tab, 420, 306)
    tab.keyboard.press("b")
    tab.keyboard.press("m")
    expect(tab.locator(".worklist li").last).to_contain_text(strings.CASE_STATES["done"])
    assert grave_findings(tab) == []
    assert_fits(tab)
    tab.keyboard.press("n")
    expect(tab.locator("#result h2")).to_have_text(words.VERDICTS["not_judged"])
    assert grave_findings(tab) == []
    tab.get_by_role("tab", name=strings.TAB_ABOUT).click()
    expect(tab.get_by_role("heading", name=strings.ABOUT_HEADING, exact=True)).to_be_visible()
    assert grave_findings(tab) == []
    assert_fits(tab)


def test_every_control_can_be_reached_with_the_tab_key(staged_tab, tmp_path):
    tab = staged_tab
    upload(tab, *(phantom_file(tmp_path, "benign", 1, height, 420) for height in (302, 306)))
    expect_result(tab, 420, 302)
    expect(tab.locator("#take-report")).to_be_visible()
    reached = set()
    for _ in range(110):
        tab.keyboard.press("Tab")
        reached.add(
            tab.evaluate(
                """() => {
                  const node = document.activeElement;
                  return node.dataset.do || node.id || node.closest("#upload, .worklist ol, .viewer svg, #examples,"
                    + " #threshold, #text, .scroll")?.classList[0] || node.textContent.trim();
                }"""
            )
        )
    actions = set(strings.VIEWER_BUTTONS) - {"model"}  # appears with an edited outline
    assert actions <= reached, actions - reached
    assert "look" in reached
    assert {"take-overlay", "take-mask", "take-data", "take-report", "clear"} <= reached
    assert any(strings.WORKLIST_NEXT in name for name in reached)


def test_a_screen_reader_is_told_the_result_in_a_sentence(staged_tab, tmp_path):
    tab = staged_tab
    status = tab.locator("#result [role=status]")
    expect(status).to_contain_text(strings.WAITING_HEADING)
    status.evaluate("node => { window.kept = node }")
    upload(tab, phantom_file(tmp_path, "benign", 1, 302, 420))
    expect_result(tab, 420, 302)
    expect(status).to_have_text(
        "Not suspicious. Malignant 5 %; balanced threshold 40 %. Not ruled out. 2 regions are outlined."
    )
    assert status.evaluate("node => node === window.kept")  # a new node would not be read out
    picture = tab.get_by_role("img", name="Ultrasound image, 420 by 302 pixels. 2 regions are outlined")
    expect(picture).to_be_visible()
