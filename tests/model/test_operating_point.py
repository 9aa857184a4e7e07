import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from busi_model.model.operating_point import OperatingPoint, Rate, ReliabilityBin, Threshold

LOGITS = st.lists(st.floats(-50, 50), min_size=3, max_size=3)


def test_temperature_by_hand():
    found = OperatingPoint(temperature=2.0).class_probabilities(np.array([2 * np.log(3), 0.0, 0.0]))
    np.testing.assert_allclose(found, [0.6, 0.2, 0.2])


def test_bias_by_hand():
    point = OperatingPoint(temperature=2.0, class_bias=(np.log(4), 0.0, 0.0))
    np.testing.assert_allclose(point.class_probabilities(np.array([0.0, 2 * np.log(3), 0.0])), [0.5, 0.375, 0.125])


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


def test_evidence_is_the_surer_head_by_hand():
    square = np.full((100, 100), 0.1, np.float32)
    square[20, 20:31] = 0.9  # 11 of the 23 pixels that 0.23 % are
    point = OperatingPoint(least_evidence=0.51)
    assert point.evidence(point.core(square), 0.8) == pytest.approx((11 * 0.9 + 12 * 0.1) / 23)
    assert point.evidence(point.core(square), 0.3) == pytest.approx(0.7)
    assert not point.mask(square, point.evidence(point.core(square), 0.8)).any()
    assert point.mask(square, point.evidence(point.core(square), 0.3)).any()
    square[30, 20:50] = 0.9
    assert point.evidence(point.core(square), 0.8) == pytest.approx(0.9)


def test_a_faint_lesion_is_outlined_at_a_share_of_its_peak():
    square = np.full((100, 100), 0.05, np.float32)
    square[20:50, 20:50], square[30:40, 30:40] = 0.3, 0.4
    point = OperatingPoint(mask_threshold=0.35, faint_share=0.5)
    assert point.core(square) == pytest.approx(0.4)
    assert point.mask(square, threshold=point.pixel_threshold(0.4)).sum() == 30 * 30
    assert point.pixel_threshold(0.4) == pytest.approx(0.2)
    assert point.pixel_threshold(0.8) == 0.35  # sure of its pixels: the threshold of all others
    assert point.pixel_threshold(0.001) == 0.02  # nothing there: not the whole picture
    assert OperatingPoint(mask_threshold=0.35).pixel_threshold(0.4) == 0.35


def test_weights_made_when_the_class_alone_decided_can_be_read():
    assert OperatingPoint.from_dict({"silent_from_normal": 0.8, "temperature": 1.5}).least_evidence == 0.0


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0}, {"mask_temperature": -1}, {"mask_threshold": 1.0}, {"faint_share": 0}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="expected|above 0"):
        OperatingPoint(**wrong)


RATE = Rate(0.9, 0.8, 0.95, 100)
MEASURED = OperatingPoint(
    class_bias=(1.0, 0.5, 0.0),
    thresholds=(Threshold("balanced", 0.4, RATE, RATE),),
    conformal_probability=0.2,
    conformal_coverage=RATE,
    margin_inside=0.8,
    margin_outside=0.2,
    reliability=(
        ReliabilityBin("malignant", 0.5, 0.9, RATE),
        ReliabilityBin("malignant", 0.9, 1.0, Rate(0.97, 0.9, 1.0, 40)),
    ),
)


def test_json_round_trip_is_exact():
    assert OperatingPoint.from_dict(json.loads(json.dumps(dataclasses.asdict(MEASURED)))) == MEASURED


def test_content_of_another_program_is_refused():
    with pytest.raises(TypeError):
        OperatingPoint.from_dict({"temperature": 1.0, "surplus": 1})


def test_class_set_holds_the_likeliest_and_whatever_cannot_be_ruled_out():
    assert MEASURED.class_set({"benign": 0.3, "malignant": 0.6, "normal": 0.1}) == ("malignant", "benign")
    assert MEASURED.class_set({"benign": 0.05, "malignant": 0.85, "normal": 0.1}) == ("malignant",)
    assert OperatingPoint().class_set({"benign": 0.3, "malignant": 0.4, "normal": 0.3}) == ("malignant",)


def test_margin_lies_between_surely_outside_and_surely_inside():
    probability = np.array([[0.1, 0.2, 0.5, 0.79, 0.8]], np.float32)
    assert MEASURED.margin(probability).tolist() == [[False, True, True, True, False]]


def test_observed_finds_the_bin_and_says_nothing_outside():
    assert MEASURED.observed("malignant", 0.9).observed.n == 40
    assert MEASURED.observed("malignant", 1.0).observed.n == 40
    assert MEASURED.observed("malignant", 0.5).observed == RATE
    assert MEASURED.observed("malignant", 0.49) is None
    assert MEASURED.observed("benign", 0.9) is None
