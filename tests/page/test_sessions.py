"""Reading sessions, quick feedback and the host's view as their users meet them, in a real browser."""

import base64
import html
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from busi_model.batch.find import PassedOver
from busi_model.clinic.view import encode_png
from busi_model.image import Frame, Notice
from busi_model.model.operating_point import OperatingPoint, Rate, Threshold
from busi_model.names import CLASS_NAMES, DESCRIPTOR_WORDS
from busi_model.page import strings
from busi_model.page.answers import OutlineRepairedError, model_record
from busi_model.page.host import panel as host
from busi_model.page.host.cases import find_images, read_cases, read_truth
from busi_model.page.host.results import results_html
from busi_model.page.remarks import deletion_words, deletions_html
from busi_model.page.session import form as session_form
from busi_model.page.session import panel as session
from busi_model.page.session.form import Fields
from busi_model.page.session.layout import Layout
from busi_model.page.viewer import field as editor
from busi_model.phantom import draw_phantom
from busi_model.predict import Prediction
from busi_model.reading.errors import OutlineError, RecordError, StoreError
from busi_model.reading.records import NewSession, Profile
from busi_model.reading.session.access import HostPassword, make_code
from busi_model.reading.session.progress import ReaderSession
from busi_model.reading.session.questionnaire import Questionnaire
from busi_model.reading.session.sessions import NewCase, Sessions
from busi_model.reading.storage.pictures import image_sha256
from busi_model.reading.storage.store import DATABASE, Deletion, Store
from tests.decode.test_banner import screen
from tests.support.panel import PATIENCE_MS, Canvas, free_port, new_tab, served_here
from tests.support.picture_files import dataset, region, written

ROOT = Path(__file__).parents[2]
HEIGHT, WIDTH = 72, 96
N_CASES = 6
RATE = Rate(0.9, 0.84, 0.95, 120)
POINT = OperatingPoint(thresholds=(Threshold("balanced", 0.4, RATE, RATE),))
START_S = 300  # for a program that imports PyTorch on a busy machine
expect.set_options(timeout=PATIENCE_MS)


def picture(number, class_name=None):
    return draw_phantom(class_name or CLASS_NAMES[number % 3], number, HEIGHT, WIDTH)[0]


def said_by_the_model(gray) -> Prediction:
    """A Prediction as a trained model could give: one lesion, malignant."""
    mask = np.zeros(gray.shape, bool)
    mask[20:50, 30:70] = True
    probabilities = {"benign": 0.1, "malignant": 0.87, "normal": 0.03}
    notices = (Notice("heads_disagree", "words"),)
    band = np.zeros_like(mask)
    logits = np.zeros(3, np.float32)
    return Prediction(
        Frame(gray, None, ()), probabilities, mask, mask.astype(np.float32), logits, ("malignant",), band, notices
    )


# Two readers, a reload, a killed server


@contextmanager
def running_app(weights, store, port, log):
    """`python app.py` until the block ends, or somebody kills it."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "BUSI_HOST_PASSWORD"},
        **{"BUSI_WEIGHTS": str(weights), "BUSI_STORE": str(store), "GRADIO_SERVER_PORT": str(port)},
        "OMP_NUM_THREADS": "1",
    }
    with open(log, "a") as sink:
        server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=sink, stderr=sink)
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, Path(log).read_text()
                time.sleep(0.1)
        yield server
    finally:
        server.terminate()
        server.wait(START_S)


class Reader:
    """One reader at one browser: what they will answer follows from their number and the case's position."""

    def __init__(self, chromium, url, code, number):
        self.code, self.number = code, number
        self.tab = new_tab(chromium, url)
        self.seen = []  # hash of each case's picture, as the browser got it
        self.cut = False  # whether the server ended while it still had something to say to this tab
        self.tab.on("requestfailed", self._note_cut)
        self.open()
        self.tab.locator("#session-code :is(input, textarea)").fill(code)
        self.tab.locator("#session-enter").click()
        self.tab.locator("#pseudonym :is(input, textarea)").fill(f"Reader {number}")
        self.tab.locator("#role input").click()
        self.tab.get_by_role("option", name="sonographer").click()
        self.tab.locator("#years input").fill("3")
        self.tab.locator("#session-join").click()
        self.picture = self.tab.locator("#session-editor .overlay canvas.frame[data-href]")
        self.last_source = self.picture.get_attribute("data-href")
        self.tab.locator("#session-start").click()

    def open(self):
        self.tab.get_by_role("tab", name=strings.TAB_SESSION).click()
        self.tab.evaluate("window.loadedBefore = true")

    def _note_cut(self, request):
        self.cut |= "queue/data" in request.url and "INCOMPLETE" in (request.failure or "")

    def come_back(self):
        """The page loads itself anew when it has noticed that the server was away, and opens where the reader was."""
        self.tab.wait_for_function("() => !window.loadedBefore")
        expect(self.tab.get_by_role("tab", name=strings.TAB_SESSION)).to_have_attribute("aria-selected", "true")

    def answer(self, position, final):
        """Class and confidence for a case: another pair for each reader, position and step."""
        return CLASS_NAMES[(position + self.number + final) % 3], 10 * self.number + position + 50 * final

    def arrive(self, position, final=False):
        at = strings.SESSION_CASE.format(position=position, n_cases=N_CASES)
        expect(self.tab.locator("#session-head")).to_contain_text(at)
        heading = strings.SESSION_TASKS["final" if final else "own"][0]
        expect(self.tab.locator("#session-task h2")).to_have_text(heading)

    def fill(self, position, final=False):
        class_name, confidence = self.answer(position, final)
        self.tab.locator("#case-class").get_by_label(strings.CLASS_NAMES[class_name]).check()
        self.tab.locator("#case-confidence input").fill(str(confidence))
        if final:
            self.tab.locator("#case-verdict").get_by_label(strings.OUTLINE_VERDICTS["wrong_place"]).check()
            self.tab.locator("#case-comment textarea").fill(f"<b>case</b> {position}")

    def lock(self, position):
        self.arrive(position)
        assert self.tab.locator("#session-editor circle").count() == 0  # no outline of the model before the lock
        expect(self.picture).not_to_have_attribute("data-href", self.last_source)
        self.last_source = self.picture.get_attribute("data-href")
        gray = np.asarray(Image.open(io.BytesIO(base64.b64decode(self.last_source.split(",")[1]))))
        self.seen.append(image_sha256(gray))
        self.fill(position)
        self.tab.locator("#session-lock").click()
        self.arrive(position, final=True)

    def decide(self, position):
        self.arrive(position, final=True)
        self.fill(position, final=True)
        self.save()

    def wait_until_kept(self, text):
        """Until the browser tab has put away what was just typed or drawn, which takes it a moment."""
        self.tab.wait_for_function("text => (sessionStorage.getItem('busi-draft') || '').includes(text)", arg=text)

    def save(self):
        self.tab.locator("#session-save").dblclick()

    def finish(self):
        for number in range(1, 11):
            self.tab.locator(f"#sus-{number}").get_by_role("radio").nth(number % 5).check()
        expect(self.tab.locator("#session-leave")).to_have_text(strings.LEAVE)
        self.tab.locator("#session-send").click()
        expect(self.tab.locator("#session-task h2")).to_have_text(strings.SESSION_TASKS["done"][0])
        expect(self.tab.locator("#session-leave")).to_have_text(strings.LEAVE_DONE)  # nothing is left to pause


