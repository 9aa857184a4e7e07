import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from busi_model.training.evaluation import metrics


def _table(rows):
    """rows: (group, class, p benign, p malignant, p normal, dice, found_px2)."""
    table = pd.DataFrame(rows, columns=["group", "class_name", *metrics.PROBABILITY_COLUMNS, "dice", "found_px2"])
    table["predicted"] = table[metrics.PROBABILITY_COLUMNS].idxmax(axis=1).str.removeprefix("p_")
    table[metrics.LOGIT_COLUMNS] = np.log(table[metrics.PROBABILITY_COLUMNS])
    table["iou"] = table["dice"] / (2 - table["dice"])
    table["hd95_px"] = table["dice"] * 10
    table["size"] = np.where(table["class_name"] == "normal", "", "small")
    return table


NAN = float("nan")
TABLE = _table(
    [
        ("A", "benign", 0.8, 0.1, 0.1, 0.9, 50),
        ("A", "benign", 0.6, 0.3, 0.1, 0.7, 50),
        ("B", "malignant", 0.2, 0.7, 0.1, 0.8, 50),
        ("C", "malignant", 0.5, 0.4, 0.1, 0.05, 50),
        ("D", "normal", 0.1, 0.1, 0.8, NAN, 0),
        ("E", "normal", 0.2, 0.1, 0.7, NAN, 30),
    ]
)


def test_mask_figures_by_hand():
    truth = np.zeros((20, 20), bool)
    truth[5:10, 5:10] = True  # 25 px
    found = np.zeros((20, 20), bool)
    found[5:10, 7:12] = True  # 25 px, 15 in common
    figures = metrics.mask_figures(found, truth)
    assert figures["dice"] == pytest.approx(30 / 50)
    assert figures["iou"] == pytest.approx(15 / 35)
    assert figures["hd95_px"] == pytest.approx(2.0)


def test_undefined_mask_figures_are_nan():
    empty, full = np.zeros((10, 10), bool), np.ones((10, 10), bool)
    assert all(np.isnan(v) for v in metrics.mask_figures(empty, empty).values())
    assert all(np.isnan(v) for v in metrics.mask_figures(full, empty).values())
    missed = metrics.mask_figures(empty, full)
    assert missed["dice"] == 0 and missed["iou"] == 0 and np.isnan(missed["hd95_px"])


@given(st.integers(0, 10**6))
def test_dice_and_iou_tell_one_story(seed):
    rng = np.random.default_rng(seed)
    found, truth = rng.random((2, 16, 16)) < rng.random()
    truth[3, 3] = True
    figures = metrics.mask_figures(found, truth)
    assert figures["dice"] == pytest.approx(2 * figures["iou"] / (1 + figures["iou"]))
    both = (found & truth).sum()
    assert figures["iou"] == pytest.approx(both / (found | truth).sum())
    assert figures["dice"] == pytest.approx(2 * both / (found.sum() + truth.sum()))


@given(st.integers(0, 10**6), st.integers(2, 20), st.integers(2, 20))
def test_hd95_by_all_pairs_of_contour_pixels(seed, height, width):
    rng = np.random.default_rng(seed)
    masks = rng.random((2, height, width)) < rng.uniform(0.1, 0.95)
    masks[:, 1, 1] = True
    contours = []
    for mask in masks:
        inner = np.pad(mask, 1)
        inner = inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
        contours.append(np.argwhere(mask & ~inner))
    distances = np.linalg.norm(contours[0][:, None] - contours[1][None], axis=-1)
    expected = max(np.percentile(distances.min(axis=axis), 95) for axis in (0, 1))
    assert metrics.mask_figures(*masks)["hd95_px"] == pytest.approx(expected)


def test_case_figures_by_hand():
    figures = metrics.case_figures(TABLE)
    assert figures["dice_mean"] == pytest.approx((0.9 + 0.7 + 0.8 + 0.05) / 4)
    assert figures["dice_median"] == pytest.approx(0.75)
    assert figures["dice_mean_benign"] == pytest.approx(0.8)
    assert figures["dice_mean_malignant"] == pytest.approx(0.425)
    assert figures["missed"] == 0.25 and figures["missed_malignant"] == 0.5
    assert np.isnan(figures["dice_mean_large"])
    assert figures["normal_outlined"] == 0.5
    assert figures["accuracy"] == pytest.approx(5 / 6)
    assert figures["balanced_accuracy"] == pytest.approx((1 + 0.5 + 1) / 3)
    # benign: 2 true, 1 false positive -> 4/5; malignant: 1 of 2, none false -> 2/3; normal: 1
    assert figures["f1_macro"] == pytest.approx((4 / 5 + 2 / 3 + 1) / 3)
    assert figures["auc_malignant"] == 1.0
    assert figures["malignant_sensitivity_at_90_specificity"] == 1.0


