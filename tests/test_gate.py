import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from busi_model.gate import fit_gate, gate_inputs, image_statistics
from busi_model.image import ImageError, read_image
from busi_model.training.strangers import strangers


def _training(n=400, d=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 8)) @ rng.normal(size=(8, d)) + 0.1 * rng.normal(size=(n, d)) + 5.0


def test_training_pictures_lie_at_about_one_and_others_further_away():
    inputs = _training()
    gate = fit_gate(inputs[:300])
    assert gate.distance(inputs[:300]).mean() == pytest.approx(1.0, abs=0.15)
    inside = gate.distance(inputs[300:])
    off_the_plane = gate.distance(inputs[300:] + np.random.default_rng(1).normal(0, 2.0, (100, 40)))
    assert off_the_plane.min() > inside.max()
    assert gate.distance(np.full((1, 40), 50.0))[0] > 10 * inside.max()


def test_few_pictures_make_a_gate_too():
    assert np.isfinite(fit_gate(_training(n=5)).distance(_training(n=3))).all()


def test_statistics_by_hand():
    gray = np.array([[0, 0, 10, 255]] * 4, np.uint8)
    found = image_statistics(gray)
    np.testing.assert_allclose(found[:5] * 255, [0, 0, 0, 10, 255])  # quantiles 5, 25, 50, 75, 95 %
    assert found[5] == 0.5 and found[6] == 0.25  # black, white
    assert found[7] == pytest.approx(np.log((0 + 10 + 245) / 3 + 0.1))  # steps along the rows
    assert found[8] == pytest.approx(np.log(0.1))  # no steps down the columns
    assert found[11] == 3 / 256


@given(npst.arrays(np.uint8, st.tuples(st.integers(64, 90), st.integers(64, 90))))
def test_statistics_are_finite_for_any_picture(gray):
    found = gate_inputs(np.zeros(4, np.float32), gray)
    assert found.shape == (16,) and np.isfinite(found).all()


def test_strangers_are_many_varied_readable_and_the_same_each_time():
    found, again = strangers(seed=3), strangers(seed=3)
    assert len(found) >= 200 and len({s.kind for s in found}) >= 7
    for one, other in zip(found, again, strict=True):
        assert one.name == other.name and np.array_equal(one.pixels, other.pixels)
        try:
            read_image(np.ascontiguousarray(one.pixels))
        except ImageError as error:
            pytest.fail(f"{one.name}: {error}")
