"""Bad and odd input of every kind, each with what must come of it.

A kind is a file of our own making and either the words of the sentence that refuses it, or the codes of the notices
that it is read with. `KINDS` are small; `LARGE` take seconds and memory; `PLACES` are what is given in place of a file.
"""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image
from pydicom import uid
from pydicom.data import get_testdata_file

from tests.support.picture_files import (
    blank_png,
    bmp_5_6_5,
    chunk,
    dataset,
    encoded,
    encoded_tiff,
    exif,
    noise,
    palette,
    png,
    region,
    run_lengths,
    smooth,
    written,
)

SECRET = "Jane Doe 1961"  # in the folder's name and in whatever a file can say of itself; never in what we say of it


@dataclass(frozen=True)
class Kind:
    name: str  # of the file
    content: bytes | Callable[[], bytes]
    refused: str = ""  # words of the sentence; empty: it is read
    notices: tuple[str, ...] = ()  # codes it is read with
    meaningless: bool = False  # read, but the shipped weights must say that it is no breast ultrasound

    def write(self, folder: Path) -> Path:
        path = folder / self.name
        path.write_bytes(self.content if isinstance(self.content, bytes) else self.content())
        return path


def refused(name, content, words):
    return Kind(name, content, refused=words)


def read(name, content, *notices):
    return Kind(name, content, notices=notices)


def meaningless(name, content, *notices):
    return Kind(name, content, notices=notices, meaningless=True)


GRAY, COLOUR, DEEP = noise(96, 104), noise(96, 104, 3), noise(96, 104).astype(np.uint16) * 200
SMOOTH = smooth(96, 104)
IMAGE, OTHER = Image.fromarray(GRAY), Image.fromarray(noise(96, 104, seed=1))
NAMED = f"{SECRET}; left breast"
NO_KIND = "no known kind of picture"
DAMAGED = "The file is damaged or incomplete"
BEGINNING = "one with a damaged beginning"
SEVERAL_16 = "several channels of 16 bits"
MANY_PIXELS = "at most 40 megapixels are read"


def _with(array, value):
    changed = array.astype(np.float32)
    changed[3, 4] = value
    return changed


def _rgba():
    return np.dstack([GRAY, GRAY, GRAY, noise(96, 104, seed=2)])


def _ink():
    ink = np.zeros((96, 104, 4), np.uint8)
    ink[:, :, 3] = GRAY  # black ink only
    return Image.frombytes("CMYK", (104, 96), ink.tobytes())


def _zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../etc/scan.png", encoded(GRAY, "PNG"))
    return buffer.getvalue()


def _array_file():
    buffer = io.BytesIO()
    np.save(buffer, GRAY)
    return buffer.getvalue()


def _text(name, text):
    return chunk(name, b"Comment\0" + text)


def _zipped_text(name):
    """A compressed chunk that unpacks to 64 MiB."""
    return _text(name, b"\0" + zlib.compress(bytes(2**26)))


def _pages(n_pages, loop=False):
    """A TIFF whose pages are all one picture; the last one leads nowhere, or back to the first."""
    strip = 8
    first = strip + 64 * 64
    tags = [(256, 64), (257, 64), (258, 8), (259, 1), (262, 1), (273, strip), (277, 1), (278, 64), (279, 64 * 64)]
    entries = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags)
    size = len(entries) + 4
    following = [first + (page + 1) * size for page in range(n_pages)]
    following[-1] = first if loop else 0
    return (
        b"II*\0"
        + struct.pack("<L", first)
        + noise(64, 64).tobytes()
        + b"".join(entries + struct.pack("<L", offset) for offset in following)
    )


def _flipped(content, at):
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


def _claims(image_format, at, packed):
    """A small picture whose header claims other sizes."""
    content = bytearray(encoded(GRAY, image_format))
    content[at : at + len(packed)] = packed
    return bytes(content)


def _jpeg_claims(side):
    content = encoded(GRAY, "JPEG")
    return _claims("JPEG", content.index(b"\xff\xc0") + 5, struct.pack(">HH", side, side))


def _photograph(name):
    return lambda: encoded(getattr(skimage.data, name)(), "PNG")


def _page_of_text():
    return encoded(skimage.data.page(), "PNG")


# DICOM


