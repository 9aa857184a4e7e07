"""A lesion's outline and the gray around it become descriptors: numbers, and a word only where agreement was measured.

Enters: the frame's gray levels and a `Lesion`. Leaves: `Descriptor` records for page, report, JSON and tables. The
words are descriptions by measurement, no BI-RADS category. Cuts and coefficients are those that `python -m
benchmarks.descriptors` fits to the words of BrEaST's radiologists (Pawlowska et al., Scientific Data 11 (2024) 148) on
the outlines of this program's own weights, which never trained on BrEaST; the same command prints how well the words
agree when each case is judged by cuts that never saw it. docs/descriptors.md has the table, and which words are left
out because they agreed no better than chance or said no more than the probability of malignancy.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import ConvexHull

from busi_model.clinic.measure import Lesion

# Where gray is read, as shares of the lesion's width or height.
CORE_SHARE = 0.5  # of the width, in the middle: the columns behind the lesion
GAP_SHARE = 0.15  # of the width, between the lesion and what counts as beside it
SIDE_SHARE = 0.5  # of the width, on each side
LEAST_DEPTH_SHARE = 0.15  # of the height; less picture below the lesion says nothing of what lies behind
POINTS = 256  # of an outline, at equal steps
SMOOTHING_SHARE = 0.0125  # of the outline's length: the staircase of pixels goes, a lobe stays

# Frozen; from `python -m benchmarks.descriptors` with weights 819296e48a91 on 163 outlined lesions, as are the
# agreements below.
SHADOWING_BELOW = 0.69  # gray behind / beside
PARALLEL_BELOW, NOT_PARALLEL_ABOVE = 0.85, 1.15  # depth / width; in between, outlines of one lesion disagree
IRREGULAR_WEIGHTS = {"solidity": 0.7225, "notch": -3.431, "bending": 2.836, "axis_ratio": 4.348}  # of a logit
IRREGULAR_OFFSET = -7.514
IRREGULAR_SURE = 0.71  # a word from this probability on, or from 1 - this: the surest 60 % of the lesions


@dataclass(frozen=True)
class Agreement:
    """Cohen's kappa of a word with its 95 % interval, and what it was measured against."""

    kappa: float
    low: float
    high: float
    n: int  # lesions that got a word
    against: str

    def __str__(self) -> str:
        return f"kappa {self.kappa:.2f} ({self.low:.2f} to {self.high:.2f}) with {self.against}, {self.n} lesions"


READERS = "the radiologists of BrEaST"
AGREEMENT = {
    "posterior": Agreement(0.60, 0.43, 0.75, 155, READERS),
    "orientation": Agreement(0.73, 0.37, 0.94, 118, "the reference outline of BrEaST"),
    "shape": Agreement(0.56, 0.37, 0.71, 98, READERS),
}


@dataclass(frozen=True)
class Descriptor:
    """One property of one lesion."""

    name: str  # as in AGREEMENT, and "roundness", "echo"
    number: float | None  # None: cannot be measured here
    meaning: str  # of the number
    word: str | None = None  # None: none is said
    note: str = ""  # why there is no number or no word; where the word comes from
    agreement: Agreement | None = None  # of the word

    def __str__(self) -> str:
        number = "not measured" if self.number is None else f"{self.number:.2f}"
        said = f"{self.word}; " if self.word else ""
        rest = "; ".join(filter(None, (self.note, str(self.agreement) if self.word and self.agreement else "")))
        return f"{said}{self.meaning} {number}" + (f" ({rest})" if rest else "")


def describe(gray: np.ndarray, lesion: Lesion, models_outline: bool = True) -> tuple[Descriptor, ...]:
    """Gray uint8 (H, W) and one of its lesions -> its descriptors, always the same ones in the same order.

    models_outline: False for an outline that a reader drew; words that were fitted to the network's outlines are then
    left out. Lengths are in millimetres where the lesion has them.
    """
    ratio = behind_to_beside(gray, lesion)
    depth_width = depth_to_width(lesion)
    irregular = irregular_probability(lesion)
    return (
        _posterior(ratio, models_outline),
        _orientation(depth_width),
        _shape(irregular, models_outline),
        Descriptor("roundness", axis_ratio(lesion), "short / long axis"),
        Descriptor("echo", inside_minus_beside(gray, lesion), "gray inside - beside, levels of 255"),
    )


