"""Files, folders and patterns become the pictures to judge, one after the other, in an order that never changes."""

import glob
import os
import re

SUFFIXES = frozenset(["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp", "gif", "dcm", "dicom", "ima"])
_MASK_OF = re.compile(r"(.+)_mask(_\d+)?(\.\w+)$")  # BUSI's own name for the mask of the picture (1)(3)


def find_images(places, but_not=None):
    """Yield paths as str. places: files, folders (searched to the bottom) and patterns with *, ** and ?.

    A file that is named or matches a pattern is taken whatever it is called. In a folder, files with the suffix of a
    picture are, and those without any, as DICOM exports have none; hidden ones, DICOM's index and the masks that lie
    beside BUSI's pictures are not. but_not: a folder to leave out, for example the one that results go to.
    """
    barred = os.path.realpath(but_not) if but_not else None
    for place in map(os.fspath, places):
        if not os.path.exists(place) and glob.has_magic(place):
            for path in sorted(glob.iglob(place, recursive=True)):
                if not os.path.isdir(path) and not _within(path, barred):
                    yield os.path.normpath(path)
        elif os.path.isdir(place):
            yield from _walk(place, barred)
        else:
            yield os.path.normpath(place)  # a missing file becomes a row that says so


def _walk(folder, barred):
    if os.path.realpath(folder) == barred:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # a folder that may not be read holds nothing for us
        return
    names = {entry.name for entry in entries}
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, barred)
        elif entry.is_file() and _is_picture(entry.name, names):
            yield os.path.normpath(entry.path)


def _is_picture(name, beside):
    stem, _, suffix = name.rpartition(".")
    if stem and suffix.lower() not in SUFFIXES:
        return False
    mask_of = _MASK_OF.match(name)
    return name != "DICOMDIR" and not (mask_of and mask_of[1] + mask_of[3] in beside)


def _within(path, barred):
    return barred is not None and os.path.realpath(path).startswith(barred + os.sep)
