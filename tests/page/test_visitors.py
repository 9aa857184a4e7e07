"""One visitor and the others: what somebody who knows something, sends half of it or sends too much of it can do to
the running app. Through HTTP on loopback, without a browser."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import load
from busi_model.clinic.view import encode_png
from busi_model.decode import helpers
from busi_model.page import strings
from busi_model.page.server import guard as server
from busi_model.page.server import wire
from busi_model.page.server.visitor import COOKIE
from busi_model.page.server.visits import MAX_OF_COOKIE, MAX_VISITS, Visits
from busi_model.phantom import draw_phantom
from busi_model.words import REFUSALS
from tests.support import bombs
from tests.support.browser import PATIENCE_S, ask, served
from tests.support.processes import children, runs

PNG = encode_png(draw_phantom("benign", 2, 90, 110)[0])
JSON = {"Content_Type": "application/json"}
META = {"_type": "gradio.FileData"}


@pytest.fixture(scope="module")
def app(untrained, tmp_path_factory):
    """(address, folder with log.txt) of the app; it has a host's password and a store."""
    folder = tmp_path_factory.mktemp("visitors")
    environment = {"BUSI_WEIGHTS": str(untrained), "BUSI_HOST_PASSWORD": "correct horse", "OMP_NUM_THREADS": "1"}
    with served([sys.executable, "app.py"], environment, folder) as address:
        yield address.rstrip("/"), folder


class Browser:
    """A visitor with a cookie, as a browser has it."""

    def __init__(self, address, opens=True):
        self.address, self.cookie = address, ""
        if opens:
            said = ask(address, "/")[1].get_all("Set-Cookie")
            assert len(said) == 1 and COOKIE in said[0] and {"HttpOnly", "SameSite=Lax"} <= set(said[0].split("; "))
            self.cookie = said[0].split(";")[0]

    def ask(self, path, method="GET", body=None, **headers):
        return ask(self.address, path, method, body, **({"Cookie": self.cookie} if self.cookie else {}), **headers)

    def join(self, fn_index, data, session):
        body = json.dumps({"data": data, "fn_index": fn_index, "session_hash": session, "event_data": None})
        status, _, said = self.ask("/gradio_api/queue/join", "POST", body, **JSON)
        assert status == 200, said
        return json.loads(said)["event_id"]

    def hear(self, session):
        """All that comes for a session; "" when there is none."""
        return self.ask(f"/gradio_api/queue/data?session_hash={session}")[2].decode()

    def event(self, fn_index, data, session):
        self.join(fn_index, data, session)
        return self.hear(session)


def event_of(address, *elements, n_inputs=None):
    """The event that takes the elements of these names among its inputs: its number, and its inputs, all None."""
    page = json.loads(ask(address, "/config")[2])
    names = {part["id"]: part["props"].get("elem_id") for part in page["components"]}
    for number, dependency in enumerate(page["dependencies"]):
        inputs = [names[i] for i in dependency["inputs"]]
        if dependency["backend_fn"] and set(elements) <= set(inputs) and n_inputs in (None, len(inputs)):
            return dependency.get("id", number), inputs
    raise LookupError(elements)


def upload(address, content=PNG, name="a.png"):
    body = load.form(content).replace(b"a.png", name.encode())
    kind = f"multipart/form-data; boundary={load.EDGE}"
    return json.loads(ask(address, "/gradio_api/upload", "POST", body, Content_Type=kind)[2])[0]


def read(address, path):
    """What the API says of an upload."""
    body = json.dumps({"data": [{"path": path, "meta": META}]})
    status, _, said = ask(address, "/gradio_api/call/predict", "POST", body, **JSON)
    assert status == 200, said
    return ask(address, f"/gradio_api/call/predict/{json.loads(said)['event_id']}")[2].decode()


def is_there(address):
    return ask(address, "/")[0] == 200


# Whose session it is (16)


