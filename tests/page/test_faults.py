"""What a reader sees when the disk is full, a picture damaged, the session closed or the records locked: what is true,
a way on, and everything typed. In a real browser; the faults are real ones."""

import contextlib
import json
import re
import resource
from types import SimpleNamespace

import gradio as gr
import pytest
from playwright.sync_api import expect

from busi_model.page import strings
from busi_model.page.session import panel as session
from busi_model.reading.records import NewSession
from busi_model.reading.session.sessions import NewCase, Sessions
from busi_model.reading.storage.store import DATABASE
from tests.page.test_sessions import N_CASES, POINT, Reader, picture, said_by_the_model
from tests.reading.test_store import locked_by_another_program
from tests.support.panel import served_here

UNSAVED = "#session-unsaved textarea"


class Model:
    """Stands for a Predictor; `first` is done before it answers."""

    checkpoint = SimpleNamespace(weights_sha256="ab" * 32)
    operating_point = POINT
    first = staticmethod(lambda: None)

    def __call__(self, frame):
        self.first()
        return said_by_the_model(frame.gray)


@pytest.fixture
def place(chromium, store, tmp_path):
    """A session that is served; `sit(number)` gives one of its readers at a browser, at the first case."""
    sessions, predictor = Sessions(store), Model()
    new = NewSession.checked(name="Morning", n_readers=3, images_may_be_kept=True)
    created = sessions.create(new, [NewCase(picture(number), None) for number in range(N_CASES)])
    with gr.Blocks(analytics_enabled=False) as page, gr.Tab(strings.TAB_SESSION):
        session.SessionPanel(sessions, predictor).connect()
    readers = []

    def sit(number, url):
        readers.append(Reader(chromium, url, created.codes[number - 1], number))
        return readers[-1]

    with served_here(page, tmp_path) as url:
        yield SimpleNamespace(
            sessions=sessions, created=created, predictor=predictor, sit=lambda number: sit(number, url)
        )
        for reader in readers:
            reader.tab.context.close()


