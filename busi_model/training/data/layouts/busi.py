"""Class folders as BUSI is published: benign/, malignant/, normal/ with `name.png`, `name_mask.png`, `name_mask_1.png`.

BUSI itself is recognised by its images' names and sizes and split by the manifest that ships with this package; class
folders of another hospital are split by a manifest (the folder's own manifest.csv, or one that is named) or, without
one, by how alike pictures are.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from busi_model.names import (
    CLASS_NAMES,
    MANIFEST_COLUMNS,
    MANIFEST_NAME,
    MANIFEST_OF_BUSI,
    mask_name,
    outlined_stem,
)
from busi_model.training.data.cases import (
    IMAGE_SUFFIXES,
    N_FOLDS,
    Case,
    CaseError,
    Hospital,
    picture_size,
    read_csv,
    some,
    together,
)
from busi_model.training.data.near_duplicates import split_by_likeness

NAME = "BUSI"
MANIFEST = Path(__file__).parents[1] / MANIFEST_OF_BUSI
NO_PICTURES = {".txt", ".md", ".csv", ".tsv", ".xls", ".xlsx", ".json", ".xml", ".html", ".pdf", ".db", ".ini", ".zip"}
ALIKE = 0.9  # share of a folder's images that must be BUSI's by name and size
SPLITS = ("development", "test", "excluded")
YES, NO = ("1", "true", "yes"), ("0", "false", "no")


def find(folder: Path, manifest: Path | None = None, needs_outlines: bool = True) -> Hospital:
    cases = class_folder_cases(folder, needs_outlines)
    if manifest is None and (folder / MANIFEST_NAME).is_file():
        manifest = folder / MANIFEST_NAME
    if manifest is None and _is_busi(cases):
        manifest = MANIFEST
    if manifest is None:
        name = folder.resolve().name
        return Hospital(name, [replace(c, hospital=name) for c in split_by_likeness(cases)], _not_read(folder))
    name = NAME if _is_busi(cases) else folder.resolve().name
    rows = read_csv(manifest, MANIFEST_COLUMNS)
    listed = _apply_manifest(cases, rows, manifest, needs_all=manifest != MANIFEST)
    excluded = {row["image"].split("/")[-1] for row in rows if _plain(row["split"]) == "excluded"}
    kept, left_out = {case.image_path for case in listed}, _not_read(folder)
    for case in cases:
        if case.image_path not in kept:
            why = (
                "the manifest excludes them" if case.image_path.name in excluded else "the manifest does not list them"
            )
            left_out.setdefault(why, []).append(case.case_id)
    return Hospital(name, [replace(c, hospital=name) for c in listed], left_out)


def class_folder_cases(folder: Path, needs_outlines: bool = True) -> list[Case]:
    """Cases of class folders, not split yet. needs_outlines: a lesion without a mask is a problem. Raises CaseError
    that names all problems at once."""
    if not folder.is_dir():
        raise CaseError(f"{folder} is not a folder. Name the folder that holds benign/, malignant/ and normal/.")
    class_folders = _class_folders(folder)
    cases, problems = [], []
    for class_name, place in class_folders.items():
        files = [f for f in sorted(place.iterdir(), key=_natural) if _is_picture(f)]
        masks: dict[str, list[Path]] = {}
        for file in files:
            if stem := outlined_stem(file.stem):
                masks.setdefault(stem, []).append(file)
        for file in files:
            if outlined_stem(file.stem):
                continue
            mask_paths = tuple(masks.pop(file.stem, ()))
            if needs_outlines and not mask_paths and class_name != "normal":
                problems.append(
                    f"{place.name}/{file.name} has no mask; {mask_name(file.stem)} is expected beside it. "
                    "Add the mask or move the image away."
                )
            cases.append(Case(file.name, file, mask_paths, class_name, "", "development", None, True, ""))
        if orphans := [path.name for paths in masks.values() for path in paths]:
            problems.append(f"Masks without an image: {some(orphans)}. Add the images or move the masks away.")
    if problems:
        raise together(problems)
    if not cases:
        unread = [f"{some(names)} left out: {why}." for why, names in _not_read(folder).items()]
        what = " ".join(unread) or _what_else(folder)
        raise CaseError(f"{folder} holds no images in benign/, malignant/ or normal/. {what}")
    shared = {name for name, n in Counter(c.case_id for c in cases).items() if n > 1}
    return [replace(c, case_id=f"{c.class_name}/{c.case_id}") if c.case_id in shared else c for c in cases]


def _class_folders(folder: Path) -> dict[str, Path]:
    """Class name -> its folder, whatever its case. A folder of pictures of another name is an error: it would vanish
    from training without a word."""
    found: dict[str, Path] = {}
    unknown = []
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


def _not_read(folder: Path) -> dict[str, list[str]]:
    """Why, and which files of the class folders look like pictures and are no kind that training reads: DICOM too has
    to be exported first."""
    names = [
        file.name
        for place in _class_folders(folder).values()
        for file in sorted(place.iterdir())
        if file.is_file()
        and not file.name.startswith(".")
        and file.suffix.lower() not in IMAGE_SUFFIXES | NO_PICTURES
        and file.name.lower() not in ("readme", "license", "dicomdir")
    ]
    return {"their kind is not read in training (export them as PNG)": names} if names else {}


def _what_else(folder: Path) -> str:
    """What to do about a folder without class folders, by what lies in it."""
    inner = sorted({p.parent for p in folder.glob("*/*") if p.is_dir() and p.name.strip().lower() in CLASS_NAMES})
    inner = inner or sorted({p.parent for p in folder.glob("*/*/*") if p.name.strip().lower() in CLASS_NAMES})
    if len(inner) == 1:
        return f"They lie in {inner[0]}: name that folder."
    names = [p.name for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    return f"It holds the folders {some(names)}." if names else "Download BUSI and unpack it there."


def _is_picture(file: Path) -> bool:
    """Not what file managers leave behind: ._name of macOS, Thumbs.db, desktop.ini."""
    return file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".") and file.is_file()


def _natural(path: Path) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def _is_busi(cases: list[Case]) -> bool:
    sizes = {row["image"]: (row["width"], row["height"]) for row in read_csv(MANIFEST, MANIFEST_COLUMNS)}
    known = [case for case in cases if case.case_id in sizes]
    if len(known) < ALIKE * len(cases):
        return False
    listed = [case for case in known if sizes[case.case_id][0]]  # the withheld images' sizes are not listed
    alike = sum(tuple(map(str, picture_size(c.image_path) or ())) == sizes[c.case_id] for c in listed)
    return bool(listed) and alike >= ALIKE * len(listed)


def _apply_manifest(cases: list[Case], rows: list[dict], path: Path, needs_all: bool) -> list[Case]:
    """The cases that a manifest lists, as it says; all that is wrong with it at once, by line."""
    listed: list[Case] = []
    groups: dict[str, tuple[str, int]] = {}
    lines: dict[Path, int] = {}
    problems, missing = [], []
    find_case = _finder(cases)
    for number, row in enumerate(rows, start=2):
        where, split, class_name = f"{path.name}, line {number}", _plain(row["split"]), _plain(row["class"])
        fold, scored = _plain(row["fold"]), _plain(row["scored"])
        if split not in SPLITS:
            problems.append(f"{where}: split is {row['split']!r}; development, test or excluded.")
            continue
        case = find_case(row["image"].strip().replace("\\", "/"), class_name)
        if case and (first := lines.setdefault(case.image_path, number)) != number:
            problems.append(f"{where}: {row['image']} stands in line {first} already. One picture, one row.")
            continue
        if split == "excluded":
            continue
        if split == "development" and fold not in map(str, range(N_FOLDS)):
            problems.append(f"{where}: fold is {row['fold']!r}; 0 to {N_FOLDS - 1} is expected.")
            continue
        side = f"fold {fold}" if split == "development" else split
        other, first = groups.setdefault(row["group"], (side, number))
        if other != side:
            problems.append(
                f"{where}: group {row['group']} lies in two splits or folds, in {side} here and in {other} in line "
                f"{first}. Images of one patient or lesion belong on one side."
            )
        if scored not in YES + NO:
            problems.append(f"{where}: scored is {row['scored']!r}; 1 or 0 is expected.")
        if case is None:
            if split == "development" and needs_all:
                missing.append(row["image"])
            continue
        if case.class_name != class_name:
            problems.append(f"{where}: {case.case_id} lies in {case.class_name}/, but is called {row['class']} here.")
            continue
        listed.append(
            replace(
                case,
                group=row["group"],
                split=split,
                fold=int(fold) if split == "development" else None,
                scored=scored in YES,
                subgroup=row.get("annotation") or "clean",
                published_fingerprint=row.get("fingerprint") or "",
            )
        )
    if missing:
        problems.append(f"{path.name} lists {some(missing)}, which is not in the folder. Is it unpacked whole?")
    if problems:
        raise together(problems)
    if not listed:
        raise CaseError(f"{path.name} names none of the {len(cases)} images in the folder.")
    return listed


def _plain(cell: str) -> str:
    """A cell as people and spreadsheets write it; pandas makes 1.0 of a whole number beside empty cells."""
    return cell.strip().lower().removesuffix(".0").removesuffix(",0")


def _finder(cases: list[Case]) -> Callable[[str, str], Case | None]:
    """An image as a manifest names it, with or without its class folder, and its class -> its case, or None."""
    by_id = {f"{case.class_name}/{case.image_path.name}": case for case in cases}
    by_name = {case.image_path.name: case for case in reversed(cases)}

    def find_case(image: str, class_name: str) -> Case | None:
        folder, _, name = image.rpartition("/")
        own = folder.rpartition("/")[2].lower()
        if own in CLASS_NAMES:
            return by_id.get(f"{own}/{name}")
        return by_id.get(f"{class_name}/{name}") or by_name.get(name)

    return find_case
