"""How the page reads what users open: in helper processes, with a limit of time and memory (`busi_model.helpers`).

The only place of the page that may read a file's pixels; `tests/test_layers.py` holds the others to it.
"""

import atexit
import os
from functools import cache

from busi_model import image
from busi_model.frame import Frame, ImageError
from busi_model.helpers import Helpers


@cache
def helpers() -> Helpers:
    """The page's helpers, started by the first call and ended with the program."""
    made = Helpers()
    atexit.register(made.close)
    return made


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
