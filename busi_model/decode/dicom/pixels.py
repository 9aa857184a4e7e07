"""One frame's pixels, from as they are stored to as they are shown: gray with black as zero, or RGB.

pydicom decodes; JPEG, JPEG 2000 and HTJ2K go through Pillow, RLE is unpacked by Pillow directly, which stops at the
size that is expected. With the extra `dicom` also JPEG Lossless, JPEG-LS (gdcm) and films (OpenCV) are read.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, convert_color_space, get_decoder
from pydicom.pixels.utils import as_pixel_options

from busi_model.decode.dicom.bounds import check_palettes
from busi_model.decode.dicom.codestream import FILMS, check_codestream, decoder_for
from busi_model.decode.dicom.display import INVERTED, inverted, shown_gray
from busi_model.decode.dicom.source import NATIVE, Source
from busi_model.decode.dicom.tags import Tags
from busi_model.decode.film import Film
from busi_model.frame import ImageError, Notice

_RLE_SEGMENTS = 15  # room in the header of an RLE frame


@dataclass(frozen=True, eq=False)
class Stored:
    """One frame's pixels as they are stored, and how to show them: `show` takes any of their rows, so that what needs
    floats or several channels need not do so for the whole picture at once."""

    pixels: np.ndarray  # (H, W) or (H, W, 3)
    show: Callable[[np.ndarray], np.ndarray]  # -> gray or RGB; uint8 wherever the file says how to show it
    white_is_zero: bool
    notices: tuple[Notice, ...]  # "windowed", "inverted"


def stored_pixels(source: Source, tags: Tags, frame: int) -> Stored:
    """tags: those of the source; notices of what was left out go there."""
    pixels, meaning = _decode(source, frame)
    if pixels.ndim == 2 and (source.syntax in NATIVE or source.syntax == uid.RLELossless):
        pixels = _aligned(pixels, tags)
    return _stored(pixels, meaning, tags)


def _decode(source: Source, frame: int) -> tuple[np.ndarray, str]:
    """Pixels as stored, (H, W) or (H, W, 3), and what they mean."""
    tags, syntax = source.tags, source.syntax
    options = as_pixel_options(tags, pixel_keyword="PixelData", pixel_vr=source.pixel_vr)
    options |= {"number_of_frames": source.n_frames, "as_rgb": False}
    if syntax in FILMS:
        with Film(source.stream()) as film:
            if (film.width, film.height) != (tags.Columns, tags.Rows):
                raise ImageError("damaged")
            return film.read(frame), "RGB"
    if syntax in NATIVE or syntax == uid.RLELossless:
        options["bits_stored"] = tags.BitsAllocated  # all of them come, see `_aligned`
    content: bytes | BinaryIO
    if syntax == uid.RLELossless:
        encoded = get_frame(source.file, frame, number_of_frames=source.n_frames)
        content, index, decoder = _decode_rle(encoded, tags), 0, get_decoder(uid.ExplicitVRLittleEndian)
        options |= {"planar_configuration": 1, "number_of_frames": 1}
    else:
        content, index = source.file, frame
        if syntax not in NATIVE:
            start = source.file.tell()
            check_codestream(get_frame(source.file, frame, number_of_frames=source.n_frames), syntax, tags)
            source.file.seek(start)
            syntax, options["decoding_plugin"] = decoder_for(syntax)
        decoder = get_decoder(syntax)
    pixels, meaning = decoder.as_array(content, index=index, **options)
    return pixels, str(meaning["photometric_interpretation"])


def _aligned(pixels: np.ndarray, tags: Tags) -> np.ndarray:
    """Samples in their lowest bits, whatever stands in the others: HighBit says where they are."""
    allocated, stored = tags.dataset.BitsAllocated, tags.dataset.BitsStored
    if allocated not in (8, 16, 32) or allocated == stored:
        return pixels
    found = tags.numbers("HighBit", usable=lambda bit: stored - 1 <= bit < allocated)
    high = int(found[0]) if found else stored - 1
    # Shifted up, what lies above is lost; shifted down, a sign is kept where there is one.
    return (pixels << (allocated - 1 - high)) >> (allocated - stored)


def _decode_rle(encoded: bytes, tags: Dataset) -> bytes:
    """One RLE frame -> samples in planes, little endian (PS3.5 annex G). Pillow stops at the size that is expected."""
    samples, bytes_each = tags.SamplesPerPixel, tags.BitsAllocated // 8
    n_segments, *offsets = struct.unpack(f"<{1 + _RLE_SEGMENTS}L", encoded[: 4 * (1 + _RLE_SEGMENTS)])
    if n_segments != samples * bytes_each:
        raise ImageError("damaged")
    ends = [*offsets[1:n_segments], len(encoded)]
    size = (tags.Rows * tags.Columns, 1)  # one long row: some writers let a run go on into the next row
    planes = np.empty((samples, size[0], bytes_each), np.uint8)
    for number, (start, end) in enumerate(zip(offsets, ends, strict=False)):
        sample, byte = divmod(number, bytes_each)  # most significant byte first
        segment = Image.frombytes("L", size, encoded[start:end], "packbits", "L")
        planes[sample, :, bytes_each - 1 - byte] = np.asarray(segment)[0]
    return planes.tobytes()


def _stored(pixels: np.ndarray, meaning: str, tags: Tags) -> Stored:
    if meaning == "PALETTE COLOR":
        return Stored(pixels, _colours(pixels.dtype, tags.dataset).__getitem__, False, ())
    if meaning == "RGB":
        return Stored(pixels, _as_it_is, False, ())
    if meaning in ("YBR_FULL", "YBR_FULL_422"):
        return Stored(pixels, partial(convert_color_space, current=meaning, desired="RGB"), False, ())
    if meaning not in ("MONOCHROME1", "MONOCHROME2"):
        raise ImageError("unusual_colour")
    pixels = _without_padding(pixels, tags, meaning == "MONOCHROME1")
    show, notices = shown_gray(tags)
    turned = inverted(tags, meaning == "MONOCHROME1")
    notices += (INVERTED,) * turned
    return Stored(pixels, show, turned or meaning == "MONOCHROME1", notices)


def _without_padding(pixels: np.ndarray, tags: Tags, white_is_zero: bool) -> np.ndarray:
    """Deep gray in which what the file calls padding is as dark as its darkest: -2000 or 65535 beside the scan would
    take all of the range."""
    value, limit = tags.numbers("PixelPaddingValue"), tags.numbers("PixelPaddingRangeLimit")
    if value is None or pixels.dtype.itemsize == 1:
        return pixels
    low, high = sorted((value[0], (limit or value)[0]))
    padding = (pixels >= low) & (pixels <= high)
    if padding.all() or not padding.any():
        return pixels
    kept = pixels[~padding]
    return np.where(padding, kept.max() if white_is_zero else kept.min(), pixels)


def _as_it_is(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _colours(dtype: np.dtype, tags: Dataset) -> np.ndarray:
    """The colour of every value that a pixel can have, uint8 (N, 3)."""
    values = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    check_palettes(tags)
    colours = apply_color_lut(values[None], tags)[0, :, :3]
    if colours.dtype.itemsize > 1:  # 16-bit entries, but some writers fill only their low byte
        colours = colours >> 8 if colours.max() > 255 else colours
    return colours.astype(np.uint8)
