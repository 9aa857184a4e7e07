"""Archives: one row a picture whatever happens, the same answers as one by one, and nothing lost by a kill."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import uid

from busi_model.__main__ import main
from busi_model.batch.clips import dice, in_words, summary
from busi_model.batch.find import PassedOver, find_images
from busi_model.batch.local import SMALL
from busi_model.batch.rows import CLIPS, LESIONS, ROWS, RUN, TABLE, Results
from busi_model.batch.work import BatchError
from busi_model.image import read_image
from busi_model.model import checkpoint
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from tests.conftest import ROOT
from tests.support.picture_files import dataset, encoded, noise, written
from tests.support.processes import children, runs

CLASSES = ("benign", "malignant", "normal")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Pictures of several kinds and sizes, a bad file, a cine loop, and what is no picture."""
    folder = tmp_path_factory.mktemp("archive")
    for number, kind in enumerate(CLASSES * 2):
        gray, _ = draw_phantom(kind, number, 90 + 10 * number, 120)
        (folder / kind).mkdir(exist_ok=True)
        Image.fromarray(gray).save(folder / kind / f"scan {number}.{'png' if number % 2 else 'bmp'}")
    (folder / "bad.jpg").write_bytes(b"nothing")
    frames = np.stack([noise(70, 80, seed=seed) for seed in range(3)])
    (folder / "IM0001").write_bytes(written(dataset(frames, n_frames=3, PixelSpacing=[0.2, 0.1])))
    (folder / "notes.txt").write_text("no picture")
    return folder


def predict(*arguments):
    return main(["predict", "--device", "cpu", *map(str, arguments)])


def rows_of(folder):
    rows = [json.loads(line) for line in (folder / ROWS).read_text().splitlines()]
    with open(folder / TABLE, newline="", encoding="utf-8-sig") as file:
        table = list(csv.DictReader(file))
    assert [(r["file"], str(r["frame"] or ""), r["status"]) for r in rows] == [
        (t["file"], t["frame"], t["status"]) for t in table
    ]
    return rows, table


# Finding


def test_folders_files_and_patterns(archive, tmp_path):
    found = list(find_images([archive]))
    names = [os.path.relpath(path, archive) for path in found]
    assert names == ["IM0001", "bad.jpg", *(f"{kind}/scan {n + k}.{'png' if (n + k) % 2 else 'bmp'}"
                     for n, kind in enumerate(CLASSES) for k in (0, 3))]  # fmt: skip
    pattern = list(find_images([f"{archive}/**/*.png"]))
    assert [os.path.basename(path) for path in pattern] == ["scan 3.png", "scan 1.png", "scan 5.png"]
    assert list(find_images([archive / "notes.txt", tmp_path / "missing.png"])) == [
        str(archive / "notes.txt"),
        str(tmp_path / "missing.png"),
    ]


