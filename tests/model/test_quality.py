import csv

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from busi_model.decode.colour import COLOUR, PHOTO, colour_notices
from busi_model.image import read_image
from busi_model.model.quality import SPLIT_SCREEN, WINDOW, has_marks, look, scan_in_window, side_by_side
from busi_model.phantom import draw_phantom

CLASSES = ("benign", "malignant", "normal")


@pytest.fixture(scope="module")
def hospitals(data_dir):
    """Paths of every third image, by hospital."""
    found = {
        "BUSI": [p for c in CLASSES for p in sorted((data_dir / "BUSI" / c).glob("*.png")) if "_mask" not in p.name],
        "BUS-BRA": sorted((data_dir / "BUS-BRA" / "Images").glob("*.png")),
        "BUS-UCLM": sorted((data_dir / "BUS-UCLM" / "images").glob("*.png")),
        "BrEaST": [p for p in sorted((data_dir / "BrEaST").rglob("case*.png")) if "_" not in p.stem],
    }
    return {name: paths[::3] for name, paths in found.items()}


@pytest.fixture(scope="module")
def real(hospitals):
    """Their gray pictures."""
    return {name: [read_image(p).gray for p in paths] for name, paths in hospitals.items()}


@pytest.mark.parametrize("class_name", CLASSES)
@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_told_of_a_plain_phantom(class_name, seed):
    assert look(draw_phantom(class_name, seed, 400, 500)[0]) == ((), ())


def _lettered(gray, at, size=22):
    image = Image.fromarray(gray)
    text = "LEFT BREAST 3 H\nRADIAL 12 MHZ\nGAIN 54 DR 60"
    ImageDraw.Draw(image).text(at, text, fill=255, font=ImageFont.load_default(size=size))
    return np.asarray(image)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("times", [1, 4])
def test_painted_letters_are_seen_at_any_size(seed, times):
    gray, _ = draw_phantom("benign", seed, 400, 500)
    larger = np.asarray(Image.fromarray(gray).resize((500 * times, 400 * times), Image.Resampling.BICUBIC))
    assert has_marks(_lettered(larger, (60 * times, 270 * times), 22 * times))


def test_letters_at_the_rim_do_not_count():
    gray, _ = draw_phantom("benign", 1, 400, 500)
    assert not has_marks(_lettered(gray, (5, 2), 6))
    assert has_marks(_lettered(gray, (60, 270), 12))


def test_marks_on_real_pictures(real, hospitals, data_dir):
    with open(data_dir / "busi_manifest.csv", newline="") as file:
        annotated = {r["image"]: bool(r["annotation"]) for r in csv.DictReader(file)}
    found = {name: np.array([has_marks(gray) for gray in grays]) for name, grays in real.items()}
    marked = np.array([annotated[p.name] for p in hospitals["BUSI"]])
    assert found["BUSI"][marked].mean() > 0.75  # 0.86 of all
    assert found["BUSI"][~marked].mean() < 0.02  # none of all
    assert found["BUS-BRA"].mean() > 0.7  # 0.77; of 40 that were looked at 37 are marked
    assert found["BrEaST"].mean() < 0.03  # of 40 that were looked at none is marked
    with open(data_dir / "BUS-UCLM" / "INFO.csv", newline="", encoding="utf-8-sig") as file:
        rows = {r["Image"]: r for r in csv.DictReader(file, delimiter=";")}
    marked = np.array([rows[p.name]["Marks"] == "Yes" for p in hospitals["BUS-UCLM"]])
    assert found["BUS-UCLM"][marked].mean() > 0.5 and found["BUS-UCLM"][~marked].mean() < 0.05


def _pair(left, right, gap):
    height, width = (min(a, b) for a, b in zip(left.shape, right.shape, strict=True))
    return np.hstack([left[:height, :width], np.zeros((height, gap), np.uint8), right[:height, :width]]), width


def test_one_real_picture_is_not_taken_for_two(real):
    for name, grays in real.items():
        assert np.mean([side_by_side(gray) is not None for gray in grays]) <= 0.01, name


