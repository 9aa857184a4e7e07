"""Cases become an image set: every picture read once and kept in memory as the network's square."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from tqdm import tqdm

from busi_model.model.preprocess import Preprocess
from busi_model.training.data.cases import Case
from busi_model.training.fitting import distributed
from busi_model.training.fitting.loss import label_numbers


@dataclass(frozen=True)
class ImageSet:
    """Letterboxed pictures in memory: about 0.13 MB a case at 256 px."""

    cases: list[Case]
    images: Tensor  # uint8 (N, S, S)
    masks: Tensor  # uint8 (N, S, S), 255 times coverage
    labels: Tensor  # int64 (N,)

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def hospitals(self) -> list[str]:
        """Names, in the order in which their cases come."""
        return list(dict.fromkeys(case.hospital for case in self.cases))

    @property
    def hospital_numbers(self) -> Tensor:
        """int64 (N,): the place of each case's hospital in `hospitals`."""
        names = self.hospitals
        return torch.tensor([names.index(case.hospital) for case in self.cases], dtype=torch.int64)

    def part(self, chosen: ArrayLike) -> "ImageSet":
        """The images at these indices."""
        chosen = np.asarray(chosen, int)
        tensors = (t[torch.from_numpy(chosen)] for t in (self.images, self.masks, self.labels))
        return ImageSet([self.cases[i] for i in chosen], *tensors)


def load_images(cases: list[Case], preprocess: Preprocess, name: str) -> ImageSet:
    """Read every case once. Raises CaseError for the first that cannot be used."""
    images = torch.zeros(len(cases), preprocess.size, preprocess.size, dtype=torch.uint8)
    masks = torch.zeros_like(images)
    silent = not (cases and distributed.is_first())
    for i, case in enumerate(tqdm(cases, desc=f"reading {name}", unit="image", leave=False, disable=silent)):
        frame, mask = case.read()
        images[i] = torch.from_numpy(preprocess.square(frame.gray))
        masks[i] = torch.from_numpy(preprocess.square_mask(mask))
    return ImageSet(cases, images, masks, label_numbers(c.class_name for c in cases))
