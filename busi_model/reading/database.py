"""One SQLite file: connections, transactions, older forms brought up to date, SQLite's complaints in words.

Enters: a path. Leaves: `write()`, a transaction that is on disk when its block ends, and `read()`. WAL mode with
synchronous=FULL: what was committed survives a kill and a power cut. One connection a thread; several processes may
share the file.
"""

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from busi_model.reading.errors import StoreError
from busi_model.reading.schema import MIGRATIONS

BUSY_TIMEOUT_S = 30  # another process may be writing; one save takes milliseconds


class _Connection(sqlite3.Connection):
    """sqlite3's own class cannot be referred to weakly."""


class Database:
    """One object serves all threads. Raises StoreError, here and in all methods."""

    def __init__(self, path: Path):
        self._path = path
        self._local = threading.local()
        self._connections = weakref.WeakSet()  # of threads that still live
        self._writing = threading.RLock()  # fair enough for hundreds of threads, which SQLite's own waiting is not
        with self._writing, _in_words(NOT_SAVED):
            _migrate(self._connection())

    def close(self) -> None:
        """Close the connections of all threads; the store opens anew when it is used again."""
        with self._writing:
            for connection in list(self._connections):
                connection.close()
            self._connections.clear()
            self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._path,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,  # transactions begin and end where this module says
                check_same_thread=False,  # `close` runs in another thread
                factory=_Connection,
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")  # stays as it is where the file system has no locks for it
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten: readers may ask for it
            self._local.connection = connection
            self._connections.add(connection)
        return connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: on disk when the block ends, undone when it raises. Raises StoreError."""
        with self._writing, _in_words(NOT_SAVED):
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
                        connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for SELECT. Raises StoreError."""
        with _in_words(NOT_READ):
            yield self._connection()

    def wipe(self) -> None:
        """After a deletion: the write-ahead log, which still holds the old pages, goes too (unless somebody reads)."""
        with self._writing, _in_words(NOT_SAVED):
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _migrate(connection) -> None:
    """Bring an older database up to date, all or nothing; refuse one from a newer program."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]  # another process may have been faster
        if version > len(MIGRATIONS):
            raise StoreError(
                f"The records were written by a newer program (form {version}, this one knows {len(MIGRATIONS)}). "
                "Update the program; nothing was changed."
            )
        for script in MIGRATIONS[version:]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


_WORDS = (  # part of SQLite's message, what to say
    ("full", "The disk is full. Free some space"),
    ("disk i/o", "The disk does not take the record. It may be full or failing"),
    ("readonly", "The records can be read but not written. Ask for the right to write to the folder of records"),
    ("unable to open", "The file of records cannot be opened. Check that its folder exists and may be written"),
    ("locked", "Another program keeps the records locked. Close it"),
    ("malformed", "The file of records is damaged. Stop the program and restore it from a copy"),
    ("not a database", "The file of records is no database. Stop the program and restore it from a copy"),
)


NOT_SAVED, NOT_READ = "Not saved.", "The records cannot be read."


@contextlib.contextmanager
def _in_words(what):
    try:
        yield
    except sqlite3.Error as error:
        message = str(error).lower()
        words = next((words for part, words in _WORDS if part in message), f"The database says: {error}")
        raise StoreError(f"{what} {words}; what was saved before is still there. Then try again.") from error
