"""The types and limits that all readers of pictures share; nothing is decoded here.

`image.read_image` is the way in; `dicom` is one of the readers behind it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from busi_model import words
from busi_model.errors import WordedError, sentence

MIN_SIDE_PX = 64
MAX_PIXELS = 40_000_000
MAX_FRAMES = 1000  # that are counted; a minute of film has as many
_STRIP_PIXELS = 2**20
MAX_FILE_BYTES = 256 * 2**20  # 40 megapixels of 32-bit gray, uncompressed, are 160 MB
MAX_MEGAPIXELS = MAX_PIXELS // 10**6


class ImageError(WordedError, ValueError):
    """The picture cannot be used: what was found, what was expected, what to do."""

    words, parts = words.REFUSALS, words.PARTS


@dataclass(frozen=True)
class Notice:
    """Something the reader of the result should know."""

    code: str  # for programs, for example "colour"
    said: str | None = None  # code of its sentence, or a finished one; None: its own code is the sentence's, too
    values: Mapping[str, str | float] = field(default_factory=dict, hash=False)  # that fill it

    @property
    def text(self) -> str:
        """A sentence."""
        return sentence(self.code if self.said is None else self.said, self.values, words.NOTICES, words.PARTS)

    def as_row(self) -> dict[str, str]:
        """For programs."""
        return {"code": self.code, "text": self.text}


@dataclass(frozen=True)
class Box:
    """A rectangle of a frame: rows top..bottom and columns left..right, the last ones not included."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, eq=False)  # == on the array would raise
class Frame:
    """A picture as everything downstream sees it."""

    gray: np.ndarray  # uint8 (H, W), C-contiguous, its own memory
    spacing_mm: tuple[float, float] | None  # (row, column) mm per pixel; None: unknown, so no millimetres
    notices: tuple[Notice, ...]
    scan_regions: tuple[Box, ...] = ()  # where the file says that echoes are; empty: it does not say
    pixel_aspect: float = 1.0  # height of a pixel over its width: 2 for one that shows twice as much depth as width


def square_steps(pixel_aspect: float) -> tuple[float, float]:
    """Height and width (row, column) of a pixel, in units of the shorter side: 1 and 1 for a square one."""
    return max(pixel_aspect, 1.0), max(1 / pixel_aspect, 1.0)


PLAUSIBLE_MM = (0.005, 1.0)  # a pixel of a breast ultrasound: finer is beyond any probe, coarser would be a whole body


def is_plausible(spacing_mm: tuple[float, float]) -> bool:
    """Whether (row, column) millimetres a pixel can be those of a breast ultrasound."""
    return all(PLAUSIBLE_MM[0] <= side <= PLAUSIBLE_MM[1] for side in spacing_mm)


def strips(height: int, width: int) -> Iterator[slice]:
    """The rows of a picture in parts of about a megapixel, to be worked on one after the other: whole numbers or floats
    of a whole picture can take a third of a gigabyte."""
    step = max(1, _STRIP_PIXELS // width)
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def check_size(width: int, height: int) -> None:
    """Raises ImageError for a picture too large to be decoded or too small to be judged."""
    if width * height > MAX_PIXELS:
        megapixels = width * height / 1e6
        raise ImageError("pixels", width=width, height=height, megapixels=megapixels, most=MAX_MEGAPIXELS)
    if min(width, height) < MIN_SIDE_PX:
        raise ImageError("too_small", width=width, height=height, least=MIN_SIDE_PX)


def check_frame(frame: int, n_frames: int) -> None:
    """Raises ImageError when the frame, from 0 on, is not one of n_frames."""
    if not 0 <= frame < n_frames:
        raise ImageError("no_such_frame", frame=frame + 1, count=n_frames)
