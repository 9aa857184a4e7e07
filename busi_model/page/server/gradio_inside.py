"""Everything of Gradio's own insides that this page relies on, and nothing else of it is touched.

Written for Gradio 6.31; `tests/page/test_gradio_inside.py` fails where another version is installed or a part is
missing, and `check` ends the program then: nobody would know what an unknown Gradio fetches, keeps or lets in.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import gradio as gr
import httpx
from gradio import processing_utils, route_utils, routes

WRITTEN_FOR = "6.31"
PUSHED = tuple[bool, object, str]  # taken, the event's id or words of refusal, and which of Gradio's kinds of refusal
WEIGHT = "busi.weight"  # in a request's scope: what its body takes, as `visits` says


@dataclass(frozen=True)
class Asked:
    """An event, as far as its turn is concerned."""

    address: str  # that it came from
    session: str
    weight: int  # bytes of memory that its body takes

    @classmethod
    def by(cls, request: Any, session: str | None) -> "Asked":
        client = getattr(request, "client", None)
        return cls(client.host if client else "", session or "", getattr(request, "scope", {}).get(WEIGHT, 0))


def check() -> None:
    """Raise RuntimeError where this Gradio lacks what the page relies on."""
    queue, state = gr.queueing.Queue, gr.state_holder.StateHolder
    parser = getattr(route_utils, "GradioMultiPartParser", None)
    there = (
        hasattr(processing_utils, "async_transport"),
        all(callable(getattr(queue, name, None)) for name in ("push", "send_message")),
        all(callable(getattr(parser, name, None)) for name in ("on_part_data", "on_headers_finished")),
        issubclass(getattr(route_utils, "MultiPartException", int), Exception),
        {"_signals", "_statuses"} <= set(vars(getattr(routes, "file_upload_statuses", int))),
        all(hasattr(state, name) for name in ("delete_state", "set_blocks")),
        hasattr(gr.state_holder.SessionState, "_update_value_in_config"),
    )
    if not all(there):
        raise RuntimeError(f"Gradio {gr.__version__} is built in a way not known here. Install gradio==6.31.0.")


def fetch_through(transport: httpx.AsyncBaseTransport) -> None:
    """All of Gradio's fetching on behalf of a user goes through `async_ssrf_protected_get`, and that through this."""
    check()
    processing_utils.async_transport = transport  # type: ignore[assignment] # Gradio says None


def hold_to_uploads(page: gr.Blocks) -> None:
    """From now on an event may name files that were uploaded and no others. Gradio asks only of a page that it launched
    itself, and of one that is mounted it would copy any file of the server into the folder of uploads."""
    if not hasattr(page, "has_launched"):
        raise RuntimeError(f"Gradio {gr.__version__} is built in a way not known here. Install gradio==6.31.0.")
    page.has_launched = True


def before_each_push(
    page: gr.Blocks,
    ask: Callable[[Asked, list[Asked], list[Asked]], str | None],
    in_turns: Callable[[list[Asked]], Iterable[int]] = lambda line: range(len(line)),
) -> None:
    """`ask(event, line, all)` is called before an event joins the page's queue, with those that wait in its line, and
    all that wait or run; words refuse it (HTTP 503). in_turns: the order of a line, as its places. Call after
    `page.queue`."""
    queue, push = page._queue, page._queue.push

    async def push_if_allowed(body: Any, request: Any, username: Any) -> PUSHED:
        event = page.fns.get(body.fn_index)
        line = queue.event_queue_per_concurrency_id.get(event.concurrency_id) if event else None
        held = [one for each in queue.event_queue_per_concurrency_id.values() for one in each.queue]
        held += _running(page)
        waiting = _asked(line.queue if line else [])
        if words := ask(Asked.by(request, body.session_hash), waiting, _asked(held)):
            return False, words, "queue_full"
        answer = await push(body=body, request=request, username=username)
        if line := queue.event_queue_per_concurrency_id.get(event.concurrency_id) if event else None:
            line.queue[:] = [line.queue[place] for place in in_turns(_asked(line.queue))]
        return answer

    queue.push = push_if_allowed  # type: ignore[method-assign, assignment]


def before_each_message(page: gr.Blocks, too_much: Callable[[str, object], str | None]) -> None:
    """`too_much(session, message)` is called before a message for a session is kept until it is heard; it may name a
    session whose messages are dropped first. Without this an event that waits while its session is forgotten would end
    Gradio's queue for everybody. Call after `page.queue`."""
    queue, send = page._queue, page._queue.send_message

    def send_if_kept(event: Any, event_message: Any) -> None:
        if (gone := too_much(event.session_hash, event_message)) is not None:
            forget_answers(page, gone)
        if event.session_hash in queue.pending_messages_per_session:
            send(event, event_message)
        else:
            event.alive = False

    queue.send_message = send_if_kept  # type: ignore[method-assign]


