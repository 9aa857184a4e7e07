"""Ray on a cluster of two workers on this machine: the rows of the local run, also when a worker is killed."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from busi_model.batch.cluster import judge_on_cluster
from busi_model.batch.find import find_images
from busi_model.batch.work import Wanted, Worker
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")
# Ray's own threads and sockets outlive what opened them.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")]


def actors() -> set[int]:
    """Processes in which an actor of Ray Data works."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(b"ray::MapWorker"):
                found.add(int(entry.name))
        except OSError:
            pass  # it has just ended
    return found


def test_a_killed_worker_costs_no_row(untrained, tmp_path):
    for number in range(40):
        gray, _ = draw_phantom(("benign", "malignant", "normal")[number % 3], number % 4, 80, 90)
        Image.fromarray(gray).save(tmp_path / f"{number:02}.png")
    (tmp_path / "13.png").write_bytes(b"nothing")
    paths = list(find_images([tmp_path]))
    others = actors()
    found, killed = [], None
    for rows in judge_on_cluster(paths, str(untrained), "cpu", Wanted(), "local", workers=2):
        found += rows
        if killed is None and actors() - others:
            killed = min(actors() - others)
            os.kill(killed, signal.SIGKILL)
    assert killed is not None
    assert not ray.is_initialized()
    expected = Worker(Predictor.load(untrained, device="cpu"), Wanted())(paths)
    found.sort(key=lambda row: row["file"])
    assert [row["file"] for row in found] == paths
    for row, local in zip(found, expected, strict=True):
        numbers = [key for key, value in local.items() if isinstance(value, float)]
        np.testing.assert_allclose([row.pop(k) for k in numbers], [local.pop(k) for k in numbers], atol=1e-5)
        assert abs(row.pop("outlined_px2", 0) - local.pop("outlined_px2", 0)) <= 3
        assert row == local
