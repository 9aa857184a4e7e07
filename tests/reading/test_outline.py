"""Outlines: what is valid stays to the last digit, what crosses itself is repaired or refused, masks fill as drawn."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skimage.draw import disk

from busi_model.clinic.view import outlines_xy
from busi_model.reading import outline
from busi_model.reading.errors import OutlineError

SQUARE = [(10.0, 10.0), (30.0, 10.0), (30.0, 20.0), (10.0, 20.0)]
BOW_TIE = [(10.0, 10.0), (30.0, 30.0), (30.0, 10.0), (10.0, 30.0)]  # two triangles of 100 px2, meeting at (20, 20)


def test_a_valid_outline_stays_to_the_last_digit():
    wanted = [[(10.123456789, 10.5), (30.25, 10.0), (29.0, 20.75)], SQUARE]
    repaired = outline.repair(wanted, 64, 48)
    assert (repaired.polygons, repaired.changed, repaired.text) == (wanted, False, "")
    outline.check(wanted, 64, 48)


def test_a_bow_tie_is_cut_into_its_two_halves():
    with pytest.raises(OutlineError, match="crosses itself"):
        outline.check([BOW_TIE], 64, 48)
    repaired = outline.repair([BOW_TIE], 64, 48)
    assert repaired.changed and "cut apart" in repaired.text
    assert len(repaired.polygons) == 2
    outline.check(repaired.polygons, 64, 48)
    mask = outline.rasterise(repaired.polygons, 64, 48)
    assert mask[20, 12] and mask[20, 28] and not mask[12, 20] and not mask[28, 20]


def test_what_leaves_the_image_is_cut_at_its_border():
    repaired = outline.repair([[(-5.0, 5.0), (10.0, 5.0), (10.0, 15.0), (-5.0, 15.0)]], 64, 48)
    assert "outside" in repaired.text
    assert min(x for x, _ in repaired.polygons[0]) == -0.5
    outline.check(repaired.polygons, 64, 48)


def test_a_speck_is_refused_in_words():
    for polygon in ([(5.0, 5.0), (6.0, 5.0), (6.0, 6.0)], [(5.0, 5.0), (9.0, 5.0), (20.0, 5.0)]):
        with pytest.raises(OutlineError, match="no area|crosses|smaller"):
            outline.check([polygon], 64, 48)
        with pytest.raises(OutlineError, match="no area"):
            outline.repair([polygon], 64, 48)


@pytest.mark.parametrize(
    ("polygons", "words"),
    [
        ([[(math.nan, 1.0), (5.0, 5.0), (9.0, 1.0)]], "not a number"),
        ([[(math.inf, 1.0), (5.0, 5.0), (9.0, 1.0)]], "not a number"),
        ([[(1.0, 1.0), (5.0, 5.0)]], "2 points"),
        ([SQUARE] * 51, "51 outlines"),
        ([[(float(i % 60), float(i // 600)) for i in range(20_001)]], "20001 points"),
    ],
)
def test_nonsense_is_refused(polygons, words):
    for function in (outline.check, outline.repair, outline.rasterise):
        with pytest.raises(OutlineError, match=words):
            function(polygons, 64, 48)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-20, 80), st.floats(-20, 60)), min_size=3, max_size=12))
@example([(0.0, 1.0), (0.0, 5e-23), (-1.0, -1.0), (1.0, 0.0), (2.0, 0.0), (0.0, 0.0), (-1.0, -1.0)])  # GEOS gave up
def test_every_repaired_outline_passes_the_check(polygon):
    try:
        repaired = outline.repair([polygon], 64, 48)
    except OutlineError:
        return
    outline.check(repaired.polygons, 64, 48)
    assert outline.repair(repaired.polygons, 64, 48).polygons == repaired.polygons


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_a_model_mask_comes_back_from_its_outline(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((48, 64), bool)
    for _ in range(rng.integers(1, 4)):
        mask[disk((rng.integers(0, 48), rng.integers(0, 64)), rng.integers(3, 12), shape=mask.shape)] = True
    polygons = [[(float(x), float(y)) for x, y in points[:-1]] for points in outlines_xy(mask)]
    filled = outline.rasterise(polygons, 64, 48)
    assert np.array_equal(filled & mask, mask)  # what outlines_xy does not outline are holes
    outline.check(polygons, 64, 48)


@pytest.mark.parametrize("square", [SQUARE, SQUARE[::-1]])
def test_a_pixel_belongs_to_an_outline_when_its_centre_does(square):
    mask = outline.rasterise([square], 64, 48)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 20, 10, 30)  # the border counts
    assert mask.sum() == 11 * 21
    assert not outline.rasterise([[(x + 0.1, y + 100) for x, y in square]], 64, 48).any()  # below the image


def test_dice_by_hand():
    a, b = np.zeros((2, 10, 10), bool)
    assert math.isnan(outline.dice(a, b))
    a[:4, :5] = True  # 20
    b[2:4, :5] = True  # 10, all inside a
    assert outline.dice(a, b) == pytest.approx(20 / 30)


def test_a_mask_comes_back_from_its_png():
    mask = np.random.default_rng(0).random((31, 17)) > 0.5
    assert np.array_equal(outline.decode_mask(outline.encode_mask(mask)), mask)
    with pytest.raises(OutlineError, match="not a PNG"):
        outline.decode_mask(b"<svg/>")


# Scribbles: anybody can send one, and mending it took minutes


def _scribble(n_points, side_px=400, seed=0):
    return (np.random.default_rng(seed).random((n_points, 2)) * side_px).tolist()


def _star(n_points):
    angle = np.arange(n_points) * np.pi * (1 - 1 / n_points)
    return np.stack([200 + 190 * np.cos(angle), 200 + 190 * np.sin(angle)], axis=1).tolist()


SCRIBBLES = {
    "120 points": _scribble(120),
    "160 points": _scribble(160),
    "500 points": _scribble(500),
    "20,000 points": _scribble(20_000),
    "a star": _star(101),
    "a small heap": [[200 + 3 * x, 200 + 3 * y] for x, y in _scribble(20_000, 1)],
    "a comb": [[10 + i // 2 * 0.02, (10.0, 390.0)[(i + 1) // 2 % 2]] for i in range(19_999)] + [[5.0, 5.0]],
    "slanted teeth": [[200 + 0.0004 * i + 3 * (i % 2), 200.0 + 3 * (i % 2)] for i in range(20_000)],
    "one line, to and fro": [[200.0 + 3 * (i % 2), 200.0] for i in range(20_000)],
    "one point": [[200.0, 200.0]] * 20_000,
}


@pytest.mark.parametrize("name", SCRIBBLES)
@pytest.mark.parametrize("function", [outline.check, outline.repair, outline.rasterise])
def test_a_scribble_is_refused_before_it_takes_time(function, name, within_s):
    with within_s(30), pytest.raises(OutlineError, match="stroke|no area|crosses itself|anew"):
        function([SCRIBBLES[name]], 400, 400)


def test_a_clumsy_hand_is_still_mended(within_s):
    """A lesion's border of 600 points, drawn with a tremble that crosses itself some hundred times."""
    rng = np.random.default_rng(1)
    angle = np.linspace(0, 2 * np.pi, 600, endpoint=False) + rng.normal(0, 0.006, 600)
    radius = 120 + rng.normal(0, 2, 600)
    drawn = np.stack([200 + radius * np.cos(angle), 200 + radius * np.sin(angle)], axis=1).tolist()
    with within_s(30):
        repaired = outline.repair([drawn], 400, 400)
    assert repaired.changed and outline.rasterise(repaired.polygons, 400, 400)[200, 200]
