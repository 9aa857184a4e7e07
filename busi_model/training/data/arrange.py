"""A download of BUSI, zip file or folder, becomes a folder that training reads, checked against the manifest.

The class folders may lie at any depth, in zip files within the zip file too, as archives nest them differently. Only
files that the manifest names are taken, each under the name that the manifest gives it, so nothing in an archive can
reach outside the folder.
The manifest ships with the program: names, groups, splits, and for all but the withheld test images the size in pixels
and the number of masks.
"""

import csv
import hashlib
import io
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from PIL import Image, UnidentifiedImageError

from busi_model.names import CLASS_NAMES, MANIFEST_OF_BUSI, outlined_stem
from busi_model.training.data.cases import CaseError

MANIFEST = Path(__file__).parent / MANIFEST_OF_BUSI
MAX_FILE_BYTES = 20_000_000  # BUSI's largest has 0.3 MB
MAX_ARCHIVE_BYTES = 2_000_000_000  # of a zip file in a zip file; BUSI's has 0.2 GB
MAX_DEPTH = 3  # zip files in zip files
LITTER = ("thumbs.db", "ehthumbs.db", "desktop.ini")
NAMES_SHOWN = 5
DAMAGED = "files are damaged or no PNG images and were left out; download BUSI again"


@dataclass
class Arranged:
    """What was found; every list holds names, `class/file`."""

    images: dict[str, int]  # split -> number of images taken
    masks: int = 0
    problems: dict[str, list[str]] = field(default_factory=dict)  # what is wrong and what to do -> names
    absent: dict[str, list[str]] = field(default_factory=dict)  # split -> images of the manifest that are not there

    @property
    def complete(self) -> bool:
        """Whether training can use the folder: all development images are there and nothing is wrong."""
        return not self.problems and not self.absent["development"]

    def report(self) -> str:
        """Lines for the user: counts, then what is wrong with what to do, then the verdict."""
        lines = []
        for split, absent in self.absent.items():
            total = self.images[split] + len(absent)
            lines.append(f"{split}: {self.images[split]} of {total} images")
        lines.append(f"masks: {self.masks}")
        lines += [f"{len(names)} {problem}: {_some(names)}" for problem, names in self.problems.items()]
        if self.absent["development"]:
            names = _some(self.absent["development"])
            lines.append(
                f"{len(self.absent['development'])} development images are missing: {names}. "
                "Download BUSI again, whole; training needs them all."
            )
        if self.absent["test"]:
            lines.append(
                f"{len(self.absent['test'])} test images are missing. Training and its folds do without; "
                "`evaluate --split test` counts only those that are there."
            )
        if self.absent["excluded"]:
            lines.append(
                f"{len(self.absent['excluded'])} excluded images are missing. Nothing uses them: each shows a picture "
                "that carries two labels."
            )
        lines.append("Ready to train on." if self.complete else "Not ready to train on: see above.")
        return "\n".join(lines)


def arrange(source: Path | str, out: Path | str, manifest: Path = MANIFEST) -> Arranged:
    """Copy BUSI's images and masks to out/benign, out/malignant, out/normal and the manifest beside them.

    source: the zip file as downloaded, or the folder it was unpacked to. Raises CaseError when there is nothing to
    arrange; what is wrong with single files stands in the answer.
    """
    source, out = Path(source), Path(out)
    if out.resolve().is_relative_to(source.resolve()):
        raise CaseError(f"{out} lies in {source} itself. Give --out a folder elsewhere.")
    with open(manifest, newline="", encoding="utf-8") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    sizes: dict[str, tuple[int, int]] = {}
    digests: dict[str, bytes] = {}
    problems: dict[str, list[str]] = {}
    for path, content in _files(source):
        name = f"{path.parts[-2].lower()}/{path.name}"
        size = _image_size(content)
        digest = hashlib.sha256(content or b"").digest()
        problem = _what_is_wrong(name, size, rows)
        if not problem and digests.setdefault(name, digest) != digest:
            problem = "files are there twice with different content, the first was taken; download BUSI again"
        if problem or size is None or content is None:
            problems.setdefault(problem or DAMAGED, []).append(name)
            continue
        sizes[name] = size
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    if not sizes:
        raise CaseError(
            f"{source} holds none of BUSI's images in folders benign/, malignant/ or normal/. Give the zip file as "
            "downloaded, or the folder it was unpacked to."
        )
    shutil.copyfile(manifest, out / MANIFEST_OF_BUSI)
    return _check(sizes, rows, problems)


def _what_is_wrong(name: str, size: tuple[int, int] | None, rows: dict[str, dict]) -> str | None:
    """With one file on its own: words with the remedy, or None."""
    class_name, file_name = name.split("/")
    row = rows.get(_picture_of_mask(file_name) or file_name)
    if row is None:
        return "files are not of BUSI and were left out; move them away"
    if row["class"] != class_name:
        return "files lie in another class's folder and were left out; download BUSI again"
    if size is None:
        return DAMAGED
    return None


