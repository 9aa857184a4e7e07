"""One image and all that is known of it, and the rule by which groups of images are spread over folds.

Enters: what a layout (`layouts`) found in a folder. Leaves: `Case`s, whose pixels are read when they are needed, and
`Hospital`s, the unit that is held out when a model is judged where it has not been.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from busi_model.decode.picture_file import open_picture
from busi_model.errors import UserError
from busi_model.image import Frame, ImageError, read_image
from busi_model.model import checkpoint
from busi_model.names import CLASS_NAMES
from busi_model.training.fitting import distributed

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
N_FOLDS = 5
MOST_LABELS = 16  # lesions that a mask numbers 1, 2, 3; a gray mask is brighter
NAMES_SHOWN = 5
PROBLEMS_SHOWN = 50


class CaseError(UserError, ValueError):
    """The data do not fit together: what was found, what was expected, what to do."""


@dataclass(frozen=True)
class Case:
    """One image and all that is known of it."""

    case_id: str  # the image's file name
    image_path: Path
    mask_paths: tuple[Path, ...]  # one a lesion in BUSI; their union is the outline. Empty: normal, or not `outlined`
    class_name: str  # one of CLASS_NAMES
    group: str  # near-duplicates, the same lesion, the same patient; never on two sides of a split
    split: str  # "development", "test" (never trained on, nothing is chosen by it), "training" (corrected cases)
    fold: int | None  # 0-4 in development, else None
    scored: bool  # False: may be trained on, is never counted in a figure
    hospital: str
    subgroup: str = ""  # what the data say of the picture: burned-in marks (BUSI), device (BUS-BRA), Doppler, BI-RADS
    published_fingerprint: str = ""  # of a picture that was packed (`pack`), before it was

    @property
    def outlined(self) -> bool:
        """Whether it is known where the lesion lies: only `busi calibrate` takes cases of which that is not known."""
        return self.class_name == "normal" or bool(self.mask_paths)

    def fingerprint(self) -> str:
        """`checkpoint.fingerprint` of the picture as its hospital published it. Raises CaseError."""
        return self.published_fingerprint or checkpoint.fingerprint(self.read()[0].gray)

    def read(self) -> tuple[Frame, np.ndarray]:
        """The frame and its mask, bool (H, W), in the frame's own pixels; empty where none is known (`outlined`).
        Raises CaseError."""
        try:
            frame = read_image(self.image_path)
        except ImageError as error:
            raise CaseError(f"{self.case_id} cannot be used: {error}") from error
        mask = np.zeros(frame.gray.shape, bool)
        for path in self.mask_paths:
            try:
                lesion = read_mask(path)
            except ImageError as error:
                raise CaseError(f"{path.name}, the mask of {self.case_id}, cannot be used: {error}") from error
            if lesion.shape != mask.shape:
                raise CaseError(
                    f"{path.name} is {_size(lesion)}, its image {self.case_id} is {_size(mask)} px; "
                    "both must have one size. Export the mask again from the image at full size."
                )
            mask |= lesion
        if self.class_name == "normal" and mask.any():
            raise CaseError(
                f"{self.case_id} lies in the folder of normal images, but its mask outlines a lesion. "
                "Move it to its class or empty the mask."
            )
        if self.mask_paths and self.class_name != "normal" and not mask.any():
            raise CaseError(f"{self.case_id} is {self.class_name}, but its mask is empty. Outline it or leave it out.")
        if self.class_name != "normal" and looks_inverted(mask):
            raise CaseError(
                f"The mask of {self.case_id} outlines {mask.mean():.0%} of the image and nearly all of its rim: it "
                "looks inverted. Turn it round (lesion white, the rest black), or leave the image out."
            )
        return frame, mask


@dataclass(frozen=True)
class Hospital:
    """One data set: its cases, and what was left out and why."""

    name: str
    cases: list[Case]
    left_out: dict[str, list[str]] = field(default_factory=dict)  # why, in words -> names of images

    def report(self) -> list[str]:
        """Lines for the terminal: how many of which class, and what was left out."""
        counts = {name: sum(c.class_name == name for c in self.cases) for name in CLASS_NAMES}
        held = sum(c.split == "test" for c in self.cases)
        words = ", ".join(f"{n} {name}" for name, n in counts.items())
        lines = [f"{self.name}: {len(self.cases)} images ({words})" + (f", {held} of them reserved" if held else "")]
        return lines + [f"  {len(names)} left out, {why}: {some(names)}" for why, names in self.left_out.items()]


def read_mask(path: Path) -> np.ndarray:
    """An outline's file -> bool (H, W): what is brighter than half of the brightest value, in any channel, so that
    masks of 0 and 1, of one colour and of a palette all say what they mean; what is transparent is no lesion, small
    whole numbers are labels. Raises ImageError."""
    try:
        with open(path, "rb") as file:
            picture = open_picture(file)
            if picture.has_transparency_data:
                pixels = _opaque(np.asarray(picture.convert("RGBA")))
            elif picture.mode in ("1", "L", "F") or picture.mode.startswith("I"):
                pixels = np.asarray(picture)
            else:
                pixels = np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(
            "The file cannot be read as a picture; a PNG with the outline in white is expected."
        ) from error
    strongest = pixels.max(axis=2) if pixels.ndim == 3 else pixels
    top = strongest.max()
    if top < MOST_LABELS and strongest.dtype.kind in "biu":
        return strongest > 0
    return strongest * 2.0 > top


def _opaque(rgba: np.ndarray) -> np.ndarray:
    """An outline with transparency, uint8 (H, W, 4) -> (H, W): how bright it lies on black; where it is black itself,
    or of one colour throughout, how opaque."""
    alpha = rgba[..., 3]
    colour = rgba[..., :3].max(axis=2)
    return alpha if alpha.min() < alpha.max() == 255 and not colour[alpha > 0].any() else colour * (alpha > 127)


def looks_inverted(mask: np.ndarray) -> bool:
    """Whether a mask, bool (H, W), covers most of the image and nearly all of its rim, as no lesion does."""
    rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return bool(mask.mean() > 0.5 and rim.mean() > 0.9)


def picture_size(path: Path) -> tuple[int, int] | None:
    """(width, height) as the file's header says it; None where that cannot be read."""
    try:
        with open(path, "rb") as file:
            return Image.open(file).size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"


