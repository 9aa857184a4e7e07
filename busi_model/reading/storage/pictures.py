"""Pictures beside the database: `images/HASH.png`, 8-bit gray, without file names or metadata.

Enters: pixels. Leaves: the same pixels, or a PictureError; one picture a hash, kept as long as a row refers to it.
"""

import contextlib
import hashlib
import io
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from busi_model.reading.errors import PictureError, RecordError, StoreError
from busi_model.reading.storage.database import Database, close_to_others

OWN_NAMES = ("images", "outbox.lock")  # what lies in a store's folder beside the database
LEFTOVER_AGE_S = 86_400  # younger ones may belong to a session that is just being made
# Pictures that somebody still refers to.
USED_IMAGES = """
    SELECT image_sha256 FROM session_case UNION SELECT image_sha256 FROM record WHERE image_kept
"""


def image_sha256(gray: np.ndarray) -> str:
    """Hash of a picture's pixels, uint8 (H, W): the same for every file that shows the same pixels."""
    if gray.dtype != np.uint8 or gray.ndim != 2:
        raise RecordError("not_gray", kind=str(gray.dtype), shape=str(gray.shape))
    size = f"{gray.shape[0]}x{gray.shape[1]}:".encode()
    return hashlib.sha256(size + np.ascontiguousarray(gray).tobytes()).hexdigest()


class Pictures(Database):
    """A database and the folder of its pictures beside it, both closed to other users."""

    def __init__(self, database: Path):
        self.folder = database.parent
        with disk_errors():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.images.mkdir(exist_ok=True, mode=0o700)
            if all(path.name.startswith(database.name) or path.name in OWN_NAMES for path in self.folder.iterdir()):
                close_to_others(self.folder)
            for path in (self.images, *self.images.iterdir()):
                close_to_others(path)
        super().__init__(database)

    @property
    def images(self) -> Path:
        return self.folder / "images"

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
        with disk_errors():
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
        with self.write() as connection, disk_errors():  # in a transaction: nobody adds a reference meanwhile
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
        with disk_errors():
            old = [path for path in self.images.iterdir() if path.stat().st_mtime < time.time() - LEFTOVER_AGE_S]
            for path in old:
                if path.suffix == ".part":
                    path.unlink(missing_ok=True)
        if old:
            with self.read() as connection:
                used = {row[0] for row in connection.execute(USED_IMAGES).fetchall()}
            if unused := {path.stem for path in old} - used:
                self.drop_images(unused)


def _sync_folder(folder: Path) -> None:
    """Make a renamed file's new name durable; Windows has no such call and needs none."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError("disk_says", reason=error.strerror or "no_reason") from error
