"""A mask becomes outlines that a hand can move: few points, hundredths of a pixel, as edit.js keeps them."""

from collections.abc import Iterable

import numpy as np
from skimage.measure import approximate_polygon

from busi_model.clinic.view import outlines_xy

TOLERANCE_PX = 0.75  # how far a thinned outline may leave the model's: below what a hand can place
TOLERANCE_SHARE = 1 / 600  # the same for a large picture, as a share of its longer side


def model_polygons(mask: np.ndarray) -> list[list[list[float]]]:
    """Bool (H, W) -> outlines for the editor, largest first: those of `outlines_xy`, not closed, and thinned.

    A marching-squares outline has a point for each pixel it passes, too many to drag. Thinning after Douglas & Peucker
    (1973) keeps every dropped point within TOLERANCE_PX (TOLERANCE_SHARE) of the line.
    """
    tolerance_px = max(TOLERANCE_PX, TOLERANCE_SHARE * max(mask.shape))
    thinned = [approximate_polygon(outline, tolerance_px)[:-1] for outline in outlines_xy(mask)]
    return [plain(points) for points in thinned if len(points) >= 3]


def plain(points_xy: Iterable[Iterable[float]]) -> list[list[float]]:
    """Points (K, 2) as lists, to hundredths of a pixel: an untouched outline comes back equal."""
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points_xy]
