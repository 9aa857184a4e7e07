import csv
import shutil

import numpy as np
import openpyxl
import pytest
import tifffile
from PIL import Image

from busi_model.training.data.cases import (
    CaseError,
    check_cases,
    looks_inverted,
    read_mask,
    spread_over_folds,
)
from busi_model.training.data.layouts import find_cases, find_hospital, find_hospitals
from busi_model.training.data.layouts.busi import class_folder_cases
from busi_model.training.data.near_duplicates import near_duplicate_groups, split_by_likeness
from busi_model.training.data.splits import found_table, write_manifest


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
        (("benign (1).png", "malignant", "Z", "development", "0", "1"), "line 3: .* is called malignant here"),
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


def test_masks_say_what_they_mean_however_they_are_stored(tmp_path):
    """0 and 1, 0 and 255, 16 bit, red, green, a palette, black-and-white: the same outline."""
    lesion = np.zeros((40, 50), bool)
    lesion[10:30, 15:35] = True
    colour = np.zeros((40, 50, 3), np.uint8)
    palette = Image.fromarray(lesion.astype(np.uint8))
    palette.putpalette([0, 0, 0, 0, 200, 40] + [0] * 762)
    pictures = [
        Image.fromarray(lesion.astype(np.uint8)),
        Image.fromarray(lesion.astype(np.uint8) * 255),
        Image.fromarray(lesion.astype(np.uint16) * 40_000),
        Image.fromarray(np.where(lesion[..., None], np.array([255, 0, 0], np.uint8), colour)),
        Image.fromarray(np.where(lesion[..., None], np.array([0, 255, 0], np.uint8), colour)),
        palette,
        Image.fromarray(lesion),
    ]
    for picture in pictures:
        picture.save(tmp_path / "mask.png")
        np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), lesion)
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(tmp_path / "mask.png")
    assert not read_mask(tmp_path / "mask.png").any()
    Image.fromarray(np.zeros((40, 50, 4), np.uint8)).save(tmp_path / "mask.png")
    assert not read_mask(tmp_path / "mask.png").any()
    assert looks_inverted(~lesion) and not looks_inverted(lesion)


def test_a_mask_with_transparency_or_labels_says_what_it_means(tmp_path):
    """White on transparent white, black on transparent, opaque, gray and alpha; lesions that are numbered; TIFF of the
    other byte order."""
    lesion = np.zeros((40, 50), bool)
    lesion[10:30, 15:35] = True
    ink, labels = lesion.astype(np.uint8) * 255, lesion.astype(np.uint8)
    labels[20:, :][lesion[20:, :]] = 3
    white, black = np.full((40, 50), 255, np.uint8), np.zeros((40, 50), np.uint8)
    pictures = [
        Image.fromarray(np.dstack([white, white, white, ink])),
        Image.fromarray(np.dstack([black, black, black, ink])),
        Image.fromarray(np.dstack([ink, black, black, white])),
        Image.merge("LA", [Image.fromarray(ink), Image.fromarray(white)]),
        Image.fromarray(labels),
        Image.fromarray(labels.astype(np.uint16)),
    ]
    for picture in pictures:
        picture.save(tmp_path / "mask.png")
        np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), lesion)
    for name, array in (("big.tif", lesion.astype(">u2") * 60_000), ("float.tif", lesion.astype(np.float32) * 0.7)):
        tifffile.imwrite(tmp_path / name, array, byteorder=">" if name == "big.tif" else "<")
        np.testing.assert_array_equal(read_mask(tmp_path / name), lesion)


def test_files_that_training_does_not_read_are_named(folder, tmp_path):
    for name in ("1.2.840.113619.2", "scan.dcm", "clip.gif"):
        (folder / "benign" / name).write_bytes(b"whatever")
    (folder / "benign" / "notes.txt").write_text("words")
    report = "\n".join(find_hospital(folder).report())
    assert "3 left out, their kind is not read in training (export them as PNG): 1.2.840" in report
    assert "notes.txt" not in report
    (tmp_path / "other" / "benign").mkdir(parents=True)
    (tmp_path / "other" / "benign" / "scan.dcm").write_bytes(b"whatever")
    with pytest.raises(CaseError, match="no images .* scan.dcm left out: their kind is not read in training"):
        find_cases(tmp_path / "other")


def test_an_inverted_mask_is_asked_about(folder):
    path = folder / "benign" / "benign (1)_mask.png"
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    with pytest.raises(CaseError, match=r"benign \(1\)\.png outlines .* looks inverted"):
        find_cases(folder)


