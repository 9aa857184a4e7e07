"""hospitals.csv, which ships with this package: class, patient and split of each image of BUS-UCLM and BrEaST.

Enters: the images as a hospital's own table has them. Leaves: those that the list knows, as cases.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from busi_model.training.data.cases import (
    Case,
    CaseError,
    Hospital,
    picture_size,
    read_csv,
    spread_over_folds,
    together,
)

HOSPITALS = Path(__file__).parents[1] / "hospitals.csv"


@dataclass(frozen=True)
class Published:
    """An image as its hospital's table has it."""

    name: str
    class_name: str
    image_path: Path
    mask_path: Path | None  # None: it needs none
    row: str  # where it stands in the table, for errors
    subgroup: str


@dataclass(frozen=True)
class Listed:
    class_name: str
    group: str  # the patient
    split: str  # "development" or "test"
    fold: int | None  # in development


def listed_images(hospital: str) -> dict[str, Listed]:
    """Image name -> what the list says of it. Patients of development are spread over the folds 0-4."""
    rows = read_csv(HOSPITALS, ("dataset", "image", "class", "group", "split"))
    rows = [row for row in rows if row["dataset"] == hospital]
    development = [row for row in rows if row["split"] == "development"]
    folds = spread_over_folds([r["class"] for r in development], [r["group"] for r in development])
    fold_of = dict(zip([r["image"] for r in development], folds.tolist(), strict=True))
    return {r["image"]: Listed(r["class"], r["group"], r["split"], fold_of.get(r["image"])) for r in rows}


def listed_hospital(name: str, prefix: str, images: Sequence[Published]) -> Hospital:
    """Those of the images that are there and in the list; the others are named. prefix: of its patients. Raises
    CaseError: no image, a class that is not the list's, no outline."""
    listed = listed_images(name)
    cases, problems = [], []
    left_out: dict[str, list[str]] = {}
    for image in images:
        if not image.image_path.is_file():
            continue  # withheld; its row stays in the table
        known = listed.get(image.name)
        mask_paths = (image.mask_path,) if image.mask_path else ()
        if known is None:
            left_out.setdefault("hospitals.csv does not list them", []).append(image.name)
        elif image.class_name != known.class_name:
            said = f"{image.name} is {image.class_name}, hospitals.csv says {known.class_name}"
            problems.append(f"{image.row}: {said}.")
        elif not all(path.is_file() for path in mask_paths):
            problems.append(f"{image.name} has no outline; {image.mask_path} is expected.")
        elif any(picture_size(path) != picture_size(image.image_path) for path in mask_paths):
            left_out.setdefault("their outline has another size", []).append(image.name)
        else:
            facts = (known.class_name, f"{prefix}-{known.group}", known.split, known.fold, True, name, image.subgroup)
            cases.append(Case(image.name, image.image_path, mask_paths, *facts))
    if problems:
        raise together(problems)
    if not cases:
        where = f"{images[0].image_path.parent} holds none of them" if images else "that table is empty"
        raise CaseError(f"The images of {name} are expected as its table has them; {where}. Unpack the download whole.")
    return Hospital(name, cases, left_out)
