"""A second language: one file, and nothing of the catalogue's English is left on the page."""

import contextlib
import json
import re
import sqlite3
import sys

import pytest
from playwright.sync_api import expect

from busi_model import language
from busi_model.cli.start import StartError, serve
from busi_model.reading.records import NewSession
from busi_model.reading.session.sessions import NewCase, Sessions
from busi_model.reading.storage.schema import MIGRATIONS
from busi_model.reading.storage.store import DATABASE, Store
from tests.page.test_sessions import picture
from tests.support.browser import PATIENCE_S, phantom_file, served, upload

ACCENTS = str.maketrans("aeiouAEIOUcnsy", "áéíóúÁÉÍÓÚçñšý")  # every word is changed, and can still be read
BRACES = re.compile(r"(\{[^}]*\})")
# What is no language: a key on the keyboard, a file's name, a unit.
SAME_EVERYWHERE = re.compile(r"VIEWER_BUTTONS\.\w+\.1$|TAKE_FILES|LANGUAGE|\.(PX2?|MM2?|PERCENT|WITH_MM|HEADING)$")
# All that a user can read or a screen reader says, hidden panels left out.
SAID = """() => {
  const shown = (node) => node.checkVisibility?.() ?? true;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const said = [];
  while (walk.nextNode()) if (shown(walk.currentNode.parentElement)) said.push(walk.currentNode.textContent);
  for (const name of ["aria-label", "alt", "title", "placeholder"]) {
    for (const node of document.querySelectorAll(`[${name}]`)) if (shown(node)) said.push(node.getAttribute(name));
  }
  return said.map((text) => text.replace(/\\s+/g, " ").trim()).filter(Boolean);
}"""


def another_language():
    """Code -> sentence with accents, the names in braces as they are."""
    return {
        code: "".join(part if part.startswith("{") else part.translate(ACCENTS) for part in BRACES.split(text))
        for code, text in language.catalogue().items()
        if not SAME_EVERYWHERE.search(code)
    }


def english_left(tab, english):
    """Sentences of the catalogue that are still on the screen in English; of those with figures their longest part."""
    said = tab.evaluate(SAID)
    found = []
    for code, text in english.items():
        part = max(BRACES.sub("\0", text).split("\0"), key=len).strip(" .,;:()")
        several = " " in part  # a single word may be part of another language's
        if len(part) > 2 and any(part in one if several else part == one for one in said):
            found.append((code, part))
    return found


@pytest.fixture
def restored():
    """The catalogue as it was."""
    english = language.catalogue()
    yield english
    language._each(lambda code, text: english[code])


def test_a_language_s_file_is_laid_over_the_english(tmp_path, restored):
    path = tmp_path / "words.json"
    path.write_text(json.dumps(another_language()))
    language.load(path)
    assert set(language.catalogue()) == set(restored)
    assert language.catalogue()["said.VERDICTS.suspicious"] == "Súšpíçíóúš óf málígñáñçý"
    assert language.catalogue()["page.PRACTICE_OVERLAP"].count("{percent}") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "no object of sentences by code"),
        ('{"page.TITLE": 3}', "no object of sentences by code"),
        ('{"page.TITEL": "BUSI"}', "page.TITEL is no code"),
        ('{"page.WORKLIST_ITEM": "Bild"}', "must hold number in braces"),
        ('{"page.TITLE": "BUSI {x}"}', "must hold no names in braces"),
        ('{"page.WORKLIST_ITEM": "Bild {number"}', "must hold number in braces"),
    ],
)
def test_a_wrong_file_ends_the_program_with_a_sentence(tmp_path, monkeypatch, restored, content, words):
    path = tmp_path / "words.json"
    path.write_text(content)
    monkeypatch.setenv("BUSI_LANGUAGE", str(path))
    with pytest.raises(StartError, match=words) as refusal:
        serve(None, str(tmp_path))
    assert str(refusal.value).startswith("BUSI_LANGUAGE: ") and str(tmp_path) not in str(refusal.value)
    assert language.catalogue() == restored