def test_two_readers_a_reload_and_a_kill_lose_nothing(chromium, untrained, tmp_path):
    store = Store(tmp_path / "store")
    cases = [NewCase(picture(number), CLASS_NAMES[number % 3]) for number in range(N_CASES)]
    new = NewSession.checked(name="Pilot <i>1</i>", n_readers=2, seed=4, images_may_be_kept=True)
    created = Sessions(store).create(new, cases)
    port, log = free_port(), tmp_path / "log.txt"
    url = f"http://127.0.0.1:{port}/"
    with running_app(untrained, store.folder, port, log) as server:
        readers = [Reader(chromium, url, code, number) for number, code in enumerate(created.codes, start=1)]
        assert readers[0].tab.get_by_role("tab", name=strings.TAB_HOST).count() == 0  # no password is set
        for position in range(1, 5):
            for reader in readers:
                reader.lock(position)
            if position == 2:  # one reloads when the model is on the screen, and the tab kept what was typed
                readers[1].fill(position, final=True)
                readers[1].wait_until_kept(f"<b>case</b> {position}")
                readers[1].tab.reload()
                readers[1].come_back()
                readers[1].arrive(position, final=True)
                name = strings.CLASS_NAMES[readers[1].answer(position, True)[0]]
                expect(readers[1].tab.locator("#case-class").get_by_label(name)).to_be_checked()
                expect(readers[1].tab.locator("#case-comment textarea")).to_have_value(f"<b>case</b> {position}")
            if position == 4:
                readers[0].fill(position, final=True)
                readers[0].wait_until_kept(f"<b>case</b> {position}")
                break
            for reader in readers:
                reader.decide(position)
        server.send_signal(signal.SIGKILL)  # between reveal and save, the final read typed
        server.wait(60)
        readers[0].save()  # one reader notices, and the page waits for the server
    with running_app(untrained, store.folder, port, log):
        readers[0].come_back()
        if readers[1].cut:  # else it has not noticed anything
            readers[1].come_back()
        for reader in readers:
            reader.arrive(4, final=True)
        expect(readers[0].tab.locator("#case-comment textarea")).to_have_value("<b>case</b> 4")
        readers[0].save()
        readers[1].decide(4)
        for position in range(5, N_CASES + 1):
            for reader in readers:
                reader.lock(position)
            for reader in readers:
                reader.decide(position)
        for reader in readers:
            reader.finish()
            reader.tab.context.close()
    assert "Traceback" not in log.read_text()
    assert (store.folder / f"{DATABASE}-wal").stat().st_size == 0  # a program that ends leaves one whole file
    assert_exactly_once(store, created, readers)
    store.close()


