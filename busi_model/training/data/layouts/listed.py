"""hospitals.csv, which ships with this package: class, patient and split of each image of BUS-UCLM and BrEaST."""

from dataclasses import dataclass
from pathlib import Path

from busi_model.training.data.cases import read_csv, spread_over_folds

HOSPITALS = Path(__file__).parents[1] / "hospitals.csv"


@dataclass(frozen=True)
class Listed:
    class_name: str
    group: str  # the patient
    split: str  # "development" or "test"
    fold: int | None  # in development
    doppler: bool


def listed_images(hospital: str) -> dict[str, Listed]:
    """Image name -> what the list says of it. Patients of development are spread over the folds 0-4."""
    rows = read_csv(HOSPITALS, ("dataset", "image", "class", "group", "split", "doppler"))
    rows = [row for row in rows if row["dataset"] == hospital]
    development = [row for row in rows if row["split"] == "development"]
    folds = spread_over_folds([r["class"] for r in development], [r["group"] for r in development])
    fold_of = dict(zip([r["image"] for r in development], folds.tolist(), strict=True))
    return {
        r["image"]: Listed(r["class"], r["group"], r["split"], fold_of.get(r["image"]), r["doppler"] == "Yes")
        for r in rows
    }
