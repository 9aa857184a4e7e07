"""What Gradio's server lets in and out.

Gradio offers more than this page needs. `Guard` answers only the routes that the page uses, turns other sites away and
adds the headers that a hospital's IT asks for. What the environment says of it: `access_rules`; what an event may name:
`events`; who is believed of whom: `visitor`; whose session it is: `visits`; how connections are held: `wire`.
"""

import logging
import os
from collections.abc import Collection
from urllib.parse import urlsplit

from gradio.utils import get_upload_folder
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from busi_model.page import strings
from busi_model.page.server.uploads import Upload, Uploads
from busi_model.page.server.visits import MAX_JSON_BYTES

LOG = logging.getLogger(__name__)
API = "/gradio_api/"
# A name that ends in "/" or "=" goes on with anything, another one with nothing.
ROUTES = ["/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/assets/", "/static/"]
ROUTES += ["/pwa_icon", "/pwa_icon/", "/login", "/login/huggingface", "/login/callback", "/logout"]
ROUTES += [f"{API}{name}" for name in ("info", "upload", "upload_progress", "file=", "call/")]
ROUTES += [f"{API}queue/{name}" for name in ("join", "data")]
# Gradio asks for no login there; to the last one `visits` may answer itself.
KEYLESS = [f"{API}{name}" for name in ("heartbeat/", "cancel", "reset", "app_id", "queue/data")]
ROUTES += [*KEYLESS, f"{API}login_check"]
FILES, UPLOAD, LOGIN_CHECK, LOGOUT = f"{API}file=", f"{API}upload", f"{API}login_check", "/logout"
MAX_UPLOAD_BYTES = 2**30  # of one request, which can hold several files
MAX_FORM_BYTES = 2**16  # of a login
MAX_QUERY_BYTES = 200  # of an upload: its name, under which Gradio says how far it is
HUB = "https://huggingface.co https://*.huggingface.co"


class Guard:
    """ASGI middleware, just outside Gradio's own routes."""

    def __init__(
        self,
        app: ASGIApp,
        on_space: bool = False,
        has_login: bool = False,
        asks_password: bool = False,
        hosts: Collection[str] | None = None,
    ):
        """As in `access_rules.AccessRules`."""
        self.app, self.on_space, self.asks_password, self.hosts = app, on_space, asks_password, hosts
        self.lets_others_ask = on_space and not has_login  # a login's cookie comes with what other sites' pages ask
        self.uploads = Uploads()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, well, headers, path = False, False, Headers(scope=scope), scope["path"]

        async def send_with_headers(message: Message) -> None:
            nonlocal begun, well
            if message["type"] == "http.response.start":
                begun, well = True, message["status"] == 200
                answered = MutableHeaders(scope=message)
                answered.update(self.headers(path))
                self._stay_here(answered, headers)
                self._close_cookies(message)
            await send(message)

        answer: ASGIApp = self.refusal(scope, headers) or self.app
        upload = self.uploads.begin(_address(scope)) if path == UPLOAD and answer is self.app else None
        try:
            if self.asks_password and answer is self.app and path.startswith(tuple(KEYLESS)):
                answer = self.app if await self._logged_in(scope) else PlainTextResponse(strings.LOGIN_FIRST, 401)
            await answer(scope, self._bounded(path, receive, upload), send_with_headers)
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
            if upload:
                self.uploads.end(upload, well)

    def refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        """Why a request goes no further, as an answer."""
        closed = {"Connection": "close"}  # what follows on this connection is not read
        path = scope["path"]
        if "content-length" in headers and "transfer-encoding" in headers:  # a proxy may have chosen the other one
            return PlainTextResponse(strings.TWO_LENGTHS, 400, closed)
        if self.hosts is not None and not _is_named(headers, self.hosts):
            return PlainTextResponse(strings.WRONG_HOST, 421, closed)
        if not is_served(path):
            return PlainTextResponse(strings.NO_SUCH_ADDRESS, 404)
        if not self.lets_others_ask and is_foreign(scope["method"], headers, path):
            return PlainTextResponse(strings.FOREIGN_SITE, 403)
        if path.startswith(UPLOAD) and len(scope["query_string"]) > MAX_QUERY_BYTES:
            return PlainTextResponse(strings.TOO_LONG, 414, closed)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _most_bytes(path):
            return PlainTextResponse(strings.TOO_LONG, 413, closed)
        if path == UPLOAD and (refused := self.uploads.refusal(_address(scope), int(length))):
            LOG.error("An upload was refused with %d.", refused[0])  # 507: the disk is almost full
            return PlainTextResponse(refused[1], refused[0], closed)
        return None

    async def _logged_in(self, scope: Scope) -> bool:
        """What Gradio itself says of this visitor."""
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        check = {"method": "GET", "path": LOGIN_CHECK, "raw_path": LOGIN_CHECK.encode(), "query_string": b""}
        await self.app({**scope, **check}, nothing, note)
        return status == 200

    def _bounded(self, path: str, receive: Receive, upload: Upload | None = None) -> Receive:
        """A `receive` that takes the client for gone when the body grows beyond all bounds."""
        left = _most_bytes(path)

        async def receive_some() -> Message:
            nonlocal left
            message = await receive()
            size = len(message.get("body", b""))
            left -= size
            fits = left >= 0 and (upload is None or self.uploads.take(upload, size))
            return message if fits else {"type": "http.disconnect"}

        return receive_some

    def _stay_here(self, answered: MutableHeaders, headers: Headers) -> None:
        """A way to another address of this page is a path: no header of a request may lead anyone elsewhere."""
        if location := answered.get("location"):
            place = urlsplit(location)
            hosts = [headers.get("host"), headers.get("x-forwarded-host")]
            if place.netloc and place.netloc in hosts:
                path = "/" + place.path.lstrip("/\\")
                answered["location"] = f"{path}?{place.query}" if place.query else path

    def _close_cookies(self, message: Message) -> None:
        """Gradio's login cookie goes along with what this page asks, and with what no other site's page does."""
        if self.on_space:  # where the page is shown in the Hub's frame, and the cookie must come with that
            return
        for number, (name, value) in enumerate(message["headers"]):
            if name.lower() == b"set-cookie" and value.startswith(b"access-token"):
                parts = [part for part in value.split(b"; ") if not part.lower().startswith(b"samesite")]
                message["headers"][number] = (name, b"; ".join([*parts, b"SameSite=Lax"]))

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


