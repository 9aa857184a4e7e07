"""What a host chooses becomes a session's cases: image files or a folder, and a manifest with the truth.

Enters: paths. Leaves: `NewCase`s in the order of the files' names, which go no further.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from busi_model.batch import find
from busi_model.decode.banner import without_banner
from busi_model.decode.dicom.kind import is_dicom_file
from busi_model.image import ImageError
from busi_model.names import CLASS_NAMES, outlined_stem
from busi_model.page import strings
from busi_model.page.server.decoding import read_image
from busi_model.reading.errors import RecordError
from busi_model.reading.session.sessions import NewCase


def find_images(files: Iterable[str] | None, folder: str, passed: find.PassedOver | None = None) -> list[Path]:
    """Uploaded files and the images of a folder on this machine, known by what they hold, sorted by name. passed: where
    to count what was left out. Raises RecordError."""
    paths, passed = [Path(file) for file in files or ()], passed or find.PassedOver()
    if folder and folder.strip():
        root = Path(folder.strip()).expanduser()
        if not root.is_dir():
            raise RecordError(strings.HOST_NO_FOLDER)
        paths += map(Path, find.find_images([root], passed=passed))
    images = [path for path in paths if not outlined_stem(path.stem)]  # no references
    if len(images) < len(paths):
        passed.kinds[find.MASK] += len(paths) - len(images)
    if not images:
        raise RecordError(" ".join([strings.HOST_NO_IMAGES, *passed.sentences()]))
    return sorted(images, key=lambda path: (path.name, path))


def read_cases(paths: list[Path], manifest: Path | str | None) -> Iterator[NewCase]:
    """One case an image; manifest: CSV with the columns image and class, or None. Raises RecordError.

    Without a row the truth is the folder's name where that is a class, as in BUSI.
    """
    truth: dict[str, str] = {}
    for name, class_name in (read_truth(manifest) if manifest else {}).items():
        if truth.setdefault(_plain(name), class_name) != class_name:
            raise RecordError(strings.HOST_NAMES_ALIKE.format(name=name))
    if truth and not any(_plain(path.name) in truth for path in paths):
        raise RecordError(strings.HOST_NO_TRUTH_MATCHES)
    for path in paths:
        given, folder = truth.get(_plain(path.name)), path.parent.name
        of_folder = folder if folder in CLASS_NAMES else None  # BUSI's layout
        if given and of_folder and given != of_folder:
            raise RecordError(strings.HOST_TWO_TRUTHS.format(name=path.name, csv=given, folder=of_folder))
        try:
            frame = read_image(path)
            scanned = is_dicom_file(path)  # a scanner writes names beside a scan
            gray = without_banner(frame).gray if scanned else frame.gray
            yield NewCase(gray, given or of_folder)
        except ImageError as error:
            raise RecordError(strings.HOST_BAD_IMAGE.format(name=path.name, error=error)) from error


def read_truth(path: Path | str) -> dict[str, str]:
    """A manifest's columns `image` and `class` -> {image name: class}. Raises RecordError."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns, rows = [str(name) for name in reader.fieldnames or ()], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error):
        raise RecordError("manifest_unread") from None
    if not {"image", "class"} <= set(columns):
        raise RecordError("manifest_columns", found=", ".join(columns)[:200] or "none")
    truth: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        image, class_name = row.get("image"), row.get("class")
        if not image or class_name not in CLASS_NAMES:
            said = [(cell or "none")[:100] for cell in (image, class_name)]
            raise RecordError("manifest_line", number=number, image=said[0], class_name=said[1])
        if truth.setdefault(image, class_name) != class_name:
            raise RecordError("manifest_twice", number=number)
    return truth


def _plain(name: str) -> str:
    """A file's name as it comes through an upload, where Gradio drops brackets and the like."""
    return re.sub(r"[^\w.,\- ]", "", name)
