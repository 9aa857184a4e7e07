"""Descriptors against shapes and grays whose answer is known by hand, and against BrEaST's radiologists."""

import math
import re
import shutil

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk, ellipse

from benchmarks import descriptors as benchmark
from busi_model.clinic.descriptors import (
    AGREEMENT,
    IRREGULAR_SURE,
    SHADOWING_BELOW,
    as_values,
    behind_to_beside,
    contour_features,
    depth_to_width,
    describe,
    filled,
    inside_minus_beside,
)
from busi_model.clinic.measure import measure_lesions
from busi_model.clinic.view import regions
from tests.conftest import ROOT

GRAY = 120


def scene(behind=GRAY, inside=40, rows=60, columns=100, size=(400, 400)):
    """An ellipse of those semi-axes / 2 in even gray, other gray inside it and in the column behind it."""
    mask = np.zeros(size, bool)
    mask[ellipse(150, 200, rows / 2, columns / 2, size)] = True
    gray = np.full(size, GRAY, np.uint8)
    gray[150:, 200 - columns // 2 : 200 + columns // 2] = behind
    gray[mask] = inside
    return gray, measure_lesions(mask)[0]


def words(gray, lesion, **arguments):
    return {one.name: one.word for one in describe(gray, lesion, **arguments)}


def test_gray_behind_and_beside_by_hand():
    for behind in (30, GRAY, 200):
        gray, lesion = scene(behind)
        assert behind_to_beside(gray, lesion) == pytest.approx(behind / GRAY)
    assert inside_minus_beside(*scene(inside=40)) == pytest.approx(40 - GRAY)


def test_shadowing_is_a_word_with_its_ratio_and_agreement():
    gray, lesion = scene(behind=60)
    (posterior, *_) = describe(gray, lesion)
    assert posterior.word == "posterior shadowing" and posterior.number == pytest.approx(0.5)
    assert str(AGREEMENT["posterior"]) in str(posterior) and "0.50" in str(posterior)
    assert words(*scene(behind=GRAY))["posterior"] == "no posterior shadowing"
    assert words(*scene(behind=200))["posterior"] == "no posterior shadowing"  # enhancement stays a number


def test_black_outside_the_scan_is_not_beside():
    gray, lesion = scene(behind=60)
    gray[:, 280:] = 0  # the sector ends there
    assert behind_to_beside(gray, lesion) == pytest.approx(0.5)
    gray[:, :130] = 0
    assert behind_to_beside(gray, lesion) is not None
    gray[:, :150] = 0
    gray[:, 250:] = 0
    assert behind_to_beside(gray, lesion) is None and inside_minus_beside(gray, lesion) is None


def test_without_picture_below_nothing_is_said():
    gray, lesion = scene()
    (posterior, *_) = describe(gray[:182], lesion)  # the ellipse ends at row 180
    assert posterior.number is None and posterior.word is None and "too little picture" in str(posterior)


@pytest.mark.parametrize(
    ("rows", "columns", "word"),
    [(60, 100, "parallel"), (100, 60, "not parallel"), (80, 80, None), (70, 79, None), (88, 80, None)],
)
def test_orientation_has_a_band_without_a_word(rows, columns, word):
    gray, lesion = scene(rows=rows, columns=columns)
    assert words(gray, lesion)["orientation"] == word
    assert depth_to_width(lesion) == pytest.approx(rows / columns, abs=0.03)


def test_orientation_in_millimetres():
    mask = np.zeros((400, 400), bool)
    mask[disk((200, 200), 50)] = True
    (lesion,) = measure_lesions(mask, spacing_mm=(0.2, 0.1))
    assert depth_to_width(lesion) == pytest.approx(2, abs=0.01)
    assert contour_features(lesion)["axis_ratio"] == pytest.approx(0.5, abs=0.01)


def test_contour_of_a_disc_and_of_a_star():
    y, x = np.mgrid[:400, :400] - 200
    angle, radius = np.arctan2(y, x), np.hypot(y, x)
    disc = contour_features(measure_lesions(radius < 100)[0])
    assert disc["solidity"] == pytest.approx(1, abs=0.005) and disc["notch"] < 0.02
    assert disc["bending"] == pytest.approx(1, abs=0.05) and disc["axis_ratio"] == pytest.approx(1, abs=0.01)
    star = contour_features(measure_lesions(radius < 100 + 25 * np.cos(5 * angle))[0])
    assert star["solidity"] < 0.9 and star["notch"] > 0.1 and star["bending"] > 1.5


def test_irregular_for_the_sure_only():
    y, x = np.mgrid[:400, :400] - 200
    angle, radius = np.arctan2(y, x), np.hypot(y, x)
    gray = np.full((400, 400), GRAY, np.uint8)
    star = measure_lesions(radius < 100 + 30 * np.cos(7 * angle))[0]
    oval = measure_lesions(np.hypot(y * 1.8, x) < 120)[0]
    assert words(gray, star)["shape"] == "irregular" and words(gray, oval)["shape"] == "not irregular"
    between = [
        describe(gray, measure_lesions(np.hypot(y * stretch, x) < 90)[0])[2] for stretch in np.linspace(1, 1.8, 17)
    ]
    unsure = [one for one in between if one.word is None]
    assert unsure and all(1 - IRREGULAR_SURE < one.number < IRREGULAR_SURE for one in unsure)
    assert "no word between" in str(unsure[0]) and "kappa" not in str(unsure[0])


def test_a_drawn_outline_gets_no_word_that_was_fitted_to_the_networks():
    gray, lesion = scene(behind=60)
    said = words(gray, lesion, models_outline=False)
    assert said["posterior"] is None and said["shape"] is None and said["orientation"] == "parallel"
    assert describe(gray, lesion, models_outline=False)[0].number == pytest.approx(0.5)


def test_size_on_the_screen_changes_little():
    rng = np.random.default_rng(4)
    blob = ndimage.gaussian_filter(rng.normal(size=(200, 200)), 14)
    mask = (blob > np.percentile(blob, 70)) & (np.hypot(*(np.mgrid[:200, :200] - 100)) < 80)
    small = measure_lesions(mask)[0]
    large = measure_lesions(ndimage.zoom(mask.astype(float), 3, order=1) > 0.5)[0]
    a, b = contour_features(small), contour_features(large)
    for name in a:
        assert a[name] == pytest.approx(b[name], rel=0.15, abs=0.03)


def test_an_outline_is_filled_as_it_was():
    rng = np.random.default_rng(1)
    mask = ndimage.gaussian_filter(rng.normal(size=(90, 120)), 3) > 0.02
    for lesion, region in zip(measure_lesions(mask), regions(mask), strict=True):
        assert np.array_equal(filled(lesion), region.filled)


def test_specks_at_every_edge_are_described():
    for place in (np.s_[0, 0], np.s_[-1, -1], np.s_[:3, 5], np.s_[50:, :]):
        mask = np.zeros((60, 60), bool)
        mask[place] = True
        (lesion,) = measure_lesions(mask)
        values = as_values(describe(np.zeros((60, 60), np.uint8), lesion))
        assert values["posterior"] is None and values["shape_word"] in ("irregular", "not irregular", None)
        assert all(value is None or isinstance(value, str) or math.isfinite(value) for value in values.values())


@pytest.mark.parametrize("spacing_mm", [None, (0.2, 0.1)])
def test_pixels_that_are_not_square_change_no_descriptor(spacing_mm):
    gray, square = scene(behind=60)
    halved = gray[::2]  # every pixel twice as high as wide
    (lesion,) = measure_lesions(halved == 40, None, spacing_mm, pixel_aspect=2.0)
    assert filled(lesion).sum() == (halved == 40).sum()
    said, expected = as_values(describe(halved, lesion)), as_values(describe(gray, square))
    for name, value in expected.items():
        assert said[name] == (value if isinstance(value, str) or value is None else pytest.approx(value, abs=0.08))


INTERVAL = re.compile(r"(\S+) \((-?[\d.]+)-(-?[\d.]+)\)")  # value (low-high)


@pytest.fixture
def not_said(shipped, tmp_path):
    """The shipped weights, which learned from BrEaST, without their saying so: the command's way can be gone with them,
    but what it finds is no claim; the frozen figures come from a network that never saw these images."""
    folder = shutil.copytree(shipped, tmp_path / "not-said")
    config = (folder / "config.json").read_text(encoding="utf-8")
    (folder / "config.json").write_text(config.replace('"BrEaST": ', '"elsewhere": '), encoding="utf-8")
    return folder


def test_the_command_measures_and_prints_what_it_found(data_dir, not_said, tmp_path, capsys):
    arguments = ["--data", str(data_dir / "BrEaST"), "--weights", str(not_said), "--out", str(tmp_path / "out")]
    assert benchmark.main(arguments) == 0
    table = (tmp_path / "out" / "descriptors.md").read_text(encoding="utf-8")
    assert table in capsys.readouterr().out
    rows = {cells[1].strip(): cells for line in table.splitlines() if len(cells := line.split("|")) > 4}
    # Two networks' kappas, each with its noise: they agree where their intervals meet, and each beats chance.
    for name, key in (("posterior shadowing", "posterior"), ("irregular, the surest", "shape")):
        measured, low, high = map(float, INTERVAL.search(rows[name][3]).groups())
        assert 0 < low <= measured <= high and low <= AGREEMENT[key].high and AGREEMENT[key].low <= high
    constants = (tmp_path / "out" / "constants.txt").read_text(encoding="utf-8")
    fitted = float(constants.split("SHADOWING_BELOW = ")[1].split()[0])
    assert fitted == pytest.approx(SHADOWING_BELOW, abs=0.06)


def test_the_command_wants_breast_and_weights_that_never_saw_it(tmp_path, capsys, shipped, untrained):
    assert benchmark.main(["--data", str(tmp_path), "--weights", str(untrained), "--out", str(tmp_path / "out")]) == 1
    assert "0 spreadsheets; BrEaST's folder with its one .xlsx is expected" in capsys.readouterr().err
    assert benchmark.main(["--data", str(tmp_path), "--weights", str(shipped)]) == 1
    assert "these weights trained on BrEaST" in capsys.readouterr().err


def test_the_documentation_shows_the_frozen_figures():
    page = (ROOT / "docs" / "descriptors.md").read_text(encoding="utf-8")
    for one in AGREEMENT.values():
        assert f"{one.kappa:.2f} ({one.low:.2f}-{one.high:.2f})" in page and f" {one.n} |" in page
    assert f"below {SHADOWING_BELOW:.2f}" in page
