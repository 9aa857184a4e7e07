"""How the page reads what users open: files that were uploaded, in helper processes, with a limit of time and memory
(`busi_model.decode.helpers`).

The only place of the page that may read a file's pixels; `tests/test_layers.py` holds the others to it.
"""

import atexit
import contextlib
import os
from functools import cache
from pathlib import Path

from busi_model import image
from busi_model.decode.helpers import Helpers
from busi_model.frame import Frame, ImageError
from busi_model.page import strings


@cache
def helpers() -> Helpers:
    """The page's helpers, started by the first call and ended with the program."""
    made = Helpers()
    atexit.register(made.close)
    return made


def uploaded(path: object, folder: Path) -> Path:
    """The path of an upload. Raises ImageError for anything else, which would be a file of the server or an address."""
    with contextlib.suppress(OSError, ValueError):  # no path at all
        place = Path(path if isinstance(path, str) else "").resolve()
        if place.is_file() and place.is_relative_to(Path(folder).resolve()):
            return place
    raise ImageError(strings.API_NO_UPLOAD)


def read_image(source: object, frame: int | None = None) -> Frame:
    """As `image.read_image`; a file is read apart, pictures of our own (arrays) are read here. Raises ImageError."""
    if isinstance(source, (str, os.PathLike)):
        return helpers().run("read_image", os.fspath(source), frame)
    return image.read_image(source, frame)


def count_frames(path: str | os.PathLike) -> int:
    """As `image.count_frames`, apart. Raises ImageError."""
    return helpers().run("count_frames", os.fspath(path))


def read_identity(path: str | os.PathLike) -> dict | None:
    """As `dicom_out.reference.identity_or_none`, apart; None for a file that no DICOM results can be tied to."""
    try:
        return helpers().run("identity_or_none", os.fspath(path))
    except ImageError:
        return None
