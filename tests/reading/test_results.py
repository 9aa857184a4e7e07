"""Results: figures by hand and by other people's code, tables and reports that hold no formula and no markup."""

import csv
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from busi_model.names import CLASS_NAMES, DESCRIPTOR_WORDS
from busi_model.reading.analysis import report, results
from busi_model.reading.analysis.agreement import (
    BIRADS_ORDER,
    fleiss_kappa,
    fleiss_sums,
    linear_weights,
    weighted_kappa,
)
from busi_model.reading.analysis.figures import ALL, mcnemar_exact, summarise
from busi_model.reading.errors import RecordError, StoreError
from busi_model.reading.records import Model
from busi_model.reading.storage.store import new_key
from tests.support.reading_help import SQUARE, feedback, final, joined, model, new_session, outline, own, read_all

# Statistics


def test_cohens_kappa_by_hand():
    # Agreement 35/50; by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5; (0.7 - 0.5) / 0.5.
    assert weighted_kappa(np.array([[20, 5], [10, 15]]), np.eye(2)) == pytest.approx(0.4)
    # Both always say one thing: chance explains all.
    assert math.isnan(weighted_kappa(np.array([[7, 0], [0, 0]]), np.eye(2)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CLASS_NAMES), st.sampled_from(CLASS_NAMES)), min_size=2, max_size=30))
def test_cohens_kappa_is_scikit_learns(pairs):
    a, b = zip(*pairs, strict=True)
    confusion = np.zeros((3, 3))
    for one, other in pairs:
        confusion[CLASS_NAMES.index(one), CLASS_NAMES.index(other)] += 1
    if set(a) == set(b) and len(set(a)) == 1:
        assert math.isnan(weighted_kappa(confusion, np.eye(3)))
    else:
        assert weighted_kappa(confusion, np.eye(3)) == pytest.approx(cohen_kappa_score(a, b))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 6)] * 2), min_size=2, max_size=40).filter(lambda p: len(set(p)) > 1))
def test_weighted_kappa_is_scikit_learns(pairs):
    confusion = np.zeros((7, 7))
    np.add.at(confusion, tuple(np.array(pairs).T), 1)
    a, b = zip(*pairs, strict=True)
    expected = cohen_kappa_score(a, b, labels=range(7), weights="linear")
    assert weighted_kappa(confusion, linear_weights(7)) == pytest.approx(expected, abs=1e-9)


def test_fleiss_kappa_of_the_well_known_example():
    # Ten subjects, fourteen raters, five categories: the worked example of the encyclopaedias, kappa 0.210.
    ratings = """0 0 0 0 14, 0 2 6 4 2, 0 0 3 5 6, 0 3 9 2 0, 2 2 8 1 1,
                 7 7 0 0 0, 3 2 6 3 0, 2 5 3 2 2, 6 5 2 1 0, 0 2 2 3 7"""
    table = np.array([[int(n) for n in row.split()] for row in ratings.split(",")], float)
    assert fleiss_kappa(fleiss_sums(table).sum(axis=0)) == pytest.approx(0.210, abs=5e-4)


def test_mcnemar_by_hand():
    p, n = mcnemar_exact(2, 8)  # 2 * (1 + 10 + 45) / 2 ** 10
    assert (p, n) == (pytest.approx(0.109375), 10)
    assert mcnemar_exact(0, 0) == (1.0, 0)


def table_of(rows, **columns):
    """Rows (reader, case, truth, own, model, final) -> a table of readings."""
    table = pd.DataFrame(rows, columns=["reader", "case", "truth", "own_class", "model_class", "final_class"])
    defaults = {"own_confidence": 50.0, "final_confidence": 60.0, "own_seconds": 10.0, "final_seconds": 5.0}
    defaults |= {"interrupted": False, "dice_model_own": math.nan, "dice_model_final": math.nan}
    defaults |= {"own_birads": None, "final_birads": None, "model_malignant": math.nan}
    defaults |= {f"{whose}_{name}": None for whose in ("own", "model", "final") for name in DESCRIPTOR_WORDS}
    for name, value in (defaults | columns).items():
        table[name] = value
    table["position"] = table.groupby("reader").cumcount() + 1
    return table


B, M, N = CLASS_NAMES
EIGHT = table_of(  # one reader
    [
        ("Owl", 1, M, B, M, M),  # switched to a right model
        ("Owl", 2, M, M, M, M),
        ("Owl", 3, M, M, B, B),  # switched to a wrong model
        ("Owl", 4, M, B, M, B),  # kept a wrong read against a right model
        ("Owl", 5, B, B, M, B),  # kept a right read against a wrong model
        ("Owl", 6, B, M, B, B),  # switched to a right model
        ("Owl", 7, N, N, N, N),
        ("Owl", 8, N, N, B, N),
    ]
)


