"""`python -m busi_model arrange` on archives as users download and spoil them."""

import csv
import io
import shlex
import shutil
import zipfile

import pytest
from PIL import Image

from busi_model.__main__ import main
from busi_model.training import command
from busi_model.training.data import arrange as module
from busi_model.training.data.arrange import MANIFEST, arrange
from busi_model.training.data.cases import CaseError
from busi_model.training.data.layouts import find_cases
from tests.support.examples import example

COLUMNS = ("image", "class", "group", "split", "fold", "scored", "width", "height", "masks")
ROWS = [
    ("benign (1).png", "benign", "W1", "development", "0", "1", "8", "6", "1"),
    ("benign (2).png", "benign", "W2", "development", "1", "1", "9", "7", "2"),
    ("malignant (1).png", "malignant", "W3", "development", "2", "1", "8", "6", "1"),
    ("normal (1).png", "normal", "W4", "development", "3", "1", "8", "6", "1"),
    ("malignant (2).png", "malignant", "W5", "test", "", "1", "", "", ""),
    ("benign (3).png", "benign", "W6", "excluded", "", "0", "", "", ""),
]


def _png(width, height, level=0):
    buffer = io.BytesIO()
    Image.new("L", (width, height), level).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    """A release of six images; the command takes it for BUSI's manifest."""
    path = tmp_path / "manifest.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *ROWS])
    monkeypatch.setattr(arrange, "__defaults__", (path,))
    return path


@pytest.fixture
def release():
    """All its files, `class/file` -> bytes."""
    files = {}
    for name, class_name, *_, width, height, masks in ROWS:
        size = int(width or 8), int(height or 6)
        files[f"{class_name}/{name}"] = _png(*size, 90)
        for number in range(int(masks or 1)):
            suffix = f"_mask_{number}" if number else "_mask"
            files[f"{class_name}/{name.removesuffix('.png')}{suffix}.png"] = _png(*size, 255)
    return files


def _folder(files, folder, nesting=""):
    for name, content in files.items():
        path = folder / nesting / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def _zip(files, path, nesting=""):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(nesting + name, content)
    return path


def _run(source, out, capsys):
    code = main(["arrange", str(source), "--out", str(out)])
    return code, capsys.readouterr()


def _arranged(out):
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*.png")}


@pytest.mark.parametrize("nesting", ["", "Dataset_BUSI_with_GT/", "archive/Dataset_BUSI_with_GT/Dataset_BUSI_with_GT/"])
@pytest.mark.parametrize("make", [_folder, _zip])
def test_a_whole_release_is_arranged(manifest, release, tmp_path, capsys, make, nesting):
    source = make(release, tmp_path / "download", nesting)
    code, printed = _run(source, tmp_path / "BUSI", capsys)
    assert code == 0, printed
    assert _arranged(tmp_path / "BUSI") == release
    lines = printed.out.splitlines()
    assert lines[:4] == ["development: 4 of 4 images", "test: 1 of 1 images", "excluded: 1 of 1 images", "masks: 7"]
    assert lines[-1] == "Ready to train on." and len(lines) == 5
    cases = find_cases(tmp_path / "BUSI", tmp_path / "BUSI" / "busi_manifest.csv")  # what training reads
    assert [len(c.mask_paths) for c in cases if c.split == "development"] == [1, 2, 1, 1]