def some(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def read_csv(path: Path, columns: Iterable[str], delimiter: str = ",") -> list[dict]:
    """Rows of a CSV file in UTF-8 that has these columns, each filled in every row. Raises CaseError."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            rows = list(reader)
            found = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaseError(f"{path.name} cannot be read as a CSV file in UTF-8 ({error}).") from error
    while rows and not any(map(_filled, rows[-1].values())):
        rows.pop()  # what a spreadsheet adds at its end
    if len(found) == 1 and delimiter == "," and ";" in found[0]:
        return read_csv(path, columns, ";")  # as spreadsheets write it in half of Europe
    missing = [c for c in columns if c not in found]
    if missing:
        raise CaseError(f"{path.name} lacks the columns {', '.join(missing)}; it has {', '.join(found) or 'none'}.")
    for number, row in enumerate(rows, start=2):
        if short := [c for c in columns if row[c] is None]:
            raise CaseError(f"{path.name}, line {number}: nothing stands under {', '.join(short)}. Is the file whole?")
    return rows


def _filled(cell: object) -> bool:
    return bool(cell) and (not isinstance(cell, str) or bool(cell.strip()))


def together(problems: list[str]) -> CaseError:
    """One error that tells all problems, a line each."""
    if len(problems) == 1:
        return CaseError(problems[0])
    shown = [f"- {problem}" for problem in problems[:PROBLEMS_SHOWN]]
    more = [f"and {len(problems) - PROBLEMS_SHOWN} more"] if len(problems) > PROBLEMS_SHOWN else []
    return CaseError("\n".join([f"{len(problems)} problems:", *shown, *more]))


def check_cases(cases: list[Case]) -> None:
    """Read every picture and mask once. Raises CaseError that names all that cannot be used."""
    problems = []
    for case in tqdm(cases, desc="checking", unit="image", leave=False, disable=not distributed.is_first()):
        try:
            case.read()
        except CaseError as error:
            problems.append(str(error))
    if problems:
        raise together(problems)


def spread_over_folds(labels: list[str], groups: list[str], seed: int = 0) -> np.ndarray:
    """Class names and groups of N images -> fold numbers (N,), 0 to 4: groups stay together, classes are spread."""
    classes = np.array(labels)
    names, counts = np.unique(classes, return_counts=True)
    classes[np.isin(classes, names[counts < N_FOLDS])] = names[counts.argmax()]  # too few to spread
    folds = np.zeros(len(classes), int)
    splitter = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(splitter.split(classes, classes, groups)):
        folds[held_out] = fold
    return folds


def with_folds(cases: list[Case], folds: dict[str, int]) -> list[Case]:
    """Cases, and the folds of images by name -> the cases, those of development each in its fold."""
    return [replace(c, fold=folds[c.case_id]) if c.split == "development" else c for c in cases]
