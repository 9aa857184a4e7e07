"""The server's connections: how many one address may hold, and how long each may take over what it sends and reads.

Enters: the finished page as an ASGI application, an address and a port. Leaves: a running uvicorn server. uvicorn waits
for a half-sent request for ever; here a head has seconds, a body a least speed, a reader of an answer two minutes, and
where an address holds too many connections the longest waiting half request makes room for the next one.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Collection

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from busi_model.page.server.visitor import Proxies

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

HEAD_S = 10  # from the connection, or from a request's first byte, to the end of its head
BODY_S, BODY_BYTES_PER_S = 20, 2_000  # a body may take so long, and a second more for so many bytes
ANSWER_S = 120  # without one byte taken from us
MAX_OF_ADDRESS = 200  # connections; a browser holds six
MAX_CONNECTIONS = 800
MAX_COMING = 2500  # files of uploads, open while they come
SPARE_FILES = 200  # descriptors for everything that is no connection and no upload
BACKLOG = 100  # accepted at once
GRACE_S = 2  # for answers under way when the server ends
START_S = 60


class Connections:
    """All open ones. Told of each new one, it ends what waits longest where there are too many."""

    def __init__(self, of_address: int = MAX_OF_ADDRESS, total: int = MAX_CONNECTIONS, proxies: Collection[str] = ()):
        """proxies: addresses and networks that stand for many visitors, and are bound by the total only; "*" is all."""
        self.of_address, self.total, self.proxies = of_address, total, Proxies(proxies)
        self._all: dict[str, set[Patient]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._all.values()))

    def add(self, one: "Patient") -> None:
        mine = self._all.setdefault(one.address, set())
        mine.add(one)
        if one.address not in self.proxies and len(mine) > self.of_address:
            _end_one(mine, one)
        elif len(self) > self.total:
            _end_one(max(self._all.values(), key=len), one)

    def remove(self, one: "Patient") -> None:
        mine = self._all.get(one.address, set())
        mine.discard(one)
        if not mine:
            self._all.pop(one.address, None)


def _end_one(crowd: Collection["Patient"], newest: "Patient") -> None:
    """The half request that waits longest, then the half body, then who says nothing; else the newest."""
    waiting = [one for one in crowd if one.waits_for != "answer" and one is not newest]
    order = ("head", "body", "")
    min(waiting, key=lambda one: (order.index(one.waits_for), one.since), default=newest).end()


class Patient(H11Protocol):
    """One connection. waits_for: "head", "body", "answer" or "" (between two requests); since when: by the loop's
    clock."""

    book: Connections  # set by `protocol`
    address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as H11Protocol has it
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.waits_for, self.since, self.received = "head", self.loop.time(), 0
        self._watch = self.loop.call_later(1, self._look)
        self._blocked: asyncio.TimerHandle | None = None
        self.book.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.book.remove(self)
        self._watch.cancel()
        if self._blocked:
            self._blocked.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        super().data_received(data)
        self._note(bool(data))

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._note(False)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._blocked = self._blocked or self.loop.call_later(ANSWER_S, self.end)

    def resume_writing(self) -> None:
        if self._blocked:
            self._blocked.cancel()
            self._blocked = None
        super().resume_writing()

    def end(self) -> None:
        self.transport.abort()  # `close` would wait for what the other side does not read

    def _note(self, began: bool) -> None:
        state = str(self.conn.their_state)
        if state == "SEND_BODY":
            now = "body"
        elif state != "IDLE":
            now = "answer"
        else:
            now = "head" if began or self.waits_for == "head" else ""
        if now != self.waits_for:
            self.waits_for, self.since, self.received = now, self.loop.time(), 0

    def _look(self) -> None:
        self._watch = self.loop.call_later(1, self._look)
        took = self.loop.time() - self.since
        if self.waits_for == "body" and self.flow.read_paused:  # we are the slow ones
            self.since += 1
        elif (self.waits_for == "head" and took > HEAD_S) or (
            self.waits_for == "body" and took > BODY_S + self.received / BODY_BYTES_PER_S
        ):
            self.end()


class Server(uvicorn.Server):
    """uvicorn in a thread of its own; signals are the program's."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]):
        super().__init__(config)
        self.port = sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self.run, args=(sockets,), name="server", daemon=True)

    def start(self) -> None:
        """Returns when it listens. Raises RuntimeError when it does not."""
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not self.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("The server did not start; the log says why.")
            time.sleep(0.01)

    def wait(self) -> None:
        """Returns when the server has ended by itself."""
        while self._thread.is_alive():
            self._thread.join(1)  # with a limit: a signal is heard meanwhile

    def stop(self) -> None:
        """Returns when it has ended, after GRACE_S or little more."""
        self.should_exit = True
        self._thread.join(GRACE_S + 1)


def serve(app: ASGIApp, host: str, ports: Collection[int], proxies: Collection[str] = ()) -> Server:
    """Start a server at the first of the ports that is free. Raises OSError when none is.

    proxies: see `Connections`.
    """
    listening = _listen(host, ports)
    try:
        protocol = type("Connection", (Patient,), {"book": Connections(total=affordable()[0], proxies=proxies)})
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            log_config=None,  # its warnings go where ours go
            log_level="error",
            access_log=False,
            proxy_headers=False,  # `visitor.Forwarded` knows whom to trust
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            backlog=BACKLOG,
        )
        server = Server(config, [listening])
        server.start()
    except BaseException:
        listening.close()
        raise
    return server


def _listen(host: str, ports: Collection[int]) -> socket.socket:
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    error = OSError("no port was named")
    for port in ports:
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as refused:
            error = refused
    raise error


def affordable() -> tuple[int, int]:
    """How many connections, and files of uploads, the system's descriptors allow, after asking for more of them."""
    if resource is None:
        return MAX_CONNECTIONS, MAX_COMING
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + MAX_COMING + BACKLOG + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = wanted if soft == resource.RLIM_INFINITY else soft
    rest = max(32, room - BACKLOG - SPARE_FILES)
    connections = min(MAX_CONNECTIONS, rest // 2)
    return connections, min(MAX_COMING, rest - connections)