def figure(table, measure, scope="Owl"):
    rows = summarise(table)
    (row,) = rows[(rows["scope"] == scope) & (rows["measure"] == measure)].itertuples(index=False)
    return row


def test_one_readers_rates_by_hand():
    assert figure(EIGHT, "accuracy, own read").value == 5 / 8
    assert figure(EIGHT, "accuracy, final read").value == 6 / 8
    assert figure(EIGHT, "accuracy, model").value == 5 / 8
    assert figure(EIGHT, "sensitivity for malignant, own read").value == 2 / 4
    assert figure(EIGHT, "sensitivity for malignant, final read").value == 2 / 4
    assert figure(EIGHT, "specificity for malignant, own read").value == 3 / 4
    assert figure(EIGHT, "specificity for malignant, final read").value == 4 / 4
    assert figure(EIGHT, "accuracy, final minus own").value == pytest.approx(1 / 8)
    changed = figure(EIGHT, "accuracy, McNemar's exact p")  # two became right, one wrong
    assert (changed.value, changed.n) == (1.0, 3)


def test_switches_by_hand():
    right = figure(EIGHT, "switched to a right model, own read wrong")  # cases 1, 4, 6: two of three
    wrong = figure(EIGHT, "switched to a wrong model, own read right (automation bias)")  # cases 3, 5, 8
    assert (right.value, right.n) == (pytest.approx(2 / 3), 3)
    assert (wrong.value, wrong.n) == (pytest.approx(1 / 3), 3)


def test_a_rate_has_the_exact_interval():
    row = figure(EIGHT, "specificity for malignant, final read")  # 4 of 4: Clopper-Pearson's lower limit 0.025 ** (1/4)
    assert (row.low, row.high) == (pytest.approx(0.025**0.25), 1.0)


def test_confidence_shift_is_read_where_the_class_was_kept():
    table = EIGHT.assign(final_confidence=[60, 90, 60, 30, 55, 60, 70, 45])
    agreed = figure(table, "confidence shift, class kept, the model agreed")  # cases 2, 7: +40, +20
    against = figure(table, "confidence shift, class kept, the model disagreed")  # cases 4, 5, 8: -20, +5, -5
    assert (agreed.value, agreed.n) == (pytest.approx(30), 2)
    assert (against.value, against.n) == (pytest.approx(-20 / 3), 3)


def test_interrupted_readings_are_not_timed():
    table = EIGHT.assign(own_seconds=[1, 2, 3, 1000, 5, 6, 7, 8], interrupted=[False] * 3 + [True] + [False] * 4)
    row = figure(table, "seconds, own read")
    assert (row.value, row.n) == (5, 7) and "1 interrupted" in row.note


def test_readers_are_pooled_by_case():
    fox = EIGHT.assign(reader="Fox", final_class=EIGHT["truth"])
    both = pd.concat([EIGHT, fox], ignore_index=True)
    assert figure(both, "accuracy, final read", ALL).value == 14 / 16
    assert figure(both, "accuracy, final read", "Fox").value == 1
    row = figure(both, "accuracy, final read", ALL)
    assert 0.5 < row.low < 14 / 16 < row.high <= 1
    assert figure(both, "Fleiss' kappa between readers, own read", ALL).value == pytest.approx(1)
    assert "Fleiss" not in " ".join(summarise(EIGHT)["measure"])


def test_intervals_tell_of_the_number_of_cases():
    rows = [("Owl", case, B, B if case % 3 else M, B, B if case % 4 else M) for case in range(200)]
    wide = figure(table_of(rows[:20]), "Cohen's kappa with the model, own read")
    many = figure(
        table_of([(r, c, t, o, M if c % 5 == 0 else B, f) for r, c, t, o, _, f in rows]),
        "Cohen's kappa with the model, own read",
    )
    few = figure(
        table_of([(r, c, t, o, M if c % 5 == 0 else B, f) for r, c, t, o, _, f in rows[:30]]),
        "Cohen's kappa with the model, own read",
    )
    assert many.high - many.low < few.high - few.low
    assert math.isnan(wide.low)  # a model that says one thing only: no spread, so no interval is claimed


