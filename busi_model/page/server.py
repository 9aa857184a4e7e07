"""The walls around the page: what Gradio's server lets in and out.

Gradio offers more than this page needs. `Guard` opens only the doors that the page uses, turns other sites away and
adds the headers that a hospital's IT asks for. `refuse_addresses` ends Gradio's habit of fetching a web address that is
given in place of a file. `Page` and `Discreet` keep what users bring (file names, comments) out of the log.
"""

import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import gradio as gr
import httpx
from gradio import processing_utils
from gradio.utils import get_upload_folder
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

from busi_model.page import strings

LOG = logging.getLogger(__name__)
API = "/gradio_api/"
# A name that ends in "/" or "=" goes on with anything, another one with nothing.
DOORS = ["/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/assets/", "/static/"]
DOORS += ["/pwa_icon", "/pwa_icon/", "/login", "/login/huggingface", "/login/callback", "/logout"]
DOORS += [f"{API}{name}" for name in ("info", "upload", "upload_progress", "file=", "call/", "run/", "api/", "queue/")]
DOORS += [f"{API}{name}" for name in ("heartbeat/", "startup-events", "cancel", "reset", "app_id", "login_check")]
FILES, UPLOAD = f"{API}file=", f"{API}upload"
HUB = "https://huggingface.co https://*.huggingface.co"


def launch_arguments(on_space: bool, has_login: bool = False, inner: Sequence[Middleware] = ()) -> dict:
    """Arguments for `launch` that put the walls up.

    on_space: a Hugging Face Space shows the page in its own frame. has_login: users log in. inner: further walls.
    """
    refuse_addresses()
    return {"app_kwargs": {"middleware": [Middleware(Guard, on_space=on_space, has_login=has_login), *inner]}}


class Page(gr.Blocks):
    """A page whose failures are a sentence for the user, and for the log a place in the program."""

    expects_oauth = False  # whether Gradio adds its sign-in with the Hub; it would look for a LoginButton

    async def preprocess_data(self, *arguments, **named):
        try:
            return await super().preprocess_data(*arguments, **named)
        except Exception as error:
            if is_ours(error):
                raise
            LOG.warning("What came with an event was refused: %s.", type(error).__name__)  # a forged path, say
            raise gr.Error(strings.EVENT_FAILED, print_exception=False) from error

    async def process_api(self, *arguments, **named):
        try:
            return await super().process_api(*arguments, **named)
        except Exception as error:
            if is_ours(error):
                raise
            LOG.exception("An event of the page failed.")
            raise gr.Error(strings.EVENT_FAILED, print_exception=False) from error
        finally:
            self._forget_lone_call(named.get("session_hash"), named.get("event_id"))

    def _forget_lone_call(self, session_hash, event_id):
        """Drop the session that Gradio opens for a call that named none; it bears the event's own name, so nobody can
        come back to it. Gradio keeps a quarter of a megabyte for each."""
        if session_hash is not None and session_hash == event_id:
            self.state_holder.session_data.pop(session_hash, None)
            self.state_holder.time_last_used.pop(session_hash, None)


def is_ours(error: Exception) -> bool:
    """Whether an error's words are our own; Gradio's can name a path of the server."""
    return isinstance(error, gr.Error) and not error.print_exception


