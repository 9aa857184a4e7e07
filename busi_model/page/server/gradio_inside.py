"""Everything of Gradio's own insides that this page relies on, and nothing else of it is touched.

Written for Gradio 6.31; `tests/test_gradio_inside.py` fails where another version is installed or a part is missing,
and `check` ends the program then: nobody would know what an unknown Gradio fetches, keeps or lets in.
"""

import contextlib
from collections.abc import Awaitable, Callable

import gradio as gr
import httpx
from gradio import processing_utils

WRITTEN_FOR = "6.31"
PUSHED = tuple[bool, object, str]  # taken, the event's id or words of refusal, and which of Gradio's kinds of refusal


def check() -> None:
    """Raise RuntimeError where this Gradio lacks what the page relies on."""
    queue, state = gr.queueing.Queue, gr.state_holder.StateHolder
    there = (
        hasattr(processing_utils, "async_transport"),
        callable(getattr(queue, "push", None)),
        all(hasattr(state, name) for name in ("delete_state", "set_blocks")),
    )
    if not all(there):
        raise RuntimeError(f"Gradio {gr.__version__} is built in a way not known here. Install gradio==6.31.0.")


def fetch_through(transport: httpx.AsyncBaseTransport) -> None:
    """All of Gradio's fetching on behalf of a user goes through `async_ssrf_protected_get`, and that through this."""
    check()
    processing_utils.async_transport = transport


def hold_to_uploads(page: gr.Blocks) -> None:
    """From now on an event may name files that were uploaded and no others. Gradio asks only of a page that it launched
    itself, and of one that is mounted it would copy any file of the server into the folder of uploads."""
    if not hasattr(page, "has_launched"):
        raise RuntimeError(f"Gradio {gr.__version__} is built in a way not known here. Install gradio==6.31.0.")
    page.has_launched = True


def before_each_push(page: gr.Blocks, ask: Callable[[object, int], str | None]) -> None:
    """`ask(body, n_waiting)` is called before an event joins the page's queue, with how many wait in its line; words
    refuse it (HTTP 503). Call after `page.queue`."""
    queue, push = page._queue, page._queue.push

    async def push_if_allowed(body, request, username) -> PUSHED:
        event = page.fns.get(body.fn_index)
        line = queue.event_queue_per_concurrency_id.get(event.concurrency_id) if event else None
        if words := ask(body, len(line.queue) if line else 0):
            return False, words, "queue_full"
        return await push(body=body, request=request, username=username)

    queue.push: Callable[..., Awaitable[PUSHED]] = push_if_allowed


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
    """Drop what Gradio keeps of a session: a quarter of a megabyte, and whatever its gr.State hold."""
    holder = getattr(page, "state_holder", None)
    if holder is None:
        return
    with contextlib.suppress(KeyError):  # another thread did
        holder.delete_state(session)
    holder.session_data.pop(session, None)
    holder.time_last_used.pop(session, None)


def forget_answers(page: gr.Blocks, session: str) -> None:
    """Drop answers of a session that nobody took."""
    page._queue.pending_event_ids_session.pop(session, None)
    page._queue.pending_messages_per_session.pop(session, None)
