"""What can be seen of a frame without a network: calipers and text burned into it, two pictures side by side, a scan
inside a program's window.

Enters: gray uint8 (H, W). Leaves: notices, and the boxes that should be cropped to. The thresholds were set on images
of four hospitals, with looks at 40 of each; tests/model/test_quality.py measures them again.
"""

import functools
import math

import numpy as np
from PIL import Image
from scipy import ndimage

from busi_model.frame import MIN_SIDE_PX, Box, Notice

MARK_RIM = 0.08  # of height and width at each side, which does not count: rulers, logos and pictograms stand there
MARK_WIDTH_PX = 7  # a bright run narrower than this is a stroke: no tissue is, for a beam is wider
MARK_LEVELS = 80  # gray levels that a stroke stands out by
MARK_SHARE = 0.00025  # of the pixels: 50 of a 564 x 474 px image
MARK_LEAST_WIDTH_PX = 180  # in a thumbnail every speckle is narrow
MARK_MOST_WIDTH_PX = 900  # wider pictures are looked at smaller, or letters would be as wide as tissue
MARK_MOST_PIXELS = 2_000_000
GAP_DARK, GAP_BRIGHTEST = 8.0, 48  # gray levels: mean and brightest of a column that shows nothing
GAP_SHARE = 0.008  # narrowest gap, as a share of the width
GAP_PLACE = (0.4, 0.6)  # where its centre lies, as a share of the width
PICTURE_MEAN = 12.0  # gray levels: less on one side, and there is no second picture
JOINT_RATIO = 3.0  # median step across a joint, by the median step (+ 2 levels) across other columns
JOINT_ROWS = 512  # looked at, evenly spread
BLOCK_PX, BLOCKS_LONGEST_PX = 8, 320  # texture is looked for in such blocks of a copy that is so long
BLOCK_DEVIATION = 2.0  # gray levels: standard deviation of a block with texture
WINDOW_SHARE = 0.55  # of blocks with texture: with fewer the scan is only a part of the picture
WINDOW_AREA = 0.75  # of the frame: a scan that fills more needs no crop
WINDOW_KEEP = 0.4  # a row or column of blocks belongs to the scan from this share of its fullest one on

WINDOW = Notice("window")
SPLIT_SCREEN = Notice("split_screen")
MARKS = Notice("marks")


def look(gray: np.ndarray) -> tuple[tuple[Notice, ...], tuple[Box, ...]]:
    """What should be known of a picture before any result, and where to crop it to: to the scan in its window, or to
    each of two pictures."""
    scan, pair = scan_in_window(gray), side_by_side(gray)
    known = ((WINDOW, scan), (SPLIT_SCREEN, pair), (MARKS, has_marks(gray)))
    return tuple(notice for notice, found in known if found), pair or (() if scan is None else (scan,))


