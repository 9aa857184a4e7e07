"""Hospitals become one small file that travels to a machine with a GPU, and come out as folders that training reads.

Enters: `Hospital`s. Leaves: a ZIP file with a folder of class folders for each hospital, the pictures as JPEG at the
side that training uses, the outlines as PNG, and a manifest that keeps group, fold, split and each picture's
fingerprint. It holds patients' pictures: keep it where the data are, never in a repository.
"""

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from busi_model.frame import MIN_SIDE_PX
from busi_model.names import MANIFEST_COLUMNS, MANIFEST_NAME, mask_name
from busi_model.training.data.cases import CaseError, Hospital

JPEG_QUALITY = 95
LARGEST_BYTES = 60 * 2**20  # what travels to a lent machine
COLUMNS = (*MANIFEST_COLUMNS, "annotation", "fingerprint")


def pack(hospitals: list[Hospital], path: Path | str, side: int = 256) -> int:
    """Write the ZIP file; the longer side of each picture becomes `side` px. Returns its bytes. Raises CaseError."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:  # stored: JPEG and PNG are compressed already
        for hospital in hospitals:
            manifest = io.StringIO()
            writer = csv.writer(manifest)
            writer.writerow(COLUMNS)
            cases = [c for c in hospital.cases if c.split == "development"]
            for number, case in enumerate(tqdm(cases, desc=hospital.name, unit="image", leave=False)):
                gray, mask = case.read()
                name = f"{number:05d}"
                place = f"{hospital.name}/{case.class_name}/{name}"
                archive.writestr(f"{place}.jpg", _encoded(gray.gray, side, "JPEG", quality=JPEG_QUALITY))
                if mask.any():
                    archive.writestr(mask_name(place), _encoded(mask.astype(np.uint8) * 255, side, "PNG"))
                row = [f"{case.class_name}/{name}.jpg", case.class_name, case.group, case.split, case.fold]
                writer.writerow([*row, int(case.scored), case.subgroup, case.fingerprint()])
            archive.writestr(f"{hospital.name}/{MANIFEST_NAME}", manifest.getvalue())
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise CaseError(
            f"{path.name} has {size / 2**20:.0f} MiB; at most {LARGEST_BYTES / 2**20:.0f} travel. "
            "Give a smaller --side."
        )
    return size


def unpack(path: Path | str, folder: Path | str) -> list[Path]:
    """The folders of the hospitals, one for each --data of training."""
    folder = Path(folder)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)  # zipfile takes away what would lead out of the folder
    return sorted(p for p in folder.iterdir() if (p / MANIFEST_NAME).is_file())


def _encoded(pixels: np.ndarray, side: int, format_: str, **how: Any) -> bytes:
    image = Image.fromarray(pixels)
    scale = max(side / max(image.size), MIN_SIDE_PX / min(image.size))  # smaller ones would not be read again
    if scale < 1:
        width, height = (max(1, round(length * scale)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BOX if format_ == "PNG" else Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, format_, **how)
    return content.getvalue()