def test_a_page_in_another_language_says_nothing_in_english(chromium, untrained, tmp_path):
    expect.set_options(timeout=PATIENCE_S * 1000)
    english, other = language.catalogue(), another_language()
    english = {code: text for code, text in english.items() if code in other and other[code] != text}
    path = tmp_path / "words.json"
    path.write_text(json.dumps(other | {"page.LANGUAGE": "eo"}), encoding="utf-8")
    store = Store(tmp_path / "store")
    new = NewSession.checked(name="Uno", images_may_be_kept=True)
    created = Sessions(store).create(new, [NewCase(picture(0), None)])
    store.close()
    command = [sys.executable, "-m", "tests.support.staged_app"]
    environment = {"BUSI_WEIGHTS": str(untrained), "BUSI_LANGUAGE": str(path)}
    with served(command, environment, tmp_path) as address:
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(PATIENCE_S * 1000)
        tab = context.new_page()
        tab.goto(address)
        tab.locator("#upload .zone").wait_for()
        expect(tab.locator("html")).to_have_attribute("lang", "eo")
        assert english_left(tab, english) == []
        upload(tab, phantom_file(tmp_path, "benign", 1, 312, 420))  # four warnings
        expect(tab.locator("#result .done h2")).to_have_text(other["said.VERDICTS.contradiction"])
        tab.evaluate("document.querySelectorAll('details').forEach((node) => (node.open = true))")
        tab.keyboard.press("d")
        assert english_left(tab, english) == []
        document = tmp_path / "scan.png"
        document.write_bytes(b"%PDF-1.7 and nothing else")
        upload(tab, document)
        kind = other["picture.PARTS.pdf"]
        expect(tab.locator("#result")).to_contain_text(other["picture.REFUSALS.other_kind"].format(kind=kind))
        assert english_left(tab, english) == []
        tab.get_by_role("tab", name=other["page.TAB_SESSION"]).click()
        code = tab.locator("#session-code :is(input, textarea)")
        for wrong, said in (("AAAAA", "no_code"), ("AAAAA-BBBBB-CCCCC", "unknown_code")):
            code.fill(wrong)
            tab.keyboard.press("Enter")
            expect(tab.locator("#session-problem")).to_contain_text(other[f"kept.ERRORS.{said}"])
            assert english_left(tab, english) == []
        code.fill(created.codes[0])
        assert english_left(tab, english) == []
        tab.keyboard.press("Enter")
        tab.locator("#pseudonym :is(input, textarea)").fill("Heron")
        tab.locator("#role input").click()
        tab.get_by_role("option", name=other["page.ROLE_NAMES.sonographer"]).click()
        tab.locator("#years input").fill("3")
        assert english_left(tab, english) == []
        tab.locator("#session-join").click()
        tab.locator("#session-start").wait_for()
        assert english_left(tab, english) == []
        tab.locator("#session-start").click()
        tab.locator("#case-class input").first.check()
        tab.locator("#case-confidence input").fill("70")
        assert english_left(tab, english) == []
        tab.locator("#session-lock").click()
        tab.locator("#session-save").wait_for()
        assert english_left(tab, english) == []
        tab.locator("#session-save").click()
        expect(tab.locator("#session-problem")).to_contain_text(other["page.MISSING_CLASS"])
        with contextlib.closing(sqlite3.connect(tmp_path / "store" / DATABASE)) as records:
            records.execute("PRAGMA user_version = 99")  # lost to this program, as a newer one leaves them
        tab.locator("#case-class input").first.check()
        tab.locator("#case-confidence input").fill("70")
        tab.locator("#case-verdict input").first.check()
        tab.locator("#session-save").click()
        lost = other["kept.ERRORS.newer_form"].format(found=99, known=len(MIGRATIONS))
        expect(tab.locator("#session-problem")).to_contain_text(lost)
        assert english_left(tab, english) == []
        context.close()
