"""An outline that the user edited, and the pixels in it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from busi_model.clinic.view import regions
from busi_model.reading.outline import rasterise, repair

BYTES_PER_POINT = 250  # a list of two numbers, here and as the browser's page had it last


@dataclass(frozen=True, eq=False)
class Drawn:
    """An outline that the user edited."""

    polygons: list[list[list[float]]]  # their points [x, y], frame pixels, as they were drawn; none: no lesion
    mask: np.ndarray  # bool (H, W), the same filled

    @classmethod
    def mended(cls, polygons: Any, width: int, height: int) -> "tuple[Drawn, str]":
        """polygons: what the browser sent; lists of (x, y) are expected. Returns with it what was mended, in words, or
        "". Raises OutlineError."""
        repaired = repair(polygons, width, height)
        points = [[list(point) for point in polygon] for polygon in repaired.polygons]
        return cls(points, _filled(points, width, height)), repaired.text

    @property
    def held_bytes(self) -> int:
        return self.mask.nbytes + BYTES_PER_POINT * sum(map(len, self.polygons))


def _filled(polygons: list[list[list[float]]], width: int, height: int) -> np.ndarray:
    """The outlines as a mask, each one region: what a spike thinner than a pixel leaves apart is no lesion."""
    mask = np.zeros((height, width), bool)
    for polygon in polygons:
        for region in regions(rasterise([[(x, y) for x, y in polygon]], width, height))[:1]:
            rows, columns = region.filled.shape
            mask[region.top : region.top + rows, region.left : region.left + columns] |= region.filled
    return mask
