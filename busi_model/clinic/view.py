"""A mask and its frame become outlines and pictures.

Enters: gray uint8 (H, W) and bool mask (H, W), both in the frame's own pixels. Leaves: outlines as points,
an overlay of the same size, PNG bytes. Everything that draws stands here, so that page and command line
show the same picture. Only the outline is drawn, never a filling: the texture inside is what a reader
judges.
"""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.measure import find_contours, label, regionprops

LINE_RGB = (255, 221, 51)  # yellow: 15:1 against black, and no gray of the image comes near it
LINE_SHARE = 1 / 350  # line width as a share of the longer side: 1.6 px on a 560 px frame
RIM_SHARE = 1 / 450  # dark rim on each side of the line
RIM_DARKNESS = 0.65  # how much of the gray under the rim is taken away
NUMBER_SHARE = 1 / 24  # height of a lesion's number
HEAT_RGB = (255, 122, 0)  # one hue, so that strength is read from density alone
HEAT_COVER = 0.6  # opacity where the map is 1: the texture stays visible
SMOOTH_PX2 = 2_000_000  # larger crops are drawn without supersampling: it would cost memory and show nothing


def outlines_xy(mask: np.ndarray) -> list[np.ndarray]:
    """Bool (H, W) -> one closed outline a lesion, largest lesion first.

    Each is float (K, 2) as (x, y) in frame pixels, pixel centres being whole numbers; first and last point
    are the same. A lesion is a 4-connected region, as in `OperatingPoint.mask`; holes are not outlined. The
    line runs half-way between the last pixel inside and the first outside (marching squares, Lorensen &
    Cline 1987).
    """
    outlines = []
    for lesion in regions(mask):
        top, left = lesion.bbox[:2]
        (outline, *_) = _contours_xy(lesion.image_filled)
        outlines.append(outline + (left, top))
    return outlines


def regions(mask: np.ndarray) -> list:
    """Bool (H, W) -> scikit-image's region properties of each lesion, in the order of `outlines_xy`."""
    return sorted(regionprops(label(mask, connectivity=1)), key=lambda lesion: -lesion.area_filled)


def band_outlines_xy(band: np.ndarray) -> list[np.ndarray]:
    """Bool (H, W) -> every closed border of it, outer ones and those of holes, as in `outlines_xy`.

    Filled by the even-odd rule they give the band back.
    """
    rows, columns = band.any(axis=1).nonzero()[0], band.any(axis=0).nonzero()[0]
    if not rows.size:
        return []
    top, left = rows[0], columns[0]
    return [points + (left, top) for points in _contours_xy(band[top : rows[-1] + 1, left : columns[-1] + 1])]


def _contours_xy(region):
    padded = np.pad(region, 1).astype(float)  # what touches the border still closes
    return [contour_rc[:, ::-1] - 1 for contour_rc in find_contours(padded, 0.5)]  # (row, column) -> (x, y)


def draw_overlay(gray: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Gray uint8 (H, W) and bool mask (H, W) -> uint8 (H, W, 3): a dark-rimmed line round each lesion.

    Pixels away from the line are the frame's own, inside the lesion too. Several lesions are numbered from
    1 in the order of `outlines_xy`. Raises ValueError when the two sizes differ.
    """
    if gray.shape != mask.shape:
        raise ValueError(f"The mask is {mask.shape} and its image {gray.shape}; give both in the same frame.")
    overlay = np.repeat(gray[:, :, None], 3, axis=2)  # (H, W, 3)
    line_px = max(1.5, LINE_SHARE * max(gray.shape))
    rim_px = line_px + 2 * max(1.0, RIM_SHARE * max(gray.shape))
    outlines = outlines_xy(mask)
    for outline in outlines:
        _blend_line(overlay, outline, line_px, rim_px)
    return _number(overlay, outlines) if len(outlines) > 1 else overlay


def _blend_line(overlay, outline, line_px, rim_px):
    """Draw one closed line into `overlay`, in place; only its bounding box is touched."""
    height, width = overlay.shape[:2]
    margin_px = rim_px / 2 + 1
    left, top = np.maximum(np.floor(outline.min(axis=0) - margin_px), 0).astype(int)
    right, bottom = np.minimum(np.ceil(outline.max(axis=0) + margin_px) + 1, (width, height)).astype(int)
    crop = overlay[top:bottom, left:right]
    points_xy = outline - (left, top)
    rim = RIM_DARKNESS * _line_cover(crop.shape[:2], points_xy, rim_px)[:, :, None]
    line = _line_cover(crop.shape[:2], points_xy, line_px)[:, :, None]
    blended = crop * (1 - rim) * (1 - line) + np.array(LINE_RGB, np.float32) * line
    crop[:] = np.rint(blended).astype(np.uint8)


def _line_cover(shape, points_xy, width_px):
    """Closed line through points (K, 2) -> float32 (H, W) = `shape`: the share of each pixel it covers."""
    factor = 4 if shape[0] * shape[1] <= SMOOTH_PX2 else 1
    canvas = Image.new("L", (shape[1] * factor, shape[0] * factor))
    corners = [tuple(point) for point in (points_xy + 0.5) * factor - 0.5]
    # Two points past the seam: without them the joint there would show a notch.
    ImageDraw.Draw(canvas).line(corners + corners[1:3], 255, max(1, round(width_px * factor)), joint="curve")
    return np.asarray(canvas.reduce(factor), np.float32) / 255


def _number(overlay, outlines):
    """Write 1, 2, ... beside the lesions, at their upper right and inside the frame."""
    height, width = overlay.shape[:2]
    picture = Image.fromarray(overlay)
    draw = ImageDraw.Draw(picture)
    size_px = max(14, round(NUMBER_SHARE * max(height, width)))
    font = ImageFont.load_default(size_px)
    stroke_px = max(1, size_px // 10)
    for number, outline in enumerate(outlines, start=1):
        text = str(number)
        x = min(outline[:, 0].max() + stroke_px, width - draw.textlength(text, font) - 2 * stroke_px)
        y = min(max(outline[:, 1].min() - size_px, 0), height - 1.5 * size_px)
        draw.text((x, y), text, LINE_RGB, font, stroke_width=stroke_px, stroke_fill=(0, 0, 0))
    return np.asarray(picture)


def draw_heat(heat: np.ndarray) -> np.ndarray:
    """Float (H, W) in [0, 1] -> uint8 (H, W, 4) RGBA to lay over the frame: transparent at 0, densest at 1."""
    picture = np.empty((*heat.shape, 4), np.uint8)
    picture[:, :, :3] = HEAT_RGB
    picture[:, :, 3] = np.rint(255 * HEAT_COVER * np.clip(heat, 0, 1))
    return picture


def thumbnail(gray: np.ndarray, longest_px: int) -> np.ndarray:
    """Gray uint8 (H, W) -> the same picture with its longer side at most `longest_px`."""
    picture = Image.fromarray(gray)
    picture.thumbnail((longest_px, longest_px), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def encode_png(array: np.ndarray) -> bytes:
    """uint8 (H, W), (H, W, 3) or (H, W, 4), or bool (H, W) as 0 and 255 -> PNG bytes without any metadata."""
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=3)  # 6 takes twice the time for 3 % less
    return buffer.getvalue()
