"""Files that are whole, private or safe, whatever happens: written whole or not at all; in a folder for images on their
way through the page, which other users cannot enter and which is gone afterwards; in cells that no spreadsheet runs.

A killed program cannot tidy its private folder up, so the next one does: a running program holds a lock on a file in
its folder, which the system gives back however the program ends. A folder whose lock is free belongs to nobody any
more. Windows has no such lock: there each program removes its own folder only.
"""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = "busi-"  # of private folders
LOCK = ".in-use"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # OWASP, CSV injection


# Whole


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a path beside the wanted one to write to; at the end that file takes the wanted one's place, unless
    something was raised: then the wanted one is as it was. Raises OSError."""
    temporary = Path(f"{os.fspath(path)}.writing")
    yield temporary
    os.replace(temporary, path)


def write_bytes(content: bytes, path: str | os.PathLike) -> None:
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def write_json(content: dict, path: str | os.PathLike) -> None:
    """Write valid JSON (undefined figures as null), whole or not at all."""
    text = json.dumps(_without_nan(content), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    write_bytes(text.encode(), path)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value


# Private


def sweep(parent: Path | None = None, prefix: str = PREFIX) -> int:
    """Remove the folders of programs that were killed; returns how many. One that cannot be removed stays. parent:
    where they lie; None: among the system's temporary files."""
    swept = 0
    for lock in Path(parent or tempfile.gettempdir()).glob(f"{prefix}*/{LOCK}") if fcntl else ():
        with contextlib.suppress(OSError):  # another user's, still in use, or just removed by another program
            file = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if os.fstat(file).st_uid == os.geteuid():
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(lock.parent)
                    swept += 1
            finally:
                os.close(file)
    return swept


@contextlib.contextmanager
def private_folder(parent: Path | None = None, prefix: str = PREFIX) -> Iterator[Path]:
    """Path of a new folder that only this user can enter; removed at the end, whatever is in it. parent: as above."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    file = os.open(folder / f"{LOCK}.new", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        os.rename(folder / f"{LOCK}.new", folder / LOCK)  # under its name it is never seen unlocked
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(file)


# Safe


def without_formula(cell: object) -> object:
    """A cell of any type -> the same; text that a spreadsheet would take for a formula gets a ' in front: names and
    comments are their senders' choice."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
