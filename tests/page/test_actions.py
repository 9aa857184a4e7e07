"""The reading panel's own functions: late answers, refusals, other people's ids, memory. No browser is needed."""

import html
import io
import json
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pydicom
import pytest
from PIL import Image

from busi_model.clinic import words
from busi_model.image import Notice
from busi_model.model.operating_point import OperatingPoint, Rate, Threshold
from busi_model.names import CLASS_NAMES
from busi_model.page import strings
from busi_model.page.images import actions
from busi_model.page.images.background import Background
from busi_model.page.images.downloads import Downloads
from busi_model.page.images.film import Film
from busi_model.page.images.opened import KEPT_S, OpenImages
from busi_model.page.images.pictures import picture
from busi_model.page.images.worklist import Visit
from busi_model.phantom import draw_phantom
from busi_model.predict import Prediction
from tests.decode.test_banner import screen
from tests.support.browser import phantom_file
from tests.support.picture_files import dataset, region, written

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
    """Actions for one oracle, a user's visit, and a way to read its outputs by name."""

    def make(**arguments):
        return opened_panel(Oracle(**arguments), tmp_path)

    return make


def opened_panel(oracle, folder):
    images = OpenImages(oracle, folder)
    doing = actions.Actions(images, Downloads(POINT, "net", "ab" * 32))
    return SimpleNamespace(
        oracle=oracle, images=images, visit=Visit(), actions=doing, background=Background(doing.screen)
    )


def shown(steps):
    """Every step that was not overtaken."""
    return [step for step in steps if step is not None]


def test_a_spike_of_an_edited_outline_is_no_further_lesion(panel, tmp_path):
    p = panel()
    (*_, done) = shown(p.actions.read([phantom_file(tmp_path)], p.visit, "balanced"))
    # A point that was dragged far out: the spike is thinner than a pixel, and meets pixel centres here and there.
    spiked = [[50, 50], [150, 50], [150, 100], [100.4, 100], [131.3, 140.7], [100, 100], [50, 100]]
    event = {"case": done.case_id, "revision": 1, "lesions": [spiked]}
    step = p.actions.outline(p.visit, "balanced", event)
    case = p.images.get(done.case_id)
    assert len(case.lesions) == 1 and words.OUTLINE_EDITED in step.text
    assert words.DESCRIPTORS_NOTE_EDITED in html.unescape(step.measures)


def test_reading_goes_from_picture_to_result(panel, tmp_path):
    p = panel()
    opening, analysing, done = shown(p.actions.read([phantom_file(tmp_path)], p.visit, "balanced"))
    assert strings.OPENING in opening.words and opening.viewer["image"] is None
    assert strings.ANALYSING in analysing.words and analysing.viewer["image"] and analysing.viewer["lesions"] == []
    assert words.VERDICTS["cannot_say"] in done.words and "Malignant 87\u00a0%" in done.words
    assert len(done.viewer["lesions"]) == 1 and done.case_id == p.visit.shown
    assert [item["state"] for item in done.worklist["items"]] == [strings.CASE_STATES["done"]]
    rows = [*words.MEASURES_ROWS.values(), words.DESCRIPTOR_ROWS["orientation"]]
    assert all(f'<th scope="row">{row}</th>' in done.measures for row in rows)
    assert done.text.startswith("Cannot say. Malignant 87 % is below the balanced threshold, 90 %, but possible.")


def test_until_an_image_is_read_every_answer_says_that_it_is_opened(panel, tmp_path):
    """The user may change the operating point meanwhile, or close another image."""
    p = panel()
    running = p.actions.read([phantom_file(tmp_path)], p.visit, "balanced")
    next(running)
    step = p.actions.refresh(p.visit, "sensitive")
    assert strings.OPENING in step.words and step.viewer["image"] is None and step.text is None
    case = p.images.get(p.visit.shown)
    for name in ("frame", "prediction", "mask"):
        with pytest.raises(RuntimeError, match="yet; `OpenImages"):
            getattr(case, name)
    *_, done = shown(running)
    assert done.case_id == case.case_id and case.frame is case.prediction.frame


