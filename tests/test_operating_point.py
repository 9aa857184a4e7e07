import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from busi_model.operating_point import OperatingPoint

LOGITS = st.lists(st.floats(-50, 50), min_size=3, max_size=3)


def test_temperature_by_hand():
    found = OperatingPoint(temperature=2.0).class_probabilities(np.array([2 * np.log(3), 0.0, 0.0]))
    np.testing.assert_allclose(found, [0.6, 0.2, 0.2])


@given(LOGITS, st.floats(0.2, 5))
def test_probabilities_sum_to_one_and_keep_the_order(logits, temperature):
    found = OperatingPoint(temperature=temperature).class_probabilities(np.array(logits))
    assert found.sum() == pytest.approx(1)
    assert found[np.argmax(logits)] == found.max()


def test_mask_probability_by_hand_and_without_overflow():
    found = OperatingPoint(mask_temperature=2.0).mask_probability(np.array([0.0, 2 * np.log(4), 1e6, -1e6], np.float32))
    np.testing.assert_allclose(found, [0.5, 0.8, 1.0, 0.0], atol=1e-6)
    assert found.dtype == np.float32


def test_mask_drops_specks_and_fills_holes():
    probability = np.zeros((100, 100), np.float32)
    probability[10:30, 10:30] = 0.9
    probability[18:22, 18:22] = 0.1  # a hole
    probability[80:82, 80:82] = 0.9  # 4 px of 10,000: a speck at 0.1 %
    mask = OperatingPoint(min_lesion_share=0.001).mask(probability)
    assert mask.sum() == 400
    assert mask[20, 20] and not mask[80, 80]


def test_mask_keeps_what_reaches_the_threshold():
    probability = np.full((64, 64), 0.3, np.float32)
    assert OperatingPoint(mask_threshold=0.3).mask(probability).all()
    assert not OperatingPoint(mask_threshold=0.31).mask(probability).any()


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"mask_temperature": -1}, {"mask_threshold": 1.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="expected|above 0"):
        OperatingPoint(**wrong)
