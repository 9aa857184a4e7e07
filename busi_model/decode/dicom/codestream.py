"""One compressed frame, looked at before a decoder gets it: a size other than the file's could take any memory."""

import importlib.util
import io
import struct

from PIL import Image
from pydicom import Dataset, uid

from busi_model.decode.picture_file import check_scans
from busi_model.frame import ImageError

JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)  # no permissive decoder knows more than 8 bits of the latter
JPEG_LOSSLESS = (uid.JPEGLossless, uid.JPEGLosslessSV1)
JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000)
HTJ2K = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
FILMS = (
    *(uid.MPEG2MPML, uid.MPEG2MPHL, uid.MPEG4HP41, uid.MPEG4HP41BD, uid.MPEG4HP422D, uid.MPEG4HP423D),
    *(uid.MPEG4HP42STEREO, uid.HEVCMP51, uid.HEVCM10P51),
)
KNOWN = (*JPEG, *JPEG_LOSSLESS, *JPEG_LS, *JPEG_2000, *HTJ2K, *FILMS)

_NO_FRAME_HEADERS = (0xC4, 0xC8, 0xCC)  # of C0 to CF: tables
_NO_LENGTH = (0x01, *range(0xD0, 0xD9))


def decoder_for(syntax: uid.UID) -> tuple[uid.UID, str]:
    """pydicom's decoder (by transfer syntax) and its plug-in; "" where that is not installed."""
    if syntax in HTJ2K:
        return uid.JPEG2000, "pillow"  # its OpenJPEG knows both; pydicom lists the plug-in under the older one only
    if syntax in JPEG_LOSSLESS or syntax in JPEG_LS:  # pyjpegls 1.5 never ends on a JPEG-LS stream that was cut short
        return syntax, "gdcm" if importlib.util.find_spec("gdcm") else ""
    return syntax, "pillow"


def check_codestream(encoded: bytes, syntax: str, tags: Dataset) -> None:
    """Raises ImageError unless the frame has the size, the samples and no more than the bits that its file says."""
    if syntax in JPEG_2000 or syntax in HTJ2K:
        with Image.open(io.BytesIO(encoded), formats=("JPEG2000",)) as image:  # reads its header only
            fits = image.size == (tags.Columns, tags.Rows) and len(image.getbands()) == tags.SamplesPerPixel
            fits = fits and (tags.BitsAllocated > 8 or ";16" not in image.mode)
    else:
        bits, rows, columns, samples = _frame_header(encoded)
        fits = (rows, columns, samples) == (tags.Rows, tags.Columns, tags.SamplesPerPixel)
        fits = fits and bits <= tags.BitsAllocated
        if fits and syntax in JPEG:
            check_scans(bytes(encoded), columns, rows)
    if not fits:
        raise ImageError("damaged")


def _frame_header(encoded: bytes) -> tuple[int, int, int, int]:
    """Bits, rows, columns and samples of a JPEG or JPEG-LS stream (ITU-T T.81 B.2.2, T.87 C.2.2)."""
    at = 2
    while encoded[:2] == b"\xff\xd8" and at + 4 <= len(encoded):
        mark, kind, length = struct.unpack(">BBH", encoded[at : at + 4])
        if mark != 0xFF:
            break
        if kind == 0xFF:  # filling
            at += 1
        elif kind in _NO_LENGTH:
            at += 2
        elif kind == 0xF7 or (0xC0 <= kind <= 0xCF and kind not in _NO_FRAME_HEADERS):
            bits, rows, columns, samples = struct.unpack(">BHHB", encoded[at + 4 : at + 10])
            return bits, rows, columns, samples
        else:
            at += 2 + length
    raise ImageError("damaged")
