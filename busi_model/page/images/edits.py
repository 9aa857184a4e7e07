"""What a user does to an open picture by hand: edits an outline, cuts out a part to be judged as a picture of its own,
marks a known length, which gives a picture the millimetres that its file does not.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from busi_model.clinic.view import regions
from busi_model.frame import PLAUSIBLE_MM, Box, Frame, ImageError, check_size, is_plausible, square_steps
from busi_model.page import strings
from busi_model.reading.outline import rasterise, repair

BYTES_PER_POINT = 250  # a list of two numbers, here and as the browser's page had it last
SHORTEST_PX = 10  # of a marked length
LENGTHS_MM = (1, 500)  # what it may stand for

Corners = tuple[int, int, int, int]  # of a part: x0, y0, x1, y1 in frame pixels, ends not included


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """An outline that the user edited."""

    polygons: list[list[list[float]]]  # their points [x, y], frame pixels, as they were drawn; none: no lesion
    mask: np.ndarray  # bool (H, W), the same filled

    @classmethod
    def repaired(cls, polygons: Any, width: int, height: int) -> "tuple[Drawn, str]":
        """polygons: what the browser sent; lists of (x, y) are expected. Returns with it what was repaired, in
        words, or "". Raises OutlineError."""
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
            mask[region.place] |= region.filled
    return mask


def corners_of(box: Any) -> Corners | None:
    """A box as the browser sends it; None for what is none."""
    if not (isinstance(box, list) and len(box) == 4 and all(isinstance(edge, int) for edge in box)):
        return None
    x0, y0, x1, y1 = box
    return x0, y0, x1, y1


def part_of(frame: Frame, corners: Corners) -> Frame:
    """What the file says of the whole holds for the part too. Raises ImageError."""
    height, width = frame.gray.shape
    x0, y0, x1, y1 = corners
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ImageError(strings.CROP_OUTSIDE.format(x0=x0, y0=y0, x1=x1, y1=y1, width=width, height=height))
    check_size(x1 - x0, y1 - y0)
    scan_regions = tuple(part for region in frame.scan_regions if (part := _within(region, corners)))
    gray = np.ascontiguousarray(frame.gray[y0:y1, x0:x1]).copy()
    return dataclasses.replace(frame, gray=gray, scan_regions=scan_regions)


def _within(region: Box, corners: Corners) -> Box | None:
    """The region as it lies in the part, or None."""
    x0, y0, x1, y1 = corners
    top, bottom = max(region.top, y0) - y0, min(region.bottom, y1) - y0
    left, right = max(region.left, x0) - x0, min(region.right, x1) - x0
    return Box(top, left, bottom, right) if top < bottom and left < right else None


def marked_spacing(
    frame: Frame, start_xy: Sequence[float], end_xy: Sequence[float], length_mm: float
) -> tuple[float, float]:
    """Two points in frame pixels and what lies between them -> (row, column) millimetres a pixel; it is square if the
    file says nothing. Raises ValueError."""
    row, column = square_steps(frame.pixel_aspect)
    length_px = float(np.hypot(column * (end_xy[0] - start_xy[0]), row * (end_xy[1] - start_xy[1])))
    if not length_px >= SHORTEST_PX:
        raise ValueError(strings.SCALE_SHORT.format(length=length_px))
    if not LENGTHS_MM[0] <= length_mm <= LENGTHS_MM[1]:
        raise ValueError(strings.SCALE_LENGTH.format(length=length_mm))
    spacing_mm = (row * length_mm / length_px, column * length_mm / length_px)
    if not is_plausible(spacing_mm):
        low, high = PLAUSIBLE_MM
        raise ValueError(strings.SCALE_IMPLAUSIBLE.format(found=spacing_mm[0], low=low, high=high))
    return spacing_mm
