"""Small files that ask for minutes or gigabytes, of our own making; `benchmarks.load` and the tests open them."""

import io
import re
import struct

import numpy as np
from PIL import Image

from tests.support.picture_files import dataset, region, written

GRAY = (np.arange(128 * 128) % 200).astype(np.uint8).reshape(128, 128)


def progressive_jpeg(n_scans, side_px=2000) -> bytes:
    """A flat picture whose last scan, of some bytes, is repeated."""
    buffer = io.BytesIO()
    Image.new("L", (side_px, side_px), 100).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last = content[max(found.start() for found in re.finditer(rb"\xff\xda", content)) : -2]
    n_there = content.count(b"\xff\xda")
    return content[:-2] + last * (n_scans - n_there) + b"\xff\xd9"


def segmented_palette(words) -> bytes:
    """words: of the table, 16 bits each (PS3.3 C.7.9.2)."""
    ds = dataset(GRAY % 3)
    ds.PhotometricInterpretation = "PALETTE COLOR"
    for colour in ("Red", "Green", "Blue"):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(ds, f"Segmented{colour}PaletteColorLookupTableData", np.array(words, "<u2").tobytes())
    return written(ds)


def many_regions(count, undefined_length=False) -> bytes:
    """One region, so many times; written by hand, for pydicom takes seconds."""
    content = written(dataset(GRAY, SequenceOfUltrasoundRegions=[region((0, 0, 90, 90))]))
    at = content.index(struct.pack("<HH2s", 0x18, 0x6011, b"SQ")) + 8  # its length, and then its items
    (length,) = struct.unpack_from("<I", content, at)
    items, rest = content[at + 4 : at + 4 + length] * count, content[at + 4 + length :]
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) if undefined_length else b""
    return content[:at] + struct.pack("<I", 0xFFFFFFFF if undefined_length else len(items)) + items + end + rest


def many_tags(count) -> bytes:
    """Empty private tags before those of the picture."""
    content = written(dataset(GRAY))
    at = content.index(struct.pack("<HH", 0x28, 2))
    tags = b"".join(struct.pack("<HH2sH", 0x19, 0x1000 + n % 0xE000, b"SH", 0) for n in range(count))
    return content[:at] + tags + content[at:]


def heavy_jpeg() -> bytes:
    """A whole and honest picture of 40 megapixels, built up in as many steps as we read: a second or two of work."""
    return progressive_jpeg(15, 6300)
