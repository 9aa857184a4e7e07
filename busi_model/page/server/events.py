"""What an event of the page may name, and what of its failure may leave the server.

`Page` keeps what users bring (file names, comments) out of the log, and the server's own paths out of answers; a file
that is no upload is refused. `refuse_addresses` ends Gradio's habit of fetching a web address that is given in place of
a file.
"""

import logging
import os
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
from gradio.utils import get_upload_folder

from busi_model.page import strings
from busi_model.page.server import gradio_inside
from busi_model.page.server.visitor import SCRIPT

LOG = logging.getLogger(__name__)


class Page(gr.Blocks):
    """A page whose failures are a sentence for the user, and for the log a place in the program."""

    expects_oauth = False  # whether Gradio adds its sign-in with the Hub; it would look for a LoginButton
    _gone: frozenset[str] = frozenset()  # sessions that were forgotten while an event of theirs runs

    def forget(self, session: str) -> None:
        """Drop a session; what an event that runs makes of it anew goes when that is done (`process_api`)."""
        gradio_inside.forget_session(self, session)
        self._gone = (self._gone | {session}) & gradio_inside.running_sessions(self)

    async def preprocess_data(self, block_fn: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        try:
            _refuse_other_files(inputs)
            return await super().preprocess_data(block_fn, inputs, *arguments, **named)
        except Exception as error:
            if is_ours(error):
                raise
            LOG.warning("What came with an event was refused: %s.", type(error).__name__)  # a forged path, say
            raise gr.Error(strings.EVENT_FAILED, print_exception=False) from error

    async def process_api(self, *arguments: Any, **named: Any) -> Any:
        try:
            return await super().process_api(*arguments, **named)
        except Exception as error:
            if is_ours(error):
                raise
            LOG.exception("An event of the page failed.")
            raise gr.Error(strings.EVENT_FAILED, print_exception=False) from error
        finally:
            self._forget_lone_call(named.get("session_hash"), named.get("event_id"))

    def _forget_lone_call(self, session_hash: str | None, event_id: str | None) -> None:
        """Drop the session of a call from outside the page (`visits`), or that Gradio opens for one that named none: it
        bears the event's own name. Nobody comes back to it, and Gradio keeps a quarter of a megabyte for each."""
        lone = session_hash is not None and (session_hash == event_id or session_hash.startswith(f"{SCRIPT}-"))
        if session_hash is not None and (lone or session_hash in self._gone):
            gradio_inside.forget_session(self, session_hash)


def _refuse_other_files(inputs: object) -> None:
    """Raise FileNotFoundError where an event names what is no upload: Gradio deletes after an hour what was named, and
    for good stops deleting anything where that is a folder."""
    folder, left = Path(get_upload_folder()).resolve(), [inputs]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            named = one.get("path") if "meta" in one else None
            if isinstance(named, str) and not named.startswith(("http://", "https://")):  # see `refuse_addresses`
                place = Path(named)
                plain = os.path.normpath(place) == named
                if not (plain and place.is_file() and place.resolve().parents[1] == folder):
                    raise FileNotFoundError("no upload")
            left += one.values()
        elif isinstance(one, (list, tuple)):
            left += one


def is_ours(error: Exception) -> bool:
    """Whether an error's words are our own; Gradio's can name a path of the server."""
    return isinstance(error, gr.Error) and not error.print_exception


class _NoWayOut(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise gr.Error(strings.ADDRESS_REFUSED, print_exception=False)


def refuse_addresses() -> None:
    """From now on Gradio fetches nothing: an address in place of a file gets a sentence, before any name is looked up.

    Raises RuntimeError where this Gradio is not known (`gradio_inside`).
    """
    gradio_inside.fetch_through(_NoWayOut())