def test_the_list_has_the_order_of_the_drop_even_when_events_overtake_each_other(panel, tmp_path):
    p = panel()
    first, *others = [phantom_file(tmp_path, "benign", seed, 100, 140) for seed in range(3)]
    list(p.actions.read(others, p.visit, None, tokens=["mabc-1", "mabc-2"], show=False))
    list(p.actions.read([first], p.visit, None, tokens=["mabc-0"]))
    list(p.actions.read([first], p.visit, None, tokens=["made up"]))
    list(p.actions.read([first], p.visit, None, tokens=["mabd-0"]))  # dropped later, after a reload
    tokens = [p.visit.tokens[case_id] for case_id in p.visit.case_ids]
    assert tokens == ["mabc-0", "mabc-1", "mabc-2", "made up", "mabd-0"]
    assert p.visit.shown == p.visit.case_ids[-1]


def test_a_late_answer_is_thrown_away(panel, tmp_path):
    p = panel()
    old = p.actions.read([phantom_file(tmp_path, "benign")], p.visit, None)
    assert strings.OPENING in next(old).words
    assert strings.ANALYSING in next(old).words
    *_, new = shown(p.actions.read([phantom_file(tmp_path, "malignant")], p.visit, None))
    assert words.VERDICTS["cannot_say"] in new.words
    assert list(old) == [None]  # no change: Gradio repeats a run's last output


def test_closing_throws_the_running_answer_away(panel, tmp_path):
    p = panel()
    running = p.actions.read([phantom_file(tmp_path)], p.visit, None)
    next(running)
    (closed,) = p.actions.close(p.visit, None, list(p.visit.case_ids))
    assert strings.WAITING_HEADING in closed.words and closed.n_closed == 1
    assert list(running) == [None]
    assert p.visit.case_ids == []


def test_the_others_are_analysed_ahead_and_only_once(panel, tmp_path):
    p = panel()
    paths = [phantom_file(tmp_path, "benign", seed, 100, 140) for seed in range(3)]
    list(p.actions.read(paths, p.visit, None))
    assert p.oracle.asked == 1
    *_, last = p.background.ahead(p.visit)
    assert [item["state"] for item in last["items"]] == [strings.CASE_STATES["done"]] * 3
    (picked,) = shown(p.actions.pick(p.visit, None, p.visit.case_ids[2]))
    assert picked.worklist["shown"] == p.visit.case_ids[2] == picked.viewer["case"]
    assert p.oracle.asked == 3
    assert picked.worklist["version"] > last["version"]


def test_another_user_s_image_cannot_be_picked(panel, tmp_path):
    p = panel()
    list(p.actions.read([phantom_file(tmp_path)], p.visit, None))
    other = Visit()
    (answer,) = shown(p.actions.pick(other, None, p.visit.case_ids[0]))
    assert strings.GONE_HEADING in answer.words and answer.viewer["image"] is None
    assert p.actions.take("mask", other, p.visit.case_ids[0], None) == gr.skip()
    assert p.background.explain(other, p.visit.case_ids[0]) == gr.skip()
    mark = {"case": p.visit.case_ids[0], "start": [0, 0], "end": [0, 50], "mm": 10}
    assert p.actions.mark(other, None, mark) is None


def test_the_list_is_sent_whole_only_when_it_changed(panel, tmp_path):
    p = panel()
    list(p.actions.read([phantom_file(tmp_path, "benign", seed, 100, 140) for seed in range(3)], p.visit, None))
    *_, last = p.background.ahead(p.visit)
    assert all(item["picture"] and item["thumbnail"] for item in last["items"])
    assert "base64" not in json.dumps(last)
    (second,) = p.actions.pick(p.visit, None, p.visit.case_ids[1], last["version"])
    assert second.worklist["items"]  # it was looked at just now, which the list says
    (back,) = p.actions.pick(p.visit, None, p.visit.case_ids[0], second.worklist["version"])
    assert back.worklist["items"] is None and back.worklist["shown"] == p.visit.case_ids[0]
    (stale,) = p.actions.pick(p.visit, None, p.visit.case_ids[1], last["version"])
    assert stale.worklist["items"]  # the browser had missed a list


