"""One frame's pixels, from as they are stored to as they are shown: gray with black as zero, or RGB.

pydicom decodes; JPEG and JPEG 2000 go through Pillow, RLE is unpacked by Pillow directly, which stops at the size
that is expected.
"""

import io
import math
import struct

import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, apply_modality_lut, get_decoder
from pydicom.pixels.utils import as_pixel_options

from busi_model.dicom.source import NATIVE, Source
from busi_model.frame import DAMAGED, ImageError, Notice

_RLE_SEGMENTS = 15  # room in the header of an RLE frame


def shown_pixels(source: Source, frame: int) -> tuple[np.ndarray, list[Notice]]:
    """(H, W) gray or (H, W, 3) RGB, uint8 wherever the file says how to show it; "windowed" where a window did so."""
    return _shown(_decode(source, frame), source.tags)


def _decode(source, frame) -> tuple[np.ndarray, str]:
    """Pixels as stored, (H, W) or (H, W, 3), and what they mean; YBR has become RGB."""
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
    pixels, meaning = decoder.as_array(content, index=index, **options)
    return pixels, str(meaning["photometric_interpretation"])


def _check_codestream(encoded, tags):
    """A JPEG or JPEG 2000 of another size than its file says could take any amount of memory."""
    with Image.open(io.BytesIO(encoded), formats=("JPEG", "JPEG2000")) as image:  # reads its header only
        if image.size != (tags.Columns, tags.Rows):
            raise ImageError(DAMAGED)


def _decode_rle(encoded: bytes, tags) -> bytes:
    """One RLE frame -> samples in planes, little endian (PS3.5 annex G). Pillow stops at the size that is expected."""
    samples, bytes_each = tags.SamplesPerPixel, tags.BitsAllocated // 8
    n_segments, *offsets = struct.unpack(f"<{1 + _RLE_SEGMENTS}L", encoded[: 4 * (1 + _RLE_SEGMENTS)])
    if n_segments != samples * bytes_each:
        raise ImageError(DAMAGED)
    ends = [*offsets[1:n_segments], len(encoded)]
    size = (tags.Rows * tags.Columns, 1)  # one long row: some writers let a run go on into the next row
    segments = [
        np.asarray(Image.frombytes("L", size, encoded[start:end], "packbits", "L"))
        for start, end in zip(offsets, ends, strict=False)
    ]
    planes = np.stack(segments).reshape(samples, bytes_each, -1)  # most significant byte first
    return planes[:, ::-1].transpose(0, 2, 1).tobytes()


def _shown(decoded, tags) -> tuple[np.ndarray, list[Notice]]:
    """Pixels as stored -> as they are shown: gray with black as zero, or RGB."""
    pixels, meaning = decoded
    if meaning == "PALETTE COLOR":
        colours = apply_color_lut(pixels, tags)[:, :, :3]
        if colours.dtype.itemsize > 1:  # 16-bit entries, but some writers fill only their low byte
            colours = colours >> 8 if colours.max() > 255 else colours
        return colours.astype(np.uint8), []
    if meaning == "RGB":
        return pixels, []
    if meaning not in ("MONOCHROME1", "MONOCHROME2"):
        wanted = "gray, RGB, YBR or palette colour is expected. Export the frame as PNG."
        raise ImageError(f"The DICOM file holds an unusual kind of colour; {wanted}")
    notices = []
    if tags.BitsStored == 1:
        pixels = pixels.astype(bool)
    elif tags.BitsStored <= 8 and tags.PixelRepresentation == 0:
        pixels = pixels.astype(np.uint8)
    else:
        pixels = apply_modality_lut(pixels, tags).astype(np.float64)
        if tags.get("WindowCenter") is not None and tags.get("WindowWidth") is not None:
            pixels = _windowed(pixels, tags)
            notices.append(Notice("windowed", "Gray values were mapped to black and white as the file asks."))
    if meaning == "MONOCHROME1":  # white is zero
        pixels = ~pixels if pixels.dtype.kind in "bu" else pixels.max() - pixels  # ~ of uint8 is 255 minus it
    return pixels, notices


def _windowed(pixels, tags) -> np.ndarray:
    """Deep gray -> uint8 through the file's first window (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    centre, width = (float(np.ravel(tags[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
    kind = str(tags.get("VOILUTFunction") or "LINEAR").upper()
    if not (math.isfinite(centre) and math.isfinite(width) and width > 0):
        raise ImageError(DAMAGED)
    levels = pixels.astype(np.float64)
    if kind == "SIGMOID":
        share = 1 / (1 + np.exp(np.clip(-4 * (levels - centre) / width, -50, 50)))
    elif kind == "LINEAR_EXACT":
        share = (levels - centre) / width + 0.5
    else:
        share = (levels - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
