import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import ndimage

from busi_model.model.ood import LIMIT, N_STATISTICS, N_TEXTURE, fit_distance, image_statistics, ood_inputs, texture


def _training(n=400, d=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 8)) @ rng.normal(size=(8, d)) + 0.1 * rng.normal(size=(n, d)) + 5.0


def test_training_pictures_lie_at_about_one_and_others_further_away():
    inputs = _training()
    detector = fit_distance(inputs[:300])
    assert detector.distance(inputs[:300]).mean() == pytest.approx(1.0, abs=0.15)
    inside = detector.distance(inputs[300:])
    off_the_plane = detector.distance(inputs[300:] + np.random.default_rng(1).normal(0, 2.0, (100, 40)))
    assert off_the_plane.min() > inside.max()
    assert detector.distance(np.full((1, 40), 50.0))[0] > 10 * inside.max()


def test_few_pictures_make_a_detector_too():
    assert np.isfinite(fit_distance(_training(n=5)).distance(_training(n=3))).all()


def test_the_distance_of_older_weights_takes_no_texture_and_has_no_score():
    detector, inputs = fit_distance(_training(d=20)), _training(d=20 + N_TEXTURE)
    np.testing.assert_array_equal(detector.distance(inputs), detector.distance(inputs[:, :20]))
    assert np.isnan(detector.score(inputs)).all()


def test_score_by_hand():
    arrays = {"mean": [1.0, 0.0], "scale": [2.0, 1.0], "weights": [0.5, -3.0], "bias": [0.25]}
    detector = dataclasses.replace(
        fit_distance(_training(d=2)), **{f"score_{k}": np.array(v, np.float32) for k, v in arrays.items()}
    )
    found = detector.score(np.array([[3.0, 1.0], [1.0, -1000.0]]))
    np.testing.assert_allclose(found, [0.5 - 3 + 0.25, 3 * LIMIT + 0.25])  # one outlier cannot outweigh all else


def test_statistics_by_hand():
    gray = np.array([[0, 0, 10, 255]] * 4, np.uint8)
    found = image_statistics(gray)
    np.testing.assert_allclose(found[:5] * 255, [0, 0, 0, 10, 255])  # quantiles 5, 25, 50, 75, 95 %
    assert found[5] == 0.5 and found[6] == 0.25  # black, white
    assert found[7] == pytest.approx(np.log((0 + 10 + 245) / 3 + 0.1))  # steps along the rows
    assert found[8] == pytest.approx(np.log(0.1))  # no steps down the columns
    assert found[11] == 3 / 256


def _grain(smear, multiplicative, shape=(128, 128)):
    """Gray uint8 (H, W): grain smeared by so many pixels (down, right), on a ramp from dark to bright."""
    grain = ndimage.uniform_filter(np.random.default_rng(0).normal(size=shape), smear)
    ramp = np.linspace(30, 160, shape[1])
    return np.clip(ramp + 0.2 * (ramp if multiplicative else 80) * grain / grain.std(), 0, 255).astype(np.uint8)


def test_texture_tells_which_way_grain_is_smeared():
    sideways, down = texture(_grain((1, 5), True)), texture(_grain((5, 1), True))
    right_3, down_3 = 2, 7  # of LAGS
    assert sideways[right_3] > 0.2 > sideways[down_3] and down[down_3] > 0.2 > down[right_3]
    steeper_down = slice(30, 34)  # gradient ratios at full scale
    assert (sideways[steeper_down] > 0.5).all() and (down[steeper_down] < -0.5).all()


def test_texture_tells_speckle_from_added_noise():
    slope = 42  # of log strength against log brightness
    assert texture(_grain((1, 3), True))[slope] > 0.7 and abs(texture(_grain((1, 3), False))[slope]) < 0.2


def test_texture_hardly_depends_on_the_size_of_the_picture():
    gray = _grain((9, 21), True, (512, 640))
    smaller = gray[::2, ::2]
    assert np.abs(texture(gray) - texture(smaller)).mean() < 0.1


@given(npst.arrays(np.uint8, st.tuples(st.integers(64, 90), st.integers(64, 900))))
def test_inputs_are_finite_for_any_picture(gray):
    found = ood_inputs(np.zeros(4, np.float32), gray)
    assert found.shape == (4 + N_STATISTICS + N_TEXTURE,) and np.isfinite(found).all() and found.dtype == np.float32