def assert_exactly_once(store, created, readers):
    """Every judgement is there once, in the order of reading, with the picture that was on the screen."""
    for reader in readers:
        pseudonym = f"Reader {reader.number}"
        with store.read() as connection:
            (reader_id,) = connection.execute("SELECT id FROM reader WHERE pseudonym = ?", (pseudonym,)).fetchone()
        records = store.records("reader_id = ?", (reader_id,))
        assert [r.kind for r in records] == ["own", "reveal", "final"] * N_CASES + ["questionnaire"]
        for i, kind in enumerate(("own", "reveal", "final")):
            assert [r.image_sha256 for r in records[i:-1:3]] == reader.seen, kind
        assert len(set(reader.seen)) == N_CASES
        for final, kind in ((False, "own"), (True, "final")):
            given = [(r.content["class_name"], r.content["confidence"]) for r in records if r.kind == kind]
            assert given == [reader.answer(position, final) for position in range(1, N_CASES + 1)]
        comments = [r.content["comment"] for r in records if r.kind == "final"]
        assert comments == [f"<b>case</b> {position}" for position in range(1, N_CASES + 1)]
        assert records[-1].content["answers"] == [number % 5 + 1 for number in range(1, 11)]
    with store.read() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


# One panel on a page of its own: a quicker server


def test_what_was_typed_and_drawn_survives_a_reload(chromium, store, tmp_path):
    sessions = Sessions(store)
    new = NewSession.checked(name="One", images_may_be_kept=True)
    created = sessions.create(new, [NewCase(picture(number), None) for number in range(N_CASES)])
    with gr.Blocks(analytics_enabled=False) as page:
        with gr.Tab("Another"):
            gr.HTML("")
        with gr.Tab(strings.TAB_SESSION):
            session.SessionPanel(sessions, Model()).connect()
    with served_here(page, tmp_path) as url:
        reader = Reader(chromium, url, created.codes[0], 1)
        reader.arrive(1)
        reader.fill(1)
        reader.tab.locator("#case-confidence input").focus()
        for _ in range(20):  # the keyboard reaches the button before anything that is optional
            reader.tab.keyboard.press("Tab")
            passed = reader.tab.evaluate("document.activeElement.closest('[id^=case-], #session-lock')?.id")
            assert passed not in [f"case-{name}" for name in DESCRIPTOR_WORDS]
            if passed == "session-lock":
                break
        assert passed == "session-lock"
        for key in ("Tab", "Tab", "Space"):  # past "not given"
            reader.tab.keyboard.press(key)
        expect(reader.tab.locator("#case-shape").get_by_label("irregular", exact=True)).to_be_checked()
        reader.wait_until_kept('"irregular"')
        reader.lock(1)
        reader.fill(1, final=True)
        canvas = Canvas(reader.tab, "#session-editor")
        x, y = (float(canvas.dots.first.get_attribute(name)) for name in ("cx", "cy"))
        canvas.drag((x, y), (x + 7, y + 6))
        reader.wait_until_kept("corrected")
        reader.tab.reload()
        reader.open()
        reader.arrive(1, final=True)
        expect(reader.tab.locator("#case-comment textarea")).to_have_value("<b>case</b> 1")
        corrected = strings.OUTLINE_VERDICTS["corrected"]
        expect(reader.tab.locator("#case-verdict").get_by_label(corrected)).to_be_checked()
        reader.save()
        reader.arrive(2)
        reader.tab.context.close()
    own, *_, saved = store.records()
    assert own.content["descriptors"]["shape"] == "irregular" and "descriptors" not in saved.content
    assert (saved.kind, saved.content["outline_verdict"]) == ("final", "corrected")
    assert np.abs(np.subtract(saved.content["outline"]["polygons"][0][0], (x + 7, y + 6))).max() <= 0.5


@pytest.fixture
def joined(chromium, store, tmp_path):
    """A reader at the first case of a session."""
    created = Sessions(store).create(
        NewSession.checked(name="One", images_may_be_kept=True),
        [NewCase(picture(number), None) for number in range(N_CASES)],
    )
    with gr.Blocks(analytics_enabled=False) as page, gr.Tab(strings.TAB_SESSION):
        session.SessionPanel(Sessions(store), Model()).connect()
    with served_here(page, tmp_path) as url:
        reader = Reader(chromium, url, created.codes[0], 1)
        yield reader
        reader.tab.context.close()


def test_a_case_takes_eight_keys_and_no_mouse(joined, store):
    tab = joined.tab
    for position in (1, 2):
        joined.arrive(position)
        expect(tab.locator("#case-class input").first).to_be_focused()
        for key in ("ArrowDown", "Enter", "8", "5", "Enter"):  # malignant, 85, lock
            tab.keyboard.press(key)
        joined.arrive(position, final=True)
        expect(tab.locator("#session-same")).to_be_focused()
        for key in ("Enter", "Space", "Enter"):  # as before, the outline is good, save
            tab.keyboard.press(key)
    joined.arrive(3)
    expect(tab.locator("#case-class input").first).to_be_focused()
    expect(tab.locator("#session-same")).to_be_hidden()
    kinds = ["own", "reveal", "final"] * 2
    records = store.records()
    assert [record.kind for record in records] == kinds
    for record in records[::3] + records[2::3]:
        assert (record.content["class_name"], record.content["confidence"]) == ("malignant", 85)
    assert [record.content["outline_verdict"] for record in records[2::3]] == ["good", "good"]


def test_the_picture_of_a_case_is_whole_and_stays_in_view(joined):
    tab = joined.tab
    tab.set_viewport_size({"width": 1280, "height": 720})
    joined.lock(1)
    frame = tab.locator("#session-editor .overlay canvas.frame")
    box = frame.bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 720 and box["height"] > 300
    tab.locator("#session-save").scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 720


