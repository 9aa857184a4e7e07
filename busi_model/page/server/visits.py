"""Whose session it is: a visit is begun by the page itself and rides on a cookie that no script can read.

Gradio's session_hash is made up by the browser and stands in addresses, and so in the logs of proxies; whoever knows it
would be that user. Here Gradio never sees it: it gets a name that only the server can make, from the visitor's cookie
and the hash together. With another cookie, or none, the same hash is another session: it opens nothing and hears
nothing. Nothing is kept of a session whose page was not opened here (`script-`), and a visit whose page is open is
never forgotten for others.
"""

import json
import re
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from busi_model.page import strings
from busi_model.page.server import visitor
from busi_model.page.server.gradio_inside import WEIGHT
from busi_model.page.server.visitor import SCRIPT, VISIT, Names, Visitor

API = "/gradio_api/"
HEARTBEAT, DATA = f"{API}heartbeat/", f"{API}queue/data"
CALL = re.compile(rf"{API}call/[^/]+(/(?P<event>[^/]+))?/?")
NAMES_A_SESSION = (f"{API}queue/join", f"{API}cancel", f"{API}reset")
MAX_VISITS = 1000  # a quarter of a megabyte each
MAX_OF_COOKIE = 30  # pages open in one browser
KEPT_S = 3600  # of a visit whose page is closed: it may come back
MAX_JSON_BYTES = 8 * 2**20  # an event's body; an outline of 20,000 points has 1 MB
MAX_WEIGHT = 2**24  # of memory that it takes when it is read; that outline takes 5 MB
MAX_COMING_OF_ADDRESS, MAX_COMING = 2**25, 2**27  # bytes of bodies that are on their way
MAX_CALLS_OF_SCRIPT, MAX_CALLS = 200, 900  # whose answers nobody took; with the visits below what Gradio keeps, 2,000
UNHEARD = (  # as Gradio says it
    'data: {"msg":"unexpected_error","event_id":null,"message":"404: Not Found","session_not_found":true,'
    '"success":false}\n\n'
)


