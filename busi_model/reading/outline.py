"""A reader's outline, as polygons, is checked, repaired and filled.

Enters: polygons, lists of (x, y) in pixels of the image with pixel centres at whole numbers, as `clinic.view` draws
them; first and last point are joined. Leaves: polygons that cross nothing, a bool mask (H, W), a PNG. Saving only
checks: an outline that needs a repair is shown repaired first, so what is saved is what was shown.
"""

import io
import math
from dataclasses import dataclass

import numpy as np
import shapely
from PIL import Image
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from busi_model.reading import words
from busi_model.reading.errors import OutlineError

MAX_POLYGONS = 50
MAX_POINTS = 20_000  # of all polygons together: the border of a 5000 x 5000 px lesion, pixel by pixel
MAX_SIDE_PX = 40_000
MAX_COORDINATE_PX = 1e6  # beyond, areas lose their digits or overflow
MIN_AREA_PX2 = 4.0  # a speck: smaller than any lesion, what is left where a line crosses itself by a hair
BORDER_PX = 0.5  # pixel centres are whole numbers, so the image reaches from -0.5 to width - 0.5
GRID_DECIMALS = 3  # of a pixel, for outlines that must be cut apart
TOLERANCE_PX = 1e-6
# What follows no lesion. Mending takes time by the square of the crossings (GEOS 3.13: 500 in 0.2 s, 10,000 in 10 s),
# filling by the length of the line, and both by the pairs of edges that lie over one another.
MAX_CROSSINGS = 500  # of all polygons together
MAX_WINDING = 20  # times the image's own border; twice round it is generous for a lesion
MAX_NEIGHBOURS = 40  # edges whose boxes an edge's box touches, on average; along the pixels of a border about 5

_EDGES_AT_ONCE = 256  # so that the pairs of a heap of 20,000 edges are never all in memory
_LISTS = (list, tuple, np.ndarray)

Polygons = list[list[tuple[float, float]]]


@dataclass(frozen=True)
class Repaired:
    """What to show, and then to save."""

    polygons: Polygons
    changed: bool
    text: str  # what was done, in words; "" when nothing changed


def measure_size(polygons: Polygons, width: int, height: int) -> None:
    """Refuse what no later step should have to look at: NaN, infinity, single points, far too many points."""
    if not (1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX):
        raise OutlineError("image_size", width=width, height=height)
    if not (isinstance(polygons, _LISTS) and all(isinstance(polygon, _LISTS) for polygon in polygons)):
        raise OutlineError("no_points")
    if len(polygons) > MAX_POLYGONS:
        raise OutlineError("many_outlines", found=len(polygons), most=MAX_POLYGONS)
    n_points = sum(len(polygon) for polygon in polygons)
    if n_points > MAX_POINTS:
        raise OutlineError("many_points", found=n_points, most=MAX_POINTS)
    for polygon in polygons:
        if len(polygon) < 3:
            raise OutlineError("few_points", found=len(polygon))
        if not all(map(_is_sound, polygon)):
            raise OutlineError("odd_point")


def measure_tangle(polygons: Polygons, width: int, height: int) -> None:
    """Refuse a scribble before anything is done with it; takes time by the number of points. Call after `measure_size`.

    Raises OutlineError.
    """
    corners = [np.asarray(polygon, float) for polygon in polygons]
    edges = [np.stack([points, np.roll(points, -1, axis=0)], axis=1) for points in corners]  # (n, start or end, x or y)
    length_px = sum(float(np.hypot(*(edge[:, 1] - edge[:, 0]).T).sum()) for edge in edges)
    if length_px > MAX_WINDING * 2 * (width + height):
        raise OutlineError("to_and_fro")
    n_crossings = 0
    for edge in edges:
        n_crossings += _count_crossings(edge, MAX_CROSSINGS - n_crossings)
        if n_crossings > MAX_CROSSINGS:
            raise OutlineError("many_crossings", most=MAX_CROSSINGS)