def test_results_hidden_files_and_busis_masks_are_left_out(tmp_path):
    for name in ("a (1).png", "a (1)_mask.png", "a (1)_mask_1.png", "b_mask.png", ".c.png", "DICOMDIR", "out/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    names = [os.path.relpath(path, tmp_path) for path in find_images([tmp_path], tmp_path / "out")]
    assert names == ["a (1).png", "b_mask.png"]
    assert list(find_images([f"{tmp_path}/out/*"], tmp_path / "out")) == []


def test_files_are_known_by_their_first_bytes_and_not_by_their_names(tmp_path):
    ds = dataset(noise(64, 70))
    plain = encoded(noise(64, 70), "PNG")
    pictures = {
        "1.2.840.113619.2.55": written(ds),
        "IM000001": written(ds),
        "scan.img": written(ds),
        "without preamble.bin": written(ds)[132:],
        "implicit": _bare(ds),
        "a.dat": plain,
        "b.data": encoded(noise(64, 70), "JPEG"),
        "c.raw": encoded(noise(64, 70), "BMP"),
        "d.x": encoded(noise(64, 70), "TIFF"),
        "e.x": encoded(noise(64, 70), "WEBP"),
        "f.x": encoded(noise(64, 70), "GIF"),
        "damaged.png": b"nothing",
        "cut.dcm": b"nothing either",
    }
    report = dataset(noise(64, 70), SOPClassUID=uid.ComprehensiveSRStorage)
    report.file_meta.MediaStorageSOPClassUID = uid.ComprehensiveSRStorage
    others = {
        "report": written(report),
        "1.2.3.4": written(report)[132:],
        "DICOMDIR": b"",
        "README": b"words\n",
        "table.csv": b"a;b\n1;2\n",
        "data.zip": b"PK\x03\x04" + bytes(40),
        "letter.doc": b"\xd0\xcf\x11\xe0" + bytes(600),
        "manual": b"%PDF-1.7 ...",
        "BMW.list": b"BMW, Audi and others, one a line, for whoever reads it",
        "nothing": b"",
        "noise": bytes(range(9, 256)),
        ".hidden.png": plain,
        "a (1)_mask.png": plain,
        "a (1).png": plain,
    }
    for name, content in {**pictures, **others}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "loop").symlink_to(tmp_path)
    passed = PassedOver()
    found = {os.path.basename(path) for path in find_images([tmp_path], passed=passed)}
    assert found == {*pictures, "a (1).png"}
    assert passed.kinds == {
        "no_picture": 3,
        "text": 3,
        "archive": 2,
        "pdf": 1,
        "empty": 1,
        "other": 1,
        "hidden": 1,
        "mask": 1,
        "link": 1,
    }
    (sentence,) = passed.sentences()
    assert sentence.startswith("14 files or folders were passed over: 3 DICOM without a picture (report, index, ")


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    scandir = os.scandir

    def refused(folder):
        if os.path.basename(folder) == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    (tmp_path / "closed").mkdir()
    (tmp_path / "a.png").write_bytes(encoded(noise(64, 70), "PNG"))
    monkeypatch.setattr(os, "scandir", refused)  # the tests may run as root, whom no permission stops
    passed = PassedOver()
    assert [os.path.basename(path) for path in find_images([tmp_path], passed=passed)] == ["a.png"]
    (sentence,) = passed.sentences()
    assert sentence.startswith("1 file was passed over: 1 folder not to be read")


def test_a_broken_link_and_a_pipe_are_counted(tmp_path, within_s):
    (tmp_path / "gone.dcm").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.dcm")
    (tmp_path / "whole.png").write_bytes(encoded(noise(64, 70), "PNG"))
    (tmp_path / "link.png").symlink_to(tmp_path / "whole.png")
    passed = PassedOver()
    with within_s(60):  # a pipe that is opened waits for ever
        found = [os.path.basename(path) for path in find_images([tmp_path], passed=passed)]
    assert found == ["link.png", "whole.png"]
    assert passed.sentences() == ["2 files or folders were passed over: 2 broken link or device."]


def _bare(ds):
    """Implicit little endian without preamble and file meta."""
    buffer = pydicom.filebase.DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    pydicom.filewriter.write_dataset(buffer, ds)
    return buffer.getvalue()


def test_a_run_says_what_it_passed_over(untrained, tmp_path, capsys):
    gray, _ = draw_phantom("benign", 1, 90, 120)
    archive, out = tmp_path / "archive", tmp_path / "archive" / "out"
    (out / "kept").mkdir(parents=True)
    for place in (archive / "1.2.3", out / "mine.png", out / "kept" / "mine.png"):
        Image.fromarray(gray).save(place, "PNG")
    (archive / "notes.txt").write_text("words")
    (archive / "link").symlink_to(tmp_path, target_is_directory=True)
    places = [archive, tmp_path / "*.dcm"]
    for options in ([], ["--out", out, "--masks", "--overlays"], ["--out", out, "--masks", "--overlays"]):
        assert predict("--weights", untrained, *options, *places) == 0
        printed = capsys.readouterr()
        said = printed.out if options else printed.err
        assert f"No file matches the pattern {tmp_path}/*.dcm." in said
        if options:  # results of the first run are no pictures of the second
            assert "4 files or folders were passed over: 2 picture in the folder for the results, 1 link to a " in said
        else:
            assert "2 files or folders were passed over: 1 link to a folder, 1 text or table." in said
    assert predict("--weights", untrained, "--out", out, out) == 2
    assert "No pictures were found there. 2 files or folders were passed over: 2 picture" in capsys.readouterr().err


