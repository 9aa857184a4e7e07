"""Signing in with a Hub account, against a provider on this machine: who gets in, and who does not.

The app runs as on a Space. Its cookie is for https only, so the tests carry it by hand, and they take the redirects to
https://SPACE_HOST to the app's own address.
"""

import base64
import contextlib
import hashlib
import html
import json
import sys
import time
from urllib.parse import quote, urlsplit

import itsdangerous
import pytest
from huggingface_hub.repocard import metadata_load
from starlette.testclient import TestClient

from busi_model.cli.start import StartError, serve
from busi_model.clinic.view import encode_png
from busi_model.page import strings
from busi_model.page.server.sign_in import hub_login
from busi_model.page.server.sign_in.hub_login import VARIABLE, HubUsers
from busi_model.page.server.sign_in.login import LoginError
from busi_model.phantom import draw_phantom
from busi_model.training.release.publish import front_matter_problems
from tests.support.browser import ROOT, ask, served
from tests.support.openid_stand_in import CLIENT, SECRET, TOKEN, running_provider

SPACE_HOST = "owner-busi.hf.space"
SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "owner/busi",
    "OAUTH_CLIENT_ID": CLIENT,
    "OAUTH_CLIENT_SECRET": SECRET,
    "OAUTH_SCOPES": "openid profile",
    "OPENID_PROVIDER_URL": "https://huggingface.co",
}


def users(monkeypatch, value, **other):
    """What the app makes of BUSI_HUB_USERS on a Space. other: variables that are otherwise there; None: not there."""
    environment = {**SPACE, VARIABLE: value, **other}
    monkeypatch.setattr("os.environ", {name: value for name, value in environment.items() if value is not None})
    return HubUsers.from_environment()


def test_without_the_variable_nobody_is_asked(monkeypatch):
    assert users(monkeypatch, None) is None


def test_names_on_the_list_may_enter_in_any_case(monkeypatch):
    allowed = users(monkeypatch, "Ada, grace-hopper")
    for name in ("ada", "Ada", "ADA", "Grace-Hopper"):
        assert name in allowed
    for name in ("", "ad", "adam", "grace", "*", "grace-hopper ", "Ada, grace-hopper", "gra\u212ae"):
        assert name not in allowed
    assert "\u212aim" not in users(monkeypatch, "kim")  # the Kelvin sign, whose small letter is a k


def test_a_star_is_everyone_who_signed_in(monkeypatch):
    assert "anyone" in users(monkeypatch, "*")


@pytest.mark.parametrize(
    ("value", "other", "words"),
    [
        ("", {}, "entry 1 is no name"),
        ("ada,", {}, "entry 2 is no name"),
        ("ada,*", {}, "entry 2 is no name"),
        ("ada grace", {}, "entry 1 is no name"),
        ("ada@hospital.example", {}, "entry 1 is no name"),
        ("ada", {"BUSI_AUTH": "ada:lovelace1"}, "both set. Keep one"),
        ("ada", {"SPACE_ID": None}, "on a Space only"),
        ("ada", {"SYSTEM": None}, "on a Space only"),
        *[("ada", {name: None}, f"{name} is not or is empty.*hf_oauth") for name in hub_login.SPACE_SETS],
        *[("ada", {name: ""}, f"{name} is not or is empty.*hf_oauth") for name in hub_login.SPACE_SETS],
    ],
)
def test_a_wrong_setting_is_one_sentence(monkeypatch, value, other, words):
    with pytest.raises(LoginError, match=words) as refusal:
        users(monkeypatch, value, **other)
    assert SECRET not in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("package", hub_login.PACKAGES)
def test_a_missing_package_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LoginError, match=rf"{package}. Run: pip install"):
        users(monkeypatch, "ada")


def test_a_wrong_setting_ends_the_program_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "ada")
    monkeypatch.delenv("SYSTEM", raising=False)
    with pytest.raises(StartError, match=r"BUSI_HUB_USERS asks the Hugging Face Hub .* Space only"):
        serve(contextlib.ExitStack(), str(tmp_path))


def test_the_front_matter_may_ask_for_the_sign_in():
    facts = metadata_load(ROOT / "README.md") | {"models": ["owner/model"]}
    assert front_matter_problems(facts | {"hf_oauth": True, "hf_oauth_authorized_org": "hospital"}, ROOT) == []


# The middleware alone


def behind_the_sign_in(session):
    """A client of an app that says "inside", behind what lets ada in. session: Gradio's; None: Gradio made none."""

    async def inside(scope, receive, send):
        await hub_login.HTMLResponse("inside")(scope, receive, send)

    middleware = hub_login.HubUsersOnly(inside, HubUsers(["ada"]))

    async def with_session(scope, receive, send):
        await middleware(scope if session is None else {**scope, "session": session}, receive, send)

    return TestClient(with_session)