def test_on_a_phone_each_step_begins_with_its_picture(joined):
    tab = joined.tab
    tab.set_viewport_size({"width": 390, "height": 844})
    for step in (joined.lock, joined.decide):
        step(1)  # by buttons far below the picture
        expect(tab.locator("#session-editor .overlay canvas.frame")).to_be_in_viewport(ratio=0.9)
    tab.locator("#session-lock").click()
    expect(tab.locator("#session-problem")).to_contain_text(strings.MISSING_CLASS)
    expect(tab.locator("#session-problem")).to_be_in_viewport(ratio=1)


def test_another_answer_after_the_model_goes_by_keys_too(joined, store):
    tab = joined.tab
    joined.arrive(1)
    expect(tab.locator("#case-class input").first).to_be_focused()
    for key in ("Space", "Enter", "7", "0", "Enter"):  # benign, 70
        tab.keyboard.press(key)
    joined.arrive(1, final=True)
    expect(tab.locator("#session-same")).to_be_focused()
    tab.keyboard.press("Tab")
    for key in ("ArrowUp", "Enter", "5", "Enter", "ArrowUp", "Enter"):  # normal, 5; nothing is there
        tab.keyboard.press(key)
    joined.arrive(2)
    own, _, final = store.records()
    assert (own.content["class_name"], own.content["confidence"]) == ("benign", 70)
    assert (final.content["class_name"], final.content["confidence"]) == ("normal", 5)
    assert final.content["outline_verdict"] == "nothing_there"


EDITED = [[30.25, 30.0], [60.0, 31.5], [45.0, 60.75]]  # an outline as the viewer leaves it


def test_the_host_makes_watches_exports_and_deletes_a_session(chromium, store, tmp_path, monkeypatch):
    monkeypatch.setenv("BUSI_HOST_PASSWORD", "correct horse")
    for number in range(2):
        (tmp_path / f"benign ({number}).png").write_bytes(encode_png(picture(number)))
    manifest = tmp_path / "truth.csv"
    manifest.write_text("image,class\nbenign (0).png,benign\nbenign (1).png,malignant\n")
    served = tmp_path / "served"
    served.mkdir()
    sessions = Sessions(store)
    with gr.Blocks(analytics_enabled=False) as page:
        host.HostPanel(store, sessions, HostPassword(), served).connect()
    with served_here(page, served) as url:
        tab = new_tab(chromium, url)
        tab.locator("#host-password input").fill("wrong")
        tab.locator("#host-open").click()
        expect(tab.locator("#host-said")).to_contain_text("password is wrong")
        tab.locator("#host-password input").fill("correct horse")
        tab.locator("#host-open").click()
        tab.locator("#host-name :is(input, textarea)").fill("Morning <i>1</i>")  # open: there is no session yet
        tab.set_input_files("#host-images input[type=file]", [tmp_path / f"benign ({i}).png" for i in range(2)])
        expect(tab.locator("#host-images tr")).to_have_count(2)
        expect(tab.get_by_role("button", name=strings.FILE_BOX_MORE)).to_be_visible()  # Gradio: "common.upload"
        tab.set_input_files("#host-truth input[type=file]", manifest)
        expect(tab.locator("#host-truth tr")).to_have_count(1)
        tab.locator("#host-create").click()
        expect(tab.locator("#host-said")).to_contain_text("images: tick that they may be kept")
        expect(tab.locator("#host-said")).to_be_in_viewport(ratio=1)  # the button is far below
        tab.locator("#host-may-keep input").check()
        tab.locator("#host-create").click()
        codes = tab.locator("#host-codes textarea")
        expect(codes).to_have_value(re.compile(r"^\w{5}-\w{5}-\w{5}\n\w{5}-\w{5}-\w{5}$"))
        expect(codes).to_be_in_viewport(ratio=1)  # they are shown once
        expect(tab.locator("#host-name")).to_be_hidden()  # folded
        read_everything(sessions, codes.input_value().split("\n")[0], comment="=HYPERLINK()")
        tab.locator("#host-refresh").click()
        expect(tab.locator("#host-progress")).to_contain_text("Otter")
        expect(tab.locator("#host-progress caption")).to_contain_text("Morning <i>1</i>: 2 cases")  # shown as text
        tab.locator("#host-results").click()
        numbers = tab.locator("#host-figures .numbers li strong")
        expect(numbers).to_have_text(["2", "50\u00a0%", "50\u00a0%", "100\u00a0%"])
        expect(tab.locator("#host-figures img").first).to_be_visible()
        expect(tab.locator("#host-figures table").first).to_be_hidden()  # folded
        tab.locator("#host-figures summary").click()
        expect(tab.locator("#host-figures table").first).to_contain_text("accuracy, final read")
        tab.locator("#host-close").click()  # Playwright says no to what a page asks
        expect(tab.locator("#host-said")).to_contain_text(strings.HOST_UNCHANGED)
        assert not sessions.list()[0].closed
        asked = []
        tab.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
        tab.locator("#host-downloads").click()
        expect(tab.locator("#host-said")).to_contain_text("the reader study, is not among the files: 1 reader read")
        for name in ("readings.csv", "readings.jsonl", "summary.csv", "report.md", "corrected-cases.zip"):
            expect(tab.locator("#host-files")).to_contain_text(name.split(".")[0])
        assert "'=HYPERLINK()" in next(served.rglob("readings.csv")).read_text(encoding="utf-8-sig")
        tab.locator("#host-more button").first.click()
        expect(tab.locator("#host-number input")).to_have_value("")
        tab.locator("#host-pseudonym :is(input, textarea)").fill("Otter")
        tab.locator("#host-remove").click()
        expect(tab.locator("#host-said")).to_contain_text("7 records of the reader were removed. No copy had left")
        assert list(served.rglob("readings.csv")) == []  # nor what was prepared of them
        tab.locator("#host-delete").click()
        expect(tab.locator("#host-said")).to_contain_text(strings.HOST_CONFIRM_FIRST)
        tab.locator("#host-confirm :is(input, textarea)").fill("Morning <i>1</i>")
        tab.locator("#host-delete").click()
        expect(tab.locator("#host-said")).to_contain_text("The session is deleted: 0 records and 2 pictures.")
        expect(tab.locator("#host-deletions")).to_have_text("")
        assert asked == [strings.HOST_SURE[name] for name in ("remove", "delete", "delete")]
        tab.context.close()
    assert sessions.list() == [] and store.records() == []


