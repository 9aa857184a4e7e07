"""Pictures as bytes of a file, by hand or by Pillow, tifffile and pydicom: what the tests are made of."""

import io
import struct
import warnings
import zlib

import numpy as np
import pydicom
import tifffile
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

PATIENT = "Doe^Jane"  # in every DICOM file, and never in what we say of it
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def smooth(*shape):
    """A picture that lossy compression changes little."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    gray = 128 + 60 * np.sin(x / 17) + 60 * np.cos(y / 23)
    return (gray[..., None] * np.array([1.0, 0.8, 0.6]) if len(shape) == 3 else gray).astype(np.uint8)


def encoded(picture, image_format, **options) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def encoded_tiff(array, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def exif(**tags) -> Image.Exif:
    """EXIF of an orientation and a description."""
    found = Image.Exif()
    found.update({{"orientation": 0x0112, "description": 0x010E}[name]: value for name, value in tags.items()})
    return found


# PNG and BMP by hand


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, rows, bits=8, colour_type=0, more=b""):
    """rows: bytes as they are before compression, or an iterable of them. more: chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    packer = zlib.compressobj(1)
    pixels = b"".join(map(packer.compress, [rows] if isinstance(rows, bytes) else rows)) + packer.flush()
    body = chunk(b"IHDR", header) + more + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def blank_png(width, height, bits=8, colour_type=0, value=b"\0"):
    """A whole picture of one value, a row at a time: of any size, and small as a file."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    row = b"\0" + value * (width * channels * bits // 8)
    return png(width, height, (row for _ in range(height)), bits, colour_type)


def bmp_5_6_5(width=64, height=64):
    """White, 16 bits a pixel."""
    size = 2 * width * height
    fields = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 16, 3, size, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    return struct.pack("<2sIHHI", b"BM", 66 + size, 0, 0, 66) + fields + masks + b"\xff" * size


# DICOM


def dataset(pixels, syntax=uid.ExplicitVRLittleEndian, photometric=None, encoded=None, n_frames=1, **tags):
    """pixels: one frame (H, W) or (H, W, 3). encoded: frames to encapsulate in place of the pixels' own bytes."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = ULTRASOUND
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3"
    ds.Modality = "US"
    for keyword in ("PatientName", "PatientID", "InstitutionName", "StudyDescription", "OperatorsName"):
        setattr(ds, keyword, PATIENT)
    ds.Rows, ds.Columns = pixels.shape[-3:-1] if pixels.shape[-1] == 3 else pixels.shape[-2:]
    colour = pixels.shape[-1] == 3
    ds.SamplesPerPixel = 3 if colour else 1
    if colour:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = photometric or ("RGB" if colour else "MONOCHROME2")
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.dtype.itemsize
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    if n_frames > 1:
        ds.NumberOfFrames = n_frames
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    if encoded is not None:
        ds.PixelData = encapsulate(encoded)
        ds["PixelData"].is_undefined_length = True
    else:
        order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
        content = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
        ds.PixelData = content + b"\0" * (len(content) % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    return ds


def palette(ds):
    """Make a data set's pixels indices of three colours: dark, light and red."""
    ds.PhotometricInterpretation = "PALETTE COLOR"
    for name, levels in (("Red", [10, 240, 255]), ("Green", [10, 240, 0]), ("Blue", [10, 240, 0])):
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [3, 0, 16])
        setattr(ds, f"{name}PaletteColorLookupTableData", (np.array(levels, "<u2") * 256).astype("<u2").tobytes())
    return ds


def run_lengths(ds):
    ds.compress(uid.RLELossless)
    return ds


def written(ds) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # big endian is retired, some of what we write is wrong on purpose
        pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def region(box, delta_x_cm=0.01, delta_y_cm=0.02, kind=(1, 1), units=3):
    item = Dataset()
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box
    item.RegionSpatialFormat, item.RegionDataType = kind
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta_x_cm, delta_y_cm
    item.RegionFlags = 0
    return item
