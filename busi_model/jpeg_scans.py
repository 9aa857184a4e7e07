"""How often a JPEG file makes its decoder walk over the picture, read from its markers and without decoding it.

A progressive JPEG refines the picture scan by scan. The standard sets no limit: 204 kB with 800 scans keep a decoder
busy for 12 s. Encoders write about 10.
"""

import re

from busi_model.frame import DAMAGED, ImageError

MAX_SCANS = 200
MAX_SCANNED_PIXELS = 640_000_000  # 40 megapixels in 16 scans; about 1 s of decoding
_START_OF_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in a scan FF 00 is a byte of it and FF D0 to D7 restart it


def check_scans(content: bytes, width: int, height: int) -> None:
    """content: a JPEG file, of a picture of that size. Raises ImageError where there are too many scans."""
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
            raise ImageError(DAMAGED)
        at += 2 + length
        if kind == _START_OF_SCAN:
            count += 1
            if count > MAX_SCANS or count * width * height > MAX_SCANNED_PIXELS:
                steps = f"The JPEG picture is built up in more than {count - 1} steps, far more than any needs"
                raise ImageError(f"{steps}; a usual JPEG file is expected. Export the frame as PNG.")
            found = _MARKER.search(content, at)
            if found is None:
                return
            at = found.start()