def test_the_list_says_nothing_of_a_result_before_it_was_looked_at(panel, tmp_path):
    p = panel(codes=["marks"])
    list(p.actions.read([phantom_file(tmp_path, "benign", seed, 100, 140) for seed in range(2)], p.visit, None))
    *_, last = p.background.ahead(p.visit)
    states = [item["state"] for item in last["items"]]
    assert states == [strings.CASE_STATES["check"], strings.CASE_STATES["done"]]
    (picked,) = p.actions.pick(p.visit, None, p.visit.case_ids[1])
    assert [item["state"] for item in picked.worklist["items"]] == [strings.CASE_STATES["check"]] * 2


def test_closing_can_be_undone_until_the_next_thing_is_opened_or_closed(panel, tmp_path):
    p = panel()
    paths = [phantom_file(tmp_path, "benign", seed, 100, 140) for seed in range(3)]
    list(p.actions.read(paths, p.visit, None, tokens=["a", "b", "c"]))
    first, second, third = p.visit.case_ids
    *_, closed = p.actions.close(p.visit, None, [first])
    assert closed.worklist["shown"] == second and closed.n_closed == 1
    assert p.visit.case_ids == [second, third] and p.images.get(first) is not None
    *_, again = p.actions.reopen(p.visit, None)
    assert p.visit.case_ids == [second, third, first] and again.worklist["shown"] == first and again.n_closed == 0
    assert [item["token"] for item in again.worklist["items"]] == ["b", "c", "a"]
    list(p.actions.close(p.visit, None, list(p.visit.case_ids)))
    list(p.actions.read(paths[:1], p.visit, None))
    assert p.images.get(first) is None and len(p.visit.case_ids) == 1
    assert list(p.actions.close(p.visit, None, ["not mine"]))[0].n_closed == 0


def test_a_reload_brings_the_images_back_and_the_old_page_cannot_take_them_along(panel, tmp_path):
    p = panel()
    paths = [phantom_file(tmp_path, "benign", seed, 100, 140) for seed in range(2)]
    list(p.actions.read(paths, p.visit, None))
    ids, fresh = list(p.visit.case_ids), Visit()
    *_, back = p.actions.restore(fresh, None, [*ids, "forged", 7, None], ids[1])
    assert fresh.case_ids == ids and back.worklist["shown"] == ids[1] and back.case_id == ids[1]
    p.actions.leave(p.visit)
    assert all(p.images.get(case_id) is not None for case_id in ids)
    p.actions.leave(fresh)
    assert all(p.images.get(case_id) is None for case_id in ids)
    (gone,) = p.actions.restore(Visit(), None, ids, ids[1])
    assert strings.ALL_GONE_HEADING in gone.words and gone.worklist["items"] == []


def test_what_is_added_behind_does_not_take_the_screen(panel, tmp_path):
    p = panel()
    running = p.actions.read([phantom_file(tmp_path, "benign", 1, 100, 140)], p.visit, None)
    next(running)
    first = p.visit.shown  # not read yet
    (step,) = p.actions.read([phantom_file(tmp_path, "benign", 2, 100, 140)], p.visit, None, show=False)
    assert step.words is None and len(step.worklist["items"]) == 2
    assert step.worklist["shown"] == first == p.visit.shown
    *_, last = running
    assert last.case_id == first


def test_a_failure_of_the_program_is_a_sentence_too(panel, tmp_path, caplog):
    p = panel(error=RuntimeError("tensor at 0x7f"))
    *_, last = shown(p.actions.read([phantom_file(tmp_path)], p.visit, None))
    assert strings.FAILED_HEADING in last.words and "0x7f" not in last.words
    assert "tensor at 0x7f" in caplog.text


