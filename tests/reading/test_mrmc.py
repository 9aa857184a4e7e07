"""Multi-reader multi-case analysis, against results that other people's programs print for published data."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from busi_model.reading.analysis.mrmc import (
    cases_needed,
    delong,
    interval,
    obuchowski_rockette,
    paired,
    power,
    share,
)
from tests.support.van_dyke import van_dyke

RATINGS, DISSECTION = van_dyke()
FLAT = RATINGS.reshape(10, 114)  # all readers before, then all after


def printed(value, digits):
    """As the user guide prints it: that many significant digits."""
    return pytest.approx(value, rel=0.51 * 10 ** (1 - digits))


def test_areas_are_scikit_learns():
    auc, _ = delong(FLAT, DISSECTION)
    assert auc == pytest.approx([roc_auc_score(DISSECTION, row) for row in FLAT])


def test_van_dykes_data_with_jackknifed_covariance():
    """MRMCaov's user guide, "MRMC Analysis": mrmc(empirical_auc(truth, rating), treatment, reader, case); its
    difference is before minus after."""
    found = obuchowski_rockette(*_shaped(jackknife))
    assert found.means == (printed(0.8970370, 7), printed(0.9408374, 7))
    assert found.difference == printed(0.04380032, 7)
    assert (found.ms_read, found.ms_read_reader) == (printed(0.004796171, 7), printed(0.0005510306, 7))
    assert (found.var_reader, found.var_read_reader) == (printed(0.0015349993, 7), printed(0.0002004025, 7))
    assert (found.error, found.cov1) == (printed(0.0008022883, 7), printed(0.0003466137, 7))
    assert (found.cov2, found.cov3) == (printed(0.0003440748, 7), printed(0.0002390284, 7))
    assert (found.f, found.df, found.p) == (printed(4.456319, 7), printed(15.25967, 7), printed(0.05166569, 7))
    assert found.standard_error == printed(0.02074862, 7)
    assert (found.low, found.high) == (printed(-0.0003588544, 7), printed(0.0879594986, 7))
    assert found.intervals[0] == (printed(0.8252236, 7), printed(0.9688505, 7))
    assert found.intervals[1] == (printed(0.8941378, 7), printed(0.9875369, 7))
    assert found.p_these_readers == printed(0.01927984, 7)  # the section "Fixed readers"


def test_van_dykes_data_with_delongs_covariance():
    found = obuchowski_rockette(*_shaped(delong))
    assert (found.error, found.cov1) == (printed(0.0007921325, 7), printed(0.0003420090, 7))
    assert (found.cov2, found.cov3) == (printed(0.0003395265, 7), printed(0.0002358497, 7))
    assert (found.f, found.df, found.p) == (printed(4.484854, 7), printed(15.06611, 7), printed(0.05123303, 7))
    assert (found.low, found.high) == (printed(-0.0002665519, 7), printed(0.0878671960, 7))
    assert found.intervals[0] == (printed(0.8253461, 7), printed(0.9687280, 7))
    assert found.intervals[1] == (printed(0.8942155, 7), printed(0.9874592, 7))


def test_van_dykes_data_as_sensitivity():
    """The section "Binary metrics": a rating of 3 or more is called a dissection."""
    merits, covariance = share(FLAT[:, DISSECTION] >= 3)
    found = obuchowski_rockette(merits.reshape(2, 5), covariance)
    assert (found.f, found.df, found.p) == (printed(6.689493, 7), printed(15.71732, 7), printed(0.02008822, 7))
    assert (found.low, found.high) == (printed(0.0175185, 6), printed(0.1780371, 7))
    assert found.intervals[1] == (printed(0.8328691, 7), 1.0)


def test_one_reader_before_and_after():
    """The section "Fixed readers": readers 1 and 5 alone, jackknifed; and single readers' intervals."""
    auc, covariance = jackknife(FLAT, DISSECTION)
    for reader, expected in (
        (0, (0.02818035, -0.021822507, 0.078183215, 0.26933885)),
        (4, (0.10016103, 0.013809995, 0.186512066, 0.02300099)),
    ):
        both = [reader, 5 + reader]
        assert paired(auc[both], covariance[np.ix_(both, both)]) == tuple(printed(value, 6) for value in expected)
    assert interval(auc[0], covariance[0, 0]) == (printed(0.8606008, 7), printed(0.9786907, 7))
    assert interval(auc[8], covariance[8, 8]) == (printed(0.9979421, 7), 1.0)


def test_power_as_rjafroc_says_it():
    """RJafroc's own tests: dataset02 is Van Dyke's, effect size the difference that was seen."""
    pilot = obuchowski_rockette(*_shaped(jackknife))
    seen = pilot.difference
    assert power(pilot, 114, 10, 165, seen) == pytest.approx(0.80541995, abs=1e-8)
    assert power(pilot, 114, 6, 111, seen) == pytest.approx(0.5526116, abs=5e-8)
    assert cases_needed(pilot, 114, 6, seen) == 251
    assert power(pilot, 114, 6, 251, seen) >= 0.8 > power(pilot, 114, 6, 250, seen)
    assert cases_needed(pilot, 114, 3, 0.01) is None


def jackknife(ratings, positive):
    """As `delong`, the covariance by leaving out one case at a time, as MRMCaov has it."""
    n = len(positive)
    without = [delong(np.delete(ratings, k, axis=1), np.delete(positive, k))[0] for k in range(n)]
    return delong(ratings, positive)[0], (n - 1) ** 2 / n * np.cov(np.transpose(without))


def _shaped(covariance_of):
    auc, covariance = covariance_of(FLAT, DISSECTION)
    return auc.reshape(2, 5), covariance


def test_a_difference_is_found_as_often_as_it_says():
    """Without a difference, 5 % of simulated studies find one: readers and cases are both drawn anew each time."""
    rng = np.random.default_rng(3)
    positive = np.arange(60) < 30
    found = []
    for _ in range(300):
        reader = rng.normal(1.5, 0.3, (1, 5, 1)) + rng.normal(0, 0.2, (2, 5, 1))
        case = rng.normal(size=(1, 1, 60)) + rng.normal(0, 0.5, (2, 1, 60))
        ratings = reader * positive + case + rng.normal(size=(2, 5, 60))
        auc, covariance = delong(ratings.reshape(10, 60), positive)
        found.append(obuchowski_rockette(auc.reshape(2, 5), covariance).p < 0.05)
    assert 0.02 < np.mean(found) < 0.09


def test_what_is_undefined_is_nan():
    same = np.tile(DISSECTION, (4, 1))  # everybody is right, twice
    auc, covariance = delong(same, DISSECTION)
    assert auc == pytest.approx(1)
    nothing = obuchowski_rockette(auc.reshape(2, 2), covariance)
    assert nothing.difference == 0 and math.isnan(nothing.p) and math.isnan(nothing.low)
    assert math.isnan(nothing.p_these_readers) and math.isnan(nothing.intervals[0][0])
    assert math.isnan(paired(auc[:2], covariance[:2, :2])[3]) and math.isnan(interval(1.0, 0.0)[0])
    assert cases_needed(nothing, 114, 5, 0.05) is None
    one_positive = np.arange(114) == 0
    assert np.isnan(delong(FLAT, one_positive)[1]).all()
    with pytest.raises(ValueError, match="positive cases and others"):
        delong(FLAT, np.zeros(114, bool))
    with pytest.raises(ValueError, match="two readers or more"):
        obuchowski_rockette(auc[:2].reshape(2, 1), covariance[:2, :2])