def test_a_file_that_changed_is_judged_again(untrained, tmp_path):
    out = tmp_path / "out"
    for number in range(3):
        Image.fromarray(draw_phantom("benign", number, 90, 120)[0]).save(tmp_path / f"{number}.png")
    assert predict("--weights", untrained, "--out", out, tmp_path) == 0
    before, _ = rows_of(out)
    Image.new("L", (95, 125), 7).save(tmp_path / "1.png")
    (tmp_path / "2.png").unlink()  # what is gone keeps its row
    assert predict("--weights", untrained, "--out", out, tmp_path) == 0
    after, _ = rows_of(out)
    assert [os.path.basename(row["file"]) for row in after] == ["0.png", "2.png", "1.png"]
    assert after[:2] == [before[0], before[2]]
    assert (before[1]["status"], after[2]["status"]) == ("ok", "refused") and after[2]["stamp"] != before[1]["stamp"]


@pytest.mark.slow
def test_any_name_is_printed_on_any_console_and_read_by_excel(untrained, tmp_path):
    names = ["опухоль.png", "乳房 超音波.png", "größer.png"]
    for name in names:
        Image.fromarray(draw_phantom("benign", 1, 90, 120)[0]).save(tmp_path / name)
    (tmp_path / "плохо.png").write_bytes(b"nothing")
    command = [sys.executable, "-m", "busi_model", "predict", "--weights", untrained, "--device", "cpu", tmp_path]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    for options in ([], ["--out", tmp_path / "out"]):
        done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, env=environment, timeout=300)
        assert done.returncode == 1 and b"Traceback" not in done.stderr, done.stderr
        assert rb"\u043f\u043b\u043e\u0445\u043e.png: The file holds" in done.stderr
    content = (tmp_path / "out" / TABLE).read_bytes()
    assert content.startswith(b"\xef\xbb\xbffile,frame") and content.count(b"\xef\xbb\xbf") == 1
    assert all(name in content.decode() for name in names)
    subprocess.run([*command, "--out", tmp_path / "out"], cwd=ROOT, capture_output=True, timeout=300, check=False)
    assert (tmp_path / "out" / TABLE).read_bytes() == content  # added to, or written anew: one mark


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path):
    (tmp_path / "scan[1].png").touch()
    assert list(find_images([tmp_path / "scan[1].png"])) == [str(tmp_path / "scan[1].png")]


# The rows


