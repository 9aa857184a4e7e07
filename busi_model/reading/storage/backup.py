"""A store becomes one file that can be put away, and comes back from it.

Enters: a store's folder, also while a program uses it. Leaves: a ZIP with a snapshot of the database, the pictures that
it refers to, and what they are (`backup.json`: sizes and SHA-256). The file holds patients' images and readers' words:
it is made for its owner only. What is deleted afterwards is still in it: delete old backups too.
"""

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from busi_model import files
from busi_model.reading.errors import PictureError, StoreError
from busi_model.reading.storage.clock import now
from busi_model.reading.storage.database import Database
from busi_model.reading.storage.pictures import USED_IMAGES
from busi_model.reading.storage.store import DATABASE, Store

CONTENTS = "backup.json"
FORM = 1
MAX_CONTENTS = 2**26  # bytes of backup.json: 200 a picture
PICTURE = re.compile(r"images/[0-9a-f]{64}\.png")


@dataclass(frozen=True)
class BackedUp:
    n_records: int
    n_sessions: int
    n_pictures: int
    damaged: tuple[str, ...] = ()  # pictures that the store refers to and no longer has whole


def backup(folder: Path | str, file: Path | str) -> BackedUp:
    """Write the store in `folder` into a new file. Raises StoreError; an existing file is never written over."""
    folder, file = Path(folder), Path(file)
    if not (folder / DATABASE).is_file():
        raise StoreError(f"{folder} holds no records ({DATABASE} is missing). Name the folder with --store.")
    if file.exists():
        raise StoreError(f"{file} is there already. Name a new file; nothing was written.")
    store = Store(folder)
    try:
        with _place_beside(file, ".busi-backup-") as place:
            snapshot = place / DATABASE
            counted, pictures = _snapshot(store, snapshot)
            damaged = _pack(store, snapshot, pictures, place / "part.zip")
            os.replace(place / "part.zip", file)
    except OSError as error:
        raise StoreError(
            f"The backup cannot be written ({error.strerror}). Free some space, or name another."
        ) from None
    finally:
        store.close()
    return BackedUp(*counted, len(pictures) - len(damaged), tuple(damaged))


def restore(file: Path | str, folder: Path | str) -> BackedUp:
    """Bring a backup back into a folder that holds no records yet: all of it, or nothing. Raises StoreError."""
    file, folder = Path(file), Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise StoreError(f"{folder} is not empty. Name a new folder with --store; nothing was changed.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _place_beside(folder, ".busi-restore-") as place:
            place = place / "store"
            _unpack(file, place)
            counted = _look_through(place)
            if folder.exists():
                folder.rmdir()
            os.replace(place, folder)
    except (zipfile.BadZipFile, LookupError, ValueError, TypeError, AttributeError, EOFError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{file} is no whole backup of records. Take another copy; nothing was changed.") from None
    except OSError as error:
        raise StoreError(f"The backup cannot be restored ({error.strerror}); nothing was changed.") from None
    return counted


@contextlib.contextmanager
def _place_beside(path: Path, prefix: str) -> Iterator[Path]:
    """A private folder on the same disk, for what is not whole yet; those that killed programs left are removed."""
    files.sweep(path.parent, prefix)
    with files.private_folder(path.parent, prefix) as place:
        yield place


def _snapshot(store: Store, path: Path) -> tuple[tuple[int, int], list[str]]:
    """The database as it is at one moment, whoever writes meanwhile -> counts, hashes of the pictures it refers to."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with contextlib.closing(sqlite3.connect(path)) as copy, store.read() as connection:
        try:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
            return _count(copy), sorted(row[0] for row in copy.execute(USED_IMAGES))
        except sqlite3.Error as error:
            text = f"The backup cannot be written ({error}). Free some space, or name another file."
            raise StoreError(text) from None


def _count(connection: sqlite3.Connection) -> tuple[int, int]:
    """Records and sessions."""
    counts = "SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM session)"
    n_records, n_sessions = connection.execute(counts).fetchone()
    return n_records, n_sessions


def _pack(store: Store, snapshot: Path, pictures: list[str], part: Path) -> list[str]:
    """Write the ZIP and see it safe on the disk; returns the pictures that could not be taken."""
    damaged, contents = [], {}
    with open(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as target:
        with zipfile.ZipFile(target, "w") as archive:

            def put(name: str, content: bytes) -> None:
                contents[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                archive.writestr(name, content)

            put(DATABASE, snapshot.read_bytes())
            for sha256 in pictures:
                try:
                    store.picture(sha256)
                    put(f"images/{sha256}.png", store.image_path(sha256).read_bytes())
                except PictureError:
                    damaged.append(sha256)
            described = {"form": FORM, "made_at": now(), "files": contents, "damaged": damaged}
            archive.writestr(CONTENTS, json.dumps(described, indent=1))
        target.flush()
        os.fsync(target.fileno())
    return damaged


def _unpack(file: Path, place: Path) -> None:
    """Only what `backup` writes, and only as it wrote it. Raises StoreError or what `zipfile` raises."""
    with zipfile.ZipFile(file) as archive:
        described = json.loads(_read(archive, CONTENTS, min(MAX_CONTENTS, archive.getinfo(CONTENTS).file_size)) or "")
        if described.get("form") != FORM:
            raise StoreError(f"The backup is of form {described.get('form')!r}; this program knows {FORM}. Update it.")
        (place / "images").mkdir(parents=True, mode=0o700)
        place.chmod(0o700)
        for name, expected in described["files"].items():
            if name != DATABASE and not PICTURE.fullmatch(name):
                raise ValueError(name)
            content = _read(archive, name, expected["bytes"])
            if content is None or hashlib.sha256(content).hexdigest() != expected["sha256"]:
                raise ValueError(name)
            with open(os.open(place / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as target:
                target.write(content)
                target.flush()
                os.fsync(target.fileno())


def _read(archive: zipfile.ZipFile, name: str, n_bytes: int) -> bytes | None:
    """A member of so many bytes; None when it has more or fewer: no small file unpacks without end."""
    with archive.open(name) as member:
        content = member.read(int(n_bytes) + 1)
    return content if len(content) == n_bytes else None


def _look_through(place: Path) -> BackedUp:
    """Open what was unpacked as a program would; raises StoreError when it is damaged or of a newer program."""
    database = Database(place / DATABASE)
    try:
        with database.read() as connection:
            if connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                raise ValueError("integrity_check")
            counted = _count(connection)
            pictures = {row[0] for row in connection.execute(USED_IMAGES)}
    finally:
        database.close()
    there = {path.stem for path in (place / "images").iterdir()}
    return BackedUp(*counted, len(there), tuple(sorted(pictures - there)))
