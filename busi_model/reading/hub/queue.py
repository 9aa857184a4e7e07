"""What a dataset on the Hub has yet to get, and what it has yet to lose: the store's own tables are the queue.

Enters: which dataset. Leaves: batches of files and of removals. Nothing is queued twice, and a restart goes on where
the last process stopped. What another dataset has counts for nothing here, but what is removed is looked for there too.
"""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from busi_model.reading.hub.dataset import path_of, render
from busi_model.reading.storage.clock import now
from busi_model.reading.storage.store import Store

REMOVALS = 500  # a commit
SETTLED_S = 900.0  # no push lasts longer: from then on a record that is not on the hub will not turn up there
_COPY_HERE = "copy ON copy.key = record.key AND copy.dataset = ?"
_SETTLED = "coalesce(push_started_at, '') < ?"


@dataclass(frozen=True)
class Batch:
    """What comes next."""

    keys: list[str]  # of the records that are to be sent
    bodies: dict[str, bytes]  # their files, by path
    removals: dict[str, dict[str, str]]  # dataset -> {path: key}


class HubQueue:
    """Of one store and the dataset that its records go to. Everything raises StoreError."""

    def __init__(self, store: Store, dataset: str):
        self._store, self._dataset = store, dataset

    def begin(self) -> None:
        """What the hub refused in an earlier run may be tried again."""
        with self._store.write() as connection:
            connection.execute("UPDATE copy SET problem = NULL WHERE problem IS NOT NULL")

    def count(self) -> tuple[int, int, int]:
        """Records that wait, those that are there, those that the hub refused."""
        with self._store.read() as connection:
            return connection.execute(
                "SELECT count(*) FILTER (WHERE synced_at IS NULL), count(synced_at), count(problem) "
                f"FROM record LEFT JOIN {_COPY_HERE}",
                (self._dataset,),
            ).fetchone()

    def take(self, most: int, elsewhere: bool) -> Batch:
        """At most so many records; a record counts as perhaps sent from here on. elsewhere: removals in other datasets
        too."""
        with self._store.write() as connection:
            self._adopt(connection)
            keys = [
                row[0]
                for row in connection.execute(
                    f"SELECT record.key FROM record LEFT JOIN {_COPY_HERE} "
                    "WHERE synced_at IS NULL AND problem IS NULL ORDER BY id LIMIT ?",
                    (self._dataset, most),
                )
            ]
            # Said before it happens: a removal from here on knows that a copy may be out.
            connection.executemany(
                "INSERT INTO copy (key, dataset, push_started_at) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET push_started_at = excluded.push_started_at",
                [(key, self._dataset, now()) for key in keys],
            )
            records = self._store.records(f"key IN ({_marks(keys)})", tuple(keys))
            bodies = {
                path_of(record.key, record.saved_at): render(self._store, connection, record) for record in records
            }
            return Batch(keys, bodies, self._due_removals(connection, elsewhere))

    def _adopt(self, connection: sqlite3.Connection) -> None:
        """What an older program pushed it pushed somewhere: here, until now. A copy may be here and is sent again,
        which changes nothing where it is; what was removed is looked for here."""
        for table in ("copy", "removal"):
            connection.execute(f"UPDATE OR REPLACE {table} SET dataset = ? WHERE dataset = ''", (self._dataset,))

    def _due_removals(self, connection: sqlite3.Connection, elsewhere: bool) -> dict[str, dict[str, str]]:
        due: dict[str, dict[str, str]] = {}
        rows = connection.execute(
            "SELECT dataset, key, saved_at FROM removal "
            f"WHERE (dataset = ? OR ?) AND (checked_at IS NULL OR {_SETTLED}) ORDER BY dataset = ? DESC LIMIT ?",
            (self._dataset, elsewhere, _settled_since(), self._dataset, REMOVALS),
        )
        for dataset, key, saved_at in rows:
            due.setdefault(dataset, {})[path_of(key, saved_at)] = key
        return due

    def sent(self, keys: list[str]) -> None:
        """They are there."""
        with self._store.write() as connection:
            connection.execute(
                f"UPDATE copy SET synced_at = ? WHERE dataset = ? AND key IN ({_marks(keys)})",
                (now(), self._dataset, *keys),
            )

    def set_aside(self, key: str, status: int) -> None:
        """The hub refuses this record for itself: it holds up no others until `begin`."""
        with self._store.write() as connection:
            connection.execute(
                "UPDATE copy SET problem = ? WHERE key = ? AND dataset = ?",
                (f"{status} at {now()}", key, self._dataset),
            )

    def removed(self, dataset: str, removals: dict[str, str]) -> None:
        """Their copies are gone; those that a push under way may bring back are looked for again."""
        with self._store.write() as connection:
            for key in removals.values():
                which = (key, dataset)
                connection.execute(
                    f"DELETE FROM removal WHERE key = ? AND dataset = ? AND {_SETTLED}", (*which, _settled_since())
                )
                connection.execute("UPDATE removal SET checked_at = ? WHERE key = ? AND dataset = ?", (now(), *which))
        self._store.work_off()


def _marks(keys: list[str]) -> str:
    return ", ".join("?" * len(keys))


def _settled_since() -> str:
    return (datetime.now(UTC) - timedelta(seconds=SETTLED_S)).isoformat(timespec="milliseconds")