def test_rows_say_what_the_predictor_says(archive, untrained, tmp_path, capsys):
    assert predict("--weights", untrained, "--out", tmp_path, "--masks", "--overlays", archive) == 1
    printed = capsys.readouterr()
    assert "8 rows, 1 failed" in printed.out
    assert "bad.jpg: The file holds no known kind of picture" in printed.err and "Traceback" not in printed.err
    rows, table = rows_of(tmp_path)
    predictor = Predictor.load(untrained, device="cpu")
    assert [row["file"] for row in rows] == list(find_images([archive]))
    for row, line in zip(rows, table, strict=True):
        if row["file"].endswith("bad.jpg"):
            assert (row["status"], line["label"], line["mask"]) == ("failed", "", "")
            assert line["reason"] == row["reason"]
            continue
        prediction = predictor(row["file"])
        for name, probability in prediction.class_probabilities.items():
            assert row[name] == pytest.approx(probability, abs=1e-5)
            assert float(line[name]) == row[name]
        assert row["label"] == line["label"] == prediction.label
        assert row["class_set"] == list(prediction.class_set)
        assert row["outlined_px2"] == pytest.approx(prediction.mask.sum(), abs=3)
        assert [w["code"] for w in row["warnings"]] == [w.code for w in prediction.warnings]
        with Image.open(tmp_path / row["mask"]) as mask, Image.open(tmp_path / row["overlay"]) as overlay:
            assert (np.asarray(mask) > 0).sum() == row["outlined_px2"]
            assert mask.size == overlay.size == prediction.mask.shape[::-1]
    (loop,) = [row for row in rows if row["file"].endswith("IM0001")]
    assert (loop["row_mm"], loop["column_mm"]) == (0.2, 0.1)
    assert "middle_frame" in [w["code"] for w in loop["warnings"]]
    assert len(list((tmp_path / "masks").iterdir())) == 7


def test_every_frame_of_a_cine_loop_on_request(archive, untrained, tmp_path):
    assert predict("--weights", untrained, "--out", tmp_path, "--frames", "all", "--masks", archive / "IM0001") == 0
    rows, _ = rows_of(tmp_path)
    assert [(row["frame"], row["frames"]) for row in rows] == [(1, 3), (2, 3), (3, 3)]
    predictor = Predictor.load(untrained, device="cpu")
    for row in rows:
        expected = predictor(read_image(archive / "IM0001", row["frame"] - 1)).class_probabilities
        assert {name: row[name] for name in CLASSES} == pytest.approx(expected, abs=1e-5)
    assert len({row["mask"] for row in rows}) == 3


def outlining(untrained, folder):
    """Weights to which all of a picture is one lesion."""
    loaded = checkpoint.load(untrained)
    loaded.network.mask_head.bias.data.fill_(9.0)
    checkpoint.save(folder, loaded.network, loaded.preprocess, loaded.operating_point, {}, {})
    return folder


def test_the_frames_of_a_clip_are_summed_up(untrained, tmp_path, capsys):
    """Two frames of one lesion, an empty one, and another lesion."""
    gray, other = draw_phantom("malignant", 1, 90, 120)[0], draw_phantom("benign", 2, 90, 120)[0]
    frames = np.stack([gray, gray, np.full_like(gray, 7), other])
    (tmp_path / "clip").write_bytes(written(dataset(frames, n_frames=4)))
    (tmp_path / "still.png").write_bytes(encoded(gray, "PNG"))
    weights, places = outlining(untrained, tmp_path / "weights"), (tmp_path / "clip", tmp_path / "still.png")
    for _ in "once", "again":
        assert predict("--weights", weights, "--out", tmp_path / "out", "--frames", "all", *places) == 0
        rows, _ = rows_of(tmp_path / "out")
        with open(tmp_path / "out" / CLIPS, newline="", encoding="utf-8-sig") as file:
            (clip,) = csv.DictReader(file)
        assert (clip["frames"], clip["judged"], clip["refused"], clip["failed"]) == ("4", "3", "1", "0")
        judged = [row for row in rows if row["frame"] and row["status"] == "ok"]
        worst = max(judged, key=lambda row: row["malignant"])
        assert (int(clip["worst_frame"]), float(clip["worst_malignant"])) == (worst["frame"], worst["malignant"])
        assert float(clip["mean_malignant"]) == pytest.approx(np.mean([row["malignant"] for row in judged]), abs=1e-6)
        assert sum(int(clip[f"frames_{name}"]) for name in CLASSES) == 3
        clip_words = in_words(summary(rows[:4]))
        compared = {row["frame"]: row["dice_to_previous"] for row in judged}  # nothing lies before frame 4
        assert compared == {1: None, 2: 1.0, 4: None} and float(clip["outline_agreement"]) == 1
    capsys.readouterr()
    assert predict("--weights", weights, "--frames", "all", *places) == 0
    assert f"{tmp_path / 'clip'}: {clip_words}" in capsys.readouterr().out


