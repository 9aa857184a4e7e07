import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from busi_model.model.preprocess import Preprocess, square_pixels

SIDES = st.integers(64, 1200)


def test_letterbox_by_hand():
    box = Preprocess(size=256).letterbox(height=300, width=600)
    assert (box.rows, box.columns, box.top, box.left) == (128, 256, 64, 0)


def test_square_pads_with_black_and_keeps_the_picture():
    square = Preprocess(size=64).square(np.full((128, 64), 200, np.uint8))
    assert square.shape == (64, 64) and square.dtype == np.uint8
    assert (square[:, 16:48] == 200).all()
    assert (square[:, :16] == 0).all() and (square[:, 48:] == 0).all()


def test_normalised_values_by_hand():
    gray = np.full((64, 64), 255, np.uint8)
    assert Preprocess(size=64)(gray).shape == (2, 1, 64, 64)
    assert (Preprocess(size=64)(gray) == (255 - 127) / 128).all()


def test_tones_by_hand():
    gray = np.full((64, 64), 51, np.uint8)  # a fifth
    gray[:, :8] = 204
    preprocess = Preprocess(size=64, tones=(0.5, 2.0))
    straight, mirrored = preprocess(gray)[:, 0]
    assert straight[0, [0, 63]] == pytest.approx([(255 * 0.8**0.5 - 127) / 128, (255 * 0.2**0.5 - 127) / 128])
    assert mirrored[0, [0, 63]] == pytest.approx([(255 * 0.2**2 - 127) / 128, (255 * 0.8**2 - 127) / 128])


@pytest.mark.parametrize("tones", [(0.0, 1.0), (1.0, float("nan")), (1.0, 40.0)])
def test_a_tone_that_leaves_no_picture_is_refused(tones):
    with pytest.raises(ValueError, match="0.1 to 10"):
        Preprocess(tones=tones)


@given(SIDES, SIDES)
def test_letterbox_fits_and_keeps_the_aspect(height, width):
    box = Preprocess().letterbox(height, width)
    assert max(box.rows, box.columns) == 256
    assert box.top >= 0 and box.left >= 0
    assert box.top + box.rows <= 256 and box.left + box.columns <= 256
    assert abs(box.rows / height - box.columns / width) <= 0.51 / min(height, width)


@given(st.integers(64, 500), st.integers(64, 500), st.integers(0, 10**6))
def test_a_mask_survives_the_way_to_the_square_and_back(height, width, seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), bool)
    top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
    mask[top : top + height // 3, left : left + width // 3] = True
    preprocess = Preprocess()
    back = preprocess.restore(preprocess.square_mask(mask) / np.float32(255), height, width)
    assert back.shape == mask.shape and back.dtype == np.float32
    dice = 2 * ((back > 0.5) & mask).sum() / ((back > 0.5).sum() + mask.sum())
    assert dice > 0.93


@pytest.mark.parametrize("size", [0, 100, 33])
def test_wrong_size_is_refused(size):
    with pytest.raises(ValueError, match="multiple of 32"):
        Preprocess(size=size)


def test_square_pixels_divide_the_longer_side(monkeypatch):
    gray = np.arange(64 * 80, dtype=np.uint8).reshape(64, 80)
    assert square_pixels(gray, 1.0) is gray
    assert square_pixels(gray, 2.0).shape == (128, 80)
    assert square_pixels(gray, 0.5).shape == (64, 160)
    assert square_pixels(gray, 4 / 3).shape == (85, 80)
    monkeypatch.setattr("busi_model.model.preprocess.MAX_PIXELS", 64 * 100)
    assert square_pixels(gray, 2.0).shape == (64, 40)  # too many otherwise
    assert square_pixels(gray, 0.5).shape == (32, 80)
