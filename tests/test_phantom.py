"""Phantoms: what they promise of shape, brightness, layout and reproducibility."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter, label

from busi_model import phantom
from busi_model.names import CLASS_NAMES
from busi_model.phantom import draw_phantom, write_phantom_dataset

SEEDS = range(10)
SIZE = {"height": 110, "width": 140}


def bounding_box(mask):
    rows, columns = np.nonzero(mask)
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def beside_and_behind(gray, mask):
    """Mean gray of the lesion, of the tissue beside it, right behind it, and beside what is behind it."""
    top, bottom, left, right = bounding_box(mask)
    middle = slice(left + (right - left) // 4, right - (right - left) // 4)
    elsewhere = np.ones(gray.shape[1], bool)
    elsewhere[max(0, left - 5) : right + 5] = False
    behind = slice(bottom + 2, bottom + 2 + gray.shape[0] // 8)
    return (
        gray[mask].mean(),
        gray[top:bottom, elsewhere].mean(),
        gray[behind, middle].mean(),
        gray[behind, elsewhere].mean(),
    )


@pytest.mark.parametrize("class_name", CLASS_NAMES)
def test_type_shape_and_default_size(class_name):
    gray, mask = draw_phantom(class_name, 0)
    assert (gray.shape, gray.dtype) == ((440, 560), np.uint8)
    assert (mask.shape, mask.dtype) == ((440, 560), bool)
    assert 30 < gray.mean() < 130 and gray.std() > 20


@pytest.mark.parametrize("class_name", CLASS_NAMES)
def test_the_seed_decides_the_picture(class_name):
    first, first_mask = draw_phantom(class_name, 5, **SIZE)
    again, again_mask = draw_phantom(class_name, 5, **SIZE)
    other, _ = draw_phantom(class_name, 6, **SIZE)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first_mask, again_mask)
    assert (first != other).mean() > 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_benign_is_wide_smooth_dark_and_brighter_behind(seed):
    gray, mask = draw_phantom("benign", seed, 220, 280)
    top, bottom, left, right = bounding_box(mask)
    assert (bottom - top) < 0.85 * (right - left)
    assert mask.sum() > 0.7 * (bottom - top) * (right - left)  # an ellipse fills pi / 4 of its box
    lesion, beside, behind, beside_behind = beside_and_behind(gray, mask)
    assert lesion < 0.6 * beside
    assert behind > 1.1 * beside_behind


@pytest.mark.parametrize("seed", SEEDS)
def test_malignant_is_tall_irregular_dark_and_casts_a_shadow(seed):
    gray, mask = draw_phantom("malignant", seed, 220, 280)
    top, bottom, left, right = bounding_box(mask)
    assert (bottom - top) > 1.1 * (right - left)
    assert mask.sum() < 0.7 * (bottom - top) * (right - left)
    lesion, beside, behind, beside_behind = beside_and_behind(gray, mask)
    assert lesion < 0.7 * beside
    assert behind < 0.8 * beside_behind


@pytest.mark.parametrize("seed", SEEDS)
def test_a_normal_picture_has_no_lesion(seed):
    assert not draw_phantom("normal", seed, **SIZE)[1].any()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 200), (200, 64)])
@pytest.mark.parametrize("class_name", ["benign", "malignant"])
def test_small_pictures_hold_one_whole_lesion(class_name, height, width):
    for seed in SEEDS:
        gray, mask = draw_phantom(class_name, seed, height, width)
        assert gray.shape == mask.shape == (height, width)
        assert label(mask)[1] == 1
        assert mask.sum() > 0.02 * min(height, width) ** 2  # its size follows the shorter side
        assert not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def test_speckle_is_finer_along_the_beam_than_across():
    gray = draw_phantom("normal", 3)[0].astype(float)
    # Neighbours' differences: the grain is wider than tall, so steps down a column are larger.
    assert np.abs(np.diff(gray, axis=0)).mean() > 1.3 * np.abs(np.diff(gray, axis=1)).mean()


def test_pictures_are_no_near_duplicates():
    pictures = [draw_phantom(name, seed, **SIZE)[0] for name in CLASS_NAMES for seed in SEEDS]
    small = [np.asarray(Image.fromarray(p).resize((32, 32), Image.Resampling.BOX), float).ravel() for p in pictures]
    correlation = np.corrcoef(small) - np.eye(len(small))
    assert correlation.max() < 0.95  # the threshold above which training groups two images


def test_unknown_class_and_small_size_are_refused():
    with pytest.raises(ValueError, match="'cyst'; one of benign, malignant, normal is expected"):
        draw_phantom("cyst", 0)
    with pytest.raises(ValueError, match="63x100 px was asked for; at least 64x64"):
        draw_phantom("benign", 0, height=100, width=63)


def test_dataset_has_busis_layout(tmp_path):
    write_phantom_dataset(tmp_path, 2, seed=1, **SIZE)
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png"))
    expected = [f"{c}/{c} ({number}){suffix}.png" for c in CLASS_NAMES for number in (1, 2) for suffix in ("", "_mask")]
    assert names == sorted([*expected, "benign/benign (2)_mask_1.png"])
    for path in tmp_path.rglob("*.png"):
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("L", (140, 110))
            values = set(np.unique(image))
        if "_mask" in path.name:
            assert values == ({0} if path.parent.name == "normal" else {0, 255})
        else:
            assert len(values) > 50


def test_second_lesion_is_apart_from_the_first(tmp_path):
    write_phantom_dataset(tmp_path, 2, seed=4, **SIZE)
    masks = [np.asarray(Image.open(tmp_path / "benign" / f"benign (2){s}.png")) > 0 for s in ("_mask", "_mask_1")]
    assert [label(mask)[1] for mask in masks] == [1, 1]
    assert label(masks[0] | masks[1])[1] == 2


def test_dataset_follows_its_seed(tmp_path):
    def contents(name, seed):
        write_phantom_dataset(tmp_path / name, 1, seed, **SIZE)
        return {p.name: p.read_bytes() for p in (tmp_path / name).rglob("*.png")}

    first = contents("a", 1)
    assert len(first) == 6  # no second lesion with one picture a class
    assert first == contents("b", 1)
    assert first["benign (1).png"] != contents("c", 2)["benign (1).png"]


@given(st.integers(2, 40), st.integers(2, 40), st.floats(0.3, 30), st.floats(0.3, 30), st.integers(0, 99))
def test_smoothing_is_the_gaussian_filter(height, width, rows, columns, seed):
    picture = np.random.default_rng(seed).standard_normal((height, width))
    expected = gaussian_filter(picture, (rows, columns))
    assert phantom._smooth(picture, (rows, columns)) == pytest.approx(expected, abs=1e-9)
