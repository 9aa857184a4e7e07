"""Folders of images become a list of cases: what to read, what it shows, and on which side of a split it may lie.

Reads BUSI in its published layout (class folders, `name.png`, `name_mask.png`, `name_mask_1.png`, ...), BUS-BRA
(`Images/`, `Masks/`, `bus_data.csv`, `10-fold-cv.csv`) and what clinicians corrected (`reading.export`: BUSI's layout
with a manifest.csv whose source is "clinician"; for training only). A manifest decides the split when there is one;
without it, near-duplicate images are found and kept together, because in BUSI 44 % of the images have a twin.
"""

import csv
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from busi_model.image import Frame, ImageError, read_image
from busi_model.network import CLASS_NAMES

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
MANIFEST_COLUMNS = ("image", "class", "group", "split", "fold", "scored")
DUPLICATE_CORRELATION = 0.95  # of 32 x 32 thumbnails; see `near_duplicate_groups` for what it finds
N_FOLDS = 5
BUSBRA_TRAINING_FOLDS = range(1, 6)  # 6 is for calibration, 7 for evaluation, 8-10 for a final test
CLINICIAN, CLINICIAN_MANIFEST = "clinician", "manifest.csv"  # what `reading.export` writes


class CaseError(ValueError):
    """The data do not fit together: what was found, what was expected, what to do."""


@dataclass(frozen=True)
class Case:
    """One image and all that is known of it."""

    case_id: str  # the image's file name
    image_path: Path
    mask_paths: tuple[Path, ...]  # one a lesion in BUSI; their union is the outline. Empty: no mask file needed
    class_name: str  # one of CLASS_NAMES
    group: str  # near-duplicates, the same lesion, the same patient; never on two sides of a split
    split: str  # "development", "test", "reserved" (BUS-BRA's folds from 6 on), "training" (clinicians' corrections)
    fold: int | None  # None in BUSI's test split
    scored: bool  # False: may be trained on, is never counted in a figure
    source: str  # "BUSI", "BUS-BRA" or "clinician"
    subgroup: str = ""  # what the data say of the picture: burned-in marks (BUSI), device (BUS-BRA)

    def read(self) -> tuple[Frame, np.ndarray]:
        """The frame and its mask, bool (H, W), in the frame's own pixels. Raises CaseError."""
        try:
            frame = read_image(self.image_path)
        except ImageError as error:
            raise CaseError(f"{self.case_id} cannot be used: {error}") from error
        mask = np.zeros(frame.gray.shape, bool)
        for path in self.mask_paths:
            try:
                lesion = read_image(path).gray > 127
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
        if self.class_name != "normal" and not mask.any():
            raise CaseError(f"{self.case_id} is {self.class_name}, but its mask is empty. Outline it or leave it out.")
        return frame, mask


def _size(array):
    return f"{array.shape[1]}x{array.shape[0]}"


