"""Judgements go to disk, once each, and are acknowledged only then.

Enters: checked records and the pixels of session cases. Leaves: receipts, and the rows again for results and export. A
receipt is given after COMMIT (see `database`). A record's key is unique: a double click, a retry or a second tab gets
the first receipt again. Pictures lie beside the database, `images/HASH.png`, 8-bit gray, without file names or
metadata. What is to go is written down with the deletion itself and worked off (`deletions`).
"""

import contextlib
import io
import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from busi_model.reading.database import Database, close_to_others
from busi_model.reading.errors import ConflictError, PictureError, ReadingError, RecordError, StoreError
from busi_model.reading.records import Checked, Feedback, Receipt, image_sha256, receipt_id

DATABASE = "busi.sqlite3"
OWN_NAMES = ("images", "outbox.lock")  # what lies in a store's folder beside the database
LEFTOVER_AGE_S = 86_400  # younger ones may belong to a session that is just being made
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


def now() -> str:
    """UTC to the millisecond, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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


class Store(Database):
    """The database and its pictures; one object serves all threads, several processes may share a folder.

    folder: made when absent; what lies in it is closed to other users, and so is the folder itself unless other things
    lie in it too. app_version is written into each record. Raises StoreError.
    """

    dataset = ""  # where copies go now, as `hub_sync` says: a receipt's `synced` means this one

    def __init__(self, folder: Path | str | None = None, app_version: str = ""):
        self.folder = Path(folder) if folder is not None else default_folder()
        self.app_version = app_version
        with _disk_errors():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.images.mkdir(exist_ok=True, mode=0o700)
            if all(path.name.startswith(DATABASE) or path.name in OWN_NAMES for path in self.folder.iterdir()):
                close_to_others(self.folder)
            for path in (self.images, *self.images.iterdir()):
                close_to_others(path)
        super().__init__(self.folder / DATABASE)
        with contextlib.suppress(StoreError):  # the next try comes soon: `upkeep`
            self.work_off()
            self.drop_leftovers()

    @property
    def images(self) -> Path:
        return self.folder / "images"

    # Records

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

    # Deletions

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
        with contextlib.suppress(StoreError):  # it is tried again: `upkeep`
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

    # Pictures

    def keep_image(self, gray: np.ndarray) -> str:
        """Write uint8 (H, W) as images/HASH.png unless it is there, whole; returns the hash. Raises StoreError."""
        name = image_sha256(gray)
        path = self.image_path(name)
        with contextlib.suppress(PictureError):
            self.picture(name)
            return name
        buffer = io.BytesIO()
        Image.fromarray(gray).save(buffer, "PNG")
        part = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
        with _disk_errors():
            try:
                with open(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
                    file.write(buffer.getvalue())
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
            _sync_folder(self.images)
        return name

    def picture(self, sha256: str) -> np.ndarray:
        """The stored picture of this hash, uint8 (H, W). Raises PictureError when it is gone or not the one kept."""
        try:
            with Image.open(self.image_path(sha256), formats=["PNG"]) as image:
                gray = np.asarray(image)
            if gray.dtype == np.uint8 and gray.ndim == 2 and image_sha256(gray) == sha256:
                return gray
        except FileNotFoundError:
            raise PictureError("picture_missing") from None
        except Exception as error:  # a damaged file breaks the decoder in many ways
            raise PictureError("picture_unreadable") from error
        raise PictureError("picture_changed")

    def image_path(self, sha256: str) -> Path:
        return self.images / f"{sha256}.png"

    def drop_images(self, hashes: Iterable[str]) -> set[str]:
        """Delete those of these pictures that no session and no record refers to any more.

        Returns those that need no further try: deleted, or in use elsewhere. Raises StoreError.
        """
        with self.write() as connection, _disk_errors():  # in a transaction: nobody adds a reference meanwhile
            used = {row[0] for row in connection.execute(USED_IMAGES)}
            settled = set()
            for name in set(hashes):
                with contextlib.suppress(OSError):  # one that the disk does not let go is tried again
                    if name not in used:
                        self.image_path(name).unlink(missing_ok=True)
                    settled.add(name)
            _sync_folder(self.images)
        return settled

    def drop_leftovers(self) -> None:
        """Delete what a crash left: pictures without a reference and half-written ones, older than a day."""
        with _disk_errors():
            old = [path for path in self.images.iterdir() if path.stat().st_mtime < time.time() - LEFTOVER_AGE_S]
            for path in old:
                if path.suffix == ".part":
                    path.unlink(missing_ok=True)
        if old:
            with self.read() as connection:
                used = {row[0] for row in connection.execute(USED_IMAGES).fetchall()}
            if unused := {path.stem for path in old} - used:
                self.drop_images(unused)


# Pictures that somebody still refers to.
USED_IMAGES = """
    SELECT image_sha256 FROM session_case UNION SELECT image_sha256 FROM record WHERE image_kept
"""


def check_key(key: object) -> None:
    """Refuse what is no idempotency key: it becomes a file name in the outbox."""
    plain = isinstance(key, str) and key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    if not (isinstance(key, str) and plain and 8 <= len(key) <= 80):
        raise RecordError("no_key")


def forget(
    connection: sqlite3.Connection, what: str, where: str, parameters: tuple, pictures: Iterable[str] = ()
) -> int:
    """Delete records within a transaction, and write down what must follow: their pictures, and copies on the hub.

    what: "session", "reader" or "feedback". pictures: further ones that may go. Returns the deletion's number, for
    `Store.finish`.
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


def _sync_folder(folder: Path) -> None:
    """Make a renamed file's new name durable; Windows has no such call and needs none."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError("disk_says", reason=error.strerror or "no_reason") from error
