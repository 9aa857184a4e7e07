"""What many tests share: real data when BUSI_DATA_DIR names it, phantoms and an untrained checkpoint otherwise."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from playwright.sync_api import sync_playwright

from busi_model import checkpoint
from busi_model.network import MultiTaskUNet
from busi_model.operating_point import OperatingPoint
from busi_model.phantom import write_phantom_dataset
from busi_model.preprocess import Preprocess

ROOT = Path(__file__).parents[1]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def data_dir():
    """The folder with BUSI/, BUS-BRA/ and busi_manifest.csv."""
    folder = os.environ.get("BUSI_DATA_DIR")
    if not folder:
        pytest.skip("BUSI_DATA_DIR is not set: this test needs real images")
    return Path(folder)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory):
    """Eight phantoms a class in BUSI's layout, 90 x 110 px."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantom_dataset(folder, 8, seed=5, height=90, width=110)
    return folder


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """A weights folder with a seeded, untrained network at 64 px: right in form, of no use."""
    folder = tmp_path_factory.mktemp("untrained")
    torch.manual_seed(0)
    network = MultiTaskUNet(decoder_channels=(16, 16, 8, 8), class_hidden=8).eval()
    checkpoint.save(folder, network, Preprocess(size=64), OperatingPoint(temperature=1.5), {"recipe": "none"}, {})
    return folder


@pytest.fixture(scope="session")
def shipped():
    """The weights that the repository ships."""
    return ROOT / "weights"


@pytest.fixture(scope="session")
def chromium():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("No chromium was found on PATH; the page's tests need one: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()
