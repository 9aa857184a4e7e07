"""Names written beside a scan are gone, and not one pixel of the scan is another."""

import dataclasses
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from busi_model.decode.banner import blank_banner, without_banner
from busi_model.image import Box, Notice, read_image
from busi_model.phantom import draw_phantom

LINES = ("DOE^JANE  1961-02-03", "ID 4711/08  St. Mary Hosp.", "L12-5 Breast 5.2cm", "MI 0.9\nTIs 0.1")
REAL = [f"BUSI/{name}.png" for name in ("benign/benign (10)", "malignant/malignant (5)", "normal/normal (7)")]
REAL += [f"BUS-BRA/Images/{name}.png" for name in ("bus_0002-l", "bus_0189-r", "bus_0745-s", "bus_1044-r")]


def screen(scan, level, ink, size_px, margins, gap_px=5):
    """The scan in the middle of a machine's screen. Returns it, where letters were painted, and the scan's box."""
    top, left, bottom, right = margins
    height, width = scan.shape
    box = Box(top, left, top + height, left + width)
    picture = Image.new("L", (width + left + right, height + top + bottom), level)
    draw = ImageDraw.Draw(picture)
    font, small = ImageFont.load_default(size_px), ImageFont.load_default(11)
    draw.text((6, 3), LINES[0], ink, font)
    draw.text((picture.width - draw.textlength(LINES[1], small) - 4, 3 + size_px // 2), LINES[1], ink, small)
    draw.text((6, box.bottom + gap_px), LINES[2], ink, font)
    draw.text((box.right + gap_px, box.top + height // 2), LINES[3], ink, small)
    painted = np.asarray(picture) != level
    pixels = np.array(picture)
    pixels[box.top : box.bottom, box.left : box.right] = scan
    painted[box.top : box.bottom, box.left : box.right] = False
    return pixels, painted, box


def assert_banner_gone(scan, pixels, painted, box, level):
    blanked, mask = blank_banner(pixels)
    assert painted.sum() > 500
    assert (painted & mask).sum() >= 0.99 * painted.sum()
    assert (blanked[mask] == level).all() and (blanked[~mask] == pixels[~mask]).all()
    np.testing.assert_array_equal(blanked[box.top : box.bottom, box.left : box.right], scan)
    assert not mask[box.top : box.bottom, box.left : box.right].any()


@given(
    st.sampled_from(["benign", "malignant", "normal"]),
    st.integers(0, 14),
    st.sampled_from([0, 0, 12, 40, 90]),
    st.integers(90, 160),
    st.integers(10, 26),
    st.tuples(*[st.integers(36, 90)] * 4),
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_text_round_a_phantom_is_gone_and_the_phantom_untouched(kind, seed, level, contrast, size_px, margins):
    scan, _ = draw_phantom(kind, seed, 300, 380)
    pixels, painted, box = screen(scan, level, level + contrast, size_px, margins)
    assert_banner_gone(scan, pixels, painted, box, level)


def test_a_corner_as_black_as_the_margin_may_lose_a_few_pixels_beside_text():
    """The known limit: this phantom's lower left corner has the margin's own level."""
    scan, _ = draw_phantom("benign", 15, 300, 380)
    pixels, painted, box = screen(scan, 0, 90, 10, (36, 36, 36, 36))
    _, mask = blank_banner(pixels)
    assert (painted & mask).sum() >= 0.99 * painted.sum()
    assert mask[box.top : box.bottom, box.left : box.right].mean() < 0.002


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("level", [0, 30])
def test_text_round_a_real_image_is_gone_and_the_image_untouched(data_dir, name, level):
    scan = read_image(data_dir / name).gray
    pixels, painted, box = screen(scan, level, 230, 16, (44, 60, 44, 60))
    assert_banner_gone(scan, pixels, painted, box, level)


@pytest.mark.parametrize("quality", [60, 90])
def test_text_in_a_jpeg_is_gone_with_its_ripples(quality):
    scan, _ = draw_phantom("benign", 3, 300, 380)
    # Compressed blocks of 8 pixels smear what is nearer to the scan into it.
    pixels, painted, box = screen(scan, 0, 220, 18, (48, 80, 48, 80), gap_px=16)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    pixels = np.asarray(Image.open(buffer))
    painted &= pixels > 20
    blanked, mask = blank_banner(pixels)
    assert (painted & mask).sum() >= 0.99 * painted.sum()
    assert not mask[box.top : box.bottom, box.left : box.right].any()
    far = np.ones(mask.shape, bool)
    far[box.top - 8 : box.bottom + 8, box.left - 8 : box.right + 8] = False  # the scan's own ripples stay
    assert blanked[far].max() <= 3


def test_two_scans_side_by_side_are_both_kept():
    left, right = (draw_phantom(kind, 2, 300, 300)[0] for kind in ("benign", "malignant"))
    pixels = np.zeros((380, 700), np.uint8)
    pixels[40:340, 20:320], pixels[40:340, 370:670] = left, right
    picture = Image.fromarray(pixels)
    ImageDraw.Draw(picture).text((20, 8), LINES[0], 200, ImageFont.load_default(18))
    blanked, mask = blank_banner(np.asarray(picture))
    np.testing.assert_array_equal(blanked, pixels)
    assert mask.any()


def test_an_inverted_bar_is_gone():
    scan, _ = draw_phantom("normal", 4, 300, 380)
    pixels, _, box = screen(scan, 0, 200, 16, (70, 40, 40, 40))
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 40, picture.width, 58), 180)
    draw.text((8, 41), LINES[0], 0, ImageFont.load_default(14))
    blanked, _ = blank_banner(np.asarray(picture))
    assert not blanked[: box.top].any()


@pytest.mark.parametrize("kind", ["benign", "malignant", "normal"])
def test_a_scan_that_fills_the_frame_is_left_alone(kind):
    scan, _ = draw_phantom(kind, 1)
    blanked, mask = blank_banner(scan)
    assert not mask.any()
    np.testing.assert_array_equal(blanked, scan)
    assert not np.shares_memory(blanked, scan)


def test_text_across_the_scan_stays():
    scan, _ = draw_phantom("benign", 5)
    picture = Image.fromarray(scan)
    ImageDraw.Draw(picture).text((60, 380), "RT 9 2CM FN", 255, ImageFont.load_default(20))
    assert not blank_banner(np.asarray(picture))[1].any()


@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_uniform_picture_is_left_alone(level):
    assert not blank_banner(np.full((100, 120), level, np.uint8))[1].any()


def test_with_regions_everything_outside_goes_and_nothing_inside():
    """Also what no search would find: noise right at the border of the scan."""
    gray = np.random.default_rng(0).integers(0, 256, (120, 150)).astype(np.uint8)
    gray[0], gray[-1], gray[:, 0], gray[:, -1] = 7, 7, 7, 7
    boxes = (Box(20, 10, 90, 60), Box(30, 80, 100, 140))
    inside = np.zeros(gray.shape, bool)
    inside[20:90, 10:60] = inside[30:100, 80:140] = True
    blanked, mask = blank_banner(gray, boxes)
    np.testing.assert_array_equal(blanked, np.where(inside, gray, 7))
    np.testing.assert_array_equal(mask, ~inside & (gray != 7))


def test_a_region_round_the_whole_screen_protects_no_text():
    scan, _ = draw_phantom("malignant", 3, 300, 380)
    pixels, painted, box = screen(scan, 0, 220, 18, (48, 64, 48, 64))
    blanked, mask = blank_banner(pixels, (Box(0, 0, *pixels.shape),))
    assert (painted & mask).sum() >= 0.99 * painted.sum()
    np.testing.assert_array_equal(blanked[box.top : box.bottom, box.left : box.right], scan)


def test_a_frame_for_storing_says_that_it_was_blanked():
    scan, _ = draw_phantom("benign", 3, 300, 380)
    pixels, _, _ = screen(scan, 0, 220, 18, (48, 64, 48, 64))
    frame = dataclasses.replace(read_image(pixels), spacing_mm=(0.1, 0.1), notices=(Notice("colour", "x"),))
    stored = without_banner(frame)
    assert [notice.code for notice in stored.notices] == ["colour", "banner_blanked"]
    assert stored.spacing_mm == (0.1, 0.1)
    np.testing.assert_array_equal(stored.gray, blank_banner(pixels)[0])
    np.testing.assert_array_equal(frame.gray, pixels)
    assert without_banner(read_image(scan)).notices == ()


# The only ones of BUSI's pictures that show a black area beside the scan and a logo or a letter in it.
LOGOS = {"benign (138)", "malignant (65)", "malignant (67)", "malignant (76)", "malignant (81)", "malignant (95)"}
LOGOS |= {"malignant (108)", "malignant (113)"}


def test_real_images_that_fill_their_frame_are_left_alone(data_dir):
    """A tenth of BUSI's images."""
    paths = sorted(p for p in (data_dir / "BUSI").glob("*/*.png") if "_mask" not in p.name)[::10]
    assert len(paths) > 60
    changed = {path.stem for path in paths if blank_banner(read_image(path).gray)[1].any()}
    assert changed <= LOGOS
