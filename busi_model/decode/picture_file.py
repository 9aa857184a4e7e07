"""An open file becomes a Pillow image that is not decoded yet; reading its header is kept within limits.

Enters: a binary file. Leaves: a Pillow image, or an ImageError that names what the file holds instead. Pillow believes
what a header says: a small file can make it read itself ten thousand times, or step through pages for hours. A
progressive JPEG is refined scan by scan, without a limit in the standard: 204 kB with 800 scans keep a decoder busy for
12 s, where encoders write about 10 scans.
"""

import math
import re
from typing import Any, BinaryIO, cast

from PIL import Image

from busi_model.frame import MAX_FRAMES, MAX_MEGAPIXELS, ImageError

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")  # a list, so that no EPS, PSD or PDF reader ever runs
MAX_HEADER_BYTES = 8 * 2**20  # as read by Pillow; those of a telephone's photograph have 1 MiB
MAX_HEADER_READS = 20_000  # a picture has some hundred
MAX_READS = 2_000_000  # of header and pixels; a run-length encoded BMP of a megapixel can have as many

MAX_SCANS = 200
MAX_SCANNED_PIXELS = 640_000_000  # 40 megapixels in 16 scans; about 1 s of decoding
_START_OF_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in a scan FF 00 is a byte of it and FF D0 to D7 restart it
_HEAD_BYTES = 4096
_SIGNATURES = (  # offset, bytes, what to call it: a code of `words.PARTS`
    (0, b"PK", "archive"),
    (0, b"%PDF", "pdf"),
    (0, b"%!PS", "postscript"),
    (0, b"8BPS", "photoshop"),
    (4, b"ftyp", "photograph"),
    (0, b"MZ", "program"),
    (0, b"\x7fELF", "program"),
)


class _Sparing:
    """A file that refuses to be read for ever."""

    def __init__(self, file: BinaryIO):
        self._file, self.seek, self.tell = file, file.seek, file.tell
        self.reads_left, self.bytes_left = MAX_HEADER_READS, float(MAX_HEADER_BYTES)

    def pixels_follow(self) -> None:
        self.reads_left, self.bytes_left = MAX_READS, math.inf

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.reads_left -= 1
        if size >= 0:  # else all of it, once: WebP
            self.bytes_left -= len(content)
        if self.reads_left < 0 or self.bytes_left < 0:
            raise ImageError("long_description")
        return content


def open_picture(file: BinaryIO) -> Image.Image:
    """file: binary, open, seekable; it must stay open until the pixels are decoded."""
    try:
        image = _open(file)
        if image.format == "PNG":
            image.verify()  # checksums: a damaged block can otherwise pass as pixels
            image = _open(file)
        if image.format in ("JPEG", "MPO"):
            at = file.tell()
            file.seek(0)
            check_scans(file.read(), *image.size)
            file.seek(at)
        return image
    except (ImageError, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        # The cause would name the file.
        kind = _describe(file)
        if kind == "photograph":
            raise ImageError("photograph") from None
        raise ImageError("other_kind", kind=kind) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError("far_too_many_pixels", most=MAX_MEGAPIXELS) from error
    except Exception as error:  # Pillow raises whatever a damaged header leads it to
        raise ImageError("damaged") from error


def _open(file: BinaryIO) -> Image.Image:
    sparing = _Sparing(file)
    image = Image.open(cast(BinaryIO, sparing), formats=FORMATS)
    sparing.pixels_follow()
    return image


def _describe(file: BinaryIO) -> str:
    """What a file that holds no picture is: "photograph", or a code of `words.PARTS`."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    for offset, signature, name in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return name
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        return "tags"
    return "unknown_file"


def count_picture_frames(image: Image.Image, file: BinaryIO) -> int:
    """Frames of what `open_picture` made of this file; beyond MAX_FRAMES no more are counted. Raises ImageError.

    Pillow's own `n_frames` takes hours for a TIFF of many pages or a GIF of many small blocks.
    """
    try:
        if image.format == "TIFF":
            return _count_pages(image)
        if image.format == "GIF":
            file.seek(0)
            return _count_gif_frames(file.read())
        return min(getattr(image, "n_frames", 1), MAX_FRAMES + 1)  # stands in the header
    except ImageError:
        raise
    except Exception as error:
        raise ImageError("damaged") from error


def _count_pages(image: Any) -> int:
    count = 1
    while image.is_animated and count <= MAX_FRAMES:
        try:
            image.seek(count)
        except EOFError:
            break
        count += 1
    image.seek(0)
    return count


def _count_gif_frames(content: bytes) -> int:
    """Frames as the blocks follow each other (GIF89a, sections 17 to 27)."""
    count, at = 0, 13 + _colour_table(content[10])
    blocks_left = len(content) // 32 + 10_000  # a picture's have 255 bytes each, but for the last ones
    while at < len(content) and content[at] in b"!," and count <= MAX_FRAMES:
        if content[at] == ord(","):
            count += 1
            at += 11 + _colour_table(content[at + 9])
        else:
            at += 2
        while at < len(content) and content[at]:
            at += 1 + content[at]
            blocks_left -= 1
            if blocks_left < 0:
                raise ImageError("damaged")
        at += 1
    return max(count, 1)


def _colour_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0  # bytes


def check_scans(content: bytes, width: int, height: int) -> None:
    """content: a JPEG file, of a picture of that size; only its markers are read. Raises ImageError where it makes the
    decoder walk over the picture too often."""
    count, at = 0, 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            found = _MARKER.search(content, at)  # decoders, too, look for the next one
            if found is None:
                return
            at = found.start()
        kind = content[at + 1]
        if kind == _END:
            return
        if kind == 0xFF or kind in _ALONE:  # filled up, or without a length
            at += 1 if kind == 0xFF else 2
            continue
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        if length < 2:
            raise ImageError("damaged")
        at += 2 + length
        if kind == _START_OF_SCAN:
            count += 1
            if count > MAX_SCANS or count * width * height > MAX_SCANNED_PIXELS:
                raise ImageError("many_scans", most=count - 1)
            found = _MARKER.search(content, at)
            if found is None:
                return
            at = found.start()


def refuse_misread(image: Image.Image) -> None:
    """Refuse the rare kinds that Pillow opens without a word, but with other pixels than the file's."""
    deep = image.mode.startswith(("I", "F"))
    tags = getattr(image, "tag_v2", {})  # TIFF only
    bits, sample_format, photometric = max(tags.get(258, (1,))), tags.get(339, (1,))[0], tags.get(262)
    deep_png = image.format == "PNG" and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    if not deep and (bits > 8 or deep_png):  # cut to the high byte: a 12-bit picture would turn almost black
        kind = "deep_channels"
    elif deep and photometric == 0:  # inverted at 8 bits, but not beyond
        kind = "deep_white_is_zero"
    elif (bits, sample_format) in ((32, 1), (8, 2)):  # unsigned taken for signed, and the reverse
        kind = "unsigned_32_bit"
    elif image.mode == "LAB":
        kind = "lab"
    else:
        return
    raise ImageError("misread", kind=kind)
