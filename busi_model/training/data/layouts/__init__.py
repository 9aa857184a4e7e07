"""A folder of images becomes a `Hospital`: what to read, what it shows, on which side of a split it may lie.

A module for each published layout; `find_hospital` knows which folder is which. Whatever the layout, one rule splits
it: images of a patient, or that are nearly the same, share a group; a group lies in one of the folds 0-4, or in "test",
where it is neither trained on nor used to choose anything. The published lists in this package (BUSI's manifest,
hospitals.csv) and BUS-BRA's own folds decide, even where a download holds images that we never had.
"""

from collections.abc import Iterable
from pathlib import Path

from busi_model.names import CLINICIAN
from busi_model.training.data.cases import Case, CaseError, Hospital, together
from busi_model.training.data.layouts import breast, bus_bra, bus_uclm, busi, corrected


def find_hospital(folder: Path | str, manifest: Path | str | None = None, needs_outlines: bool = True) -> Hospital:
    """All cases in a folder in a published layout, or exported from reading sessions, in a fixed order.

    manifest: CSV with the columns image, class, group, split, fold, scored, for class folders only (benign/,
    malignant/, normal/). Without one BUSI itself is recognised and split by the manifest that ships with this
    package; in any other class folders near-duplicates are found and kept together. needs_outlines: False takes
    lesions in class folders without a mask, too (`Case.outlined`). Raises CaseError.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaseError(f"{folder} is not a folder. Name the folder that holds benign/, malignant/ and normal/.")
    for layout in (bus_bra, bus_uclm, breast, corrected):
        if layout.recognises(folder):
            if manifest:
                raise CaseError(f"{folder.name} brings its own split; leave the manifest out.")
            return layout.find(folder)
    return busi.find(folder, Path(manifest) if manifest else None, needs_outlines)


def find_hospitals(
    folders: Iterable[Path | str], manifest: Path | str | None = None, needs_outlines: bool = True
) -> list[Hospital]:
    """One hospital a folder; corrected cases may come in several folders. manifest: of the first folder.
    needs_outlines: as for `find_hospital`. Raises CaseError, also when two folders hold the same hospital, or none
    holds a published case."""
    hospitals, problems = [], []
    for i, folder in enumerate(folders):
        try:
            hospitals.append(find_hospital(folder, manifest if i == 0 else None, needs_outlines))
        except CaseError as error:
            problems.append(str(error))
    if problems:
        raise together(problems)
    names = [hospital.name for hospital in hospitals if hospital.name != CLINICIAN]
    if not names:
        raise CaseError("Only corrected cases were given. Name the data of a hospital with --data as well.")
    if double := {name for name in names if names.count(name) > 1}:
        raise CaseError(
            f"Two folders are both {sorted(double)[0]}. Name each hospital once, or rename one of the folders."
        )
    return hospitals


def find_cases(folder: Path | str, manifest: Path | str | None = None) -> list[Case]:
    """The cases of `find_hospital`."""
    return find_hospital(folder, manifest).cases