def test_a_summary_by_hand():
    def one(frame, label, malignant, dice, outlined):
        row = {"file": "a", "frame": frame, "frames": 4, "status": "ok", "label": label, "malignant": malignant}
        return row | {"dice_to_previous": dice, "outlined_px2": outlined}

    rows = [one(1, "benign", 0.2, None, 9), one(2, "benign", 0.3, 0.8, 9), one(3, "malignant", 0.9, 0.4, 8)]
    rows.append({"file": "a", "frame": 4, "frames": 4, "status": "failed", "reason": "x"})
    line = summary(rows)
    assert (line["frames"], line["judged"], line["failed"], line["outlined_frames"]) == (4, 3, 1, 3)
    assert (line["label"], line["label_share"]) == ("benign", 0.6667)
    assert (line["worst_frame"], line["worst_malignant"]) == (3, 0.9)
    assert line["mean_malignant"] == pytest.approx(0.466667) and line["outline_agreement"] == pytest.approx(0.6)
    assert "label" not in summary(rows[3:])
    assert in_words(line) == (
        "3 of 4 frames judged. Most frequent class: benign, in 67 % of them. Most suspicious: frame 3, malignant 90 %. "
        "Outlines of successive frames overlap by a mean Dice of 0.60."
    )
    assert in_words(summary(rows[:1])).endswith("No two successive frames have outlines to compare.")
    assert in_words(summary(rows[3:])) == "None of 1 frames could be judged."
    full, half = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    half[:2] = True
    assert dice(full, half) == pytest.approx(2 * 8 / 24, abs=1e-4) and dice(~full, ~full) is None


def test_overlays_are_written_without_the_banner(untrained, tmp_path):
    picture = np.zeros((200, 220), np.uint8)
    picture[40:180, 20:200] = draw_phantom("benign", 1, 140, 180)[0]
    picture[8:24, 30:150:6] = 220  # strokes
    Image.fromarray(picture).save(tmp_path / "named.png")
    assert predict("--weights", untrained, "--out", tmp_path / "out", "--overlays", tmp_path / "named.png") == 0
    (row,), _ = rows_of(tmp_path / "out")
    assert row["warnings"][-1]["code"] == "banner_blanked"
    with Image.open(tmp_path / "out" / row["overlay"]) as overlay:
        assert np.asarray(overlay)[:30, :, 0].max() < 255 and not np.asarray(overlay.convert("L"))[:4].any()
    plain = Predictor.load(untrained, device="cpu")(picture)  # the network sees what the file shows
    assert row[plain.label] == pytest.approx(plain.confidence, abs=1e-5)


def test_measurements_are_a_row_a_lesion(untrained, archive, tmp_path, monkeypatch):
    weights = outlining(untrained, tmp_path / "weights")
    assert predict("--weights", weights, "--out", tmp_path, "--measurements", archive / "IM0001") == 0
    (row,), _ = rows_of(tmp_path)
    assert row["outlined_px2"] > 0 and row["lesions"]
    (lesion,) = row["lesions"]
    assert lesion["area_mm2"] == pytest.approx(row["outlined_px2"] * 0.2 * 0.1)
    assert lesion["area_px2"] == pytest.approx(row["outlined_px2"] * 2)  # of its shorter side; a pixel is two of them
    with open(tmp_path / LESIONS, newline="", encoding="utf-8-sig") as file:
        table = list(csv.DictReader(file))
    assert [line["number"] for line in table] == [str(n + 1) for n in range(len(row["lesions"]))]
    assert float(table[0]["area_px2"]) == row["lesions"][0]["area_px2"]


def test_without_a_folder_rows_are_printed(archive, untrained, capsys):
    assert predict("--weights", untrained, archive / "benign" / "scan 3.png") == 0
    printed = capsys.readouterr().out
    assert "scan 3.png: " in printed and "px outlined" in printed


