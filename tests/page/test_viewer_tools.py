"""What the viewer's tools do on the server: edited outlines, parts cut out, frames of a film, a scale that goes on.

No browser is needed; `test_page_viewer` and `test_viewer_browser` have the hands.
"""

import io
import json

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from busi_model.__main__ import main
from busi_model.clinic import words
from busi_model.clinic.explain import scan_area
from busi_model.frame import Box, Frame, Notice
from busi_model.page import strings
from busi_model.page.images.worklist import Visit
from busi_model.page.viewer.field import model_polygons
from busi_model.phantom import draw_phantom
from busi_model.reading.outline import rasterise
from tests.page.test_actions import Oracle, opened_panel
from tests.support.browser import phantom_file
from tests.support.picture_files import dataset, region, written

DRAWN = [[[40.25, 30.5], [100.75, 31.0], [90.5, 88.13], [45.0, 80.99]]]


class Brightness(Oracle):
    """Finds a picture the more malignant the brighter it is."""

    def __call__(self, frame):
        share = float(frame.gray.mean()) / 255
        self.probabilities = (1 - share, share, 0.0)
        return super().__call__(frame)


@pytest.fixture
def panel(tmp_path):
    def make(oracle=None):
        return opened_panel(oracle or Oracle(), tmp_path)

    return make


def opened(p, path):
    """The case of a file that was read, and the last step shown."""
    *_, last = p.actions.read([path], p.visit, None)
    return p.images.get(p.visit.shown), last


def film_file(folder, brightness=(0.4, 0.9, 0.6, 0.2)):
    gray = draw_phantom("malignant", 3, 200, 260)[0]
    frames = [Image.fromarray((gray * share).astype(np.uint8)) for share in brightness]
    path = folder / "film.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


def edit(p, case, polygons, revision, frame=0):
    sent = {"case": case.case_id, "frame": frame, "revision": revision, "lesions": polygons}
    return p.actions.outline(p.visit, None, sent)


def test_an_edited_outline_becomes_the_shown_one_and_comes_back_to_the_digit(panel, tmp_path):
    p = panel()
    case, before = opened(p, phantom_file(tmp_path))
    assert before.viewer["model"] == model_polygons(case.prediction.mask) and before.viewer["drawn"] is None
    answer = edit(p, case, DRAWN, 1)
    assert answer.viewer["drawn"] == DRAWN and answer.viewer["revision"] == 1
    assert answer.viewer["model"] == before.viewer["model"]  # the model's stays available
    assert answer.viewer["band"] == [] and words.OUTLINE_EDITED in answer.viewer["alt"]
    mask = rasterise(DRAWN, 560, 440)
    assert case.lesions[0].area_px2 == mask.sum() and f"{mask.sum()}\u00a0px²" in answer.measures
    for said in (answer.words, answer.text):
        assert words.OUTLINE_EDITED in said
    assert words.MEASURES_NOTE_EDITED in answer.measures
    saved = p.actions.downloads.content("mask", case, None)
    assert (np.asarray(Image.open(io.BytesIO(saved))) == mask * 255).all()
    content = json.loads(p.actions.downloads.content("data", case, None))
    assert content["outline"] == "edited" and content["lesions"][0]["area_px2"] == mask.sum()
    again = edit(p, case, before.viewer["model"], 2)
    assert again.viewer["drawn"] is None and again.measures == before.measures and again.words == before.words
    assert json.loads(p.actions.downloads.content("data", case, None))["outline"] == "model"


def test_no_lesion_is_an_edited_outline_too(panel, tmp_path):
    p = panel()
    case, _ = opened(p, phantom_file(tmp_path))
    answer = edit(p, case, [], 1)
    assert answer.viewer["drawn"] == [] and answer.viewer["lesions"] == [] and answer.measures == ""
    assert words.OUTLINE_EDITED in answer.words


def test_an_outline_that_crosses_itself_is_repaired_and_said_so(panel, tmp_path):
    p = panel()
    case, _ = opened(p, phantom_file(tmp_path))
    answer = edit(p, case, [[[40, 40], [140, 140], [140, 40], [40, 140]]], 1)
    assert len(answer.viewer["drawn"]) == 2 and "crossed itself" in answer.viewer["note"]