CATEGORIES = {
    "Owl": "2 2 3 4A 4B 4C 5 5 3 0",
    "Fox": "2 3 3 4A 4A 5 5 4C 2 2",
    "Elk": "1 2 3 3 4B 4C 5 5 6 3",
}


def birads_table():
    """Three readers, ten cases; the final categories are all readers' own, one step milder."""
    rows = [(name, case, M, M, M, M) for name in CATEGORIES for case in range(1, 11)]
    own_birads = " ".join(CATEGORIES.values()).split()
    milder = [BIRADS_ORDER[max(0, BIRADS_ORDER.index(b) - 1)] if b in BIRADS_ORDER else b for b in own_birads]
    return table_of(rows).assign(own_birads=own_birads, final_birads=milder)


def test_birads_categories_are_compared_in_their_order():
    table = birads_table()
    own_read = {name: dict(enumerate(words.split())) for name, words in CATEGORIES.items()}
    kappas = []
    for one, other in (("Owl", "Fox"), ("Owl", "Elk"), ("Fox", "Elk")):
        cases = [c for c in range(10) if {own_read[one][c], own_read[other][c]} <= set(BIRADS_ORDER)]
        ranks = [[BIRADS_ORDER.index(own_read[name][c]) for c in cases] for name in (one, other)]
        kappas.append(cohen_kappa_score(*ranks, labels=range(7), weights="linear"))
    row = figure(table, "BI-RADS category, weighted kappa between readers, own read", ALL)
    assert row.value == pytest.approx(np.mean(kappas)) and row.low < row.value < row.high
    assert row.n == 10 and "3 pairs" in row.note and "0 and 6 left out" in row.note
    changed = figure(table, "BI-RADS category, weighted kappa, own against final read", "Elk")
    assert changed.n == 9 and 0 < changed.value < 1
    assert "BI-RADS" not in " ".join(summarise(EIGHT)["measure"])


def test_a_category_that_one_reader_gave_alone_is_compared_with_nobody():
    table = birads_table().assign(final_birads=None)
    table.loc[table["reader"] != "Owl", "own_birads"] = None
    assert "BI-RADS" not in " ".join(summarise(table)["measure"])


SHAPES = {  # r: irregular, o: not irregular, -: nothing said; case by case
    "Owl": "rrrooorro-",
    "Fox": "rrooooro-r",
    "Elk": "oor-------",
}
PROGRAM = "rrroo-rooo"


def shapes_table():
    """Three readers' own reads of ten cases, and what the program said."""
    word = {"r": "irregular", "o": "not irregular", "-": None}
    rows = [(name, case, M, M, M, M) for name in SHAPES for case in range(1, 11)]
    said = [word[letter] for letters in SHAPES.values() for letter in letters]
    return table_of(rows).assign(own_shape=said, model_shape=[word[letter] for letter in PROGRAM] * 3)


def kappa_of(one, other):
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if "-" not in (a, b)]
    return cohen_kappa_score(*zip(*pairs, strict=True))


def test_descriptors_are_compared_with_the_program_and_between_readers():
    table = shapes_table()
    owl = figure(table, "shape, kappa with the program, own read")
    assert owl.value == pytest.approx(kappa_of(SHAPES["Owl"], PROGRAM)) and owl.low <= owl.value <= owl.high
    assert owl.n == 8 and "the program said a word in 8 of 9 readings" in owl.note
    between = figure(table, "shape, kappa between readers, own read", ALL)
    pairs = [("Owl", "Fox"), ("Owl", "Elk"), ("Fox", "Elk")]
    kappas = [kappa_of(SHAPES[one], SHAPES[other]) for one, other in pairs]
    assert between.value == pytest.approx(np.mean(kappas)) and "mean over 3 pairs" in between.note
    assert between.n == 8  # cases of which two readers at least said a word
    measures = " ".join(summarise(table)["measure"])
    assert "orientation" not in measures and "posterior" not in measures
    assert "shape, kappa with the program, final read" not in measures
    assert "shape" not in " ".join(summarise(EIGHT)["measure"])


def test_order_effects_by_hand():
    table = EIGHT.assign(own_seconds=[20, 20, 20, 20, 10, 10, 10, 10], final_seconds=5.0)
    row = figure(table, "seconds, whole case, second half minus first")
    assert (row.value, row.n) == (-10, 8)
    assert figure(table, "accuracy, own read, second half minus first").value == pytest.approx(3 / 4 - 2 / 4)
    assert figure(table, "accuracy, final read, second half minus first").value == pytest.approx(4 / 4 - 2 / 4)
    agreed = figure(table, "agreement with the model, final read, second half minus first")  # 5-8: 6, 7; 1-4: 1-3
    assert agreed.value == pytest.approx(2 / 4 - 3 / 4) and agreed.low < agreed.value < agreed.high
    alone = figure(table.iloc[:1], "seconds, whole case, second half minus first")
    assert math.isnan(alone.value)