def vouched(name="ada", left_s=60):
    return {"oauth_info": {"userinfo": {"preferred_username": name}, "expires_at": time.time() + left_s}}


def test_a_vouched_and_listed_user_gets_through():
    for path in ("/", "/config"):
        assert behind_the_sign_in(vouched()).get(path).text == "inside"


@pytest.mark.parametrize(
    "session",
    [
        None,
        {},
        {"oauth_info": None},
        {"oauth_info": {}},
        {"oauth_info": {"userinfo": {"preferred_username": "ada"}}},  # without an end
        {"oauth_info": {"expires_at": time.time() + 600}},
        vouched(left_s=-1),
        vouched(""),
    ],
)
def test_what_the_hub_did_not_vouch_for_is_nobody(session):
    client = behind_the_sign_in(session)
    assert client.get("/config").status_code == 401
    assert client.get("/config").json() == {"detail": strings.HUB_NOBODY}
    assert strings.HUB_TEXT in client.get("/").text


def test_a_name_is_shown_as_text():
    shown = behind_the_sign_in(vouched("<b>&{user}")).get("/")
    assert shown.status_code == 403 and "<b>" not in shown.text and "&lt;b&gt;&amp;{user}" in shown.text


# The app on a Space


@pytest.fixture(scope="module")
def provider():
    with running_provider() as running:
        yield running


def package_of_spaces(folder):
    """Every Space has the package `spaces`, and Gradio calls two of its functions. Here they do nothing."""
    for name, text in {
        "spaces/__init__.py": "def gradio_auto_wrap(function): return function\n",
        "spaces/reloading.py": "def start_reload_server(**_): pass\n",
        "spaces-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: spaces\nVersion: 1.0\n",
    }.items():
        path = folder / "packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder / "packages")


@pytest.fixture(scope="module")
def space(untrained, provider, tmp_path_factory):
    """Address of the app, which lets ada and grace in."""
    folder = tmp_path_factory.mktemp("hub")
    environment = {
        **SPACE,
        VARIABLE: "Ada,grace",
        "OPENID_PROVIDER_URL": provider.url,
        "SPACE_HOST": SPACE_HOST,
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "BUSI_WEIGHTS": str(untrained),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": package_of_spaces(folder),
    }
    with served([sys.executable, "app.py"], environment, folder) as address:
        yield address


def cookie_of(headers):
    said = headers.get("Set-Cookie", "")
    assert not said or {"httponly", "secure"} <= {part.strip().lower() for part in said.split(";")}
    return said.split(";")[0]


def sign_in(space, provider, user):
    """The way of a browser. Gives the answer of the way back, and the cookie, which is "" if there is none."""
    provider.user = user
    status, headers, _ = ask(space, hub_login.SIGN_IN)
    assert status == 302 and headers["Location"].startswith(provider.url)
    asked, (_, headers, _) = cookie_of(headers), ask(provider.url, headers["Location"].removeprefix(provider.url))
    back = urlsplit(headers["Location"])
    assert (back.scheme, back.netloc, back.path) == ("https", SPACE_HOST, hub_login.CALLBACK)
    answer = ask(space, f"{back.path}?{back.query}", Cookie=asked)
    return answer, cookie_of(answer[1])


def made_cookie(content, secret=SECRET):
    """As Gradio and Starlette would make it."""
    signer = itsdangerous.TimestampSigner(hashlib.sha256(f"{secret}-v4".encode()).hexdigest())
    return "session=" + signer.sign(base64.b64encode(json.dumps(content).encode())).decode()


def send(space, **headers):
    body = b'--e\r\nContent-Disposition: form-data; name="files"; filename="scan.png"\r\n\r\n'
    body += encode_png(draw_phantom("benign", 2, 90, 110)[0]) + b"\r\n--e--\r\n"
    return ask(space, "/gradio_api/upload", "POST", body, Content_Type="multipart/form-data; boundary=e", **headers)


def assert_closed(space, status, file, **headers):
    """Nothing but the sentence, at no route. file: an upload of somebody else."""
    for path in ("/config", "/theme.css", "/manifest.json", "/assets/x.js", "/login", "/login/", file):
        assert ask(space, path, **headers)[0] in (status, 404), path
    for name in ("info", "heartbeat/x", "queue/data?session_hash=x", "call/predict/x", "app_id", "login_check"):
        assert ask(space, f"/gradio_api/{name}", **headers)[0] == status, name
    body = json.dumps({"data": [None], "fn_index": 0, "session_hash": "x"})
    for name in ("queue/join", "call/predict", "cancel", "reset"):
        answer = ask(space, f"/gradio_api/{name}", "POST", body, Content_Type="application/json", **headers)
        assert answer[0] == status and set(json.loads(answer[2])) == {"detail"}, name
    assert send(space, **headers)[0] == status
    assert strings.UPLOAD_LABEL.encode() not in ask(space, "/", **headers)[2]


