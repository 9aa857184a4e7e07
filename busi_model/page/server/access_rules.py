"""Who may come in, as the environment says, and the order in which a request meets what asks.

Enters: BUSI_ALLOWED_HOSTS, BUSI_TRUSTED_PROXIES and what the server listens to. Leaves: ASGI middleware.
"""

import ipaddress
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from busi_model.page.server import gradio_inside
from busi_model.page.server.events import Page
from busi_model.page.server.guard import Guard
from busi_model.page.server.sign_in.login import LoginError
from busi_model.page.server.visitor import Forwarded
from busi_model.page.server.visits import Visits

ALLOWED_HOSTS, TRUSTED_PROXIES = "BUSI_ALLOWED_HOSTS", "BUSI_TRUSTED_PROXIES"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class AccessRules:
    """Who may come in, as the environment says."""

    on_space: bool = False  # a Hugging Face Space shows the page in its own frame, through its own proxy
    has_login: bool = False  # users log in, here or at the Hub
    accounts: Callable[[str, str], bool] | None = None  # they do so here
    proxies: tuple[str, ...] = ()  # addresses and networks whose word on others is believed; "*" is all
    hosts: tuple[str, ...] | None = LOOPBACK  # names under which the page is served; None: any
    inner: Sequence[Middleware] = ()  # further checks, inside `Guard`

    @classmethod
    def from_environment(cls, server_name: str, on_space: bool, **other: Any) -> "AccessRules":
        """server_name: what the server listens to. Raises LoginError."""
        proxies = _list(TRUSTED_PROXIES)
        for number, proxy in enumerate(proxies, start=1):
            try:
                ipaddress.ip_network(proxy)
            except ValueError:
                form = "10.0.0.5,192.168.7.0/24"
                words = f"{TRUSTED_PROXIES} must be addresses or networks, {form}; entry {number} is none."
                raise LoginError(words) from None
        named = tuple(name.lower() for name in _list(ALLOWED_HOSTS))
        only_here = server_name.strip("[]").lower() in LOOPBACK
        hosts = None if on_space or not (only_here or named) else (*LOOPBACK, *named)
        return cls(on_space, proxies=("*",) if on_space else proxies, hosts=hosts, **other)

    def middleware(self, page: gr.Blocks) -> list[Middleware]:
        """In the order in which a request meets them. page: finished."""
        visits: dict[str, Any] = {
            "forget": page.forget if isinstance(page, Page) else partial(gradio_inside.forget_session, page),
            "forget_answers": lambda session: gradio_inside.forget_answers(page, session),
            "session_of": lambda event_id: gradio_inside.session_of(page, event_id),
            "is_awaited": lambda session: gradio_inside.is_awaited(page, session),
            "in_frames": self.on_space,
        }
        how: dict[str, Any] = {
            "on_space": self.on_space,
            "has_login": self.has_login,
            "asks_password": self.accounts is not None,
        }
        return [
            Middleware(Forwarded, proxies=self.proxies),
            Middleware(Guard, hosts=self.hosts, **how),
            *self.inner,
            Middleware(Visits, **visits),
        ]


def _list(variable: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in os.environ.get(variable, "").split(",") if entry.strip())