def test_without_truth_nothing_is_called_right():
    measures = " ".join(summarise(EIGHT.assign(truth=None))["measure"])
    assert "kappa" in measures and "accuracy" not in measures and "switched" not in measures


def test_no_readings_make_no_figures(store):
    _, created = new_session(store)
    table = results.readings(store, created.session_id)
    assert len(table) == 0 and len(summarise(table)) == 0 and len(results.learning_curve(table)) == 0
    assert len(results.feedback(store)) == 0 and len(results.usability(store, created.session_id)) == 0


def test_the_learning_curve_by_hand():
    curve = results.learning_curve(
        pd.concat([EIGHT, EIGHT.assign(reader="Fox", own_class=B, own_seconds=30.0)], ignore_index=True)
    ).set_index("position")
    assert curve.loc[2].to_dict() == {
        "own_accuracy": 0.5,  # Owl right, Fox wrong
        "final_accuracy": 1.0,
        "agreement": 1.0,
        "seconds": 25.0,  # median of 15 and 35
        "n": 2,
    }


# From the store


@pytest.fixture
def session(store):
    """Two readers, three cases; the second reader draws a smaller outline and says hostile things."""
    sessions, created = new_session(store, n_readers=2, truths=["benign", "malignant", "normal"])
    read_all(joined(sessions, created.codes[0], "Owl"))
    half = [(20.0, 10.0), (50.0, 10.0), (50.0, 24.0), (20.0, 24.0)]  # 31 x 15 of the 31 x 31 pixels
    hostile = final(
        "malignant",
        outline_verdict="corrected",
        outline=outline(half),
        comment="=HYPERLINK(1)\n<script>alert(1)</script> | # no heading **bold**",
    )
    read_all(
        joined(sessions, created.codes[1], "Fox"),
        lambda s: (own("malignant", outline=outline(SQUARE)), model(), hostile),
    )
    return created.session_id


def test_a_table_of_readings_holds_what_was_said(store, session):
    table = results.readings(store, session)
    assert list(table["reader"]) == ["Owl"] * 3 + ["Fox"] * 3
    assert list(table["position"]) == [1, 2, 3, 1, 2, 3]
    truths = {1: "benign", 2: "malignant", 3: "normal"}
    assert all(truths[row.case] == row.truth for row in table.itertuples())
    fox = table[table["reader"] == "Fox"].iloc[0]
    assert (fox["own_class"], fox["model_class"], fox["final_class"]) == ("malignant", "benign", "malignant")
    assert fox["dice_model_final"] == pytest.approx(2 * 31 * 15 / (31 * 31 + 31 * 15))
    assert fox["dice_model_own"] == 1
    assert table[table["reader"] == "Owl"]["dice_model_final"].isna().all()  # called good, none was drawn
    assert (fox["app_version"], fox["weights_sha256"], fox["weights_revision"]) == ("1.2", "ab" * 32, "r1")
    assert not table["interrupted"].any() and (table["own_seconds"] >= 0).all()
    assert set(results.usability(store, session)["sus"]) == {75.0}  # 2.5 * (5 * 3 + 5 * 3)


def test_descriptors_reach_the_tables_and_the_report(store, tmp_path):
    """Two readers: one says a word of each lesion, the other of the first only; the program of all."""
    sessions, created = new_session(store, n_readers=2, truths=["benign", "malignant", "normal"])
    shape = {1: "irregular", 2: "not irregular", 3: "irregular"}
    program = model(descriptors={"shape": "irregular", "posterior": "posterior shadowing"})

    def say(words):
        return lambda step: (own(descriptors=words(step)), program, final(descriptors={"orientation": "parallel"}))

    read_all(joined(sessions, created.codes[0], "Owl"), say(lambda step: {"shape": shape.get(step.position)}))
    read_all(
        joined(sessions, created.codes[1], "Fox"),
        say(lambda step: {"shape": "irregular"} if step.position == 1 else None),
    )
    table = results.readings(store, created.session_id)
    owl = table[table["reader"] == "Owl"]
    assert list(owl["own_shape"]) == list(shape.values()) and list(owl["final_orientation"]) == ["parallel"] * 3
    assert list(table["own_shape"].notna()) == [True] * 4 + [False] * 2 and table["own_posterior"].isna().all()
    assert set(table["model_shape"]) == {"irregular"} and table["model_orientation"].isna().all()
    files = {path.name: path for path in report.write_downloads(store, created.session_id, tmp_path / "files")}
    assert "own_shape" in files["readings.csv"].read_text(encoding="utf-8-sig").splitlines()[0]
    assert "posterior shadowing" in files["readings.jsonl"].read_text()
    for name in ("summary.csv", "report.md"):
        text = files[name].read_text(encoding="utf-8-sig").replace("\\", "")
        assert "shape, kappa with the program, own read" in text and "shape, kappa between readers, own read" in text
        assert "orientation, kappa between readers, final read" in text