def as_values(descriptors: tuple[Descriptor, ...]) -> dict[str, float | str | None]:
    """For JSON and tables: {name: number, name_word: word}; names as in `Descriptor`."""
    values: dict[str, float | str | None] = {}
    for one in descriptors:
        values[one.name] = None if one.number is None else round(one.number, 4)
        if one.name in AGREEMENT:
            values[f"{one.name}_word"] = one.word
    return values


_NOT_DRAWN = "no word for an outline that was drawn: the cut was fitted to the network's outlines"


def _posterior(ratio: float | None, models_outline: bool) -> Descriptor:
    word, note = None, ""
    if ratio is None:
        note = "too little picture below or beside the lesion"
    elif not models_outline:
        note = _NOT_DRAWN
    else:
        word = "posterior shadowing" if ratio < SHADOWING_BELOW else "no posterior shadowing"
    return Descriptor("posterior", ratio, "gray behind / beside", word, note, AGREEMENT["posterior"])


def _orientation(depth_width: float) -> Descriptor:
    word, note = None, "by geometry"
    if depth_width < PARALLEL_BELOW:
        word = "parallel"
    elif depth_width > NOT_PARALLEL_ABOVE:
        word = "not parallel"
    else:
        note = f"no word between {PARALLEL_BELOW} and {NOT_PARALLEL_ABOVE}"
    return Descriptor("orientation", depth_width, "depth / width", word, note, AGREEMENT["orientation"])


def _shape(probability: float, models_outline: bool) -> Descriptor:
    word, note = None, "from the outline's solidity, deepest notch, bending and axes"
    if not models_outline:
        note = _NOT_DRAWN
    elif probability >= IRREGULAR_SURE:
        word = "irregular"
    elif probability <= 1 - IRREGULAR_SURE:
        word = "not irregular"
    else:
        note = f"no word between {1 - IRREGULAR_SURE:.2f} and {IRREGULAR_SURE}"
    return Descriptor("shape", probability, "probability of irregular", word, note, AGREEMENT["shape"])


# Numbers


def behind_to_beside(gray: np.ndarray, lesion: Lesion) -> float | None:
    """Mean gray behind the lesion's middle over that beside it at the same depth; None without enough picture."""
    left, top, width, height = _box(lesion)
    begin = top + height
    end = min(gray.shape[0], begin + height)
    if end - begin < max(4, LEAST_DEPTH_SHARE * height):
        return None
    middle = (1 - CORE_SHARE) / 2 * width
    behind = gray[begin:end, round(left + middle) : round(left + width - middle)]
    beside = _beside(gray, left, width, slice(begin, end))
    if not behind.size or beside is None or beside < 1:
        return None
    return float(behind.mean() / beside)


def inside_minus_beside(gray: np.ndarray, lesion: Lesion) -> float | None:
    """Mean gray inside the outline minus that beside the lesion, in gray levels; None without enough picture."""
    left, top, width, height = _box(lesion)
    beside = _beside(gray, left, width, slice(top, top + height))
    if beside is None:
        return None
    return float(gray[top : top + height, left : left + width][filled(lesion)].mean() - beside)


def filled(lesion: Lesion) -> np.ndarray:
    """The lesion's pixels within its bounding box, bool (height_px, width_px): where a row crosses the outline, which
    runs between two pixels, inside becomes outside."""
    left, top, width, height = _box(lesion)
    x, y = lesion.outline_xy[:-1].T
    crosses = y == np.round(y)
    edges = np.zeros((height, width + 1), bool)
    edges[np.round(y[crosses] - top).astype(int), np.round(x[crosses] + 0.5 - left).astype(int)] = True
    return np.logical_xor.accumulate(edges, axis=1)[:, :-1]


