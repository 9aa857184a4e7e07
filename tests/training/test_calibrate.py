import dataclasses

import numpy as np
import pytest

from busi_model.model.operating_point import OperatingPoint
from busi_model.predict import Predictor
from busi_model.training.calibration import calibrate
from busi_model.training.calibration.calibrate import HeldOut
from busi_model.training.data.layouts import find_cases
from busi_model.training.evaluation.evaluate import evaluate_cases
from busi_model.training.evaluation.subgroups import with_rates

SIDE = 32


def _held_out(hospital="BUSI", n=300, scale=1.0, seed=0):
    """Logits that mean what they say when divided by `scale`, and square lesions with a soft edge."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    masks = np.zeros((n, SIDE, SIDE), bool)
    masks[labels != 2, 8:24, 8:24] = True
    distance = np.minimum(np.abs(np.arange(SIDE) - 7.5), np.abs(np.arange(SIDE) - 23.5))
    inside = np.where((np.arange(SIDE) > 7.5) & (np.arange(SIDE) < 23.5), distance, -distance)
    soft = np.minimum(inside[:, None], inside[None, :])
    mask_logits = np.where((labels != 2)[:, None, None], soft, -8.0) + rng.normal(0, 0.3, (n, SIDE, SIDE))
    return HeldOut(hospital, labels, scale * logits, mask_logits.astype(np.float16), masks)


def test_fit_temperature_finds_the_scale_that_was_put_in():
    held_out = _held_out(n=20_000, scale=3.0)
    assert calibrate.fit_temperature(held_out.class_logits, held_out.labels) == pytest.approx(3, rel=0.05)


def test_class_scaling_finds_the_bias_that_was_taken_away():
    """Rare classes weighed up in training: their logits are too high by a constant, which calibration takes back."""
    held_out = _held_out(n=20_000, scale=2.0)
    shifted = held_out.class_logits + 2.0 * np.array([0.0, 0.5, 1.5])
    temperature, bias = calibrate.fit_class_scaling(shifted, held_out.labels, np.ones(20_000))
    assert temperature == pytest.approx(2.0, rel=0.05)
    assert bias == pytest.approx((1.5, 1.0, 0.0), abs=0.1)


def test_each_hospital_counts_alike_whatever_it_sent():
    """A hospital that sends everything five times over does not get a greater say."""
    one, other = _held_out("A", 200, 1.0), _held_out("B", 200, 4.0, seed=1)
    arrays = {f.name: getattr(other, f.name) for f in dataclasses.fields(HeldOut)}
    often = HeldOut(**{k: v if k == "hospital" else np.concatenate([v] * 5) for k, v in arrays.items()})
    found, again = (calibrate.fit_operating_point([one, b], "both") for b in (other, often))
    assert found.temperature == pytest.approx(again.temperature, rel=1e-3)
    assert found.mask_temperature == pytest.approx(again.mask_temperature, rel=0.05)  # other pixels are drawn
    assert found.temperature < 0.8 * calibrate.fit_operating_point([other], "one").temperature


def test_operating_point_reaches_what_it_promises():
    held_out = _held_out(n=1500)
    point = calibrate.fit_operating_point([held_out], "phantoms")
    assert point.fitted_on == "phantoms"
    p = point.class_probabilities(held_out.class_logits)
    malignant = held_out.labels == 1
    sensitive = next(t for t in point.thresholds if t.name == "sensitive").malignant_probability
    assert 0.95 <= (p[malignant, 1] >= sensitive).mean() < 0.96
    balanced = next(t for t in point.thresholds if t.name == "balanced").malignant_probability
    youden = [(p[malignant, 1] >= t).mean() - (p[~malignant, 1] >= t).mean() for t in (balanced, 0.1, 0.5, 0.9)]
    assert youden[0] == max(youden)
    truth = p[np.arange(len(p)), held_out.labels]
    weights = calibrate.mix_weights([held_out.labels])
    assert np.average(truth >= point.conformal_probability, weights=weights) == pytest.approx(0.9, abs=0.01)


def test_margin_band_holds_the_promised_share_of_contours():
    held_out = _held_out(n=200)
    point = calibrate.fit_operating_point([held_out], "phantoms")
    shares = []
    for logits, mask in zip(held_out.mask_logits, held_out.masks, strict=True):
        if mask.any():
            band = point.margin(point.mask_probability(logits.astype(np.float32)))
            contour = mask.copy()
            contour[9:23, 9:23] = False
            shares.append(band[contour].mean())
    assert np.mean(shares) == pytest.approx(0.8, abs=0.05)


def test_thresholds_of_pixels_draw_the_most_dice_by_hand():
    """A lesion of 20 x 20 px whose rim is likelier outside than inside, and a faint one; nothing beside them."""
    probability, masks = np.full((2, 64, 64), 1e-3), np.zeros((2, 64, 64), bool)
    masks[:, 10:30, 10:30] = True
    probability[0, 10:30, 10:30], probability[0, 12:28, 12:28] = 0.42, 0.95
    probability[0, 40:60, 40:60] = 0.32  # tissue that looks like a lesion
    probability[1, 10:30, 10:30], probability[1, 15:25, 15:25] = 0.11, 0.2
    logits = np.log(probability / (1 - probability))
    held_out = HeldOut("phantoms", np.zeros(2, int), np.zeros((2, 3)), logits.astype(np.float16), masks)
    point = OperatingPoint()
    found = calibrate.pixel_thresholds([held_out], point)
    assert found["mask_threshold"] in (0.35, 0.4)  # above the tissue, below the rim
    assert found["faint_share"] in (0.4, 0.5)  # 0.11 of 0.2: at 0.6 half of the faint lesion would be lost
    point = dataclasses.replace(point, **found)
    for square, mask in zip(probability.astype(np.float32), masks, strict=True):
        assert (point.mask(square, threshold=point.pixel_threshold(point.core(square))) == mask).all()
    assert calibrate.pixel_thresholds([held_out.where(np.zeros(2, bool))], point) == {}


def test_silence_in_normal_images_costs_no_more_than_its_price():
    held_out = _held_out(n=600)
    point = calibrate.fit_operating_point([held_out], "phantoms")
    normal = point.class_probabilities(held_out.class_logits)[:, 2]
    squares = [point.mask_probability(logits.astype(np.float32)) for logits in held_out.mask_logits]
    silenced = (
        np.array([point.evidence(point.core(square), p) for square, p in zip(squares, normal, strict=True)])
        < point.least_evidence
    )
    assert silenced[held_out.labels == 2].any()
    assert (silenced & (held_out.labels != 2)).sum() <= 0.002 * (held_out.labels != 2).sum() / 0.9 + 1


def test_without_lesions_nothing_is_made_up():
    held_out = _held_out(n=100)
    normal = held_out.labels == 2
    arrays = {f.name: getattr(held_out, f.name) for f in dataclasses.fields(HeldOut)}
    arrays |= {"mask_logits": arrays["mask_logits"] * 0 - 9}
    point = calibrate.fit_operating_point([HeldOut(**arrays)], "phantoms")
    assert normal.any() and point.margin_inside == point.margin_outside == 0.5


def test_held_out_predictions_are_the_predictors(untrained, phantoms):
    predictor, cases = Predictor.load(untrained, device="cpu"), find_cases(phantoms)[:3]
    held_out = calibrate.predict_held_out(predictor, cases)
    for i, case in enumerate(cases):
        frame, truth = case.read()
        np.testing.assert_array_equal(held_out.class_logits[i], predictor(frame).class_logits)
        assert held_out.masks[i].mean() > 0 if truth.any() else not held_out.masks[i].any()


def test_rates_are_measured_on_the_table_that_is_given(untrained, phantoms):
    predictor, cases = Predictor.load(untrained, device="cpu"), find_cases(phantoms)
    point = calibrate.fit_operating_point([calibrate.predict_held_out(predictor, cases)], "phantoms")
    predictor.operating_point = point
    table = evaluate_cases(predictor, cases, progress=False)
    measured = with_rates(point, table)
    for t in measured.thresholds:
        malignant = table["class_name"] == "malignant"
        called = table["p_malignant"] >= t.malignant_probability
        assert t.sensitivity.value == pytest.approx(called[malignant].mean()) and t.sensitivity.n == malignant.sum()
        assert t.specificity.value == pytest.approx((~called[~malignant]).mean())
        assert t.sensitivity.low <= t.sensitivity.value <= t.sensitivity.high
    bins = [b for b in measured.reliability if b.class_name == "benign"]
    assert sum(b.observed.n for b in bins) == len(table)
    assert OperatingPoint.from_dict(dataclasses.asdict(measured)) == measured


def test_the_classes_make_up_one_mix_and_each_hospital_counts_alike_in_a_class():
    labels = [np.array([0] * 60 + [1] * 20 + [2] * 20), np.array([0] * 10 + [1] * 10), np.array([0] * 5 + [2])]
    weights = calibrate.mix_weights(labels)
    everyone = np.concatenate(labels)
    shares = [weights[everyone == k].sum() / weights.sum() for k in range(3)]
    assert shares == pytest.approx(calibrate.CLASS_MIX)
    of_malignant = [weights[:100][labels[0] == 1].sum(), weights[100:120][labels[1] == 1].sum()]
    assert of_malignant[0] == pytest.approx(of_malignant[1])
    assert weights[-1] == 0  # one normal image tells nothing of that class


@pytest.mark.parametrize("labels", [[0, 0, 2, 2], [1, 1, 1, 1]])
def test_without_malignant_images_or_others_there_is_no_threshold(labels):
    probabilities = np.full((4, 3), 1 / 3)
    assert calibrate.thresholds(probabilities, np.array(labels), np.ones(4)) == ()
