"""A session as a reader study: Van Dyke's data put into a session's table, its files, and what cannot be said."""

import csv
import math
import re

import numpy as np
import pandas as pd
import pytest

from busi_model.reading.analysis import report, results
from busi_model.reading.analysis.figures import ALL, summarise
from busi_model.reading.analysis.mrmc import delong, obuchowski_rockette
from busi_model.reading.analysis.reader_study import Block, crossed, imrmc_text, mrmcaov_table, ratings, study_table
from tests.reading.test_results import figure, table_of
from tests.support.reading_help import final, joined, model, new_session, own, read_all
from tests.support.van_dyke import van_dyke

RATINGS, DISSECTION = van_dyke()
NAMES = ("Owl", "Fox", "Elk", "-1", "Ape")
CONFIDENCE = {1: ("benign", 100), 2: ("benign", 50), 3: ("malignant", 0), 4: ("malignant", 50), 5: ("malignant", 100)}


def van_dyke_session() -> pd.DataFrame:
    """Readings of five readers; a dissection counts as malignant, half of the others as normal."""
    rows, extra = [], []
    for reader, name in enumerate(NAMES):
        for case in range(114):
            before, after = (CONFIDENCE[RATINGS[read, reader, case]] for read in range(2))
            truth = "malignant" if DISSECTION[case] else ("benign", "normal")[case % 2]
            rows.append((name, case + 1, truth, before[0], "benign", after[0]))
            extra.append((before[1], after[1], 0.9 if DISSECTION[case] else case / 200))
    own_confidence, final_confidence, malignant = zip(*extra, strict=True)
    columns = {"own_confidence": own_confidence, "final_confidence": final_confidence, "model_malignant": malignant}
    return table_of(rows, **columns)


SESSION = van_dyke_session()


def test_the_published_analysis_comes_out_of_a_session():
    """The digits of MRMCaov's user guide, DeLong's covariance (tests/reading/test_mrmc.py has them all)."""
    change = figure(SESSION, "AUC for malignant, final minus own", ALL)
    assert change.value == pytest.approx(0.04380032, abs=5e-9)
    assert (change.low, change.high) == (pytest.approx(-0.0002665519, abs=5e-10), pytest.approx(0.08786720, abs=5e-9))
    assert "F(1, 15.1) = 4.48; 5 readers x 114 cases (45 malignant), all read by all" in change.note
    assert figure(SESSION, "AUC for malignant, Obuchowski-Rockette p", ALL).value == pytest.approx(0.05123303, abs=5e-9)
    assert figure(SESSION, "AUC for malignant, own read", ALL).value == pytest.approx(0.8970370, abs=5e-8)
    assert figure(SESSION, "AUC for malignant, final read", ALL).high == pytest.approx(0.9874592, abs=5e-8)
    sensitivity = figure(SESSION, "sensitivity for malignant, readers and cases random, final minus own", ALL)
    assert sensitivity.value == pytest.approx(0.09777778, abs=5e-9)
    assert figure(SESSION, "sensitivity for malignant, Obuchowski-Rockette p", ALL).value == pytest.approx(0.02008822)
    assert figure(SESSION, "AUC for malignant, p for these readers only", ALL).value < 0.02


def test_each_reader_has_areas_with_intervals():
    ape = figure(SESSION, "AUC for malignant, own read", "Ape")
    assert ape.value == pytest.approx(0.8297907, abs=5e-8) and 0.74 < ape.low < ape.value < ape.high < 0.92
    change = figure(SESSION, "AUC for malignant, final minus own", "Ape")
    assert change.value == pytest.approx(0.10016103, abs=5e-9) and change.low > 0
    assert figure(SESSION, "AUC for malignant, DeLong's p", "Ape").value == pytest.approx(0.02215407, abs=5e-9)
    perfect = figure(SESSION, "AUC for malignant, model", "Ape")  # 0.9 for all malignant cases, less for all others
    assert perfect.value == 1 and math.isnan(perfect.low) and "no interval" in perfect.note
    assert figure(SESSION, "AUC for malignant, model", ALL).n == 114  # once a case, not once a reader