def test_brier_and_ece_by_hand():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1]])
    labels = np.array([0, 1])
    assert metrics.brier_score(probabilities, labels) == pytest.approx((0.06 + (0.36 + 0.49 + 0.01)) / 2)
    # two bins with one case each: |0.8 - 1| and |0.6 - 0|
    assert metrics.expected_calibration_error(probabilities, labels) == pytest.approx((0.2 + 0.6) / 2)


def test_perfect_confidence_falls_into_the_last_bin():
    assert metrics.reliability(np.array([[1.0, 0.0, 0.0]]), np.array([0]))[0]["high"] == 1.0


def test_sensitivity_at_specificity_by_hand():
    score = np.arange(20) / 20
    positive = np.zeros(20, bool)
    positive[[5, 18, 19]] = True  # 17 negatives; one false positive (score 0.85) is 5.9 %, two are 11.8 %
    assert metrics.sensitivity_at_specificity(score, positive) == pytest.approx(2 / 3)
    assert np.isnan(metrics.sensitivity_at_specificity(score, np.zeros(20, bool)))


@given(st.integers(0, 10**6), st.integers(2, 60), st.sampled_from([1, 2, 17]), st.sampled_from([0.0, 0.5, 0.9, 1.0]))
def test_sensitivity_at_specificity_is_read_off_the_curve(seed, n, levels, specificity):
    rng = np.random.default_rng(seed)
    score, positive = rng.integers(0, levels, n) / 7, np.arange(n) % 3 == 0  # with ties
    false_positive, sensitivity, _ = sklearn.metrics.roc_curve(positive, score, drop_intermediate=False)
    best = sensitivity[false_positive <= 1 - specificity + 1e-12].max()
    assert metrics.sensitivity_at_specificity(score, positive, specificity) == best


@given(st.integers(0, 10**6), st.integers(2, 60), st.sampled_from([1, 2, 17]))
def test_the_area_is_scikit_learns(seed, n, digits):
    rng = np.random.default_rng(seed)
    score, positive = rng.random(n).round(digits), rng.random(n) < rng.random()
    positive[:2] = False, True
    expected = sklearn.metrics.roc_auc_score(positive, score)
    assert metrics.area_under_roc(score, positive) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(metrics.area_under_roc(score, positive | True))


@given(st.integers(0, 10**6), st.integers(1, 40))
def test_class_figures_are_scikit_learns(seed, n):
    rng = np.random.default_rng(seed)
    classes, probabilities = rng.choice(["benign", "malignant", "normal"], n), rng.dirichlet(np.ones(3), n)
    table = _table([("A", name, *row, 0.5, 1) for name, row in zip(classes, probabilities, strict=True)])
    figures = metrics.class_figures(table)
    present, how = sorted(set(classes)), {"zero_division": 0.0}
    truth, predicted = table["class_name"], table["predicted"]
    assert figures["accuracy"] == sklearn.metrics.accuracy_score(truth, predicted)
    recall = sklearn.metrics.recall_score(truth, predicted, labels=present, average="macro", **how)
    assert figures["balanced_accuracy"] == pytest.approx(recall)
    for average in ("macro", "weighted"):
        expected = sklearn.metrics.f1_score(truth, predicted, labels=present, average=average, **how)
        assert figures[f"f1_{average}"] == pytest.approx(expected)


@pytest.mark.parametrize(("share", "name"), [(0.01, "small"), (0.03, "medium"), (0.0999, "medium"), (0.1, "large")])
def test_size_names(share, name):
    assert metrics.size_name(share) == name


def test_intervals_hold_the_value_and_repeat():
    first, again = (metrics.with_intervals(TABLE, resamples=200, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(pd.DataFrame(first), pd.DataFrame(again))
    for name, figure in first.items():
        if not np.isnan(figure["value"]) and name != "ece":  # ECE is biased upward in small resamples
            assert figure["low"] - 1e-9 <= figure["value"] <= figure["high"] + 1e-9, name


def test_resampling_keeps_groups_together():
    """With one group alone, every resample is the table itself: no spread."""
    one = TABLE.assign(group="only")
    for figure in metrics.with_intervals(one, resamples=20).values():
        if not np.isnan(figure["value"]):
            assert figure["low"] == pytest.approx(figure["value"]) == figure["high"]


def test_without_normals_the_rest_is_still_defined():
    lesions = TABLE[TABLE["class_name"] != "normal"]
    figures = metrics.case_figures(lesions)
    assert np.isnan(figures["normal_outlined"]) and np.isnan(figures["auc_normal"]) and np.isnan(figures["f1_normal"])
    assert figures["auc_malignant"] == 1.0
    assert figures["f1_macro"] == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_confusion_by_hand():
    assert metrics.confusion(TABLE).tolist() == [[2, 0, 0], [1, 1, 0], [0, 0, 2]]
