"""The optional login: what BUSI_AUTH may say, who gets in, and that nothing of a user's gets into the log."""

import contextlib
import json
import sys
from urllib.parse import quote, urlencode

import pytest
from fastapi import HTTPException
from playwright.sync_api import expect

from busi_model.cli.start import StartError, serve
from busi_model.page import strings
from busi_model.page.server import visitor
from busi_model.page.server.sign_in.login import VARIABLE, Accounts, LoginError
from busi_model.reading.session.access import Attempts
from busi_model.reading.storage.store import Store
from tests.support.browser import PATIENCE_S, ask, expect_result, phantom_file, served, upload

SECRET = "blue, green: 7 Töne"  # a password may hold what separates pairs, in a file


def accounts(monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    return Accounts.from_environment()


def test_without_the_variable_everyone_may_enter(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert Accounts.from_environment() is None


def test_pairs_open_to_their_own_password_only(monkeypatch):
    check = accounts(monkeypatch, "ada:lovelace1,grace:hop:per:2")
    assert check("ada", "lovelace1") and check("grace", "hop:per:2")
    for user, password in [("ada", "hop:per:2"), ("ada", ""), ("ada", "lovelace"), ("", ""), ("nobody", "lovelace1")]:
        assert not check(user, password)


def test_a_file_holds_any_password_and_must_be_closed(monkeypatch, tmp_path):
    path = tmp_path / "users"
    path.write_text(f"ada:{SECRET}\n\ngrace:hopper-1906\n", encoding="utf-8")
    path.chmod(0o640)
    with pytest.raises(LoginError, match="chmod 600"):
        accounts(monkeypatch, f"@{path}")
    path.chmod(0o600)
    check = accounts(monkeypatch, f"@{path}")
    assert check("ada", SECRET) and check("grace", "hopper-1906") and not check("ada", "hopper-1906")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "entry 1 is no such pair"),
        ("ada", "entry 1 is no such pair"),
        (":password1", "entry 1 is no such pair"),
        ("ada:lovelace1,grace", "entry 2 is no such pair"),
        ("ada:lovelace1,grace:hop", "password of entry 2 has 3 letters; at least 8"),
        ("ada:lovelace1,ada:lovelace2", "one user twice"),
        ("@/no/such/file", "cannot be read"),
        ("@/", "cannot be read"),
        ("@a\0b", "cannot be read"),
    ],
)
def test_a_wrong_form_is_one_sentence_without_passwords(monkeypatch, value, words):
    monkeypatch.setattr("os.environ", {VARIABLE: value})  # the real one takes no \0
    with pytest.raises(LoginError, match=words) as refusal:
        Accounts.from_environment()
    assert "lovelace" not in str(refusal.value) and "\n" not in str(refusal.value)


def test_an_empty_file_locks_nobody_in(monkeypatch, tmp_path):
    path = tmp_path / "users"
    path.touch(0o600)
    with pytest.raises(LoginError, match="no pair was found"):
        accounts(monkeypatch, f"@{path}")


def at(check, address, browser, user, password):
    """What the form gets from this address and browser: True, False, or the seconds to wait."""
    visitor.address.set(address)
    visitor.browser.set(browser)
    try:
        return check(user, password)
    except HTTPException as refusal:
        assert refusal.status_code == 429 and refusal.headers["Retry-After"] in refusal.detail
        return int(refusal.headers["Retry-After"])


def test_guessing_is_slowed_down_and_shuts_nobody_out():
    time_s = [0.0]
    clock = {"clock": lambda: time_s[0]}
    check = Accounts({"ada": "lovelace1", "grace": "hopper-1906"}, Attempts(3, **clock), Attempts(20, **clock))
    assert at(check, "home", "ada's", "ada", "lovelace1") is True
    for number in range(10):  # of which three count: the others come too early
        assert at(check, "evil", "x", "ada", f"guess {number}") in (False, 1)
    assert at(check, "evil", "x", "ada", "lovelace1") == 1
    assert at(check, "elsewhere", "", "ada", "lovelace1") is True  # the name is not shut out
    assert at(check, "evil", "", "grace", "hopper-1906") is True  # nor is the address, for other names
    time_s[0] += 1
    assert at(check, "evil", "x", "ada", "guess") is False
    assert at(check, "evil", "x", "ada", "lovelace1") == 2
    for number in range(40):  # many addresses guess at one name
        at(check, f"evil {number}", "x", "ada", "guess")
    assert 1 <= at(check, "new", "", "ada", "lovelace1") <= 30
    assert at(check, "evil", "ada's", "ada", "lovelace1") is True  # a browser that logged in before
    time_s[0] += 30
    assert at(check, "new", "", "ada", "lovelace1") is True


# The app with a login


@pytest.fixture(scope="module")
def guarded(untrained, tmp_path_factory):
    """(address, folder) of the app with two accounts and a host's password."""
    folder = tmp_path_factory.mktemp("login")
    users = folder / "users"
    users.write_text(f"ada:{SECRET}\nlocked:out-of-here\n", encoding="utf-8")
    users.chmod(0o600)
    environment = {
        "BUSI_WEIGHTS": str(untrained),
        VARIABLE: f"@{users}",
        "BUSI_HOST_PASSWORD": "correct horse",
        "OMP_NUM_THREADS": "1",
    }
    with served([sys.executable, "-m", "tests.support.staged_app"], environment, folder) as address:
        yield address, folder


