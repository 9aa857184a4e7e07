"""A DICOM file becomes the pixels of one frame, millimetres per pixel and the regions that hold echoes.

Enters: an open file. Leaves: a `DicomPicture` or an `ImageError`. Only the tags listed here are looked at and none
leaves as text: a message never repeats what a file says, because any tag may name a patient. Pixels are decoded by
pydicom, JPEG and JPEG 2000 by Pillow through it, RLE by Pillow. Whatever a file claims is checked against what it
holds before memory is taken for it.
"""

import io
import logging
import math
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.encaps import get_frame, parse_fragments
from pydicom.filereader import read_dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.tag import Tag

from busi_model.frame import DAMAGED, MAX_FILE_BYTES, Box, ImageError, Notice, check_frame, check_size

# pydicom says what it finds wrong together with the value that it found, which may be a name.
warnings.filterwarnings("ignore", module="pydicom")
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)

MAX_DICOM_BYTES = 2**30  # of a cine loop only the tags and one frame are read
MAX_TAG_BYTES = 8 * 2**20  # as parsed; larger elements that nobody asks for are skipped, not read
FLOAT_PIXELS, PIXEL_DATA = Tag("FloatPixelData"), Tag("PixelData")  # the first element of that kind, the usual one
_RLE_SEGMENTS = 15  # room in the header of an RLE frame

NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000)
_PIXEL_TAGS = (
    "SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns BitsAllocated "
    "BitsStored HighBit PixelRepresentation RescaleSlope RescaleIntercept ModalityLUTSequence WindowCenter WindowWidth "
    "VOILUTFunction RedPaletteColorLookupTableDescriptor RedPaletteColorLookupTableData "
    "GreenPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableData BluePaletteColorLookupTableDescriptor "
    "BluePaletteColorLookupTableData SegmentedRedPaletteColorLookupTableData "
    "SegmentedGreenPaletteColorLookupTableData SegmentedBluePaletteColorLookupTableData"
)
_OTHER_TAGS = "SOPClassUID Modality PixelSpacing SequenceOfUltrasoundRegions BurnedInAnnotation"
_TAGS = [Tag(keyword) for keyword in f"{_PIXEL_TAGS} {_OTHER_TAGS}".split()]
_ULTRASOUND = ("1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.3")  # SOP classes: one frame, several
_MODALITIES = {
    "MG": "mammography",
    "MR": "magnetic resonance",
    "CT": "computed tomography",
    "CR": "X-ray",
    "DX": "X-ray",
    "RF": "fluoroscopy",
    "XA": "angiography",
    "NM": "nuclear medicine",
    "PT": "positron emission tomography",
    "SM": "microscopy",
    "SEG": "a segmentation",
}
_TWO_D, _TISSUE, _CENTIMETRES = 1, 1, 3  # PS3.3 C.8.5.5.1: spatial format, data type, physical units