def bound_forms(may_open: Callable[[], str | None], field_bytes: int, too_long: str) -> None:
    """From now on `may_open()` is called for each file of an upload, which stays open until the upload ends, and can
    refuse it with words; and a part that is no file has so many bytes at most: Gradio would keep it in memory."""
    check()
    parser: Any = route_utils.GradioMultiPartParser
    if hasattr(parser, "bounded_by"):
        parser.bounded_by = (may_open, field_bytes, too_long)
        return
    on_headers_finished, on_part_data = parser.on_headers_finished, parser.on_part_data

    def open_if_allowed(self: Any) -> None:
        if b"filename" in (self._current_part.content_disposition or b"") and (words := self.bounded_by[0]()):
            raise route_utils.MultiPartException(words)
        on_headers_finished(self)

    def take_if_short(self: Any, data: bytes, start: int, end: int) -> None:
        part, (_, most, words) = self._current_part, self.bounded_by
        if part.file is None and len(part.data) + end - start > most:
            raise route_utils.MultiPartException(words)
        on_part_data(self, data, start, end)

    parser.bounded_by = (may_open, field_bytes, too_long)
    parser.on_headers_finished, parser.on_part_data = open_if_allowed, take_if_short


def keep_no_values() -> None:
    """Gradio keeps what was last in each field of each session, however long, for links to a page as it was; this page
    has none. From now on it keeps nothing of it."""
    check()
    state: Any = gr.state_holder.SessionState
    state._update_value_in_config = lambda self, key, value: None


class _Recent(dict):
    """What is made when it is asked for, and of that the last thousand."""

    def __init__(self, make: Callable[[], object]):
        super().__init__()
        self.make = make

    def __missing__(self, key: object) -> object:
        self[key] = self.make()
        return self[key]

    def __setitem__(self, key: object, value: object) -> None:
        super().__setitem__(key, value)
        if len(self) > 1000:
            del self[next(iter(self))]


def bound_progress() -> None:
    """Gradio keeps how far an upload is under a name that the browser makes up, for ever."""
    statuses: Any = routes.file_upload_statuses
    statuses._signals, statuses._statuses = _Recent(asyncio.Event), _Recent(dict)


def _asked(events: Iterable[Any]) -> list[Asked]:
    return [Asked.by(event.request, event.session_hash) for event in events]


def _running(page: gr.Blocks) -> list:
    return [event for job in page._queue.active_jobs if job for event in job]


def running_sessions(page: gr.Blocks) -> set[str]:
    """Sessions of the events that are under way."""
    return {event.session_hash for event in _running(page)}


def session_of(page: gr.Blocks, event_id: str) -> str | None:
    """The session of an event that waits, runs or has an answer that nobody took yet."""
    queue = page._queue
    if (event := queue.event_ids_to_events.get(event_id)) is not None:
        return event.session_hash
    return next((name for name, ids in queue.pending_event_ids_session.items() if event_id in ids), None)


def is_awaited(page: gr.Blocks, session: str) -> bool:
    """Whether messages of a session's events wait, or are to come."""
    return session in page._queue.pending_messages_per_session


def forget_session(page: gr.Blocks, session: str) -> None:
    """Drop what Gradio keeps of a session: a quarter of a megabyte, and whatever its gr.State hold, each of which hears
    of it by its delete_callback (Gradio itself tells only those that were an event's output)."""
    holder = getattr(page, "state_holder", None)
    if holder is None:
        return
    state = holder.session_data.pop(session, None)
    holder.time_last_used.pop(session, None)
    for number, value in list(state.state_data.items()) if state else ():
        component = page.blocks.get(number)
        if isinstance(component, gr.State):
            component.delete_callback(value)


def forget_answers(page: gr.Blocks, session: str) -> None:
    """Drop answers of a session that nobody took, and its events that wait for their turn."""
    queue = page._queue
    for line in queue.event_queue_per_concurrency_id.values():
        for event in [one for one in line.queue if one.session_hash == session]:
            line.queue.remove(event)
            queue.event_ids_to_events.pop(event._id, None)
    queue.pending_event_ids_session.pop(session, None)
    queue.pending_messages_per_session.pop(session, None)
