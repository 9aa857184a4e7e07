"""Copies of the records go to a private dataset on the Hugging Face Hub, when one is named.

Enters: what waits in the store (`queue`). Leaves: files in the dataset (`dataset`). A Space's disk is emptied
at every restart; the dataset is not. "Saved" never waits for the hub.

What an attempt may meet, and what happens: refused token or full quota: told, tried again later; 429: the hub's
Retry-After is kept; 500, silence, a cut connection: tried again after 2, 4, 8 ... seconds, ten minutes at most; a
record that the hub refuses for itself is set aside until the next start, so that it does not hold up the others.
Several programs on one store push one at a time. What is removed is looked for again when no push that began before
its removal can be under way any more: a killed program's commit may arrive late.
"""

import contextlib
import logging
import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.errors import HfHubHTTPError

from busi_model.reading import words
from busi_model.reading.errors import StoreError
from busi_model.reading.hub.dataset import Datasets
from busi_model.reading.hub.queue import REMOVALS, HubQueue
from busi_model.reading.storage.store import SPACE_DISK, Store, default_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOG = logging.getLogger(__name__)
REPO_VARIABLE, TOKEN_VARIABLE = "BUSI_SYNC_REPO", "HF_TOKEN"
BATCH = 50  # records a commit
LOCK = "outbox.lock"  # in the store's folder, held by the program that pushes; it falls with its program
INTERVAL_S = 30.0  # between commits: the hub takes some hundred commits an hour
TIMEOUT_S = 60.0  # without a byte from the hub
FIRST_WAIT_S, LONGEST_WAIT_S, LONGEST_RETRY_AFTER_S = 2.0, 600.0, 3600.0
REFUSED_ITSELF = (400, 413, 422)  # the record is at fault, not the hub


def storage_warning(folder: Path | None = None) -> str | None:
    """What must stand in red before the first case: a Space that forgets everything when it restarts."""
    kept = SPACE_DISK in (folder or default_folder()).absolute().parents and os.access(SPACE_DISK, os.W_OK)
    if "SPACE_ID" not in os.environ or kept or _named_in_environment():
        return None
    return words.FORGETFUL.format(dataset=REPO_VARIABLE, token=TOKEN_VARIABLE)


def _named_in_environment() -> bool:
    return bool(os.environ.get(REPO_VARIABLE) and os.environ.get(TOKEN_VARIABLE))


@dataclass(frozen=True)
class SyncState:
    """What the page shows beside "saved here"."""

    waiting: int
    synced: int
    problem: str  # in words; "" when the last attempt went well


