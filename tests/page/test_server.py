"""What surrounds the page, on the running app and without a browser: what comes in, what goes out, what stays behind.

One server for most tests. It has a host's password, a store, and a web proxy that only counts who would go through it.
"""

import hashlib
import itertools
import json
import logging
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

import gradio as gr
import httpx
import pytest
from gradio import processing_utils
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from busi_model import files
from busi_model.clinic.view import encode_png
from busi_model.page import strings
from busi_model.page.server import guard as server
from busi_model.page.server import log as page_log
from busi_model.page.server.access_rules import LOOPBACK, AccessRules
from busi_model.page.server.events import Page, refuse_addresses
from busi_model.page.server.sign_in.login import LoginError
from busi_model.page.server.visitor import Forwarded
from busi_model.phantom import draw_phantom
from tests.support.browser import PATIENCE_S, ROOT, ask, served
from tests.support.panel import served_here

PNG = encode_png(draw_phantom("benign", 2, 90, 110)[0])
META = {"_type": "gradio.FileData"}
SETTING = re.compile(r"\bBUSI_[A-Z_]+\b")
NAME = "Jane Doe 1956.png"  # `served` looks for it in what the app printed


class Listener:
    """Counts connections to a port of this machine and answers none."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.n_connections = self.socket.getsockname()[1], 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            connection, _ = self.socket.accept()
            self.n_connections += 1
            connection.close()


KILLED = """
import signal, sys, time
from busi_model import files
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell in the background has switched off
with files.private_folder() as folder:
    (folder / "patient.png").write_bytes(b"an image")
    print(folder, flush=True)
    time.sleep(600)
"""


def hold_a_folder(temporary_folder):
    """A program that has a private folder with an image in it: the process, and the folder."""
    environment = {**os.environ, "TMPDIR": str(temporary_folder)}
    command = [sys.executable, "-c", KILLED]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    return process, Path(process.stdout.readline().strip())


@pytest.fixture(scope="module")
def proxy():
    return Listener()


@pytest.fixture(scope="module")
def app(untrained, proxy, tmp_path_factory):
    """(address, folder with log.txt, store/ and temporary/) of the app; an earlier run was killed there."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "temporary").mkdir()
    process, left = hold_a_folder(folder / "temporary")
    process.kill()
    process.communicate()
    assert (left / "patient.png").is_file()  # what a kill leaves
    through = f"http://127.0.0.1:{proxy.port}"
    environment = {
        "BUSI_WEIGHTS": str(untrained),
        "BUSI_HOST_PASSWORD": "correct horse",
        "OMP_NUM_THREADS": "1",
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), through),
        "NO_PROXY": "127.0.0.1,localhost",
    }
    with served([sys.executable, "app.py"], environment, folder) as address:
        assert not left.exists()
        yield address.rstrip("/"), folder


def upload(app, content=PNG, name=NAME, **headers):
    """Status, and the path that the server gives, or its words."""
    edge = "edge-of-a-part"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{edge}--\r\n".encode()
    kind = f"multipart/form-data; boundary={edge}"
    status, _, said = ask(app[0], "/gradio_api/upload", "POST", body, Content_Type=kind, **headers)
    return status, json.loads(said)[0] if status == 200 else said.decode()


def event(app, fn_index, data):
    """What the page's own event answers, called as its JavaScript does: the last message, as text."""
    session = os.urandom(6).hex()
    body = json.dumps({"data": data, "fn_index": fn_index, "session_hash": session, "event_data": None})
    status, _, said = ask(app[0], "/gradio_api/queue/join", "POST", body, Content_Type="application/json")
    assert status == 200, said
    with urllib.request.urlopen(f"{app[0]}/gradio_api/queue/data?session_hash={session}", timeout=PATIENCE_S) as stream:
        for line in stream:
            if b'"process_completed"' in line:
                return line.decode()


def api(app, payload):
    status, _, said = ask(
        app[0], "/gradio_api/call/predict", "POST", json.dumps({"data": [payload]}), Content_Type="application/json"
    )
    assert status == 200, said
    return ask(app[0], f"/gradio_api/call/predict/{json.loads(said)['event_id']}")[2].decode()


