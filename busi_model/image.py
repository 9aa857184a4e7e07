"""One picture from outside becomes a Frame: 8-bit gray in its own pixels, and notices of what was changed.

Enters: a PNG, JPEG, BMP, TIFF, WebP, GIF or DICOM file, a Pillow image or an array. Leaves: a `Frame`, or an
`ImageError` that a clinician can act on. Every picture comes through here, so training, the command line and
the app see the same pixels. Metadata are dropped here, and no message shows a path: both may name a patient.
"""

import contextlib
import dataclasses
import math
import os
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps

from busi_model.decode.colour import colour_notices, sample_step
from busi_model.decode.dicom.kind import is_dicom
from busi_model.decode.dicom.read import DicomPicture, count_dicom_frames, read_dicom
from busi_model.decode.dicom.source import MAX_DICOM_BYTES
from busi_model.decode.film import Film, is_film
from busi_model.decode.picture_file import MAX_FRAMES, count_picture_frames, open_picture, refuse_misread
from busi_model.frame import (
    MAX_FILE_BYTES,
    PLAUSIBLE_MM,
    Box,
    Frame,
    ImageError,
    Notice,
    check_frame,
    check_size,
    is_plausible,
    strips,
)

__all__ = ["Box", "Frame", "ImageError", "Notice", "count_frames", "read_image"]

warnings.filterwarnings("ignore", module="PIL")  # of damage, which is refused here in words

_HEAD_BYTES = 132  # where a DICOM file says that it is one


def read_image(source: object, frame: int | None = None) -> Frame:
    """Read one picture; the same pixels give the same frame, however they come in.

    source: path (str or os.PathLike), PIL.Image.Image, or array (H, W), (H, W, 1), (H, W, 3) RGB of bool,
    integers or floats, or (H, W, 4) RGBA of uint8. Colour becomes ITU-R 601 luma (what is told of it: see `colour`),
    alpha lies on black, anything but 8 bits is stretched from its own minimum..maximum to 0..255 ("rescaled"), the EXIF
    turn is applied ("exif_turned"). frame: which one of a file with several, from 0 on (`count_frames`); None is the
    first ("first_frame"), of a DICOM cine loop the middle one ("middle_frame"). DICOM is shown as its tags ask, see
    `dicom.read` for what is told of it. Raises ImageError.
    """
    try:
        if isinstance(source, (str, os.PathLike)):
            return _from_path(source, frame)
        if frame is not None:
            raise ImageError("frame_of_no_file")
        if isinstance(source, Image.Image):
            return _from_pillow(source, getattr(source, "n_frames", 1))
        if isinstance(source, np.ndarray):
            return _from_array(source)
    except MemoryError as error:
        raise ImageError("memory") from error
    raise ImageError("not_a_picture", kind=type(source).__name__)


def count_frames(path: str | os.PathLike) -> int:
    """How many frames `read_image(path, frame=...)` can choose from; 1 for a still. Raises ImageError."""
    with _opened(path) as (file, head):
        if is_dicom(head):
            return count_dicom_frames(file)
        if is_film(head):
            with Film(file) as film:
                count = film.n_frames
        else:
            count = count_picture_frames(open_picture(file), file)
    if count > MAX_FRAMES:
        raise ImageError("too_many_frames", most=MAX_FRAMES)
    return count


def _from_path(path: str | os.PathLike, frame: int | None) -> Frame:
    with _opened(path) as (file, head):
        if is_film(head):
            return _from_film(file, frame)
        if not is_dicom(head):
            image = open_picture(file)
            return _from_pillow(image, count_picture_frames(image, file), frame)
        picture = _with_a_plausible_scale(read_dicom(file, frame))
    height, width = picture.stored.shape[:2]
    shown = _developed(lambda top, bottom: picture.show(picture.stored[top:bottom]), height, width)
    if picture.white_is_zero:
        np.subtract(255, shown.gray, out=shown.gray)
    notices = picture.notices + shown.notices
    return Frame(shown.gray, picture.spacing_mm, notices, picture.scan_regions, picture.pixel_aspect)


