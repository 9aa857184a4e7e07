"""What a DICOM file is, from its first bytes alone: a picture, or something else that is kept beside pictures."""

import os
import re

HEAD_BYTES = 1024  # the class of a file stands within the first few hundred
_CLASS = re.compile(rb"(?:\x02\x00\x02\x00UI..|\x08\x00\x16\x00(?:UI..|..\x00\x00))([0-9.]{10,64})", re.DOTALL)
_NO_PICTURE = (  # PS3.4 B.5, PS3.3: beginnings of their classes
    "1.2.840.10008.1.3.10",  # DICOMDIR
    "1.2.840.10008.5.1.4.1.1.9.",  # waveforms
    "1.2.840.10008.5.1.4.1.1.11.",  # presentation states
    "1.2.840.10008.5.1.4.1.1.66",  # raw data, registrations, segmentations
    "1.2.840.10008.5.1.4.1.1.88.",  # reports, key objects
    "1.2.840.10008.5.1.4.1.1.104.",  # documents
    *(f"1.2.840.10008.5.1.4.1.1.481.{number}" for number in range(2, 10)),  # radiotherapy, but for its images
)


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with these bytes (132 or more) is DICOM, with or without its preamble."""
    if head[128:132] == b"DICM":
        return True
    # Without a preamble the first element is of group 2 or 8; no other kind of picture begins like that.
    return head[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08") and len(head) >= 132


def is_dicom_file(path: str | os.PathLike) -> bool:
    """`is_dicom` of a file's first bytes. Raises OSError."""
    with open(path, "rb") as file:
        return is_dicom(file.read(HEAD_BYTES))


def is_surely_dicom(head: bytes) -> bool:
    """As `is_dicom`, for a file that nobody calls a picture: without a preamble its first element must make sense."""
    if head[128:132] == b"DICM" or not is_dicom(head):
        return head[128:132] == b"DICM"
    element = int.from_bytes(head[2:4], "big" if head[0] == 0 else "little")
    return element <= 0x90 and (head[4:6].isalpha() or head[6:8] == b"\x00\x00")


def without_picture(head: bytes) -> bool:
    """Whether a DICOM file that begins with these HEAD_BYTES says that it is a report, an index or the like."""
    found = _CLASS.search(head)
    return found is not None and found[1].decode("ascii").startswith(_NO_PICTURE)