def read_everything(sessions, code, comment=""):
    """A reader's whole session through the store: two cases."""
    reader_session = sessions.enter(code)
    reader_session.join(Profile.checked(pseudonym="Otter", role="student", years=0))
    reader_session.familiarised()
    while (step := reader_session.step()).stage in ("own", "reveal", "final"):
        if step.stage == "own":
            said = {"shape": "irregular"}
            fields = Fields("benign", 60, carried=editor.value(step.key, []), descriptors=said)
            reader_session.save_own(step.key, session_form.own_read(step, fields))
        elif step.stage == "reveal":
            gray = np.asarray(Image.open(step.image_path))
            reader_session.reveal(step.key, model_record(said_by_the_model(gray), "ab" * 32))
        else:
            moved = [[(x + 2, y) for x, y in points] for points in step.model.outline.polygons]
            fields = Fields("malignant", 80, "4B", "corrected", False, comment, editor.value(step.key, moved))
            reader_session.save_final(step.key, session_form.final_read(step, fields))
    reader_session.save_questionnaire(step.key, Questionnaire.checked(answers=[4, 2] * 5))


# Without a browser: what the panel answers, what a form says, what the results show


class Model:
    """Stands for a Predictor; counts how often it was asked."""

    checkpoint = SimpleNamespace(weights_sha256="ab" * 32)
    operating_point = POINT
    asked = 0

    def __call__(self, frame):
        self.asked += 1
        return said_by_the_model(frame.gray)


@pytest.fixture
def panel(store):
    with gr.Blocks(analytics_enabled=False):
        return session.SessionPanel(Sessions(store), Model())


@pytest.fixture
def at_first_case(panel):
    """The panel's answer that shows a reader's first case."""
    new = NewSession.checked(name="One", images_may_be_kept=True)
    cases = [NewCase(picture(number), None) for number in range(2)]
    (code,) = panel.sessions.create(new, cases).codes
    request = SimpleNamespace(client=SimpleNamespace(host="127.0.0.1"))
    entered = panel.enter(code, "", request)
    joined = panel.join(entered[panel.layout.tab], "Otter", "student", 0)
    return panel.start(joined[panel.layout.tab])


def said(panel, answer):
    """The sentence of an answer that is only a sentence: it leaves every field as it is."""
    assert set(answer) == {panel.layout.problem}
    return answer[panel.layout.problem]


def test_the_model_is_asked_after_the_lock_and_only_once(panel, at_first_case, store):
    on = panel.layout
    tab, carried = at_first_case[on.tab], at_first_case[on.editor].value
    assert panel.screen.predictor.asked == 0 and json.loads(carried)["lesions"] == []
    assert json.loads(at_first_case[on.editor].props["scene"]["rest"])["model"] == []
    revealed = panel.lock(tab, "benign", 60, "3", None, False, "", carried)
    assert panel.screen.predictor.asked == 1 and "Suspicious of malignancy" in revealed[on.task]
    assert len(json.loads(revealed[on.editor].value)["lesions"]) == 1
    twice = panel.lock(tab, "benign", 60, "3", None, False, "", carried)  # a second click
    assert strings.STEP_DONE in twice[on.problem] and not twice[on.unsaved].visible
    again = panel.lock(tab, "malignant", 90, "", None, False, "", carried)  # a second click, with another opinion
    first = store.records()[0].receipt
    assert strings.STEP_DIFFERS.format(receipt=first) in again[on.problem] and first in again[on.receipt]
    assert "Benign, confidence 60. BI-RADS 3." in again[on.task]
    assert again[on.unsaved].visible and "Malignant" in again[on.unsaved].value and "90" in again[on.unsaved].value
    elsewhere = panel.resume(SimpleNamespace(code=json.loads(tab)["code"], draft=None))
    assert elsewhere[on.task] == revealed[on.task] and elsewhere[on.editor].value == revealed[on.editor].value
    assert panel.screen.predictor.asked == 1
    assert [record.kind for record in store.records()] == ["own", "reveal"]