def test_no_class_is_printed_for_a_picture_that_is_refused(untrained, tmp_path, capsys):
    Image.new("L", (120, 90), 40).save(tmp_path / "blank.png")
    assert predict("--weights", untrained, tmp_path) == 0
    printed = capsys.readouterr().out
    assert "blank.png: refused\n  blank: The image is almost uniform." in printed
    assert not any(f": {name}" in printed for name in CLASSES)
    for _ in "once", "again":
        assert predict("--weights", untrained, tmp_path, "--out", tmp_path / "out") == 0
        assert "1 row, 0 failed and 1 refused (blank, or no breast ultrasound)" in capsys.readouterr().out
    row = json.loads((tmp_path / "out" / "predictions.jsonl").read_text())
    assert row["label"] is None and row["class_set"] == [] and {row[name] for name in CLASSES} == {None}
    with open(tmp_path / "out" / "predictions.csv", newline="") as file:
        (cells,) = csv.DictReader(file)
    nothing = ("label", "class_set", "outlined_px2", "mask", "overlay", *CLASSES)
    assert cells["status"] == "refused" and {cells[name] for name in nothing} == {""}


def test_a_refused_picture_has_neither_mask_nor_overlay(untrained, tmp_path):
    """An empty mask would say that there is no lesion."""
    Image.new("L", (120, 90), 40).save(tmp_path / "blank.png")
    (tmp_path / "scan.png").write_bytes(encoded(draw_phantom("benign", 2, 90, 120)[0], "PNG"))
    options = ["--masks", "--overlays", "--measurements"]
    assert predict("--weights", untrained, tmp_path, "--out", tmp_path / "out", *options) == 0
    made = [path.name for name in ("masks", "overlays") for path in (tmp_path / "out" / name).iterdir()]
    assert len(made) == 2 and all(name.startswith("scan") for name in made)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["EMPTY"], "No pictures were found there"),
        (["ARCHIVE", "--masks"], "need a folder to go to; give one with --out"),
        (["ARCHIVE", "--weights", "EMPTY"], "has no config.json"),
        (["ARCHIVE", "--workers", "0"], "1 or more are expected"),
        (["ARCHIVE", "--out", "ARCHIVE/bad.jpg"], "cannot be written"),
    ],
)
def test_what_cannot_run_says_so_and_exits_with_2(archive, untrained, tmp_path, capsys, arguments, words):
    arguments = [a.replace("EMPTY", str(tmp_path)).replace("ARCHIVE", str(archive)) for a in arguments]
    assert predict("--weights", untrained, *arguments) == 2
    assert words in capsys.readouterr().err


# Many at once


N_MANY = SMALL + 150  # enough that a run is not over before it is stopped


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    for number in range(N_MANY):
        Image.fromarray(draw_phantom(CLASSES[number % 3], number % 5, 80, 80 + number % 4)[0]).save(
            folder / f"{number:03}.png"
        )
    (folder / "020.png").write_bytes(b"nothing")
    return folder


@pytest.mark.slow
def test_processes_give_the_rows_of_one_process(many, untrained, tmp_path):
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        assert predict("--weights", untrained, "--out", folder, "--workers", workers, "--masks", many) == 1
    one, two = ((tmp_path / workers / ROWS).read_text().splitlines() for workers in "12")
    for line, other in zip(one, two, strict=True):
        line, other = json.loads(line), json.loads(other)
        for name in CLASSES:
            assert line.pop(name, 0) == pytest.approx(other.pop(name, 0), abs=1e-5)
        assert line.pop("outlined_px2", 0) == pytest.approx(other.pop("outlined_px2", 0), abs=3)
        assert line == other


