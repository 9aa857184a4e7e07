"""Who may open the page on a Space, when users sign in with their Hugging Face account: BUSI_HUB_USERS.

Enters: user names, `ada,grace`, or `*` for everyone who signed in; and Gradio's session, which its sign-in with the Hub
fills and whose cookie it signs with the Space's secret (gradio/oauth.py). Leaves: `HubUsersOnly`. Gradio's
sign-in only names a visitor; the middleware keeps everyone else out.
"""

import html
import logging
import os
import re
import time
from importlib.util import find_spec
from typing import Any

from gradio.utils import get_space
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from busi_model.page import strings
from busi_model.page.server.sign_in import login

LOG = logging.getLogger(__name__)
VARIABLE = "BUSI_HUB_USERS"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
FORM = f"{VARIABLE} must be user names of the Hugging Face Hub, ada,grace, or a * alone for everyone who signed in"
SPACE_SETS = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")
PACKAGES = ("authlib", "itsdangerous")
# Gradio's own: the way to the Hub, the way back, the way out.
SIGN_IN, CALLBACK, SIGN_OUT = "/login/huggingface", "/login/callback", "/logout"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><style>
:root {{ color-scheme: light dark }}
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }}</style></head>
<body><main><h1>{title}</h1><p>{words}</p>{links}<p>{note}</p></main></body></html>"""


class HubUsers:
    """Who may enter: `name in users`, whatever the case of its letters, as the Hub has it."""

    def __init__(self, names: list[str]):
        """names: ["*"] is everyone. Raises LoginError."""
        self._names = {name.lower() for name in names}
        wrong = next((number for number, name in enumerate(names, start=1) if not NAME.fullmatch(name)), None)
        if wrong and names != ["*"]:
            raise login.LoginError(f"{FORM}; entry {wrong} is no name.")

    @classmethod
    def from_environment(cls) -> "HubUsers | None":
        """None: nobody is asked to sign in. Raises LoginError where the Hub would not be asked, or not safely."""
        if (value := os.environ.get(VARIABLE)) is None:
            return None
        users = cls([name.strip() for name in value.split(",")])
        if login.VARIABLE in os.environ:
            raise login.LoginError(f"{VARIABLE} and {login.VARIABLE} are both set. Keep one of the two.")
        if get_space() is None:  # there Gradio would let everyone in under a made-up name
            raise login.LoginError(
                f"{VARIABLE} asks the Hugging Face Hub who is there, which works on a Space only, and this is none "
                f"(SYSTEM=spaces and SPACE_ID are expected). Elsewhere use {login.VARIABLE}."
            )
        if missing := [name for name in SPACE_SETS if not os.environ.get(name)]:  # an empty secret would sign cookies
            raise login.LoginError(
                f"{VARIABLE} is set, but {missing[0]} is not or is empty. Write `hf_oauth: true` into the block at "
                "the top of the Space's README.md; the Hub then sets it."
            )
        if missing := [name for name in PACKAGES if find_spec(name) is None]:
            raise login.LoginError(f'{VARIABLE} needs the package {missing[0]}. Run: pip install "gradio[oauth]"')
        return users

    def __contains__(self, name: str) -> bool:
        return self._names == {"*"} or (name.isascii() and name.lower() in self._names)


class HubUsersOnly:
    """ASGI middleware inside Gradio's session: only allowed users get through, others no further than the sign-in."""

    def __init__(self, app: ASGIApp, users: HubUsers):
        self.app, self.users = app, users

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = self.app
        user = None
        if scope["type"] != "lifespan":
            if scope["path"] in (SIGN_IN, CALLBACK, SIGN_OUT):
                answer = self._sign_in
            else:
                user = signed_in(scope.get("session", {}))
                if user is None or user not in self.users:
                    answer = refusal(scope["path"], user)
        await answer(scope, receive, send)

    async def _sign_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_little(message: Message) -> None:
            if scope["path"] == CALLBACK:
                keep_little(scope["session"])
            await send(message)

        try:
            await self.app(scope, receive, send_with_little)
        except Exception as error:  # the user said no at the Hub, the Hub cannot be reached, its answer is not its own
            LOG.warning("Signing in at the Hub failed: %s.", type(error).__name__)
            await small_page(strings.HUB_FAILED, 502)(scope, receive, send)


def signed_in(session: dict[str, Any]) -> str | None:
    """The name of the user whom the Hub vouched for, if that has not run out. session: what Gradio's cookie holds."""
    info = session.get("oauth_info") or {}
    name = (info.get("userinfo") or {}).get("preferred_username")
    return name if name and time.time() < (info.get("expires_at") or 0) else None


def keep_little(session: dict[str, Any]) -> None:
    """Of a new sign-in its name and its end stay. Tokens for the Hub, which nobody here needs, do not reach the cookie;
    and browsers drop a cookie above 4 kB."""
    name, info = signed_in(session), session.get("oauth_info") or {}
    session.clear()
    if name:
        session["oauth_info"] = {"userinfo": {"preferred_username": name}, "expires_at": info["expires_at"]}


def refusal(path: str, user: str | None) -> Response:
    """The answer for somebody who may not enter. user: who it is, None if nobody is signed in."""
    words = strings.HUB_STRANGER.format(user=user) if user else strings.HUB_NOBODY
    if path != "/":  # Gradio's script and clients show what stands in `detail`
        return JSONResponse({"detail": words}, 403 if user else 401, {"Cache-Control": "no-store"})
    # 200 as Gradio's own login form has: whether the Hub takes a Space whose "/" answers 401 for a running one is not
    # documented.
    return small_page(words, 403, user) if user else small_page(strings.HUB_TEXT, 200)


def small_page(words: str, status: int, user: str | None = None) -> Response:
    """A page with a sentence and the way to the Hub, or out again."""
    links = [(SIGN_OUT, "", strings.HUB_SIGN_OUT)]
    if user is None:  # the Hub refuses to be shown in a frame, and a Space is shown in one
        links = [(SIGN_IN, ' target="_blank"', strings.HUB_SIGN_IN), ("/", "", strings.HUB_GO_ON)]
    content = PAGE.format(
        title=html.escape(strings.TITLE),
        words=html.escape(words),
        links="".join(f'<p><a href="{to}"{where}>{html.escape(label)}</a></p>' for to, where, label in links),
        note=html.escape(strings.RESEARCH_USE),
    )
    return HTMLResponse(content, status, {"Cache-Control": "no-store"})
