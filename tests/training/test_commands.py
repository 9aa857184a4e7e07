"""train.py and `python -m busi_model` as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from busi_model import interrupts
from busi_model.__main__ import main
from busi_model.cli import commands
from busi_model.model import checkpoint
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from busi_model.training import command as training
from busi_model.training import one_network
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

ONE_EPOCH = ["--epochs", "1", "--size", "64", "--batch", "4", "--device", "cpu"]
TINY = ["--epochs", "2", *ONE_EPOCH[2:]]


def _train(*arguments):
    """train.py as a program of its own, which takes seconds to start; `_train_here` is what it does."""
    command = [sys.executable, str(ROOT / "train.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def _train_here(*arguments):
    return training.main(list(map(str, arguments)))


def test_train_evaluates_calibrates_and_saves(phantoms, tmp_path):
    done = _train("--data", phantoms, "--out", tmp_path / "run", *TINY)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    assert "class weights" in done.stdout and "G multiply-adds" in done.stdout
    assert f"{phantoms.name}, held out, fold0" in done.stdout
    assert "calibrated on these very images" in done.stdout and "Warning" not in done.stderr
    evaluation, split = run / "evaluation" / phantoms.name, run / f"split-{phantoms.name}.csv"
    for path in (
        split,
        run / "history.csv",
        run / "curves.png",
        run / "operating_point.json",
        evaluation / "report.md",
    ):
        assert path.is_file(), path
    predictor = Predictor.load(run / "weights", device="cpu")
    assert phantoms.name in predictor.operating_point.fitted_on
    assert predictor.checkpoint.training["recipe"]["epochs"] == 2
    # The split that was written is obeyed: the same command with it resumes, and has nothing left to do.
    assert _train_here("--data", phantoms, "--manifest", split, "--out", run, *TINY) == 0
    assert Predictor.load(run / "weights").checkpoint.weights_sha256 == predictor.checkpoint.weights_sha256
    # evaluate repeats what the run said
    arguments = ["--weights", run / "weights", "--data", phantoms, "--manifest", split]
    arguments += ["--split", "fold0", "--out", tmp_path / "evaluation", "--device", "cpu"]
    assert main(["evaluate", *map(str, arguments)]) == 0
    ours, theirs = (json.loads((f / "metrics.json").read_text()) for f in (tmp_path / "evaluation", evaluation))
    assert ours["figures"] == theirs["figures"]


def test_release_takes_a_runs_temperatures(phantoms, few_pictures, tmp_path):
    (tmp_path / "calibrated").mkdir()
    point = {"temperature": 1.7, "mask_temperature": 1.2, "fitted_on": "somewhere"}
    (tmp_path / "calibrated" / "operating_point.json").write_text(json.dumps(point))
    arguments = ["--data", phantoms, "--folds", "all", "--operating-point", tmp_path / "calibrated"]
    assert _train_here(*arguments, "--out", tmp_path / "run", *ONE_EPOCH) == 0
    predictor = Predictor.load(tmp_path / "run" / "weights", device="cpu")
    assert predictor.operating_point.temperature == 1.7
    assert predictor.checkpoint.training["n_training_images"] == {phantoms.name: 24}
    assert len(predictor.checkpoint.seen) == 24


def test_cross_validation_pools_all_folds(phantoms, tmp_path):
    cv = tmp_path / "cv"
    assert _train_here("--data", phantoms, "--cross-validate", "--out", cv, *ONE_EPOCH) == 0
    content = json.loads((cv / "evaluation" / phantoms.name / "metrics.json").read_text())
    assert content["n_images"] == 24
    assert "24 images, out of fold" in json.loads((cv / "operating_point.json").read_text())["fitted_on"]
    # each fold can go on from its own network
    arguments = ["--data", phantoms, "--start", cv, "--folds", "2"]
    assert _train_here(*arguments, "--out", tmp_path / "on", *ONE_EPOCH) == 0
    assert checkpoint.load(tmp_path / "on" / "weights").training["recipe"]["start"]["start"] == "ImageNet encoder"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_usable_weights_and_can_be_resumed(phantoms, tmp_path, stop):
    arguments = ["--data", phantoms, "--out", tmp_path, "--epochs", "500", "--size", "64", "--batch", "4"]
    command = [sys.executable, str(ROOT / "train.py"), *map(str, arguments), "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "history.csv").is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "resumes it" in errors and "Traceback" not in errors
    prediction = Predictor.load(tmp_path / "weights", device="cpu")(draw_phantom("benign", 1, 90, 110)[0])
    assert prediction.mask.shape == (90, 110)
    assert (tmp_path / "last.pt").is_file()


@pytest.mark.parametrize("fate", ["another error", "lost"])
def test_a_signal_that_meets_compiled_code_stops_all_the_same(phantoms, tmp_path, monkeypatch, capsys, fate):
    def plot(*_):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except KeyboardInterrupt:
            if fate == "another error":
                raise TypeError("affine_transform(): incompatible function arguments") from None

    monkeypatch.setattr(one_network, "plot_history", plot)
    before = signal.getsignal(signal.SIGTERM)
    arguments = ["--data", phantoms, "--out", tmp_path, "--epochs", "500", "--size", "64", "--batch", "4"]
    assert _train_here(*arguments) == 130
    assert "resumes it" in capsys.readouterr().err
    assert _epochs(tmp_path) == 1
    assert signal.getsignal(signal.SIGTERM) == before
    interrupts.check()  # whoever trains next in this process is not stopped


def test_a_killed_training_goes_on_where_it_was(phantoms, tmp_path):
    arguments = ["--data", phantoms, "--out", tmp_path, "--epochs", "500", "--size", "64", "--batch", "4"]
    command = [sys.executable, str(ROOT / "train.py"), *map(str, arguments), "--device", "cpu"]
    kept = 0
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while (rows := _epochs(tmp_path)) <= kept and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
        history = torch.load(tmp_path / "last.pt", weights_only=True)["history"]
        assert [row["epoch"] for row in history] == list(range(1, len(history) + 1))
        assert len(history) >= rows > kept  # the second run did not begin anew
        kept = len(history)


def _epochs(folder):
    """Rows of history.csv; 0 while there is none."""
    path = folder / "history.csv"
    return max(0, len(path.read_text().splitlines()) - 1) if path.is_file() else 0


def test_a_folder_that_cannot_be_written_gets_a_sentence(phantoms, tmp_path):
    (tmp_path / "file").touch()
    done = _train("--data", phantoms, "--out", tmp_path / "file" / "run", "--epochs", "1", "--size", "64")
    assert done.returncode == 1 and "cannot be read or written (Not a directory)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "no/such/folder", "--out", "OUT"], "is not a folder"),
        (["--data", "DATA", "--out", "OUT", "--folds", "7"], "--folds is '7'"),
        (["--data", "DATA", "--out", "OUT", "--encoder", "vit"], "lite0"),
        (["--data", "DATA", "--out", "OUT", "--size", "100"], "multiple of 32"),
        (["--data", "DATA", "--out", "OUT", "--folds", "all", "--operating-point", "DATA"], "held something out"),
    ],
)
def test_wrong_training_arguments_get_a_sentence(phantoms, tmp_path, capsys, arguments, words):
    arguments = [str(phantoms) if a == "DATA" else str(tmp_path / "out") if a == "OUT" else a for a in arguments]
    assert _train_here(*arguments) == 1
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said


def test_evaluate_with_wrong_data_gets_a_sentence(untrained, tmp_path, capsys):
    arguments = ["--weights", untrained, "--data", tmp_path, "--split", "fold0", "--out", tmp_path / "out"]
    assert main(["evaluate", *map(str, arguments)]) == 1
    assert "holds no images" in capsys.readouterr().err


def test_shipped_weights_outline_a_real_lesion(data_dir, shipped):
    """Any sound set of weights finds this large, plain lesion; it may have been trained on."""
    from busi_model.training.data.layouts import find_cases

    case = next(
        c for c in find_cases(data_dir / "BUSI", data_dir / "busi_manifest.csv") if c.case_id == "benign (10).png"
    )
    frame, truth = case.read()
    prediction = Predictor.load(shipped, device="cpu")(frame)
    dice = 2 * (prediction.mask & truth).sum() / (prediction.mask.sum() + truth.sum())
    assert dice > 0.8


@pytest.mark.parametrize("what", [None, RuntimeError("made of the signal by compiled code")])
def test_ctrl_c_ends_any_command_without_a_traceback(monkeypatch, capsys, what):
    def backup(_):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            if what is None:
                raise
            raise what from None

    monkeypatch.setattr(commands, "backup", backup)
    assert main(["backup", "file.zip"]) == 130
    assert capsys.readouterr().err == "backup: stopped.\n"