def test_class_folders_in_another_case_are_found_and_unknown_ones_are_named(folder):
    (folder / "malignant").rename(folder / "Malignant")
    assert sum(c.class_name == "malignant" for c in find_cases(folder)) == 8
    shutil.copytree(folder / "benign", folder / "beningn")
    with pytest.raises(CaseError, match="beningn.*benign, malignant, normal"):
        find_cases(folder)


def test_what_file_managers_leave_behind_does_not_matter(folder):
    before = len(find_cases(folder))
    for name in ("._benign (1).png", "Thumbs.db", "desktop.ini", ".DS_Store"):
        (folder / "benign" / name).write_bytes(b"not an image")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "._benign (1).png").write_bytes(b"not an image")
    assert len(find_cases(folder)) == before


def test_all_problems_are_told_at_once(folder):
    (folder / "malignant" / "malignant (3)_mask.png").unlink()
    (folder / "benign" / "benign (4)_mask.png").unlink()
    with pytest.raises(CaseError, match=r"(?s)benign \(4\)\.png has no mask.*malignant \(3\)\.png has no mask"):
        find_cases(folder)


def test_all_pictures_and_masks_that_cannot_be_used_are_told_at_once(folder):
    """The masks of one folder, and two folders, without a manifest and with one."""
    rows = [
        (f"{name} ({i}).png", name, f"{name}{i}", "development", i % 5, 1)
        for name in ("benign", "malignant", "normal")
        for i in range(1, 9)
    ]
    (folder / "benign" / "benign (1).png").write_bytes(b"not an image")
    Image.new("L", (110, 90), 0).save(folder / "benign" / "benign (3)_mask.png")
    Image.new("L", (70, 80), 255).save(folder / "malignant" / "malignant (2)_mask.png")
    Image.new("L", (110, 90), 1).save(folder / "normal" / "normal (5)_mask.png")
    names = ["benign (1).png", "benign (3).png", "malignant (2)_mask.png is 70x80", "normal (5).png"]
    with pytest.raises(CaseError) as alone:
        find_cases(folder)
    with pytest.raises(CaseError) as with_manifest:
        check_cases(find_cases(folder, _manifest(folder.parent / "m.csv", rows)))
    for error in (alone, with_manifest):
        lines = str(error.value).splitlines()
        assert lines[0] == "4 problems:" and len(lines) == 5
        assert all(name in line for name, line in zip(names, lines[1:], strict=True))
    with pytest.raises(CaseError, match=r"(?s)normal \(5\)\.png.*nothing is not a folder"):
        find_hospitals([folder, folder.parent / "nothing"])


def test_a_table_says_what_was_found(phantoms, tmp_path):
    rows = [
        ("benign (1).png", "benign", "A", "development", 0, 1),
        ("benign (2).png", "benign", "A", "development", 0, 0),
        ("malignant (1).png", "malignant", "B", "test", "", 1),
        ("normal (1).png", "normal", "C", "development", 3, 1),
    ]
    lines = found_table([find_hospital(phantoms, _manifest(tmp_path / "m.csv", rows))])
    assert [line.split()[-6:] for line in lines[1:]] == [
        ["0", "2", "0", "0", "2", "1"],
        ["3", "0", "0", "1", "1", "1"],
        ["reserved", "0", "1", "0", "1", "1"],
    ]
    assert lines[0].split() == ["hospital", "part", "benign", "malignant", "normal", "all", "scored"]
    assert len({len(line) for line in lines}) == 1


def test_the_folder_around_the_class_folders_says_where_they_lie(folder):
    with pytest.raises(CaseError, match=f"They lie in {folder}: name that folder"):
        find_cases(folder.parent)
    for name in ("benign", "malignant", "normal"):
        (folder / name).rename(folder / f"{name}s")
    with pytest.raises(CaseError, match="holds the folders benigns, malignants, normals"):
        find_cases(folder)