@pytest.mark.parametrize(
    "lesions", [None, "a", [[[1, 2]]], [[[1, 2], [3, float("nan")], [5, 6]]], [[[1, 1], [2, 2], [3, 3]]], [[1, 2, 3]]]
)
def test_what_is_no_outline_is_refused_and_the_shown_one_stays(panel, tmp_path, lesions):
    p = panel()
    case, before = opened(p, phantom_file(tmp_path))
    answer = edit(p, case, lesions, 1)
    assert answer.viewer["note"].startswith("The outline was not taken over.")
    assert answer.viewer["drawn"] is None and answer.measures == before.measures


def test_an_older_edit_and_one_of_another_frame_change_nothing(panel, tmp_path):
    p = panel()
    case, _ = opened(p, phantom_file(tmp_path))
    edit(p, case, DRAWN, 5)
    for old in (dict(case=case.case_id, frame=0, revision=4, lesions=[]), dict(case=case.case_id, frame=3)):
        assert p.actions.outline(p.visit, None, old) is None
    assert p.actions.outline(Visit(), None, dict(case=case.case_id, frame=0, revision=9, lesions=[])) is None
    assert case.drawn.polygons == DRAWN


def test_a_part_is_judged_as_a_new_image_beside_the_one_it_was_cut_from(panel, tmp_path):
    p = panel()
    paths = [phantom_file(tmp_path), phantom_file(tmp_path, "benign", 4, 300, 320)]
    list(p.actions.read(paths, p.visit, None))
    first, second = p.visit.case_ids
    list(p.actions.pick(p.visit, None, first))
    p.actions.mark(p.visit, None, dict(case=first, start=[5, 10], end=[5, 210], mm=20))
    *_, done = p.actions.crop(p.visit, None, dict(case=first, box=[100, 50, 300, 250]))
    assert p.visit.case_ids == [first, p.visit.shown, second]
    part, whole = p.images.get(p.visit.shown), p.images.get(first)
    assert (part.frame.gray == whole.frame.gray[50:250, 100:300]).all() and part.prediction is not None
    assert part.spacing_mm == whole.spacing_mm == (0.1, 0.1)
    assert done.viewer["note"] == strings.CROPPED_NOTE.format(left=100, right=299, top=50, bottom=249)
    content = json.loads(p.actions.downloads.content("data", part, None))
    assert content["cut_out_xyxy_px"] == [100, 50, 300, 250]


@pytest.mark.parametrize("box", [[0, 0, 40, 400], [0, 0, 600, 100], [-1, 0, 100, 100], [50, 0, 50, 100]])
def test_a_part_that_is_too_small_or_outside_is_refused_in_words(panel, tmp_path, box):
    p = panel()
    case, _ = opened(p, phantom_file(tmp_path))
    *_, answer = p.actions.crop(p.visit, None, dict(case=case.case_id, box=box))
    assert p.visit.case_ids == [case.case_id] == [p.visit.shown]
    assert "px" in answer.viewer["note"]


def test_what_is_no_box_changes_nothing(panel, tmp_path):
    p = panel()
    case, _ = opened(p, phantom_file(tmp_path))
    for box in (None, [1, 2, 3], ["a"] * 4, [0.5, 0, 100, 100]):
        assert list(p.actions.crop(p.visit, None, dict(case=case.case_id, box=box))) == [None]


def test_parts_that_the_prediction_suggests_are_offered_for_a_refused_picture_too(panel, tmp_path):
    class Suggests(Oracle):
        def __call__(self, frame):
            prediction = super().__call__(frame)
            object.__setattr__(prediction, "suggested_crops", ((0, 0, 280, 440), (280, 0, 560, 440)))
            return prediction

    p = panel(Suggests(codes=["not_ultrasound"]))
    case, refused = opened(p, phantom_file(tmp_path))
    assert refused.viewer["lesions"] == [] and refused.viewer["crops"] == [[0, 0, 280, 440], [280, 0, 560, 440]]
    list(p.actions.crop(p.visit, None, dict(case=case.case_id, box=refused.viewer["crops"][1])))
    assert (p.images.get(p.visit.shown).frame.gray == case.frame.gray[:, 280:]).all()


