"""Outlines and overlays against shapes whose answer is known by hand."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from busi_model.clinic.view import (
    band_outlines_xy,
    draw_heat,
    draw_overlay,
    encode_png,
    outlines_xy,
    thumbnail,
)


def rectangle(height, width, *boxes):
    """Bool (height, width), true in each (top, bottom, left, right), bottom and right not included."""
    mask = np.zeros((height, width), bool)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


def enclosed_area_px2(outline):
    """Shoelace formula for a closed outline (K, 2)."""
    x, y = outline.T
    return abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2


def yellow(picture):
    """Bool (H, W): where red is far above blue, which no gray pixel is."""
    return picture[:, :, 0].astype(int) - picture[:, :, 2] > 90


def test_outline_of_a_rectangle_runs_between_the_pixels():
    (outline,) = outlines_xy(rectangle(8, 10, (2, 5, 3, 7)))  # 3 rows, 4 columns
    assert outline.min(axis=0).tolist() == [2.5, 1.5]  # x, y
    assert outline.max(axis=0).tolist() == [6.5, 4.5]
    assert (outline[0] == outline[-1]).all()
    assert enclosed_area_px2(outline) == pytest.approx(4 * 3 - 4 * 0.125)  # marching squares cuts the corners


def test_outlines_are_one_a_lesion_outer_and_largest_first():
    mask = rectangle(40, 60, (2, 6, 2, 6), (10, 38, 20, 58))
    mask[20:24, 30:34] = False  # a hole is no lesion of its own
    small_second = outlines_xy(mask)
    assert len(small_second) == 2
    assert small_second[0].min(axis=0).tolist() == [19.5, 9.5]
    assert small_second[1].max(axis=0).tolist() == [5.5, 5.5]


def test_outline_closes_at_the_border_of_the_frame():
    (outline,) = outlines_xy(np.ones((4, 5), bool))
    assert outline.min(axis=0).tolist() == [-0.5, -0.5]
    assert outline.max(axis=0).tolist() == [4.5, 3.5]


def test_no_lesion_no_outline_and_the_overlay_is_the_image():
    gray = np.arange(70 * 90, dtype=np.uint32).reshape(70, 90).astype(np.uint8)
    empty = np.zeros((70, 90), bool)
    assert outlines_xy(empty) == []
    assert (draw_overlay(gray, empty) == gray[:, :, None]).all()


def test_overlay_draws_on_the_edge_and_nowhere_else():
    gray = np.random.default_rng(0).integers(60, 140, (120, 160), dtype=np.uint8)
    overlay = draw_overlay(gray, rectangle(120, 160, (30, 80, 40, 110)))
    assert overlay.shape == (120, 160, 3) and overlay.dtype == np.uint8
    for column in (39, 40, 109, 110):  # the two pixels on each side of x = 39.5 and x = 109.5
        assert yellow(overlay)[50, column]
    for row in (29, 30, 79, 80):
        assert yellow(overlay)[row, 70]
    away = ~rectangle(120, 160, (26, 84, 36, 114)) | rectangle(120, 160, (34, 76, 44, 106))
    away[20:90, 110:135] = False  # the lesion's number
    assert (overlay[away] == gray[away][:, None]).all()
    assert overlay[50, 38].max() < 0.6 * gray[50, 38]  # the dark rim, outside
    assert overlay[50, 111].max() < 0.8 * gray[50, 111]


def test_overlay_line_grows_with_the_image():
    mask = rectangle(1400, 1750, (300, 900, 400, 1300))
    overlay = draw_overlay(np.full((1400, 1750), 100, np.uint8), mask)
    assert 4 <= yellow(overlay)[600, 380:420].sum() <= 6  # 1750 / 350 = 5 px


def test_overlay_reaches_the_border_of_the_frame():
    overlay = draw_overlay(np.full((70, 90), 100, np.uint8), np.ones((70, 90), bool))
    assert overlay.shape == (70, 90, 3)
    assert (overlay[35, 45] == 100).all()


def test_every_lesion_has_its_number_beside_it():
    gray = np.full((200, 300), 100, np.uint8)
    large, small = (60, 150, 40, 140), (90, 120, 220, 250)
    both = draw_overlay(gray, rectangle(200, 300, large, small))
    beside_large = (slice(40, 170), slice(144, 170))
    beside_small = (slice(70, 140), slice(254, 280))
    assert yellow(both)[beside_large].any() and yellow(both)[beside_small].any()
    alone = yellow(draw_overlay(gray, rectangle(200, 300, large)))
    assert alone[beside_large].any() and not alone[beside_small].any()


def test_the_number_stands_where_the_lesion_reaches_furthest_right():
    gray = np.full((300, 300), 100, np.uint8)
    overlay = draw_overlay(gray, rectangle(300, 300, (50, 210, 60, 90), (200, 220, 60, 200)))  # an L
    rows, columns = np.nonzero(yellow(overlay)[:, 204:])
    assert 185 <= rows.mean() <= 235 and columns.max() < 30


def test_numbers_stay_inside_the_frame():
    gray = np.full((100, 100), 100, np.uint8)
    overlay = draw_overlay(gray, rectangle(100, 100, (0, 20, 70, 100), (80, 100, 80, 100)))
    assert overlay.shape == (100, 100, 3)
    assert yellow(overlay)[:, 84:99].sum() > 40


def test_overlay_refuses_a_mask_of_another_frame():
    with pytest.raises(ValueError, match=r"\(5, 5\).*\(6, 5\).*same frame"):
        draw_overlay(np.zeros((6, 5), np.uint8), np.zeros((5, 5), bool))


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 3), (30, 40, 4)])
def test_png_is_exact_and_holds_pixels_only(shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    data = encode_png(pixels)
    assert (np.asarray(Image.open(io.BytesIO(data))) == pixels).all()
    assert set(png_chunks(data)) == {b"IHDR", b"IDAT", b"IEND"}


def test_png_of_a_mask_is_black_and_white():
    mask = rectangle(20, 30, (5, 9, 7, 20))
    image = Image.open(io.BytesIO(encode_png(mask)))
    assert image.mode == "L" and image.size == (30, 20)
    assert (np.asarray(image) == mask * 255).all()


def png_chunks(data):
    position = 8  # after the signature
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        yield data[position + 4 : position + 8]
        position += 12 + length


def test_band_outlines_give_the_band_back():
    band = rectangle(30, 40, (5, 20, 5, 25))
    band[9:14, 9:16] = False
    band[26, 30:33] = True
    lines = band_outlines_xy(band)
    assert len(lines) == 3
    y, x = np.mgrid[:30, :40]
    inside = sum(points_in_polygon(line, x, y) for line in lines) % 2
    assert (inside == band).all()
    assert band_outlines_xy(band & False) == []


def points_in_polygon(line, x, y):
    """Even-odd rule by hand: how often a ray to the right crosses the line, modulo 2."""
    crossings = np.zeros(x.shape, int)
    for (x0, y0), (x1, y1) in zip(line[:-1], line[1:], strict=True):
        if y0 != y1:
            at = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
            crossings += ((y0 <= y) != (y1 <= y)) & (at > x)
    return crossings % 2


def test_heat_is_one_hue_and_its_density_the_value():
    picture = draw_heat(np.array([[0.0, 0.5, 1.0]]))
    assert picture.shape == (1, 3, 4)
    assert len(np.unique(picture[:, :, :3].reshape(-1, 3), axis=0)) == 1
    assert picture[0, :, 3].tolist() == [0, 76, 153]  # 0.6 of 255 at most: the texture stays visible


def test_a_thumbnail_keeps_the_proportions():
    small = thumbnail(np.full((300, 600), 90, np.uint8), 96)
    assert small.shape == (48, 96) and (small == 90).all()
