"""One frame's pixels, from as they are stored to as they are shown: gray with black as zero, or RGB.

pydicom decodes; JPEG and JPEG 2000 go through Pillow, RLE is unpacked by Pillow directly, which stops at the size
that is expected.
"""

import io
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, apply_modality_lut, convert_color_space, get_decoder
from pydicom.pixels.utils import as_pixel_options

from busi_model.dicom.bounds import check_palettes
from busi_model.dicom.source import NATIVE, Source
from busi_model.frame import DAMAGED, ImageError, Notice
from busi_model.jpeg_scans import check_scans

_RLE_SEGMENTS = 15  # room in the header of an RLE frame


@dataclass(frozen=True, eq=False)
class Stored:
    """One frame's pixels as they are stored, and how to show them: `show` takes any of their rows, so that what needs
    floats or several channels need not do so for the whole picture at once."""

    pixels: np.ndarray  # (H, W) or (H, W, 3)
    show: Callable[[np.ndarray], np.ndarray]  # -> gray or RGB; uint8 wherever the file says how to show it
    white_is_zero: bool
    notices: tuple[Notice, ...]  # "windowed" where a window maps deep gray


def stored_pixels(source: Source, frame: int) -> Stored:
    pixels, meaning = _decode(source, frame)
    return _stored(pixels, meaning, source.tags)


def _decode(source, frame) -> tuple[np.ndarray, str]:
    """Pixels as stored, (H, W) or (H, W, 3), and what they mean."""
    tags, syntax = source.tags, source.syntax
    options = as_pixel_options(tags, pixel_keyword="PixelData", pixel_vr=source.pixel_vr)
    if syntax == uid.RLELossless:
        encoded = get_frame(source.file, frame, number_of_frames=source.n_frames)
        content, index, decoder = _decode_rle(encoded, tags), 0, get_decoder(uid.ExplicitVRLittleEndian)
        options |= {"planar_configuration": 1, "number_of_frames": 1}
    else:
        content, index, decoder = source.file, frame, get_decoder(syntax)
        if syntax not in NATIVE:
            start = source.file.tell()
            _check_codestream(get_frame(source.file, frame, number_of_frames=source.n_frames), tags)
            source.file.seek(start)
    pixels, meaning = decoder.as_array(content, index=index, as_rgb=False, **options)
    return pixels, str(meaning["photometric_interpretation"])


def _check_codestream(encoded, tags):
    """A JPEG or JPEG 2000 of another size than its file says could take any amount of memory."""
    with Image.open(io.BytesIO(encoded), formats=("JPEG", "JPEG2000")) as image:  # reads its header only
        if image.size != (tags.Columns, tags.Rows):
            raise ImageError(DAMAGED)
        if image.format == "JPEG":
            check_scans(bytes(encoded), *image.size)


def _decode_rle(encoded: bytes, tags) -> bytes:
    """One RLE frame -> samples in planes, little endian (PS3.5 annex G). Pillow stops at the size that is expected."""
    samples, bytes_each = tags.SamplesPerPixel, tags.BitsAllocated // 8
    n_segments, *offsets = struct.unpack(f"<{1 + _RLE_SEGMENTS}L", encoded[: 4 * (1 + _RLE_SEGMENTS)])
    if n_segments != samples * bytes_each:
        raise ImageError(DAMAGED)
    ends = [*offsets[1:n_segments], len(encoded)]
    size = (tags.Rows * tags.Columns, 1)  # one long row: some writers let a run go on into the next row
    planes = np.empty((samples, size[0], bytes_each), np.uint8)
    for number, (start, end) in enumerate(zip(offsets, ends, strict=False)):
        sample, byte = divmod(number, bytes_each)  # most significant byte first
        segment = Image.frombytes("L", size, encoded[start:end], "packbits", "L")
        planes[sample, :, bytes_each - 1 - byte] = np.asarray(segment)[0]
    return planes.tobytes()


def _stored(pixels, meaning, tags) -> Stored:
    if meaning == "PALETTE COLOR":
        return Stored(pixels, _colours(pixels.dtype, tags).__getitem__, False, ())
    if meaning == "RGB":
        return Stored(pixels, _as_it_is, False, ())
    if meaning in ("YBR_FULL", "YBR_FULL_422"):
        return Stored(pixels, partial(convert_color_space, current=meaning, desired="RGB"), False, ())
    if meaning not in ("MONOCHROME1", "MONOCHROME2"):
        wanted = "gray, RGB, YBR or palette colour is expected. Export the frame as PNG."
        raise ImageError(f"The DICOM file holds an unusual kind of colour; {wanted}")
    notices = ()
    if tags.BitsStored == 1:
        show = _as_bool
    elif tags.BitsStored <= 8 and tags.PixelRepresentation == 0:
        show = _as_8_bits
    elif tags.get("WindowCenter") is not None and tags.get("WindowWidth") is not None:
        show = _window(tags)
        notices = (Notice("windowed", "Gray values were mapped to black and white as the file asks."),)
    else:
        show = partial(apply_modality_lut, ds=tags)
    return Stored(pixels, show, meaning == "MONOCHROME1", notices)


def _as_it_is(pixels):
    return pixels


def _as_bool(pixels):
    return pixels.astype(bool)


def _as_8_bits(pixels):
    return pixels.astype(np.uint8)


def _colours(dtype, tags) -> np.ndarray:
    """The colour of every value that a pixel can have, uint8 (N, 3)."""
    values = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    check_palettes(tags)
    colours = apply_color_lut(values[None], tags)[0, :, :3]
    if colours.dtype.itemsize > 1:  # 16-bit entries, but some writers fill only their low byte
        colours = colours >> 8 if colours.max() > 255 else colours
    return colours.astype(np.uint8)


def _window(tags) -> Callable[[np.ndarray], np.ndarray]:
    """Deep gray -> uint8 through the file's first window (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    centre, width = (float(np.ravel(tags[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
    kind = str(tags.get("VOILUTFunction") or "LINEAR").upper()
    if not (math.isfinite(centre) and math.isfinite(width) and width > 0):
        raise ImageError(DAMAGED)

    def show(pixels):
        levels = apply_modality_lut(pixels, tags).astype(np.float64)
        if not math.isfinite(levels.sum()):
            raise ImageError(DAMAGED)
        if kind == "SIGMOID":
            share = 1 / (1 + np.exp(np.clip(-4 * (levels - centre) / width, -50, 50)))
        elif kind == "LINEAR_EXACT":
            share = (levels - centre) / width + 0.5
        else:
            share = (levels - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
        return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)

    return show