class HubSync:
    """Pushes what waits in a store to one private dataset repository, which is made when absent.

    repo_id: "owner/name". endpoint: the hub's address, None for huggingface_hub's own (HF_ENDPOINT).
    """

    def __init__(
        self, store: Store, repo_id: str, token: str, endpoint: str | None = None, timeout_s: float = TIMEOUT_S
    ):
        self._store = store
        self._repo_id = store.dataset = repo_id
        self._queue = HubQueue(store, repo_id)
        self._datasets = Datasets(token, endpoint, timeout_s)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._batch = BATCH
        self._problem = ""
        self._sending: tuple[str, ...] = ()  # keys of the commit under way
        self._elsewhere_at = 0.0  # when other datasets are next asked, by a clock that nobody sets

    @classmethod
    def from_environment(cls, store: Store) -> "HubSync | None":
        """The one that BUSI_SYNC_REPO and HF_TOKEN name, or None."""
        if not _named_in_environment():
            return None
        return cls(store, os.environ[REPO_VARIABLE], os.environ[TOKEN_VARIABLE])

    def start(self) -> None:
        """Push in a thread of its own, beginning with what an earlier process left."""
        self._queue.begin()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="hub-sync", daemon=True)
        self._thread.start()

    def stop(self, patience_s: float = 2.0) -> None:
        """End the thread after the attempt that is under way; does not wait longer than patience_s for it."""
        self._stopping.set()
        if self._thread:
            self._thread.join(timeout=patience_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self.push())

    def state(self) -> SyncState:
        """How things stand; never raises, since it is asked when a record was just saved."""
        try:
            waiting, synced, refused = self._queue.count()
        except StoreError:
            return SyncState(0, 0, words.SYNC["unknown"])
        problem = self._problem
        if not problem and refused:
            problem = words.SYNC["refused"].format(count=refused)
        return SyncState(waiting, synced, problem)

    def push(self) -> float:
        """One attempt; returns after how many seconds the next one is due. Never raises."""
        try:
            more = self._push()
        except StoreError as error:
            return self._failed(str(error))
        except HfHubHTTPError as error:
            return self._refused(error)
        except Exception as error:  # the network raises whatever it likes; the records wait
            return self._failed(words.SYNC["unreachable"].format(kind=type(error).__name__))
        self._failures, self._problem, self._batch = 0, "", BATCH
        return FIRST_WAIT_S if more else INTERVAL_S

    def _failed(self, problem: str, wait_s: float | None = None) -> float:
        self._problem = problem
        self._failures += 1
        doubled = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(self._failures - 1, 20))
        return wait_s if wait_s is not None else doubled * random.uniform(0.8, 1.2)  # noqa: S311 - only spreads load

    def _refused(self, error: HfHubHTTPError) -> float:
        status = error.response.status_code
        if status in REFUSED_ITSELF and self._sending:
            return self._set_aside(status)
        if status == 429:
            asked = error.response.headers.get("Retry-After", "")
            # The header's other form, a date, is not used by the hub.
            wait_s = min(LONGEST_RETRY_AFTER_S, float(asked)) if asked.isdigit() else None
            return self._failed(words.SYNC["wait"], wait_s)
        if status in (401, 403):
            said = words.SYNC["token"].format(status=status, variable=TOKEN_VARIABLE)
            return self._failed(said, LONGEST_WAIT_S)
        return self._failed(words.SYNC["error"].format(status=status))

    def _set_aside(self, status: int) -> float:
        """One of a batch is bad: look for it in ever smaller batches, then go on without it."""
        if len(self._sending) > 1:
            self._batch = max(1, len(self._sending) // 2)
            return FIRST_WAIT_S
        try:
            self._queue.set_aside(self._sending[0], status)
        except StoreError as error:
            return self._failed(str(error))
        self._batch = BATCH
        return FIRST_WAIT_S

    def _push(self) -> bool:
        """Send one batch and the removals, unless another program is doing so; returns whether more waits."""
        with _alone(self._store.folder / LOCK) as alone:
            return alone and self._push_alone()

    def _push_alone(self) -> bool:
        self._sending = ()
        batch = self._queue.take(self._batch, elsewhere=time.monotonic() >= self._elsewhere_at)
        elsewhere = dict(batch.removals)
        here = elsewhere.pop(self._repo_id, {})
        if batch.bodies or here:
            self._datasets.make_sure_it_is_private(self._repo_id)
        if batch.bodies:
            self._sending = tuple(batch.keys)
            self._datasets.add(self._repo_id, batch.bodies)
            self._sending = ()
            self._queue.sent(batch.keys)
        if here:
            self._remove(self._repo_id, here)
        self._remove_elsewhere(elsewhere)
        return len(batch.keys) == self._batch or len(here) == REMOVALS

    def _remove_elsewhere(self, removals: dict[str, dict[str, str]]) -> None:
        """The same in datasets that were named before; one that this token does not reach holds nothing up, and the
        deletion stays open."""
        for dataset, paths in removals.items():
            try:
                self._remove(dataset, paths)
            except StoreError:
                raise
            except Exception as error:  # as in `push`
                self._elsewhere_at = time.monotonic() + LONGEST_WAIT_S
                LOG.warning("Removed records may have copies in an earlier dataset (%s).", type(error).__name__)

    def _remove(self, dataset: str, removals: dict[str, str]) -> None:
        """Delete copies of removed records."""
        self._datasets.remove(dataset, list(removals))
        self._queue.removed(dataset, removals)


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[bool]:
    """Whether this program is the only one between here and the block's end; Windows cannot tell."""
    if fcntl is None:
        yield True
        return
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(file)