def test_a_model_that_refuses_is_not_counted_as_an_opinion(store, tmp_path):
    sessions, created = new_session(store, truths=["benign", "malignant", "normal"])
    silent = Model.checked(
        **{**dict(model(polygon=None)), "class_name": None, "confidence": None, "class_probabilities": {}}
    )
    said = final(outline_verdict="nothing_there")
    read_all(joined(sessions, created.codes[0]), lambda step: (own(), silent if step.position == 1 else model(), said))
    table = results.readings(store, created.session_id)
    assert table["model_class"].isna().sum() == 1
    assert figure(table, "Cohen's kappa with the model, own read").n == 2
    assert figure(table, "accuracy, model").n == 2 and figure(table, "accuracy, own read").n == 3
    assert report.write_downloads(store, created.session_id, tmp_path)


def test_no_cell_of_the_csv_begins_a_formula(store, session, tmp_path):
    files = report.write_downloads(store, session, tmp_path / "out")
    names = ["readings.csv", "readings.jsonl", "summary.csv", "report.md"]
    assert [path.name for path in files] == [*names, "ratings-mrmcaov.csv", "ratings.imrmc"]  # no empty study.csv
    assert "Not analysed: " in files[3].read_text(encoding="utf-8")
    with open(files[0], newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert rows[3]["comment"].startswith("'=HYPERLINK(1)\n<script>")
    assert len(rows) == 6 and rows[0]["comment"] == ""
    for start in ("=", "+", "-", "@", "\t", "\r"):
        report.write_csv(pd.DataFrame({"a": [start + "1", -1.5]}), tmp_path / "x.csv")
        with open(tmp_path / "x.csv", newline="", encoding="utf-8-sig") as file:
            assert [row["a"] for row in csv.DictReader(file)] == ["'" + start + "1", "-1.5"]
    report.write_csv(pd.DataFrame({"a": ["harmless\r=CMD()"]}), tmp_path / "x.csv")
    assert '"harmless\r=CMD()"' in (tmp_path / "x.csv").read_bytes().decode("utf-8-sig")


def test_json_lines_hold_the_words_as_typed(store, session, tmp_path):
    report.write_downloads(store, session, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "readings.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 6 and lines[3]["comment"].startswith("=HYPERLINK(1)\n<script>")
    assert lines[0]["dice_model_final"] is None


def test_the_report_shows_words_as_text(store, session, tmp_path):
    report.write_downloads(store, session, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert "\n# no heading" not in text and "**bold**" not in text
    for section in ("Intended use", "Participants", "AI system", "human factors", "Safety and errors", "SUS"):
        assert section in text
    assert "| Fox | radiologist | 7 | 3 of 3 |" in text and "ab" * 32 in text
    broken = [line for line in text.splitlines() if line.startswith("|") and line.replace("\\|", "").count("|") < 3]
    assert broken == []


def test_a_session_that_is_gone_is_told(store, tmp_path):
    with pytest.raises(RecordError, match="no such session"):
        report.write_report(store, "0" * 12, tmp_path / "report.md")
    (tmp_path / "file").write_text("in the way")
    _, created = new_session(store)
    with pytest.raises(StoreError, match="cannot be written"):
        report.write_downloads(store, created.session_id, tmp_path / "file")


def test_quick_feedback_is_a_table(store):
    store.save_feedback(new_key(), feedback("fine"))
    drawn = outline(SQUARE)
    store.save_feedback(
        new_key(), feedback(verdict="disagree", own_class="malignant", outline_verdict="corrected", outline=drawn)
    )
    table = results.feedback(store)
    assert list(table["verdict"]) == ["agree", "disagree"] and list(table["own_class"])[1] == "malignant"
    assert math.isnan(table["dice_model_final"][0]) and table["dice_model_final"][1] == 1
