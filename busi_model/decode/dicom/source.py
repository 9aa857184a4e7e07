"""An open file becomes the tags that are looked at, and the place where its pixels begin.

Only the tags listed here are read, none of which should name a patient. Whatever the file claims of itself is checked
against what it holds before memory is taken for it. Raises ImageError, or whatever pydicom makes of damage.
"""

import contextlib
import importlib.util
import io
import logging
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import BinaryIO, NoReturn, cast

from pydicom import uid
from pydicom.config import IGNORE, settings
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments, parse_basic_offsets, parse_fragments
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag

from busi_model.decode.dicom.bounds import MAX_TAG_READS, check_sequences
from busi_model.decode.dicom.codestream import FILMS, KNOWN, decoder_for
from busi_model.decode.dicom.tags import Tags
from busi_model.frame import MAX_FILE_BYTES, MAX_FRAMES, ImageError, Notice, check_size

# pydicom says what it finds wrong together with the value that it found, which may be a name.
settings.reading_validation_mode = IGNORE
warnings.filterwarnings("ignore", module="pydicom")
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)

MAX_DICOM_BYTES = 2**30  # of a cine loop only the tags and one frame are read
MAX_TAG_BYTES = 8 * 2**20  # as parsed; larger elements that nobody asks for are skipped, not read
_INFLATED_AT_ONCE = 2**20
FLOAT_PIXELS, PIXEL_DATA = Tag("FloatPixelData"), Tag("PixelData")  # the first element of that kind, the usual one

NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
COLOURS = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # of masks, of labels
_PIXEL_TAGS = (
    "SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns BitsAllocated "
    "BitsStored HighBit PixelRepresentation RescaleSlope RescaleIntercept ModalityLUTSequence WindowCenter WindowWidth "
    "VOILUTFunction VOILUTSequence PresentationLUTShape "
    "RedPaletteColorLookupTableDescriptor RedPaletteColorLookupTableData "
    "GreenPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableData BluePaletteColorLookupTableDescriptor "
    "BluePaletteColorLookupTableData SegmentedRedPaletteColorLookupTableData "
    "SegmentedGreenPaletteColorLookupTableData SegmentedBluePaletteColorLookupTableData"
)
_OTHER_TAGS = (
    "SOPClassUID Modality PixelSpacing PixelAspectRatio NominalScannedPixelSpacing SequenceOfUltrasoundRegions "
    "SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence BurnedInAnnotation PixelPaddingValue "
    "PixelPaddingRangeLimit"
)
_TAGS: list[BaseTag | int] = [Tag(keyword) for keyword in f"{_PIXEL_TAGS} {_OTHER_TAGS}".split()]


