"""The reading panel's own functions: late answers, refusals, other people's ids, memory. No browser is needed."""

import json
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from gradio.events import EventData

from busi_model.clinic import words
from busi_model.image import Notice
from busi_model.network import CLASS_NAMES
from busi_model.operating_point import OperatingPoint, Rate, Threshold
from busi_model.page import lightbox, reader, strings
from busi_model.page.takeaway import Takeaway
from busi_model.predict import Prediction
from tests.browser import phantom_file

RATE = Rate(0.9, 0.8, 0.95, 100)
POINT = OperatingPoint(
    fitted_on="90 test images",
    thresholds=(Threshold("balanced", 0.9, RATE, RATE), Threshold("sensitive", 0.2, RATE, RATE)),
)


class Oracle:
    """Stands for a Predictor: answers at once with a fixed opinion, or raises."""

    def __init__(self, error=None, codes=(), probabilities=(0.1, 0.87, 0.03)):
        self.error, self.probabilities = error, probabilities
        self.warnings = tuple(Notice(code, f"It is {code}.") for code in codes)
        self.asked = 0

    def __call__(self, frame):
        self.asked += 1
        if self.error:
            raise self.error
        mask = np.zeros(frame.gray.shape, bool)
        mask[20:60, 30:110] = True
        probabilities = dict(zip(CLASS_NAMES, self.probabilities, strict=True))
        class_set = (max(probabilities, key=probabilities.get),)
        logits = np.zeros(3, np.float32)
        return Prediction(
            frame, probabilities, mask, mask * np.float32(1), logits, class_set, mask & False, self.warnings
        )


@pytest.fixture
def panel(tmp_path):
    """A reader for one oracle, a user's visit, and a way to read its outputs by name."""

    def make(**arguments):
        oracle = Oracle(**arguments)
        box = lightbox.Lightbox(oracle, tmp_path)
        return SimpleNamespace(
            oracle=oracle, box=box, visit=reader.Visit(), reader=reader.Reader(box, Takeaway(POINT, "net", "ab" * 32))
        )

    return make


NAMES = ("upload", "worklist", "viewer", "words", "measures", "insist", "take", "text", "clear")


def named(outputs):
    return SimpleNamespace(**dict(zip(NAMES, outputs, strict=True)))


def steps(outputs):
    return [named(one) for one in outputs]


def event(**data):
    return EventData(None, data)


def test_reading_goes_from_picture_to_result(panel, tmp_path):
    p = panel()
    opening, analysing, done = steps(p.reader.read([phantom_file(tmp_path)], p.visit, "balanced"))
    assert strings.OPENING in opening.words and opening.viewer["image"] is None
    assert strings.ANALYSING in analysing.words and analysing.viewer["image"] and analysing.viewer["lesions"] == []
    assert (
        words.VERDICTS["cannot_say"] in done.words
        and "Malignant 87\u00a0%" in done.words
        and len(done.viewer["lesions"]) == 1
    )
    assert [item["state"] for item in done.worklist["items"]] == [strings.CASE_STATES["done"]]
    assert done.measures.count("<tr>") == 1 + len(words.MEASURES_ROWS)
    assert done.text.startswith("Cannot say. Malignant 87 % is below the balanced threshold, 90 %, but possible.")


def test_a_late_answer_is_thrown_away(panel, tmp_path):
    p = panel()
    old = p.reader.read([phantom_file(tmp_path, "benign")], p.visit, None)
    assert strings.OPENING in named(next(old)).words
    assert strings.ANALYSING in named(next(old)).words
    *_, new = steps(p.reader.read([phantom_file(tmp_path, "malignant")], p.visit, None))
    assert words.VERDICTS["cannot_say"] in new.words
    assert list(old) == [[gr.skip()] * len(NAMES)]  # Gradio repeats a run's last output


def test_closing_throws_the_running_answer_away(panel, tmp_path):
    p = panel()
    running = p.reader.read([phantom_file(tmp_path)], p.visit, None)
    next(running)
    assert strings.WAITING_HEADING in named(p.reader.clear(p.visit)).words
    assert list(running) == [[gr.skip()] * len(NAMES)]
    assert p.visit.case_ids == []


def test_the_others_are_analysed_ahead_and_only_once(panel, tmp_path):
    p = panel()
    paths = [phantom_file(tmp_path, "benign", seed, 100, 140) for seed in range(3)]
    list(p.reader.read(paths, p.visit, None))
    assert p.oracle.asked == 1
    *_, last = p.reader.ahead(p.visit)
    assert [item["state"] for item in last["items"]] == [strings.CASE_STATES["done"]] * 3
    (picked,) = steps(p.reader.pick(p.visit, None, event(case=p.visit.case_ids[2])))
    assert picked.worklist["shown"] == p.visit.case_ids[2] == picked.viewer["case"]
    assert p.oracle.asked == 3
    assert picked.worklist["version"] > last["version"]


def test_another_user_s_image_cannot_be_picked(panel, tmp_path):
    p = panel()
    list(p.reader.read([phantom_file(tmp_path)], p.visit, None))
    stranger = reader.Visit()
    (answer,) = steps(p.reader.pick(stranger, None, event(case=p.visit.case_ids[0])))
    assert strings.GONE_HEADING in answer.words and answer.viewer["image"] is None
    assert p.reader.take("mask", stranger, None) == gr.skip()
    assert p.reader.explain(stranger, event(case=p.visit.case_ids[0])) == gr.skip()
    mark = event(case=p.visit.case_ids[0], start=[0, 0], end=[0, 50], mm=10)
    assert p.reader.mark(stranger, None, mark) == [gr.skip()] * len(NAMES)