def test_a_refused_image_gets_its_result_only_on_demand(panel, tmp_path):
    p = panel(codes=["not_ultrasound"])
    *_, refused = shown(p.actions.read([phantom_file(tmp_path)], p.visit, None))
    assert words.VERDICTS["not_judged"] in refused.words and "87" not in refused.words
    assert refused.viewer["image"] and refused.viewer["lesions"] == [] and refused.measures == ""
    assert refused.insistable and refused.text is None and refused.case_id is None
    assert p.actions.take("report", p.visit, p.visit.shown, None) == gr.skip()
    insisted = p.actions.insist(p.visit, None)
    assert words.VERDICTS["cannot_say"] in insisted.words and words.INSISTED_NOTE in insisted.words
    assert len(insisted.viewer["lesions"]) == 1 and words.WARNINGS["not_ultrasound"][0] in insisted.text


def test_a_blank_image_cannot_be_insisted_on(panel, tmp_path):
    p = panel(codes=["blank"])
    *_, refused = shown(p.actions.read([phantom_file(tmp_path)], p.visit, None))
    assert words.WARNINGS["blank"][2] in refused.words
    assert not refused.insistable


def test_the_operating_point_in_use_changes_the_verdict(panel, tmp_path):
    p = panel()
    *_, balanced = shown(p.actions.read([phantom_file(tmp_path)], p.visit, "balanced"))
    sensitive = p.actions.refresh(p.visit, "sensitive")
    assert 'data-verdict="cannot_say"' in balanced.words and "balanced threshold, 90\u00a0%" in balanced.words
    assert 'data-verdict="suspicious"' in sensitive.words and "sensitive threshold 20\u00a0%" in sensitive.words
    assert p.actions.refresh(Visit(), "sensitive") is None


def dicom_file(folder, n_frames=1, **tags):
    """A DICOM file of a study, as an upload."""
    gray = draw_phantom("benign", 2, 120, 160)[0]
    identity = {"PatientName": "Doe^Erika", "PatientID": "77", "StudyInstanceUID": "1.2.840.1"}
    identity |= {"SeriesInstanceUID": "1.2.840.1.2", "SOPInstanceUID": "1.2.840.1.2.3", **tags}
    ds = dataset(gray if n_frames == 1 else np.stack([gray] * n_frames), n_frames=n_frames, **identity)
    path = folder / "upload.dcm"
    path.write_bytes(written(ds))
    return path


@pytest.mark.filterwarnings("ignore:::pydicom", "ignore:::highdicom")
@pytest.mark.parametrize(("n_frames", "number"), [(1, None), (3, 2)])
def test_dicom_results_of_a_dicom_file(panel, tmp_path, n_frames, number):
    p = panel()
    path = dicom_file(tmp_path, n_frames)
    *_, step = p.actions.read([path], p.visit, None)
    path.unlink()  # as Gradio does after about an hour
    assert step.dicom == ("seg", "sr", "sc")
    assert "Doe" not in f"{step.words}{step.measures}{step.text}{step.viewer}{step.worklist}"
    for kind in step.dicom:
        file = p.actions.take(kind, p.visit, step.case_id, None)["file"]
        assert file["orig_name"].endswith(f"-{kind}.dcm") and "Doe" not in file["orig_name"]
        made = pydicom.dcmread(file["path"])
        assert (made.PatientName, made.PatientID, made.StudyInstanceUID) == ("Doe^Erika", "77", "1.2.840.1")
        frames = {int(one.value) for one in made.iterall() if one.keyword == "ReferencedFrameNumber"}
        assert frames == ({number} if number else set())
    assert b"Doe" not in p.actions.downloads.content("data", p.images.get(step.case_id), None)


