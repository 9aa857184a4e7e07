"""Who may run and who may wait: the page's queue.

The network takes one image at a time (a lock in `Predictor`), so more workers would not make it faster. Eight readings
run side by side all the same, so that decoding a large file holds up nobody (`single`, `api`). Behind them each kind of
event has a line of its own: many scripts that read images can never keep a reader's answer from being saved. When a
line is full the answer is HTTP 503 with a sentence: the page shows that it is busy, `gradio_client` raises QueueError.
There is no way past the queue: Gradio's /run and /api are no doors (`server`).
"""

import gradio as gr

from busi_model.page import strings
from busi_model.page.server import gradio_inside

PLACES = 64  # more would wait about a minute on two cores, and give up
THREADS = 80  # readers who wait for a locked database (`page.session.panel`) must not hold up the rest
AT_ONCE = 2  # of each event that says nothing else: short ones, which take no network


def limit(page: gr.Blocks, places: int = PLACES) -> None:
    """Give a finished page its queue. places: how many events of one kind may wait."""
    page.max_threads = THREADS  # before the queue is made: it takes as many events at once
    page.queue(default_concurrency_limit=AT_ONCE, api_open=False)

    def refusal(body, n_waiting):
        return strings.BUSY.format(before=n_waiting) if n_waiting >= places else None

    gradio_inside.before_each_push(page, refusal)
