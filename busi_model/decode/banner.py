"""Text and signs beside the scan are blanked, before pixels are stored or exported: a banner may name the patient.

Enters: gray uint8 (H, W), and the scan regions where a DICOM file gives them. Leaves: the same picture with its
margins empty, and a mask of what was removed. Where there are regions, everything outside them is blanked. Without
regions, and inside them too (some devices draw them round the whole screen), the margin is found from the pixels: it
has one constant level, which echoes never have, however dark. Whatever stands in it, bright and apart from the scan,
counts as text. When in doubt a pixel is kept: text that is dim, written across the scan (calipers, "RT 9") or within a
few pixels of it stays. The one exception: where a corner of the scan is as black as the margin, a few pixels beside
text may be lost. So this makes it less likely that a picture names a patient; it cannot rule it out.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage
from skimage.morphology import convex_hull_image

from busi_model.frame import Box, Frame, Notice, strips

TOLERANCE = 3  # gray levels round the margin's own; the ripples that JPEG leaves beside a letter are larger
MIN_CONTRAST = 72  # gray levels between the margin and the brightest pixel of a sign; echoes alone in the dark had 65
MAX_DEVIATION = 0.5  # gray levels, standard deviation round a sign; echo areas have more, margins 0, in JPEG a little
REACH_PX = 4  # a letter's soft edge, and the gap between two letters of a word
SOLID_WINDOW = 1 / 25  # of the shorter side: a window in which scan is denser than text
SOLID_SHARE = 0.65  # of that window differs from the margin
FAINT_SHARE = 0.03  # or: of that window is faint texture with nothing bright near
MIN_SCAN_SHARE = 0.04  # of the frame; a smaller dense thing is a bar, a logo or a gray scale

BLANKED = Notice("banner_blanked")


def without_banner(frame: Frame) -> Frame:
    """The frame as it may be stored or exported; notice "banner_blanked" where anything was taken."""
    gray, blanked = blank_banner(frame.gray, frame.scan_regions)
    return dataclasses.replace(frame, gray=gray, notices=(*frame.notices, BLANKED)) if blanked.any() else frame


def blank_banner(gray: np.ndarray, scan_regions: Sequence[Box] = ()) -> tuple[np.ndarray, np.ndarray]:
    """gray: uint8 (H, W). scan_regions: `Frame.scan_regions`; empty: found from the pixels alone.

    Returns a new picture, uint8 (H, W), and a bool mask (H, W) of the pixels that were changed in it.
    """
    level = _margin_level(gray)
    taken = _signs(gray, level)
    if scan_regions:
        taken |= ~_inside(gray.shape, scan_regions)
    blanked = np.where(taken, level, gray)
    return blanked, blanked != gray


def _inside(shape: tuple[int, ...], boxes: Iterable[Box]) -> np.ndarray:
    inside = np.zeros(shape, bool)
    for box in boxes:
        inside[box.top : box.bottom, box.left : box.right] = True
    return inside


def _margin_level(gray: np.ndarray) -> np.uint8:
    """The commonest level of the frame's border."""
    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    return np.uint8(np.bincount(border).argmax())


def _signs(gray: np.ndarray, level: np.uint8) -> np.ndarray:
    """Bool (H, W): what stands in the margin, with its soft edges."""
    difference = np.maximum(gray, level)  # (H, W)
    difference -= np.minimum(gray, level)
    drawn = difference > TOLERANCE
    scan = _scan(drawn, difference >= MIN_CONTRAST)
    if not scan.any():
        return scan
    near = _widened(drawn, REACH_PX)
    signs, count = ndimage.label(_widened(drawn & ~scan, REACH_PX) & ~scan)
    for number, where in enumerate(ndimage.find_objects(signs), start=1):
        around = tuple(slice(max(0, s.start - 3 * REACH_PX), s.stop + 3 * REACH_PX) for s in where)
        sign = signs[around] == number
        margin = gray[around][~near[around] & ~scan[around]]
        if (
            difference[around][sign].max() < MIN_CONTRAST
            or margin.size < sign.sum() / 4
            or margin.std() > MAX_DEVIATION
        ):
            signs[around][sign] = 0
    return (signs > 0) & _widened(difference >= MIN_CONTRAST / 2, 2 * REACH_PX)  # with JPEG's ripples, and no more


def _scan(drawn: np.ndarray, bright: np.ndarray) -> np.ndarray:
    """Bool (H, W): everything that may be scan, in hulls, so that dark places inside count as well."""
    window = max(9, round(min(drawn.shape) * SOLID_WINDOW))
    faint = drawn & ~_widened(bright, REACH_PX)
    dense = ndimage.minimum_filter(_denser(faint, window, FAINT_SHARE), window)  # without what it reached beyond
    dense |= _denser(drawn, window, SOLID_SHARE)
    labels, count = ndimage.label(dense)
    area_px2 = np.zeros(count + 1, int)
    for rows in strips(*drawn.shape):
        area_px2 += np.bincount(labels[rows].ravel(), minlength=count + 1)
    scan = np.zeros(drawn.shape, bool)
    for number in np.flatnonzero(area_px2[1:] >= MIN_SCAN_SHARE * drawn.size) + 1:
        scan |= convex_hull_image(labels == number)
    del labels
    pieces, count = ndimage.label(drawn | scan, np.ones((3, 3)))
    joined = np.zeros(count + 1, bool)  # what hangs together with scan is scan
    for rows in strips(*drawn.shape):
        joined[pieces[rows][scan[rows]]] = True
    for rows in strips(*drawn.shape):
        scan[rows] |= joined[pieces[rows]] & drawn[rows]
    return scan


def _denser(mask: np.ndarray, window: int, share: float) -> np.ndarray:
    """Bool (H, W): where more than that share of the window round a pixel is True."""
    denser = np.empty(mask.shape, bool)
    for rows in strips(*mask.shape):
        top = max(0, rows.start - window)
        shares = ndimage.uniform_filter(mask[top : rows.stop + window].astype(np.float32), window)
        denser[rows] = shares[rows.start - top : rows.stop - top] > share
    return denser


def _widened(mask: np.ndarray, by_px: int) -> np.ndarray:
    return ndimage.maximum_filter(mask, 2 * by_px + 1)