class _Sparing:
    """A file that refuses to be read at length: what is skipped costs nothing, what is parsed is limited."""

    def __init__(self, file: BinaryIO):
        self.left, self.seek, self.tell, self._read = MAX_TAG_BYTES, file.seek, file.tell, file.read
        self.reads_left = MAX_TAG_READS

    def read(self, size: int = -1) -> bytes:
        content = self._read(min(size, self.left + 1) if size >= 0 else self.left + 1)
        self.left -= len(content)
        self.reads_left -= 1
        if self.reads_left < 0:
            raise ImageError("many_tags")
        if self.left < 0:
            raise ImageError("long_tags", most=MAX_TAG_BYTES // 2**20)
        return content


@dataclass(frozen=True)
class Source:
    """A file that has passed the checks: `n_frames` frames of pixels are there."""

    tags: Dataset  # with the tags listed above, no others
    file: BinaryIO  # positioned at the value of the pixel data
    syntax: uid.UID
    pixel_vr: str  # OB or OW: in big endian files it decides in which order the bytes are
    n_frames: int
    notices: tuple[Notice, ...] = ()

    def stream(self) -> io.BytesIO:
        """All encapsulated content on end, as a film is kept: in one fragment or cut anywhere."""
        start = self.file.tell()
        content = io.BytesIO()
        with contextlib.suppress(StopIteration):
            parse_basic_offsets(self.file)
            for fragment in generate_fragments(self.file):
                content.write(fragment)
                if content.tell() > MAX_FILE_BYTES:
                    raise ImageError("long_film", most=MAX_FILE_BYTES // 2**20)
        self.file.seek(start)
        content.seek(0)
        return content


def open_source(file: BinaryIO) -> Source:
    """file: binary, open, seekable."""
    syntax = _transfer_syntax(file)
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        file, syntax = _inflate(file), uid.ExplicitVRLittleEndian
    if syntax not in (*NATIVE, *KNOWN, uid.RLELossless):
        _refuse_compression(syntax)
    tags = read_dataset(
        cast(BinaryIO, _Sparing(file)),
        syntax.is_implicit_VR,
        syntax.is_little_endian,
        stop_when=lambda tag, vr, length: tag >= FLOAT_PIXELS,
        specific_tags=_TAGS,
    )
    check_sequences(tags)
    header = file.read(8)
    explicit = header[4:] in (b"OB\0\0", b"OW\0\0", b"UN\0\0")  # whatever the file says of itself
    header += file.read(4) if explicit else b""
    little = "<" if syntax.is_little_endian else ">"
    if not header:
        raise ImageError("no_pixels" if "Rows" in tags else "no_picture")
    if struct.unpack(f"{little}HH", header[:4]) != (PIXEL_DATA.group, PIXEL_DATA.element):
        raise ImageError("no_integers")
    _refuse_segmentation(tags)
    _complete(tags, syntax)
    _refuse_nonsense(tags, syntax)
    check_size(tags.Columns, tags.Rows)
    if syntax == uid.JPEGExtended12Bit and tags.BitsStored > 8:
        _refuse_compression(syntax)
    if not decoder_for(syntax)[1] or (syntax in FILMS and not importlib.util.find_spec("cv2")):
        raise ImageError("needs_extra", method=syntax.name)
    careful = Tags(tags)
    stated = careful.numbers("NumberOfFrames", usable=bool)
    n_frames = tags.NumberOfFrames = int(stated[0]) if stated else 1
    start = file.tell()
    if syntax in NATIVE:
        file.seek(0, io.SEEK_END)
        bits = tags.Rows * tags.Columns * tags.SamplesPerPixel * tags.BitsAllocated
        if tags.PhotometricInterpretation == "YBR_FULL_422":
            if _length(header, syntax) >= n_frames * bits // 8:  # some writers say so and halve nothing
                tags.PhotometricInterpretation = "YBR_FULL"
            else:
                bits = bits * 2 // 3
        possible = (file.tell() - start) * 8 // bits
    elif syntax in FILMS:
        possible = MAX_FRAMES  # the film itself says how many, when one is asked for
    else:
        items = _Sparing(file)
        parse_basic_offsets(items)  # the first item is no fragment
        possible, _ = parse_fragments(items)
    if not 1 <= n_frames <= possible:
        raise ImageError("damaged")
    file.seek(start)
    pixel_vr = header[4:6].decode("ascii") if explicit else "OW"
    return Source(tags, file, syntax, pixel_vr, n_frames, tuple(careful.notices))


def _length(header: bytes, syntax: uid.UID) -> int:
    """Bytes of the pixel data, as its element says."""
    return int.from_bytes(header[-4:], "little" if syntax.is_little_endian else "big")


def _complete(tags: Dataset, syntax: uid.UID) -> None:
    """Refuse a file without one of the tags that its pixels cannot be read without, and name it; what can be known
    without its tag is filled in."""
    needed = ["Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored"]
    if tags.get("SamplesPerPixel") == 3 and syntax in NATIVE:
        needed.append("PlanarConfiguration")
    if tags.get("PhotometricInterpretation") == "PALETTE COLOR":
        for colour in ("Red", "Green", "Blue"):
            table = f"{colour}PaletteColorLookupTable"
            needed += [f"{table}Descriptor", *[f"{table}Data"] * (f"Segmented{table}Data" not in tags)]
    for keyword in needed:
        if tags.get(keyword) in (None, ""):
            raise ImageError("tag_missing", keyword=keyword)
    for keyword, usual in (("PixelRepresentation", 0), ("PlanarConfiguration", 0)):
        if tags.get(keyword) is None:
            setattr(tags, keyword, usual)


def _refuse_nonsense(tags: Dataset, syntax: uid.UID) -> None:
    """Refuse a file whose tags cannot describe pixels, and name the tag."""
    allocated = tags.BitsAllocated
    possible = {
        "Rows": lambda value: value >= 0,
        "Columns": lambda value: value >= 0,
        "SamplesPerPixel": lambda value: value in (1, 3),
        "BitsAllocated": lambda value: value in (1, 8, 16, 32),
        "BitsStored": lambda value: 1 <= value <= allocated,
        "PixelRepresentation": lambda value: value in (0, 1),
        "PlanarConfiguration": lambda value: value in (0, 1),
    }
    for keyword, makes_sense in possible.items():
        value = tags.get(keyword)
        if not isinstance(value, int) or not makes_sense(value):
            raise ImageError("tag_nonsense", keyword=keyword)
    tags.PhotometricInterpretation = str(tags.PhotometricInterpretation).strip().upper()
    if syntax not in FILMS and tags.PhotometricInterpretation not in COLOURS:
        raise ImageError("unusual_colour")


def _refuse_segmentation(tags: Dataset) -> None:
    if str(tags.get("SOPClassUID", "")) in SEGMENTATIONS or str(tags.get("Modality", "")) == "SEG":
        raise ImageError("segmentation")


def _transfer_syntax(file: BinaryIO) -> uid.UID:
    """The file's transfer syntax; the file is then positioned at the data set."""
    file.seek(0)
    if file.read(132)[128:] != b"DICM":
        file.seek(0)
    # The file meta information, group 2, is always explicit VR little endian.
    wanted: list[BaseTag | int] = [Tag("TransferSyntaxUID")]
    sparing = cast(BinaryIO, _Sparing(file))
    meta = read_dataset(sparing, False, True, stop_when=lambda tag, *_: tag.group != 2, specific_tags=wanted)
    if "TransferSyntaxUID" in meta:
        return uid.UID(meta.TransferSyntaxUID)
    start = file.tell()
    first = file.read(6)
    file.seek(start)
    if not first[4:].isalpha():  # no value representation: implicit
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRBigEndian if first[0] == 0 else uid.ExplicitVRLittleEndian


def _inflate(file: BinaryIO) -> io.BytesIO:
    inflater, content = zlib.decompressobj(-zlib.MAX_WBITS), io.BytesIO()
    while not inflater.eof:
        packed = inflater.unconsumed_tail or file.read(_INFLATED_AT_ONCE)
        part = inflater.decompress(packed, _INFLATED_AT_ONCE)
        if not packed and not part:
            raise ImageError("damaged")
        content.write(part)
        if content.tell() > MAX_FILE_BYTES:
            raise ImageError("unpacks_large", most=MAX_FILE_BYTES // 2**20)
    content.seek(0)
    return content


def _refuse_compression(syntax: uid.UID) -> NoReturn:
    # The name comes from the standard's list: what the file itself says could be any text.
    name = syntax.name if syntax in uid.UID_dictionary else "unknown_method"
    raise ImageError("compressed_12_bits" if syntax == uid.JPEGExtended12Bit else "compressed", method=name)
