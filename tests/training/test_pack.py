"""Hospitals travel in one small file and come out as what training reads."""

import os
import shutil
import subprocess
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from busi_model.__main__ import main
from busi_model.training.data.cases import CaseError
from busi_model.training.data.layouts import find_hospital, find_hospitals
from busi_model.training.data.pack import pack, unpack
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def packed(phantoms, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    shutil.copytree(phantoms, folder / "elsewhere")
    data = ["--data", str(phantoms), "--data", str(folder / "elsewhere")]
    assert main(["pack", *data, "--side", "64", "--out", str(folder / "all.zip")]) == 0
    return folder / "all.zip"


def test_split_outlines_and_fingerprints_survive(packed, phantoms, tmp_path):
    before = find_hospital(phantoms)
    folders = unpack(packed, tmp_path)
    assert [f.name for f in folders] == sorted(["elsewhere", phantoms.name])
    after = next(h for h in find_hospitals(folders) if h.name == before.name)
    assert len(after.cases) == len(before.cases) == 24
    for old, new in zip(before.cases, after.cases, strict=True):
        assert (old.class_name, old.group, old.fold, old.scored) == (new.class_name, new.group, new.fold, new.scored)
        assert new.fingerprint() == old.fingerprint()
        (large, outline), (small, packed_outline) = old.read(), new.read()
        assert min(small.gray.shape) == 64 and abs(float(small.gray.mean()) - float(large.gray.mean())) < 3
        assert packed_outline.mean() == pytest.approx(outline.mean(), abs=0.02)


def test_reserved_images_do_not_travel(phantoms, tmp_path):
    hospital = find_hospital(phantoms)
    reserved = [replace(c, split="test", fold=None) for c in hospital.cases[:20]]
    pack([replace(hospital, cases=reserved + hospital.cases[20:])], tmp_path / "x.zip", 32)
    (folder,) = unpack(tmp_path / "x.zip", tmp_path / "out")
    assert len(find_hospital(folder).cases) == 4


def test_a_file_that_is_too_large_gets_a_sentence(phantoms, tmp_path, monkeypatch):
    monkeypatch.setattr("busi_model.training.data.pack.LARGEST_BYTES", 1000)
    with pytest.raises(CaseError, match="smaller --side"):
        pack([find_hospital(phantoms)], tmp_path / "x.zip", 64)


@pytest.mark.slow
def test_the_script_for_a_gpu_runs_on_a_cpu(packed, tmp_path):
    environment = {**os.environ, "OUT": str(tmp_path / "out"), "RUNS": str(tmp_path / "runs"), "EPOCHS": "1"}
    environment |= {"BATCH": "8", "TINY": "1", "WHAT": "abroad release"}
    done = subprocess.run(
        [ROOT / "benchmarks" / "gpu_training.sh", packed], capture_output=True, text=True, timeout=600, env=environment
    )
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "out" / "release-weights.tar") as archive:
        names = {f"weights/{name}" for name in ("config.json", "model.safetensors", "ood.safetensors", "seen.txt")}
        assert names <= set(archive.getnames())
    with tarfile.open(tmp_path / "out" / "abroad-report.tar.gz") as archive:
        assert "evaluation/summary.json" in archive.getnames()
    assert np.all([f.stat().st_size < 16 * 2**20 for f in (tmp_path / "out").iterdir()])
