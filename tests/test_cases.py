import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from busi_model.training.cases import (
    CaseError,
    find_cases,
    near_duplicate_groups,
    write_manifest,
)


@pytest.fixture
def folder(phantoms, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(phantoms, tmp_path / "BUSI")


def _manifest(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "class", "group", "split", "fold", "scored"])
        writer.writerows(rows)
    return path


def test_busi_layout(phantoms):
    cases = find_cases(phantoms)
    assert len(cases) == 24
    assert [c.case_id for c in cases[:3]] == ["benign (1).png", "benign (2).png", "benign (3).png"]
    assert {c.class_name for c in cases} == {"benign", "malignant", "normal"}
    assert not any("_mask" in c.case_id for c in cases)


def test_lesions_of_several_mask_files_are_joined(phantoms):
    case = next(c for c in find_cases(phantoms) if c.case_id == "benign (2).png")
    assert [p.name for p in case.mask_paths] == ["benign (2)_mask.png", "benign (2)_mask_1.png"]
    _, mask = case.read()
    each = [(np.asarray(Image.open(p)) > 0).sum() for p in case.mask_paths]
    assert mask.sum() == sum(each) and min(each) > 0


def test_normal_images_have_an_empty_mask_with_or_without_a_file(folder):
    (folder / "normal" / "normal (1)_mask.png").unlink()
    normal = [c for c in find_cases(folder) if c.class_name == "normal"]
    assert len(normal) == 8
    for case in normal:
        frame, mask = case.read()
        assert mask.shape == frame.gray.shape and not mask.any()


def test_image_without_mask_is_refused_by_name(folder):
    (folder / "malignant" / "malignant (3)_mask.png").unlink()
    with pytest.raises(CaseError, match=r"malignant \(3\)\.png has no mask"):
        find_cases(folder)


def test_mask_without_image_is_refused_by_name(folder):
    (folder / "benign" / "benign (4).png").unlink()
    with pytest.raises(CaseError, match=r"benign \(4\)_mask\.png"):
        find_cases(folder)


def test_mask_of_another_size_is_refused_by_name(folder):
    Image.new("L", (70, 80), 255).save(folder / "benign" / "benign (1)_mask.png")
    with pytest.raises(CaseError, match=r"benign \(1\)_mask\.png is 70x80.*110x90"):
        find_cases(folder)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("normal/normal (1)_mask.png", 255, "outlines a lesion"),
        ("benign/benign (1)_mask.png", 0, "mask is empty"),
    ],
)
def test_class_and_mask_must_agree(folder, name, value, words):
    Image.new("L", (110, 90), value).save(folder / name)
    with pytest.raises(CaseError, match=words):
        find_cases(folder)


def test_unreadable_image_is_named(folder):
    (folder / "benign" / "benign (1).png").write_bytes(b"not an image")
    with pytest.raises(CaseError, match=r"benign \(1\)\.png cannot be used"):
        find_cases(folder)


@pytest.mark.parametrize("what", ["missing", "empty"])
def test_a_wrong_folder_says_what_is_expected(tmp_path, what):
    with pytest.raises(CaseError, match="benign/"):
        find_cases(tmp_path / "nothing" if what == "missing" else tmp_path)


def test_manifest_is_obeyed(phantoms, tmp_path):
    rows = [
        ("benign (1).png", "benign", "A", "development", "0", "1"),
        ("benign (2).png", "benign", "A", "development", "0", "0"),
        ("malignant (1).png", "malignant", "B", "test", "", "1"),
        ("malignant (9).png", "malignant", "C", "test", "", "1"),  # withheld: no such file
        ("normal (1).png", "normal", "D", "excluded", "", "0"),
    ]
    cases = find_cases(phantoms, _manifest(tmp_path / "m.csv", rows))
    assert [(c.case_id, c.group, c.split, c.fold, c.scored) for c in cases] == [
        ("benign (1).png", "A", "development", 0, True),
        ("benign (2).png", "A", "development", 0, False),
        ("malignant (1).png", "B", "test", None, True),
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("benign (99).png", "benign", "Z", "development", "0", "1"), r"lists benign \(99\)\.png"),
        (("benign (1).png", "malignant", "Z", "development", "0", "1"), "calls it malignant"),
        (("benign (1).png", "benign", "Z", "development", "7", "1"), "fold is '7'"),
        (("benign (1).png", "benign", "Z", "train", "0", "1"), "split is 'train'"),
        (("benign (1).png", "benign", "A", "development", "1", "1"), "group A lies in two"),
    ],
)
def test_wrong_manifest_rows_are_refused(phantoms, tmp_path, row, words):
    first = ("benign (2).png", "benign", "A", "development", "0", "1")
    with pytest.raises(CaseError, match=words):
        find_cases(phantoms, _manifest(tmp_path / "m.csv", [first, row]))