def running(arguments, out):
    command = [
        sys.executable,
        "-m",
        "busi_model",
        "predict",
        "--device",
        "cpu",
        *map(str, arguments),
        "--out",
        str(out),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if (out / ROWS).is_file() and (out / ROWS).stat().st_size > 0:
            return process
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def gone(pid):
    deadline = time.monotonic() + 60
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not runs(pid)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_without_a_row_lost_or_twice(many, untrained, tmp_path, stop):
    arguments = ["--weights", untrained, "--overlays", many]
    process = running(["--workers", 2, *arguments], tmp_path)
    workers = children(process.pid)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == (130 if stop == signal.SIGINT else -9), errors
    assert all(gone(pid) for pid in workers)
    before, _ = rows_of_torn(tmp_path)
    assert 0 < before < N_MANY
    assert predict("--workers", 1, "--out", tmp_path, *arguments) == 1  # another number of workers, the same run
    rows, _ = rows_of(tmp_path)
    assert [row["file"] for row in rows] == list(find_images([many]))
    assert sum(row["status"] == "failed" for row in rows) == 1


def rows_of_torn(folder):
    lines = (folder / ROWS).read_text().split("\n")
    return len(lines) - 1, lines[-1]


@pytest.mark.slow
def test_a_killed_worker_ends_the_run_with_a_sentence(many, untrained, tmp_path):
    process = running(["--weights", untrained, "--workers", 2, many], tmp_path)
    for pid in children(process.pid):
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            break
    _, errors = process.communicate(timeout=120)
    if process.returncode != 1:  # 1: it had already finished its share
        assert process.returncode == 2
        assert "A worker was killed" in errors and "The same command goes on" in errors and "Traceback" not in errors


# The folder of results


def row(number, frame=None, frames=None, status="ok"):
    return {
        "file": f"{number}.png",
        "frame": frame,
        "frames": frames,
        "status": status,
        "warnings": [],
        "class_set": [],
        "label": "benign",
        "malignant": 0.1,
        "outlined_px2": 9,
    }


def test_another_run_may_not_mix_its_rows_in(tmp_path):
    with Results(tmp_path, {"weights_sha256": "a"}) as results:
        results.add([row(1)])
    with pytest.raises(BatchError, match="those of another run"):
        Results(tmp_path, {"weights_sha256": "b"})
    (tmp_path / RUN).unlink()
    with pytest.raises(BatchError, match="but no run.json"):
        Results(tmp_path, {"weights_sha256": "a"})


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.data())
@settings(max_examples=60, deadline=None)
def test_rows_cut_anywhere_are_repaired(tmp_path_factory, loops, data):
    """Files with so many frames each; the plug is pulled at any byte of either file."""
    folder = tmp_path_factory.mktemp("results")
    files = [[row(n, k + 1, count) if count > 1 else row(n) for k in range(count)] for n, count in enumerate(loops)]
    with Results(folder, {}) as results:
        for rows in files:
            assert results.claim(rows[0]["file"])
            results.add(rows)
    clips = [rows for rows in files if len(rows) > 1]
    for name in (ROWS, TABLE, *([CLIPS] if clips else [])):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with Results(folder, {}) as results:
        for rows in files:
            if results.claim(rows[0]["file"]):
                results.add(rows)
        assert results.n_rows == sum(loops)
    rows, _ = rows_of(folder)
    assert sorted((r["file"], r["frame"] or 0) for r in rows) == sorted(
        (r["file"], r["frame"] or 0) for rows in files for r in rows
    )
    if clips:
        with open(folder / CLIPS, newline="", encoding="utf-8-sig") as file:
            assert sorted(line["file"] for line in csv.DictReader(file)) == sorted(rows[0]["file"] for rows in clips)


def test_failures_of_before_count_in_the_exit_code(archive, untrained, tmp_path):
    for _ in range(2):
        assert predict("--weights", untrained, "--out", tmp_path, archive / "bad.jpg") == 1
    assert len(rows_of(tmp_path)[0]) == 1