@contextlib.contextmanager
def no_limit_afterwards():
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def fill_the_disk(store):
    """No file of this process may grow beyond what the log of the database is by now."""
    size = (store.folder / f"{DATABASE}-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def problem(reader):
    return reader.tab.locator("#session-problem")


def test_a_disk_that_fills_up_between_lock_and_reveal_is_told_apart(place, store):
    reader = place.sit(1)
    with no_limit_afterwards():
        place.predictor.first = lambda: fill_the_disk(store)
        reader.arrive(1)
        reader.fill(1)
        reader.tab.locator("#session-lock").click()
        expect(problem(reader)).to_contain_text("Your reading is locked. The model cannot be shown yet: The disk")
        (own,) = store.records()
        expect(reader.tab.locator("#session-receipt")).to_contain_text(f"Saved here, receipt {own.receipt}")
        expect(problem(reader)).not_to_contain_text("Not saved")
        expect(reader.tab.locator("#session-lock")).to_be_hidden()
        reader.tab.locator("#session-again").click()  # still full
        expect(reader.tab.locator("#session-receipt")).not_to_contain_text("Saved here")
        expect(problem(reader)).to_contain_text("may be full")
    place.predictor.first = lambda: None
    reader.tab.locator("#session-again").click()
    reader.arrive(1, final=True)
    expect(problem(reader)).to_have_text("")
    with no_limit_afterwards():  # full before the save: nothing is saved, and everything stays in its field
        reader.fill(1, final=True)
        fill_the_disk(store)
        reader.tab.locator("#session-save").click()
        expect(problem(reader)).to_contain_text(re.compile("Not saved. The disk .*full"))
        expect(reader.tab.locator("#case-comment textarea")).to_have_value("<b>case</b> 1")
        assert [record.kind for record in store.records()] == ["own", "reveal"]
    reader.save()
    reader.arrive(2)
    assert [record.kind for record in store.records()] == ["own", "reveal", "final"]


def test_a_corrected_answer_that_comes_too_late_is_offered_and_a_damaged_picture_has_a_way_on(place, store):
    reader = place.sit(1)
    reader.lock(1)
    reader.fill(1, final=True)
    reader_session = place.sessions.enter(reader.code)
    step = reader_session.step()
    elsewhere = place.sessions.enter(reader.code)  # the same reader at a second browser
    values = ["normal", 5, "", "wrong_place", False, "from elsewhere", session.editor.value(step.key, [])]
    values[6] = session.editor.value(step.key, step.model.outline.polygons)
    elsewhere.save_final(step.key, session.answer_of(step, values))
    damaged = reader_session.step()
    assert damaged.position == 2
    damaged.image_path.write_bytes(damaged.image_path.read_bytes()[:90])
    reader.save()
    first = store.records()[-1].receipt
    expect(problem(reader)).to_contain_text(f"saved before with another answer, receipt {first}")
    expect(problem(reader)).to_contain_text("The picture is damaged on the server")
    expect(reader.tab.locator(UNSAVED)).to_have_value(re.compile("<b>case</b> 1"))
    reader.tab.reload()
    reader.open()
    expect(reader.tab.locator(UNSAVED)).to_have_value(re.compile("<b>case</b> 1"))  # it stays until the next step
    expect(problem(reader)).to_contain_text("The picture is damaged on the server")
    reader.tab.locator("#session-leave-out").click()
    reader.arrive(3)
    expect(reader.tab.locator("#session-unsaved")).to_be_hidden()
    kinds = [(record.kind, record.content.get("comment")) for record in store.records()]
    assert kinds == [("own", None), ("reveal", None), ("final", "from elsewhere"), ("left_out", None)]


def test_a_session_that_is_closed_or_deleted_keeps_what_was_typed(place, store):
    kept, renewed, closed = (place.sit(number) for number in (1, 2, 3))
    for reader in (kept, renewed, closed):
        reader.lock(1)
        reader.fill(1, final=True)
        reader.wait_until_kept("<b>case</b> 1")
    code = place.sessions.renew_code(place.created.session_id, 2)
    renewed.tab.locator("#session-save").click()
    expect(problem(renewed)).to_contain_text(strings.SHUT_OUT)
    expect(renewed.tab.locator(UNSAVED)).to_have_value(re.compile("<b>case</b> 1"))
    renewed.tab.locator("#session-code :is(input, textarea)").fill(code)
    renewed.tab.locator("#session-enter").click()
    renewed.arrive(1, final=True)
    expect(renewed.tab.locator("#case-comment textarea")).to_have_value("<b>case</b> 1")
    renewed.save()
    renewed.arrive(2)
    place.sessions.close(place.created.session_id)
    closed.tab.locator("#session-save").click()
    expect(problem(closed)).to_contain_text(strings.STEP_CLOSED)
    expect(closed.tab.locator("#session-task")).to_contain_text(strings.SESSION_TASKS["closed"][0])
    expect(closed.tab.locator(UNSAVED)).to_have_value(re.compile("<b>case</b> 1"))
    closed.tab.reload()
    closed.open()
    expect(closed.tab.locator(UNSAVED)).to_have_value(re.compile("<b>case</b> 1"))
    kept.tab.reload()  # without a click
    kept.open()
    expect(kept.tab.locator(UNSAVED)).to_have_value(re.compile("<b>case</b> 1"))
    assert [r.kind for r in store.records()].count("final") == 1
    place.sessions.delete(place.created.session_id)
    kept.tab.reload()
    kept.open()
    expect(problem(kept)).to_contain_text(strings.SHUT_OUT)
    assert json.loads(kept.tab.evaluate("sessionStorage.getItem('busi-session')"))["code"] == ""
    expect(kept.tab.locator(UNSAVED)).to_have_value(re.compile("<b>case</b> 1"))


def test_a_locked_database_is_said_while_it_is_waited_for_and_the_text_stays(place, store, monkeypatch):
    readers = [place.sit(number) for number in (1, 2)]
    for reader in readers:
        reader.arrive(1)
        reader.fill(1)
    monkeypatch.setattr("busi_model.reading.storage.database.BUSY_TIMEOUT_S", 1.0)
    with locked_by_another_program(store.folder):
        for reader in readers:
            reader.tab.locator("#session-lock").click()
        for reader in readers:
            expect(problem(reader)).to_contain_text("Not saved. Another program keeps the records locked")
            expect(reader.tab.locator("#case-confidence input")).to_have_value(str(reader.answer(1, False)[1]))
        assert store.records() == []
        until_it_is_done_s = 300.0
        monkeypatch.setattr("busi_model.reading.storage.database.BUSY_TIMEOUT_S", until_it_is_done_s)
        for reader in readers:
            reader.tab.locator("#session-lock").click()
        for reader in readers:
            expect(reader.tab.locator("#session-waiting")).to_contain_text(strings.LOCKED)
    for reader in readers:
        reader.arrive(1, final=True)
        expect(reader.tab.locator("#session-waiting")).to_have_text("")
    assert [record.kind for record in store.records()].count("own") == 2


def test_an_empty_field_stays_empty(place, store, chromium):
    """Neither years nor confidence are ever 0 unless somebody typed it."""
    reader = place.sit(1)
    reader.arrive(1)
    reader.tab.locator("#case-class").get_by_label(strings.CLASS_NAMES["benign"]).check()
    reader.tab.locator("#session-lock").click()
    expect(problem(reader)).to_contain_text(strings.MISSING_CONFIDENCE)
    assert store.records() == []
    tab = reader.tab
    tab.locator("#session-leave").click()
    tab.locator("#session-code :is(input, textarea)").fill(place.created.codes[1])
    tab.locator("#session-enter").click()
    tab.locator("#pseudonym :is(input, textarea)").fill("Heron")
    tab.locator("#role input").click()
    tab.get_by_role("option", name="student").click()
    tab.locator("#session-join").click()
    expect(problem(reader)).to_contain_text(strings.MISSING_PROFILE)
    tab.locator("#years input").fill("0")
    tab.locator("#session-join").click()
    expect(tab.locator("#session-task h2")).to_have_text(strings.SESSION_TASKS["familiarise"][0])
    assert place.sessions.list()[0].readers[1].years == 0
