"""Who sent the request that is being answered: for what Gradio asks without saying of whom, such as a login.
And by which proxies a request may have come."""

import ipaddress
from collections.abc import Collection
from contextvars import ContextVar

address: ContextVar[str] = ContextVar("address", default="")  # set by `server.Forwarded`; "": not known
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
