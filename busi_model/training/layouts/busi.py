"""Class folders as BUSI is published: benign/, malignant/, normal/ with `name.png`, `name_mask.png`, `name_mask_1.png`.

BUSI itself is recognised by its images' names and sizes and split by the manifest that ships with this package; class
folders of another hospital are split by a manifest (the folder's own manifest.csv, or one that is named) or, without
one, by likeness.
"""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from busi_model.names import CLASS_NAMES
from busi_model.training.cases import (
    IMAGE_SUFFIXES,
    MANIFEST_COLUMNS,
    N_FOLDS,
    Case,
    CaseError,
    Hospital,
    picture_size,
    read_csv,
    some,
)
from busi_model.training.likeness import split_by_likeness

NAME = "BUSI"
MANIFEST = Path(__file__).parents[1] / "busi_manifest.csv"
OWN_MANIFEST = "manifest.csv"
MASK_STEM = re.compile(r"(.+)_mask(?:_\d+)?")
ALIKE = 0.9  # share of a folder's images that must be BUSI's by name and size
SPLITS = ("development", "test", "excluded")


def find(folder: Path, manifest: Path | None = None) -> Hospital:
    cases = class_folder_cases(folder)
    if manifest is None and (folder / OWN_MANIFEST).is_file():
        manifest = folder / OWN_MANIFEST
    if manifest is None and _is_busi(cases):
        manifest = MANIFEST
    if manifest is None:
        name = folder.resolve().name
        return Hospital(name, [replace(c, hospital=name) for c in split_by_likeness(cases)])
    name = NAME if _is_busi(cases) else folder.resolve().name
    rows = read_csv(manifest, MANIFEST_COLUMNS)
    listed = _apply_manifest(cases, rows, manifest, needs_all=manifest != MANIFEST)
    excluded = {row["image"].split("/")[-1] for row in rows if row["split"] == "excluded"}
    kept, left_out = {case.image_path for case in listed}, {}
    for case in cases:
        if case.image_path not in kept:
            why = (
                "the manifest excludes them" if case.image_path.name in excluded else "the manifest does not list them"
            )
            left_out.setdefault(why, []).append(case.case_id)
    return Hospital(name, [replace(c, hospital=name) for c in listed], left_out)


def class_folder_cases(folder: Path) -> list[Case]:
    """Cases of class folders, not split yet. Raises CaseError that names all problems at once."""
    if not folder.is_dir():
        raise CaseError(f"{folder} is not a folder. Name the folder that holds benign/, malignant/ and normal/.")
    class_folders = _class_folders(folder)
    cases, problems = [], []
    for class_name, place in class_folders.items():
        files = [f for f in sorted(place.iterdir(), key=_natural) if _is_picture(f)]
        masks: dict[str, list[Path]] = {}
        for file in files:
            if match := MASK_STEM.fullmatch(file.stem):
                masks.setdefault(match[1], []).append(file)
        for file in files:
            if MASK_STEM.fullmatch(file.stem):
                continue
            mask_paths = tuple(masks.pop(file.stem, ()))
            if not mask_paths and class_name != "normal":
                problems.append(
                    f"{place.name}/{file.name} has no mask; {file.stem}_mask.png is expected beside it. "
                    "Add the mask or move the image away."
                )
            cases.append(Case(file.name, file, mask_paths, class_name, "", "development", None, True, ""))
        if orphans := [path.name for paths in masks.values() for path in paths]:
            problems.append(f"Masks without an image: {some(orphans)}. Add the images or move the masks away.")
    if problems:
        more = f" (and {len(problems) - 10} problems more)" if len(problems) > 10 else ""
        raise CaseError(" ".join(problems[:10]) + more)
    if not cases:
        raise CaseError(
            f"{folder} holds no images in benign/, malignant/ or normal/. Download BUSI and unpack it there."
        )
    shared = {name for name, n in Counter(c.case_id for c in cases).items() if n > 1}
    return [replace(c, case_id=f"{c.class_name}/{c.case_id}") if c.case_id in shared else c for c in cases]


