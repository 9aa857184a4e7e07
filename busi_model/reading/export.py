"""Corrected cases leave in BUSI's layout, so that the next model can learn from them.

Enters: final reads of sessions, and quick feedback whose picture may be kept. Leaves: class folders with `name.png`
and `name_mask.png`, and manifest.csv, whose source is "clinician": `train.py --data` takes such a folder for training
only.

Several readers of one picture are joined: the class that most of them gave (a tie leaves the picture out), and the
pixels that more than half of those who gave this class outlined. A reader's outline is the one they drew, or the
model's where they called it good. One picture leaves once, however many sessions showed it.
"""

import csv
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from busi_model.reading.errors import StoreError
from busi_model.reading.outline import decode_mask, encode_mask
from busi_model.reading.records import CLASS_NAMES
from busi_model.reading.store import Record, Store

SOURCE = "clinician"
MANIFEST = "manifest.csv"
MANIFEST_COLUMNS = ("image", "class", "group", "split", "fold", "scored", "source", "readers", "weights")


@dataclass(frozen=True)
class Exported:
    n_cases: int
    skipped: dict[str, int]  # why -> how many pictures


@dataclass(frozen=True)
class _Opinion:
    class_name: str
    mask: np.ndarray | None  # bool (H, W); None: the outline was called wrong and none was drawn
    weights: str


def export_cases(store: Store, folder, session_ids: Iterable[str] | None = None) -> Exported:
    """Write all corrected cases into a new folder; session_ids None: of all sessions, and of quick feedback."""
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise StoreError("The folder of the export is not empty. Name a new one; nothing was written.")
    rows, skipped = [], Counter()
    try:
        for class_name in CLASS_NAMES:
            (folder / class_name).mkdir(parents=True, exist_ok=True)
        for sha256, opinions in sorted(_opinions(store, session_ids).items()):
            joined = _join(opinions) if store.image_path(sha256).is_file() else "the picture is gone"
            if isinstance(joined, str):
                skipped[joined] += 1
                continue
            class_name, mask = joined
            name = f"{SOURCE}_{sha256[:16]}"
            shutil.copyfile(store.image_path(sha256), folder / class_name / f"{name}.png")
            (folder / class_name / f"{name}_mask.png").write_bytes(encode_mask(mask))
            weights = " ".join(sorted({opinion.weights for opinion in opinions}))
            rows.append((f"{name}.png", class_name, name, "training", "", 0, SOURCE, len(opinions), weights))
        with open(folder / MANIFEST, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([MANIFEST_COLUMNS, *rows])
    except OSError as error:
        raise StoreError(
            f"The export cannot be written ({error.strerror}). Free some space, then try again."
        ) from error
    return Exported(len(rows), dict(skipped))


def _opinions(store, session_ids) -> dict[str, list[_Opinion]]:
    """Pictures -> what was finally said of each."""
    found: dict[str, list[_Opinion]] = {}
    wanted = None if session_ids is None else set(session_ids)
    records = store.records("kind IN ('reveal', 'final', 'feedback')")
    reveals = {(r.reader_id, r.case_number): r for r in records if r.kind == "reveal"}
    for record in records:
        if record.kind == "final" and (wanted is None or record.session_id in wanted):
            model_mask = reveals[record.reader_id, record.case_number].model_mask_png
            opinion = _Opinion(record.content["class_name"], _mask(record, model_mask), record.weights_sha256)
        elif record.kind == "feedback" and record.image_kept and wanted is None:
            class_name = record.content["own_class"]
            if record.content["verdict"] == "agree" and class_name is None:
                class_name = record.content["model"]["class_name"]
            if class_name is None:
                continue  # unsure, or disagreed without saying what it is
            opinion = _Opinion(class_name, _mask(record, record.model_mask_png), record.weights_sha256)
        else:
            continue
        found.setdefault(record.image_sha256, []).append(opinion)
    return found


def _mask(record: Record, model_mask_png) -> np.ndarray | None:
    verdict = record.content["outline_verdict"]
    if record.mask_png is not None:
        return decode_mask(record.mask_png)
    if verdict == "good":
        return decode_mask(model_mask_png)
    if verdict == "nothing_there":
        return np.zeros_like(decode_mask(model_mask_png))
    return None


def _join(opinions: list[_Opinion]) -> tuple[str, np.ndarray] | str:
    """Opinions on one picture -> class and mask, or why there is none."""
    ranked = Counter(opinion.class_name for opinion in opinions).most_common()
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return "the readers are divided on the class"
    class_name = ranked[0][0]
    masks = [o.mask for o in opinions if o.class_name == class_name and o.mask is not None]
    if class_name == "normal" and not masks:
        return "called normal, but the model's outline was not judged"
    if not masks:
        return "the outline was called wrong and none was drawn"
    mask = 2 * np.sum(masks, axis=0) > len(masks)  # bool (H, W)
    if class_name == "normal" and mask.any():
        return "called normal, but a lesion is outlined"
    if class_name != "normal" and not mask.any():
        return f"called {class_name}, but no lesion is outlined"
    return class_name, mask
