"""Judgements go to disk, once each, and are acknowledged only then.

Enters: checked records and the pixels of session cases. Leaves: receipts, and the rows again for results and export. A
receipt is given after COMMIT (see `database`). A record's key is unique: a double click, a retry or a second tab gets
the first receipt again. Pictures lie beside the database (`pictures`); what is to go is worked off (`deletion`).
"""

import contextlib
import hashlib
import json
import os
import secrets
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from busi_model.reading.errors import ConflictError, ReadingError, RecordError, StoreError
from busi_model.reading.records import Checked, Feedback
from busi_model.reading.storage.clock import now
from busi_model.reading.storage.deletion import Deletion, Deletions, forget
from busi_model.reading.storage.pictures import image_sha256

DATABASE = "busi.sqlite3"
SPACE_DISK = Path("/data")  # where a Hugging Face Space mounts its persistent disk


def default_folder() -> Path:
    """BUSI_STORE; on a Space with a persistent disk /data/busi; else "busi" in the user's own data folder."""
    if chosen := os.environ.get("BUSI_STORE"):
        return Path(chosen)
    if "SPACE_ID" in os.environ and os.access(SPACE_DISK, os.W_OK):
        return SPACE_DISK / "busi"
    try:
        if sys.platform == "win32":
            base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Application Support"
        else:
            base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    except RuntimeError:
        raise StoreError("no_home") from None
    return Path(base) / "busi"


class Receipt(Checked):
    """Given only after the record is on the disk."""

    receipt: str  # short, to read aloud
    key: str
    saved_at: str  # UTC, ISO 8601
    synced: bool  # a copy is in the private dataset too
    again: bool = False  # the key was saved before: this is the first receipt again


@dataclass(frozen=True)
class Record:
    """One judgement as it was kept."""

    key: str
    kind: str  # "feedback", "own", "reveal", "final", "left_out" or "questionnaire"
    session_id: str | None
    reader_id: int | None
    case_number: int | None
    image_sha256: str | None
    content: dict  # the model's fields, see `records`
    mask_png: bytes | None  # the reader's outline, filled
    model_mask_png: bytes | None
    weights_sha256: str | None
    weights_revision: str | None
    app_version: str
    saved_at: str
    seconds: float | None  # from the step's last appearance on the screen to its saving
    times_shown: int | None  # more than once: reloaded or resumed, so `seconds` is too short
    clock_step_s: float | None  # the wall clock was set by so much meanwhile, so `saved_at` is out of order
    image_kept: bool

    @property
    def receipt(self) -> str:
        return receipt_id(self.key)


