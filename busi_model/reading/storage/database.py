"""One SQLite file: connections, transactions, older forms brought up to date, SQLite's complaints in words.

Enters: a path. Leaves: `write()`, a transaction that is on disk when its block ends, and `read()`. WAL mode with
synchronous=FULL: what was committed survives a kill and a power cut. One connection a thread; several processes may
share the file. While another program keeps it locked all threads wait side by side, each `BUSY_TIMEOUT_S` at most.
"""

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from busi_model.reading.errors import StoreError
from busi_model.reading.storage.schema import MIGRATIONS

BUSY_TIMEOUT_S = 14.0  # another process may be writing; one save takes milliseconds
CHECKPOINT_TIMEOUT_S = 0.2  # who reads or writes meanwhile is hardly waited for: the next try comes soon


class _Connection(sqlite3.Connection):
    """sqlite3's own class cannot be referred to weakly."""


class Database:
    """One object serves all threads. Raises StoreError, here and in all methods."""

    def __init__(self, path: Path):
        self._path = path
        self._local = threading.local()
        self._connections: weakref.WeakSet[sqlite3.Connection] = weakref.WeakSet()  # of threads that still live
        self._writing = threading.RLock()  # fair enough for hundreds of threads, which SQLite's own waiting is not
        self._waiting_since: float | None = None  # whose turn it is waits for another program since then
        with self._turn(), _in_words("not_saved"):
            self._make_private()
            if _migrate(self._connection()):
                with contextlib.suppress(StoreError):
                    self.checkpoint()  # so that the file alone has its tables, whoever copies it
            self._make_private()  # the log beside it was just made

    def _make_private(self) -> None:
        """The file and what SQLite keeps beside it are this user's own, whoever made them."""
        # Only a file that is not there yet is opened: closing one would drop the locks that SQLite holds on it.
        with contextlib.suppress(OSError):  # SQLite will say what is wrong
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        for suffix in ("", "-wal", "-shm"):
            close_to_others(self._path.with_name(self._path.name + suffix))

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
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        with self._turn(), _in_words("not_saved"):
            connection = self._connection()
            self._begin(connection, deadline)
            try:
                _refuse_newer(connection)
                yield connection
            except BaseException:
                _undo(connection)
                raise
            try:
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                _undo(connection)
                if error.sqlite_errorcode in _UNCONFIRMED:
                    raise StoreError("unconfirmed") from error
                raise

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for SELECT. Raises StoreError."""
        with _in_words("not_read"):
            connection = self._connection()
            _wait_at_most(connection, BUSY_TIMEOUT_S)
            _refuse_newer(connection)
            yield connection

    def locked_s(self) -> float:
        """For how long a save has been waiting for another program by now; 0 when none is."""
        since = self._waiting_since
        return 0.0 if since is None else time.monotonic() - since

    def checkpoint(self) -> bool:
        """Move what lies in the write-ahead log into the file itself and empty the log; False while somebody reads.

        What was deleted stands in old pages of the log until then. Raises StoreError.
        """
        with self._turn(CHECKPOINT_TIMEOUT_S), _in_words("not_saved"):
            with contextlib.closing(sqlite3.connect(self._path, timeout=CHECKPOINT_TIMEOUT_S)) as connection:
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

    def log_age_s(self) -> float:
        """Seconds since the write-ahead log last changed; negative when it is empty and needs no checkpoint."""
        try:
            log = self._path.with_name(f"{self._path.name}-wal").stat()
        except OSError:
            return -1.0
        return max(0.0, time.time() - log.st_mtime) if log.st_size else -1.0

    @contextlib.contextmanager
    def _turn(self, patience_s: float | None = None) -> Iterator[None]:
        """One thread of this process writes at a time; who waits for the turn waits no longer than for the file."""
        if not self._writing.acquire(timeout=BUSY_TIMEOUT_S if patience_s is None else patience_s):
            raise StoreError("locked", what="not_saved", waited=BUSY_TIMEOUT_S)
        try:
            yield
        finally:
            self._writing.release()

    def _begin(self, connection: sqlite3.Connection, deadline: float) -> None:
        _wait_at_most(connection, max(0.0, deadline - time.monotonic()))
        self._waiting_since = time.monotonic()
        try:
            connection.execute("BEGIN IMMEDIATE")
        finally:
            self._waiting_since = None


def close_to_others(path: Path) -> None:
    """Take from everybody but the owner what they may do with a file or folder; what is not ours stays as it is."""
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            path.chmod(mode & 0o700)


def _wait_at_most(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(1000 * seconds)}")


def _undo(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
            connection.execute("ROLLBACK")


def _refuse_newer(connection: sqlite3.Connection) -> None:
    """Raises StoreError when a newer program has changed the tables, now or while this one ran."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StoreError("newer_form", found=version, known=len(MIGRATIONS))


def _migrate(connection: sqlite3.Connection) -> bool:
    """Bring an older database up to date, all or nothing; returns whether it was one. Refuses a newer one."""
    _refuse_newer(connection)
    if connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS):
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        _refuse_newer(connection)  # another process may have been faster
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for script in MIGRATIONS[version:]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        _undo(connection)
        raise
    return True


# The pages are written by then, only their safe arrival is in doubt: a kill could bring them back.
_UNCONFIRMED = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)
_CODES = (  # part of SQLite's message, code of what to say
    ("full", "disk_full"),
    ("disk i/o", "disk_fails"),
    ("readonly", "disk_read_only"),
    ("unable to open", "not_opened"),
    ("malformed", "damaged"),
    ("not a database", "no_database"),
)


@contextlib.contextmanager
def _in_words(what: str) -> Iterator[None]:
    """what: a code of `words.PARTS`."""
    try:
        yield
    except sqlite3.Error as error:
        message = str(error).lower()
        if "locked" in message:
            raise StoreError("locked", what=what, waited=BUSY_TIMEOUT_S) from error
        if code := next((code for part, code in _CODES if part in message), None):
            raise StoreError(code, what=what) from error
        raise StoreError("database_says", what=what, error=str(error)) from error