def test_class_folders_may_share_file_names(folder, tmp_path):
    for class_name in ("benign", "malignant", "normal"):
        for number in range(1, 9):
            for suffix in ("", "_mask", "_mask_1"):
                old = folder / class_name / f"{class_name} ({number}){suffix}.png"
                if old.exists():
                    old.rename(folder / class_name / f"{number}{suffix}.png")
    cases = find_cases(folder)
    assert len({c.case_id for c in cases}) == 24
    write_manifest(cases, tmp_path / "split.csv")
    assert find_cases(folder, tmp_path / "split.csv")[0].fold == cases[0].fold


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["benign (1).png,benign,A,development,0,1", "benign (1).png,benign,A,development,0,1"], "line 3.*line 2"),
        (["benign (1).png,benign,A,development,0,1", "benign/benign (1).png,benign,B,test,,1"], "line 3.*line 2"),
        (["benign (1).png,benign,A,excluded,,0", "benign (1).png,benign,A,development,0,1"], "line 3.*line 2"),
        (
            ["benign (1).png,benign,A,development,0,1", "benign (2).png,benign,A,test,,1"],
            "line 3: group A .* in test here and in fold 0 in line 2",
        ),
        (["benign (1).png,benign,A,development,0,maybe"], "line 2: scored is 'maybe'"),
        (
            [
                "benign (1).png,benign,A,development,9,1",
                "benign (2).png,benign,B,training,,1",
                "x.png,normal,C,test,,?",
            ],
            "(?s)3 problems:.*line 2: fold.*line 3: split.*line 4: scored",
        ),
        (["benign (1).png;benign;A;development;0.0;1"], None),
        (["benign\\benign (1).png,Benign,A,Development,0.0,1.0"], None),
        (["BUSI/benign/benign (1).png,benign,A,development,0,True"], None),
        (["benign (1).png,benign,A,development,0,1", ",,,,,", " ,,,,,"], None),
        (["benign (1).png;benign;A;development;0,0;1,0", ";;;;;"], None),
    ],
)
def test_manifest_rows_as_people_write_them(phantoms, tmp_path, rows, words):
    mark = ";" if ";" in rows[0] else ","
    head = mark.join(["image", "class", "group", "split", "fold", "scored"])
    (tmp_path / "m.csv").write_text("\n".join([head, *rows]))
    if words:
        with pytest.raises(CaseError, match=words):
            find_cases(phantoms, tmp_path / "m.csv")
    else:
        [case] = find_cases(phantoms, tmp_path / "m.csv")
        assert (case.case_id, case.fold, case.split, case.scored) == ("benign (1).png", 0, "development", True)


def test_folds_keep_groups_together_and_spread_classes():
    labels = ["benign"] * 40 + ["malignant"] * 20 + ["normal"] * 2
    groups = [f"g{i // 2}" for i in range(62)]
    folds = spread_over_folds(labels, groups)
    assert all(len({f for f, g in zip(folds, groups, strict=True) if g == group}) == 1 for group in groups)
    malignant = np.bincount(folds[40:60], minlength=5)
    assert malignant.min() >= 2 and np.array_equal(folds, spread_over_folds(labels, groups))


def test_two_folders_of_one_hospital_are_refused(phantoms):
    with pytest.raises(CaseError, match="Two folders are both phantoms"):
        find_hospitals([phantoms, phantoms])


def _bus_bra(folder):
    for name in ("Images", "Masks"):
        (folder / name).mkdir(parents=True)
    data, folds = ["ID,Case,Pathology,Device"], ["ID,kFold"]
    for number in range(1, 11):
        for side, kind in (("l", "malignant"), ("r", "benign")):
            data.append(f"bus_{number:04d}-{side},{number},{kind},GE Logiq 7 @10-14MHz")
            folds.append(f"bus_{number:04d}-{side},{number}")
            Image.new("L", (70, 80), 90 + number).save(folder / "Images" / f"bus_{number:04d}-{side}.png")
            Image.new("L", (70, 80), 255).save(folder / "Masks" / f"mask_{number:04d}-{side}.png")
    (folder / "bus_data.csv").write_text("\n".join(data))
    (folder / "10-fold-cv.csv").write_text("\n".join(folds))
    return folder


def test_bus_bra_keeps_its_last_folds_reserved_and_patients_together(tmp_path):
    hospital = find_hospital(_bus_bra(tmp_path / "data"))
    assert hospital.name == "BUS-BRA" and len(hospital.cases) == 20
    reserved = {c.case_id for c in hospital.cases if c.split == "test"}
    assert reserved == {f"bus_{n:04d}-{side}.png" for n in (8, 9, 10) for side in "lr"}
    assert all((c.fold is None) == (c.case_id in reserved) for c in hospital.cases)
    folds = {}
    for case in hospital.cases:
        folds.setdefault(case.group, set()).add(case.fold)
    assert all(len(one) == 1 for one in folds.values())
    (tmp_path / "data" / "Images" / "bus_0003-l.png").unlink()  # withheld: the others' folds stay
    fewer = {c.case_id: c.fold for c in find_cases(tmp_path / "data")}
    assert fewer == {c.case_id: c.fold for c in hospital.cases if c.case_id != "bus_0003-l.png"}
    (tmp_path / "data" / "Masks" / "mask_0001-r.png").unlink()
    with pytest.raises(CaseError, match="mask_0001-r.png is expected"):
        find_cases(tmp_path / "data")