def _count_crossings(edges: np.ndarray, enough: int) -> int:
    """How many pairs of edges (n, 2, 2) cross; stops above `enough`. Raises OutlineError for edges heaped on a spot."""
    lows, highs = edges.min(axis=1), edges.max(axis=1)
    boxes = shapely.box(*lows.T, *highs.T)
    tree, pairs_left, count = shapely.STRtree(boxes), MAX_NEIGHBOURS * len(edges) + 10_000, 0
    for begin in range(0, len(edges), _EDGES_AT_ONCE):
        first, second = tree.query(boxes[begin : begin + _EDGES_AT_ONCE])
        pairs_left -= len(first)
        if pairs_left < 0:
            raise OutlineError("heaped")
        first += begin
        ahead = first < second
        count += int(_cross(edges[first[ahead]], edges[second[ahead]]).sum())
        if count > enough:
            break
    return count


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether edges a and b (n, 2, 2) cross at one point inside both: bool (n,)."""
    return (_side(a, b[:, 0]) * _side(a, b[:, 1]) < 0) & (_side(b, a[:, 0]) * _side(b, a[:, 1]) < 0)


def _side(edges: np.ndarray, points: np.ndarray) -> np.ndarray:
    """On which side of each edge its point lies: -1, 0 or 1."""
    along, to = edges[:, 1] - edges[:, 0], points - edges[:, 0]
    return np.sign(along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0])


def _is_sound(point: tuple[float, float]) -> bool:
    try:
        x, y = point
        return math.isfinite(x) and math.isfinite(y) and max(abs(x), abs(y)) <= MAX_COORDINATE_PX
    except (TypeError, ValueError, OverflowError):
        return False


def check(polygons: Polygons, width: int, height: int) -> None:
    """Raise OutlineError for everything that `repair` would change."""
    measure_size(polygons, width, height)
    measure_tangle(polygons, width, height)
    frame = _frame(width, height, TOLERANCE_PX)
    for polygon in polygons:
        shape = Polygon(polygon)
        if not shape.is_valid:
            raise OutlineError("crosses_itself")
        if not frame.covers(shape):
            raise OutlineError("leaves_image", width=width, height=height)
        if shape.area < MIN_AREA_PX2:
            raise OutlineError("too_small")


def repair(polygons: Polygons, width: int, height: int) -> Repaired:
    """Repair what can be repaired; valid outlines come back as they are.

    Where a line crosses itself, the outline falls apart into the areas it encloses (Shapely's make_valid by linework:
    even-odd). Holes are filled: a lesion is outlined from outside. Raises OutlineError for NaN, for too many points,
    for a scribble and when nothing is left of an outline.
    """
    measure_size(polygons, width, height)
    measure_tangle(polygons, width, height)
    repaired, reasons = [], []
    frame = _frame(width, height, 0.0)
    loose_frame = _frame(width, height, TOLERANCE_PX)
    for polygon in polygons:
        shape = Polygon(polygon)
        if shape.is_valid and loose_frame.covers(shape) and shape.area >= MIN_AREA_PX2:
            repaired.append([(float(x), float(y)) for x, y in polygon])
            continue
        if not shape.is_valid:
            # Points of 1e-23 pixels, as a test found, are more than GEOS can cut apart.
            shape = shapely.make_valid(shapely.transform(shape, lambda points: points.round(GRID_DECIMALS)))
            reasons.append(words.REPAIRS["cut_apart"])
        if not loose_frame.covers(shape):
            shape = shape.intersection(frame)
            reasons.append(words.REPAIRS["cut_off"])
        parts = [part for part in _polygons_of(shape) if part.area >= MIN_AREA_PX2]
        if not parts:
            raise OutlineError("no_area")
        repaired += [[(float(x), float(y)) for x, y in part.exterior.coords[:-1]] for part in parts]
    text = "; ".join(dict.fromkeys(reasons))
    return Repaired(repaired, bool(reasons), text and f"{text[0].upper()}{text[1:]}.")


def _frame(width: int, height: int, tolerance_px: float) -> Polygon:
    margin = BORDER_PX + tolerance_px
    return shapely.box(-margin, -margin, width - 1 + margin, height - 1 + margin)


def _polygons_of(shape: BaseGeometry) -> list[Polygon]:
    """The areas in whatever Shapely made, holes filled, largest first."""
    if isinstance(shape, Polygon):
        parts = [shape]
    elif isinstance(shape, MultiPolygon) or hasattr(shape, "geoms"):
        parts = [part for geometry in shape.geoms for part in _polygons_of(geometry)]
    else:
        parts = []  # lines and points enclose nothing
    filled = shapely.union_all([Polygon(part.exterior) for part in parts])
    found = list(filled.geoms) if isinstance(filled, MultiPolygon) else [filled]
    return sorted((p for p in found if isinstance(p, Polygon) and not p.is_empty), key=lambda p: -p.area)


def rasterise(polygons: Polygons, width: int, height: int) -> np.ndarray:
    """Polygons -> bool (H, W): the pixels whose centre lies inside any of them or on its border."""
    measure_size(polygons, width, height)
    measure_tangle(polygons, width, height)
    mask = np.zeros((height, width), bool)
    for polygon in polygons:
        shape = Polygon(polygon)
        shapely.prepare(shape)  # an index of its edges: scikit-image's filling takes 16 times as long
        left, top = np.maximum(np.ceil(shape.bounds[:2]), 0).astype(int)
        right, bottom = np.minimum(np.floor(shape.bounds[2:]) + 1, (width, height)).astype(int)
        y, x = np.arange(top, bottom)[:, None], np.arange(left, right)  # empty when it lies outside the image
        mask[top:bottom, left:right] |= shapely.intersects_xy(shape, x, y)
    return mask


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap 2|A and B| / (|A| + |B|) of two bool masks of one shape; NaN when both are empty."""
    if a.shape != b.shape:
        raise OutlineError("two_sizes", one=str(a.shape), other=str(b.shape))
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else math.nan


def encode_mask(mask: np.ndarray) -> bytes:
    """Bool (H, W) -> a PNG of 0 and 255, 8-bit gray as BUSI's masks, without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def decode_mask(png: bytes) -> np.ndarray:
    """A PNG -> bool (H, W), white inside. Raises OutlineError when it is no PNG of a mask."""
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            if max(image.size) > MAX_SIDE_PX or image.width * image.height > MAX_SIDE_PX * 1000:
                raise OutlineError("mask_too_large", width=image.width, height=image.height)
            return np.asarray(image.convert("L")) > 127
    except OutlineError:
        raise
    except Exception as error:  # Pillow raises whatever a damaged file leads it to
        raise OutlineError("mask_no_png") from error
