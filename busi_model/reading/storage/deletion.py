"""What is to go is written down with the deletion itself and worked off: pictures, old pages of the log, copies.

Enters: an SQL condition on records. Leaves: how far the deletion is. A kill anywhere loses nothing: `Upkeep`, a thread
of the running program, goes on, empties the write-ahead log after quiet minutes and once more at the end (then the
database file alone holds everything, and a copy of it made by other tools is whole), and drops what a crash left.
"""

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from busi_model.reading.errors import StoreError
from busi_model.reading.storage.clock import now
from busi_model.reading.storage.pictures import Pictures

LOG = logging.getLogger(__name__)
INTERVAL_S = 20.0
QUIET_S = 120.0  # without a save: then the log is emptied
LEFTOVERS_S = 3600.0  # between looks for pictures that a crash left


@dataclass(frozen=True)
class Deletion:
    """How far a deletion is. The rows are gone from `began_at` on; the rest is worked off."""

    what: str  # "session", "reader" or "feedback"
    began_at: str
    n_records: int
    n_pictures: int
    n_copies: int  # that may have left for the hub
    pictures_left: int
    log_emptied: bool  # False: old pages may still stand in the write-ahead log, because somebody reads
    copies_left: int
    done_at: str | None
    datasets: tuple[str, ...] = ()  # where those copies may be


class Deletions(Pictures):
    """A database with pictures, and the deletions that are under way in it."""

    def deletions(self, where: str = "1", parameters: tuple = ()) -> list[Deletion]:
        """How far deletions are, the newest first; where: an SQL condition on the table `deletion`."""
        with self.read() as connection:
            rows = connection.execute(
                f"SELECT *, (SELECT count(*) FROM deletion_picture WHERE deletion_id = id) AS pictures_left, "
                f"(SELECT count(*) FROM removal WHERE deletion_id = id) AS copies_left, "
                f"(SELECT group_concat(DISTINCT dataset) FROM removal WHERE deletion_id = id) AS datasets "
                f"FROM deletion WHERE {where} ORDER BY id DESC",
                parameters,
            ).fetchall()
        names = [name for name in Deletion.__dataclass_fields__ if name not in ("log_emptied", "datasets")]
        return [
            Deletion(
                log_emptied=row["log_emptied_at"] is not None,
                datasets=tuple(sorted(name for name in (row["datasets"] or "").split(",") if name)),
                **{name: row[name] for name in names},
            )
            for row in rows
        ]

    def finish(self, number: int) -> Deletion:
        """Work off what can be done at once; the rows are gone whatever happens now. Returns how far it is."""
        with contextlib.suppress(StoreError):  # it is tried again: `Upkeep`
            self.work_off()
        return self.deletions("id = ?", (number,))[0]

    def work_off(self) -> None:
        """Take every open deletion as far as it goes: pictures, write-ahead log, and whether the hub is done.

        Repeat it until `deletions` has none without `done_at`; a kill anywhere loses nothing. Raises StoreError.
        """
        with self.read() as connection:
            begun = [row[0] for row in connection.execute("SELECT id FROM deletion WHERE done_at IS NULL").fetchall()]
        if not begun:
            return
        self._drop_deleted_pictures()
        marks = ", ".join("?" * len(begun))
        if self.deletions(f"id IN ({marks}) AND log_emptied_at IS NULL", tuple(begun)) and self.checkpoint():
            with self.write() as connection:
                connection.execute(
                    f"UPDATE deletion SET log_emptied_at = ? WHERE id IN ({marks}) AND log_emptied_at IS NULL",
                    (now(), *begun),
                )
        with self.write() as connection:
            connection.execute(
                "UPDATE deletion SET done_at = ? WHERE done_at IS NULL AND log_emptied_at IS NOT NULL "
                "AND id NOT IN (SELECT deletion_id FROM deletion_picture) "
                "AND id NOT IN (SELECT deletion_id FROM removal WHERE deletion_id IS NOT NULL)",
                (now(),),
            )

    def _drop_deleted_pictures(self) -> None:
        with self.read() as connection:
            waiting = {row[0] for row in connection.execute("SELECT image_sha256 FROM deletion_picture").fetchall()}
        if not waiting:
            return
        gone = self.drop_images(waiting)
        with self.write() as connection:
            connection.executemany("DELETE FROM deletion_picture WHERE image_sha256 = ?", [(name,) for name in gone])


def forget(
    connection: sqlite3.Connection, what: str, where: str, parameters: tuple, pictures: Iterable[str] = ()
) -> int:
    """Delete records within a transaction, and write down what must follow: their pictures, and copies on the hub.

    what: "session", "reader" or "feedback". pictures: further ones that may go. Returns the deletion's number, for
    `Deletions.finish`.
    """
    kept = connection.execute(f"SELECT image_sha256 FROM record WHERE ({where}) AND image_kept", parameters).fetchall()
    pictures = {*pictures, *(row[0] for row in kept)}
    sent = f"FROM copy JOIN record USING (key) WHERE ({where})"
    n_records = connection.execute(f"SELECT count(*) FROM record WHERE {where}", parameters).fetchone()[0]
    n_copies = connection.execute(f"SELECT count(*) {sent}", parameters).fetchone()[0]
    connection.execute(
        "INSERT INTO deletion (what, began_at, n_records, n_pictures, n_copies) VALUES (?, ?, ?, ?, ?)",
        (what, now(), n_records, len(pictures), n_copies),
    )
    number: int = connection.execute("SELECT last_insert_rowid()").fetchone()[0]
    connection.executemany("INSERT INTO deletion_picture VALUES (?, ?)", [(number, name) for name in pictures])
    connection.execute(
        f"INSERT OR REPLACE INTO removal (key, dataset, saved_at, deletion_id, push_started_at) "
        f"SELECT key, dataset, saved_at, {number}, push_started_at {sent}",
        parameters,
    )
    connection.execute(f"DELETE FROM copy WHERE key IN (SELECT key FROM record WHERE {where})", parameters)
    connection.execute(f"DELETE FROM record WHERE {where}", parameters)
    return number


class Upkeep:
    """Tends one store in a thread of its own."""

    def __init__(self, store: Deletions, interval_s: float = INTERVAL_S, quiet_s: float = QUIET_S):
        self._store, self._interval_s, self._quiet_s = store, interval_s, quiet_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._leftovers_at = time.monotonic()
        self._said = ""

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and empty the log a last time."""
        self._stopping.set()
        if self._thread:
            self._thread.join(timeout=2)
        with contextlib.suppress(StoreError):
            self._store.checkpoint()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.tend(self._quiet_s)

    def tend(self, quiet_s: float) -> None:
        """One round. quiet_s: how long nothing must have been saved before the log is emptied. Never raises."""
        try:
            self._store.work_off()
            if self._store.log_age_s() >= quiet_s:
                self._store.checkpoint()
            if time.monotonic() - self._leftovers_at > LEFTOVERS_S:
                self._leftovers_at = time.monotonic()
                self._store.drop_leftovers()
            self._said = ""
        except StoreError as error:
            if str(error) != self._said:  # once: a full disk is not helped by a long log
                self._said = str(error)
                LOG.warning("The records could not be tended: %s", error)