@dataclass(frozen=True, eq=False)
class DicomPicture:
    """One frame of a DICOM file."""

    pixels: np.ndarray  # (H, W) gray or (H, W, 3) RGB; uint8 wherever the file says how to show it
    spacing_mm: tuple[float, float] | None  # (row, column)
    scan_regions: tuple[Box, ...]
    notices: tuple[Notice, ...]


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with these bytes (132 or more) is DICOM, with or without its preamble."""
    if head[128:132] == b"DICM":
        return True
    # Without a preamble the first element is of group 2 or 8; no other kind of picture begins like that.
    return head[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08") and len(head) >= 132


def count_dicom_frames(file) -> int:
    """file: binary, open. Raises ImageError."""
    return _guarded(lambda: _open(file).n_frames)


def read_dicom(file, frame: int | None = None) -> DicomPicture:
    """file: binary, open. frame: from 0 on; None is the middle one (notice "middle_frame"). Raises ImageError.

    Further notices: "burned_in" (the file says that text is in its pixels), "other_modality", "windowed" (deep
    gray was mapped by the window in the file), "regions_disagree" and "spacings_differ" (no millimetres then).
    """
    return _guarded(lambda: _read(_open(file), frame))


def _guarded(work):
    try:
        return work()
    except (ImageError, MemoryError):
        raise
    except Exception:  # pydicom raises whatever a damaged file leads it to, with the values that it found
        raise ImageError(DAMAGED) from None


class _Sparing:
    """A file that refuses to be read at length: what is skipped costs nothing, what is parsed is limited."""

    def __init__(self, file):
        self.left, self.seek, self.tell, self._read = MAX_TAG_BYTES, file.seek, file.tell, file.read

    def read(self, size=-1):
        content = self._read(min(size, self.left + 1) if size >= 0 else self.left + 1)
        self.left -= len(content)
        if self.left < 0:
            found = f"The DICOM file holds more than {MAX_TAG_BYTES // 2**20} MiB of descriptions"
            raise ImageError(f"{found}; a picture has far less. Export the frame as PNG.")
        return content


@dataclass(frozen=True)
class _Opened:
    tags: object  # pydicom.Dataset with the tags listed above, no others
    file: object  # positioned at the value of the pixel data
    syntax: uid.UID
    n_frames: int


def _open(file) -> _Opened:
    syntax = _transfer_syntax(file)
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        file, syntax = _inflate(file), uid.ExplicitVRLittleEndian
    tags = read_dataset(
        _Sparing(file),
        syntax.is_implicit_VR,
        syntax.is_little_endian,
        stop_when=lambda tag, vr, length: tag >= FLOAT_PIXELS,
        specific_tags=_TAGS,
    )
    header = file.read(8 if syntax.is_implicit_VR else 12)
    little = "<" if syntax.is_little_endian else ">"
    if not header or "Rows" not in tags:
        text = "The DICOM file holds no picture (a report, a plan or an index?); an ultrasound image is expected."
        raise ImageError(f"{text} Choose the file with the image.")
    if struct.unpack(f"{little}HH", header[:4]) != (PIXEL_DATA.group, PIXEL_DATA.element):
        raise ImageError("The DICOM file holds no integer pixels; an ultrasound image is expected. Export it as PNG.")
    check_size(tags.Columns, tags.Rows)
    _check_syntax(syntax, tags)
    n_frames = int(tags.get("NumberOfFrames") or 1)
    start = file.tell()
    if syntax in NATIVE:
        file.seek(0, io.SEEK_END)
        bits = tags.Rows * tags.Columns * tags.SamplesPerPixel * tags.BitsAllocated
        if tags.PhotometricInterpretation == "YBR_FULL_422":
            bits = bits * 2 // 3
        possible = (file.tell() - start) * 8 // bits
    else:
        possible, _ = parse_fragments(_Sparing(file))
    if not 1 <= n_frames <= possible:
        raise ImageError(DAMAGED)
    file.seek(start)
    return _Opened(tags, file, syntax, n_frames)


def _transfer_syntax(file) -> uid.UID:
    """The file's transfer syntax; the file is then positioned at the data set."""
    file.seek(0)
    if file.read(132)[128:] != b"DICM":
        file.seek(0)
    # The file meta information, group 2, is always explicit VR little endian.
    wanted = [Tag("TransferSyntaxUID")]
    meta = read_dataset(_Sparing(file), False, True, stop_when=lambda tag, *_: tag.group != 2, specific_tags=wanted)
    if "TransferSyntaxUID" in meta:
        return uid.UID(meta.TransferSyntaxUID)
    start = file.tell()
    first = file.read(6)
    file.seek(start)
    if not first[4:].isalpha():  # no value representation: implicit
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRBigEndian if first[0] == 0 else uid.ExplicitVRLittleEndian


def _inflate(file):
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflater.decompress(file.read(MAX_FILE_BYTES), MAX_FILE_BYTES)
    if not inflater.eof and inflater.unconsumed_tail:
        found = f"The DICOM file unpacks to more than {MAX_FILE_BYTES // 2**20} MiB"
        raise ImageError(f"{found}; one frame takes less. Export a single frame.")
    if not inflater.eof:
        raise ImageError(DAMAGED)
    return io.BytesIO(content)


def _check_syntax(syntax, tags):
    twelve_bits = syntax == uid.JPEGExtended12Bit and tags.BitsStored > 8
    if syntax in (*NATIVE, *JPEG, *JPEG_2000, uid.RLELossless) and not twelve_bits:
        return
    # The name comes from the standard's list: what the file itself says could be any text.
    name = syntax.name if syntax in uid.UID_dictionary else "an unknown method"
    wanted = "uncompressed, RLE, 8-bit JPEG or JPEG 2000 is expected. Export the frame uncompressed or as PNG."
    raise ImageError(f"The DICOM file is compressed by {name}; {wanted}")