def test_a_failure_of_the_program_is_a_sentence_too(panel, tmp_path, caplog):
    p = panel(error=RuntimeError("tensor at 0x7f"))
    *_, last = steps(p.reader.read([phantom_file(tmp_path)], p.visit, None))
    assert strings.FAILED_HEADING in last.words and "0x7f" not in last.words
    assert "tensor at 0x7f" in caplog.text


def test_a_refused_image_gets_its_result_only_on_demand(panel, tmp_path):
    p = panel(codes=["not_ultrasound"])
    *_, refused = steps(p.reader.read([phantom_file(tmp_path)], p.visit, None))
    assert words.VERDICTS["not_judged"] in refused.words and "87" not in refused.words
    assert refused.viewer["image"] and refused.viewer["lesions"] == [] and refused.measures == ""
    assert refused.insist.visible and not refused.take.visible
    assert p.reader.take("report", p.visit, None) == gr.skip()
    insisted = named(p.reader.insist(p.visit, None))
    assert words.VERDICTS["cannot_say"] in insisted.words and words.INSISTED_NOTE in insisted.words
    assert len(insisted.viewer["lesions"]) == 1 and words.WARNINGS["not_ultrasound"][0] in insisted.text


def test_a_blank_image_cannot_be_insisted_on(panel, tmp_path):
    p = panel(codes=["blank"])
    *_, refused = steps(p.reader.read([phantom_file(tmp_path)], p.visit, None))
    assert words.WARNINGS["blank"][2] in refused.words
    assert not refused.insist.visible


def test_the_operating_point_in_use_changes_the_verdict(panel, tmp_path):
    p = panel()
    *_, balanced = steps(p.reader.read([phantom_file(tmp_path)], p.visit, "balanced"))
    sensitive = named(p.reader.refresh(p.visit, "sensitive"))
    assert 'data-verdict="cannot_say"' in balanced.words and "balanced threshold, 90\u00a0%" in balanced.words
    assert 'data-verdict="suspicious"' in sensitive.words and "sensitive threshold 20\u00a0%" in sensitive.words
    assert p.reader.refresh(reader.Visit(), "sensitive") == [gr.skip()] * len(NAMES)


def test_a_marked_length_gives_millimetres_until_it_is_removed(panel, tmp_path):
    p = panel()
    list(p.reader.read([phantom_file(tmp_path)], p.visit, None))
    case = p.visit.shown
    marked = named(p.reader.mark(p.visit, None, event(case=case, start=[5, 10], end=[5, 210], mm=20)))
    assert "320 mm²" not in marked.measures  # 40 x 80 px at 0.1 mm are 32 mm²
    assert "32.0 mm² (3200 px²)" in marked.measures and "0.1 mm per pixel" in marked.measures
    assert marked.viewer["scaled"]
    content = json.loads(p.reader.takeaway.content("data", p.box.get(case), None))
    assert content["spacing_mm"] == {"row": 0.1, "column": 0.1, "from": "mark"}
    removed = named(p.reader.mark(p.visit, None, event(case=case)))
    assert "mm²" not in removed.measures and words.SPACING_NONE.split(".")[0] in removed.measures


@pytest.mark.parametrize(
    ("end", "mm", "words"),
    [
        ([5, 12], 20, "at least 10 px"),
        ([5, 210], 0.01, "1 to 500 mm"),
        ([5, 210], "ten", "ten"),
        (None, 20, ""),
        ([5], 20, ""),
    ],
)
def test_a_scale_that_makes_no_sense_is_refused_in_words(panel, tmp_path, end, mm, words):
    p = panel()
    list(p.reader.read([phantom_file(tmp_path)], p.visit, None))
    answer = named(p.reader.mark(p.visit, None, event(case=p.visit.shown, start=[5, 10], end=end, mm=mm)))
    assert answer.viewer["note"].startswith("The scale was not set.") and words in answer.viewer["note"]
    assert "mm²" not in answer.measures


def test_the_longest_unused_images_give_way_when_memory_is_full(tmp_path):
    now = [0.0]
    box = lightbox.Lightbox(Oracle(), tmp_path, kept_bytes=3 * 7 * 100 * 140, clock=lambda: now[0])
    cases = []
    for seed in range(4):
        now[0] += 1
        cases.append(box.analyse(box.add(phantom_file(tmp_path, "benign", seed, 100, 140))))
        box.picture(cases[-1])
        box.get(cases[0].case_id)  # the first stays in use
    assert [box.get(case.case_id) is not None for case in cases] == [True, False, True, True]
    assert not cases[1].folder.exists() and cases[2].folder.exists()


def test_images_are_forgotten_after_an_hour(tmp_path):
    now = [0.0]
    box = lightbox.Lightbox(Oracle(), tmp_path, clock=lambda: now[0])
    old = box.analyse(box.add(phantom_file(tmp_path)))
    box.picture(old)
    now[0] = lightbox.KEPT_S + 1.0
    box.add(phantom_file(tmp_path, "benign"))
    assert box.get(old.case_id) is None and not old.folder.exists()


def test_ids_cannot_be_guessed_and_folders_are_private(tmp_path):
    box = lightbox.Lightbox(Oracle(), tmp_path)
    cases = [box.open(box.add(phantom_file(tmp_path))) for _ in range(50)]
    assert len({case.case_id for case in cases}) == 50 and min(len(case.case_id) for case in cases) >= 20
    folder = cases[0].folder
    box.picture(cases[0])
    assert folder.stat().st_mode & 0o077 == 0