def config(app):
    return json.loads(ask(app[0], "/config")[2])


def events_with(app, kind):
    """(index of the event, its inputs with None in them, place of the first component of that kind)."""
    page = config(app)
    kinds = {component["id"]: component["type"] for component in page["components"]}
    for number, dependency in enumerate(page["dependencies"]):
        inputs = [kinds[i] for i in dependency["inputs"]]
        if kind in inputs and dependency["backend_fn"]:
            yield dependency.get("id", number), [None] * len(inputs), inputs.index(kind)


# Headers


@pytest.mark.parametrize("path", ["/", "/config", "/theme.css", "/gradio_api/info", "/no/such/route"])
def test_every_answer_has_the_headers(app, path):
    _, headers, _ = ask(app[0], path)
    policy = headers["Content-Security-Policy"]
    assert "connect-src 'self'" in policy and "frame-ancestors 'self'" in policy and "object-src 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_an_uploaded_page_can_do_nothing(app):
    status, path = upload(app, b"<script>alert(1)</script>", "scan.html")
    assert status == 200
    status, headers, _ = ask(app[0], f"/gradio_api/file={quote(path)}")
    assert status == 200 and headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment") and "no-store" in headers["Cache-Control"]


async def hello(scope, receive, send):
    if scope["path"] == "/config":
        raise OSError(28, "No space left on device", NAME)
    await server.PlainTextResponse("hello")(scope, receive, send)


def test_a_space_may_be_shown_by_the_hub_and_by_no_one_else():
    headers = TestClient(server.Guard(hello, on_space=True)).get("/").headers
    ancestors = headers["Content-Security-Policy"].split("frame-ancestors ")[1].split()
    assert "https://huggingface.co" in ancestors and not {"*", "https:", "http:"} & set(ancestors)
    assert "X-Frame-Options" not in headers  # it knows no list


# Routes


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/process_recording",
        "/gradio_api/component_server",
        "/gradio_api/proxy=https://huggingface.co/x.png",
        "/gradio_api/file=https://huggingface.co/x.png",
        "/gradio_api/file=https:%2f%2fhuggingface.co/x.png",
        "/gradio_api/custom_component/1/server/component/x.js",
        "/gradio_api/vibe-edit",
        "/gradio_api/stream/x",
        "/gradio_api/deep_link",
        "/gradio_api/runs",
        "/gradio_api/run/predict",
        "/gradio_api/api/predict",
        "/gradio_api/call/v2/predict",
        "/gradio_api/startup-events",
        "/gradio_api/queue/status",
        "/monitoring",
        "/docs",
        "/svelte/x.js",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_the_page_does_not_need_is_closed(app, proxy, path, method):
    status, _, said = ask(app[0], path, method)
    assert (status, said.decode()) == (404, strings.NO_SUCH_ADDRESS)
    assert proxy.n_connections == 0


# Addresses in place of files