@pytest.mark.parametrize("gap", [0, 12])
def test_two_real_pictures_side_by_side_are_seen(real, gap):
    pictures = [gray for grays in real.values() for gray in grays[::4]]
    rng, seen, right_place = np.random.default_rng(0), [], []
    for _ in range(60):
        pair, width = _pair(*(pictures[i] for i in rng.integers(len(pictures), size=2)), gap)
        found = side_by_side(pair)
        seen.append(found is not None)
        right_place.append(found is not None and abs(found[0].right - width) <= 3)
    assert np.mean(seen) > (0.9 if gap == 0 else 0.8) and np.sum(right_place) > 0.9 * np.sum(seen)


def test_two_phantoms_are_cropped_to_each():
    left, right = draw_phantom("benign", 1, 400, 500)[0], draw_phantom("normal", 4, 400, 500)[0]
    for gap in (0, 20):
        pair, width = _pair(left, right, gap)
        (first, second), (notices, crops) = side_by_side(pair), look(pair)
        assert SPLIT_SCREEN in notices and crops == (first, second)
        np.testing.assert_array_equal(pair[:, first.left : first.right], left)
        np.testing.assert_array_equal(pair[:, second.left : second.right], right)


def test_a_dark_half_is_no_second_picture():
    gray, _ = draw_phantom("benign", 1, 400, 500)
    assert side_by_side(np.hstack([gray, np.zeros((400, 20), np.uint8), np.zeros_like(gray)])) is None


def test_a_line_drawn_from_top_to_bottom_parts_nothing():
    gray = draw_phantom("benign", 1, 400, 500)[0].copy()
    gray[:, 250] = 255
    assert side_by_side(gray) is None


def _in_a_window(gray, rng):
    """A program's window around a scan, and where the scan lies (top, left)."""
    height, width = gray.shape
    background = int(rng.choice([0, 20, 45, 200, 240]))
    image = Image.new("L", (int(1.5 * width), int(1.6 * height)), background)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=14)
    draw.rectangle([0, 0, image.width, 0.06 * image.height], fill=120)
    for _ in range(12):
        draw.text((rng.uniform(0, image.width), rng.uniform(0, image.height)), "Patient 12", 255 - background, font)
    top, left = int(rng.uniform(0.1, 0.9) * (image.height - height)), int(rng.uniform(0.1, 0.9) * 0.5 * width)
    image.paste(Image.fromarray(gray), (left, top))
    return np.asarray(image), (top, left)


def _overlap(box, top, left, height, width):
    rows = min(box.bottom, top + height) - max(box.top, top)
    columns = min(box.right, left + width) - max(box.left, left)
    both = max(0, rows) * max(0, columns)
    return both / ((box.bottom - box.top) * (box.right - box.left) + height * width - both)


def test_a_scan_in_a_window_is_cropped_to_and_a_plain_one_is_not(real):
    for name, grays in real.items():
        assert np.mean([scan_in_window(gray) is not None for gray in grays]) <= 0.02, name
    rng, found = np.random.default_rng(0), []
    for gray in [gray for grays in real.values() for gray in grays[::6]]:
        window, place = _in_a_window(gray, rng)
        box = scan_in_window(window)
        found.append(0.0 if box is None else _overlap(box, *place, *gray.shape))
    found = np.array(found)
    assert (found > 0).mean() > 0.9 and np.median(found[found > 0]) > 0.75


def test_a_phantom_in_a_window():
    gray, _ = draw_phantom("benign", 2, 300, 400)
    window, place = _in_a_window(gray, np.random.default_rng(1))
    notices, (box,) = look(window)
    assert WINDOW in notices and _overlap(box, *place, *gray.shape) > 0.7


def test_a_window_too_small_to_be_judged_is_no_crop():
    window = np.zeros((400, 600), np.uint8)
    window[100:130, 200:240] = draw_phantom("benign", 1, 400, 500)[0][:30, :40]
    assert scan_in_window(window) is None


# Colour


