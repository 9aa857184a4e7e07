"""A folder for images on their way through the page: closed to other users of the machine, and gone afterwards.

A killed program cannot tidy up, so the next one does: a running program holds a lock on a file in its folder, which
the system gives back however the program ends. A folder whose lock is free belongs to nobody any more.
Windows has no such lock: there each program removes its own folder only.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = "busi-"
LOCK = ".in-use"


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