class Guard:
    """ASGI middleware, just outside Gradio's own routes."""

    def __init__(self, app, on_space: bool = False, has_login: bool = False):
        self.app, self.on_space = app, on_space
        self.lets_others_ask = on_space and not has_login  # a login's cookie comes with what other sites' pages ask
        self._n_uploads, self._left_behind = 0, False

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, well = False, False

        async def send_with_headers(message):
            nonlocal begun, well
            if message["type"] == "http.response.start":
                begun, well = True, message["status"] == 200
                MutableHeaders(scope=message).update(self.headers(scope["path"]))
            await send(message)

        answer = self.app
        if not is_door(scope["path"]):
            answer = PlainTextResponse(strings.NO_DOOR, 404)
        elif not self.lets_others_ask and is_foreign(scope["method"], Headers(scope=scope)):
            answer = PlainTextResponse(strings.FOREIGN_SITE, 403)
        self._n_uploads += scope["path"] == UPLOAD
        try:
            await answer(scope, receive, send_with_headers)
        except ClientDisconnect:
            LOG.debug("A client left.")
        except Exception as error:
            if isinstance(error, OSError):
                LOG.error("A request failed: %s.", error.strerror)  # such as a full disk
            else:
                LOG.exception("A request failed.")
            if not begun:
                await PlainTextResponse(strings.FAILED_TEXT, 500)(scope, receive, send_with_headers)
        finally:
            if scope["path"] == UPLOAD:
                self._after_upload(well)

    def _after_upload(self, well: bool):
        """Gradio leaves the part of an upload that came before it broke off; it goes when no other upload is under
        way, for whose file it could be."""
        self._n_uploads -= 1
        self._left_behind |= not well
        if self._left_behind and not self._n_uploads:
            self._left_behind = False
            for path in Path(get_upload_folder()).glob("tmp*"):
                if path.is_file():
                    path.unlink(missing_ok=True)

    def headers(self, path: str) -> dict[str, str]:
        """Response headers for a path."""
        headers = {
            "Content-Security-Policy": content_security_policy(path, self.on_space),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        }
        if path.startswith(FILES):
            headers["Cache-Control"] = "private, no-store"  # or patients' images would stay on the browser's disk
        if not self.on_space:
            headers["X-Frame-Options"] = "SAMEORIGIN"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return headers


def content_security_policy(path: str, on_space: bool) -> str:
    """What the browser may do with an answer: the page talks to its own server only; a file can do nothing at all.

    Gradio needs inline scripts and eval (`js_on_load`), so the policy does not stop a script that is in the page; it
    stops it from sending anything elsewhere. Comments and names are escaped before they get there.
    """
    if path.startswith(FILES):
        return "default-src 'none'; sandbox"
    hub = f" {HUB}" if on_space else ""  # Gradio's frame asks the Hub about its Space
    frames = f"'self' {HUB} https://*.hf.space" if on_space else "'self'"
    return (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        f"img-src 'self' data: blob:{hub}; font-src 'self' data:; connect-src 'self' data: blob:{hub}; "
        "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
        f"frame-ancestors {frames}"
    )


def is_door(path: str) -> bool:
    """Whether the page needs this path. path: decoded, as ASGI gives it."""
    if path.startswith(FILES) and "://" in path:  # Gradio would fetch it
        return False
    return any(path == door or (door[-1] in "/=" and door != "/" and path.startswith(door)) for door in DOORS)


def is_foreign(method: str, headers: Headers) -> bool:
    """Whether another site's page asks, with this user's login or from inside this network.

    Gradio lets any site read the answers (it echoes Origin). Browsers say where a request comes from: newer ones in
    Sec-Fetch-Site, all of them in Origin. Scripts outside a browser send neither. Following a link is no such request.
    A proxy in front must pass Host on.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        followed = headers.get("sec-fetch-mode") == "navigate" and method in ("GET", "HEAD")
        return site not in ("same-origin", "none") and not followed
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


class _NoWayOut(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request):
        raise gr.Error(strings.ADDRESS_REFUSED, print_exception=False)


def refuse_addresses() -> None:
    """From now on Gradio fetches nothing: an address in place of a file gets a sentence, before any name is looked up.

    All of Gradio's fetching on behalf of a user goes through `async_ssrf_protected_get`, and that through this
    transport. Raises RuntimeError where a version of Gradio has none: then nobody knows what it fetches.
    """
    if not hasattr(processing_utils, "async_transport"):
        raise RuntimeError(
            f"Gradio {gr.__version__} fetches addresses in a way not known here. Install gradio==6.31.0."
        )
    processing_utils.async_transport = _NoWayOut()


class Discreet(logging.Formatter):
    """A log says where the program failed and with which kind of error, never with which words: they can name files."""

    def formatException(self, ei) -> str:  # noqa: N802 (logging's own name)
        kind, error, place = ei
        reason = f": {error.strerror}" if isinstance(error, OSError) else ""  # the system's words, such as a full disk
        head = "Traceback (most recent call last), without its words:\n"
        return head + "".join(traceback.format_tb(place)) + f"{kind.__module__}.{kind.__qualname__}{reason}"


def log_discreetly() -> None:
    """Warnings and errors of this program go to stderr, by `Discreet`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
