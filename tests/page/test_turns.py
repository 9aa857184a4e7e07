"""Shares and turns: what one visitor sends, keeps waiting or never fetches is not another visitor's wait. Through HTTP,
from several addresses of this machine, on a page whose one event works as long as the test wants."""

import json
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.route_utils import delete_files_created_by_app

from busi_model.page import serve, strings
from busi_model.page.api import ServedFile
from busi_model.page.server import queue as page_queue
from busi_model.page.server import uploads, visits
from busi_model.page.server.access_rules import AccessRules
from busi_model.page.server.events import Page
from busi_model.page.server.visitor import household
from tests.support.browser import PATIENCE_S, ask
from tests.support.panel import free_port

ONE, OTHER = "127.0.0.2", "127.0.0.3"
EDGE = "edge-of-a-part"
META = {"_type": "gradio.FileData"}


class Place:
    """The page, and visitors of several addresses. What is called `hold` works until `go_on` is set."""

    def __init__(self, page, port, folder):
        self.page, self.port, self.folder = page, port, folder
        self.done, self.holds, self.go_on = [], threading.Event(), threading.Event()

    def work(self, name: str) -> str:
        if name == "hold":
            self.holds.set()
            self.go_on.wait(PATIENCE_S)
        self.done.append(name)
        return "x" * 100_000 if name == "large" else name

    def ask(self, path, address=ONE, method="GET", body=None, **headers):
        return ask(f"127.0.0.1:{self.port}", path, method, body, source=address, **headers)

    def post(self, path, body, address=ONE, **headers):
        status, _, said = self.ask(path, address, "POST", body, Content_Type="application/json", **headers)
        return status, json.loads(said)

    def call(self, name, address=ONE, **headers):
        """A script's call: status, and its event or the words of refusal."""
        status, said = self.post("/gradio_api/call/work", json.dumps({"data": [name]}), address, **headers)
        return status, said["event_id"] if status == 200 else said["detail"]

    def answer(self, event, address=ONE, **headers):
        return self.ask(f"/gradio_api/call/work/{event}", address, **headers)[2].decode()

    def browser(self, address=ONE):
        return {"Cookie": self.ask("/", address)[1]["Set-Cookie"].split(";")[0]}

    def join(self, session, name, browser, address=ONE):
        body = {"data": [name], "fn_index": 0, "session_hash": session, "event_data": None}
        return self.post("/gradio_api/queue/join", json.dumps(body), address, **browser)[0]

    def hear(self, session, browser, address=ONE):
        return self.ask(f"/gradio_api/queue/data?session_hash={session}", address, **browser)[2].decode()

    def upload(self, *parts, address=ONE, query=""):
        """parts: (file name or None, content)."""
        body = b""
        for name, content in parts:
            called = f'name="files"; filename="{name}"' if name else 'name="x"'
            body += f"--{EDGE}\r\nContent-Disposition: form-data; {called}\r\n\r\n".encode() + content + b"\r\n"
        kind = f"multipart/form-data; boundary={EDGE}"
        body += f"--{EDGE}--\r\n".encode()
        status, _, said = self.ask(f"/gradio_api/upload{query}", address, "POST", body, Content_Type=kind)
        return status, json.loads(said) if status == 200 else said.decode()