def open_host(browser, session):
    signs_in, _ = event_of(browser.address, "host-password", n_inputs=1)
    return browser.event(signs_in, ["correct horse"], session)


def choose(browser, session):
    """An action of the host's: the list of sessions."""
    number, inputs = event_of(browser.address, "host-session", n_inputs=2)
    return browser.event(number, [None] * len(inputs), session)


def test_the_hash_alone_opens_nothing(app):
    address, _ = app
    host = Browser(address)
    assert "wrong" not in open_host(host, "thehash")
    assert strings.HOST_LOGIN_FIRST not in choose(host, "thehash")
    for other in (Browser(address), Browser(address, opens=False)):
        assert strings.HOST_LOGIN_FIRST in choose(other, "thehash")
    forged = Browser(address, opens=False)
    name = host.cookie.partition("=")[0]
    for cookie in (host.cookie[:-1] + "-", host.cookie.partition(".")[0], f"{name}=x.y", "=;;\x7f"):
        forged.cookie = cookie
        assert strings.HOST_LOGIN_FIRST in choose(forged, "thehash"), cookie
    assert strings.HOST_LOGIN_FIRST in choose(host, "another")  # a second page of the host's own asks again
    assert strings.HOST_LOGIN_FIRST not in choose(host, "thehash")


def test_a_second_listener_hears_nothing(app):
    address, _ = app
    host = Browser(address)
    number, inputs = event_of(address, "host-password", n_inputs=1)
    for other in (Browser(address), Browser(address, opens=False)):
        host.join(number, ["a wrong password"], "spied")
        assert "process_completed" not in other.hear("spied")
        assert "process_completed" in host.hear("spied")


def test_an_answer_and_its_cancelling_are_the_askers_own(app):
    """Event ids stand in addresses, too."""
    address, _ = app
    asker, other = Browser(address), Browser(address)
    number, _ = event_of(address, "host-password", n_inputs=1)
    event_id = asker.join(number, ["a wrong password"], "mine")
    body = json.dumps({"session_hash": "mine", "fn_index": number, "event_id": event_id})
    assert other.ask("/gradio_api/cancel", "POST", body, **JSON)[0] == 404
    assert other.ask(f"/gradio_api/call/predict/{event_id}")[0] == 404
    assert "process_completed" in asker.hear("mine")
    path = upload(address)
    said = asker.ask("/gradio_api/call/predict", "POST", json.dumps({"data": [{"path": path, "meta": META}]}), **JSON)[
        2
    ]
    event_id = json.loads(said)["event_id"]
    assert other.ask(f"/gradio_api/call/predict/{event_id}")[0] == 404
    assert b"event: complete" in asker.ask(f"/gradio_api/call/predict/{event_id}")[2]


@pytest.mark.parametrize("body", ["", "[]", "null", "{", "[" * 100_000, '"x"', b"\xff\xfe"])
def test_what_is_no_event_gets_a_sentence(app, body):
    status, _, said = ask(app[0], "/gradio_api/queue/join", "POST", body, **JSON)
    assert status == 400 and json.loads(said)["detail"] == strings.NO_EVENT


# Visits and memory (12)


def test_made_up_sessions_throw_nobody_out_who_has_the_page_open(app, within_s):
    address, _ = app
    host = Browser(address)
    open_host(host, "kept")
    number, _ = event_of(address, "host-password", n_inputs=1)
    port = int(address.rpartition(":")[2])
    with within_s(4 * PATIENCE_S), socket.create_connection(("127.0.0.1", port)) as heartbeat:
        heartbeat.sendall(
            f"GET /gradio_api/heartbeat/kept HTTP/1.1\r\nHost: localhost\r\nCookie: {host.cookie}\r\n\r\n".encode()
        )
        assert b"200" in heartbeat.recv(1000)
        for n in range(MAX_OF_COOKIE + 5):  # of the host's own browser
            host.join(number, [""], f"made-up-{n}")
        assert strings.HOST_LOGIN_FIRST not in choose(host, "kept")