def _class_folders(folder):
    """Class name -> its folder, whatever its case. A folder of pictures of another name is an error: it would vanish
    from training without a word."""
    found, unknown = {}, []
    for place in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        name = place.name.strip().lower()
        if name not in CLASS_NAMES:
            if place.name != "__MACOSX" and any(_is_picture(file) for file in place.iterdir()):
                unknown.append(place.name)
        elif name in found:
            raise CaseError(f"{found[name].name}/ and {place.name}/ are both the class {name}. Join the two folders.")
        else:
            found[name] = place
    if unknown and found:
        raise CaseError(
            f"The folders {some(unknown)} hold pictures, but are no class of this program: {', '.join(CLASS_NAMES)}. "
            "Rename them, or move them away."
        )
    return {name: found[name] for name in CLASS_NAMES if name in found}


def _is_picture(file):
    """Not what file managers leave behind: ._name of macOS, Thumbs.db, desktop.ini."""
    return file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".") and file.is_file()


def _natural(path):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def _is_busi(cases):
    sizes = {row["image"]: (row["width"], row["height"]) for row in read_csv(MANIFEST, MANIFEST_COLUMNS)}
    known = [case for case in cases if case.case_id in sizes]
    if len(known) < ALIKE * len(cases):
        return False
    listed = [case for case in known if sizes[case.case_id][0]]  # the withheld images' sizes are not listed
    alike = sum(tuple(map(str, picture_size(c.image_path) or ())) == sizes[c.case_id] for c in listed)
    return bool(listed) and alike >= ALIKE * len(listed)


def _apply_manifest(cases, rows, path, needs_all):
    by_id = {f"{case.class_name}/{case.image_path.name}": case for case in cases}
    by_name: dict[str, list[Case]] = {}
    for case in cases:
        by_name.setdefault(case.image_path.name, []).append(case)
    listed, groups, lines, problems = [], {}, {}, []
    for number, row in enumerate(rows, start=2):
        where = f"{path.name}, line {number}"
        if row["split"] not in SPLITS:
            raise CaseError(f"{where}: split is {row['split']!r}; development, test or excluded.")
        if row["split"] == "excluded":
            continue
        fold = row["fold"].removesuffix(".0")  # what pandas makes of whole numbers beside empty cells
        if row["split"] == "development" and fold not in map(str, range(N_FOLDS)):
            raise CaseError(f"{where}: fold is {row['fold']!r}; 0 to {N_FOLDS - 1} is expected.")
        if groups.setdefault(row["group"], (row["split"], fold)) != (row["split"], fold):
            raise CaseError(f"{where}: group {row['group']} lies in two splits or folds.")
        own = by_name.get(row["image"], ())
        case = by_id.get(row["image"]) or by_id.get(f"{row['class']}/{row['image']}") or (own[0] if own else None)
        if case is None:
            if row["split"] == "development" and needs_all:
                problems.append(row["image"])
            continue
        if case.class_name != row["class"]:
            raise CaseError(f"{case.case_id} lies in {case.class_name}/, but {path.name} calls it {row['class']}.")
        if first := lines.get(case.image_path):
            raise CaseError(f"{where}: {row['image']} stands in line {first} already. One picture, one row.")
        lines[case.image_path] = number
        in_development = row["split"] == "development"
        listed.append(
            replace(
                case,
                group=row["group"],
                split=row["split"],
                fold=int(fold) if in_development else None,
                scored=row["scored"].removesuffix(".0") == "1",
                subgroup=row.get("annotation") or "clean",
                published_fingerprint=row.get("fingerprint") or "",
            )
        )
    if problems:
        raise CaseError(f"{path.name} lists {some(problems)}, which is not in the folder. Is it unpacked whole?")
    if not listed:
        raise CaseError(f"{path.name} names none of the {len(cases)} images in the folder.")
    return listed