def test_readers_describe_the_lesion_as_the_program_does(panel, at_first_case, store):
    """Shape, orientation and what lies behind: kept when said, shown once locked, offered as text when not taken."""
    on = panel.layout
    tab, carried = at_first_case[on.tab], at_first_case[on.editor].value
    answers = [None] * len(on.answers)
    revealed = panel.lock(tab, "benign", 60, "", None, False, "", carried, *answers, "irregular", "", "")
    assert "Shape: irregular." in revealed[on.task] and "Orientation" not in revealed[on.task]
    own, reveal = store.records()
    assert own.content["descriptors"] == {"shape": "irregular", "orientation": None, "posterior": None}
    program = reveal.content["descriptors"]  # of a rectangle of 40 x 30 pixels
    assert program["orientation"] == "parallel" and set(program) == set(DESCRIPTOR_WORDS)
    assert all(part["value"] == "" for part in (revealed[field] for field in on.descriptors))
    other = panel.lock(tab, "benign", 60, "", None, False, "", carried, *answers, "not irregular", "", "")
    assert other[on.unsaved].visible and "Shape: not irregular" in other[on.unsaved].value
    refused = panel.save(
        revealed[on.tab], "benign", 60, "", "good", False, "", revealed[on.editor].value, *answers, "x"
    )
    assert "Not saved. shape: one of 'irregular' or 'not irregular' is expected" in html.unescape(refused[on.problem])


def test_a_draft_comes_back_to_its_own_step_only(panel, at_first_case):
    on = panel.layout
    place = json.loads(at_first_case[on.tab])
    drawn = editor.value(place["key"], [[[10.0, 10.0], [30.0, 10.0], [30.0, 40.0]]])
    values = ["benign", 60, "", None, False, "typed", drawn, *[None] * 10]
    mine = panel.resume(SimpleNamespace(code=place["code"], draft={"key": place["key"], "values": values}))
    assert (mine[on.class_name]["value"], mine[on.editor].value) == ("benign", drawn)
    other = panel.resume(SimpleNamespace(code=place["code"], draft={"key": "another", "values": values}))
    assert other[on.class_name]["value"] is None and json.loads(other[on.editor].value)["lesions"] == []


def test_a_failed_save_leaves_the_fields_and_says_why(panel, at_first_case, store, monkeypatch):
    tab, carried = at_first_case[panel.layout.tab], at_first_case[panel.layout.editor].value
    fields = ("benign", 60, "", None, False, "", carried)
    monkeypatch.setattr(
        ReaderSession, "save_own", lambda *_: (_ for _ in ()).throw(StoreError("The disk is full <b>."))
    )
    assert "The disk is full &lt;b&gt;." in said(panel, panel.lock(tab, *fields))
    monkeypatch.setattr(ReaderSession, "save_own", lambda *_: 1 / 0)
    assert strings.STEP_FAILED in said(panel, panel.lock(tab, *fields))
    monkeypatch.undo()
    assert store.records() == []
    assert "Saved here" in panel.lock(tab, *fields)[panel.layout.receipt]


def test_a_forged_code_opens_nothing(panel, at_first_case):
    on = panel.layout
    request = SimpleNamespace(client=SimpleNamespace(host="127.0.0.1"))
    for code in ("AAAAA-AAAAA-AAAAA", "", "<script>", "x" * 100_000):
        assert "code" in said(panel, panel.enter(code, "", request))
    place = json.loads(at_first_case[on.tab])
    forged = json.dumps({"code": place["code"][:-1] + "?", "key": place["key"]})
    carried = at_first_case[on.editor].value
    refused = panel.lock(forged, "benign", 60, "", None, False, "typed", carried)
    assert strings.SHUT_OUT in refused[on.problem] and "typed" in refused[on.unsaved].value
    assert panel.sessions.store.records() == []


def test_guesses_that_come_back_from_a_tab_are_counted_too(panel, at_first_case):
    """`resume` takes a code from the browser: other endings of one code are guesses like those at the entry."""
    code = json.loads(at_first_case[panel.layout.tab])["code"]
    other = [code[:5] + make_code().text[5:] for _ in range(8)]
    words = [panel.resume(SimpleNamespace(code=guess, draft=None))[panel.layout.problem] for guess in other]
    assert strings.SHUT_OUT in words[0] and any("Wait" in sentence for sentence in words[5:])
    place = SimpleNamespace(code=code, draft=None)
    assert panel.resume(place)[panel.layout.task] == at_first_case[panel.layout.task]  # the reader does not wait


def test_the_storage_warning_stands_in_red_before_everything():
    with gr.Blocks(analytics_enabled=False) as page:
        Layout("Nothing <lasts>.")
    parts = [component["props"] for component in page.config["components"]]
    places = [i for i, props in enumerate(parts) if "storage-warning" in str(props.get("value"))]
    assert len(places) == 1 and "Nothing &lt;lasts&gt;." in parts[places[0]]["value"]
    assert places[0] < [props.get("elem_id") for props in parts].index("session-code")