class Store(Deletions):
    """The database, its pictures and its deletions; one object serves all threads, several processes may share it.

    folder: made when absent; what lies in it is closed to other users, and so is the folder itself unless other things
    lie in it too. app_version is written into each record. Raises StoreError.
    """

    dataset = ""  # where copies go now, as `hub.sync` says: a receipt's `synced` means this one

    def __init__(self, folder: Path | str | None = None, app_version: str = ""):
        super().__init__((Path(folder) if folder is not None else default_folder()) / DATABASE)
        self.app_version = app_version
        with contextlib.suppress(StoreError):  # the next try comes soon: `Upkeep`
            self.work_off()
            self.drop_leftovers()

    def save_feedback(self, key: str, feedback: Feedback, gray: np.ndarray | None = None) -> Receipt:
        """Keep quick feedback; the picture, uint8 (H, W), only when `feedback.keep_image`."""
        if feedback.keep_image:
            if gray is None or image_sha256(gray) != feedback.image_sha256:
                raise RecordError("picture_other")
            self.keep_image(gray)
        try:
            with self.write() as connection:
                if feedback.keep_image and not self.image_path(feedback.image_sha256).exists():
                    raise StoreError("picture_deleted")
                return self.insert(
                    connection,
                    key,
                    "feedback",
                    feedback,
                    image_sha256=feedback.image_sha256,
                    mask_png=feedback.mask_png(),
                    model_mask_png=feedback.model.mask_png,
                    weights_sha256=feedback.model.weights_sha256,
                    weights_revision=feedback.model.weights_revision,
                    image_kept=feedback.keep_image,
                )
        except ReadingError:
            if feedback.keep_image:  # no record, so no picture
                with contextlib.suppress(StoreError):
                    self.drop_images([feedback.image_sha256])
            raise

    def insert(self, connection: sqlite3.Connection, key: str, kind: str, content: Checked, **columns: Any) -> Receipt:
        """Insert within a transaction; the receipt counts once the transaction has ended.

        A key that was saved before gives its first receipt again when the content is the same, and a ConflictError
        when it is not.
        """
        check_key(key)
        text = json.dumps(content.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        if receipt := self._saved_before(connection, key, kind, text):
            return receipt
        columns |= {"key": key, "kind": kind, "content": text, "saved_at": now(), "app_version": self.app_version}
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        connection.execute(f"INSERT INTO record ({names}) VALUES ({marks})", tuple(columns.values()))
        return Receipt(receipt=receipt_id(key), key=key, saved_at=columns["saved_at"], synced=False)

    def _saved_before(self, connection: sqlite3.Connection, key: str, kind: str, text: str) -> Receipt | None:
        row = connection.execute("SELECT * FROM record WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        if (row["kind"], row["content"]) != (kind, text):
            raise ConflictError("saved_before", receipt=receipt_id(key))
        return self.receipt_of(connection, row, again=True)

    def receipt_of(self, connection: sqlite3.Connection, row: sqlite3.Row, again: bool = False) -> Receipt:
        """The receipt of a row of the table `record`."""
        found = connection.execute(
            "SELECT count(synced_at) FROM copy WHERE key = ? AND dataset = ?", (row["key"], self.dataset)
        ).fetchone()
        name = receipt_id(row["key"])
        return Receipt(receipt=name, key=row["key"], saved_at=row["saved_at"], synced=found[0] > 0, again=again)

    def receipt(self, key: str) -> Receipt | None:
        """The receipt of a key, or None when nothing was saved under it; `synced` as it is now."""
        check_key(key)
        with self.read() as connection:
            row = connection.execute("SELECT * FROM record WHERE key = ?", (key,)).fetchone()
            return self.receipt_of(connection, row) if row else None

    def records(self, where: str = "1", parameters: tuple = ()) -> list[Record]:
        """The records that fit an SQL condition, in the order in which they were saved."""
        with self.read() as connection:
            names = ", ".join(Record.__dataclass_fields__)
            rows = connection.execute(f"SELECT {names} FROM record WHERE {where} ORDER BY id", parameters).fetchall()
        return [
            Record(**{**row, "content": json.loads(row["content"]), "image_kept": bool(row["image_kept"])})
            for row in map(dict, rows)
        ]

    def remove_feedback(self, receipt: str) -> Deletion:
        """Remove quick feedback by the short name on its receipt, its picture and its copy on the hub too."""
        found = [r for r in self.records("kind = 'feedback'") if r.receipt == receipt.strip().upper()]
        if not found:
            raise RecordError("no_receipt")
        with self.write() as connection:
            marks = ", ".join("?" * len(found))
            number = forget(connection, "feedback", f"key IN ({marks})", tuple(record.key for record in found))
        return self.finish(number)


def new_key() -> str:
    """An idempotency key that nobody can guess."""
    return secrets.token_hex(16)


def check_key(key: object) -> None:
    """Refuse what is no idempotency key: it becomes a file name in the dataset."""
    plain = isinstance(key, str) and key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    if not (isinstance(key, str) and plain and 8 <= len(key) <= 80):
        raise RecordError("no_key")


def receipt_id(key: str) -> str:
    """The short name of a record: eight letters and digits, made from its key."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    letters = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that look alike
    digits = ""
    for _ in range(8):
        number, digit = divmod(number, len(letters))
        digits += letters[digit]
    return f"{digits[:4]}-{digits[4:]}"
