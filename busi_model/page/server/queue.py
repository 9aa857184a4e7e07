"""Who may run and who may wait: the page's queue.

The network takes one image at a time (a lock in `Predictor`), so more workers would not make it faster. Eight readings
run side by side all the same, so that decoding a large file holds up nobody (`images.panel`, `api`). Behind them each
kind of event has a line of its own: many scripts that read images can never keep a reader's answer from being saved. In
a line addresses take turns, and at one address its visitors do, so whoever sends much waits for himself. When an
address has all its places the answer is HTTP 503 with a sentence: the page shows that it is busy, `gradio_client`
raises QueueError. There is no way past the queue: Gradio's /run and /api are no routes of it (`guard`).

What waits here, events and answers that nobody heard yet, has a bound in bytes, too.
"""

import itertools
import weakref
from collections import Counter
from collections.abc import Sequence

import gradio as gr
import orjson

from busi_model.page import strings
from busi_model.page.server import gradio_inside
from busi_model.page.server.gradio_inside import Asked
from busi_model.page.server.visitor import household

PLACES = 64  # of an address: more would wait about a minute on two cores, and give up
PLACES_IN_ALL = 512
THREADS = 80  # readers who wait for a locked database (`page.session.panel`) must not hold up the rest
AT_ONCE = 2  # of each event that says nothing else: short ones, which take no network
ASKED_BYTES, ASKED_OF_ADDRESS = 2**28, 2**26  # of memory that waiting events take
UNHEARD_BYTES = 2**28  # of memory that answers take until they are fetched
OBJECTS = 8  # numbers and lists of Python take so many times the bytes of their JSON


def limit(page: gr.Blocks, places: int = PLACES, unheard_bytes: int = UNHEARD_BYTES) -> None:
    """Give a finished page its queue. places: how many events of one kind may wait, of one address. unheard_bytes: of
    all answers together that nobody fetched yet."""
    page.max_threads = THREADS  # before the queue is made: it takes as many events at once
    page.queue(default_concurrency_limit=AT_ONCE, api_open=False)

    def refusal(one: Asked, line: list[Asked], held: list[Asked]) -> str | None:
        mine = household(one.address)
        full = len(line) >= PLACES_IN_ALL or sum(household(other.address) == mine for other in line) >= places
        taken: Counter[str] = Counter()
        for other in (one, *held):
            taken[household(other.address)] += other.weight
        full |= one.weight > 0 and (taken[mine] > ASKED_OF_ADDRESS or taken.total() > ASKED_BYTES)
        return strings.BUSY.format(before=len(line)) if full else None

    gradio_inside.keep_no_values()
    gradio_inside.before_each_push(page, refusal, in_turns)
    gradio_inside.before_each_message(page, Unheard(unheard_bytes).note)


def in_turns(line: Sequence[Asked]) -> list[int]:
    """The places of a line in a fair order: addresses take turns, and at each address its visitors; the events of one
    visitor stay as they came. Nobody is overtaken twice by the same visitor."""
    by_address: dict[str, dict[str, list[int]]] = {}
    for place, one in enumerate(line):
        visitors = by_address.setdefault(household(one.address), {})
        visitors.setdefault(one.session.rpartition("-")[0], []).append(place)
    return _alternate([_alternate(list(visitors.values())) for visitors in by_address.values()])


def _alternate(parts: list[list[int]]) -> list[int]:
    rounds = itertools.zip_longest(*parts)
    return [place for one in rounds for place in one if place is not None]


class Unheard:
    """Messages that wait until their session fetches them: those of whoever has most go when there are too many."""

    def __init__(self, most_bytes: int):
        self.most_bytes, self.bytes = most_bytes, 0
        self._kept: dict[int, tuple[weakref.ref, str, int]] = {}

    def note(self, session: str, message: object) -> str | None:
        """Take a message in; whose messages must go for it, or None."""
        number, weight = id(message), _weight(message)
        sent = weakref.ref(message, lambda _: self._leave(number))  # nobody keeps a message that was sent
        self._kept[number], self.bytes = (sent, session, weight), self.bytes + weight
        if self.bytes <= self.most_bytes:
            return None
        by_session: Counter[str] = Counter()
        for _, one, size in list(self._kept.values()):
            by_session[one] += size
        return max(by_session, key=by_session.__getitem__)

    def _leave(self, number: int) -> None:
        if kept := self._kept.pop(number, None):
            self.bytes -= kept[2]


def _weight(message: object) -> int:
    output = getattr(message, "output", None)
    try:
        return 1000 if output is None else 1000 + OBJECTS * len(orjson.dumps(output, default=str))
    except TypeError:  # nested deeper than orjson goes; Gradio will say so
        return 2**20