def find_cases(folder, manifest=None) -> list[Case]:
    """All cases in a folder in BUSI's or BUS-BRA's layout, or exported from reading sessions, in a fixed order.

    manifest: CSV with the columns image, class, group, split, fold, scored (BUSI's layout only). Its "excluded" rows
    are left out; "test" rows may lack their files; a development row without its file is an error. Without a
    manifest, groups are found from the pictures and folds 0-4 are made of them. Raises CaseError.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaseError(f"{folder} is not a folder. Name the folder that holds benign/, malignant/ and normal/.")
    if (folder / "bus_data.csv").is_file():
        if manifest:
            raise CaseError("BUS-BRA brings its own folds in 10-fold-cv.csv; leave the manifest out.")
        return _find_busbra(folder)
    if (folder / CLINICIAN_MANIFEST).is_file():
        return _find_clinician(folder, folder / CLINICIAN_MANIFEST, manifest)
    cases = _find_busi(folder)
    return _apply_manifest(cases, Path(manifest)) if manifest else split_by_likeness(cases)


def _find_busi(folder):
    cases, orphans = [], []
    for class_name in CLASS_NAMES:
        files = sorted((folder / class_name).glob("*"), key=_natural) if (folder / class_name).is_dir() else []
        files = [f for f in files if f.suffix.lower() in IMAGE_SUFFIXES]
        masks = {}
        for file in files:
            if match := re.fullmatch(r"(.+)_mask(_\d+)?", file.stem):
                masks.setdefault(match[1], []).append(file)
        for file in files:
            if re.fullmatch(r".+_mask(_\d+)?", file.stem):
                continue
            mask_paths = tuple(masks.pop(file.stem, ()))
            if not mask_paths and class_name != "normal":
                raise CaseError(
                    f"{class_name}/{file.name} has no mask; {file.stem}_mask.png is expected beside it. "
                    "Add the mask or move the image away."
                )
            cases.append(Case(file.name, file, mask_paths, class_name, "", "development", None, True, "BUSI"))
        orphans += [path.name for paths in masks.values() for path in paths]
    if orphans:
        raise CaseError(f"Masks without an image: {_some(orphans)}. Add the images or move the masks away.")
    if not cases:
        raise CaseError(
            f"{folder} holds no images in benign/, malignant/ or normal/. Download BUSI and unpack it there."
        )
    return cases


def _natural(path):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def _some(names):
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _read_csv(path, columns):
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            found = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaseError(f"{path.name} cannot be read as a CSV file in UTF-8 ({error}).") from error
    missing = [c for c in columns if c not in found]
    if missing:
        raise CaseError(f"{path.name} lacks the columns {', '.join(missing)}; it has {', '.join(found) or 'none'}.")
    for number, row in enumerate(rows, start=2):
        if short := [c for c in columns if row[c] is None]:
            raise CaseError(f"{path.name}, line {number}: nothing stands under {', '.join(short)}. Is the file whole?")
    return rows


def _apply_manifest(cases, path):
    by_id = {case.case_id: case for case in cases}
    listed, groups = [], {}
    for number, row in enumerate(_read_csv(path, MANIFEST_COLUMNS), start=2):
        if row["split"] == "excluded":
            continue
        if row["split"] not in ("development", "test"):
            raise CaseError(f"{path.name}, line {number}: split is {row['split']!r}; development, test or excluded.")
        if groups.setdefault(row["group"], (row["split"], row["fold"])) != (row["split"], row["fold"]):
            raise CaseError(f"{path.name}, line {number}: group {row['group']} lies in two splits or folds.")
        case = by_id.get(row["image"])
        if case is None:
            if row["split"] == "test":
                continue
            raise CaseError(f"{path.name} lists {row['image']}, which is not in the folder. Is BUSI unpacked whole?")
        if case.class_name != row["class"]:
            raise CaseError(f"{case.case_id} lies in {case.class_name}/, but {path.name} calls it {row['class']}.")
        if row["split"] == "development" and row["fold"] not in list("01234"):
            raise CaseError(f"{path.name}, line {number}: fold is {row['fold']!r}; 0 to {N_FOLDS - 1} is expected.")
        listed.append(
            replace(
                case,
                group=row["group"],
                split=row["split"],
                fold=int(row["fold"]) if row["split"] == "development" else None,
                scored=row["scored"] == "1",
                subgroup=row.get("annotation") or "clean",
            )
        )
    if not listed:
        raise CaseError(f"{path.name} names none of the {len(cases)} images in the folder.")
    return listed


def _find_busbra(folder):
    folds = {}
    for number, row in enumerate(_read_csv(folder / "10-fold-cv.csv", ("ID", "kFold")), start=2):
        if not re.fullmatch("[0-9]{1,2}", row["kFold"]):
            raise CaseError(f"10-fold-cv.csv, line {number}: kFold is {row['kFold']!r}; 1 to 10 is expected.")
        folds[row["ID"]] = int(row["kFold"])
    cases = []
    for number, row in enumerate(_read_csv(folder / "bus_data.csv", ("ID", "Case", "Pathology", "Device")), start=2):
        if not re.fullmatch(r"[\w-]{1,100}", row["ID"], re.ASCII):  # it becomes a file name
            raise CaseError(f"bus_data.csv, line {number}: ID is {row['ID']!r}; one such as bus_0001-l is expected.")
        if row["ID"] not in folds:
            raise CaseError(f"bus_data.csv, line {number}: {row['ID']} has no fold in 10-fold-cv.csv.")
        if row["Pathology"] not in CLASS_NAMES:
            text = f"Pathology is {row['Pathology']!r}; benign or malignant is expected."
            raise CaseError(f"bus_data.csv, line {number}: {text}")
        image_path = folder / "Images" / f"{row['ID']}.png"
        if not image_path.is_file():
            continue  # whole folds may be withheld; their rows stay in the lists
        mask_path = folder / "Masks" / f"mask_{row['ID'].removeprefix('bus_')}.png"
        if not mask_path.is_file():
            raise CaseError(f"{image_path.name} has no mask; {mask_path.name} is expected in Masks/.")
        cases.append(
            Case(
                image_path.name,
                image_path,
                (mask_path,),
                row["Pathology"],
                f"BRA{row['Case']}",
                "development" if folds[row["ID"]] in BUSBRA_TRAINING_FOLDS else "reserved",
                folds[row["ID"]],
                True,
                "BUS-BRA",
                row["Device"].split(" @")[0],
            )
        )
    if not cases:
        raise CaseError(f"{folder} lists BUS-BRA's images, but Images/ holds none of them.")
    return cases


def _find_clinician(folder, path, manifest):
    """Every image must be in the export's own list, as a clinician's, so that none can pass for a published case."""
    if manifest:
        raise CaseError(f"{folder.name} brings its own {path.name}; leave the manifest out.")
    listed = {row["image"]: row for row in _read_csv(path, (*MANIFEST_COLUMNS, "source"))}
    cases = _find_busi(folder) if listed else []
    known = {case.case_id: case.class_name for case in cases}
    if known != {image: row["class"] for image, row in listed.items()}:
        raise CaseError(f"{path.name} does not list the images of its folder and their classes. Export them again.")
    if wrong := [image for image, row in listed.items() if (row["source"], row["split"]) != (CLINICIAN, "training")]:
        raise CaseError(f"{path.name} gives another source than {CLINICIAN} for {_some(wrong)}. Export them again.")
    return [
        replace(case, group=listed[case.case_id]["group"], split="training", scored=False, source=CLINICIAN)
        for case in cases
    ]


def without_twins(cases: list[Case], held_out: list[Case]) -> list[Case]:
    """Those cases whose picture is nearly the same as none of the held-out ones: a session may have shown those."""
    if not cases or not held_out:
        return cases
    groups = near_duplicate_groups([_thumbnail(case.read()[0].gray) for case in (*cases, *held_out)])
    taken = set(groups[len(cases) :])
    return [case for case, group in zip(cases, groups[: len(cases)], strict=True) if group not in taken]


def split_by_likeness(cases: list[Case], seed: int = 0) -> list[Case]:
    """Group near-duplicates, spread the groups over five folds balanced by class, score the first of each group."""
    groups = near_duplicate_groups([_thumbnail(case.read()[0].gray) for case in cases])
    labels = [CLASS_NAMES.index(case.class_name) for case in cases]
    splitter = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    if len(set(groups)) < N_FOLDS:
        raise CaseError(f"{len(set(groups))} distinct pictures found; at least {N_FOLDS} are needed for five folds.")
    if max(map(labels.count, labels)) < N_FOLDS:
        raise CaseError(f"No class has {N_FOLDS} images; so many of one at least are needed for five folds.")
    folds = np.zeros(len(cases), int)
    for fold, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
        folds[held_out] = fold
    seen, split = set(), []
    for case, group, fold in zip(cases, groups, folds, strict=True):
        split.append(replace(case, group=f"G{group:04d}", fold=int(fold), scored=group not in seen))
        seen.add(group)
    return split


def _thumbnail(gray):
    return np.asarray(Image.fromarray(gray).resize((32, 32), Image.Resampling.BOX), np.float32)


def near_duplicate_groups(thumbnails: list[np.ndarray]) -> np.ndarray:
    """Thumbnails, N of (32, 32) -> group numbers (N,): pictures that correlate, as they are or mirrored, are joined.

    On BUSI's 625 development images this finds 195 of the 307 pairs that our manifest groups (the others show one
    lesion or patient, not one picture) and joins none that the manifest parts; at 0.93 it finds 202 and joins 3.
    """
    flat = np.stack(thumbnails).reshape(len(thumbnails), -1)
    mirrored = np.stack(thumbnails)[:, :, ::-1].reshape(len(thumbnails), -1)
    flat, mirrored = (_standardise(a) for a in (flat, mirrored))
    alike = np.maximum(flat @ flat.T, flat @ mirrored.T) > DUPLICATE_CORRELATION
    return connected_components(alike, directed=False)[1]


def _standardise(rows):
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def write_manifest(cases: list[Case], path) -> None:
    """Write the split in the form that `find_cases(manifest=...)` reads."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(MANIFEST_COLUMNS)
        for c in cases:
            writer.writerow([c.case_id, c.class_name, c.group, c.split, c.fold, int(c.scored)])
