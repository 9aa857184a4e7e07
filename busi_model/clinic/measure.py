"""The outlined lesions become measurements, one record a lesion.

Enters: bool mask (H, W) and, where they are known, the margin band (H, W) and the spacing of the frame. Leaves:
`Lesion` records in pixels always and in millimetres only with a spacing. Rows and columns may have different
spacings; then every length, and the choice of the axes themselves, is made in millimetres. Where pixels are not square,
a `_px` is the shorter side of one, so that lengths and areas are in true proportion; outlines stay in the frame's own.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

from busi_model.clinic.view import Region, bounding_box, regions
from busi_model.frame import is_plausible, square_steps

LOG = logging.getLogger(__name__)
CHORDS = 255  # perpendicular chords that are tried along the longest axis
SMOOTHING_POINTS = 2.0  # of the outline before its length is taken: a staircase is up to 8 % longer than the curve


@dataclass(frozen=True, eq=False)  # == on the arrays would raise
class Lesion:
    """One lesion of a frame. `_mm` values are None without a spacing."""

    number: int  # from 1, the largest first, as `outlines_xy` and the overlay number them
    outline_xy: np.ndarray  # float (K, 2), closed, frame pixels
    longest_axis_xy: np.ndarray  # float (2, 2): its two ends, frame pixels
    perpendicular_axis_xy: np.ndarray  # float (2, 2)
    area_px2: float
    longest_axis_px: float
    perpendicular_axis_px: float
    width_px: float  # along the rows of the image
    height_px: float  # along its columns, which is the direction of depth
    top_px: float  # from the upper edge of the image to the lesion
    circularity: float  # 4 pi area / perimeter^2 (Cox 1927): 1 for a disc
    margin_px: float | None  # the contour could lie this far to either side, on average; None: not measured
    area_mm2: float | None = None
    longest_axis_mm: float | None = None
    perpendicular_axis_mm: float | None = None
    width_mm: float | None = None
    height_mm: float | None = None
    top_mm: float | None = None
    margin_mm: float | None = None

    @property
    def taller_than_wide(self) -> bool:
        """BI-RADS' "not parallel": larger along the depth than across, in millimetres when they are known."""
        if self.height_mm is not None and self.width_mm is not None:
            return self.height_mm > self.width_mm
        return self.height_px > self.width_px

    @property
    def is_measured(self) -> bool:
        """Whether its lengths say anything: not where the contour may lie off by half of its shorter axis, so that the
        two borders could meet."""
        return self.margin_px is None or self.margin_px < self.perpendicular_axis_px / 2


def measure_lesions(
    mask: np.ndarray,
    margin: np.ndarray | None = None,
    spacing_mm: tuple[float, float] | None = None,
    pixel_aspect: float = 1.0,
) -> list[Lesion]:
    """Bool mask (H, W) -> one record a lesion, the largest first.

    margin: bool (H, W), the band of `Prediction.margin`; empty or None gives margin_px None. spacing_mm: (row,
    column) millimetres a pixel, or None; one that no ultrasound has counts as None. pixel_aspect: `Frame.pixel_aspect`.
    A lesion that cannot be measured is left out and the others stay. Raises ValueError for sizes that differ or a
    spacing that is not positive.
    """
    if margin is not None and margin.shape != mask.shape:
        raise ValueError(f"The margin band is {margin.shape} and its mask {mask.shape}; give both in the same frame.")
    if spacing_mm is not None and not (np.isfinite(spacing_mm).all() and min(spacing_mm) > 0):
        raise ValueError(f"The spacing is {spacing_mm}; two positive numbers of millimetres a pixel are expected.")
    if spacing_mm is not None and not is_plausible(spacing_mm):
        spacing_mm = None  # `image` says so
    rows, columns = place = bounding_box(mask if margin is None else mask | margin)
    mask, margin = mask[place], None if margin is None else margin[place]
    found = regions(mask)
    bands_px2 = _band_areas_px2(mask, margin, found)
    steps = {"px": square_steps(pixel_aspect)}
    if spacing_mm is not None:
        steps["mm"] = spacing_mm  # the last of them decides on axes and shape
    scales_xy = {unit: np.array([column, row]) for unit, (row, column) in steps.items()}
    lesions = []
    for number, region in enumerate(found, start=1):
        outline = region.outline_xy() + (columns.start, rows.start)
        top = rows.start + region.top
        try:
            longest, perpendicular = axes_xy(outline, scales_xy["mm" if spacing_mm else "px"])
        except Exception:  # the result and the other lesions must not go with it
            LOG.exception("A lesion could not be measured.")
            continue
        height, width = region.filled.shape
        n_pixels = float(region.filled.sum())
        band_px2 = bands_px2[number - 1]
        sizes: dict[str, Any] = {}  # only margins can be None
        for unit, (row, column) in steps.items():
            scale = scales_xy[unit]
            perimeter = _perimeter(outline * scale)
            sizes |= {
                f"area_{unit}2": n_pixels * row * column,
                f"longest_axis_{unit}": _length(longest * scale),
                f"perpendicular_axis_{unit}": _length(perpendicular * scale),
                f"width_{unit}": width * column,
                f"height_{unit}": height * row,
                f"top_{unit}": top * row,
                f"margin_{unit}": band_px2 * row * column / (2 * perimeter) if band_px2 else None,
            }
        # A handful of pixels is rounder than the formula allows: its outline cuts the corners.
        circularity = min(1.0, float(4 * np.pi * n_pixels * row * column / perimeter**2))
        lesions.append(Lesion(number, outline, longest, perpendicular, circularity=circularity, **sizes))
    return lesions