def test_the_example(manifest, release, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _zip(release, tmp_path / "archive.zip", "Dataset_BUSI_with_GT/")
    arranging, training = example("bash", "busi_model arrange").splitlines()
    assert main(shlex.split(arranging)[3:]) == 0
    assert _arranged(tmp_path / "BUSI") == release
    arguments = command.parse_arguments(shlex.split(training)[2:])
    (folder,) = arguments.data  # the folder that was arranged; BUSI's real pictures are known without the manifest
    assert find_cases(folder, f"{folder}/busi_manifest.csv")


def test_running_it_again_changes_nothing(manifest, release, tmp_path, capsys):
    source = _folder(release, tmp_path / "download")
    for _ in range(2):
        assert _run(source, tmp_path / "BUSI", capsys)[0] == 0
    assert _arranged(tmp_path / "BUSI") == release


def test_missing_test_images_are_told_and_do_no_harm(manifest, release, tmp_path, capsys):
    kept = {n: c for n, c in release.items() if not n.startswith(("malignant/malignant (2)", "benign/benign (3)"))}
    code, printed = _run(_folder(kept, tmp_path / "download"), tmp_path / "BUSI", capsys)
    assert code == 0
    assert "test: 0 of 1 images" in printed.out and "1 test images are missing. Training" in printed.out
    assert "1 excluded images are missing. Nothing uses them" in printed.out
    assert printed.out.endswith("Ready to train on.\n")


def _without(release, name):
    return {n: c for n, c in release.items() if n != name}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda r: _without(r, "benign/benign (1).png"), "1 development images are missing: benign/benign (1).png"),
        (lambda r: _without(r, "benign/benign (1).png"), "1 masks have no image"),
        (
            lambda r: _without(r, "benign/benign (2)_mask_1.png"),
            "images lack masks; download BUSI again: benign/benign (2)",
        ),
        (lambda r: _without(r, "malignant/malignant (2)_mask.png"), "malignant/malignant (2).png (0 of 1)"),
        (lambda r: r | {"benign/benign (1).png": _png(4, 3)}, "benign/benign (1).png (4x3 for 8x6)"),
        (lambda r: r | {"benign/benign (1)_mask.png": _png(4, 3)}, "masks have another size than their image"),
        (lambda r: r | {"benign/benign (1).png": _png(8, 6)[:40]}, "files are damaged or no PNG images"),
        (lambda r: r | {"benign/benign (1).png": b"GIF89a" + bytes(90)}, "files are damaged or no PNG images"),
        (lambda r: r | {"normal/benign (1).png": _png(8, 6)}, "files lie in another class's folder"),
        (lambda r: r | {"benign/holiday.png": _png(8, 6)}, "files are not of BUSI and were left out"),
        (lambda r: r | {"copy/benign/benign (1).png": _png(8, 6, 7)}, "files are there twice with different content"),
    ],
)
def test_what_is_wrong_is_named(manifest, release, tmp_path, capsys, spoil, words):
    code, printed = _run(_folder(spoil(release), tmp_path / "download"), tmp_path / "BUSI", capsys)
    assert code == 1
    assert words in printed.out
    assert printed.out.endswith("Not ready to train on: see above.\n")


def test_foreign_files_are_left_out_and_system_files_ignored(manifest, release, tmp_path, capsys):
    extra = {
        "benign/.DS_Store": b"x",
        "__MACOSX/benign/._benign (1).png": b"x",
        "benign/Thumbs.db": b"x",
        "notes.txt": b"x",
    }
    code, printed = _run(_folder(release | extra, tmp_path / "download"), tmp_path / "BUSI", capsys)
    assert code == 0, printed
    assert {p.name for p in (tmp_path / "BUSI").iterdir()} == {"benign", "malignant", "normal", "busi_manifest.csv"}