def test_what_failed_is_judged_again_on_request(archive, untrained, tmp_path):
    """As when a drive or a decoder failed: the file itself is as it was."""
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    good = (archive / "benign" / "scan 3.png").read_bytes()

    def put(name, content):
        (pictures / name).write_bytes(content)
        os.utime(pictures / name, ns=(10**18, 10**18))

    for name in ("a.png", "b.png", "c.png", "d.png"):
        put(name, good if name in ("a.png", "c.png") else good[:100].ljust(len(good), b"\0"))
    assert predict("--weights", untrained, "--out", out, pictures) == 1
    put("b.png", good)
    assert predict("--weights", untrained, "--out", out, pictures) == 1
    assert [row["status"] for row in rows_of(out)[0]] == ["ok", "failed", "ok", "failed"]
    assert predict("--weights", untrained, "--out", out, "--retry", pictures) == 1  # d.png is still bad
    rows, _ = rows_of(out)
    assert sorted((Path(row["file"]).name, row["status"]) for row in rows) == [
        ("a.png", "ok"),
        ("b.png", "ok"),
        ("c.png", "ok"),
        ("d.png", "failed"),
    ]
    put("d.png", good)
    assert predict("--weights", untrained, "--out", out, "--retry", pictures) == 0


def test_a_file_named_twice_is_one_row(archive, untrained, tmp_path):
    name = archive / "benign" / "scan 3.png"
    assert predict("--weights", untrained, "--out", tmp_path, name, archive / "benign", name) == 0
    assert len(rows_of(tmp_path)[0]) == 2


def test_file_names_of_any_bytes_make_rows(archive, untrained, tmp_path):
    odd = os.fsencode(tmp_path) + b"/scan\xff \xc3\xa9.png"
    with open(odd, "wb") as file:
        file.write((archive / "benign" / "scan 3.png").read_bytes())
    assert predict("--weights", untrained, "--out", tmp_path / "out", "--masks", tmp_path) == 0
    line = (tmp_path / "out" / ROWS).read_bytes()
    assert os.fsdecode(odd) == json.loads(line.decode("utf-8", "surrogateescape"))["file"]


@pytest.mark.parametrize("name", ["=cmd().png", "+1.png", "-1.png", "@x.png"])
def test_no_cell_of_the_tables_begins_a_formula(untrained, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(draw_phantom("malignant", 1, 80, 90)[0]).save(name)
    assert predict("--weights", untrained, "--out", "results", "--measurements", "--", name) == 0
    folder = tmp_path / "results"
    assert json.loads((folder / ROWS).read_text())["file"] == name  # what a program reads is as it was
    for table in (TABLE, LESIONS):
        if table == TABLE or (folder / table).is_file():
            with open(folder / table, newline="", encoding="utf-8-sig") as file:
                assert {row["file"] for row in csv.DictReader(file)} == {f"'{name}"}
    assert predict("--weights", untrained, "--out", "results", "--measurements", "--", name) == 0
    assert len((folder / ROWS).read_text().splitlines()) == 1  # it is known again


FULL = """
import resource, sys
from busi_model.__main__ import main
size = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # no file may grow beyond: what a full disk looks like
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_a_sentence_and_it_goes_on(archive, untrained, tmp_path):
    arguments = ["predict", "--device", "cpu", "--weights", untrained, "--out", tmp_path, archive]
    command = [sys.executable, "-c", FULL, "1500", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "cannot be written (File too large)" in done.stderr and "goes on from here" in done.stderr
    assert "Traceback" not in done.stderr
    assert main([str(a) for a in arguments]) == 1
    rows, _ = rows_of(tmp_path)
    assert [row["file"] for row in rows] == list(find_images([archive]))


def test_a_folder_without_the_right_to_write_is_told(archive, untrained, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert predict("--weights", untrained, "--out", tmp_path / "file" / "results", archive) == 2
    assert "The folder for the results cannot be written" in capsys.readouterr().err
