"""Who sent the request that is being answered, for what Gradio asks without saying of whom, such as a login; and which
proxies are believed of it."""

import ipaddress
from collections.abc import Collection
from contextvars import ContextVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

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