async def _nothing(*_):
    return None


async def _joined(visits, cookie, name):
    """The name that Gradio gets for a session."""
    heard = {}

    async def app(scope, receive, send):
        heard.update(json.loads((await receive())["body"]))

    async def receive():
        return {"type": "http.request", "body": json.dumps({"session_hash": name}).encode()}

    visits.app = app
    headers = [(b"cookie", cookie.encode())] if cookie else []
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/queue/join", "headers": headers}
    await visits({**scope, "client": ("10.0.0.1", 1)}, receive, _nothing)
    return heard["session_hash"]


async def _cookie(visits):
    said = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        said.extend(value.decode() for name, value in message["headers"] if name == b"set-cookie")

    visits.app = app
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "scheme": "https", "client": ("10.0.0.1", 1)}
    await visits(scope, _nothing, send)
    assert "; Secure" in said[0]
    return said[0].split(";")[0]


def test_only_visits_that_the_page_began_count():
    """5,000 made-up hashes without a cookie, 5,000 with one, and 1,500 visits of as many browsers."""
    forgotten = []

    async def run():
        visits = Visits(None, forget=forgotten.append)
        mine = await _joined(visits, cookie := await _cookie(visits), "mine")
        assert mine.startswith("visit-") and await _joined(visits, cookie, "mine") == mine
        for n in range(5000):
            assert (await _joined(visits, "", f"{n}")).startswith("script-")
        assert forgotten == []
        other = await _cookie(visits)
        theirs = [await _joined(visits, other, f"{n}") for n in range(5000)]
        assert forgotten == theirs[:-MAX_OF_COOKIE] and len(set(theirs)) == 5000
        forgotten.clear()
        visits._open[mine] = 1  # its page is open
        for _ in range(1500):
            await _joined(visits, await _cookie(visits), "x")
        assert mine not in forgotten and len(forgotten) > 500 and len(visits._used_at) == MAX_VISITS

    with ThreadPoolExecutor(1) as apart:  # a browser of other tests has an event loop in this thread
        apart.submit(asyncio.run, run()).result()


# Names, proxies, other sites (15, 17)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "localhost.", "a@localhost", ""]
)
def test_a_name_that_leads_here_by_a_trick_is_turned_away(app, host):
    """DNS rebinding: another site's page whose name now means this machine."""
    for path, method in (("/", "GET"), ("/config", "GET"), ("/gradio_api/upload", "POST")):
        status, _, said = ask(app[0], path, method, Host=host)
        assert status == 421 and said.decode() == strings.WRONG_HOST


def test_the_usual_names_of_this_machine_are_answered(app):
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:7860", "[::1]:7860"):
        assert ask(app[0], "/", Host=host)[0] == 200


def test_no_header_leads_anyone_elsewhere(app):
    for headers in (
        {"X_Forwarded_Host": "evil.example"},
        {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "https", "X_Forwarded_For": "10.0.0.1"},
        {"X_Gradio_Server": "http://evil.example"},
        {"Forwarded": "host=evil.example"},
        {},
    ):
        for path in ("/logout", "/", "/config"):
            status, answered, said = ask(app[0], path, **headers)
            assert status in (200, 302) and b"evil.example" not in said, headers
            assert "evil" not in str(answered) and answered.get("Location", "/") == "/"


def test_another_website_logs_nobody_out(app):
    for how in ({"Sec_Fetch_Mode": "navigate"}, {"Sec_Fetch_Mode": "no-cors"}):
        assert ask(app[0], "/logout", Sec_Fetch_Site="cross-site", **how)[0] == 403
    assert ask(app[0], "/logout", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="navigate")[0] == 302


