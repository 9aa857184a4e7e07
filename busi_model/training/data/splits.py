"""Which cases a network is trained on, which are held out, and which count in figures.

Enters: hospitals. Leaves: `Part`s, what one network of a study is trained on and what it never sees; the cases of a
split, and why others do not count; the split as a table, and as a manifest for `--manifest`.
"""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from busi_model.names import CLASS_NAMES, CLINICIAN, MANIFEST_COLUMNS
from busi_model.training.data.cases import N_FOLDS, Case, CaseError, Hospital
from busi_model.training.data.near_duplicates import without_twins
from busi_model.training.fitting.recipe import RunError


@dataclass(frozen=True)
class Part:
    """What one network learns from, and what it never sees."""

    name: str  # of its run folder: "fold0", "BUSI", or "" for the study's own
    training: list[Case]
    held_out: list[list[Case]]  # scored cases, one list a hospital; empty: nothing is held out


def by_fold(
    hospitals: list[Hospital], folds: Iterable[int] = range(N_FOLDS), of: list[str] | None = None
) -> list[Part]:
    """Each fold held out, at home: of all hospitals, or of those that are named; the others are trained on in full."""
    names = [h.name for h in hospitals if h.name != CLINICIAN]
    if unknown := [name for name in of or () if name not in names]:
        raise RunError(f"--hold-out-of names {', '.join(unknown)}; {', '.join(names)} are given by --data.")
    return [_part(hospitals, f"fold{fold}", partial(_is_of, of or names, fold)) for fold in folds]


def by_hospital(hospitals: list[Hospital]) -> list[Part]:
    """Each hospital held out: abroad. Corrected cases have no truth of their own and are never held out."""
    names = [h.name for h in hospitals if h.name != CLINICIAN]
    if len(names) < 2:
        raise RunError(f"--leave-one-out needs two hospitals at least; {len(names)} given. Name more with --data.")
    return [_part(hospitals, name, partial(_is_of, [name], None)) for name in names]


def everything(hospitals: list[Hospital]) -> list[Part]:
    """Nothing held out but what is reserved: the release."""
    return [_part(hospitals, "", lambda case: False)]


def _is_of(hospitals: list[str], fold: int | None, case: Case) -> bool:
    """fold: None for any."""
    return case.hospital in hospitals and fold in (None, case.fold)


def _part(hospitals: list[Hospital], name: str, is_held_out: Callable[[Case], bool]) -> Part:
    training: list[Case] = []
    corrected: list[Case] = []
    kept_away: list[Case] = []
    held_out: list[list[Case]] = []
    for hospital in hospitals:
        own = [c for c in hospital.cases if c.split == "development" and is_held_out(c)]
        kept_away += own + [c for c in hospital.cases if c.split == "test"]
        training += [c for c in hospital.cases if c.split == "development" and not is_held_out(c)]
        corrected += [c for c in hospital.cases if c.split == "training"]
        if scored := [c for c in own if c.scored]:
            held_out.append(scored)
    kept = without_twins(corrected, kept_away)
    if len(kept) < len(corrected):
        print(f"{len(corrected) - len(kept)} corrected cases left out: they show nearly the picture of a held-out one.")
    return Part(name, training + kept, held_out)


def check_parts(parts: list[Part], learns_class: bool = True, judged: bool = True) -> None:
    """Find before training what would otherwise show after hours: a part without training images or, where it is to be
    judged, without held-out ones. Prints which class a network will not know. Raises RunError."""
    for part in parts:
        name = part.name or "all"
        if not part.training:
            raise RunError(f"{name}: the training split holds no images. Look at the table of what was found.")
        if judged and not part.held_out:
            raise RunError(f"{name}: no scored image is held out, so nothing could be judged. Is the fold empty?")
        absent = [c for c in CLASS_NAMES if not any(case.class_name == c for case in part.training)]
        if len(absent) == len(CLASS_NAMES) - 1 and learns_class:
            [only] = set(CLASS_NAMES) - set(absent)
            raise RunError(
                f"{name}: all {len(part.training)} training images are {only}, so no class can be told from another. "
                f"Add images of {' or '.join(absent)}, or give --class-loss 0 to learn the outline only."
            )
        if absent:
            print(f"{name}: no {' and no '.join(absent)} image to learn from; the network will not know the class.")
        tested = {case.class_name for cases in part.held_out for case in cases}
        if tested and (unseen := [c for c in CLASS_NAMES if c not in tested]):
            print(f"{name}: no {' and no '.join(unseen)} image is held out; figures of the class stay undefined.")


def choose_split(hospital: Hospital, split: str) -> tuple[list[Case], dict[str, list[str]]]:
    """Cases that count in figures, and why others do not -> their names. split: "fold0" to "fold4", "development",
    "test" (what is reserved) or "all". Raises CaseError."""
    if split not in ("all", "development", "test", *(f"fold{k}" for k in range(N_FOLDS))):
        raise CaseError(f"The split is {split!r}; fold0 to fold{N_FOLDS - 1}, development, test or all is expected.")
    within = [c for c in hospital.cases if split in ("all", c.split, f"fold{c.fold}")]
    chosen = [c for c in within if c.scored]
    if not chosen:
        raise CaseError(f"{hospital.name} holds no scored images of split {split!r}.")
    repeats = [c.case_id for c in within if not c.scored]
    repeated = {"repeats of a picture or lesion, or views that are not scored": repeats} if repeats else {}
    return chosen, hospital.left_out | repeated


def found_table(hospitals: list[Hospital]) -> list[str]:
    """Lines for the terminal: how many images of which class lie in which part of which hospital."""
    rows: list[tuple[str | int, ...]] = [("hospital", "part", *CLASS_NAMES, "all", "scored")]
    for hospital in hospitals:
        parts = {f"fold {k}": [c for c in hospital.cases if c.fold == k] for k in range(N_FOLDS)}
        parts["reserved"] = [c for c in hospital.cases if c.split == "test"]
        parts["corrected"] = [c for c in hospital.cases if c.split == "training"]
        for name, cases in parts.items():
            if cases:
                counts = [sum(c.class_name == class_name for c in cases) for class_name in CLASS_NAMES]
                rows.append((hospital.name, name, *counts, len(cases), sum(c.scored for c in cases)))
    widths = [max(len(str(row[k])) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(
            str(v).ljust(w) if k < 2 else str(v).rjust(w) for k, (v, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def write_manifest(cases: list[Case], path: Path | str) -> None:
    """Write the split in the form that `find_hospital(manifest=...)` reads."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(MANIFEST_COLUMNS)
        for c in cases:
            writer.writerow(
                [f"{c.class_name}/{c.image_path.name}", c.class_name, c.group, c.split, c.fold, int(c.scored)]
            )