def test_the_next_study_is_planned_from_this_one():
    summary = summarise(SESSION)
    lines = summary[summary["measure"].str.startswith("next study")].set_index("measure")
    cases = [
        lines["value"][f"next study: cases to find an AUC difference of 0.05 with {n} readers"] for n in (5, 10, 20)
    ]
    assert cases == sorted(cases, reverse=True) and all(20 < n < 1000 for n in cases)
    assert all("80 % power" in note and "39% malignant" in note for note in lines["note"])


def test_a_rating_is_confidence_with_the_side_it_was_given_for():
    rated = ratings(SESSION, "own")
    assert set(rated) == {-100, -50, 0, 50, 100}
    auc, covariance = delong(rated.to_numpy().reshape(5, 114), DISSECTION)
    assert auc == pytest.approx(delong(RATINGS[0], DISSECTION)[0])


def test_readers_who_stopped_early_do_not_cost_the_analysis():
    early = SESSION[(SESSION["reader"] != "Ape") | (SESSION["case"] <= 10)]
    block = crossed(early)
    assert block.readers == list(NAMES[:4]) and len(block.cases) == 114
    late = SESSION[(SESSION["reader"] != "Ape") | (SESSION["case"] > 4)]
    assert len(crossed(late).readers) == 5 and len(crossed(late).cases) == 110
    auc, covariance = delong(RATINGS[:, :, 4:].reshape(10, 110), DISSECTION[4:])
    expected = obuchowski_rockette(auc.reshape(2, 5), covariance)
    assert study_table(late).set_index("merit")["p"]["AUC"] == pytest.approx(expected.p)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (SESSION.assign(own_class=None, own_confidence=None), "no read before the model was shown"),
        (SESSION[SESSION["reader"] == "Owl"], "1 reader read before and after; 2 are needed"),
        (SESSION[SESSION["truth"] == "benign"], "0 malignant and 35 other cases were rated; 2 of each are needed"),
        (SESSION[SESSION["case"].isin([1, 2, 70])], "1 malignant and 2 other cases"),
    ],
)
def test_what_cannot_be_analysed_says_why(table, words):
    assert words in crossed(table)
    assert study_table(table).empty and "BEGIN DATA:" in imrmc_text(table)
    if table["reader"].nunique() > 1:
        row = figure(table, "AUC for malignant, final minus own", ALL)
        assert math.isnan(row.value) and words in row.note
    else:
        assert "Obuchowski" not in " ".join(summarise(table)["measure"])


def test_readers_whom_the_model_never_moves():
    still = SESSION.assign(final_class=SESSION["own_class"], final_confidence=SESSION["own_confidence"])
    row = figure(still, "AUC for malignant, Obuchowski-Rockette p", ALL)
    assert math.isnan(row.value) and "no reader changed" in row.note
    planned = figure(still, "next study: cases to find an AUC difference of 0.05 with 5 readers", ALL)
    assert math.isnan(planned.value) and "no reader changed" in planned.note
    alone = figure(still, "AUC for malignant, DeLong's p", "Owl")
    assert math.isnan(alone.value) and "rank the cases alike" in alone.note


def read_imrmc(text):
    """As iMRMC's manual says: text, counts, BEGIN DATA:, then readerID,caseID,modalityID,score; -1 is the truth."""
    head, data = text.split("BEGIN DATA:\n")
    counts = {name: int(n) for name, n in re.findall(r"^(N0|N1|NR|NM):\s*(\d+)$", head, re.MULTILINE)}
    rows = [line.split(",") for line in data.splitlines()]
    truth = {case: int(score) for reader, case, _, score in rows if reader == "-1"}
    scores = {(reader, case, read): float(score) for reader, case, read, score in rows if reader != "-1"}
    assert len(truth) + len(scores) == len(rows)
    return counts, truth, scores


