"""Training by two processes over gloo, started as a user starts it: by torchrun.

Run as a script (the worker of `finished`), this file trains in float64. In exact arithmetic two processes and one do
the same; in float32 Adam makes whole steps of the rounding of gradients that are zero (of biases that the next norm
takes away again), and any two orders of summation part.
"""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from busi_model.model.preprocess import Preprocess
from busi_model.predict import Predictor
from busi_model.training.data.layouts import find_cases
from busi_model.training.fitting import distributed
from busi_model.training.fitting.augment import Augmenter, Draws
from busi_model.training.fitting.dataset import load_images
from busi_model.training.fitting.fit import Trainer
from busi_model.training.fitting.recipe import RunError, TrainConfig

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TWO_PROCESSES = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
# Ten steps: 27 phantoms, a fold held out, batches of four. Each process draws its own dropout, so there is none.
CONFIG = TrainConfig(epochs=2, size=64, start_size=1.0, batch=4, dropout=0.0, precision="float32")


def work(data, whole, first_epoch):
    """Train in `whole`, from its checkpoint if there is one; keep a copy of it after one epoch in `first_epoch`."""
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    save = Trainer._save

    def save_and_copy(self):
        save(self)
        if len(self.history) == 1:
            shutil.copytree(whole, first_epoch)

    Trainer._save = save_and_copy
    with distributed.joined("cpu"):
        cases = find_cases(data)
        held_out = load_images([c for c in cases if c.fold == 0], Preprocess(size=64), "validation")
        train = load_images([c for c in cases if c.fold != 0], Preprocess(size=64), "train")
        Trainer(CONFIG, train, whole, "cpu").fit(held_out)


def _run(command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def data(phantom_folder):
    return phantom_folder("data", 9, seed=3, height=70, width=80)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """Run folders: by one process, by two, and begun by two and resumed by one."""
    folder = tmp_path_factory.mktemp("runs")
    _run([*TWO_PROCESSES, __file__, data, folder / "two", folder / "resumed"])
    _run([sys.executable, __file__, data, folder / "one", folder / "one-epoch"])
    _run([sys.executable, __file__, data, folder / "resumed", folder / "not-used"])
    return folder


def _state(folder):
    return torch.load(folder / "last.pt", weights_only=True)


def _rows(folder):
    with open(folder / "history.csv") as file:
        rows = list(csv.DictReader(file))
    return [{k: float(v) for k, v in row.items() if k not in ("seconds", "augment_share")} for row in rows]


@pytest.mark.parametrize("other", ["two", "resumed"])
def test_two_processes_do_what_one_does_with_the_doubled_batch(finished, other):
    ours, alone = _state(finished / other), _state(finished / "one")
    assert ours["schedule"]["last_epoch"] == alone["schedule"]["last_epoch"] == 10  # steps
    for part in ("network", "averaged"):
        for name, tensor in alone[part].items():
            torch.testing.assert_close(ours[part][name], tensor, rtol=0, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
    rows = zip(_rows(finished / other), _rows(finished / "one"), strict=True)
    for row, expected in rows:
        assert row == pytest.approx(expected, abs=1e-4)


def test_the_network_learned_something_to_compare(finished):
    """Ten steps move weights by far more than the 1e-4 that the comparison allows."""
    before, after = _state(finished / "one-epoch")["network"], _state(finished / "one")["network"]
    moved = {name: (after[name] - before[name]).abs().max().item() for name in before}
    assert moved["mask_head.weight"] > 1e-3 and moved["encoder.stem.bn.running_mean"] > 1e-3


def test_train_py_under_torchrun(data, tmp_path):
    flags = ["--epochs", "1", "--size", "64", "--batch", "5", "--device", "cpu"]
    done = _run([*TWO_PROCESSES, ROOT / "train.py", "--data", data, "--out", tmp_path, *flags])
    assert done.stdout.count("class weights") == 1 and "2 processes" in done.stdout  # one of them speaks
    assert done.stdout.count(f"# {data.name}, held out, fold0") == 1
    assert "Traceback" not in done.stderr
    assert [row["epoch"] for row in _rows(tmp_path)] == [1]
    assert "held out" in Predictor.load(tmp_path / "weights", device="cpu").operating_point.fitted_on


def _as_process(monkeypatch, rank, count):
    monkeypatch.setattr(distributed.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: rank)
    monkeypatch.setattr(distributed.dist, "get_world_size", lambda: count)


@pytest.mark.parametrize(("n", "count"), [(8, 1), (8, 2), (7, 3), (3, 3), (16, 5)])
def test_every_image_of_a_batch_has_one_process(monkeypatch, n, count):
    shares = []
    for rank in range(count):
        _as_process(monkeypatch, rank, count)
        shares.append(list(range(n))[distributed.own_share(n)])
    assert sum(shares, []) == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_augmentation_does_not_depend_on_who_does_it():
    rng = np.random.default_rng(0)
    images, masks = (torch.from_numpy(rng.integers(0, 256, (5, 64, 64), np.uint8)) for _ in range(2))
    augment = Augmenter(64)
    whole = augment(images, masks, torch.Generator().manual_seed(1))
    for own in (slice(0, 2), slice(2, 5)):
        part = augment(images[own], masks[own], Draws(torch.Generator().manual_seed(1), 5, own))
        for ours, expected in zip(part, whole, strict=True):
            torch.testing.assert_close(ours, expected[own])


def test_our_norm_is_torchs():
    torch.manual_seed(0)
    ours, theirs = distributed.SyncBatchNorm2d(3, 1e-3, 0.1), torch.nn.BatchNorm2d(3, 1e-3, 0.1)
    inputs = [torch.randn(4, 3, 5, 6).mul(3).add(2).requires_grad_() for _ in range(2)]
    inputs[1].data.copy_(inputs[0].data)
    weight = torch.randn(4, 3, 5, 6)
    for norm, x in zip((ours, theirs), inputs, strict=True):
        (norm(x) * weight).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(inputs[0]), theirs(inputs[1]))


def test_more_processes_than_images_of_a_batch(data, tmp_path, monkeypatch):
    images = load_images(find_cases(data), Preprocess(size=64), "train")
    _as_process(monkeypatch, 0, 5)
    monkeypatch.setattr(distributed, "parallel", lambda network, device: network)
    with pytest.raises(RunError, match="5 processes cannot share a batch of 4. Raise --batch"):
        Trainer(CONFIG, images, tmp_path, "cpu")


if __name__ == "__main__":
    work(*map(Path, sys.argv[1:]))