def test_no_one_is_told_where_files_lie(app):
    address, folder = app
    temporary = folder / "temporary"
    (private,) = temporary.glob("busi-*")
    for path in ("/", "/config", "/gradio_api/info"):
        assert str(temporary).encode() not in ask(address, path)[2]
    for name in (".in-use", "./.in-use", "tmp/../.in-use", "%2ein-use", ".in%2duse"):
        assert ask(address, f"/gradio_api/file={private}/{name}")[0] == 404
    (private / "tmpabc").write_bytes(b"a part of an upload")
    assert ask(address, f"/gradio_api/file={private}/tmpabc")[0] == 404
    (private / "tmpabc").unlink()
    path = upload(address)
    assert ask(address, f"/gradio_api/file={path}")[2] == PNG


def raw(address, content, patience_s=PATIENCE_S):
    """What the server answers to these bytes until it closes, or "" when it closes without a word."""
    port = int(address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=patience_s) as connection:
        connection.sendall(content)
        return b"".join(iter(lambda: connection.recv(2**16), b"")).decode("latin-1")


def test_two_lengths_are_one_too_many(app):
    head = (
        "POST /gradio_api/queue/join HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
    )
    said = raw(app[0], f"{head}\r\n0\r\n\r\nGET /config HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert said.startswith("HTTP/1.1 400") and said.count("HTTP/1.1") == 1 and "connection: close" in said.lower()


@pytest.mark.parametrize(
    ("path", "length"), [("/gradio_api/queue/join", 2**24), ("/login", 2**17), ("/gradio_api/upload", 2**31)]
)
def test_a_body_beyond_all_bounds_is_refused_unread(app, path, length):
    said = raw(app[0], f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode())
    assert said.startswith("HTTP/1.1 413")


def test_a_body_without_a_length_is_bounded_too(app, within_s):
    port = int(app[0].rpartition(":")[2])
    head = b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with within_s(PATIENCE_S), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head)
        with contextlib.suppress(OSError):  # it closes while we send
            for _ in range(2 * server.MAX_JSON_BYTES // 2**16):
                connection.sendall(b"10000\r\n" + b" " * 2**16 + b"\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 413")
    assert is_there(app[0])


# Connections (11)


def test_half_requests_are_ended_and_hold_nobody_up(app, within_s):
    """1,100 of them, as many as a process may have files: half heads, half bodies, nothing at all."""
    address, folder = app
    port = int(address.rpartition(":")[2])
    kinds = (
        b"",
        b"GET / HT",
        b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\nhalf",
        b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n{",
    )
    size = (folder / "log.txt").stat().st_size
    opened = []
    with within_s(5 * PATIENCE_S):
        try:
            for n in range(1100):
                with contextlib.suppress(OSError):  # the server ended it
                    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
                    opened.append(connection)
                    connection.sendall(kinds[n % len(kinds)])
                if n % 100 == 0:
                    assert is_there(address)
            assert is_there(address)
        finally:
            for connection in opened:
                connection.close()
    assert (folder / "log.txt").stat().st_size - size < 10_000


def test_a_half_head_and_a_half_body_end_in_time(app, within_s):
    with within_s(wire.HEAD_S + wire.BODY_S + PATIENCE_S), ThreadPoolExecutor(3) as threads:
        halves = (
            b"GET / HTTP/1.1\r\nHost: localhost\r\n",
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\nx",
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\nusername=",
        )
        for said in threads.map(lambda half: _until_closed(app[0], half), halves):
            assert "200 OK" not in said


class Held:
    """A connection between two requests, that notes its end."""

    def __init__(self, address):
        self.address, self.waits_for, self.since, self.ended = address, "", 0, False

    def end(self):
        self.ended = True


@pytest.mark.parametrize(
    ("proxies", "address", "bound"),
    [
        ((), "10.0.0.5", True),
        (("10.0.0.6",), "10.0.0.5", True),
        (("10.0.0.5",), "10.0.0.5", False),
        (("10.0.0.0/24",), "10.0.0.5", False),  # a network of proxies
        (("*",), "10.0.0.5", False),  # a Space
    ],
)
def test_an_address_has_its_share_of_connections_and_a_proxy_that_of_all(proxies, address, bound):
    book = wire.Connections(of_address=3, total=8, proxies=proxies)
    held = [Held(address) for _ in range(4)]
    for one in held:
        book.add(one)
    assert any(one.ended for one in held) is bound
    more = [Held(address) for _ in range(5)]
    for one in more:
        book.add(one)
    assert any(one.ended for one in more + held)


def _until_closed(address, half):
    try:
        return raw(address, half)
    except ConnectionResetError:
        return ""


def test_a_slow_upload_is_no_half_one(app):
    """Ten seconds in small pieces."""
    said = load.send_raw(app[0], load.form(PNG), pieces=40, pause_s=0.25)
    assert b"200 OK" in said


# Bombs through the API (9): what no bound knows by name is ended by the helpers


def test_files_that_take_long_hold_nobody_up(app, within_s):
    """Eight of 40 megapixels at once; meanwhile small pictures are read."""
    address, _ = app
    heavy = bombs.heavy_jpeg()
    paths = [upload(address, heavy, "a.jpg") for _ in range(8)]
    small = upload(address)
    assert "event: complete" in read(address, small)
    with within_s(4 * helpers.WALL_S), ThreadPoolExecutor(8) as threads:
        slow = [threads.submit(read, address, path) for path in paths]
        time.sleep(0.5)
        answered = 0
        while not all(one.done() for one in slow):
            answered += "event: complete" in read(address, small)
            assert is_there(address)
        assert answered
        for one in slow:
            said = one.result()
            words = (REFUSALS["slow"], REFUSALS["ended"], REFUSALS["busy"])
            assert "event: complete" in said or any(word in said for word in words), said


# The log, the end (11)


def test_a_log_cannot_fill_the_disk(tmp_path):
    from busi_model.page.server.log import Bounded

    time_s = [0.0]
    with (tmp_path / "log").open("w") as file:
        log = Bounded(file, burst_bytes=1000, bytes_per_s=10, clock=lambda: time_s[0])
        for n in range(100_000):
            log.write(f"line {n}\n")
        time_s[0] = 60.0
        log.write("another\n")
        log.flush()
    said = (tmp_path / "log").read_text()
    assert len(said) < 1200 and said.startswith("line 0\n") and said.endswith("another\n")
    left_out = int(re.search(r"\((\d+) lines were left out", said)[1])
    assert left_out == 100_000 - said.count("line ")


@pytest.mark.slow
def test_a_kill_is_obeyed_while_visitors_hold_on(untrained, tmp_path):
    """Half requests, open pages and a reading under way; 5 s are the promise, and the test waits no longer than that
    for a busy machine's sake times four."""
    environment = {"BUSI_WEIGHTS": str(untrained), "OMP_NUM_THREADS": "1"}
    with served([sys.executable, "app.py"], environment, tmp_path) as address:
        address = address.rstrip("/")
        pid = _pid_of(tmp_path)
        port = int(address.rpartition(":")[2])
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        for n, connection in enumerate(held):
            connection.sendall((b"GET /", b"GET /gradio_api/heartbeat/x HTTP/1.1\r\nHost: localhost\r\n\r\n")[n % 2])
        path = upload(address, bombs.heavy_jpeg(), "a.jpg")
        threading.Thread(target=lambda: _quietly(read, address, path), daemon=True).start()
        time.sleep(1)
        started = children(pid)
        begin = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        while runs(pid):
            assert time.monotonic() - begin < 20, "it still runs"
            time.sleep(0.05)
        print(f"ended after {time.monotonic() - begin:.1f} s")
        assert not any(map(runs, started))
        for connection in held:
            connection.close()


def _quietly(function, *arguments):
    with contextlib.suppress(Exception):
        function(*arguments)


def _pid_of(folder):
    mark = f"TMPDIR={folder}/temporary".encode()
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            seen = process.name.isdigit() and mark in (process / "environ").read_bytes()
            if seen and b"app.py" in (process / "cmdline").read_bytes():
                return int(process.name)
    raise LookupError("the app's process")