def test_manifest_without_its_columns(phantoms, tmp_path):
    (tmp_path / "m.csv").write_text("image,label\nx,y\n")
    with pytest.raises(CaseError, match="lacks the columns class, group"):
        find_cases(phantoms, tmp_path / "m.csv")


def test_without_manifest_twins_stay_together_and_the_split_round_trips(folder, tmp_path):
    for number, twin in ((20, 3), (21, 4)):  # a copy, a little brighter; and a mirror image
        for suffix in ("", "_mask"):
            pixels = np.asarray(Image.open(folder / "benign" / f"benign ({twin}){suffix}.png"))
            if number == 21:
                pixels = pixels[:, ::-1]
            elif not suffix:
                pixels = np.minimum(pixels.astype(int) + 12, 255).astype(np.uint8)
            Image.fromarray(np.ascontiguousarray(pixels)).save(folder / "benign" / f"benign ({number}){suffix}.png")
    cases = find_cases(folder)
    by_id = {c.case_id: c for c in cases}
    for number, twin in ((20, 3), (21, 4)):
        one, other = by_id[f"benign ({number}).png"], by_id[f"benign ({twin}).png"]
        assert one.group == other.group and one.fold == other.fold
        assert other.scored and not one.scored
    assert {c.fold for c in cases} == {0, 1, 2, 3, 4}
    write_manifest(cases, tmp_path / "split.csv")
    again = find_cases(folder, tmp_path / "split.csv")
    assert [(c.case_id, c.group, c.fold, c.scored) for c in again] == [
        (c.case_id, c.group, c.fold, c.scored) for c in cases
    ]


def test_different_pictures_are_not_joined():
    rng = np.random.default_rng(0)
    assert len(set(near_duplicate_groups(list(rng.random((20, 32, 32), np.float32))))) == 20


def test_busbra_layout(tmp_path):
    for name in ("Images", "Masks"):
        (tmp_path / name).mkdir()
    (tmp_path / "bus_data.csv").write_text(
        "ID,Case,Pathology,Device\nbus_0001-l,1,malignant,GE Logiq 7 @10-14MHz\n"
        "bus_0001-r,1,benign,GE Logiq 7 @10-14MHz\n"
        "bus_0009-l,9,benign,Toshiba @12MHz\n"
    )
    (tmp_path / "10-fold-cv.csv").write_text("ID,kFold\nbus_0001-l,3\nbus_0001-r,3\nbus_0009-l,9\n")
    for side in "lr":
        Image.new("L", (70, 80), 90).save(tmp_path / "Images" / f"bus_0001-{side}.png")
        Image.new("L", (70, 80), 255).save(tmp_path / "Masks" / f"mask_0001-{side}.png")
    cases = find_cases(tmp_path)  # the third image is withheld
    assert [(c.case_id, c.class_name, c.group, c.fold, c.subgroup) for c in cases] == [
        ("bus_0001-l.png", "malignant", "BRA1", 3, "GE Logiq 7"),
        ("bus_0001-r.png", "benign", "BRA1", 3, "GE Logiq 7"),
    ]
    (tmp_path / "Masks" / "mask_0001-r.png").unlink()
    with pytest.raises(CaseError, match="mask_0001-r.png is expected"):
        find_cases(tmp_path)


def test_real_data_and_its_manifest(data_dir):
    cases = find_cases(data_dir / "BUSI", data_dir / "busi_manifest.csv")
    development = [c for c in cases if c.split == "development"]
    assert len(development) == 625 and sum(c.scored for c in development) == 419
    assert sum(len(c.mask_paths) > 1 for c in cases) >= 10
    sides = {}
    for case in cases:
        sides.setdefault(case.group, set()).add((case.split, case.fold))
    assert all(len(side) == 1 for side in sides.values())
    assert len(find_cases(data_dir / "BUS-BRA")) == 1313


def test_real_near_duplicates_are_found(data_dir):
    """Of the pairs that the manifest groups (some are one patient, not one picture) most are found, none invented."""
    truth = {c.case_id: c.group for c in find_cases(data_dir / "BUSI", data_dir / "busi_manifest.csv")}
    found = {c.case_id: c.group for c in find_cases(data_dir / "BUSI") if c.case_id in truth}
    names = sorted(found)
    same_truth = np.array([[truth[a] == truth[b] for b in names] for a in names])
    same_found = np.array([[found[a] == found[b] for b in names] for a in names])
    np.fill_diagonal(same_truth, False)
    np.fill_diagonal(same_found, False)
    assert (same_found & same_truth).sum() / same_truth.sum() > 0.6
    assert (same_found & ~same_truth).sum() / same_found.sum() < 0.02
