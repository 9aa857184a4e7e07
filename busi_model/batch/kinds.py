"""What a file is, by its first bytes: names say little, for exports call pictures by UIDs, IM000001 or x.img."""

import os

from busi_model.decode.dicom.kind import HEAD_BYTES, is_surely_dicom, without_picture

# Codes of `words.PASSED_OVER_KINDS`
EMPTY, TEXT, OTHER, NO_PICTURE, UNREADABLE = "empty", "text", "other", "no_picture", "unreadable"
_PICTURES = (  # offset, bytes
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"\xff\xd8\xff"),  # JPEG
    (0, b"II*\x00"),  # TIFF and BigTIFF
    (0, b"MM\x00*"),
    (0, b"II+\x00"),
    (0, b"MM\x00+"),
    (0, b"GIF87a"),
    (0, b"GIF89a"),
    (8, b"WEBP"),
    (8, b"AVI "),
    (4, b"ftyp"),  # MPEG-4 films, HEIC photographs
)
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes
_NAMED = (
    (0, b"%PDF", "pdf"),
    (0, b"PK\x03\x04", "archive"),
    (0, b"\x1f\x8b", "archive"),
    (0, b"7z\xbc\xaf", "archive"),
    (0, b"Rar!", "archive"),
    (0, b"\xd0\xcf\x11\xe0", "archive"),
    (0, b"SQLite format 3", "database"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (0, b"\x00\x00\x01\xba", "mpeg"),
    (0, b"0&\xb2u", "windows_media"),
)


def passed_over(path: str | os.PathLike) -> str:
    """Why a file is no picture to judge, as a code; "" for one that is, or that says so and is damaged."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return UNREADABLE
    if not head:
        return EMPTY
    if is_surely_dicom(head):
        return NO_PICTURE if without_picture(head) else ""
    if any(head[offset : offset + len(mark)] == mark for offset, mark in _PICTURES) or _is_bmp(head):
        return ""
    for offset, mark, code in _NAMED:
        if head[offset : offset + len(mark)] == mark:
            return code
    return TEXT if _is_text(head) else OTHER


def _is_bmp(head: bytes) -> bool:
    """BM alone begins many a word: the size of the next header must fit."""
    return head[:2] == b"BM" and len(head) >= 26 and int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def _is_text(head: bytes) -> bool:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    control = bytes(byte for byte in range(32) if byte not in b"\t\n\r\f\x1b")
    return not head.translate(None, bytes(set(range(256)) - set(control)))
