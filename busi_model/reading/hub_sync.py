"""Copies of the records go to a private dataset on the Hugging Face Hub, when one is named.

Enters: the store's records. Leaves: files in the dataset (`hub_dataset`). A Space's disk is emptied at every restart;
the dataset is not. The queue is the store itself (what this dataset has no synced copy of waits), so nothing is queued
twice, and a restart goes on where the last process stopped. "Saved" never waits for the hub. Where another dataset was
named before, nothing that it has counts for this one, and what is removed is looked for in both.

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
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from huggingface_hub.errors import HfHubHTTPError

from busi_model.reading import words
from busi_model.reading.clock import now
from busi_model.reading.errors import StoreError
from busi_model.reading.hub_dataset import Datasets, path_of, render
from busi_model.reading.store import SPACE_DISK, Store, default_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOG = logging.getLogger(__name__)
REPO_VARIABLE, TOKEN_VARIABLE = "BUSI_SYNC_REPO", "HF_TOKEN"
BATCH = 50  # records a commit
REMOVALS = 500  # a commit
SETTLED_S = 900.0  # no push lasts longer: from then on a record that is not on the hub will not turn up there
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


class Outbox:
    """Pushes what waits in a store to one private dataset repository, which is made when absent.

    repo_id: "owner/name". endpoint: the hub's address, None for huggingface_hub's own (HF_ENDPOINT).
    """

    def __init__(
        self, store: Store, repo_id: str, token: str, endpoint: str | None = None, timeout_s: float = TIMEOUT_S
    ):
        self._store = store
        self._repo_id = store.dataset = repo_id
        self._datasets = Datasets(token, endpoint, timeout_s)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._batch = BATCH
        self._problem = ""
        self._sending: tuple[str, ...] = ()  # keys of the commit under way
        self._elsewhere_at = 0.0  # when other datasets are next asked, by a clock that nobody sets

    @classmethod
    def from_environment(cls, store: Store) -> "Outbox | None":
        """The outbox that BUSI_SYNC_REPO and HF_TOKEN name, or None."""
        if not _named_in_environment():
            return None
        return cls(store, os.environ[REPO_VARIABLE], os.environ[TOKEN_VARIABLE])

    def start(self) -> None:
        """Push in a thread of its own, beginning with what an earlier process left."""
        with self._store.write() as connection:
            connection.execute("UPDATE copy SET problem = NULL WHERE problem IS NOT NULL")
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
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
            return self._count()
        except StoreError:
            return SyncState(0, 0, words.SYNC["unknown"])

    def _count(self) -> SyncState:
        with self._store.read() as connection:
            waiting, synced, refused = connection.execute(
                "SELECT count(*) FILTER (WHERE synced_at IS NULL), count(synced_at), count(problem) "
                f"FROM record LEFT JOIN {_COPY_HERE}",
                (self._repo_id,),
            ).fetchone()
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
            with self._store.write() as connection:
                connection.execute(
                    "UPDATE copy SET problem = ? WHERE key = ? AND dataset = ?",
                    (f"{status} at {now()}", self._sending[0], self._repo_id),
                )
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
        with self._store.write() as connection:
            self._adopt(connection)
            keys = [
                row[0]
                for row in connection.execute(
                    f"SELECT record.key FROM record LEFT JOIN {_COPY_HERE} "
                    "WHERE synced_at IS NULL AND problem IS NULL ORDER BY id LIMIT ?",
                    (self._repo_id, self._batch),
                )
            ]
            removals = self._due_removals(connection)
            if not keys and not any(removals.values()):
                return False
            marks = ", ".join("?" * len(keys))
            # Said before it happens: a removal from here on knows that a copy may be out.
            connection.executemany(
                "INSERT INTO copy (key, dataset, push_started_at) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET push_started_at = excluded.push_started_at",
                [(key, self._repo_id, now()) for key in keys],
            )
            bodies = {
                path_of(record.key, record.saved_at): render(self._store, connection, record)
                for record in self._store.records(f"key IN ({marks})", tuple(keys))
            }
        here = removals.pop(self._repo_id, {})
        if bodies or here:
            self._datasets.make_sure_it_is_private(self._repo_id)
        if bodies:
            self._sending = tuple(keys)
            self._datasets.add(self._repo_id, bodies)
            self._sending = ()
            with self._store.write() as connection:
                connection.execute(
                    f"UPDATE copy SET synced_at = ? WHERE dataset = ? AND key IN ({marks})",
                    (now(), self._repo_id, *keys),
                )
        if here:
            self._remove(self._repo_id, here)
        self._remove_elsewhere(removals)
        return len(keys) == self._batch or len(here) == REMOVALS

    def _adopt(self, connection: sqlite3.Connection) -> None:
        """What an older program pushed it pushed somewhere: here, until now. A copy may be here and is sent again,
        which changes nothing where it is; what was removed is looked for here."""
        for table in ("copy", "removal"):
            connection.execute(f"UPDATE OR REPLACE {table} SET dataset = ? WHERE dataset = ''", (self._repo_id,))

    def _due_removals(self, connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
        """Of each dataset: the paths to be removed, and their keys. Other datasets only now and then."""
        due: dict[str, dict[str, str]] = {}
        elsewhere = time.monotonic() >= self._elsewhere_at
        rows = connection.execute(
            "SELECT dataset, key, saved_at FROM removal "
            f"WHERE (dataset = ? OR ?) AND (checked_at IS NULL OR {_SETTLED}) ORDER BY dataset = ? DESC LIMIT ?",
            (self._repo_id, elsewhere, _settled_since(), self._repo_id, REMOVALS),
        )
        for dataset, key, saved_at in rows:
            due.setdefault(dataset, {})[path_of(key, saved_at)] = key
        return due

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
        with self._store.write() as connection:
            for key in removals.values():
                which = (key, dataset)
                connection.execute(
                    f"DELETE FROM removal WHERE key = ? AND dataset = ? AND {_SETTLED}", (*which, _settled_since())
                )
                connection.execute("UPDATE removal SET checked_at = ? WHERE key = ? AND dataset = ?", (now(), *which))
        self._store.work_off()


_COPY_HERE = "copy ON copy.key = record.key AND copy.dataset = ?"
_SETTLED = "coalesce(push_started_at, '') < ?"


def _settled_since() -> str:
    return (datetime.now(UTC) - timedelta(seconds=SETTLED_S)).isoformat(timespec="milliseconds")


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