@pytest.fixture
def serving(tmp_path, monkeypatch):
    """Start a place: `serving(**limits)`."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    running = []

    def start(**limits):
        place = Place(None, free_port(), tmp_path)

        def read(image: ServedFile) -> str:
            return "read"

        with Page(analytics_enabled=False) as place.page:
            gr.api(place.work, api_name="work", concurrency_limit=1, concurrency_id="work")
            gr.api(read, api_name="read")
        page_queue.limit(place.page, **limits)
        server = serve(place.page, AccessRules(), "127.0.0.1", [place.port])
        running.append(SimpleNamespace(place=place, server=server))
        return place

    yield start
    for one in running:
        one.place.go_on.set()
        one.server.stop()


def hold(place):
    """The one who works is kept busy, so that all others wait in line."""
    _, event = place.call("hold", "127.0.0.9")
    assert place.holds.wait(PATIENCE_S)
    return event


# Turns


def test_addresses_take_turns_and_at_one_address_its_visitors(serving):
    place = serving()
    hold(place)
    crowd, guest = place.browser(), place.browser()
    asked = [place.call(f"crowd {n}", ONE, **crowd) for n in range(8)]
    single = place.call("guest at the same address", ONE, **guest)
    elsewhere = place.call("another address", OTHER)
    second = place.call("another address, again", OTHER)
    assert {status for status, _ in (*asked, single, elsewhere, second)} == {200}
    place.go_on.set()
    assert "another address, again" in place.answer(second[1], OTHER)
    assert "crowd 7" in place.answer(asked[-1][1], ONE, **crowd)
    assert place.done[:6] == [
        "hold",
        "crowd 0",
        "another address",
        "guest at the same address",
        "another address, again",
        "crowd 1",
    ]
    assert place.done[6:] == [f"crowd {n}" for n in range(2, 8)]


def test_who_fills_a_line_fills_his_own_share(serving):
    place = serving(places=3)
    hold(place)
    asked = [place.call(f"{n}", ONE) for n in range(5)]
    assert [status for status, _ in asked] == [200] * 3 + [503] * 2
    assert asked[3][1] == strings.BUSY.format(before=3)
    assert place.call("another", OTHER)[0] == 200


def test_an_address_of_the_sixth_version_stands_for_its_network():
    assert household("2001:db8::1") == household("2001:db8::ffff:2") != household("2001:db8:0:1::1")
    assert household("10.0.0.1") != household("10.0.0.2") and household("") == ""


# What waits


def test_a_browser_that_opens_too_many_pages_stops_nobody(serving):
    """Forty pages of one browser wait for an answer; thirty are kept. Gradio's queue ended when it had something to say
    to one that was forgotten, and with it the page for everybody."""
    place = serving()
    hold(place)
    browser = place.browser()
    assert {place.join(f"page-{n}", f"{n}", browser) for n in range(visits.MAX_OF_COOKIE + 10)} == {200}
    status, other = place.call("other", OTHER)
    assert status == 200
    place.go_on.set()
    assert '"other"' in place.answer(other, OTHER)
    assert "process_completed" in place.hear(f"page-{visits.MAX_OF_COOKIE + 9}", browser)
    assert "session_not_found" in place.hear("page-0", browser)
    assert "0" not in place.done  # what nobody can hear is not worked on


def test_json_that_takes_far_more_memory_than_bytes_is_refused(serving):
    place = serving()
    for part in ("[]", "{}", "1.5"):
        body = '{"data": [' + ",".join([part] * 1_000_000) + "]}"
        assert place.post("/gradio_api/call/work", body) == (413, {"detail": strings.TOO_HEAVY})
    points = [[x + 0.25, 2 * x + 0.75] for x in range(20_000)]  # the largest outline that is kept
    assert place.post("/gradio_api/call/work", json.dumps({"data": ["x"], "outline": points}))[0] == 200


def test_events_that_wait_share_a_bound_in_bytes(serving, monkeypatch):
    monkeypatch.setattr(page_queue, "ASKED_OF_ADDRESS", 10_000_000)
    place = serving()
    hold(place)
    large = json.dumps({"data": ["x" * 3_000_000]})
    said = [place.post("/gradio_api/call/work", large, ONE)[0] for _ in range(5)]
    assert said == [200] * 3 + [503] * 2
    assert place.post("/gradio_api/call/work", large, OTHER)[0] == 200


def test_answers_that_nobody_fetches_make_room_for_those_of_others(serving):
    place = serving(unheard_bytes=10_000_000)
    greedy, other = place.browser(), place.browser(OTHER)
    assert place.join("mine", "one answer", other, OTHER) == 200
    for n in range(20):  # twice what all together may hold
        assert place.join(f"never-heard-{n % 2}", "large", greedy) == 200
    _, last = place.call("last", OTHER)
    assert '"last"' in place.answer(last, OTHER)  # all are done
    assert '"one answer"' in place.hear("mine", other, OTHER)
    heard = [place.hear(f"never-heard-{n}", greedy) for n in range(2)]
    assert any("session_not_found" in said for said in heard)


def test_what_stood_in_a_field_is_not_kept_for_its_session(serving):
    """Eight megabytes a field and visit would be no bound; Gradio keeps them for links that this page does not have."""
    place = serving()
    browser = place.browser()
    assert place.join("mine", "the last words " * 1000, browser) == 200
    assert "process_completed" in place.hear("mine", browser)
    (state,) = place.page.state_holder.session_data.values()
    assert "the last words" not in repr(state.config_values)


def test_calls_of_one_script_push_out_nobody_elses():
    forgotten = []
    book = visits.Visits(None, forget_answers=forgotten.append)
    for n in range(3):
        book._note_call(f"script-quiet-{n}")
    for n in range(5000):
        book._note_call(f"script-loud-{n}")
    assert not any("quiet" in session for session in forgotten)
    assert len(forgotten) == 5000 - visits.MAX_CALLS_OF_SCRIPT
    for n in range(50):  # many scripts, each within its share
        for m in range(100):
            book._note_call(f"script-s{n}-{m}")
    assert sum(map(len, book._calls.values())) <= visits.MAX_CALLS
    assert book._calls["quiet"] == deque(f"script-quiet-{n}" for n in range(3))


# Uploads


def test_a_part_that_is_no_file_is_short(serving):
    place = serving()
    assert place.upload((None, bytes(uploads.FIELD_BYTES + 1))) == (400, strings.TOO_LONG)
    assert place.upload((None, b"short"), ("a.png", b"x"))[0] == 200


def test_an_upload_opens_no_more_files_than_its_share(serving, monkeypatch):
    monkeypatch.setattr(uploads, "OPEN_OF_ADDRESS", 5)
    place = serving()
    parts = [(f"{n}.png", b"x") for n in range(6)]
    assert place.upload(*parts) == (400, strings.TOO_MANY_FILES.format(most=5))
    assert list(place.folder.glob("tmp*")) == []
    with ThreadPoolExecutor(4) as threads:
        assert {status for status, _ in threads.map(lambda n: place.upload(*parts[:1]), range(4))} == {200}
    status, paths = place.upload(*parts[:5])
    assert status == 200 and len(paths) == 5


def test_an_address_has_its_share_of_the_disk_until_its_files_are_deleted(serving, monkeypatch):
    monkeypatch.setattr(uploads, "BYTES_OF_ADDRESS", 3 * uploads.FILE_BYTES)
    place = serving()
    assert [place.upload(("a.png", b"x"))[0] for _ in range(4)] == [200, 200, 200, 429]
    status, words = place.upload(("a.png", b"x"))
    assert status == 429 and "were uploaded from your address" in words
    assert place.upload(("a.png", b"x"), address=OTHER)[0] == 200
    now = [0.0]
    book = uploads.Uploads(clock=lambda: now[0])
    book.end(book.begin(ONE), well=True)
    book.end(book.begin(ONE), well=True)
    assert book.bytes_of(ONE) == 2 * uploads.FILE_BYTES and book.bytes_of(OTHER) == 0
    now[0] = uploads.KEPT_S + 1.0
    assert book.bytes_of(ONE) == 0 and book.refusal(ONE, 1000) is None


def test_names_of_uploads_are_short(serving):
    """Gradio keeps them in memory."""
    place = serving()
    assert place.upload(("a.png", b"x"), query="?upload_id=abc123")[0] == 200
    assert place.upload(("a.png", b"x"), query="?upload_id=" + "x" * 300) == (414, strings.TOO_LONG)


def test_a_folder_that_is_named_as_a_file_does_not_end_the_deleting(serving):
    """Gradio notes down what is named and deletes it after an hour; a folder it cannot, and it never tried again."""
    place = serving()
    _, (path,) = place.upload(("a.png", b"a patient"))
    (place.folder / ".in-use").write_bytes(b"")
    folder = str(Path(path).parent)
    for named in (folder, f"{path}/..", f"{folder}/../.in-use", str(place.folder), str(place.folder / ".in-use")):
        body = json.dumps({"data": [{"path": named, "meta": META}]})
        _, said = place.post("/gradio_api/call/read", body)
        told = place.ask(f"/gradio_api/call/read/{said['event_id']}")[2].decode()
        assert strings.EVENT_FAILED in told and str(place.folder) not in told
    _, said = place.post("/gradio_api/call/read", json.dumps({"data": [{"path": path, "meta": META}]}))
    assert "event: complete" in place.ask(f"/gradio_api/call/read/{said['event_id']}")[2].decode()
    delete_files_created_by_app(place.page, age=None)
    assert not Path(path).exists() and (place.folder / ".in-use").exists()
