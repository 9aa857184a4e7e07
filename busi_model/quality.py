"""What can be seen of a frame without a network: calipers and text burned into it, two pictures side by side.

Enters: gray uint8 (H, W). Leaves: yes or no; `Predictor` turns a yes into a warning. The thresholds were set on BUSI's
625 development images, whose manifest names the marked ones; tests/test_quality.py measures them again.
"""

import functools

import numpy as np
from scipy import ndimage

from busi_model.frame import strips

MARK_BRIGHT, MARK_DARK = 200, 60  # gray levels: a stroke, and tissue or background within two pixels of it
MARK_SHARE = 0.0006  # of the image's pixels: 160 of a 564 x 474 px image
MARK_LEAST_PX = 50  # in a thumbnail every speckle is crisp
GAP_DARK, GAP_BRIGHTEST = 8.0, 48  # gray levels: mean and brightest of a column that shows nothing
GAP_SHARE = 0.008  # narrowest gap, as a share of the width
GAP_PLACE = (0.4, 0.6)  # where its centre lies, as a share of the width
PICTURE_MEAN = 12.0  # gray levels: less on one side, and there is no second picture


def has_marks(gray: np.ndarray) -> bool:
    """Whether strokes as crisp as calipers or letters lie on the picture.

    No tissue goes from bright to dark within two pixels over much of a picture: ultrasound is band-limited.
    """
    padded = np.pad(gray, 2, constant_values=255)
    crisp_px = 0
    for rows in strips(*gray.shape):
        around = padded[rows.start : rows.stop + 4]
        crisp_px += ((gray[rows] >= MARK_BRIGHT) & (_darkest_within_two(around) < MARK_DARK)).sum()
    return bool(crisp_px >= max(MARK_LEAST_PX, MARK_SHARE * gray.size))


def _darkest_within_two(padded: np.ndarray) -> np.ndarray:
    """The least of the 5 x 5 pixels around each but the two outermost; ndimage.minimum_filter says the same ten times
    slower."""
    height, width = padded.shape[0] - 4, padded.shape[1] - 4
    rows = functools.reduce(np.minimum, (padded[i : i + height] for i in range(5)))
    return functools.reduce(np.minimum, (rows[:, i : i + width] for i in range(5)))


def is_split_screen(gray: np.ndarray) -> bool:
    """Whether a dark gap from top to bottom near the middle parts two pictures."""
    width = gray.shape[1]
    empty = (gray.mean(axis=0) < GAP_DARK) & (gray.max(axis=0) < GAP_BRIGHTEST)
    runs, count = ndimage.label(empty)
    for (columns,) in ndimage.find_objects(runs, count):
        centre = (columns.start + columns.stop) / 2 / width
        wide_enough = columns.stop - columns.start >= GAP_SHARE * width
        if wide_enough and GAP_PLACE[0] <= centre <= GAP_PLACE[1]:
            sides = gray[:, : columns.start], gray[:, columns.stop :]
            return all(side.size and side.mean() >= PICTURE_MEAN for side in sides)
    return False
