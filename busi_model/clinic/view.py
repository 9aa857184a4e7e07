"""A mask and its frame become outlines and pictures.

Enters: gray uint8 (H, W) and bool mask (H, W), both in the frame's own pixels. Leaves: outlines as points,
an overlay of the same size, PNG bytes. Everything that draws stands here, so that page and command line
show the same picture. Only the outline is drawn, never a filling: the texture inside is what a reader
judges.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage.measure import find_contours

from busi_model.frame import strips

LINE_RGB = (255, 221, 51)  # yellow: 15:1 against black, and no gray of the image comes near it
LINE_SHARE = 1 / 350  # line width as a share of the longer side: 1.6 px on a 560 px frame
RIM_SHARE = 1 / 450  # dark rim on each side of the line
RIM_DARKNESS = 0.65  # how much of the gray under the rim is taken away
NUMBER_SHARE = 1 / 24  # height of a lesion's number
HEAT_RGB = (255, 122, 0)  # one hue, so that strength is read from density alone
HEAT_COVER = 0.6  # opacity where the map is 1: the texture stays visible
SMOOTH_PX2 = 2_000_000  # larger crops are drawn without supersampling: it would cost memory and show nothing


@dataclass(frozen=True, eq=False)  # == on the array would raise
class Region:
    """A lesion's place in the frame, and its pixels there."""

    top: int
    left: int
    filled: np.ndarray  # bool (h, w), no larger than the lesion, holes filled

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns of the frame."""
        height, width = self.filled.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def outline_xy(self) -> np.ndarray:
        """As in `outlines_xy`."""
        (outline, *_) = _contours_xy(self.filled)
        return outline + (self.left, self.top)


def outlines_xy(mask: np.ndarray) -> list[np.ndarray]:
    """Bool (H, W) -> one closed outline a lesion, largest lesion first.

    Each is float (K, 2) as (x, y) in frame pixels, pixel centres being whole numbers; first and last point
    are the same. A lesion is a 4-connected region, as in `OperatingPoint.mask`; holes are not outlined. The
    line runs half-way between the last pixel inside and the first outside (marching squares, Lorensen &
    Cline 1987).
    """
    return [region.outline_xy() for region in regions(mask)]


def regions(mask: np.ndarray) -> list[Region]:
    """Bool (H, W) -> each lesion, in the order of `outlines_xy`."""
    place = bounding_box(mask)
    top, left = (side.start for side in place)
    labels, _ = ndimage.label(mask[place])
    found = [
        Region(top + rows.start, left + columns.start, _without_holes(labels[rows, columns] == number))
        for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1)
    ]
    return sorted(found, key=lambda region: -region.filled.sum())


def _without_holes(region: np.ndarray) -> np.ndarray:
    """A hole is what no path of pixels, edges or corners touching, leads out of."""
    background, _ = ndimage.label(np.pad(~region, 1, constant_values=True), np.ones((3, 3)))
    return background[1:-1, 1:-1] != background[0, 0]


def bounding_box(mask: np.ndarray) -> tuple[slice, slice]:
    """Bool (H, W) -> the rows and columns that hold all that is True; those of its first pixel where nothing is."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return slice(0, 1), slice(0, 1)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def band_outlines_xy(band: np.ndarray) -> list[np.ndarray]:
    """Bool (H, W) -> every closed border of it, outer ones and those of holes, as in `outlines_xy`.

    Filled by the even-odd rule they give the band back.
    """
    rows, columns = bounding_box(band)
    return [points + (columns.start, rows.start) for points in _contours_xy(band[rows, columns])]


def _contours_xy(region: np.ndarray) -> list[np.ndarray]:
    padded = np.pad(region, 1)  # what touches the border still closes
    return [contour_rc[:, ::-1] - 1 for contour_rc in find_contours(padded, 0.5)]  # (row, column) -> (x, y)


def draw_overlay(gray: np.ndarray, mask: np.ndarray, longest_px: int | None = None) -> np.ndarray:
    """Gray uint8 (H, W) and bool mask (H, W) -> uint8 (H, W, 3): a dark-rimmed line round each lesion.

    Pixels away from the line are the frame's own, inside the lesion too. Lesions are numbered from 1 in
    the order of `outlines_xy`. longest_px: shrink the picture until its longer side is no longer than this. Raises
    ValueError when the two sizes differ.
    """
    overlay = _overlay(gray, mask)
    if longest_px is not None:
        overlay.thumbnail((longest_px, longest_px))
    return np.asarray(overlay)


def overlay_png(gray: np.ndarray, mask: np.ndarray) -> bytes:
    """`encode_png` of `draw_overlay`, in a third of the memory."""
    return _png(_overlay(gray, mask))


