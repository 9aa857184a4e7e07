"""Files, folders and patterns become the pictures to judge, one after the other, in an order that never changes; and
what was passed over is counted, so that nothing goes without a word."""

import glob
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from busi_model import words
from busi_model.batch.kinds import NO_PICTURE, passed_over
from busi_model.batch.work import DICOM, MASKS, OVERLAYS
from busi_model.names import outlined_stem

# A file that calls itself one of these is taken as it is; a damaged one then becomes a row that says so.
SUFFIXES = frozenset(["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp", "gif", "heic", "heif", "mp4", "m4v", "avi"])
OUR_FOLDERS = frozenset([MASKS, OVERLAYS, DICOM])
HIDDEN, MASK, LINK, NO_FILE, IN_RESULTS = "hidden", "mask", "link", "no_file", "in_results"  # as in `kinds`
UNREADABLE_FOLDER = "unreadable_folder"
_DICOM_SUFFIXES = frozenset(["dcm", "dicom", "ima"])


class PassedOver:
    """What was not taken of the places that were named."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.patterns: list[str] = []  # that match nothing

    def sentences(self) -> list[str]:
        """What to say of it, a line each."""
        said = [words.PASSED_OVER["pattern"].format(pattern=pattern) for pattern in self.patterns]
        if self.kinds:
            named = [(words.PASSED_OVER_KINDS[code], count) for code, count in self.kinds.items()]
            kinds = ", ".join(f"{count} {name}" for name, count in sorted(named, key=lambda kind: (-kind[1], kind[0])))
            total = self.kinds.total()
            said.append(words.PASSED_OVER["one" if total == 1 else "several"].format(count=total, kinds=kinds))
        return said


def find_images(
    places: Iterable[str | os.PathLike], but_not: str | os.PathLike | None = None, passed: PassedOver | None = None
) -> Iterator[str]:
    """Yield paths as str. places: files, folders (searched to the bottom) and patterns with *, ** and ?.

    A file that is named or matches a pattern is taken whatever it is. In a folder, files are known by their first
    bytes; hidden ones, links to folders and the masks that lie beside BUSI's pictures are not taken. but_not: a folder
    to leave out, for example the one that results go to. passed: where to count what was left out.
    """
    barred = os.path.realpath(but_not) if but_not else None
    passed = PassedOver() if passed is None else passed
    for place in [os.fspath(place) for place in places]:
        if not os.path.exists(place) and glob.has_magic(place):
            yield from _matching(place, barred, passed)
        elif os.path.isdir(place):
            yield from _walk(place, barred, passed)
        else:
            yield os.path.normpath(place)  # a missing file becomes a row that says so


def _matching(pattern: str, barred: str | None, passed: PassedOver) -> Iterator[str]:
    matches = [path for path in sorted(glob.iglob(pattern, recursive=True)) if not os.path.isdir(path)]
    if not matches:
        passed.patterns.append(pattern)
    for path in matches:
        if _within(path, barred):
            passed.kinds[IN_RESULTS] += 1
        else:
            yield os.path.normpath(path)


def _walk(folder: str, barred: str | None, passed: PassedOver) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        passed.kinds[UNREADABLE_FOLDER] += 1
        return
    if os.path.realpath(folder) == barred:
        _count_in_results(entries, passed)
        return
    names = {entry.name for entry in entries}
    for entry in entries:
        if entry.is_dir():
            if entry.is_symlink():  # it could lead back here, or out of the archive
                passed.kinds[LINK] += 1
            elif entry.name.startswith("."):
                passed.kinds[HIDDEN] += 1
            else:
                yield from _walk(entry.path, barred, passed)
        elif entry.is_file():
            why = _why_not(entry, names)
            if why:
                passed.kinds[why] += 1
            else:
                yield os.path.normpath(entry.path)
        else:
            passed.kinds[NO_FILE] += 1


def _count_in_results(entries: list[os.DirEntry[str]], passed: PassedOver) -> None:
    """Pictures that somebody keeps where the results go; our own lie there in folders."""
    names = {entry.name for entry in entries}
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and entry.name not in OUR_FOLDERS:
            inner = PassedOver()
            passed.kinds[IN_RESULTS] += sum(1 for _ in _walk(entry.path, None, inner))
        elif entry.is_file() and not _why_not(entry, names):
            passed.kinds[IN_RESULTS] += 1
    passed.kinds += Counter()  # without zeros


def _why_not(entry: os.DirEntry[str], beside: Collection[str]) -> str:
    name = entry.name
    suffix = name.rpartition(".")[2].lower()
    if name.startswith("."):
        return HIDDEN
    stem, ending = os.path.splitext(name)
    if (outlined := outlined_stem(stem)) and outlined + ending in beside:
        return MASK
    if name == "DICOMDIR":
        return NO_PICTURE
    if suffix in SUFFIXES:
        return ""
    why = passed_over(entry.path)
    return "" if suffix in _DICOM_SUFFIXES and why != NO_PICTURE else why


def _within(path: str, barred: str | None) -> bool:
    return barred is not None and os.path.realpath(path).startswith(barred + os.sep)