def log_in(address, user, password):
    form = urlencode({"username": user, "password": password})
    kind = "application/x-www-form-urlencoded"
    status, headers, _ = ask(address, "/login", "POST", form, Content_Type=kind)
    return status, "; ".join(cookie.split(";")[0] for cookie in headers.get_all("Set-Cookie", []))


def send(address, **headers):
    body = b'--e\r\nContent-Disposition: form-data; name="files"; filename="scan.png"\r\n\r\npixels\r\n--e--\r\n'
    return ask(address, "/gradio_api/upload", "POST", body, Content_Type="multipart/form-data; boundary=e", **headers)


def test_without_a_login_there_is_nothing_to_see(guarded):
    address, _ = guarded
    _, cookie = log_in(address, "ada", SECRET)
    status, _, said = send(address, Cookie=cookie)
    assert status == 200
    file = f"/gradio_api/file={quote(json.loads(said)[0])}"
    assert ask(address, file, Cookie=cookie)[2] == b"pixels"
    assert ask(address, "/", Cookie=cookie)[2].count(strings.UPLOAD_LABEL.encode())
    for how in ({}, {"Cookie": cookie.replace("=", "=x")}):
        assert ask(address, file, **how)[0] == 401
        assert send(address, **how)[0] == 401
        assert strings.UPLOAD_LABEL.encode() not in ask(address, "/", **how)[2]
        for path in ("/config", "/gradio_api/info", "/gradio_api/queue/data?session_hash=x"):
            assert ask(address, path, **how)[0] == 401, path
        for path in ("/gradio_api/heartbeat/x", "/gradio_api/app_id"):
            assert ask(address, path, **how)[0] == 401, path
        for path in ("cancel", "reset", "call/predict", "queue/join"):
            path = f"/gradio_api/{path}"
            body = json.dumps({"data": [None], "session_hash": "x", "fn_index": 0, "event_id": "x"})
            assert ask(address, path, "POST", body, Content_Type="application/json", **how)[0] == 401, path


def test_a_wrong_password_does_not_open(guarded):
    address, _ = guarded
    for user, password in [("ada", "wrong"), ("nobody", SECRET), ("", "")]:
        status, cookie = log_in(address, user, password)
        assert status in (400, 422) and not cookie
    statuses = [log_in(address, "locked", f"guess {number}")[0] for number in range(10)]
    assert statuses[:5] == [400] * 5 and set(statuses) <= {400, 429}
    assert log_in(address, "ada", SECRET)[0] == 200  # others are not locked out


def test_a_wrong_form_ends_the_program_with_a_sentence(untrained, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "ada:short")
    with pytest.raises(StartError, match=r"BUSI_AUTH: the password of entry 1 has 5 letters"):
        serve(contextlib.ExitStack(), str(tmp_path))


def test_the_log_holds_nothing_that_a_user_brought(chromium, guarded, tmp_path):
    """File names, comments, passwords; a picture that can be read and one that cannot."""
    address, folder = guarded
    named = phantom_file(tmp_path, "benign", 1, 302, 420).rename(tmp_path / "PatientName 1956.png")
    broken = tmp_path / "PatientName 1957.dcm"
    broken.write_bytes(b"\0" * 128 + b"DICM" + b"PatientName")
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE_S * 1000)
    expect.set_options(timeout=PATIENCE_S * 1000)
    tab = context.new_page()
    blocked = []
    tab.on("console", lambda message: "Content Security Policy" in message.text and blocked.append(message.text))
    tab.goto(address)
    tab.locator("input[type=password]").wait_for()
    tab.locator("input").first.fill("ada")
    tab.locator("input[type=password]").fill(SECRET)
    tab.keyboard.press("Enter")
    tab.locator("#upload input[type=file]").wait_for(state="attached")
    tab.locator("#upload .zone").wait_for()
    upload(tab, named, broken)
    expect_result(tab, 420, 302)
    expect(tab.locator(".worklist li").last).to_contain_text(strings.CASE_STATES["unreadable"])
    tab.locator("#feedback-more button").first.click()
    tab.locator("#feedback-comment textarea").fill("PatientName has a scar")
    tab.locator("#feedback-agree").click()
    expect(tab.locator("#feedback-receipt")).to_contain_text("Saved here")
    tab.get_by_role("tab", name=strings.TAB_HOST).click()
    tab.locator("#host-password input").fill("PatientName")
    tab.locator("#host-open").click()
    expect(tab.locator("#host-said")).to_contain_text("wrong")
    context.close()
    assert blocked == []
    store = Store(folder / "store")
    assert [record.content["comment"] for record in store.records()] == ["PatientName has a scar"]
    store.close()
    printed = (folder / "log.txt").read_text()
    for word in ("PatientName", "scar", SECRET, "correct horse", str(tmp_path)):
        assert word not in printed, printed