def test_what_is_taken_away_of_a_dicom_file_has_no_text_beside_its_scan(panel, tmp_path):
    p = panel()
    gray, painted, box = screen(draw_phantom("benign", 3, 300, 380)[0], 0, 220, 18, (48, 64, 48, 64))
    scan = region((box.left, box.top, box.right - 1, box.bottom - 1))
    path = tmp_path / "1.2.840.113619.2.55"
    path.write_bytes(written(dataset(gray, SequenceOfUltrasoundRegions=[scan])))
    *_, step = p.actions.read([path], p.visit, None)
    case = p.images.get(step.case_id)
    overlay = np.asarray(Image.open(io.BytesIO(p.actions.downloads.content("overlay", case, None))))
    text = overlay[painted & (np.ptp(overlay, axis=2) < 10)]  # the outline has a colour
    assert (gray[painted] > 40).any() and text.size and not (text > 40).any()


@pytest.mark.filterwarnings("ignore:::pydicom", "ignore:::highdicom")
def test_dicom_results_are_offered_only_where_they_would_be_true(panel, tmp_path):
    p = panel()
    *_, picture = p.actions.read([phantom_file(tmp_path)], p.visit, None)
    assert picture.dicom == () and p.actions.take("seg", p.visit, picture.case_id, None) == gr.skip()
    *_, loose = p.actions.read([dicom_file(tmp_path, StudyInstanceUID="")], p.visit, None)
    assert loose.case_id and loose.dicom == ()  # it belongs to no study
    *_, step = p.actions.read([dicom_file(tmp_path)], p.visit, None)
    drawn = {"case": step.case_id, "revision": 1, "lesions": [[[10, 10], [60, 10], [60, 50]]]}
    assert step.dicom and p.actions.outline(p.visit, None, drawn).dicom == ()  # the results name the network
    *_, part = p.actions.crop(p.visit, None, {"case": step.case_id, "box": [0, 0, 100, 100]})
    assert part.case_id != step.case_id and part.dicom == ()  # not the file's own rows and columns
    refused = panel(codes=("not_ultrasound",))
    *_, step = refused.actions.read([dicom_file(tmp_path)], refused.visit, None)
    step = refused.actions.insist(refused.visit, None)
    assert step.text and step.dicom == ()


def test_a_marked_length_gives_millimetres_until_it_is_removed(panel, tmp_path):
    p = panel()
    list(p.actions.read([phantom_file(tmp_path)], p.visit, None))
    case = p.visit.shown
    marked = p.actions.mark(p.visit, None, {"case": case, "start": [5, 10], "end": [5, 210], "mm": 20})
    shown = marked.measures.replace("\u00a0", " ")
    assert "320 mm²" not in shown  # 40 x 80 px at 0.1 mm are 32 mm²
    assert "32.0 mm² (3200 px²)" in shown and "0.1 mm per pixel" in shown
    assert marked.viewer["scaled"]
    content = json.loads(p.actions.downloads.content("data", p.images.get(case), None))
    assert content["spacing_mm"] == {"row": 0.1, "column": 0.1, "from": "mark"}
    removed = p.actions.mark(p.visit, None, {"case": case})
    assert "mm²" not in removed.measures and words.SPACING_NONE.split(".")[0] in removed.measures


@pytest.mark.parametrize(
    ("end", "mm", "words"),
    [
        ([5, 12], 20, "at least 10 px"),
        ([5, 210], 0.01, "1 to 500 mm"),
        ([5, 22], 500, "0.005 to 1 mm are plausible"),
        ([5, 210], "ten", "ten"),
        (None, 20, ""),
        ([5], 20, ""),
    ],
)
def test_a_scale_that_makes_no_sense_is_refused_in_words(panel, tmp_path, end, mm, words):
    p = panel()
    list(p.actions.read([phantom_file(tmp_path)], p.visit, None))
    answer = p.actions.mark(p.visit, None, {"case": p.visit.shown, "start": [5, 10], "end": end, "mm": mm})
    assert answer.viewer["note"].startswith("The scale was not set.") and words in answer.viewer["note"]
    assert "mm²" not in answer.measures


