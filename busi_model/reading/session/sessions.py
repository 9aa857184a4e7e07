"""A host makes a reading session, hands out codes, watches the readers and, at the end, closes or deletes it.

Enters: a name, the cases' pixels, the truth where it is known. Leaves: a code for each reader, shown once; the readers'
progress. What one reader does is in module progress. No file name is kept, as it may name a patient: cases are numbered
in the order in which the host gave them.
"""

import contextlib
import json
import random
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from busi_model.names import CLASS_NAMES
from busi_model.reading.errors import CodeError, RecordError, StageError, StoreError
from busi_model.reading.records import NewSession
from busi_model.reading.session import access as codes
from busi_model.reading.session.place import stage_of
from busi_model.reading.session.progress import ReaderSession, fold
from busi_model.reading.storage.clock import now
from busi_model.reading.storage.deletion import Deletion, forget
from busi_model.reading.storage.store import Store

MAX_CASES = 999  # three digits in a step's key


@dataclass(frozen=True, eq=False)  # == on the array would raise
class NewCase:
    """One picture to read."""

    gray: np.ndarray  # uint8 (H, W)
    truth: str | None = None  # one of CLASS_NAMES


@dataclass(frozen=True)
class Created:
    session_id: str
    codes: list[str]  # one a reader, in the order of their numbers; kept hashed, so never shown again


@dataclass(frozen=True)
class ReaderInfo:
    number: int
    pseudonym: str | None  # None: has not come yet
    role: str | None
    years: float | None
    done: int  # of the session's cases
    stage: str
    last_seen: str | None


@dataclass(frozen=True)
class SessionInfo:
    session_id: str
    name: str
    created_at: str
    closed: bool
    read_first: bool
    n_cases: int
    readers: list[ReaderInfo]
    left_out: tuple[int, ...] = ()  # numbers of cases that readers went on without: their pictures are damaged


class Sessions:
    """All reading sessions of a store."""

    def __init__(self, store: Store, attempts: codes.Attempts | None = None):
        self.store = store
        self._attempts = attempts or codes.Attempts()
        self._opened: set[str] = set()  # locators whose right code was given to this process

    # The host

    def create(self, new_session: NewSession, cases: Iterable[NewCase]) -> Created:
        """Keep the pictures and make a code for each reader; all or nothing. Raises RecordError, StoreError."""
        kept: list[tuple[str, int, int, str | None]] = []  # (hash, width, height, truth)
        session_id = secrets.token_hex(6)
        try:
            for case in cases:
                if case.truth is not None and case.truth not in CLASS_NAMES:
                    raise RecordError("unknown_truth")
                if len(kept) == MAX_CASES:
                    raise RecordError("many_cases", most=MAX_CASES)
                kept.append((self.store.keep_image(case.gray), *case.gray.shape[::-1], case.truth))
            if not kept:
                raise RecordError("no_cases")
            with self.store.write() as connection:
                if not all(self.store.image_path(sha256).exists() for sha256, *_ in kept):
                    raise StoreError("images_deleted")
                connection.execute(
                    "INSERT INTO session (id, name, read_first, seed, created_at) VALUES (?, ?, ?, ?, ?)",
                    (session_id, new_session.name, new_session.read_first, new_session.seed, now()),
                )
                connection.executemany(
                    "INSERT INTO session_case VALUES (?, ?, ?, ?, ?, ?)",
                    [(session_id, number, *case) for number, case in enumerate(kept, start=1)],
                )
                return Created(session_id, [_add_reader(connection, session_id) for _ in range(new_session.n_readers)])
        except BaseException:
            with contextlib.suppress(StoreError):  # the first error is the one to tell; leftovers go after a day
                self.store.drop_images(sha256 for sha256, *_ in kept)
            raise

    def list(self) -> list[SessionInfo]:
        """All sessions, newest first."""
        with self.store.read() as connection:
            sessions = connection.execute("SELECT * FROM session ORDER BY created_at DESC, rowid DESC").fetchall()
            return [_session_info(connection, session) for session in sessions]

    def add_reader(self, session_id: str) -> str:
        """A further reader; returns the code."""
        with self.store.write() as connection:
            if _session(connection, session_id)["closed_at"]:
                raise StageError("session_closed")
            return _add_reader(connection, session_id)

    def renew_code(self, session_id: str, number: int) -> str:
        """A new code for a reader who lost theirs; the old one ends."""
        code = codes.make_code()
        with self.store.write() as connection:
            changed = connection.execute(
                "UPDATE reader SET locator = ?, salt = ?, code_hash = ? "
                "WHERE session_id = ? AND number = ? AND removed_at IS NULL",
                (code.locator, code.salt, code.code_hash, session_id, number),
            ).rowcount
            if not changed:
                raise RecordError("no_reader")
        return code.text

    def close(self, session_id: str) -> None:
        """Nothing more is taken; all that was saved stays."""
        with self.store.write() as connection:
            _session(connection, session_id)
            connection.execute(
                "UPDATE session SET closed_at = ? WHERE id = ? AND closed_at IS NULL", (now(), session_id)
            )

    def delete(self, session_id: str) -> Deletion:
        """The session, its readers, its records and its pictures go, synced copies of the records too."""
        with self.store.write() as connection:
            _session(connection, session_id)
            rows = connection.execute("SELECT image_sha256 FROM session_case WHERE session_id = ?", (session_id,))
            pictures = [row[0] for row in rows.fetchall()]
            number = forget(connection, "session", "session_id = ?", (session_id,), pictures)
            connection.execute("DELETE FROM session WHERE id = ?", (session_id,))
        return self.store.finish(number)

    def remove_reader(self, session_id: str, pseudonym: str) -> Deletion:
        """A reader's right: their records, pseudonym and code go, synced copies too."""
        with self.store.write() as connection:
            row = connection.execute(
                "SELECT id FROM reader WHERE session_id = ? AND pseudonym_folded = ?", (session_id, fold(pseudonym))
            ).fetchone()
            if row is None:
                raise RecordError("no_pseudonym")
            number = forget(connection, "reader", "reader_id = ?", (row["id"],))
            connection.execute("DELETE FROM shown WHERE reader_id = ?", (row["id"],))
            connection.execute(
                "UPDATE reader SET pseudonym = NULL, pseudonym_folded = NULL, role = NULL, years = NULL, "
                "locator = NULL, salt = NULL, code_hash = NULL, familiarised_at = NULL, last_seen = NULL, "
                "removed_at = ? WHERE id = ?",
                (now(), row["id"]),
            )
        return self.store.finish(number)

    # The readers

    def enter(self, code: str, client: str = "") -> ReaderSession:
        """A code opens its reader's part of a session. Raises CodeError when it is unknown.

        client: an address or the like; wrong codes are counted against it. A right code that opened before, or whose
        reader has joined, never waits: others' guesses, at this address or at this code, do not stop a reader.
        """
        locator, secret = codes.take_apart(code)
        name = f"client {client}"
        with self.store.read() as connection:
            row = connection.execute("SELECT * FROM reader WHERE locator = ?", (locator,)).fetchone()
        right = row is not None and codes.matches(secret, row["salt"], row["code_hash"])
        if not (right and (locator in self._opened or row["pseudonym"] is not None)):
            self._attempts.check(name)
        if not right:
            self._attempts.wrong(name)
            raise CodeError("unknown_code")
        self._opened.add(locator)
        return ReaderSession(self.store, row["id"])