class Visits:
    """ASGI middleware inside `Guard`: each session gets its visitor's name for it, and those are kept in bounds."""

    def __init__(
        self,
        app: ASGIApp,
        forget: Callable[[str], None] = lambda session: None,
        forget_answers: Callable[[str], None] = lambda session: None,
        session_of: Callable[[str], str | None] = lambda event_id: None,
        is_awaited: Callable[[str], bool] = lambda session: True,
        in_frames: bool = False,
    ):
        """forget: drop a session's state. forget_answers: those that nobody took. session_of: an event's. is_awaited:
        whether something is to come for a session. in_frames: the page is shown in a foreign frame, where browsers may
        keep no cookie: then a page without one is a guest of its address."""
        self.app, self.names = app, Names(in_frames)
        self.forget, self.forget_answers = forget, forget_answers
        self.session_of, self.is_awaited = session_of, is_awaited
        self._used_at: dict[str, float] = {}  # of visits, by session
        self._open: dict[str, int] = {}  # heartbeats: pages that are open now
        self._calls: dict[str, deque[str]] = {}  # sessions of scripts, by owner
        self._coming: Counter[str] = Counter()  # bytes of bodies that are read, by address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        who = self.names.visitor(scope)
        visitor.browser.set(who.owner if who.kind == VISIT else "")
        path: str = scope["path"]
        refusal: ASGIApp | None = None
        session: str | None = None
        if path == "/" and scope["method"] in ("GET", "HEAD") and who.kind != VISIT:
            send = _with_cookie(self.names.new_cookie(scope), send)
        elif path == DATA:
            name = self.names.session(who, dict(_query(scope)).get("session_hash", ""))
            scope = {**scope, "query_string": urlencode({"session_hash": name}).encode()}
            if not self.is_awaited(name):  # Gradio would break off in the middle
                refusal = PlainTextResponse(UNHEARD, media_type="text/event-stream")
        elif path.startswith(HEARTBEAT):
            session = self.names.session(who, path.removeprefix(HEARTBEAT).strip("/"))
            path = HEARTBEAT + session
            scope = {**scope, "path": path, "raw_path": path.encode()}
        elif scope["method"] == "POST" and (path.rstrip("/") in NAMES_A_SESSION or CALL.fullmatch(path)):
            receive, refusal = await self._renamed(scope, receive, who)
        elif (found := CALL.fullmatch(path)) and found["event"]:
            asked = self.session_of(found["event"])
            if asked is not None and asked.split("-")[1:2] != [who.owner]:
                refusal = JSONResponse({"detail": strings.NO_SUCH_EVENT}, 404)
        if refusal is not None:
            await refusal(scope, receive, send)
        elif session is not None:
            await self._while_open(session, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _renamed(self, scope: Scope, receive: Receive, who: Visitor) -> tuple[Receive, ASGIApp | None]:
        """The body with our name of the session in place of the browser's, as a new `receive`; or a refusal."""
        closed = {"Connection": "close"}
        content = await self._body(visitor.household((scope.get("client") or [""])[0]), receive)
        if content is None:
            return receive, JSONResponse({"detail": strings.TOO_LONG}, 413, closed)
        scope[WEIGHT] = weight(content)
        if scope[WEIGHT] > MAX_WEIGHT:
            return receive, JSONResponse({"detail": strings.TOO_HEAVY}, 413, closed)
        try:
            body = json.loads(content)
            if not isinstance(body, dict):
                raise ValueError("no object")
        except (ValueError, RecursionError):
            return receive, JSONResponse({"detail": strings.NO_EVENT}, 400)
        name, kind, refusal = body.get("session_hash"), who.kind, None
        if name is None and CALL.fullmatch(scope["path"]):
            name, kind = secrets.token_hex(16), SCRIPT  # a call of its own, to whose session nobody comes back
        if isinstance(name, str):
            session = body["session_hash"] = self.names.session(who, name, kind)
            if scope["path"].startswith(f"{API}cancel"):
                asked = self.session_of(str(body.get("event_id")))
                if asked is not None and asked != session:
                    refusal = JSONResponse({"detail": strings.NO_SUCH_EVENT}, 404)
            elif kind == SCRIPT:
                self._note_call(session)
            else:
                self._use(session)
        return _once(json.dumps(body).encode(), receive), refusal

    async def _while_open(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        self._open[session] = self._open.get(session, 0) + 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._open[session] -= 1
            if not self._open[session]:
                del self._open[session]

    async def _body(self, address: str, receive: Receive) -> bytes | None:
        """All of a request's body; None: it is too long, the client left, or too many come from there at once."""
        parts, size = [], 0
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                self._coming[address] += len(parts[-1])
                crowded = self._coming[address] > MAX_COMING_OF_ADDRESS or self._coming.total() > MAX_COMING
                if size > MAX_JSON_BYTES or crowded:
                    return None
                if not message.get("more_body"):
                    return b"".join(parts)
        finally:
            self._coming[address] -= size
            if not self._coming[address]:
                del self._coming[address]

    def _note_call(self, session: str) -> None:
        """Of each script the last calls are kept; where there are too many, those of whoever has most go."""
        owner = session.split("-")[1]
        self._calls.setdefault(owner, deque()).append(session)
        crowd = self._calls[owner]
        if len(crowd) <= MAX_CALLS_OF_SCRIPT and sum(map(len, self._calls.values())) > MAX_CALLS:
            crowd = max(self._calls.values(), key=len)
        elif len(crowd) <= MAX_CALLS_OF_SCRIPT:
            return
        self.forget_answers(crowd.popleft())
        self._calls = {owner: calls for owner, calls in self._calls.items() if calls}

    def _use(self, session: str) -> None:
        """Note a visit; the longest unused goes where there are too many, of this browser or in all, but none whose
        page is open. What was not used for an hour goes anyway."""
        now = time.monotonic()
        for old in [one for one, at in self._used_at.items() if now - at > KEPT_S and one not in self._open]:
            self._drop(old)
        known = session in self._used_at
        self._used_at.pop(session, None)
        if not known:
            owner = session.rpartition("-")[0]
            mine = [one for one in self._used_at if one.startswith(owner)]
            for crowd, most in ((mine, MAX_OF_COOKIE), (self._used_at, MAX_VISITS)):
                if len(crowd) >= most:
                    self._drop(next((one for one in crowd if one not in self._open), next(iter(crowd))))
        self._used_at[session] = now

    def _drop(self, session: str) -> None:
        self._used_at.pop(session, None)
        self.forget_answers(session)
        self.forget(session)


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def weight(content: bytes) -> int:
    """Bytes of memory that JSON takes at most when it is read: a list of three bytes takes a hundred."""
    return len(content) + 100 * content.count(b"[") + 250 * content.count(b"{") + 32 * content.count(b",")


def _with_cookie(value: str, send: Send) -> Send:
    """A `send` that sets a cookie with the answer."""

    async def send_with_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", value)
        await send(message)

    return send_with_cookie


def _once(content: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the content, and then whatever else comes (that the client left)."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": content, "more_body": False}

    return receive_again
