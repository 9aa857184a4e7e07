"""Pictures as `OodDetector` sees them: of a hospital, of what is no ultrasound, of other organs, through one network.

Enters: a Predictor, cases, pictures of `not_ultrasound`. Leaves: `Inputs`, and for a network that never saw a hospital
`LeftOut`.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
from tqdm import tqdm

from busi_model.image import read_image
from busi_model.model.ood import ood_inputs
from busi_model.predict import Predictor
from busi_model.training.data.cases import Case
from busi_model.training.ood.not_ultrasound import Picture, other_ultrasound, pictures

IMAGES = 200  # of each hospital that is fitted on: three of them are enough for 64 components
OWN_IMAGES = 400  # of the hospital left out: four are beyond the quantile
BATCH = 8  # pictures in one pass of the network
GROUPS_IN_FILES = ("strangers", "other_organs")  # of a run, also of an earlier version's


@dataclass(frozen=True)
class Inputs:
    """Pictures as `OodDetector` sees them through one network, and where they come from."""

    kinds: np.ndarray  # str (N,)
    sources: np.ndarray  # str (N,): pictures of one source are no independent evidence
    names: np.ndarray  # str (N,)
    inputs: np.ndarray  # float32 (N, D + 77), of `ood_inputs`

    def where(self, chosen: np.ndarray) -> "Inputs":
        """The pictures for which `chosen`, bool (N,), is true."""
        return Inputs(*(getattr(self, f.name)[chosen] for f in dataclasses.fields(self)))


@dataclass(frozen=True)
class LeftOut:
    """One hospital left out, and all else, through a network that never saw that hospital."""

    hospital: str
    own: np.ndarray  # (M, D + 77), its images
    others: dict[str, np.ndarray]  # images of each hospital that the network was trained on
    no_ultrasound: Inputs
    other_organs: Inputs

    def write(self, path: Path | str | IO[bytes]) -> None:
        """As one NumPy file (.npz), to be read again by `read`."""
        groups = dict(zip(GROUPS_IN_FILES, (self.no_ultrasound, self.other_organs), strict=True))
        arrays = {f"{group}/{f}": a for group, inputs in groups.items() for f, a in vars(inputs).items()}
        arrays |= {f"others/{name}": a for name, a in self.others.items()}
        np.savez(path, hospital=self.hospital, own=self.own, **arrays)

    @classmethod
    def read(cls, path: Path | str) -> "LeftOut":
        with np.load(path) as file:
            parts = {name: file[name] for name in file.files}
        others = {name.removeprefix("others/"): a for name, a in parts.items() if name.startswith("others/")}
        groups = (
            Inputs(*(parts[f"{group}/{f.name}"] for f in dataclasses.fields(Inputs))) for group in GROUPS_IN_FILES
        )
        return cls(str(parts["hospital"]), parts["own"], others, *groups)


def left_out_inputs(
    predictor: Predictor, hospital: str, own: list[Case], others: dict[str, list[Case]], seed: int = 0
) -> LeftOut:
    """predictor: a network that never saw this hospital. own: the hospital's cases. others: cases that the network was
    trained on, by hospital. Two to four minutes on one core."""
    of_others = {name: case_inputs(predictor, cases, IMAGES) for name, cases in others.items()}
    no_ultrasound, organs = no_ultrasound_inputs(predictor, seed), picture_inputs(predictor, other_ultrasound())
    return LeftOut(hospital, case_inputs(predictor, own, OWN_IMAGES), of_others, no_ultrasound, organs)


def case_inputs(predictor: Predictor, cases: list[Case], most: int | None = None, seed: int = 0) -> np.ndarray:
    """Cases -> (N, D + 77); of more than `most`, so many drawn by chance. Raises CaseError."""
    chosen = np.random.default_rng(seed).permutation(len(cases))[:most]
    return _inputs(predictor, tqdm((cases[i].read()[0].gray for i in chosen), "images", len(chosen), leave=False))


def no_ultrasound_inputs(predictor: Predictor, seed: int = 0) -> Inputs:
    """All of `not_ultrasound` but the blank ones, which `Predictor` knows by themselves."""
    return picture_inputs(predictor, (s for s in gray_pictures(seed) if s.kind != "blank"))


@lru_cache(maxsize=1)
def gray_pictures(seed: int = 0) -> tuple[Picture, ...]:
    """All of `not_ultrasound` in gray, drawn once for all networks of a study: ten seconds, 150 MB."""
    return tuple(dataclasses.replace(s, pixels=read_image(np.ascontiguousarray(s.pixels)).gray) for s in pictures(seed))


def picture_inputs(predictor: Predictor, pictures: Iterable[Picture]) -> Inputs:
    """pictures: in gray, uint8 (H, W)."""
    known: list[tuple[str, str, str]] = []

    def grays() -> Iterator[np.ndarray]:
        for picture in tqdm(pictures, "pictures", leave=False):
            known.append((picture.kind, picture.source, picture.name))
            yield picture.pixels

    inputs = _inputs(predictor, grays())
    kinds, sources, names = map(np.array, zip(*known, strict=True))
    return Inputs(kinds, sources, names, inputs)


def _inputs(predictor: Predictor, grays: Iterable[np.ndarray]) -> np.ndarray:
    found: list[np.ndarray] = []
    waiting = iter(grays)
    while some := list(islice(waiting, BATCH)):
        features = predictor.logits(some)[2]
        found += [ood_inputs(f, gray) for f, gray in zip(features, some, strict=True)]
    return np.stack(found)
