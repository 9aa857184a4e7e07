"""A watched folder: a new file is judged once, whole files only, and a kill costs nothing."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from busi_model.__main__ import main
from busi_model.batch.rows import Results
from busi_model.batch.watch import PATIENCE_S, REPLACED_EVERY, Watcher
from busi_model.batch.work import Wanted, Worker
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from tests.conftest import ROOT

RUN = {"weights_sha256": "x"}


@pytest.fixture(scope="module")
def predictor(untrained):
    return Predictor.load(untrained, "cpu")


@pytest.fixture
def scan(tmp_path):
    """Bytes of a PNG."""
    Image.fromarray(draw_phantom("benign", 1, 90, 110)[0]).save(tmp_path / "made.png")
    return (tmp_path / "made.png").read_bytes()


@pytest.fixture
def watcher(tmp_path, predictor):
    folder = tmp_path / "in"
    folder.mkdir()
    with Results(tmp_path / "in" / "out", RUN) as results:  # the results may lie within
        yield Watcher(folder, results, Worker(predictor, Wanted(tmp_path / "in" / "out", masks=True)), folder / "out")


def names(rows):
    return [os.path.basename(row["file"]) for row in rows]


def test_a_file_is_judged_once_when_it_lies_still(watcher, scan):
    assert watcher.look(0) == []
    (watcher.folder / "a.png").write_bytes(scan)
    assert watcher.look(2) == []  # seen for the first time
    (row,) = watcher.look(4)
    assert names([row]) == ["a.png"] and row["status"] == "ok" and row["mask"]
    for now in (6, 8, 100):
        assert watcher.look(now) == []
    (watcher.folder / "sub").mkdir()
    (watcher.folder / "sub" / "b.png").write_bytes(scan)
    assert watcher.look(102) == [] and names(watcher.look(104)) == ["b.png"]


def test_half_a_file_waits_for_its_other_half(watcher, scan):
    path = watcher.folder / "slow.png"
    path.write_bytes(b"")
    assert [watcher.look(now) for now in (0, 2, 4)] == [[], [], []]  # nothing in it yet
    path.write_bytes(scan[: len(scan) // 2])
    assert [watcher.look(now) for now in (6, 8, 10, 12)] == [[]] * 4  # lies still, cannot be read, may grow
    path.write_bytes(scan)
    assert watcher.look(14) == []
    (row,) = watcher.look(16)
    assert row["status"] == "ok"
    assert watcher.look(18) == []


def test_what_stays_broken_becomes_a_row_with_its_reason(watcher):
    (watcher.folder / "broken.png").write_bytes(b"no picture")
    looks = [watcher.look(now) for now in range(0, int(PATIENCE_S) + 4, 2)]
    (row,) = [row for rows in looks for row in rows]
    assert row["status"] == "failed" and row["reason"] and looks[-2] and not looks[2]


@pytest.mark.parametrize("first", [b"no picture", None])
def test_a_file_that_is_replaced_is_judged_anew(watcher, tmp_path, scan, first):
    """A broken one by its whole, or one scan by the next: the new picture's row takes the place of the old one's."""
    path = watcher.folder / "current.png"
    path.write_bytes(first or scan)
    seconds = itertools.count(0, 2)
    (row,) = next(rows for rows in (watcher.look(now) for now in seconds) if rows)
    assert row["status"] == ("failed" if first else "ok")
    for _ in range(3 * REPLACED_EVERY):
        assert watcher.look(next(seconds)) == [] and not watcher.replaced
    Image.fromarray(draw_phantom("malignant", 2, 120, 90)[0]).save(tmp_path / "next.png")
    path.write_bytes((tmp_path / "next.png").read_bytes()[:100])  # half of it, which grows with each look
    looks = 0
    while not watcher.replaced:
        looks += 1
        if looks <= REPLACED_EVERY + 4:
            path.write_bytes((tmp_path / "next.png").read_bytes()[: 100 + looks])
        elif looks == REPLACED_EVERY + 5:
            path.write_bytes((tmp_path / "next.png").read_bytes())
        assert watcher.look(next(seconds)) == [] and looks < 4 * REPLACED_EVERY
    assert looks > REPLACED_EVERY + 5  # not before it was whole
    with Results(watcher.results.folder, RUN) as results:
        anew = Watcher(watcher.folder, results, watcher.worker, watcher.but_not)
        anew.look(0)
        (row,) = anew.look(2)
        assert row["status"] == "ok" and results.n_rows == 1
    (line,) = (watcher.results.folder / "predictions.jsonl").read_text().splitlines()
    assert json.loads(line)["stamp"] == row["stamp"]
    with Image.open(watcher.results.folder / row["mask"]) as mask:
        assert mask.size == (90, 120)


def test_the_watched_folder_may_lie_within_the_results(tmp_path, predictor, scan):
    out = tmp_path / "out"
    folder = out / "in"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(scan)
    with Results(out, RUN) as results:
        watcher = Watcher(folder, results, Worker(predictor, Wanted(out, masks=True, overlays=True)), out)
        looks = [watcher.look(now) for now in (0, 2, 4, 6)]
    assert [names(rows) for rows in looks] == [[], ["a.png"], [], []]  # and none of what was written


def test_a_file_that_goes_away_is_forgotten(watcher, scan):
    path = watcher.folder / "a.png"
    path.write_bytes(scan)
    watcher.look(0)
    path.unlink()
    assert watcher.look(2) == []
    path.write_bytes(scan)
    assert watcher.look(4) == [] and names(watcher.look(6)) == ["a.png"]


def test_another_start_goes_on_after_what_was_judged(tmp_path, predictor, scan):
    folder = tmp_path / "in"
    folder.mkdir()
    worker = Worker(predictor, Wanted())
    for number in range(3):
        (folder / f"{number}.png").write_bytes(scan)
        with Results(tmp_path / "out", RUN) as results:
            watcher = Watcher(folder, results, worker)
            watcher.look(0)
            assert names(watcher.look(2)) == [f"{number}.png"]
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    assert len(lines) == 3


@pytest.mark.slow
def test_a_kill_costs_nothing(tmp_path, untrained, scan):
    """As a user runs it: killed without warning while files wait, started again, a file replaced, ended in order."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    command = [sys.executable, "-m", "busi_model", "watch", str(folder), "--out", str(out), "--every", "0.1"]
    command += ["--weights", str(untrained), "--measurements"]

    def rows():
        path = out / "predictions.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def until(n, watching):
        for _ in range(3000):
            if len(rows()) >= n:
                return
            assert watching.poll() is None, "the watch ended by itself"
            time.sleep(0.1)
        raise AssertionError(f"{len(rows())} rows after five minutes; {n} are expected")

    def replaced(before, watching):
        for _ in range(3000):
            now = [row for row in rows() if names([row]) == ["1.png"]]
            if now and now != before:
                return
            assert watching.poll() is None, "the watch ended by itself"
            time.sleep(0.1)
        raise AssertionError("the new picture was not judged in five minutes")

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for number in range(1, 6):
        (folder / f"{number}.png").write_bytes(scan)
    for n_rows, end in ((1, signal.SIGKILL), (5, signal.SIGTERM)):
        watching = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            until(n_rows, watching)
            if end == signal.SIGTERM:
                first = [row for row in rows() if names([row]) == ["1.png"]]
                (tmp_path / "made.png").write_bytes(scan + b"\n")  # still a picture, and another file
                os.replace(tmp_path / "made.png", folder / "1.png")
                replaced(first, watching)
        finally:
            watching.send_signal(end)
        said, _ = watching.communicate(timeout=120)
        assert watching.returncode == (0 if end == signal.SIGTERM else -signal.SIGKILL)
        assert "Watching." in said
    assert sorted(names(rows())) == [f"{number}.png" for number in range(1, 6)]
    with Results(out, json.loads((out / "run.json").read_text())) as results:
        assert (results.n_rows, results.n_failed) == (5, 0)


def test_what_cannot_be_watched_is_told(tmp_path, untrained, capsys):
    where = ["--out", str(tmp_path / "out"), "--weights", str(untrained)]
    assert main(["watch", str(tmp_path / "nowhere"), *where]) == 2
    assert "There is no such folder to watch" in capsys.readouterr().err
    assert main(["watch", str(tmp_path), "--out", f"{tmp_path}/.", *where[2:]]) == 2
    assert "into the very folder that is watched" in capsys.readouterr().err
    assert main(["watch", str(tmp_path), *where, "--every", "0"]) == 2
    assert "--every is 0; seconds above 0" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("{}")
    assert main(["watch", str(tmp_path), *where]) == 2
    assert "those of another run" in capsys.readouterr().err