def dicom(pixels=GRAY, **tags):
    return written(dataset(pixels, **tags))


def _shipped(name):
    return lambda: Path(get_testdata_file(name, download=False)).read_bytes()


def _polyglot(preamble):
    """A DICOM file that begins as another kind of file does."""
    return preamble.ljust(128, b"\0") + dicom()[128:]


def _tiff_and_dicom():
    """One file, two pictures: a TIFF whose index and pixels lie behind the DICOM file's last element."""
    inside = dicom()
    ours = encoded_tiff(noise(80, 80, seed=7), byteorder="<")
    (index,) = struct.unpack("<L", ours[4:8])
    n_tags = struct.unpack("<H", ours[index : index + 2])[0]
    shifted = bytearray(ours)
    for number in range(n_tags):
        at = index + 2 + 12 * number
        tag, kind, count, value = struct.unpack("<HHLL", ours[at : at + 12])
        if tag == 273 or count * {2: 1, 3: 2, 4: 4, 5: 8}.get(kind, 1) > 4:
            shifted[at + 8 : at + 12] = struct.pack("<L", value + len(inside))
    head = b"II*\0" + struct.pack("<L", index + len(inside))
    return head.ljust(128, b"\0") + inside[128:] + bytes(shifted)


def _rle_bomb():
    unpacks_to_256_mib = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * 2_000_000
    return dicom(np.zeros((64, 64), np.uint8), syntax=uid.RLELossless, encoded=[unpacks_to_256_mib])


def _deflated_bomb():
    """A data set that unpacks to 300 MiB of zeros, after the file meta information of a deflated file."""
    content = dicom(syntax=uid.DeflatedExplicitVRLittleEndian)
    begins = 144 + struct.unpack("<L", content[140:144])[0]  # its first element tells its length
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    return content[:begins] + b"".join(packer.compress(bytes(2**20)) for _ in range(300)) + packer.flush()


def _float_dicom():
    ds = dataset(GRAY)
    del ds.PixelData
    ds.FloatPixelData = GRAY.astype(np.float32).tobytes()
    ds.BitsAllocated = 32
    return written(ds)


def _packed_bits():
    ds = dataset(GRAY, BitsAllocated=1, BitsStored=1, HighBit=0)
    ds.PixelData = np.packbits(GRAY.ravel() > 127, bitorder="little").tobytes()
    return written(ds)


def _ybr():
    ybr = np.full((96, 104, 3), 128, np.uint8)
    ybr[:, :, 0] = GRAY
    return ybr


_JPEG, _J2K = encoded(SMOOTH, "JPEG"), encoded(SMOOTH, "JPEG2000", no_jp2=True)
_LOOP = np.stack([noise(96, 104, seed=seed) for seed in range(3)])
_EXE = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0"
_SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(document.cookie)</script></svg>"
_HTML = b"<!DOCTYPE html><html><img src='http://127.0.0.1:9/x' onerror='alert(1)'></html>"
_FILM = uid.MPEG2MPML

