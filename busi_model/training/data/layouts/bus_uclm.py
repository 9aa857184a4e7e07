"""BUS-UCLM as published: images/, masks/ in colour (green benign, red malignant, black normal), INFO.csv with
semicolons (Vallez et al., Scientific Data 2025).

Patients and split come from hospitals.csv; an image that it does not list, or whose outline has another size, is left
out and named.
"""

from pathlib import Path

from busi_model.training.data.cases import Case, CaseError, Hospital, picture_size, read_csv, together
from busi_model.training.data.layouts.listed import listed_images

NAME = "BUS-UCLM"


def recognises(folder: Path) -> bool:
    return (folder / "INFO.csv").is_file() and (folder / "masks").is_dir()


def find(folder: Path) -> Hospital:
    listed = listed_images(NAME)
    cases, problems = [], []
    left_out: dict[str, list[str]] = {}
    for number, row in enumerate(read_csv(folder / "INFO.csv", ("Image", "Label", "Doppler"), ";"), start=2):
        name = row["Image"]
        image_path, mask_path = folder / "images" / Path(name).name, folder / "masks" / Path(name).name
        if not image_path.is_file():
            continue  # withheld; its row stays in the list
        known = listed.get(name)
        if known is None:
            left_out.setdefault("hospitals.csv does not list them", []).append(name)
        elif not mask_path.is_file():
            problems.append(f"images/{name} has no outline; masks/{name} is expected.")
        elif picture_size(image_path) != picture_size(mask_path):
            left_out.setdefault("their outline has another size", []).append(name)
        elif row["Label"].lower() != known.class_name:
            problems.append(
                f"INFO.csv, line {number}: {name} is {row['Label']}, hospitals.csv says {known.class_name}."
            )
        else:
            subgroup = "Doppler" if row["Doppler"] == "Yes" else "gray"
            facts = (known.class_name, f"UCLM-{known.group}", known.split, known.fold, True, NAME, subgroup)
            cases.append(Case(name, image_path, (mask_path,), *facts))
    if problems:
        raise together(problems)
    if not cases:
        raise CaseError(f"{folder} has BUS-UCLM's INFO.csv, but images/ holds none of its images.")
    return Hospital(NAME, cases, left_out)