def test_the_longest_unused_images_give_way_when_memory_is_full(tmp_path):
    now = [0.0]
    images = OpenImages(Oracle(), tmp_path, clock=lambda: now[0])
    cases = []
    for seed in range(4):
        now[0] += 1
        cases.append(images.analyse(images.add(phantom_file(tmp_path, "benign", seed, 100, 140))))
        picture(images, cases[-1])
        images.kept_bytes = int(3.5 * cases[0].held_bytes)
        images.get(cases[0].case_id)  # the first stays in use
    assert [images.get(case.case_id) is not None for case in cases] == [True, False, True, True]
    assert not cases[1].folder.exists() and cases[2].folder.exists()


def test_whoever_holds_most_gives_way_first_and_everything_held_counts(tmp_path):
    """Pixels, files on the disk, and outlines that were drawn on frames of a film."""
    now = [0.0]
    images = OpenImages(Oracle(), tmp_path, clock=lambda: now[0])

    def opened(seed, holder):
        now[0] += 1
        return images.analyse(images.add(draw_phantom("benign", seed, 100, 140)[0], holder=holder))

    quiet = opened(0, "quiet")
    images.kept_bytes = int(4.3 * quiet.held_bytes)
    loud = [opened(seed, "loud") for seed in range(1, 5)]
    assert [case.case_id in images for case in (quiet, *loud)] == [True, False, True, True, True]
    before = loud[3].held_bytes
    images.write(loud[3], "busi-report.pdf", bytes(before))
    assert loud[3].held_bytes == 2 * before and [case.case_id in images for case in loud] == [False, False, True, True]
    loud[3].film = Film("", 9, 0)
    square = [[x, y] for x, y in ((40, 30), (90, 30), (90, 70), (40, 70))]
    images.draw(loud[3], [square], revision=1)
    held = loud[3].held_bytes
    loud[3].film.drawn[1] = loud[3].drawn
    assert loud[3].held_bytes - held >= 100 * 140
    assert quiet.case_id in images
    images.forget([quiet.case_id, *(case.case_id for case in loud)])
    assert images._bytes.total() == 0


def test_a_page_holds_a_bounded_number_of_images(panel, tmp_path, monkeypatch):
    monkeypatch.setattr(actions, "MOST_KEPT", 3)
    p = panel()
    path = phantom_file(tmp_path, "benign", 1, 100, 140)
    list(p.actions.read([path] * 2, p.visit, None))
    (said,) = p.actions.read([path] * 2, p.visit, None)
    assert "2 are open and 2 more were given; a page holds 3" in said.words and len(p.visit.case_ids) == 2
    list(p.actions.read([path], p.visit, None))
    assert len(p.visit.case_ids) == 3


def test_what_was_forgotten_is_held_nowhere_else(panel, tmp_path):
    p = panel()
    path = phantom_file(tmp_path, "benign", 1, 100, 140)
    list(p.actions.read([path], p.visit, None))
    p.images.forget(p.visit.case_ids)
    list(p.actions.read([path], Visit(), None))
    assert len(p.actions._holders) == 1


def test_images_are_forgotten_after_an_hour(tmp_path):
    now = [0.0]
    images = OpenImages(Oracle(), tmp_path, clock=lambda: now[0])
    old = images.analyse(images.add(phantom_file(tmp_path)))
    picture(images, old)
    now[0] = KEPT_S + 1.0
    images.add(phantom_file(tmp_path, "benign"))
    assert images.get(old.case_id) is None and not old.folder.exists()


def test_ids_cannot_be_guessed_and_folders_are_private(tmp_path):
    images = OpenImages(Oracle(), tmp_path)
    small = phantom_file(tmp_path, "malignant", 3, 90, 110)
    cases = [images.open(images.add(small)) for _ in range(50)]
    assert len({case.case_id for case in cases}) == 50 and min(len(case.case_id) for case in cases) >= 20
    folder = cases[0].folder
    picture(images, cases[0])
    assert folder.stat().st_mode & 0o077 == 0
