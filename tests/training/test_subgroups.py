import numpy as np
import pandas as pd
import pytest

from busi_model.training.evaluation import subgroups

NAN = float("nan")


def _table(**columns):
    rows = {
        "case_id": list("abcd"),
        "hospital": "BUSI",
        "group": ["g1", "g1", "g2", "g3"],
        "subgroup": ["clean", "text", "clean", "clean"],
        "class_name": ["benign", "malignant", "normal", "benign"],
        "predicted": ["benign", "benign", "normal", "normal"],
        "p_benign": [0.8, 0.55, 0.1, 0.3],
        "p_malignant": [0.1, 0.4, 0.1, 0.2],
        "p_normal": [0.1, 0.05, 0.8, 0.5],
        "size": ["small", "large", "", "small"],
        "long_side_px": [300, 500, 700, 500],
        "black_share": [0.0, 0.1, 0.3, 0.1],
        "found_px2": [10, 20, 5, 30],
        "class_set": ["benign", "benign malignant", "normal", "normal benign"],
        "contour_in_margin": [0.9, 0.5, NAN, 0.7],
        "dice": [0.9, 0.05, NAN, 0.7],
        "warnings": ["", "colour", "heads_disagree", "heads_disagree low_confidence"],
    }
    return pd.DataFrame(rows | columns)


def test_figures_by_hand():
    found = {name: (r.value, r.n) for name, r in subgroups.reliability_figures(_table()).items()}
    assert found["Class set holds the truth"] == (1.0, 4)
    assert found["Class set holds two classes"] == (0.5, 4)
    assert found["Wrong class, all cases"] == (0.5, 4)
    assert found["Wrong class after referring the least certain 20%"] == (pytest.approx(1 / 3), 3)
    assert found["Reference contour within the margin band, lesions found"] == (pytest.approx(0.8), 2)
    assert found["Heads disagree"] == (0.5, 4)
    assert found["Heads disagree, and the class is wrong"] == (0.5, 2)
    assert found["Something outlined though called normal, and there is a lesion"] == (0.5, 2)
    assert found["Turned away as no breast ultrasound"] == (0.0, 4)


def test_rate_is_a_mean_with_a_group_interval():
    hits, groups = pd.Series([1, 0, 1, 1, NAN]), pd.Series(list("aabbc"))
    found = subgroups.rate(hits, groups)
    assert (found.value, found.n) == (0.75, 4) and found.low == 0.5 and found.high == 1.0
    empty = subgroups.rate(pd.Series([NAN]), pd.Series(["a"]))
    assert np.isnan(empty.value) and empty.n == 0


def test_twins_move_together():
    """The same hits in one group a case and in two large groups: fewer groups, wider interval."""
    hits = pd.Series([1.0, 0.0] * 50)
    alone = subgroups.rate(hits, pd.Series(range(100)))
    twins = subgroups.rate(hits, pd.Series([i % 2 for i in range(100)]))
    assert (twins.low, twins.high) == (0.0, 1.0) and alone.low > 0.35


def test_shortcuts_are_paired():
    plain = _table()
    marked = _table(predicted=["malignant", "malignant", "normal", "normal"])
    found = subgroups.shortcut_figures(plain, marked)
    assert found["Accuracy, images as they are"]["value"] == 0.5
    assert found["Accuracy, marks painted on all"]["value"] == 0.5
    assert found["Accuracy, marks painted on benign only"]["value"] == 0.25
    assert found["Difference, marks on benign only"]["value"] == -0.25


def test_failures_are_named():
    found = subgroups.failures(_table())
    assert found == {
        "lesion missed": ["b"],
        "malignant called benign": ["b"],
        "benign called normal": ["d"],
        "normal outlined": ["c"],
    }


def test_small_subgroups_are_left_out_and_large_ones_counted():
    table = pd.concat([_table()] * 3, ignore_index=True)
    rows = {(r["by"], r["subgroup"]): r for r in subgroups.subgroup_rows(table)}
    assert rows["class", "benign"]["n"] == 6 and rows["class", "benign"]["accuracy"]["value"] == 0.5
    assert ("class", "normal") not in rows
    assert rows["longer side", "401-600 px"]["n"] == 6