def _archive(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _as_windows_writes_it(release, path):
    """Names with backslashes, entries for folders too; zipfile itself would turn them round."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in ["Dataset_BUSI_with_GT\\benign\\", *release]:
            entry = zipfile.ZipInfo("x")
            entry.filename = name if name.endswith("\\") else "Dataset_BUSI_with_GT\\" + name.replace("/", "\\")
            archive.writestr(entry, release.get(name, b""))
    return path


def _zip_in_zips(release, path):
    inner = _archive({f"Dataset_BUSI_with_GT/{name}": content for name, content in release.items()})
    return _zip({"kaggle/Dataset_BUSI_with_GT.zip": _archive({"data.ZIP": inner}), "licence.txt": b"x"}, path)


def _a_zip_a_class(release, path):
    classes = {"Benign": {}, "malignant": {}, "normal": {}}
    for name, content in release.items():
        class_name, file_name = name.split("/")
        next(files for key, files in classes.items() if key.lower() == class_name)[file_name] = content
    return _zip({f"{key}.zip": _archive(files) for key, files in classes.items()}, path)


def _a_folder_of_zips(release, path):
    path.mkdir()
    (path / "archive.zip").write_bytes(_archive({f"BUSI/{name}": content for name, content in release.items()}))
    return path


@pytest.mark.parametrize("make", [_as_windows_writes_it, _zip_in_zips, _a_zip_a_class, _a_folder_of_zips])
def test_archives_as_people_have_them_open(manifest, release, tmp_path, capsys, make):
    litter = {"benign/THUMBS.DB": b"x", "benign/Desktop.ini": b"x", "normal/._normal (1).png": b"x"}
    code, printed = _run(make(release | litter, tmp_path / "download"), tmp_path / "BUSI", capsys)
    assert code == 0, printed
    assert _arranged(tmp_path / "BUSI") == release
    assert printed.out.endswith("Ready to train on.\n") and "left out" not in printed.out


def test_zips_in_zips_end_somewhere_and_a_damaged_one_gets_a_sentence(manifest, release, tmp_path, capsys):
    content = _archive(release)
    for _ in range(6):
        content = _archive({"again.zip": content})
    (tmp_path / "deep.zip").write_bytes(content)
    code, printed = _run(tmp_path / "deep.zip", tmp_path / "BUSI", capsys)
    assert code == 1 and "holds none of BUSI's images" in printed.err
    damaged = _zip({"inner.zip": _archive(release)[:-300]}, tmp_path / "damaged.zip")
    code, printed = _run(damaged, tmp_path / "BUSI", capsys)
    assert code == 1 and "cannot be read as a zip file" in printed.err


def test_an_archive_cannot_write_elsewhere(manifest, release, tmp_path, capsys):
    hostile = {"../../benign/benign (1).png": _png(8, 6), "/etc/benign/../benign/x.png": b"x", "benign/..": b"x"}
    source = _zip(hostile, tmp_path / "hostile.zip")
    before = {p for p in tmp_path.rglob("*") if p.is_file()}
    _run(source, tmp_path / "a" / "b" / "BUSI", capsys)
    written = {p for p in tmp_path.rglob("*") if p.is_file()} - before
    assert written and all(p.is_relative_to(tmp_path / "a" / "b" / "BUSI") for p in written)


def test_a_huge_file_is_not_unpacked(manifest, release, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 10_000)
    source = tmp_path / "bomb.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (release | {"benign/benign (1).png": bytes(10_000_000)}).items():
            archive.writestr(name, content)
    code, printed = _run(source, tmp_path / "BUSI", capsys)
    assert code == 1 and "files are damaged or no PNG images" in printed.out
    assert not (tmp_path / "BUSI" / "benign" / "benign (1).png").exists()


def test_what_is_no_archive_gets_a_sentence(manifest, release, tmp_path, capsys):
    whole = _zip(release, tmp_path / "whole.zip")
    half = tmp_path / "half.zip"
    half.write_bytes(whole.read_bytes()[:-200])
    spoiled = bytearray(whole.read_bytes())
    at = spoiled.index(b"IHDR") + 4
    spoiled[at] ^= 0xFF
    (tmp_path / "spoiled.zip").write_bytes(spoiled)
    (tmp_path / "empty").mkdir()
    for name, words in [
        ("half.zip", "cannot be read as a zip file"),
        ("spoiled.zip", "cannot be read as a zip file"),
        ("nothing.zip", "neither a file nor a folder"),
        ("empty", "holds none of BUSI's images"),
    ]:
        code, printed = _run(tmp_path / name, tmp_path / "BUSI", capsys)
        assert code == 1 and words in printed.err, printed


def test_the_source_is_not_written_to(manifest, release, tmp_path):
    source = _folder(release, tmp_path / "download")
    with pytest.raises(CaseError, match="Give --out a folder elsewhere"):
        arrange(source, source / "BUSI")


def test_the_shipped_manifest_says_what_the_data_are():
    with open(MANIFEST, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 780
    count = {split: sum(r["split"] == split for r in rows) for split in ("development", "test", "excluded")}
    assert count == {"development": 625, "test": 132, "excluded": 23}
    assert all(r["width"] and r["height"] and r["masks"] for r in rows if r["split"] == "development")
    assert {r["masks"] for r in rows if r["split"] == "test"} == {""}


def test_the_real_release_is_ready(data_dir, tmp_path, capsys):
    """A zip file of the real development images, as the archive nests them."""
    source = shutil.make_archive(tmp_path / "archive", "zip", data_dir, "BUSI")
    code, printed = _run(source, tmp_path / "BUSI", capsys)
    assert code == 0, printed.out
    assert "development: 625 of 625 images" in printed.out and "test: 0 of 132 images" in printed.out
    shutil.rmtree(tmp_path)  # no copy of a real image is left behind
