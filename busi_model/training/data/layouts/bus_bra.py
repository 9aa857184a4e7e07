"""BUS-BRA as published: Images/, Masks/, bus_data.csv, 10-fold-cv.csv (Gómez-Flores et al., Medical Physics 2024).

Its published folds 1-7 are spread anew, by patient, over the folds 0-4 that all hospitals share; 8-10 are reserved,
also where a download holds them.
"""

import re
from pathlib import Path

from busi_model.names import CLASS_NAMES
from busi_model.training.data.cases import Case, CaseError, Hospital, read_csv, spread_over_folds, together, with_folds

NAME = "BUS-BRA"
RESERVED = range(8, 11)  # of the published folds


def recognises(folder: Path) -> bool:
    return (folder / "bus_data.csv").is_file()


def find(folder: Path) -> Hospital:
    published = {}
    for number, row in enumerate(read_csv(folder / "10-fold-cv.csv", ("ID", "kFold")), start=2):
        if not re.fullmatch("[0-9]{1,2}", row["kFold"]):
            raise CaseError(f"10-fold-cv.csv, line {number}: kFold is {row['kFold']!r}; 1 to 10 is expected.")
        published[row["ID"]] = int(row["kFold"])
    rows = read_csv(folder / "bus_data.csv", ("ID", "Case", "Pathology", "Device"))
    cases, development, problems = [], [], []
    for number, row in enumerate(rows, start=2):
        if not re.fullmatch(r"[\w-]{1,100}", row["ID"], re.ASCII):  # it becomes a file name
            raise CaseError(f"bus_data.csv, line {number}: ID is {row['ID']!r}; one such as bus_0001-l is expected.")
        if row["ID"] not in published:
            raise CaseError(f"bus_data.csv, line {number}: {row['ID']} has no fold in 10-fold-cv.csv.")
        if row["Pathology"] not in CLASS_NAMES:
            text = f"Pathology is {row['Pathology']!r}; benign or malignant is expected."
            raise CaseError(f"bus_data.csv, line {number}: {text}")
        image_path = folder / "Images" / f"{row['ID']}.png"
        case = Case(
            image_path.name,
            image_path,
            (folder / "Masks" / f"mask_{row['ID'].removeprefix('bus_')}.png",),
            row["Pathology"],
            f"BRA{row['Case']}",
            "test" if published[row["ID"]] in RESERVED else "development",
            None,
            True,
            NAME,
            row["Device"].split(" @")[0],
        )
        if case.split == "development":
            development.append(case)
        if not image_path.is_file():
            continue  # whole folds may be withheld; their rows stay in the lists
        if not case.mask_paths[0].is_file():
            problems.append(f"{image_path.name} has no mask; {case.mask_paths[0].name} is expected in Masks/.")
        cases.append(case)
    if problems:
        raise together(problems)
    if not cases:
        raise CaseError(f"{folder} lists BUS-BRA's images, but Images/ holds none of them.")
    # Of all listed images, so that a fold is the same whatever part of the data is at hand.
    folds = spread_over_folds([c.class_name for c in development], [c.group for c in development])
    return Hospital(NAME, with_folds(cases, dict(zip([c.case_id for c in development], folds.tolist(), strict=True))))
