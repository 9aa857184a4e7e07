"""What clinicians corrected in reading sessions (`reading.export`): class folders with a manifest.csv whose source is
"clinician". One more hospital, for training only: never held out, never scored.
"""

from dataclasses import replace
from pathlib import Path

from busi_model.names import CLINICIAN, MANIFEST_COLUMNS, MANIFEST_NAME
from busi_model.training.data.cases import CaseError, Hospital, read_csv, some
from busi_model.training.data.layouts.busi import class_folder_cases


def recognises(folder: Path) -> bool:
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return False
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        return "source" in file.readline().strip().replace(";", ",").split(",")


def find(folder: Path) -> Hospital:
    """Every image must be in the export's own list, as a clinician's, so that none can pass for a published case."""
    path = folder / MANIFEST_NAME
    listed = {row["image"]: row for row in read_csv(path, (*MANIFEST_COLUMNS, "source"))}
    cases = class_folder_cases(folder) if listed else []
    known = {case.case_id: case.class_name for case in cases}
    if known != {image: row["class"] for image, row in listed.items()}:
        raise CaseError(f"{path.name} does not list the images of its folder and their classes. Export them again.")
    if wrong := [image for image, row in listed.items() if (row["source"], row["split"]) != (CLINICIAN, "training")]:
        raise CaseError(f"{path.name} gives another source than {CLINICIAN} for {some(wrong)}. Export them again.")
    corrected = [
        replace(case, group=listed[case.case_id]["group"], split="training", scored=False, hospital=CLINICIAN)
        for case in cases
    ]
    return Hospital(CLINICIAN, corrected)