def is_served(path: str) -> bool:
    """Whether the page needs this path. path: decoded, as ASGI gives it."""
    if path.startswith(FILES):
        file = path.removeprefix(FILES)
        if "://" in file or any(part.startswith(".") for part in file.split("/")):  # Gradio would fetch it; ours
            return False
        if os.path.dirname(file) == os.path.normpath(get_upload_folder()):  # parts of uploads: others' or broken off
            return False
    if path.startswith(f"{API}call/v2/"):  # the same calls, with bodies of another form
        return False
    return any(path == route or (route[-1] in "/=" and route != "/" and path.startswith(route)) for route in ROUTES)


def _is_named(headers: Headers, hosts: Collection[str]) -> bool:
    """Whether a request is for one of these hosts, whatever proxies say of it."""
    said = [headers.get("host", ""), *headers.getlist("x-forwarded-host")]
    return all(host_name(name) in hosts for line in said for name in line.split(","))


def _address(scope: Scope) -> str:
    return (scope.get("client") or [""])[0]


def host_name(said: str) -> str:
    """A Host header without its port, in small letters."""
    return (urlsplit(f"//{said.strip()}").hostname or "") if "/" not in said and "@" not in said else ""


def _most_bytes(path: str) -> int:
    if path == UPLOAD:
        return MAX_UPLOAD_BYTES
    return MAX_JSON_BYTES if path.startswith(API) else MAX_FORM_BYTES


def is_foreign(method: str, headers: Headers, path: str = "/") -> bool:
    """Whether another site's page asks, with this user's login or from inside this network.

    Gradio lets any site read the answers (it echoes Origin). Browsers say where a request comes from: newer ones in
    Sec-Fetch-Site, all of them in Origin. Scripts outside a browser send neither. Following a link is no such request,
    unless it leads to the way out. A proxy in front must pass Host on.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        followed = headers.get("sec-fetch-mode") == "navigate" and method in ("GET", "HEAD") and path != LOGOUT
        return site not in ("same-origin", "none") and not followed
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
