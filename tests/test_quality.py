import csv

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from busi_model.image import read_image
from busi_model.phantom import draw_phantom
from busi_model.quality import has_marks, is_split_screen


@pytest.fixture(scope="module")
def real(data_dir):
    """Gray pictures of BUSI, and whether the manifest says that marks are burned in."""
    with open(data_dir / "busi_manifest.csv", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["split"] == "development"]
    pictures = [read_image(data_dir / "BUSI" / r["class"] / r["image"]).gray for r in rows]
    return pictures, np.array([bool(r["annotation"]) for r in rows])


@pytest.mark.parametrize("class_name", ["benign", "malignant", "normal"])
@pytest.mark.parametrize("seed", range(5))
def test_a_plain_phantom_has_neither(class_name, seed):
    gray, _ = draw_phantom(class_name, seed, 400, 500)
    assert not has_marks(gray) and not is_split_screen(gray)


@pytest.mark.parametrize("seed", range(5))
def test_painted_letters_are_seen(seed):
    gray, _ = draw_phantom("benign", seed, 400, 500)
    image = Image.fromarray(gray)
    text = "LEFT BREAST 3 H\nRADIAL 12 MHZ\nGAIN 54 DR 60"
    ImageDraw.Draw(image).text((30, 280), text, fill=255, font=ImageFont.load_default(size=22))
    assert has_marks(np.asarray(image))


def test_marks_on_real_pictures(real):
    pictures, marked = real
    found = np.array([has_marks(gray) for gray in pictures])
    assert found[marked].mean() > 0.65  # 0.69 of 191
    assert found[~marked].mean() < 0.03  # 0.014 of 434


def test_two_real_pictures_side_by_side_are_seen_and_one_is_not(real):
    pictures, _ = real
    assert not any(is_split_screen(gray) for gray in pictures)
    rng, seen = np.random.default_rng(0), []
    for _ in range(60):
        left, right = (pictures[i] for i in rng.integers(len(pictures), size=2))
        height, width = (min(a, b) for a, b in zip(left.shape, right.shape, strict=True))
        gap = np.zeros((height, int(rng.integers(8, 30))), np.uint8)
        seen.append(is_split_screen(np.hstack([left[:height, :width], gap, right[:height, :width]])))
    assert np.mean(seen) > 0.8


def test_a_dark_half_is_no_second_picture():
    gray, _ = draw_phantom("benign", 1, 400, 500)
    assert not is_split_screen(np.hstack([gray, np.zeros((400, 20), np.uint8), np.zeros_like(gray)]))
    assert is_split_screen(np.hstack([gray, np.zeros((400, 20), np.uint8), gray]))