def test_imrmc_reads_what_was_rated():
    counts, truth, scores = read_imrmc(imrmc_text(SESSION))  # one reader calls herself -1
    assert counts == {"N0": 69, "N1": 45, "NR": 5, "NM": 2}
    assert [truth[str(case)] for case in range(1, 115)] == DISSECTION.astype(int).tolist()
    assert len(scores) == 2 * 5 * 114
    order = [
        (f"reader{j}", str(case), read) for read in ("before", "after") for j in range(1, 6) for case in range(1, 115)
    ]
    again = np.array([scores[key] for key in order]).reshape(10, 114)
    assert delong(again, DISSECTION)[0] == pytest.approx(delong(RATINGS.reshape(10, 114), DISSECTION)[0])


def test_the_table_for_mrmcaov(tmp_path):
    early = SESSION[(SESSION["reader"] != "-1") | (SESSION["case"] <= 10)]
    report.write_csv(mrmcaov_table(early), tmp_path / "ratings.csv")
    with open(tmp_path / "ratings.csv", newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["reader", "pseudonym", "treatment", "case", "truth", "rating", "called", "crossed"]
    assert {row["reader"] for row in rows} == {f"reader{n}" for n in range(1, 6)}
    inside = [row for row in rows if row["crossed"] == "1"]
    assert len(inside) == 2 * 4 * 114 and {row["treatment"] for row in inside} == {"before", "after"}
    assert all((float(row["rating"]) >= 0) == (row["called"] == "1") for row in rows)
    assert isinstance(crossed(early), Block)


def test_a_whole_session_with_its_files(store, tmp_path):
    """Two readers and six cases, read through the reader: the report tells the analysis, the files hold the ratings."""
    truths = ["malignant", "benign"] * 3
    sessions, created = new_session(store, n_readers=2, truths=truths)
    rng = np.random.default_rng(2)

    def say(step):
        before, after = rng.integers(0, 100, 2)
        class_name = ("benign", "malignant")[int(rng.integers(2))]
        return (
            own(class_name, int(before), birads="4A"),
            model("malignant"),
            final("malignant", int(after), birads="4B"),
        )

    for code, name in zip(created.codes, ("Owl", "Fox"), strict=True):
        read_all(joined(sessions, code, name), say)
    table = results.readings(store, created.session_id)
    assert set(table["model_malignant"]) == {0.8}
    files = {path.name: path for path in report.write_downloads(store, created.session_id, tmp_path / "out")}
    counts, truth, scores = read_imrmc(files["ratings.imrmc"].read_text(encoding="utf-8"))
    assert counts == {"N0": 3, "N1": 3, "NR": 2, "NM": 2} and len(scores) == 24
    text = files["report.md"].read_text(encoding="utf-8")
    assert "2 readers x 6 cases (3 malignant), all read by all" in text and "| AUC |" in text
    assert "only an arm without the model would tell the two apart" in text.replace("\n", " ")
    for name in ("report.md", "summary.csv"):  # what a host takes away holds each of these
        said = files[name].read_text(encoding="utf-8-sig").replace("\\", "")
        for measure in (
            *(f"next study: cases to find an AUC difference of 0.05 with {n} readers" for n in (5, 10, 20)),
            "accuracy, own read, second half minus first",
            "seconds, whole case, second half minus first",
            "BI-RADS category, weighted kappa, own against final read",
            "BI-RADS category, weighted kappa between readers, own read",
            "AUC for malignant, Obuchowski-Rockette p",
        ):
            assert measure in said, (name, measure)
    study = list(csv.DictReader(files["study.csv"].read_text(encoding="utf-8-sig").splitlines()))
    assert [row["merit"] for row in study] == ["AUC", "sensitivity", "specificity"]
    assert float(study[1]["after"]) == 1 and float(study[0]["difference"]) == pytest.approx(
        float(study[0]["after"]) - float(study[0]["before"])
    )


def test_a_session_without_truths_has_no_study(store, tmp_path):
    sessions, created = new_session(store)
    read_all(joined(sessions, created.codes[0]))
    files = report.write_downloads(store, created.session_id, tmp_path / "out")
    assert [path.name for path in files] == ["readings.csv", "readings.jsonl", "summary.csv", "report.md"]
    assert "Not analysed: no truth is known." in files[3].read_text(encoding="utf-8")