def _tinted(gray):
    """A gray scan as some machines store it: a bluish curve, a yellow logo, a lavender pictogram, green calipers."""
    rgb = np.stack([gray * 0.9, gray * 0.95, np.minimum(gray * 1.1, 255)], axis=2).astype(np.uint8)
    rgb[2:14, 40:60] = (250, 235, 100)
    rgb[-50:, -50:] = (139, 132, 165)
    rgb[100, 80:95] = rgb[93:108, 87] = (120, 240, 120)
    return rgb


def _with_overlay(gray, colours, share):
    """Blended colours on a part of the scan, as of elastography."""
    rgb = np.repeat(gray[:, :, None], 3, axis=2).astype(float)
    height, width = gray.shape
    rows, columns = int(height * share), int(width * share)
    ramp = np.linspace(0, len(colours) - 1, columns)
    overlay = np.stack([np.interp(ramp, range(len(colours)), [c[i] for c in colours]) for i in range(3)], axis=1)
    rgb[:rows, :columns] = 0.5 * rgb[:rows, :columns] + 0.5 * overlay[None]
    return rgb.astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_tints_logos_and_calipers_are_no_colour(seed):
    gray, _ = draw_phantom("benign", seed, 400, 500)
    assert colour_notices(np.repeat(gray[:, :, None], 3, axis=2)) == ()
    assert colour_notices(_tinted(gray)) == ()


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
@pytest.mark.parametrize(
    "colours",
    [
        [(0, 0, 255), (0, 255, 0), (255, 0, 0)],  # soft to hard, or the reverse
        [(255, 0, 0), (255, 255, 0), (0, 255, 255), (0, 0, 255)],
    ],
)
def test_elastography_is_colour_and_no_photograph(share, colours):
    gray, _ = draw_phantom("malignant", 2, 400, 500)
    assert colour_notices(_with_overlay(gray, colours, share)) == (COLOUR,)


@pytest.mark.parametrize("blood", [(220, 30, 20), (20, 60, 220), (240, 120, 20)])
def test_a_little_blood_is_colour(blood):
    rgb = _tinted(draw_phantom("malignant", 2, 400, 500)[0])
    rgb[200:207, 250:260] = blood
    assert colour_notices(rgb) == (COLOUR,)
    large = np.asarray(Image.fromarray(rgb).resize((3000, 2400)))
    assert [n.code for n in read_image(large).notices] == ["colour"]


def _photographed(gray, rng):
    """Uneven light, a warm tint that changes over the picture, moire and a camera's colour noise."""
    height, width = gray.shape
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    tint = np.stack([1 + 0.08 * x, np.ones_like(x), 1.05 - 0.1 * y], axis=2)
    moire = 6 * np.sin(40 * x + 25 * y)[:, :, None] * np.array([1, -1, 1])
    noisy = gray[:, :, None] * tint + moire + rng.normal(0, 4, (height, width, 3)) + 8
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_a_photographed_screen_is_told_apart(seed):
    gray, _ = draw_phantom("benign", seed, 400, 500)
    assert colour_notices(_photographed(gray, np.random.default_rng(seed))) == (PHOTO,)


def _is_rgb(path):
    with Image.open(path) as image:
        return image.mode == "RGB"


def test_colour_of_real_pictures(hospitals, data_dir):
    with open(data_dir / "BUS-UCLM" / "INFO.csv", newline="", encoding="utf-8-sig") as file:
        doppler = {r["Image"]: r["Doppler"] == "Yes" for r in csv.DictReader(file, delimiter=";")}
    all_of_it = sorted((data_dir / "BUS-UCLM" / "images").glob("*.png"))
    coloured = [p for p in all_of_it if _is_rgb(p)]
    found = {p.name: [n.code for n in read_image(p).notices] for p in coloured}
    assert np.mean([found[n] == ["colour"] for n in found if doppler[n]]) > 0.8  # 21 of 24
    assert [n for n in found if not doppler[n] and found[n]] == []  # 34, all with a lavender pictogram
    for name in ("BUSI", "BUS-BRA", "BrEaST"):
        told = [p.name for p in hospitals[name] if read_image(p).notices]
        assert len(told) <= 0.02 * len(hospitals[name]), told
