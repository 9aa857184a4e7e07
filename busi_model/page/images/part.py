"""A part of a frame, cut out to be judged as a picture of its own."""

import dataclasses
from typing import Any

import numpy as np

from busi_model.frame import Box, Frame, ImageError, check_size
from busi_model.page import strings

Corners = tuple[int, int, int, int]  # x0, y0, x1, y1 in frame pixels, ends not included


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
    regions = tuple(part for region in frame.scan_regions if (part := _within(region, corners)))
    gray = np.ascontiguousarray(frame.gray[y0:y1, x0:x1]).copy()
    return dataclasses.replace(frame, gray=gray, scan_regions=regions)


def _within(region: Box, corners: Corners) -> Box | None:
    """The region as it lies in the part, or None."""
    x0, y0, x1, y1 = corners
    top, bottom = max(region.top, y0) - y0, min(region.bottom, y1) - y0
    left, right = max(region.left, x0) - x0, min(region.right, x1) - x0
    return Box(top, left, bottom, right) if top < bottom and left < right else None