def test_regions_of_a_part_are_those_of_the_whole_cut_to_it(panel):
    p = panel()
    gray = np.ascontiguousarray(draw_phantom("benign", 1, 200, 300)[0])
    frame = Frame(gray, (0.2, 0.1), (Notice("colour", "It was."),), (Box(10, 20, 150, 200), Box(0, 280, 50, 300)))
    case = p.images.open(p.images.add(frame))
    part = p.images.open(p.images.cut(case, (50, 40, 250, 180)))
    assert part.frame.scan_regions == (Box(0, 0, 110, 150),)
    assert part.frame.spacing_mm == (0.2, 0.1) and part.frame.notices == frame.notices


def test_one_frame_is_judged_at_once_the_others_on_demand_and_the_worst_is_found(panel, tmp_path):
    oracle = Brightness()
    p = panel(oracle)
    case, first = opened(p, film_file(tmp_path))
    assert (first.viewer["frames"], first.viewer["frame"], first.viewer["judged"], oracle.asked) == (4, 0, 1, 1)
    *_, progress, last = p.background.judge(p.visit, case.case_id)
    assert progress["judging"] and not last["judging"] and oracle.asked == 4
    assert [index for index, _ in last["scores"]] == [0, 1, 2, 3] and last["worst"] == 1
    assert last["worst_percent"] == round(100 * last["scores"][1][1])
    assert first.viewer["clip"] == progress["clip"] == ""  # not before all are judged
    assert last["clip"].startswith("4 of 4 frames judged. Most frequent class: ")
    assert f"Most suspicious: frame 2, malignant {last['worst_percent']} %." in last["clip"]
    judging, worst = p.actions.frame(p.visit, None, dict(case=case.case_id, index=1))
    assert strings.ANALYSING in judging.words and worst.viewer["frame"] == 1 and worst.viewer["done"]
    assert case.frame.gray.mean() > 0.8 * draw_phantom("malignant", 3, 200, 260)[0].mean()
    assert json.loads(p.actions.downloads.content("data", case, None))["frame"] == 2