def _with_a_plausible_scale(picture: DicomPicture) -> DicomPicture:
    """A DicomPicture without the millimetres that no ultrasound can have, and with a notice instead."""
    if picture.spacing_mm is None or is_plausible(picture.spacing_mm):
        return picture
    (row, column), (low, high) = picture.spacing_mm, PLAUSIBLE_MM
    notice = Notice("scale_implausible", values={"row": row, "column": column, "low": low, "high": high})
    return dataclasses.replace(picture, spacing_mm=None, notices=(*picture.notices, notice))


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[tuple[BinaryIO, bytes]]:
    """The open file, and its first bytes, which have been read."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise ImageError("folder")
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise ImageError("device")
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
            if not head:
                raise ImageError("empty")
            found, most = status.st_size // 2**20, (MAX_DICOM_BYTES if is_dicom(head) else MAX_FILE_BYTES) // 2**20
            if status.st_size > most * 2**20:
                raise ImageError("file_too_large", found=found, most=most)
            yield file, head
    except ImageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or "bad_path"  # str(error) would show the path
        raise ImageError("not_opened", reason=reason) from None


def _from_film(file: BinaryIO, frame: int | None) -> Frame:
    with Film(file) as film:
        notices: tuple[Notice, ...] = ()
        chosen = frame
        if chosen is None:
            chosen, n_frames = film.n_frames // 2, film.n_frames
            if n_frames > 1:
                notices = (Notice("middle_frame", values={"count": n_frames, "frame": chosen + 1}),)
        pixels = film.read(chosen)
    shown = _developed(lambda top, bottom: pixels[top:bottom], *pixels.shape[:2])
    return Frame(shown.gray, None, notices + shown.notices)


def _from_pillow(image: Image.Image, n_frames: int, frame: int | None = None) -> Frame:
    notices = []
    try:
        if frame is not None:
            check_frame(frame, n_frames)
            image.seek(frame)
        check_size(*image.size)  # known from the header: nothing is decoded yet
        refuse_misread(image)
        if frame is None and image.tell() == 0 and n_frames > 1:
            count = min(n_frames, MAX_FRAMES)  # more were not counted
            notices.append(Notice("first_frame", None if n_frames == count else "first_of_many", {"count": count}))
        # Asked before the pixels are decoded: Pillow turns a TIFF as it decodes it, and then forgets the tag.
        if image.getexif().get(ExifTags.Base.Orientation) in range(2, 9):
            notices.append(Notice("exif_turned"))
            image = ImageOps.exif_transpose(image)
        image.load()
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise ImageError("damaged") from error
    deep = image.mode.startswith(("I", "F"))

    def rows(top: int, bottom: int) -> np.ndarray:
        part = image.crop((0, top, image.width, bottom))
        return np.asarray(part if deep else _on_black(part))

    shown = _developed(rows, image.height, image.width)
    return Frame(shown.gray, None, (*notices, *shown.notices))


def _on_black(image: Image.Image) -> Image.Image:
    """Any 8-bit Pillow image -> mode L or RGB, transparent parts on black."""
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _from_array(pixels: np.ndarray) -> Frame:
    pixels = np.asarray(pixels)  # a matrix would stay one when it is cut
    given = {"shape": str(pixels.shape), "kind": str(pixels.dtype)}
    if pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (1,), (3,), (4,)):
        raise ImageError("array_shape", **given)
    if pixels.dtype.kind not in "buif" or (pixels.shape[2:] == (4,) and pixels.dtype != np.uint8):
        raise ImageError("array_type", **given)
    check_size(pixels.shape[1], pixels.shape[0])
    return _developed(lambda top, bottom: pixels[top:bottom], *pixels.shape[:2])


def _developed(rows: Callable[[int, int], np.ndarray], height: int, width: int) -> Frame:
    """rows(top, bottom): those rows of a picture as (h, W), (h, W, 1), (h, W, 3) RGB or, uint8 only, (h, W, 4) RGBA."""
    gray = np.empty((height, width), np.uint8)
    deep = rows(0, 1).dtype not in (bool, np.uint8)
    low, high = _range(rows(strip.start, strip.stop) for strip in strips(height, width)) if deep else (0.0, 255.0)
    sampled, step = [], sample_step(height, width)  # for its colours
    for strip in strips(height, width):
        pixels = rows(strip.start, strip.stop)
        if pixels.dtype == bool:
            pixels = pixels * np.uint8(255)
        elif deep:
            pixels = _stretched(pixels, low, high)
        if pixels.shape[2:] == (1,):
            pixels = pixels[:, :, 0]  # (h, W)
        if pixels.ndim == 3:
            image = _on_black(Image.fromarray(np.ascontiguousarray(pixels)))
            if image.mode == "RGB":
                sampled.append(np.asarray(image)[-strip.start % step :: step, ::step])
            pixels = np.asarray(image.convert("L"))  # (h, W), Pillow's ITU-R 601 luma
        gray[strip] = pixels
    notices = []
    if deep:
        notices.append(Notice("rescaled", values={"low": low, "high": high}))
    if sampled:
        notices += colour_notices(np.concatenate(sampled))
    return Frame(gray, None, tuple(notices))


def _range(strips: Iterable[np.ndarray]) -> tuple[float, float]:
    """The lowest and the highest value of a picture."""
    with np.errstate(over="ignore"):  # a long double may become inf, which is refused below
        ends = np.array([(strip.min(), strip.max()) for strip in strips]).astype(np.float64)
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    if not math.isfinite(high - low):  # nan or inf as soon as one value is, or when the values lie too far apart
        raise ImageError("not_finite")
    return low, high


def _stretched(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Integers or floats, any shape -> uint8, same shape: low becomes 0, high 255; where both are one, all 0."""
    levels = pixels.astype(np.float64)
    levels -= low
    levels /= (high - low) or 1.0
    levels *= 255
    return np.rint(levels).astype(np.uint8)