KINDS = (
    # No picture
    refused("empty.png", b"", "The file is empty (0 bytes)"),
    refused("words.png", b"just some words", NO_KIND),
    refused("zeros.png", bytes(2**20), NO_KIND),
    refused("ones.jpg", b"\xff" * 2**20, NO_KIND),
    refused("page.png", _HTML, "a web page or another text with tags"),
    refused("script.png", _SVG, "a web page or another text with tags"),
    refused("script with mark.svg", b"\xef\xbb\xbf \n" + _SVG, "a web page or another text with tags"),
    refused("document.png", b"%PDF-1.7\n" + bytes(200), "a PDF document"),
    refused("archive.png", _zip(), "a ZIP archive"),
    refused("packed.png", gzip.compress(encoded(GRAY, "PNG")), NO_KIND),
    refused("program.png", _EXE + bytes(200), "a program"),
    refused("program too.png", b"\x7fELF\x02\x01" + bytes(200), "a program"),
    refused("drawing.png", encoded(GRAY, "EPS"), "a PostScript document"),
    refused("layers.png", b"8BPS\0\x01" + bytes(200), "a Photoshop document"),
    refused("telephone.jpg", bytes(4) + b"ftypheic" + bytes(200), "a HEIC or AVIF photograph"),
    refused("array.png", _array_file(), NO_KIND),
    refused("bitmap.png", encoded(GRAY, "PPM"), NO_KIND),
    refused("waves.jp2", encoded(GRAY, "JPEG2000"), NO_KIND),
    refused("icon.ico", encoded(GRAY, "ICO", sizes=[(64, 64)]), NO_KIND),
    # Damaged
    refused("signature.png", b"\x89PNG\r\n\x1a\n", BEGINNING),
    refused("header.png", encoded(GRAY, "PNG")[:33], BEGINNING),
    refused("header and end.png", encoded(GRAY, "PNG")[:33] + chunk(b"IEND", b""), DAMAGED),
    refused("header.bmp", encoded(GRAY, "BMP")[:54], DAMAGED),
    refused("header.gif", encoded(GRAY, "GIF")[:13], BEGINNING),
    refused("header.tif", b"II*\0\x08\0\0\0", BEGINNING),
    refused("header.webp", b"RIFF\x10\0\0\0WEBPVP8L", DAMAGED),
    *(
        refused(f"half.{image_format.lower()}", content[: len(content) // 2], DAMAGED)
        for image_format in ("PNG", "JPEG", "BMP", "WEBP", "GIF")
        for content in [encoded(GRAY, image_format)]
    ),
    refused("half.tif", encoded_tiff(GRAY, rowsperstrip=16)[:5000], DAMAGED),
    refused("wrong checksum.png", _flipped(encoded(GRAY, "PNG"), -13), DAMAGED),
    refused("no pixels.png", png(8000, 5000, b""), DAMAGED),  # forty million claimed, the most that is read
    refused("unpacked text.png", png(64, 64, bytes(65 * 64), more=_zipped_text(b"zTXt")), DAMAGED),
    read("five channels.tif", encoded_tiff(noise(96, 104, 5), planarconfig="contig", photometric="rgb"), "colour"),
    # Too small, too large
    refused("1x1.png", encoded(noise(1, 1), "PNG"), "1x1 px; at least 64x64"),
    refused("1x5000.png", encoded(noise(5000, 1), "PNG"), "1x5000 px; at least 64x64"),
    refused("5000x1.png", encoded(noise(1, 5000), "PNG"), "5000x1 px; at least 64x64"),
    refused("63x64.png", encoded(noise(64, 63), "PNG"), "63x64 px; at least 64x64"),
    read("64x64.png", encoded(noise(64, 64), "PNG")),
    read("64x5000.png", encoded(noise(5000, 64), "PNG")),
    refused("claims.jpg", _jpeg_claims(60_000), MANY_PIXELS),
    refused("claims.gif", _claims("GIF", 6, b"\xff\xff\xff\xff"), MANY_PIXELS),
    refused("claims.bmp", _claims("BMP", 18, struct.pack("<ii", 60_000, 60_000)), MANY_PIXELS),
    refused("claims.png", png(60_000, 60_000, b""), MANY_PIXELS),
    # Depth, colour, alpha
    read("16 bits.png", encoded(DEEP, "PNG"), "rescaled"),
    read("16 bits.tif", encoded_tiff(DEEP), "rescaled"),
    read("16 bits constant.tif", encoded_tiff(DEEP * 0 + 7), "rescaled"),
    read("signed.tif", encoded_tiff(DEEP.astype(np.int16)), "rescaled"),
    read("float.tif", encoded_tiff(GRAY.astype(np.float32) / 255), "rescaled"),
    refused("nan.tif", encoded_tiff(_with(GRAY, np.nan)), "NaN or infinite values"),
    refused("infinite.tif", encoded_tiff(_with(GRAY, np.inf)), "NaN or infinite values"),
    refused("16 bits colour.png", blank_png(96, 96, 16, 2), SEVERAL_16),
    refused("16 bits alpha.png", blank_png(96, 96, 16, 4), SEVERAL_16),
    refused("16 bits colour and alpha.png", blank_png(96, 96, 16, 6), SEVERAL_16),
    refused("16 bits colour.tif", encoded_tiff(COLOUR.astype(np.uint16), photometric="rgb"), SEVERAL_16),
    refused(
        "16 bits planes.tif",
        encoded_tiff(noise(3, 96, 104).astype(np.uint16), photometric="rgb", planarconfig="separate"),
        SEVERAL_16,
    ),
    refused("white is zero.tif", encoded_tiff(DEEP, photometric="miniswhite"), "deep gray with white as zero"),
    refused("uint32.tif", encoded_tiff(DEEP.astype(np.uint32)), "32-bit unsigned"),
    refused("int8.tif", encoded_tiff(GRAY.astype(np.int8)), "8-bit signed"),
    refused("lab.tif", encoded(Image.new("LAB", (96, 104)), "TIFF"), "LAB colour"),
    read("cmyk.tif", encoded(_ink(), "TIFF")),
    read("cmyk.jpg", encoded(_ink(), "JPEG")),
    refused("ycbcr.tif", encoded(Image.fromarray(SMOOTH).convert("YCbCr"), "TIFF"), DAMAGED),
    read("palette.png", encoded(Image.fromarray(COLOUR).quantize(16), "PNG"), "colour"),
    read("gray palette.gif", encoded(IMAGE, "GIF")),
    read("gray and alpha.png", encoded(IMAGE.convert("LA"), "PNG")),
    read("colour and alpha.png", encoded(_rgba(), "PNG")),
    read("colour and alpha.webp", encoded(_rgba(), "WEBP", lossless=True)),
    read("1 bit.png", encoded(IMAGE.convert("1"), "PNG")),
    read("1 bit.tif", encoded(IMAGE.convert("1"), "TIFF", compression="group4")),
    read("4 bits.png", png(96, 96, bytes(49 * 96), bits=4)),
    read("5-6-5.bmp", bmp_5_6_5()),
    # Several frames
    read("film.gif", encoded(IMAGE, "GIF", save_all=True, append_images=[OTHER]), "first_frame"),
    read("film.webp", encoded(IMAGE, "WEBP", save_all=True, append_images=[OTHER], lossless=True), "first_frame"),
    read("film.png", encoded(IMAGE, "PNG", save_all=True, append_images=[OTHER]), "first_frame"),
    read("pages.tif", encoded(IMAGE, "TIFF", save_all=True, append_images=[OTHER]), "first_frame"),
    read("two hundred thousand pages.tif", lambda: _pages(200_000), "first_frame"),
    read("pages in a circle.tif", _pages(3, loop=True), "first_frame"),
    # What a file says of its patient
    read("turned.jpg", encoded(GRAY, "JPEG", exif=exif(orientation=6, description=NAMED)), "exif_turned"),
    read("named.jpg", encoded(GRAY, "JPEG", exif=exif(description=NAMED), comment=NAMED)),
    read("named.png", png(96, 96, bytes(97 * 96), more=_text(b"tEXt", NAMED.encode()))),
    read("named.gif", encoded(GRAY, "GIF", comment=NAMED)),
    read("named.tif", encoded_tiff(GRAY, description=NAMED, metadata=None)),
    # What a picture shows
    meaningless("black.png", blank_png(300, 300)),
    meaningless("white.png", blank_png(300, 300, value=b"\xff")),
    meaningless("noise.png", encoded(noise(400, 500), "PNG")),
    meaningless("coloured noise.png", encoded(noise(400, 500, 3), "PNG"), "colour"),
    meaningless("astronaut.png", _photograph("astronaut"), "colour", "photo"),
    meaningless("cat.png", _photograph("chelsea"), "colour", "photo"),
    meaningless("page of text.png", _page_of_text),
    # Names
    read("Göğüs 乳房 ثدي 🩺.png", encoded(GRAY, "PNG")),
    read("n" * 176 + ".png", encoded(GRAY, "PNG")),
    read("n" * 246 + ".png", encoded(GRAY, "PNG")),
    read("..%2f..%2f..%2fetc%2fpasswd.png", encoded(GRAY, "PNG")),
    read("=cmd|'calc'!A1.png", encoded(GRAY, "PNG")),
    read("<img src=x onerror=alert(1)>.png", encoded(GRAY, "PNG")),
    read("two\nlines.png", encoded(GRAY, "PNG")),
    read("-rf", encoded(GRAY, "PNG")),
    read(f"{SECRET}", encoded(GRAY, "PNG")),
    read("really a.png", encoded(SMOOTH, "JPEG")),
    read("really a.exe", encoded(GRAY, "PNG")),
    read("really a picture.dcm", encoded(GRAY, "PNG")),
    read("really dicom.png", dicom()),
    # DICOM that is read
    read("gray.dcm", dicom()),
    read("IM0001", dicom(COLOUR), "colour"),
    read("white is zero.dcm", dicom(photometric="MONOCHROME1")),
    read("implicit.dcm", dicom(syntax=uid.ImplicitVRLittleEndian)),
    read("big endian.dcm", dicom(syntax=uid.ExplicitVRBigEndian)),
    read("deflated.dcm", dicom(syntax=uid.DeflatedExplicitVRLittleEndian)),
    read("no preamble.dcm", dicom()[132:]),
    read("run lengths.dcm", written(run_lengths(dataset(GRAY)))),
    read("jpeg.dcm", dicom(SMOOTH, syntax=uid.JPEGBaseline8Bit, encoded=[_JPEG])),
    read("jpeg 2000.dcm", dicom(SMOOTH, syntax=uid.JPEG2000, encoded=[_J2K])),
    read("palette.dcm", written(palette(dataset(GRAY % 3))), "colour"),
    read("ybr.dcm", dicom(_ybr(), photometric="YBR_FULL")),
    read("1 bit.dcm", _packed_bits()),
    read("16 bits.dcm", dicom(DEEP), "rescaled"),
    read("window.dcm", dicom(DEEP, WindowCenter=9000, WindowWidth=9000), "windowed"),
    read("loop.dcm", dicom(_LOOP, n_frames=3), "middle_frame"),
    read("burned in.dcm", dicom(BurnedInAnnotation="YES"), "burned_in"),
    read("mammogram.dcm", dicom(Modality="MG"), "other_modality"),
    read("regions.dcm", dicom(SequenceOfUltrasoundRegions=[region((0, 0, 90, 90), 0.01, 0.01)])),
    read("flat pixels.dcm", dicom(PixelAspectRatio=[1, 2]), "pixels_not_square"),
    read("spacing of one value.dcm", dicom(PixelSpacing=0.1), "tag_ignored"),
    read("window of no width.dcm", dicom(WindowCenter=9, WindowWidth=0), "tag_ignored"),
    read("inverse.dcm", dicom(PresentationLUTShape="INVERSE"), "inverted"),
    read("regions of another.dcm", dicom(SequenceOfUltrasoundRegions=[region((0, 0, 900, 90))]), "regions_disagree"),
    read("preamble of a program.dcm", _polyglot(_EXE)),
    read("preamble of a page.dcm", _polyglot(_HTML[:100])),
    read("tiff and dicom.tif", _tiff_and_dicom()),
    read("run lengths without end.dcm", _rle_bomb),
    # DICOM that is not
    refused("film.dcm", dicom(COLOUR, syntax=_FILM, encoded=[bytes(64)]), DAMAGED),
    refused("list of addresses.mp4", b"#EXTM3U\nhttp://127.0.0.1:9/scan.ts\n", BEGINNING),
    refused("half a film.mp4", b"\0\0\0\x1cftypisom" + bytes(400), DAMAGED),
    refused("telephone.heic", b"\0\0\0\x1cftypheic" + bytes(400), "a HEIC or AVIF photograph"),
    read("lossless.dcm", _shipped("SC_rgb_jpeg_gdcm.dcm"), "other_modality", "colour"),
    read("jpeg-ls.dcm", _shipped("MR_small_jpeg_ls_lossless.dcm"), "other_modality", "windowed"),
    refused("12 bits.dcm", _shipped("JPGExtended.dcm"), "compressed by JPEG Extended"),
    refused("report.dcm", _shipped("test-SR.dcm"), "holds no picture"),
    refused("plan.dcm", _shipped("rtplan.dcm"), "holds no picture"),
    refused("waves.dcm", _shipped("waveform_ecg.dcm"), "holds no picture"),
    refused("DICOMDIR", _shipped("DICOMDIR"), "holds no picture"),
    refused("float.dcm", _float_dicom(), "holds no integer pixels"),
    refused("colour of another kind.dcm", dicom(COLOUR, photometric="YBR_PARTIAL_420"), "unusual kind of colour"),
    refused("preamble.dcm", bytes(128) + b"DICM", "holds no picture"),
    refused("half.dcm", dicom()[:6000], DAMAGED),
    refused("too few rows.dcm", dicom(Rows=97), DAMAGED),
    refused("too few frames.dcm", dicom(NumberOfFrames=2**31 - 1), DAMAGED),
    refused("63 rows.dcm", dicom(Rows=63), "64x64 is needed"),
    refused("claims.dcm", dicom(Rows=60_000, Columns=60_000), MANY_PIXELS),
    refused("hidden size.dcm", dicom(SMOOTH, syntax=uid.JPEGBaseline8Bit, encoded=[_jpeg_claims(20_000)]), DAMAGED),
)


# Large: 40 megapixels are read, in whatever form; more is refused before it takes memory


def _big(*channels, dtype=np.uint8):
    """A ramp of 40 megapixels, (5000, 8000) or (5000, 8000, channels)."""
    row = (np.arange(8000) % 200).astype(dtype).reshape(1, 8000, *[1] * len(channels))
    return np.ascontiguousarray(np.broadcast_to(row, (5000, 8000, *channels)))


def _wide_tiff(array):
    return encoded_tiff(array, compression="zlib", compressionargs={"level": 1}, rowsperstrip=50)


LARGE = (
    refused("bomb.png", lambda: blank_png(20_000, 20_000), MANY_PIXELS),
    refused("92 megapixels.png", lambda: blank_png(11_500, 8_000), MANY_PIXELS),
    refused("92 megapixels.tif", lambda: _wide_tiff(np.zeros((8_000, 11_500), np.uint8)), MANY_PIXELS),
    refused("deflated without end.dcm", _deflated_bomb, "unpacks to more than 256 MiB"),
    refused("padded.png", lambda: encoded(GRAY, "PNG")[:33] + bytes(250 * 2**20), BEGINNING),
    refused("too many bytes.tif", lambda: b"II*\0" + bytes(300 * 2**20), "at most 256 MiB are read"),
    read("gray.png", lambda: blank_png(8000, 5000)),
    read("colour.png", lambda: blank_png(8000, 5000, colour_type=2)),
    read("colour and alpha.png", lambda: blank_png(8000, 5000, colour_type=6)),
    read("16 bits.png", lambda: blank_png(8000, 5000, 16), "rescaled"),
    read("float.tif", lambda: _wide_tiff(_big(dtype=np.float32)), "rescaled"),
    read("turned.jpg", lambda: encoded(_big(3), "JPEG", exif=exif(orientation=6)), "exif_turned"),
    read("cmyk.jpg", lambda: encoded(Image.new("CMYK", (8000, 5000), (0, 0, 0, 9)), "JPEG")),
    read("gray.bmp", lambda: encoded(_big(), "BMP")),
    read("gray.dcm", lambda: dicom(_big())),
    read("colour.dcm", lambda: dicom(_big(3))),
    read("ybr.dcm", lambda: dicom(_big(3), photometric="YBR_FULL"), "photo"),
    read("palette.dcm", lambda: written(palette(dataset(_big() % 3))), "colour"),
    read("window.dcm", lambda: dicom(_big(dtype=np.uint16), WindowCenter=90, WindowWidth=90), "windowed"),
    read("slope.dcm", lambda: dicom(_big(dtype=np.uint16), RescaleSlope=2, RescaleIntercept=-9), "rescaled"),
    read("white is zero.dcm", lambda: dicom(_big(dtype=np.uint16), photometric="MONOCHROME1"), "rescaled"),
)

# In place of a file: what is given, and words of the answer

PLACES = (
    ("http://127.0.0.1:9/scan.png", "cannot be opened"),
    ("https://127.0.0.1:9/scan.png#key", "cannot be opened"),
    ("file:///etc/passwd", "cannot be opened"),
    ("data:image/png;base64,iVBORw0KGgo=", "cannot be opened"),
    ("s3://bucket/scan.png", "cannot be opened"),
    ("missing.png", "cannot be opened (No such file or directory)"),
    ("x" * 5000 + ".png", "cannot be opened (File name too long)"),
    ("/dev/null", "A device or pipe was given"),
    ("/etc", "A folder was given"),
)