def _read(opened, frame) -> DicomPicture:
    tags, notices = opened.tags, []
    if frame is None:
        frame = opened.n_frames // 2
        if opened.n_frames > 1:
            text = f"The file holds {opened.n_frames} frames; frame {frame + 1}, in the middle, was read."
            notices.append(Notice("middle_frame", text))
    check_frame(frame, opened.n_frames)
    notices += _modality_notices(tags)
    if str(tags.get("BurnedInAnnotation", "")).upper() == "YES":
        text = "The file says that text is burned into its pixels. It may name the patient: look before you share it."
        notices.append(Notice("burned_in", text))
    pixels, shown = _shown(_decode(opened, frame), tags)
    regions, spacing_mm, geometry_notices = _geometry(tags)
    return DicomPicture(pixels, spacing_mm, regions, (*notices, *geometry_notices, *shown))


def _modality_notices(tags):
    modality, sop_class = str(tags.get("Modality", "")), str(tags.get("SOPClassUID", ""))
    if modality == "US" or (not modality and sop_class.startswith(_ULTRASOUND)):
        return []
    found = _MODALITIES.get(modality, "another kind of picture")
    text = f"The file says that it is {found}, not ultrasound. The result means nothing unless that is an error."
    return [Notice("other_modality", text)]


# Pixels


def _decode(opened, frame) -> tuple[np.ndarray, str]:
    """Pixels as stored, (H, W) or (H, W, 3), and what they mean; YBR has become RGB."""
    tags, syntax = opened.tags, opened.syntax
    options = as_pixel_options(tags, pixel_keyword="PixelData", pixel_vr="OW")
    if syntax == uid.RLELossless:
        encoded = get_frame(opened.file, frame, number_of_frames=opened.n_frames)
        source, index, decoder = _decode_rle(encoded, tags), 0, get_decoder(uid.ExplicitVRLittleEndian)
        options |= {"planar_configuration": 1, "number_of_frames": 1}
    else:
        source, index, decoder = opened.file, frame, get_decoder(syntax)
        if syntax not in NATIVE:
            start = opened.file.tell()
            _check_codestream(get_frame(opened.file, frame, number_of_frames=opened.n_frames), tags)
            opened.file.seek(start)
    pixels, meaning = decoder.as_array(source, index=index, **options)
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


# Geometry


def _geometry(tags) -> tuple[tuple[Box, ...], tuple[float, float] | None, list[Notice]]:
    """Scan regions and (row, column) millimetres a pixel: from the regions where there are any, else PixelSpacing."""
    regions, spacings = [], set()
    for item in tags.get("SequenceOfUltrasoundRegions") or ():
        left, top, right, bottom = (
            int(item.get(f"RegionLocation{name}", -1)) for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")
        )
        # The last column belongs to the region; many writers give the one after it.
        if not (0 <= left < right <= tags.Columns and 0 <= top < bottom <= tags.Rows):
            text = "The regions that the file describes do not fit its picture: it was cut or resized. "
            return (), None, [Notice("regions_disagree", text + "Lengths in millimetres are unknown.")]
        regions.append(Box(top, left, min(bottom + 1, tags.Rows), min(right + 1, tags.Columns)))
        if (item.get("RegionSpatialFormat"), item.get("RegionDataType")) == (_TWO_D, _TISSUE):
            spacings.add(_region_spacing_mm(item))
    if len(spacings) > 1:
        text = "The file shows several scans at different scales. Lengths in millimetres are unknown."
        return tuple(regions), None, [Notice("spacings_differ", text)]
    if spacings:
        return tuple(regions), spacings.pop(), []
    spacing = tags.get("PixelSpacing")
    return tuple(regions), _positive(*spacing) if spacing and not regions and len(spacing) == 2 else None, []


def _region_spacing_mm(item):
    units = (item.get("PhysicalUnitsXDirection"), item.get("PhysicalUnitsYDirection"))
    if units != (_CENTIMETRES, _CENTIMETRES):
        return None
    return _positive(10 * abs(item.get("PhysicalDeltaY", 0)), 10 * abs(item.get("PhysicalDeltaX", 0)))


def _positive(row, column):
    row, column = float(row), float(column)
    return (row, column) if 0 < row < math.inf and 0 < column < math.inf else None
