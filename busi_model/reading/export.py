"""Corrected cases leave in BUSI's layout, so that the next model can learn from them.

Enters: final reads of sessions, and quick feedback whose picture may be kept. Leaves: class folders with `name.png`
and `name_mask.png`, and manifest.csv, whose source is "clinician": `train.py --data` takes such a folder for training
only.

The class is the known truth where a session has one, whatever the readers say; conflicts.csv lists who differs. Where
none is known it is what most readers gave (a tie leaves the picture out). The outline is what more than half drew of
those whose class fits: beside a known truth all who saw a lesion, else those who gave this class. A reader's outline is
the one they drew, or the model's where they called it good. "Agree" under a result that was itself uncertain is no
label. One picture leaves once, however many sessions showed it.

To calibrate by, a session's cases of known class leave apart (`export_known`), without outlines: readers drew theirs
after they had seen the model's.
"""

import csv
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from busi_model.names import CLASS_NAMES, CLINICIAN, MANIFEST_COLUMNS, MANIFEST_NAME, mask_name
from busi_model.reading import words
from busi_model.reading.errors import PictureError, StoreError
from busi_model.reading.outline import decode_mask, encode_mask
from busi_model.reading.storage.store import Record, Store

CONFLICTS = "conflicts.csv"
CONFLICT_COLUMNS = ("image", "truth", *CLASS_NAMES, "exported")
UNSURE = {"uncertain", "low_confidence", "heads_disagree"}  # codes of warnings under which "agree" says nothing
COLUMNS = (*MANIFEST_COLUMNS, "source", "readers", "weights")


@dataclass(frozen=True)
class Exported:
    n_cases: int
    skipped: dict[str, int]  # why -> how many pictures
    n_conflicts: int = 0  # pictures whose readers differ from the known truth; conflicts.csv lists them


@dataclass(frozen=True)
class _Opinion:
    class_name: str | None  # None: none that counts
    mask: np.ndarray | None  # bool (H, W); None: the outline was called wrong and none was drawn
    weights: str


def export_cases(store: Store, folder: Path | str, session_ids: Iterable[str] | None = None) -> Exported:
    """Write all corrected cases into a new folder; session_ids None: of all sessions, and of quick feedback."""
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise StoreError("export_not_empty")
    rows: list[tuple] = []
    conflicts: list[tuple] = []
    skipped: Counter[str] = Counter()
    truths = _truths(store)
    try:
        for class_name in CLASS_NAMES:
            (folder / class_name).mkdir(parents=True, exist_ok=True)
        for sha256, opinions in sorted(_opinions(store, session_ids).items()):
            name = f"{CLINICIAN}_{sha256[:16]}"
            known = truths.get(sha256, set())
            joined = _labelled(store, sha256, opinions, known)
            said = Counter(opinion.class_name for opinion in opinions if opinion.class_name)
            if len(known) > 1 or (known and set(said) - known):
                counts = (said[class_name] for class_name in CLASS_NAMES)
                exported = joined if isinstance(joined, str) else joined[0]
                conflicts.append((f"{name}.png", " / ".join(sorted(known)), *counts, exported))
            if isinstance(joined, str):
                skipped[joined] += 1
                continue
            label, mask = joined
            shutil.copyfile(store.image_path(sha256), folder / label / f"{name}.png")
            (folder / label / mask_name(name)).write_bytes(encode_mask(mask))
            weights = " ".join(sorted({opinion.weights for opinion in opinions}))
            rows.append((f"{name}.png", label, name, "training", "", 0, CLINICIAN, len(opinions), weights))
        _write(folder / MANIFEST_NAME, [COLUMNS, *rows])
        if conflicts:
            _write(folder / CONFLICTS, [CONFLICT_COLUMNS, *conflicts])
    except OSError as error:
        raise StoreError("export_not_written", reason=str(error.strerror)) from error
    return Exported(len(rows), dict(skipped), len(conflicts))


def export_known(
    store: Store, folder: Path | str, session_id: str, is_seen: Callable[[np.ndarray], bool] = lambda gray: False
) -> Exported:
    """Write a session's cases whose class is known into a new folder, `CLASS/case_NNN.png` by their numbers: what
    `busi calibrate --data FOLDER` takes. is_seen: gray uint8 (H, W) -> whether the weights have learned from it."""
    folder, skipped, taken = Path(folder), Counter[str](), set[str]()
    truths = _truths(store)
    with store.read() as connection:
        cases = connection.execute(
            "SELECT number, image_sha256, truth FROM session_case WHERE session_id = ? ORDER BY number", (session_id,)
        ).fetchall()
    try:
        for number, sha256, truth in cases:
            if sha256 in taken:
                skipped["the same picture is another case, too"] += 1
            elif why := _why_not(store, sha256, truth, truths.get(sha256, set()), is_seen):
                skipped[why] += 1
            else:
                taken.add(sha256)
                (folder / truth).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(store.image_path(sha256), folder / truth / f"case_{number:03d}.png")
    except OSError as error:
        raise StoreError("files_not_written", reason=str(error.strerror)) from error
    return Exported(len(taken), dict(skipped))


