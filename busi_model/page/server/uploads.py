"""What uploads may take: files that are open while they come, and room on the disk until they are deleted.

Enters: the address of each upload and what comes of it. Leaves: words for one that goes beyond its share, and a folder
without the parts of uploads that broke off. An address has a share of its own, so that nobody fills the disk, or takes
all of the system's file descriptors, for everybody else.
"""

import shutil
import time
from collections import Counter, deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from gradio.utils import get_upload_folder

from busi_model.page import strings
from busi_model.page.server import gradio_inside, wire
from busi_model.page.server.visitor import household

SPARE_DISK_BYTES = 2**29  # an upload must leave so much to the store
KEPT_S = 4200  # Gradio deletes an upload after an hour, and looks every ten minutes
BYTES_OF_ADDRESS = 4 * 2**30  # that lie here at once
FILE_BYTES = 2**16  # what each of them counts for beside its content: a folder, and its name in memory
OPEN_OF_ADDRESS = 1000  # files that are coming in: a host hands over a session's images in one upload
FIELD_BYTES = 2**16  # of a part of an upload that is no file


@dataclass(eq=False)
class Upload:
    """One that is under way."""

    address: str
    n_open: int = 0
    n_bytes: int = 0


_current: ContextVar[Upload | None] = ContextVar("upload", default=None)


class Uploads:
    """All of one page. Used by the server's one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock, self.most_open = clock, wire.affordable()[1]
        self._under_way: set[Upload] = set()
        self._lie_here: deque[tuple[float, str, int]] = deque()  # until when, whose, bytes
        self._bytes: Counter[str] = Counter()  # of those, by address
        self._left_behind = False
        gradio_inside.bound_progress()
        gradio_inside.bound_forms(self._open_one, FIELD_BYTES, strings.TOO_LONG)

    def refusal(self, address: str, n_bytes: int) -> tuple[int, str] | None:
        """Why an upload of so many bytes is not taken: a status and words."""
        if shutil.disk_usage(get_upload_folder()).free < SPARE_DISK_BYTES + n_bytes:
            return 507, strings.DISK_FULL
        if self.bytes_of(address) + n_bytes > BYTES_OF_ADDRESS:
            return 429, strings.UPLOADED_ENOUGH.format(gib=BYTES_OF_ADDRESS / 2**30)
        return None

    def bytes_of(self, address: str) -> int:
        """That came from an address and are not deleted yet."""
        while self._lie_here and self._lie_here[0][0] <= self.clock():
            _, whose, size = self._lie_here.popleft()
            self._bytes[whose] -= size
            if not self._bytes[whose]:
                del self._bytes[whose]
        whose = household(address)
        return self._bytes[whose] + sum(one.n_bytes for one in self._under_way if one.address == whose)

    def begin(self, address: str) -> Upload:
        """What is called next, by the same task, belongs to this upload; `end` must follow."""
        upload = Upload(household(address))
        self._under_way.add(upload)
        _current.set(upload)
        return upload

    def take(self, upload: Upload, n_bytes: int) -> bool:
        """More of an upload came; False: it is too much."""
        upload.n_bytes += n_bytes
        return self.bytes_of(upload.address) <= BYTES_OF_ADDRESS

    def end(self, upload: Upload, well: bool) -> None:
        """Gradio leaves the part of an upload that came before it broke off; it goes when no other upload is under way,
        for whose file it could be."""
        self._under_way.discard(upload)
        if well:
            size = upload.n_bytes + FILE_BYTES * max(1, upload.n_open)
            self._lie_here.append((self.clock() + KEPT_S, upload.address, size))
            self._bytes[upload.address] += size
        self._left_behind |= not well
        if self._left_behind and not self._under_way:
            self._left_behind = False
            for path in Path(get_upload_folder()).glob("tmp*"):
                if path.is_file():
                    path.unlink(missing_ok=True)

    def _open_one(self) -> str | None:
        """One more file of the upload that this task reads; words refuse it."""
        upload = _current.get()
        if upload is None:
            return None
        opened: Counter[str] = Counter()
        for one in self._under_way:
            opened[one.address] += one.n_open
        if opened[upload.address] >= OPEN_OF_ADDRESS or opened.total() >= self.most_open:
            return strings.TOO_MANY_FILES.format(most=OPEN_OF_ADDRESS)
        upload.n_open += 1
        return None