def test_a_clip_comes_to_the_same_on_the_page_and_in_a_run(panel, predictor, weights, tmp_path, capsys):
    """One frame of the four cannot be judged; the middle one was judged before the others."""
    gray, _ = draw_phantom("malignant", 3, 120, 160)
    frames = np.stack([gray, np.roll(gray, 6, axis=1), np.roll(gray, 9, axis=1), np.full_like(gray, 9)])
    (tmp_path / "clip.dcm").write_bytes(written(dataset(frames, n_frames=4)))
    options = ["--frames", "all", "--device", "cpu", "--weights", str(weights)]
    assert main(["predict", *options, str(tmp_path / "clip.dcm")]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    p = panel(predictor)
    case, _ = opened(p, tmp_path / "clip.dcm")
    *_, last = p.background.judge(p.visit, case.case_id)
    assert said == f"{tmp_path / 'clip.dcm'}: {last['clip']}"
    assert last["clip"].startswith("3 of 4 frames judged.") and "mean Dice of 0." in last["clip"]


def test_a_cine_loop_opens_in_its_middle_and_turns_to_any_frame_with_its_millimetres(panel, tmp_path):
    frames = np.stack([draw_phantom("malignant", seed, 120, 150)[0] for seed in range(5)])
    path = tmp_path / "cine.dcm"
    regions = [region((0, 0, 150, 120), delta_x_cm=0.01, delta_y_cm=0.01)]
    path.write_bytes(written(dataset(frames, n_frames=5, SequenceOfUltrasoundRegions=regions)))
    p = panel()
    case, shown = opened(p, path)
    assert (shown.viewer["frames"], shown.viewer["frame"]) == (5, 2) and (case.frame.gray == frames[2]).all()
    *_, last = p.actions.frame(p.visit, None, {"case": case.case_id, "index": 4})
    assert (case.frame.gray == frames[4]).all() and "mm²" in last.measures
    assert last.viewer["image"]["path"].endswith("busi-image-0004.png")


def test_an_outline_stays_with_its_frame(panel, tmp_path):
    p = panel()
    case, _ = opened(p, film_file(tmp_path))
    edit(p, case, DRAWN, 1)
    *_, other = p.actions.frame(p.visit, None, dict(case=case.case_id, index=2))
    assert other.viewer["drawn"] is None and other.viewer["revision"] == 1
    *_, back = p.actions.frame(p.visit, None, dict(case=case.case_id, index=0))
    assert back.viewer["drawn"] == DRAWN


def test_previews_are_written_once_and_carry_no_result(panel, tmp_path):
    p = panel()
    case, _ = opened(p, film_file(tmp_path))
    *_, last = p.background.film(p.visit, case.case_id)
    assert last["film"]["ready"] == 4
    names = sorted(path.name for path in case.folder.glob("busi-frame-*"))
    assert names == [f"busi-frame-{index:04d}.jpg" for index in range(4)]
    assert last["film"]["first"]["path"].endswith(names[0])
    written = [path.stat().st_mtime_ns for path in sorted(case.folder.glob("busi-frame-*"))]
    list(p.background.film(p.visit, case.case_id))
    assert written == [path.stat().st_mtime_ns for path in sorted(case.folder.glob("busi-frame-*"))]


def test_a_film_whose_file_is_gone_says_so_and_keeps_its_frame(panel, tmp_path):
    p = panel()
    path = film_file(tmp_path)
    case, _ = opened(p, path)
    path.unlink()
    (answer,) = p.actions.frame(p.visit, None, dict(case=case.case_id, index=3))
    assert answer.viewer["note"].startswith("The frame could not be read.") and answer.viewer["frame"] == 0
    (preview,) = p.background.film(p.visit, case.case_id)
    assert preview["note"].startswith("The frame could not be read.")


def test_frames_of_a_still_and_frames_that_are_not_there_change_nothing(panel, tmp_path):
    p = panel()
    still, _ = opened(p, phantom_file(tmp_path))
    assert list(p.actions.frame(p.visit, None, dict(case=still.case_id, index=0))) == [None]
    film, _ = opened(p, film_file(tmp_path))
    for index in (-1, 4, "1", None):
        assert list(p.actions.frame(p.visit, None, dict(case=film.case_id, index=index))) == [None]
    assert list(p.background.judge(p.visit, still.case_id)) == [gr.skip()]  # no longer the shown one


def test_a_scale_goes_on_to_the_next_images_of_its_size_until_it_is_removed(panel, tmp_path):
    p = panel()
    first, _ = opened(p, phantom_file(tmp_path))
    mark = {"start": [5, 10], "end": [5, 210], "mm": 20}
    p.actions.mark(p.visit, None, dict(case=first.case_id, **mark, next=True))
    second, shown = opened(p, phantom_file(tmp_path, seed=4))
    assert second.spacing_mm == (0.1, 0.1) and "earlier image of this size" in shown.measures
    _, other = opened(p, phantom_file(tmp_path, seed=5, height=300, width=400))
    assert "mm²" not in other.measures
    list(p.actions.pick(p.visit, None, second.case_id))
    p.actions.mark(p.visit, None, dict(case=second.case_id))
    _, last = opened(p, phantom_file(tmp_path, seed=6))
    assert "mm²" not in last.measures
    p.actions.mark(p.visit, None, dict(case=p.visit.shown, **mark, next=False))
    _, alone = opened(p, phantom_file(tmp_path, seed=7))
    assert "mm²" not in alone.measures


def test_the_scan_is_found_without_margin_and_text():
    gray = np.zeros((300, 400), np.uint8)
    gray[40:260, 60:300] = draw_phantom("benign", 2, 220, 240)[0]
    gray[60:66, 330:380:4] = 255  # a row of letters
    area = scan_area(gray)
    inside = np.zeros_like(area)
    inside[40:260, 60:300] = True
    assert (area & inside).sum() > 0.93 * inside.sum() and (area & ~inside).sum() < 0.03 * inside.sum()
    assert not area[55:75, 325:].any()
    assert scan_area(np.full((100, 100), 40, np.uint8)).all()
    boxed = scan_area(gray, [Box(0, 0, 10, 20)])
    assert boxed.sum() == 200 and boxed[:10, :20].all()
