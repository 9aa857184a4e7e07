"""Who sent a request: which proxies are believed of it, by which cookie a visitor is known, and our names for visitors
and their sessions. Whose request is being answered stands in `address` and `browser`, for what Gradio asks without
saying of whom, such as a login.
"""

import contextlib
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Collection
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "busi-visit"
VISIT, GUEST, SCRIPT = "visit", "guest", "script"
FORWARDED = (b"x-forwarded-", b"forwarded", b"x-real-ip", b"x-gradio-server")  # how such a header begins
address: ContextVar[str] = ContextVar("address", default="")  # set by `Forwarded`; "": not known
browser: ContextVar[str] = ContextVar("browser", default="")  # set by `visits`; a name that nobody else can have


def household(address: str) -> str:
    """What stands for one visitor in shares and turns: an IPv4 address, or the network of an IPv6 one, in which
    everybody has as many addresses as they like."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


class Proxies:
    """Whose word on others is believed: `address in proxies`."""

    def __init__(self, entries: Collection[str]):
        """entries: addresses and networks; "*" is all. Raises ValueError."""
        self.are_all = "*" in entries
        self._networks = [ipaddress.ip_network(entry) for entry in entries if entry != "*"]

    def __contains__(self, address: str) -> bool:
        try:
            return self.are_all or any(ipaddress.ip_address(address) in network for network in self._networks)
        except ValueError:
            return False


class Forwarded:
    """ASGI middleware: what a request says of others on its way counts only from proxies that were named."""

    def __init__(self, app: ASGIApp, proxies: Collection[str] = ()):
        """proxies: addresses and networks; "*" is all."""
        self.app, self.proxies = app, Proxies(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = dict(scope)
            peer = (scope.get("client") or [""])[0]
            if peer in self.proxies:
                headers = Headers(scope=scope)
                if headers.get("x-forwarded-proto", "").strip() in ("http", "https"):
                    scope["scheme"] = headers["x-forwarded-proto"].strip()
                peer = self._visitor(headers.getlist("x-forwarded-for"), peer)
                scope["client"] = (peer, 0)
            else:
                scope["headers"] = [pair for pair in scope["headers"] if not pair[0].lower().startswith(FORWARDED)]
            address.set(peer)
        await self.app(scope, receive, send)

    def _visitor(self, lines: list[str], peer: str) -> str:
        """The last address that no trusted proxy has: those before it can be made up."""
        hops = [hop.strip() for line in lines for hop in line.split(",")]
        while hops:
            hop = hops.pop()
            try:
                peer = str(ipaddress.ip_address(hop))
            except ValueError:
                break
            if self.proxies.are_all or peer not in self.proxies:
                break
        return peer


@dataclass(frozen=True)
class Visitor:
    kind: str  # VISIT: has our cookie; GUEST: a browser that keeps none; SCRIPT: everyone else
    owner: str  # of the visitor's secret, which cannot be told from it


def browser_of(session: str | None) -> str:
    """A name of the browser whose visit a session is: nobody else can have it; "" where there is no such browser."""
    kind, _, rest = (session or "").partition("-")
    return rest.partition("-")[0] if kind == VISIT else ""


class Names:
    """Cookies, and names of visitors and sessions, that nobody else can make: their key ends with the program."""

    def __init__(self, in_frames: bool):
        """in_frames: as in `Visits`."""
        self.in_frames = in_frames
        self._key = secrets.token_bytes(32)
        self.cookie = f"{COOKIE}-{self._digest('name')[:8]}"  # another program on this machine has its own

    def visitor(self, scope: Scope) -> Visitor:
        """Who asks."""
        headers = Headers(scope=scope)
        cookies = SimpleCookie()
        with contextlib.suppress(CookieError):
            cookies.load(headers.get("cookie", ""))
        if self.cookie in cookies and self._is_ours(cookies[self.cookie].value):
            return Visitor(VISIT, self._digest(VISIT, cookies[self.cookie].value))
        for name, morsel in cookies.items():
            if name.startswith("access-token"):  # of Gradio's login: scripts that logged in have no other
                return Visitor(SCRIPT, self._digest("login", morsel.value))
        shown = self.in_frames and "sec-fetch-site" in headers
        peer = (scope.get("client") or [""])[0]
        return Visitor(GUEST if shown else SCRIPT, self._digest("address", peer))

    def session(self, who: Visitor, name: str, kind: str | None = None) -> str:
        """Our name for what a visitor calls so: the kind, the owner and the page."""
        return f"{kind or who.kind}-{who.owner}-{self._digest('page', who.owner, name)}"

    def new_cookie(self, scope: Scope) -> str:
        """What an answer sets, so that its browser is known from then on."""
        random = secrets.token_urlsafe(24)
        value = f"{self.cookie}={random}.{self._digest('cookie', random)}; Path=/; HttpOnly"
        if self.in_frames:
            return value + "; Secure; SameSite=None; Partitioned"
        return value + "; SameSite=Lax" + ("; Secure" if scope["scheme"] == "https" else "")

    def _digest(self, *parts: str) -> str:
        content = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, content, hashlib.sha256).hex()[:32]

    def _is_ours(self, cookie: str) -> bool:
        random, _, seal = cookie.partition(".")
        return hmac.compare_digest(seal.encode("utf-8", "replace"), self._digest("cookie", random).encode())