ADDRESSES = ["http://huggingface.co/scan.png", "https://huggingface.co/scan.png", "http://127.0.0.1:9/scan.png"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_api_fetches_no_address(app, proxy, address):
    said = api(app, {"path": address, "url": address, "meta": META})
    assert "event: error" in said and strings.ADDRESS_REFUSED in said
    assert proxy.n_connections == 0


@pytest.mark.parametrize("kind", ["file", "html", "textbox", "radio", "number"])
def test_no_component_fetches_an_address(app, proxy, kind):
    given = {"path": ADDRESSES[0], "meta": META}
    n_events = 0
    for fn_index, data, place in events_with(app, kind):
        for value in (given, [given], {"deep": {"er": given}}):
            data[place] = value
            assert strings.ADDRESS_REFUSED in event(app, fn_index, data)
        n_events += 1
        if n_events == 2:
            break
    assert n_events and proxy.n_connections == 0


def test_unprotected_gradio_would_have_fetched(proxy, monkeypatch, tmp_path):
    """Or the two tests above would prove nothing."""
    monkeypatch.setattr(processing_utils, "async_transport", None)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    before = proxy.n_connections
    with pytest.raises(Exception, match=r".*"):
        processing_utils.ssrf_protected_download(ADDRESSES[0], str(tmp_path))
    assert proxy.n_connections > before
    proxy.n_connections = before


def test_a_gradio_that_fetches_otherwise_is_not_started(monkeypatch):
    monkeypatch.delattr(processing_utils, "async_transport")
    with pytest.raises(RuntimeError, match="Install gradio"):
        refuse_addresses()


# Files of the server


def test_a_forged_path_gets_a_sentence_and_names_nothing(app):
    for path in (f"{app[1]}/temporary/{NAME}", "/etc/passwd", "app.py", "../app.py", "\0"):
        said = api(app, {"path": path, "meta": META})
        assert "event: error" in said and strings.EVENT_FAILED in said
        assert str(app[1]) not in said and "passwd" not in said


def test_a_file_of_the_server_is_never_taken_for_an_upload(app, tmp_path):
    """A readable picture that nobody uploaded, by the API and by events that take whatever is sent."""
    secret = tmp_path / "another-patient.png"
    secret.write_bytes(PNG)
    assert strings.EVENT_FAILED in api(app, {"path": str(secret), "meta": META})
    n_events = 0
    for kind in ("file", "html", "textbox"):
        for fn_index, data, place in itertools.islice(events_with(app, kind), 3):
            data[place] = {"path": str(secret), "meta": META}
            assert strings.EVENT_FAILED in event(app, fn_index, data)
            n_events += 1
    assert n_events > 2
    assert not list((app[1] / "temporary").rglob("another-patient*"))  # nor copied to where uploads lie
    _, path = upload(app)
    assert "event: complete" in api(app, {"path": path, "meta": META})


@pytest.mark.parametrize("start", ["/gradio_api/file=", "/static/", "/assets/"])
def test_no_path_leads_out(app, start):
    store = app[1] / "store"
    files = [str(path) for path in store.rglob("*") if path.is_file()]
    assert files  # the readers' records
    targets = [*files, "/etc/passwd", str(ROOT / "app.py"), "app.py", "weights/config.json", str(app[1] / "log.txt")]
    for target in targets:
        up = "../" * 12 + target.lstrip("/")
        inside = f"{app[1]}/temporary/../{Path(target).name}"
        for way in (target, up, quote(up, safe=""), quote(quote(up, safe="")), up.replace("../", "..%2f"), inside):
            status, _, said = ask(app[0], start + way.replace(" ", "%20"))
            assert status in (400, 403, 404, 405), way
            assert b"root:" not in said and b"SQLite format" not in said and b"Predictor" not in said


# One user's files and another user


def test_a_users_file_is_found_by_nobody_else(app):
    status, path = upload(app)
    assert status == 200
    place = Path(path)
    assert ask(app[0], f"/gradio_api/file={quote(path)}")[2] == PNG  # who has the address has the file
    digest = place.parent.name
    assert len(digest) == 64 and digest != hashlib.sha256(PNG).hexdigest()  # salted: the content does not tell
    for folder in (place.parent, place.parent.parent):
        assert ask(app[0], f"/gradio_api/file={quote(str(folder))}")[0] in (403, 404)
    assert digest not in json.dumps(config(app)) and digest not in ask(app[0], "/")[2].decode()
    private = place.parent.parent
    assert private.parent == app[1] / "temporary"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700  # nor by another user of the machine


# Other websites


@pytest.mark.parametrize(
    ("method", "headers", "foreign"),
    [
        ("POST", {}, False),  # a script
        ("POST", {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, False),
        ("GET", {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, False),  # typed
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, False),  # a link
        ("POST", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, True),  # a form elsewhere
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, True),  # an image elsewhere
        ("GET", {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, True),
        ("POST", {"origin": "http://page:7860", "host": "page:7860"}, False),
        ("POST", {"origin": "http://evil.example", "host": "page:7860"}, True),
        ("POST", {"origin": "null", "host": "page:7860"}, True),
        ("POST", {"origin": "http://evil.example", "host": "page", "x-forwarded-host": "evil.example"}, True),
    ],
)
def test_other_websites_are_told_apart(method, headers, foreign):
    assert server.is_foreign(method, Headers(headers)) is foreign


def test_another_website_reads_and_sends_nothing(app):
    status, _, said = ask(app[0], "/config", Origin="http://evil.example")
    assert (status, said.decode()) == (403, strings.FOREIGN_SITE)
    assert upload(app, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403


def test_only_this_machine_can_connect(app):
    """On Linux 127.0.0.2 is this machine, too, and answers for a server that listens to everyone."""
    port = int(app[0].rpartition(":")[2])
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    with pytest.raises(OSError, match=r".*"):
        socket.create_connection(("127.0.0.2", port), timeout=5)


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "visitor"),
    [
        ((), "127.0.0.1", "9.9.9.9", "127.0.0.1"),  # nobody was named: a made-up address counts for nothing
        (("10.0.0.5",), "10.0.0.6", "9.9.9.9", "10.0.0.6"),
        (("10.0.0.5",), "10.0.0.5", "9.9.9.9", "9.9.9.9"),
        (("10.0.0.5",), "10.0.0.5", "1.2.3.4, 9.9.9.9", "9.9.9.9"),  # the visitor wrote the first one
        (("10.0.0.0/24",), "10.0.0.5", "1.2.3.4, 9.9.9.9, 10.0.0.7", "9.9.9.9"),
        (("10.0.0.0/24",), "10.0.0.5", "10.0.0.8, 10.0.0.7", "10.0.0.8"),
        (("10.0.0.5",), "10.0.0.5", "no address", "10.0.0.5"),
        (("10.0.0.5",), "10.0.0.5", "", "10.0.0.5"),
        (("::1",), "::1", "2001:db8::7", "2001:db8::7"),
        (("*",), "10.0.0.5", "1.2.3.4, 9.9.9.9", "9.9.9.9"),  # a Space
    ],
)
def test_a_proxys_word_counts_only_when_it_was_named(proxies, peer, forwarded, visitor):
    seen = {}

    async def inside(scope, receive, send):
        seen.update(client=scope["client"][0], scheme=scope["scheme"], headers=Headers(scope=scope))
        await server.PlainTextResponse("hello")(scope, receive, send)

    headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    TestClient(Forwarded(inside, proxies), client=(peer, 1)).get("/", headers=headers)
    assert seen["client"] == visitor
    trusted = bool(proxies) and peer != "10.0.0.6"
    assert (seen["scheme"] == "https") is trusted and ("x-forwarded-host" in seen["headers"]) is trusted


def test_a_forwarded_name_must_be_one_of_ours_too():
    client = TestClient(server.Guard(hello, hosts=("busi.example",)), base_url="http://busi.example")
    assert client.get("/").status_code == 200
    assert client.get("/", headers={"X-Forwarded-Host": "evil.example"}).status_code == 421
    assert client.get("/", headers={"X-Forwarded-Host": "busi.example, evil.example"}).status_code == 421


@pytest.mark.parametrize("value", ["somewhere", "10.0.0.5/33", "10.0.0.5,*", "10.0.0.5;10.0.0.6"])
def test_wrong_names_of_proxies_are_told(monkeypatch, value):
    monkeypatch.setenv("BUSI_TRUSTED_PROXIES", value)
    with pytest.raises(LoginError, match="BUSI_TRUSTED_PROXIES must be addresses"):
        AccessRules.from_environment("127.0.0.1", on_space=False)


def test_which_names_are_answered(monkeypatch):
    monkeypatch.setenv("BUSI_ALLOWED_HOSTS", "BUSI.example, other.example")
    for name in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0"):
        hosts = AccessRules.from_environment(name, on_space=False).hosts
        assert set(hosts) == {*LOOPBACK, "busi.example", "other.example"}
    monkeypatch.delenv("BUSI_ALLOWED_HOSTS")
    assert AccessRules.from_environment("127.0.0.1", on_space=False).hosts == LOOPBACK
    assert AccessRules.from_environment("0.0.0.0", on_space=False).hosts is None
    assert AccessRules.from_environment("127.0.0.1", on_space=True).hosts is None


# The host's password


def test_guessing_the_hosts_password_is_slowed_down(app):
    """Through the page, as a guesser would; the counting itself is tested in reading/test_sessions.py."""
    page = config(app)
    of_id = {c["id"]: c["props"].get("elem_id") for c in page["components"]}
    signs_in = [d for d in page["dependencies"] if [of_id[i] for i in d["inputs"]] == ["host-password"]]
    assert len(signs_in) == 1
    said = [event(app, signs_in[0]["id"], [f"wrong password {number}"]) for number in range(12)]
    assert all("The password is wrong." in words for words in said[:5])
    assert any("Wait" in words for words in said)
    deadline = time.monotonic() + PATIENCE_S
    while "host-new" not in (words := event(app, signs_in[0]["id"], ["correct horse"])) and "Wait" in words:
        assert time.monotonic() < deadline, "the host is shut out"
        time.sleep(0.5)
    assert "wrong" not in words and "Wait" not in words


# The log


def test_a_log_says_where_and_never_what(capsys):
    log = logging.getLogger("busi_model.test")
    handler = logging.StreamHandler()
    handler.setFormatter(page_log.Discreet("%(message)s"))
    log.addHandler(handler)
    log.propagate = False
    try:
        raise FileNotFoundError(2, "No such file", NAME)
    except FileNotFoundError:
        log.exception("Reading failed.")
    finally:
        log.removeHandler(handler)
    said = capsys.readouterr().err
    assert NAME not in said and "FileNotFoundError" in said and "test_a_log_says_where" in said


def test_a_failed_request_is_a_sentence(caplog):
    answer = TestClient(server.Guard(hello)).get("/config")
    assert (answer.status_code, answer.text) == (500, strings.FAILED_TEXT)
    assert "X-Frame-Options" in answer.headers
    assert [record.message for record in caplog.records] == ["A request failed: No space left on device."]


def test_only_our_own_words_reach_the_user():
    def fail(words: str) -> str:
        raise gr.Error(words) if words else FileNotFoundError(2, "No such file", NAME)

    with Page(analytics_enabled=False) as page:
        gr.api(fail, api_name="fail")
    for words in ("/tmp/of/the/server", ""):
        with pytest.raises(gr.Error) as refused:
            processing_utils.client_utils.synchronize_async(page.process_api, next(iter(page.fns)), [words])
        assert refused.value.message == strings.EVENT_FAILED and not refused.value.print_exception


def test_a_call_without_a_session_leaves_none_behind(tmp_path):
    def read() -> str:
        return "all well"

    with Page(analytics_enabled=False) as page:
        asked = gr.State(0)
        gr.api(read, api_name="read")
        gr.Button().click(lambda n: (n + 1, n + 1), [asked], [asked, gr.Number()], api_name="count")
    with served_here(page, tmp_path) as url:
        call = f"{url}gradio_api/call"
        for _ in range(3):
            event_id = httpx.post(f"{call}/read", json={"data": []}).json()["event_id"]
            assert "all well" in httpx.get(f"{call}/read/{event_id}").text
        assert not page.state_holder.session_data
        for expected in (1, 2):  # a session that is named lasts
            event_id = httpx.post(f"{call}/count", json={"data": [], "session_hash": "visit"}).json()["event_id"]
            assert f"[null, {expected}]" in httpx.get(f"{call}/count/{event_id}").text
        assert list(page.state_holder.session_data) == ["visit"]


# Disks and kills


def test_a_full_disk_refuses_an_upload_and_the_next_one_works(app):
    pid = _server_of(app)
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        assert upload(app, bytes(1_000_000)) == (500, strings.FAILED_TEXT)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    wait_until_parts_are_gone(app)
    status, path = upload(app, bytes(1_000_000), "again.png")
    assert status == 200 and Path(path).stat().st_size == 1_000_000


def _server_of(app):
    """Id of the server's process: the child of this one that has the folder. Its helpers, which have it too, are its
    own children."""
    mine = b"PPid:\t%d\n" % os.getpid()
    setting = f"TMPDIR={app[1]}/temporary".encode()
    (pid,) = [
        int(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdigit() and mine in _said_of(path / "status") and setting in _said_of(path / "environ")
    ]
    return pid


def _said_of(entry):
    try:
        return entry.read_bytes()
    except OSError:  # it has just ended, or is another user's
        return b""


@pytest.mark.slow
def test_only_folders_that_nobody_uses_are_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    killed, left = hold_a_folder(tmp_path)
    running, used = hold_a_folder(tmp_path)
    ended, tidied = hold_a_folder(tmp_path)
    try:
        killed.send_signal(signal.SIGKILL)
        ended.send_signal(signal.SIGINT)
        ended.communicate()
        killed.communicate()
        assert not tidied.exists()
        (tmp_path / "busi-somebody").mkdir()  # no lock: not ours
        (tmp_path / "other").mkdir()
        assert files.sweep() == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([used.name, "busi-somebody", "other"])
        assert (used / "patient.png").is_file()
        with files.private_folder() as own:
            assert stat.S_IMODE(own.stat().st_mode) == 0o700
            assert files.sweep() == 0 and own.is_dir()
        assert not own.exists()
    finally:
        running.kill()
        running.communicate()
    assert files.sweep() == 1


@pytest.mark.slow
def test_without_a_place_for_temporary_files_the_app_says_so(tmp_path):
    """No folder of the usual ones can be written; a file stands where TMPDIR points to."""
    program = (
        "import tempfile, runpy\n"
        "def none(*_, **__): raise PermissionError(13, 'Permission denied', '/tmp')\n"
        "tempfile.mkdtemp = none\n"
        "runpy.run_path('app.py', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1 and "TMPDIR" in done.stderr and "Traceback" not in done.stderr


def wait_until_parts_are_gone(app):
    """They go after the answer was sent."""
    deadline = time.monotonic() + PATIENCE_S
    while any(path.is_file() for path in (app[1] / "temporary").glob("busi-*/tmp*")):
        assert time.monotonic() < deadline, "a part of an upload stays behind"
        time.sleep(0.1)


def test_a_broken_off_upload_leaves_nothing_behind(app):
    port = int(app[0].rpartition(":")[2])
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as half:
            head = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n"
            head += "Content-Type: multipart/form-data; boundary=edge\r\n\r\n"
            part = f'--edge\r\nContent-Disposition: form-data; name="files"; filename="{NAME}"\r\n\r\n'
            half.sendall((head + part).encode() + PNG)
    wait_until_parts_are_gone(app)
    assert upload(app)[0] == 200


def test_the_security_page_names_tests_that_exist():
    named = re.findall(r"`([\w/.]+)::(\w+)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8"))
    assert len(named) > 100
    for file, function in named:
        assert f"\ndef {function}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file}::{function}"


def test_each_line_of_the_security_page_names_a_test():
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    for section, least in (("Threats", 40), ("Faults", 25)):
        part = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
        lines = [line for line in part.splitlines() if line.startswith("|")][2:]  # without the heading
        assert len(lines) >= least
        for line in lines:
            assert line.count("|") == 4 and re.search(r"`[\w/.]+\.py::test_\w+`", line.split("|")[3]), line


def test_the_list_of_settings_has_each_that_is_read_and_no_other():
    read = {name for path in (ROOT / "busi_model").rglob("*.py") for name in SETTING.findall(path.read_text("utf-8"))}
    assert len(read) >= 8
    assert set(SETTING.findall((ROOT / "docs" / "settings.md").read_text("utf-8"))) == read
    pages = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"))
    for page in pages:
        of_tests = {"BUSI_DATA_DIR"}
        assert set(SETTING.findall(page.read_text("utf-8"))) <= read | of_tests, page.name