def _beside(gray: np.ndarray, left: int, width: int, rows: slice) -> float | None:
    """Mean gray of both sides; columns that are black all the way down lie outside the scan."""
    gap, side = GAP_SHARE * width, SIDE_SHARE * width
    sides = (left - gap - side, left - gap), (left + width + gap, left + width + gap + side)
    parts = [gray[rows, max(0, round(a)) : max(0, round(b))] for a, b in sides]
    columns = np.concatenate(parts, axis=1)
    columns = columns[:, columns.any(axis=0)]
    return float(columns.mean()) if columns.shape[1] >= max(2, 0.2 * side) else None


def _box(lesion: Lesion) -> tuple[int, int, int, int]:
    """Left, top, width, height in the frame's own pixels, whole; a `_px` of the lesion is another unit where they are
    not square."""
    left, top = np.rint(lesion.outline_xy.min(axis=0) + 0.5).astype(int).tolist()
    right, bottom = np.rint(lesion.outline_xy.max(axis=0) + 0.5).astype(int).tolist()
    return left, top, right - left, bottom - top


def depth_to_width(lesion: Lesion) -> float:
    """Extent along the depth over extent across."""
    if lesion.height_mm is not None and lesion.width_mm is not None:
        return lesion.height_mm / lesion.width_mm
    return lesion.height_px / lesion.width_px


def axis_ratio(lesion: Lesion) -> float:
    """Short over long axis: 1 for a disc."""
    if lesion.longest_axis_mm is not None and lesion.perpendicular_axis_mm is not None:
        return lesion.perpendicular_axis_mm / lesion.longest_axis_mm
    return lesion.perpendicular_axis_px / lesion.longest_axis_px


def contour_features(lesion: Lesion) -> dict[str, float]:
    """Of the smoothed outline: solidity (area / that of the convex hull), notch (deepest distance from the hull over
    the root of the area), bending (absolute turning in whole turns: 1 for a convex outline), axis_ratio."""
    points = lesion.outline_xy * _scale(lesion)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    position = np.concatenate([[0], np.cumsum(steps)])
    wanted = np.linspace(0, position[-1], POINTS, endpoint=False)
    even = np.column_stack([np.interp(wanted, position, points[:, i]) for i in range(2)])
    smooth = gaussian_filter1d(even, SMOOTHING_SHARE * POINTS, axis=0, mode="wrap")
    x, y = smooth.T
    area = abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2
    hull = ConvexHull(smooth)
    depth = -(smooth @ hull.equations[:, :2].T + hull.equations[:, 2]).max(axis=1)  # below the nearest side
    tangent = np.roll(smooth, -1, axis=0) - smooth
    angle = np.arctan2(tangent[:, 1], tangent[:, 0])
    turn = np.angle(np.exp(1j * (np.roll(angle, -1) - angle)))
    return {
        "solidity": area / hull.volume,  # in two dimensions the hull's volume is its area
        "notch": float(depth.max()) / math.sqrt(area),
        "bending": float(np.abs(turn).sum()) / (2 * math.pi),
        "axis_ratio": axis_ratio(lesion),
    }


def _scale(lesion: Lesion) -> np.ndarray:
    """A pixel's width and height: in millimetres, or where the lesion knows none, in its shorter side."""
    _, _, width, height = _box(lesion)
    if lesion.width_mm is None or lesion.height_mm is None:
        return np.array([lesion.width_px / width, lesion.height_px / height])
    return np.array([lesion.width_mm / width, lesion.height_mm / height])


def irregular_probability(lesion: Lesion) -> float:
    """Logistic regression on `contour_features`; fitted where 91 of 155 lesions were called irregular."""
    features = contour_features(lesion)
    logit = IRREGULAR_OFFSET + sum(weight * features[name] for name, weight in IRREGULAR_WEIGHTS.items())
    return 1 / (1 + math.exp(-logit))