def has_marks(gray: np.ndarray) -> bool:
    """Whether strokes as narrow as calipers or letters lie on the picture, not counting its rim."""
    height, width = gray.shape
    if width < MARK_LEAST_WIDTH_PX:
        return False
    rows, columns = round(MARK_RIM * height), round(MARK_RIM * width)
    smaller = max(-(-width // MARK_MOST_WIDTH_PX), math.isqrt(gray.size // MARK_MOST_PIXELS))
    inner = gray[rows : height - rows, columns : width - columns]
    if smaller > 1:
        inner = np.asarray(Image.fromarray(gray).reduce(smaller, (columns, rows, width - columns, height - rows)))
    return bool(((inner - _without_narrow(inner)) >= MARK_LEVELS).mean() >= MARK_SHARE)


def _without_narrow(gray: np.ndarray) -> np.ndarray:
    """Gray without bright runs narrower than MARK_WIDTH_PX along the rows (a morphological opening); ndimage's
    grey_opening says the same ten times slower."""
    width = gray.shape[1]
    padded = np.pad(gray, ((0, 0), (MARK_WIDTH_PX - 1,) * 2), mode="edge")
    least = functools.reduce(np.minimum, (padded[:, i : i + width + MARK_WIDTH_PX - 1] for i in range(MARK_WIDTH_PX)))
    return functools.reduce(np.maximum, (least[:, i : i + width] for i in range(MARK_WIDTH_PX)))


def side_by_side(gray: np.ndarray) -> tuple[Box, Box] | None:
    """The two pictures of a split screen, parted by a dark gap or by a mere joint near the middle; else None."""
    parts = _gap(gray) or _joint(gray)
    if parts is None:
        return None
    height, width = gray.shape
    sides = gray[:, : parts[0]], gray[:, parts[1] :]
    if not all(side.shape[1] >= MIN_SIDE_PX and side.mean() >= PICTURE_MEAN for side in sides):
        return None
    return Box(0, 0, height, parts[0]), Box(0, parts[1], height, width)


def _gap(gray: np.ndarray) -> tuple[int, int] | None:
    """Where a dark gap from top to bottom begins and ends."""
    width = gray.shape[1]
    empty = (gray.mean(axis=0) < GAP_DARK) & (gray.max(axis=0) < GAP_BRIGHTEST)
    runs, count = ndimage.label(empty)
    for (columns,) in ndimage.find_objects(runs, count):
        centre = (columns.start + columns.stop) / 2 / width
        wide_enough = columns.stop - columns.start >= GAP_SHARE * width
        if wide_enough and GAP_PLACE[0] <= centre <= GAP_PLACE[1]:
            return columns.start, columns.stop
    return None


def _joint(gray: np.ndarray) -> tuple[int, int] | None:
    """Where in the middle third one picture ends and another begins, twice: most rows step there. Across a line drawn
    on one picture they step too, but not from one side of the line to the other."""
    height, width = gray.shape
    left = width // 3
    middle = gray[:: max(1, height // JOINT_ROWS), left - 1 : width - left + 2].astype(np.int16)
    step = np.median(np.abs(middle[:, 2:-1] - middle[:, 1:-2]), axis=0)
    across = np.median(np.abs(middle[:, 3:] - middle[:, :-3]), axis=0)
    both = np.minimum(step, across)
    if both.max() < JOINT_RATIO * (np.median(step) + 2):
        return None
    place = left + 1 + int(both.argmax())
    return place, place


def scan_in_window(gray: np.ndarray) -> Box | None:
    """Where the scan lies when most of the picture is without texture: a program's window, a screen's frame; else
    None."""
    height, width = gray.shape
    factor = min(1.0, BLOCKS_LONGEST_PX / max(height, width))
    size = tuple(max(BLOCK_PX, round(extent * factor)) for extent in (width, height))
    small = np.asarray(Image.fromarray(gray).resize(size, Image.Resampling.BILINEAR), np.float32)
    rows, columns = (extent // BLOCK_PX for extent in small.shape)
    blocks = small[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns, BLOCK_PX)
    textured = blocks.std(axis=(1, 3)) > BLOCK_DEVIATION  # (rows, columns)
    regions, count = ndimage.label(ndimage.binary_opening(textured, np.ones((2, 2))))
    if textured.mean() >= WINDOW_SHARE or count == 0:
        return None
    scan = regions == 1 + np.bincount(regions.ravel())[1:].argmax()
    for _ in range(2):  # without the letters and rulers that touch it
        full = (scan.sum(axis=a, keepdims=True) for a in (0, 1))
        scan = functools.reduce(np.logical_and, (n >= WINDOW_KEEP * n.max() for n in full), scan)
    (top, bottom), (left, right) = ((w[0], w[-1] + 1) for w in (scan.any(axis=a).nonzero()[0] for a in (1, 0)))
    scale = BLOCK_PX * height / small.shape[0], BLOCK_PX * width / small.shape[1]
    box = Box(int(top * scale[0]), int(left * scale[1]), int(bottom * scale[0]), int(right * scale[1]))
    sides = box.bottom - box.top, box.right - box.left
    return box if math.prod(sides) < WINDOW_AREA * gray.size and min(sides) >= MIN_SIDE_PX else None
