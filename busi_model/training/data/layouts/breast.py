"""BrEaST as published: one folder of `caseNNN.png`, `caseNNN_tumor.png`, `caseNNN_otherN.png` and a spreadsheet
(Pawłowska et al., Scientific Data 2024). `_other` outlines what is not the index lesion and is never part of it.
"""

from pathlib import Path

import openpyxl

from busi_model.training.data.cases import CaseError, Hospital
from busi_model.training.data.layouts.listed import Published, listed_hospital

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
    images = []
    for name, row in read_spreadsheet(folder).items():
        image_path = folder / IMAGES / Path(name).name
        mask_path = image_path.with_name(Path(row["Mask_tumor_filename"] or f"{image_path.stem}_tumor.png").name)
        class_name = row["Classification"]
        paths = (image_path, None if class_name == "normal" else mask_path)
        images.append(Published(name, class_name, *paths, "The spreadsheet", f"BI-RADS {row['BIRADS']}"))
    return listed_hospital(NAME, NAME, images)