def _overlay(gray: np.ndarray, mask: np.ndarray) -> Image.Image:
    if gray.shape != mask.shape:
        raise ValueError(f"The mask is {mask.shape} and its image {gray.shape}; give both in the same frame.")
    overlay = Image.merge("RGB", [Image.fromarray(gray)] * 3)
    line_px = max(1.5, LINE_SHARE * max(gray.shape))
    rim_px = line_px + 2 * max(1.0, RIM_SHARE * max(gray.shape))
    outlines = outlines_xy(mask)
    for outline in outlines:
        _blend_line(overlay, outline, line_px, rim_px)
    _number(overlay, outlines)
    return overlay


def _blend_line(overlay: Image.Image, outline: np.ndarray, line_px: float, rim_px: float) -> None:
    """Draw one closed line into `overlay`, in place; only its bounding box is touched."""
    width, height = overlay.size
    margin_px = rim_px / 2 + 1
    left, top = np.maximum(np.floor(outline.min(axis=0) - margin_px), 0).astype(int)
    right, bottom = np.minimum(np.ceil(outline.max(axis=0) + margin_px) + 1, (width, height)).astype(int)
    shape = (bottom - top, right - left)
    rims, lines = (_line_cover(shape, outline - (left, top), width_px) for width_px in (rim_px, line_px))
    for rows in strips(*shape):
        place = (left, top + rows.start, right, top + rows.stop)
        rim = RIM_DARKNESS * _share(rims, rows)
        line = _share(lines, rows)
        blended = np.asarray(overlay.crop(place)) * (1 - rim) * (1 - line) + np.array(LINE_RGB, np.float32) * line
        overlay.paste(Image.fromarray(np.rint(blended).astype(np.uint8)), place)


def _share(cover: Image.Image, rows: slice) -> np.ndarray:
    """Those rows of an image that `_line_cover` made -> float32 (h, W, 1) in [0, 1]."""
    return np.asarray(cover.crop((0, rows.start, cover.width, rows.stop)), np.float32)[:, :, None] / 255


def _line_cover(shape: tuple[int, int], points_xy: np.ndarray, width_px: float) -> Image.Image:
    """Closed line through points (K, 2) -> image of mode L, (H, W) = `shape`: 255 where it covers the whole pixel."""
    factor = 4 if shape[0] * shape[1] <= SMOOTH_PX2 else 1
    canvas = Image.new("L", (shape[1] * factor, shape[0] * factor))
    corners = [tuple(point) for point in (points_xy + 0.5) * factor - 0.5]
    # Two points past the seam: without them the joint there would show a notch.
    ImageDraw.Draw(canvas).line(corners + corners[1:3], 255, max(1, round(width_px * factor)), joint="curve")
    return canvas.reduce(factor)


def _number(overlay: Image.Image, outlines: list[np.ndarray]) -> None:
    """Write 1, 2, ... into `overlay`: right of each lesion's rightmost point, as the page does; where the frame ends
    there, above the lesion."""
    width, height = overlay.size
    draw = ImageDraw.Draw(overlay)
    size_px = max(14, round(NUMBER_SHARE * max(height, width)))
    font = ImageFont.load_default(size_px)
    stroke_px = max(1, size_px // 10)
    for number, outline in enumerate(outlines, start=1):
        text = str(number)
        x, y = outline[outline[:, 0].argmax()] + (3 * stroke_px, -0.6 * size_px)
        rightmost = width - draw.textlength(text, font) - 2 * stroke_px
        if x > rightmost:
            x, y = rightmost, outline[:, 1].min() - 1.3 * size_px
        y = min(max(y, 0), height - 1.5 * size_px)
        draw.text((x, y), text, LINE_RGB, font, stroke_width=stroke_px, stroke_fill=(0, 0, 0))


def draw_heat(heat: np.ndarray) -> np.ndarray:
    """Float (H, W) in [0, 1] -> uint8 (H, W, 4) RGBA to lay over the frame: transparent at 0, densest at 1."""
    picture = np.empty((*heat.shape, 4), np.uint8)
    picture[:, :, :3] = HEAT_RGB
    for rows in strips(*heat.shape):
        picture[rows, :, 3] = np.rint(255 * HEAT_COVER * np.clip(heat[rows], 0, 1))
    return picture


def thumbnail(gray: np.ndarray, longest_px: int) -> np.ndarray:
    """Gray uint8 (H, W) -> the same picture with its longer side at most `longest_px`."""
    picture = Image.fromarray(gray)
    picture.thumbnail((longest_px, longest_px), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def encode_png(array: np.ndarray) -> bytes:
    """uint8 (H, W), (H, W, 3) or (H, W, 4), or bool (H, W) as 0 and 255 -> PNG bytes without any metadata."""
    if array.dtype == bool:
        array = array.view(np.uint8) * 255
    return _png(Image.fromarray(array))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)  # 6 takes twice the time for 3 % less
    return buffer.getvalue()
