"""Boxes and text at the rim are taken away or painted on, and what that does to the class is told."""

import json
from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from busi_model.__main__ import main
from busi_model.phantom import draw_phantom
from busi_model.training.evaluation import evaluate, marks, subgroups
from tests.training.test_subgroups import _table

HEIGHT, WIDTH = 260, 360


def with_pictogram(gray, left, top, width=44, height=40):
    """A box as a machine draws it: one gray level, a lighter frame, an arc and a line in it."""
    image = Image.fromarray(gray)
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, top, left + width - 1, top + height - 1), fill=134, outline=220, width=2)
    draw.arc((left + 8, top + 10, left + 36, top + 50), 180, 360, fill=60, width=2)
    draw.line((left + 20, top + 20, left + 28, top + 24), fill=255, width=2)
    return np.asarray(image)


@pytest.mark.parametrize(("left", "top"), [(WIDTH - 44, HEIGHT - 40), (0, HEIGHT - 40), (6, 5), (WIDTH - 60, 12)])
def test_a_box_is_found_and_its_place_looks_like_what_is_beside_it(left, top):
    gray = draw_phantom("normal", 3, HEIGHT, WIDTH)[0]
    marked = with_pictogram(gray, left, top)
    (box,) = marks.rim_boxes(marked)
    assert box.left <= left and box.right >= min(WIDTH, left + 44) and box.top <= top and box.bottom >= top + 40
    assert (box.right - box.left) * (box.bottom - box.top) < 1.8 * 44 * 40
    removed = marks.without_marks(marked)
    outside = np.ones(gray.shape, bool)
    outside[box.top : box.bottom, box.left : box.right] = False
    assert np.array_equal(removed[outside], marked[outside]) and marks.rim_boxes(removed) == []
    place = (slice(box.top, box.bottom), slice(box.left, box.right))
    assert removed[place].std() == pytest.approx(gray[place].std(), rel=0.5)


def test_tissue_and_what_lies_inside_are_no_box():
    for number, class_name in enumerate(("benign", "malignant", "normal") * 3):
        gray = draw_phantom(class_name, number, HEIGHT, WIDTH)[0]
        assert marks.rim_boxes(gray) == [] and np.array_equal(marks.without_marks(gray), gray)
    assert marks.rim_boxes(with_pictogram(gray, 150, 100)) == []  # in the middle: not at the rim
    framed = np.zeros((400, 500), np.uint8)
    framed[60:320, 70:430] = gray
    assert marks.rim_boxes(framed) == []  # a margin is black, or as large as the picture
    framed[:60] = 130
    assert marks.rim_boxes(framed) == []


def test_text_beside_the_scan_goes_too():
    framed = np.zeros((400, 500), np.uint8)
    framed[60:390, 20:480] = draw_phantom("normal", 1, 330, 460)[0]
    image = Image.fromarray(framed)
    ImageDraw.Draw(image).text((200, 15), "RT 9 H", fill=255, font=ImageFont.load_default(size=24))
    assert np.array_equal(marks.without_marks(np.asarray(image)), framed)


def test_a_painted_box_is_one_that_is_found(phantoms):
    gray = draw_phantom("benign", 3, HEIGHT, WIDTH)[0]
    painted = marks.with_box(gray, "a.png")
    assert np.array_equal(painted, marks.with_box(gray, "a.png")) and painted.shape == gray.shape
    assert not np.array_equal(painted, marks.with_box(gray, "b.png"))
    share = (painted != gray).mean()
    assert 0.004 < share < 0.04 and (painted != gray)[: HEIGHT // 2].sum() == 0


def test_changes_are_paired_and_by_the_true_class():
    changed = _table(
        predicted=["benign", "malignant", "normal", "benign"],
        p_benign=[0.7, 0.3, 0.2, 0.5],
        p_malignant=[0.1, 0.6, 0.1, 0.2],
        p_normal=[0.2, 0.1, 0.7, 0.3],
    )
    found = subgroups.change_figures(_table(), changed)
    assert found["Accuracy, all images, as they are"]["value"] == 0.5
    assert found["Accuracy, all images, difference"]["value"] == 0.5
    assert (found["Accuracy, malignant, difference"]["value"], found["Accuracy, malignant, difference"]["n"]) == (1, 1)
    assert found["Probability of normal, benign images, difference"]["value"] == pytest.approx((0.1 - 0.2) / 2)
    assert found["Probability of malignant, malignant images, difference"]["value"] == pytest.approx(0.2)
    assert found["Lesion Dice, difference"]["value"] == 0
    none = subgroups.change_figures(_table(class_name="benign"), changed)
    assert not [name for name in none if "normal images" in name]


def test_evaluate_tells_what_marks_do(untrained, phantom_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "write_report", partial(evaluate.write_report, resamples=10))
    folder = phantom_folder("marked", 5, seed=2, height=HEIGHT // 2, width=WIDTH // 2)
    for path in [p for p in sorted((folder / "benign").iterdir()) if "_mask" not in p.name][:3]:
        Image.fromarray(with_pictogram(np.asarray(Image.open(path)), 0, 100, 30, 30)).save(path)
    out = tmp_path / "out"
    arguments = ["--weights", untrained, "--data", folder, "--split", "all", "--out", out, "--device", "cpu"]
    assert main(["evaluate", *map(str, arguments), "--marks", "remove", "box"]) == 0
    changes = json.loads((out / "metrics.json").read_text())["changes"]
    removed, box = changes.values()
    assert list(changes) == [
        "Boxes and text at the rim removed (3 of 15 images)",
        "A pictogram box painted on (15 of 15 images)",
    ]
    assert removed["Accuracy, all images, difference"]["n"] == 3
    assert removed["Probability of benign, benign images, difference"]["value"] != 0
    assert box["Probability of normal, normal images, difference"]["n"] == 5
    report = (out / "report.md").read_text()
    assert "| Boxes and text at the rim removed (3 of 15 images) | value |" in report
    assert "| Probability of normal, malignant images, difference |" in report