@pytest.fixture
def tab(store):
    """A reader_session whose first case is locked and revealed, and its step."""
    sessions = Sessions(store)
    new = NewSession.checked(name="One", images_may_be_kept=True)
    reader_session = sessions.enter(sessions.create(new, [NewCase(picture(3), "malignant")]).codes[0])
    reader_session.join(Profile.checked(pseudonym="Otter", role="student", years=0))
    reader_session.familiarised()
    own_step = reader_session.step()
    reader_session.save_own(
        own_step.key, session_form.own_read(own_step, Fields("benign", 60, carried=carry(own_step, [])))
    )
    reader_session.reveal(reader_session.step().key, model_record(said_by_the_model(picture(3)), "ab" * 32))
    return reader_session, own_step, reader_session.step()


def carry(step, polygons):
    return editor.value(step.key, polygons)


def final(step, polygons, verdict, **fields):
    fields = {"class_name": "benign", "confidence": 50, **fields}
    return session_form.final_read(step, Fields(outline_verdict=verdict, carried=carry(step, polygons), **fields))


def test_what_is_missing_is_said(tab):
    _, own_step, step = tab
    shown = step.model.outline.polygons
    with pytest.raises(RecordError, match="choose your class"):
        final(step, shown, "good", class_name=None)
    for confidence in (None, -1, 100.5, float("nan")):
        with pytest.raises(RecordError, match="from 0 to 100"):
            final(step, shown, "good", confidence=confidence)
    with pytest.raises(RecordError, match="how the model's outline is"):
        final(step, shown, None)
    with pytest.raises(editor.EditorError, match="another picture"):
        session_form.own_read(own_step, Fields("benign", 50, carried=carry(step, [])))


def test_outline_and_verdict_must_fit_each_other(tab):
    _, own_step, step = tab
    shown = step.model.outline.polygons
    moved = [[(x + 3, y) for x, y in points] for points in shown]
    assert final(step, shown, "good").outline is None
    assert final(step, moved, "corrected").outline.polygons == moved
    assert final(step, moved, "wrong_place").outline.polygons == moved
    assert final(step, [], "nothing_there", no_lesion=True, class_name="normal").outline.polygons == []
    refused = [
        (moved, "good", {}, strings.GOOD_BUT_CHANGED),
        (shown, "corrected", {}, strings.CORRECTED_BUT_UNCHANGED),
        (moved, "nothing_there", {}, strings.NOTHING_BUT_DRAWN),
        ([], "corrected", {}, strings.CONFIRM_NO_LESION),
        (moved, "corrected", {"no_lesion": True}, strings.LESION_AND_NO_LESION),
        ([], "nothing_there", {"no_lesion": True}, strings.CLASS_AND_NO_LESION.format(class_name="benign")),
        (shown, "nothing_there", {}, strings.CLASS_AND_NOTHING.format(class_name="benign")),
    ]
    for polygons, verdict, fields, words in refused:
        with pytest.raises(RecordError) as error:
            final(step, polygons, verdict, **fields)
        assert str(error.value) == words
    with pytest.raises(RecordError, match="your class is malignant, but “No lesion” is ticked"):
        session_form.own_read(own_step, Fields("malignant", 50, no_lesion=True, carried=carry(own_step, [])))
    none_given = session_form.own_read(own_step, Fields("benign", 50, carried=carry(own_step, [])))
    no_lesion = session_form.own_read(own_step, Fields("normal", 50, no_lesion=True, carried=carry(own_step, [])))
    assert none_given.outline is None and no_lesion.outline.polygons == []


def test_a_crossing_outline_is_repaired_shown_and_only_then_saved(tab):
    _, _, step = tab
    bow_tie = [[(10.0, 10.0), (60.0, 60.0), (60.0, 10.0), (10.0, 60.0)]]
    with pytest.raises(OutlineRepairedError, match="crossed itself") as repaired:
        final(step, bow_tie, "corrected")
    assert len(repaired.value.polygons) == 2
    as_shown = editor.drawn(carry(step, repaired.value.polygons), step.key)
    assert final(step, as_shown, "corrected").outline.polygons == as_shown
    with pytest.raises(OutlineError, match="not a number"):
        final(step, [[(float("nan"), 1.0), (5.0, 9.0), (9.0, 1.0)]], "corrected")


def test_results_show_figures_plots_and_comments_as_text(store):
    sessions = Sessions(store)
    new = NewSession.checked(name="Two", images_may_be_kept=True)
    cases = [NewCase(picture(number), CLASS_NAMES[number]) for number in range(2)]
    created = sessions.create(new, cases)
    assert strings.RESULTS_NONE in results_html(store, created.session_id)
    read_everything(sessions, created.codes[0], comment="<img src=x onerror=alert(1)>")
    shown = results_html(store, created.session_id)
    assert "<img src=x" not in shown and "&lt;img src=x onerror=alert(1)&gt;" in shown
    accuracy = re.search(r"accuracy, final read</td><td>([\d.]+)</td>", shown).group(1)
    assert float(accuracy) == 0.5  # always malignant, of one benign and one malignant case
    assert re.search(
        "shape, kappa with the program, own read</td>.*the program said a word in \\d of 2 readings", shown
    )
    assert "data:image/png;base64," in shown and re.search(r"Otter</td><td>75", shown)  # SUS: 5 x (3 + 3) x 2.5