def axes_xy(outline: np.ndarray, scale_xy: Sequence[float] | np.ndarray = (1.0, 1.0)) -> tuple[np.ndarray, np.ndarray]:
    """Closed outline (K, 2) -> the ends (2, 2) of its longest axis and of the widest chord perpendicular to it.

    scale_xy: millimetres a pixel along x and y; the axes are the longest and the perpendicular one after scaling. The
    longest axis is the maximum Feret diameter; a chord runs from the outermost point on one side to that on the other.
    """
    scale = np.asarray(scale_xy, float)
    points = outline * scale
    hull = points[ConvexHull(points[:-1]).vertices]
    distances = squareform(pdist(hull))
    start, end = hull[list(np.unravel_index(distances.argmax(), distances.shape))]
    along = (end - start) / np.linalg.norm(end - start)
    across = np.array([-along[1], along[0]])
    t, s = (points - start) @ along, (points - start) @ across  # (K,): position along and across the axis
    positions = np.linspace(0, t.max(), CHORDS + 2)[1:-1, None]
    t0, t1, s0, s1 = t[:-1], t[1:], s[:-1], s[1:]
    crosses = (np.minimum(t0, t1) <= positions) & (positions <= np.maximum(t0, t1)) & (t0 != t1)  # (CHORDS, K - 1)
    share = (positions - t0) / np.where(t0 == t1, 1.0, t1 - t0)
    heights = s0 + share * (s1 - s0)
    low = np.where(crosses, heights, np.inf).min(axis=1)
    high = np.where(crosses, heights, -np.inf).max(axis=1)
    best = (high - low).argmax()
    foot = start + positions[best] * along
    chord = np.array([foot + low[best] * across, foot + high[best] * across])
    return np.array([start, end]) / scale, chord / scale


def _length(ends: np.ndarray) -> float:
    return float(np.linalg.norm(ends[1] - ends[0]))


def _perimeter(outline: np.ndarray) -> float:
    smooth = gaussian_filter1d(outline[:-1], SMOOTHING_POINTS, axis=0, mode="wrap")
    return float(np.linalg.norm(np.diff(smooth, axis=0, append=smooth[:1]), axis=1).sum())


def _band_areas_px2(mask: np.ndarray, margin: np.ndarray | None, found: list[Region]) -> list[int]:
    """Pixels of the margin band that belong to each lesion: those joined to it, and to the nearest of several."""
    if margin is None or not margin.any():
        return [0] * len(found)
    pieces, _ = ndimage.label(mask | margin)
    owners = [int(pieces[region.top, region.left + region.filled[0].argmax()]) for region in found]
    boxes = ndimage.find_objects(pieces)
    areas = []
    for number, owner in enumerate(owners):
        box = boxes[owner - 1]
        piece = pieces[box] == owner
        band = margin[box] & piece
        if owners.count(owner) > 1:
            own = [region if its_owner == owner else None for region, its_owner in zip(found, owners, strict=True)]
            band &= _nearest(own, mask[box] & piece, box) == number
        areas.append(int(band.sum()))
    return areas


def _nearest(regions: list[Region | None], lesions: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
    """Index of the nearest region for each pixel of a box. regions: None for those that do not count, the largest
    first. lesions: bool, the pixels of those that do."""
    numbers = np.full(lesions.shape, -1, np.int32)
    for number, region in enumerate(regions):
        if region is not None:
            top, left = region.top - box[0].start, region.left - box[1].start
            height, width = region.filled.shape
            numbers[top : top + height, left : left + width][region.filled] = number  # a hole's own lesion comes later
    numbers[~lesions] = -1
    rows, columns = ndimage.distance_transform_edt(numbers < 0, return_distances=False, return_indices=True)
    return numbers[rows, columns]
