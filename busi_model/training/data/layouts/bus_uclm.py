"""BUS-UCLM as published: images/, masks/ in colour (green benign, red malignant, black normal), INFO.csv with
semicolons (Vallez et al., Scientific Data 2025).

Patients and split come from hospitals.csv; an image that it does not list, or whose outline has another size, is left
out and named.
"""

from pathlib import Path

from busi_model.training.data.cases import Hospital, read_csv
from busi_model.training.data.layouts.listed import Published, listed_hospital

NAME = "BUS-UCLM"


def recognises(folder: Path) -> bool:
    return (folder / "INFO.csv").is_file() and (folder / "masks").is_dir()


def find(folder: Path) -> Hospital:
    images = []
    for number, row in enumerate(read_csv(folder / "INFO.csv", ("Image", "Label", "Doppler"), ";"), start=2):
        file = Path(row["Image"]).name
        subgroup = "Doppler" if row["Doppler"] == "Yes" else "gray"
        paths = (folder / "images" / file, folder / "masks" / file)
        images.append(Published(row["Image"], row["Label"].lower(), *paths, f"INFO.csv, line {number}", subgroup))
    return listed_hospital(NAME, "UCLM", images)