def test_the_host_s_files_become_cases_with_their_truth(tmp_path):
    folder = tmp_path / "BUSI"
    folder.mkdir()
    for name in ("benign (2).png", "benign (10).png", "benign (2)_mask.png", "benign (2)_mask_1.png"):
        (folder / name).write_bytes(encode_png(picture(1)))
    (folder / "notes.txt").write_text("not an image")
    paths = find_images(None, str(folder))
    assert [path.name for path in paths] == ["benign (10).png", "benign (2).png"]
    manifest = tmp_path / "truth.csv"
    manifest.write_text("image,class\nbenign 2.png,malignant\n")  # brackets are lost on the way through an upload
    assert [case.truth for case in read_cases(paths, manifest)] == [None, "malignant"]
    assert [case.truth for case in read_cases(paths, None)] == [None, None]
    manifest.write_text("image,class\nother.png,benign\n")
    with pytest.raises(RecordError, match="No image has a row"):
        list(read_cases(paths, manifest))
    (folder / "broken.png").write_bytes(b"not a picture at all")
    with pytest.raises(RecordError, match="broken.png"):
        list(read_cases(find_images(None, str(folder)), None))
    for files, where in ((None, ""), (None, str(tmp_path / "absent"))):
        with pytest.raises(RecordError):
            find_images(files, where)


def test_a_manifest_gives_the_truth(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("image,class,fold\nbenign (1).png,benign,0\nx.png,malignant,1\n", encoding="utf-8")
    assert read_truth(path) == {"benign (1).png": "benign", "x.png": "malignant"}
    for content, words in (
        (
            "image,class\nx.png,cyst\n",
            "line 2 gives x.png the class cyst; one of benign, malignant, normal is expected",
        ),
        ("image,class\nx.png\n", "line 2 gives x.png the class none"),
        ("file,label\nx.png,benign\n", "has the columns file, label; image and class are expected"),
        ("", "has the columns none;"),
        ("image,class\nx,benign\nx,normal\n", "line 3 gives an image a second class"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(RecordError, match=words):
            read_truth(path)


def test_pictures_of_any_name_are_found_in_the_host_s_folder_and_the_rest_is_named(tmp_path):
    scan, _ = draw_phantom("benign", 3, 300, 380)
    screen_gray, painted, box = screen(scan, 0, 220, 18, (48, 64, 48, 64))
    whole = region((box.left, box.top, box.right - 1, box.bottom - 1))
    (tmp_path / "1.2.840.113619.2.55").write_bytes(written(dataset(screen_gray, SequenceOfUltrasoundRegions=[whole])))
    (tmp_path / "IM000001.dcm").write_bytes(written(dataset(scan)))
    (tmp_path / "scan").write_bytes(encode_png(scan))
    (tmp_path / "scan_mask.png").write_bytes(encode_png(scan > 90))
    (tmp_path / "notes.txt").write_text("not an image")
    passed = PassedOver()
    paths = find_images(None, str(tmp_path), passed)
    assert [path.name for path in paths] == ["1.2.840.113619.2.55", "IM000001.dcm", "scan"]
    assert passed.sentences() == ["2 files or folders were passed over: 1 mask beside its picture, 1 text or table."]
    first, *others = read_cases(paths, None)
    assert not (first.gray[painted] > 40).any()  # name and number beside the scan
    np.testing.assert_array_equal(first.gray[box.top : box.bottom, box.left : box.right], scan)
    assert all(np.array_equal(case.gray, scan) for case in others)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("not an image")
    with pytest.raises(RecordError, match="No image was chosen.* 1 file was passed over: 1 text or table"):
        find_images(None, str(tmp_path / "empty"))


def test_the_class_folders_of_busi_are_the_truth(tmp_path):
    for class_name in CLASS_NAMES:
        (tmp_path / class_name).mkdir()
        (tmp_path / class_name / f"{class_name} (1).png").write_bytes(encode_png(picture(1, class_name)))
    paths = find_images(None, str(tmp_path))
    assert [case.truth for case in read_cases(paths, None)] == list(CLASS_NAMES)
    manifest = tmp_path / "truth.csv"
    manifest.write_text("image,class\nbenign (1).png,benign\n")
    assert [case.truth for case in read_cases(paths, manifest)] == list(CLASS_NAMES)
    manifest.write_text("image,class\nbenign (1).png,malignant\n")
    with pytest.raises(RecordError, match="the CSV says malignant, its folder says benign"):
        list(read_cases(paths, manifest))


def test_how_far_a_deletion_is_is_said_and_no_more():
    done = Deletion("session", "2026-11-27T10:00:00.000Z", 7, 2, 0, 0, True, 0, "2026-11-27T10:00:01.000Z")
    assert deletion_words(done, False) == (
        "The session is deleted: 7 records and 2 pictures. No copy had left this machine."
    )
    half = replace(done, n_copies=7, pictures_left=1, log_emptied=False, copies_left=4, done_at=None)
    words = deletion_words(half, True)
    assert "1 pictures are still on the disk" in words and strings.DELETED_LOG_LEFT in words
    assert "4 copies in the private dataset are being removed" in words
    assert "not set to reach: start it with BUSI_SYNC_REPO" in deletion_words(half, False)
    assert "They are in me/first, me/second" in deletion_words(replace(half, datasets=("me/first", "me/second")), True)
    assert "7 copies in the private dataset are removed too" in deletion_words(replace(done, n_copies=7), True)
    assert deletions_html([], True) == "" and "2026-11-27 10:00 UTC" in deletions_html([half], True)