def _bus_uclm(folder):
    """Three images of the published list: benign and malignant of one test patient, a normal one; and a stranger."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    rows = ["Image;Resolution;Label;Doppler;Marks;Combined"]
    for name, label, colour in (
        ("ANAT_000.png", "Normal", (0, 0, 0)),
        ("ALWI_000.png", "Benign", (0, 255, 0)),
        ("HESN_000.png", "Benign", (0, 255, 0)),
    ):
        rows.append(f"{name};70x80;{label};No;No;No")
        Image.new("RGB", (70, 80), (90, 90, 90)).save(folder / "images" / name)
        mask = Image.new("RGB", (70, 80))
        mask.paste(colour, (10, 10, 30, 30))
        mask.save(folder / "masks" / name)
    (folder / "INFO.csv").write_text("\ufeff" + "\n".join(rows), encoding="utf-8")
    return folder


def test_bus_uclm_colours_are_outlines_and_unlisted_images_are_left_out_by_name(tmp_path):
    hospital = find_hospital(_bus_uclm(tmp_path / "data"))
    normal, benign = hospital.cases
    assert (normal.class_name, normal.split) == ("normal", "development")
    assert (benign.class_name, benign.split, benign.fold) == ("benign", "test", None)
    assert benign.read()[1].sum() == 400 and not normal.read()[1].any()
    assert hospital.left_out == {"hospitals.csv does not list them": ["HESN_000.png"]}
    Image.new("RGB", (60, 80)).save(tmp_path / "data" / "masks" / "ALWI_000.png")
    assert find_hospital(tmp_path / "data").left_out["their outline has another size"] == ["ALWI_000.png"]


def test_breast_never_takes_another_structure_for_the_lesion(tmp_path):
    images = tmp_path / "data" / "BrEaST-Lesions_USG-images_and_masks"
    images.mkdir(parents=True)
    book = openpyxl.Workbook()
    book.active.append(["CaseID", "Image_filename", "Mask_tumor_filename", "BIRADS", "Classification"])
    book.active.append([1, "case001.png", "case001_tumor.png", 2, "benign"])
    book.save(tmp_path / "data" / "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx")
    Image.new("L", (70, 80), 90).save(images / "case001.png")
    for name, box in (("tumor", (10, 10, 30, 30)), ("other1", (40, 40, 60, 60))):
        mask = Image.new("L", (70, 80))
        mask.paste(255, box)
        mask.save(images / f"case001_{name}.png")
    (case,) = find_cases(tmp_path / "data")
    assert (case.class_name, case.subgroup, case.hospital) == ("benign", "BI-RADS 2", "BrEaST")
    mask = case.read()[1]
    assert mask.sum() == 400 and mask[10:30, 10:30].all()


def test_four_real_hospitals(data_dir):
    hospitals = find_hospitals([data_dir / name for name in ("BUSI", "BUS-BRA", "BUS-UCLM", "BrEaST")])
    assert {h.name: len(h.cases) for h in hospitals} == {"BUSI": 625, "BUS-BRA": 1313, "BUS-UCLM": 428, "BrEaST": 172}
    assert len(hospitals[0].left_out["the manifest excludes them"]) == 23
    for hospital in hospitals:
        sides = {}
        for case in hospital.cases:
            sides.setdefault(case.group, set()).add((case.split, case.fold))
        assert all(len(side) == 1 for side in sides.values())
    for case in hospitals[2].cases[::20] + hospitals[3].cases[::10]:
        mask = case.read()[1]
        assert mask.any() == (case.class_name != "normal")


def test_real_data_and_its_manifest(data_dir):
    cases = find_cases(data_dir / "BUSI", data_dir / "busi_manifest.csv")
    development = [c for c in cases if c.split == "development"]
    assert len(development) == 625 and sum(c.scored for c in development) == 419
    assert sum(len(c.mask_paths) > 1 for c in cases) >= 10
    sides = {}
    for case in cases:
        sides.setdefault(case.group, set()).add((case.split, case.fold))
    assert all(len(side) == 1 for side in sides.values())


def test_real_near_duplicates_are_found(data_dir):
    """Of the pairs that the manifest groups (some are one patient, not one picture) most are found, none invented."""
    truth = {c.case_id: c.group for c in find_cases(data_dir / "BUSI", data_dir / "busi_manifest.csv")}
    cases = split_by_likeness(class_folder_cases(data_dir / "BUSI"))
    found = {c.case_id: c.group for c in cases if c.case_id in truth}
    names = sorted(found)
    same_truth = np.array([[truth[a] == truth[b] for b in names] for a in names])
    same_found = np.array([[found[a] == found[b] for b in names] for a in names])
    np.fill_diagonal(same_truth, False)
    np.fill_diagonal(same_found, False)
    assert (same_found & same_truth).sum() / same_truth.sum() > 0.6
    assert (same_found & ~same_truth).sum() / same_found.sum() < 0.02