def test_the_way_in_and_out(space, provider):
    (status, headers, _), cookie = sign_in(space, provider, "ada")
    assert (status, urlsplit(headers["Location"]).path) == (307, "/")
    shown = ask(space, "/", Cookie=cookie)[2].decode()
    assert strings.UPLOAD_LABEL in shown and f'href=\\"{hub_login.SIGN_OUT}\\"' in shown
    status, _, said = send(space, Cookie=cookie)
    assert status == 200
    path = json.loads(said)[0]
    file = f"/gradio_api/file={quote(path)}"
    assert ask(space, file, Cookie=cookie)[0] == 200
    body = json.dumps({"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]})
    how = {"Content_Type": "application/json", "Cookie": cookie}
    event = json.loads(ask(space, "/gradio_api/call/predict", "POST", body, **how)[2])["event_id"]
    said = ask(space, f"/gradio_api/call/predict/{event}", Cookie=cookie)[2].decode()
    assert "event: complete" in said and '"class_probabilities"' in said

    assert_closed(space, 401, file)
    assert strings.HUB_TEXT in ask(space, "/")[2].decode()
    (_, _, _), other = sign_in(space, provider, "mallory")
    assert_closed(space, 403, file, Cookie=other)
    status, _, said = ask(space, "/", Cookie=other)
    assert status == 403 and html.escape(strings.HUB_STRANGER.format(user="mallory")) in said.decode()

    status, headers, _ = ask(space, hub_login.SIGN_OUT, Cookie=cookie)
    assert status == 307 and cookie_of(headers) == "session=null"
    assert_closed(space, 401, file, Cookie=cookie_of(headers))


def test_no_token_reaches_the_browser(space, provider):
    _, cookie = sign_in(space, provider, "grace")
    content = json.loads(base64.b64decode(cookie.removeprefix("session=").split(".")[0]))
    assert set(content) == {"oauth_info"} and set(content["oauth_info"]) == {"userinfo", "expires_at"}
    assert content["oauth_info"]["userinfo"] == {"preferred_username": "grace"} and TOKEN not in str(content)


def test_only_a_cookie_of_the_spaces_own_counts(space):
    assert ask(space, "/config", Cookie=made_cookie(vouched()))[0] == 200  # or the others would prove nothing
    good = made_cookie(vouched())
    mallory, _, signature = made_cookie(vouched("mallory")).partition(".")
    for cookie in (
        made_cookie(vouched(left_s=-1)),
        made_cookie(vouched(), secret=""),  # what Gradio signs with where a Space has no secret
        good[:-3] + "AAA",
        good.partition(".")[0] + "." + signature,
        "session=" + base64.b64encode(json.dumps(vouched()).encode()).decode(),
        "session=null",
        "session=",
        "session=" + "x" * 3000,
    ):
        assert ask(space, "/config", Cookie=cookie)[0] == 401, cookie


def test_a_hub_that_says_no_or_is_not_the_hub_signs_nobody_in(space, provider):
    (status, _, said), cookie = sign_in(space, provider, None)
    assert status == 502 and html.escape(strings.HUB_FAILED) in said.decode() and "oauth_info" not in cookie
    assert ask(space, "/config", Cookie=cookie)[0] == 401
    provider.forges = True
    try:
        (status, _, said), cookie = sign_in(space, provider, "ada")
    finally:
        provider.forges = False
    assert status == 502 and html.escape(strings.HUB_FAILED) in said.decode()
    assert ask(space, "/config", Cookie=cookie)[0] == 401
    # A code and a state that this browser did not ask for: the user starts again
    status, headers, _ = ask(space, f"{hub_login.CALLBACK}?code=x&state=y")
    assert status == 307 and headers["Location"].startswith(hub_login.SIGN_IN)


def test_other_websites_do_not_ride_on_the_sign_in(space):
    cookie = made_cookie(vouched())
    for how in ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors"}, {"Origin": "https://evil.example"}):
        assert send(space, Cookie=cookie, **how)[0] == 403
        assert ask(space, "/config", Cookie=cookie, **how)[0] == 403
    # The Hub's frame loads the page, and the page in it asks its own server
    framed = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}
    assert ask(space, "/", Cookie=cookie, **framed)[0] == 200
    assert send(space, Cookie=cookie, Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors")[0] == 200
