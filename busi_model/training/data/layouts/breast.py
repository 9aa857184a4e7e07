"""BrEaST as published: one folder of `caseNNN.png`, `caseNNN_tumor.png`, `caseNNN_otherN.png` and a spreadsheet
(Pawłowska et al., Scientific Data 2024). `_other` outlines what is not the index lesion and is never part of it.
"""

from pathlib import Path

import openpyxl

from busi_model.training.data.cases import Case, CaseError, Hospital, picture_size, together
from busi_model.training.data.layouts.listed import listed_images

NAME = "BrEaST"
IMAGES = "BrEaST-Lesions_USG-images_and_masks"
SPREADSHEET = "BrEaST-Lesions-USG-clinical-data-*.xlsx"


def recognises(folder: Path) -> bool:
    return (folder / IMAGES).is_dir()


def read_spreadsheet(folder: Path) -> dict[str, dict]:
    """Image name -> its row, by column: BI-RADS descriptors, BIRADS, Classification, Pixel_size (of the published
    size). Raises CaseError."""
    files = sorted(folder.glob(SPREADSHEET))
    if not files:
        raise CaseError(f"{folder} lacks BrEaST's spreadsheet {SPREADSHEET}. Unpack the download whole.")
    try:
        rows = openpyxl.load_workbook(files[0], read_only=True).active.iter_rows(values_only=True)
        columns = next(rows)
        table = [dict(zip(columns, row, strict=True)) for row in rows]
    except Exception as error:  # openpyxl raises whatever a damaged archive leads it to
        raise CaseError(f"{files[0].name} cannot be read as a spreadsheet. Download it again.") from error
    if missing := {"Image_filename", "Mask_tumor_filename", "Classification", "BIRADS"} - set(columns):
        raise CaseError(f"{files[0].name} lacks the columns {', '.join(sorted(missing))}. Download it again.")
    return {row["Image_filename"]: row for row in table if row["Image_filename"]}


def find(folder: Path) -> Hospital:
    listed = listed_images(NAME)
    cases, problems = [], []
    left_out: dict[str, list[str]] = {}
    for name, row in read_spreadsheet(folder).items():
        image_path = folder / IMAGES / Path(name).name
        if not image_path.is_file():
            continue  # withheld; its row stays in the list
        known = listed.get(name)
        if known is None:
            left_out.setdefault("hospitals.csv does not list them", []).append(name)
            continue
        if row["Classification"] != known.class_name:
            problems.append(f"The spreadsheet calls {name} {row['Classification']}, hospitals.csv {known.class_name}.")
            continue
        mask_paths: tuple[Path, ...] = ()
        if known.class_name != "normal":
            mask_paths = (folder / IMAGES / Path(row["Mask_tumor_filename"] or f"{image_path.stem}_tumor.png").name,)
            if not mask_paths[0].is_file():
                problems.append(f"{name} has no outline; {mask_paths[0].name} is expected beside it.")
                continue
            if picture_size(image_path) != picture_size(mask_paths[0]):
                left_out.setdefault("their outline has another size", []).append(name)
                continue
        facts = (known.class_name, f"BrEaST-{known.group}", known.split, known.fold, True, NAME)
        cases.append(Case(name, image_path, mask_paths, *facts, f"BI-RADS {row['BIRADS']}"))
    if problems:
        raise together(problems)
    if not cases:
        raise CaseError(f"{folder} has BrEaST's spreadsheet, but {IMAGES}/ holds none of its images.")
    return Hospital(NAME, cases, left_out)
