"""Millimetres of a picture whose file gives none: from a length that the user marked in it."""

from collections.abc import Sequence

import numpy as np

from busi_model.frame import PLAUSIBLE_MM, Frame, is_plausible, square_steps
from busi_model.page import strings

SHORTEST_PX = 10
LENGTHS_MM = (1, 500)


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