def _picture_of_mask(name: str) -> str | None:
    stem, _, suffix = name.rpartition(".")
    picture = outlined_stem(stem) if suffix == "png" else None
    return picture and f"{picture}.png"


def _files(source: Path) -> Iterator[tuple[PurePosixPath, bytes | None]]:
    """Every file in a class folder, in zip files too: its path and its bytes, None if there are too many. Raises
    CaseError."""
    try:
        if source.is_dir():
            for file in sorted(source.rglob("*")):
                path = PurePosixPath(source.name, *file.relative_to(source).parts)
                if not file.is_file():
                    continue
                if _in_class_folder(path):
                    yield path, file.read_bytes() if file.stat().st_size <= MAX_FILE_BYTES else None
                elif _is_zip(path):
                    yield from _zipped(file, path.with_suffix(""))
            return
        yield from _zipped(source, PurePosixPath())
    except FileNotFoundError as error:
        raise CaseError(
            f"{source} is neither a file nor a folder. Download BUSI first; the README says where."
        ) from error
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise CaseError(
            f"{source.name} cannot be read as a zip file or a folder ({error}). Download it again, or unpack it "
            "and give the folder."
        ) from error


def _zipped(
    file: Path | IO[bytes], inside: PurePosixPath, depth: int = 0
) -> Iterator[tuple[PurePosixPath, bytes | None]]:
    """As `_files`, of one zip file and those in it, which count as folders of their names. Windows programs write
    backslashes into names. inside: the path of what the zip file stands for."""
    with zipfile.ZipFile(file) as archive:
        entries = [(inside / e.filename.replace("\\", "/"), e) for e in archive.infolist()]
        for path, entry in sorted(entries, key=lambda e: str(e[0])):
            if entry.filename.endswith(("/", "\\")):
                continue
            if _in_class_folder(path):
                yield path, archive.read(entry) if entry.file_size <= MAX_FILE_BYTES else None
            elif _is_zip(path) and depth < MAX_DEPTH and entry.file_size <= MAX_ARCHIVE_BYTES:
                with tempfile.TemporaryFile() as inner:
                    with archive.open(entry) as packed:
                        shutil.copyfileobj(packed, inner)
                    yield from _zipped(inner, path.with_suffix(""), depth + 1)


def _in_class_folder(path: PurePosixPath) -> bool:
    return len(path.parts) > 1 and path.parts[-2].lower() in CLASS_NAMES and not _is_zip(path) and not _is_litter(path)


def _is_zip(path: PurePosixPath) -> bool:
    return path.suffix.lower() == ".zip" and not _is_litter(path)


def _is_litter(path: PurePosixPath) -> bool:
    """What file managers leave behind."""
    return path.name.startswith(".") or path.name.lower() in LITTER or "__MACOSX" in path.parts


def _image_size(content: bytes | None) -> tuple[int, int] | None:
    """(width, height) of a whole PNG, None for anything else."""
    if content is None:
        return None
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            image.verify()  # every chunk's checksum
            return image.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _check(sizes: dict[str, tuple[int, int]], rows: dict[str, dict], problems: dict[str, list[str]]) -> Arranged:
    """Names and sizes of the files taken, against the manifest."""
    arranged = Arranged({}, problems=problems)
    masks: dict[str, list[str]] = {}
    for name in sizes:
        if picture := _picture_of_mask(name):
            masks.setdefault(picture, []).append(name)
    for split in ("development", "test", "excluded"):
        listed = {f"{row['class']}/{row['image']}": row for row in rows.values() if row["split"] == split}
        arranged.images[split] = sum(name in sizes for name in listed)
        arranged.absent[split] = [name for name in listed if name not in sizes]
        for name, row in listed.items():
            if name in sizes:
                _check_case(name, row, sizes, masks.get(name, []), problems)
    orphans = [mask for image, own in masks.items() if image not in sizes for mask in own]
    if orphans:
        problems["masks have no image; download BUSI again"] = orphans
    arranged.masks = sum(len(own) for own in masks.values())
    return arranged


def _check_case(
    name: str,
    row: dict,
    sizes: dict[str, tuple[int, int]],
    masks: list[str],
    problems: dict[str, list[str]],
) -> None:
    width, height = sizes[name]
    if row["width"] and (width, height) != (int(row["width"]), int(row["height"])):
        words = "images have another size than BUSI's; take the original release, not a resized copy"
        problems.setdefault(words, []).append(f"{name} ({width}x{height} for {row['width']}x{row['height']})")
    expected = int(row["masks"] or row["class"] != "normal")
    if len(masks) < expected:
        problems.setdefault("images lack masks; download BUSI again", []).append(f"{name} ({len(masks)} of {expected})")
    for mask in masks:
        if sizes[mask] != (width, height):
            problems.setdefault("masks have another size than their image; download BUSI again", []).append(mask)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