def _add_reader(connection: sqlite3.Connection, session_id: str) -> str:
    """Insert a reader with a fresh code and an order of their own; returns the code."""
    session = _session(connection, session_id)
    number = connection.execute(
        "SELECT coalesce(max(number), 0) + 1 FROM reader WHERE session_id = ?", (session_id,)
    ).fetchone()[0]
    order = list(range(1, _n_cases(connection, session_id) + 1))
    random.Random(f"{session['seed']}-{number}").shuffle(order)
    code = codes.make_code()
    connection.execute(
        "INSERT INTO reader (session_id, number, locator, salt, code_hash, case_order) VALUES (?, ?, ?, ?, ?, ?)",
        (session_id, number, code.locator, code.salt, code.code_hash, json.dumps(order)),
    )
    return code.text


def _session(connection: sqlite3.Connection, session_id: str) -> sqlite3.Row:
    row = connection.execute("SELECT * FROM session WHERE id = ?", (session_id,)).fetchone()
    if row is None:
        raise RecordError("no_session")
    return row


def _n_cases(connection: sqlite3.Connection, session_id: str) -> int:
    return connection.execute("SELECT count(*) FROM session_case WHERE session_id = ?", (session_id,)).fetchone()[0]


def _session_info(connection: sqlite3.Connection, session: sqlite3.Row) -> SessionInfo:
    left_out = connection.execute(
        "SELECT DISTINCT case_number FROM record WHERE session_id = ? AND kind = 'left_out' ORDER BY 1",
        (session["id"],),
    ).fetchall()
    readers = []
    for reader in connection.execute(
        "SELECT * FROM reader WHERE session_id = ? AND removed_at IS NULL ORDER BY number", (session["id"],)
    ).fetchall():
        place = stage_of(connection, session, reader)
        readers.append(
            ReaderInfo(
                reader["number"],
                reader["pseudonym"],
                reader["role"],
                reader["years"],
                place.done,
                place.stage,
                reader["last_seen"],
            )
        )
    return SessionInfo(
        session["id"],
        session["name"],
        session["created_at"],
        session["closed_at"] is not None,
        bool(session["read_first"]),
        _n_cases(connection, session["id"]),
        readers,
        tuple(row["case_number"] for row in left_out),
    )