def _why_not(
    store: Store, sha256: str, truth: str | None, known: set[str], is_seen: Callable[[np.ndarray], bool]
) -> str:
    """Why a case is nothing to calibrate by; "" when it is."""
    if truth is None:
        return "their class is not known"
    if len(known) > 1:
        return "two sessions give it different truths"
    try:
        return "the weights were trained on them" if is_seen(store.picture(sha256)) else ""
    except PictureError:
        return "the picture is missing or damaged"


def _write(path: Path, rows: Iterable[Sequence]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _truths(store: Store) -> dict[str, set[str]]:
    """Pictures -> the classes that sessions know to be true of them; of all sessions, exported or not."""
    truths: dict[str, set[str]] = {}
    with store.read() as connection:
        for row in connection.execute("SELECT image_sha256, truth FROM session_case WHERE truth IS NOT NULL"):
            truths.setdefault(row["image_sha256"], set()).add(row["truth"])
    return truths


def _labelled(store: Store, sha256: str, opinions: list[_Opinion], known: set[str]) -> tuple[str, np.ndarray] | str:
    """Class and mask of a picture, or why it has none."""
    if not store.image_path(sha256).is_file():
        return words.SKIPPED["gone"]
    try:
        gray = store.picture(sha256)
    except PictureError:
        return words.SKIPPED["damaged"]
    if len(known) > 1:
        return words.SKIPPED["two_truths"]
    if known == {"normal"}:  # whatever was outlined in it is no lesion
        return "normal", np.zeros(gray.shape, bool)
    return _join(opinions, *known)


def _opinions(store: Store, session_ids: Iterable[str] | None) -> dict[str, list[_Opinion]]:
    """Pictures -> what was finally said of each."""
    found: dict[str, list[_Opinion]] = {}
    wanted = None if session_ids is None else set(session_ids)
    records = store.records("kind IN ('reveal', 'final', 'feedback')")
    reveals = {(r.reader_id, r.case_number): r for r in records if r.kind == "reveal"}
    for record in records:
        weights = record.weights_sha256 or ""
        if record.image_sha256 is None:
            continue
        if record.kind == "final" and (wanted is None or record.session_id in wanted):
            model_mask = reveals[record.reader_id, record.case_number].model_mask_png
            opinion = _Opinion(record.content["class_name"], _mask(record, model_mask), weights)
        elif record.kind == "feedback" and record.image_kept and wanted is None:
            opinion = _Opinion(_class_of(record.content), _mask(record, record.model_mask_png), weights)
        else:
            continue
        found.setdefault(record.image_sha256, []).append(opinion)
    return found


def _class_of(feedback: dict) -> str | None:
    """The class that quick feedback gives; None: unsure, disagreed without another, or agreed to an unsure model."""
    if feedback["own_class"] is not None or feedback["verdict"] != "agree":
        return feedback["own_class"]
    model = feedback["model"]
    return None if model["refused"] or UNSURE & set(model["warnings"]) else model["class_name"]


def _mask(record: Record, model_mask_png: bytes | None) -> np.ndarray | None:
    verdict = record.content["outline_verdict"]
    if record.mask_png is not None:
        return decode_mask(record.mask_png)
    if model_mask_png is None:
        return None
    if verdict == "good":
        return decode_mask(model_mask_png)
    if verdict == "nothing_there":
        return np.zeros_like(decode_mask(model_mask_png))
    return None


def _join(opinions: list[_Opinion], truth: str | None = None) -> tuple[str, np.ndarray] | str:
    """Opinions on one picture, and the lesion's class where it is known -> class and mask, or why there is none."""
    given = [opinion for opinion in opinions if opinion.class_name is not None]
    if truth is not None:
        class_name = truth
    else:
        ranked = Counter(opinion.class_name for opinion in opinions if opinion.class_name is not None).most_common()
        if not ranked:
            return words.SKIPPED["no_class"]
        if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
            return words.SKIPPED["divided"]
        class_name = ranked[0][0]
    if class_name == "normal":
        masks = [o.mask for o in given if o.class_name == class_name and o.mask is not None]
        if not masks:
            return words.SKIPPED["normal_not_judged"]
        mask = _majority(masks)
        return words.SKIPPED["normal_outlined"] if mask.any() else (class_name, mask)
    # Where the truth is known, who took a cancer for benign may still have outlined it well.
    fitting = [o for o in opinions if o.class_name == class_name or (truth is not None and o.class_name != "normal")]
    masks = [o.mask for o in fitting if o.mask is not None]
    if not masks and fitting:
        return words.SKIPPED["wrong_not_drawn"]
    if not masks:
        return words.SKIPPED["known_not_outlined"].format(class_name=class_name)
    mask = _majority(masks)
    if not mask.any():
        return words.SKIPPED["called_not_outlined"].format(class_name=class_name)
    return class_name, mask


def _majority(masks: list[np.ndarray]) -> np.ndarray:
    return 2 * np.sum(masks, axis=0) > len(masks)  # bool (H, W)
