"""Measurements against shapes whose answer is known by hand, and what must hold for any shape."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial import QhullError
from skimage.draw import disk, ellipse

from busi_model.clinic.measure import axes_xy, measure_lesions
from tests.clinic.test_view import rectangle


def blank(*shapes, size=(400, 400)):
    mask = np.zeros(size, bool)
    for shape in shapes:
        mask[shape] = True
    return mask


def test_a_rectangle_is_measured_edge_to_edge():
    (lesion,) = measure_lesions(rectangle(60, 80, (12, 32, 10, 50)))  # 20 rows, 40 columns
    assert (lesion.area_px2, lesion.width_px, lesion.height_px, lesion.top_px) == (800, 40, 20, 12)
    # The outline cuts the corners by half a pixel, so the diagonal is a little under hypot(40, 20) = 44.7.
    assert lesion.longest_axis_px == pytest.approx(math.hypot(40, 20), abs=1)
    # A chord across the diagonal d of a rectangle a x b is at most hypot(a, b) * b / a = 22.4 long.
    assert lesion.perpendicular_axis_px == pytest.approx(math.hypot(40, 20) / 2, abs=1)
    assert not lesion.taller_than_wide
    assert lesion.area_mm2 is lesion.longest_axis_mm is lesion.top_mm is None


def test_a_disc_is_round_and_a_square_is_less_so():
    (disc,) = measure_lesions(blank(disk((200, 200), 80)))
    assert disc.area_px2 == pytest.approx(math.pi * 80**2, rel=0.01)
    assert disc.longest_axis_px == pytest.approx(160, abs=1.5)
    assert disc.perpendicular_axis_px == pytest.approx(160, abs=1.5)
    assert disc.circularity == pytest.approx(1, abs=0.02)
    (square,) = measure_lesions(rectangle(200, 200, (20, 180, 20, 180)))
    assert square.circularity == pytest.approx(math.pi / 4, abs=0.02)


@pytest.mark.parametrize("degrees", [0, 17, 45, 90, 130])
def test_the_axes_of_an_ellipse_are_its_own(degrees):
    angle = math.radians(degrees)
    (lesion,) = measure_lesions(blank(ellipse(200, 200, 50, 110, rotation=angle)))
    assert lesion.longest_axis_px == pytest.approx(220, abs=2)
    assert lesion.perpendicular_axis_px == pytest.approx(100, abs=2)
    along = np.diff(lesion.longest_axis_xy, axis=0)[0] / lesion.longest_axis_px
    across = np.diff(lesion.perpendicular_axis_xy, axis=0)[0] / lesion.perpendicular_axis_px
    assert abs(along @ across) < 1e-6
    assert abs(along @ (math.cos(angle), -math.sin(angle))) == pytest.approx(1, abs=0.01)
    assert lesion.taller_than_wide == (45 < degrees < 135)


def test_millimetres_follow_rows_and_columns_apart():
    mask = rectangle(200, 200, (30, 130, 50, 90))  # 100 rows, 40 columns
    (lesion,) = measure_lesions(mask, spacing_mm=(0.1, 0.5))
    assert lesion.area_mm2 == pytest.approx(4000 * 0.05)
    assert (lesion.width_mm, lesion.height_mm, lesion.top_mm) == pytest.approx((20, 10, 3))
    assert lesion.taller_than_wide is False  # in pixels it would be
    assert lesion.longest_axis_mm == pytest.approx(math.hypot(20, 10), rel=0.02)
    assert measure_lesions(mask)[0].taller_than_wide is True


def test_a_stretched_ellipse_is_a_disc_in_millimetres():
    (lesion,) = measure_lesions(blank(ellipse(200, 200, 60, 120)), spacing_mm=(0.2, 0.1))
    assert lesion.longest_axis_mm == pytest.approx(24, rel=0.02)
    assert lesion.perpendicular_axis_mm == pytest.approx(24, rel=0.02)
    assert lesion.circularity == pytest.approx(1, abs=0.02)


def test_lesions_are_numbered_as_they_are_outlined():
    small, large = disk((60, 60), 20), disk((250, 250), 60)
    first, second = measure_lesions(blank(small, large))
    assert (first.number, second.number) == (1, 2)
    assert first.area_px2 > second.area_px2
    assert second.outline_xy.mean(axis=0) == pytest.approx([60, 60], abs=1)
    assert measure_lesions(np.zeros((100, 100), bool)) == []


def test_the_margin_is_half_the_width_of_the_band():
    outer, inner, mask = (blank(disk((200, 200), radius)) for radius in (86, 74, 80))
    (lesion,) = measure_lesions(mask, outer & ~inner, (0.1, 0.1))
    assert lesion.margin_px == pytest.approx(6, abs=0.3)
    assert lesion.margin_mm == pytest.approx(0.6, abs=0.03)
    assert measure_lesions(mask, mask & False)[0].margin_px is None
    assert measure_lesions(mask)[0].margin_px is None


def test_a_band_belongs_to_the_lesion_that_it_touches_or_else_to_the_nearest():
    left, right = disk((200, 120), 60), disk((200, 280), 40)
    mask = blank(left, right)
    apart = blank(disk((200, 120), 63), right) & ~blank(disk((200, 120), 57), right)
    far = blank(disk((30, 380), 15))  # a spot without a lesion
    first, second = measure_lesions(mask, apart | far)
    assert first.margin_px == pytest.approx(3, abs=0.3)
    assert second.margin_px is None
    joined = ndimage.binary_dilation(mask, iterations=36) & ~mask  # one band round both
    first, second = measure_lesions(mask, joined)
    assert first.margin_px > 10 and second.margin_px > 10


def test_what_cannot_be_measured_is_refused():
    mask = rectangle(50, 50, (10, 20, 10, 20))
    with pytest.raises(ValueError, match=r"\(49, 50\).*\(50, 50\).*same frame"):
        measure_lesions(mask, np.zeros((49, 50), bool))
    for spacing in ((0.0, 0.1), (-1.0, 1.0), (float("nan"), 0.1), (float("inf"), 0.1)):
        with pytest.raises(ValueError, match="two positive numbers"):
            measure_lesions(mask, spacing_mm=spacing)


@pytest.mark.parametrize("spacing", [(100.0, 100.0), (1e300, 1e300), (0.1, 1.5), (0.001, 0.1), (5e-324, 5e-324)])
def test_a_scale_that_no_ultrasound_has_leaves_lengths_in_pixels(spacing):
    mask = rectangle(200, 200, (30, 130, 50, 90))
    (lesion,) = measure_lesions(mask, spacing_mm=spacing)
    assert lesion.longest_axis_mm is lesion.area_mm2 is lesion.top_mm is None
    assert lesion.longest_axis_px == measure_lesions(mask)[0].longest_axis_px
    assert measure_lesions(mask, spacing_mm=(0.005, 1.0))[0].height_mm == pytest.approx(0.5)  # the bounds themselves


def test_a_lesion_that_cannot_be_measured_does_not_take_the_others_with_it(monkeypatch, caplog):
    mask = blank(disk((60, 60), 20), disk((250, 250), 60))
    calls = []

    def fails_at_first(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise QhullError("QH6154 Qhull precision error")
        return axes_xy(*arguments)

    monkeypatch.setattr("busi_model.clinic.measure.axes_xy", fails_at_first)
    assert [lesion.number for lesion in measure_lesions(mask)] == [2]
    assert "could not be measured" in caplog.text


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), row_mm=st.floats(0.05, 1), column_mm=st.floats(0.05, 1))
def test_any_blob_keeps_the_order_of_its_lengths(seed, row_mm, column_mm):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((70, 90)), 5)
    mask = ndimage.binary_fill_holes(noise > noise.std())
    lesions = measure_lesions(mask, spacing_mm=(row_mm, column_mm))
    assert sum(lesion.area_px2 for lesion in lesions) == mask.sum()
    for lesion in lesions:
        assert 0 < lesion.perpendicular_axis_mm <= lesion.longest_axis_mm + 1e-9
        assert max(lesion.width_mm, lesion.height_mm) <= lesion.longest_axis_mm + 0.5 * max(row_mm, column_mm)
        assert 0 < lesion.circularity <= 1
        ends = np.vstack([lesion.longest_axis_xy, lesion.perpendicular_axis_xy])
        assert (ends.min(axis=0) >= -0.5 - 1e-6).all() and (ends.max(axis=0) <= (89.5 + 1e-6, 69.5 + 1e-6)).all()


def test_the_perpendicular_chord_bridges_a_notch():
    # A "U" lying on its side: the widest chord runs from outer edge to outer edge, across the gap.
    corners = [(0, 0), (100, 0), (100, 10), (20, 10), (20, 30), (100, 30), (100, 40), (0, 40), (0, 0)]
    longest, chord = axes_xy(np.array(corners, float))
    assert np.linalg.norm(longest[1] - longest[0]) == pytest.approx(math.hypot(100, 40))
    assert np.linalg.norm(chord[1] - chord[0]) == pytest.approx(40 * math.hypot(100, 40) / 100, rel=0.02)


def test_pixels_that_are_not_square_are_measured_in_true_proportion():
    """A disc, stored with half of its columns: 80 px high, 40 px wide, and 80 by 80 in truth."""
    squeezed = blank(ellipse(200, 200, 80, 40))
    (lesion,) = measure_lesions(squeezed, pixel_aspect=0.5)
    (disc,) = measure_lesions(blank(disk((200, 200), 80)))
    assert not lesion.taller_than_wide or lesion.height_px - lesion.width_px < 2
    for name in ("area_px2", "longest_axis_px", "perpendicular_axis_px", "width_px", "height_px", "circularity"):
        assert getattr(lesion, name) == pytest.approx(getattr(disc, name), rel=0.02), name
    assert lesion.outline_xy[:, 0].max() - lesion.outline_xy[:, 0].min() == pytest.approx(79, abs=1)  # as it is stored
    band = blank(ellipse(200, 200, 44, 88)) & ~blank(ellipse(200, 200, 36, 72))
    flat = measure_lesions(blank(ellipse(200, 200, 40, 80)), band, pixel_aspect=2)[0]
    assert (flat.height_px, flat.top_px) == (2 * 79, 2 * 161)
    assert flat.margin_px == pytest.approx(8, rel=0.05)
    with_mm = measure_lesions(squeezed, spacing_mm=(0.1, 0.2), pixel_aspect=0.5)[0]
    assert with_mm.longest_axis_mm == pytest.approx(lesion.longest_axis_px / 10)
