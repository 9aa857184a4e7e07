"""Where in a frame echoes are: what lies outside is margin, text or a gray scale, and says nothing of tissue.

Enters: gray uint8 (H, W), and the scan regions where a DICOM file gives them. Leaves: bool (H, W). `banner` asks the
opposite question with more care, since a wrong answer there takes pixels away; here it only hides a colour.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.morphology import convex_hull_image

from busi_model.frame import Box

TOLERANCE = 6  # gray levels round the margin's own: JPEG leaves ripples of a few
WORD_SHARE = 1 / 60  # of the shorter side: thinner things, such as letters and lines, are no scan


def scan_area(gray: np.ndarray, scan_regions: Sequence[Box] = ()) -> np.ndarray:
    """Gray uint8 (H, W) -> bool (H, W): the scan regions (`Frame.scan_regions`), or the hull of the largest thing that
    stands out from the margin; everything when nothing does."""
    area = np.zeros(gray.shape, bool)
    for box in scan_regions:
        area[box.top : box.bottom, box.left : box.right] = True
    if area.any():
        return area
    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    margin = int(np.bincount(border).argmax())
    bright = np.abs(gray.astype(np.int16) - margin) > TOLERANCE
    side = max(3, round(min(gray.shape) * WORD_SHARE))
    solid = ndimage.uniform_filter(bright.astype(np.float32), 2 * side + 1) > 0.5
    pieces, count = ndimage.label(solid)
    if not count:
        return np.ones(gray.shape, bool)
    largest = np.bincount(pieces.ravel())[1:].argmax() + 1
    return convex_hull_image(pieces == largest)
