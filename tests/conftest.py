"""What many tests share: real data when BUSI_DATA_DIR names it, phantoms and an untrained checkpoint otherwise; the
running app and a browser that looks at it."""

import contextlib
import dataclasses
import os
import shutil
import signal
import sys
from pathlib import Path

import busi_model  # noqa: F401 isort: skip (before torch: it sets how torch's threads wait)

import pytest
import torch
from hypothesis import settings
from playwright.sync_api import sync_playwright

from busi_model.model import checkpoint
from busi_model.model.network import MultiTaskUNet
from busi_model.model.operating_point import OperatingPoint
from busi_model.model.preprocess import TONES, Preprocess
from busi_model.phantom import write_phantom_dataset
from busi_model.predict import Predictor
from busi_model.reading.storage.store import Store
from tests.support.browser import FLAGS, Visitors, served

ROOT = Path(__file__).parents[1]
QUICK = pytest.StashKey[bool]()  # whether the test that runs is neither slow nor of the browser
settings.register_profile("busi", deadline=None)  # a busy machine is no failure
settings.load_profile("busi")


# Fixtures that read real images or start a program, here and in the modules.
SLOW = {"data_dir", "address", "staged_address", "app", "guarded", "space", "spike", "judged"}


def pytest_collection_modifyitems(config, items):
    """What asks for a browser is marked so; what asks for real images or the running page is slow. On several
    processes, modules with such tests come first: the quick ones fill what is left at the end."""
    for item in items:
        wanted = set(getattr(item, "fixturenames", ()))
        if "chromium" in wanted:
            item.add_marker("browser")
        if wanted & SLOW:
            item.add_marker("slow")
    if hasattr(config, "workerinput"):  # a process of pytest-xdist
        long = {item.path for item in items if _is_long(item)}
        items.sort(key=lambda item: item.path not in long)


def _is_long(item):
    return bool(item.get_closest_marker("slow") or item.get_closest_marker("browser"))


def pytest_runtest_setup(item):
    item.config.stash[QUICK] = not _is_long(item)


def pytest_configure(config):
    """A quick test that starts a Python of its own fails: so is `slow` where it belongs. The page's helpers may."""

    def watch(event, arguments):
        if event == "subprocess.Popen" and config.stash.get(QUICK, False):
            command = list(map(str, arguments[1]))
            if command[0] == sys.executable and "busi_model.decode.helper" not in command:
                raise RuntimeError(f"A test without the mark `slow` starts {command[:3]}. Mark it.")

    sys.addaudithook(watch)


@pytest.fixture(scope="session")
def data_dir():
    """The folder with BUSI/, BUS-BRA/ and busi_manifest.csv."""
    folder = os.environ.get("BUSI_DATA_DIR")
    if not folder:
        pytest.skip("BUSI_DATA_DIR is not set: this test needs real images")
    return Path(folder)


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory):
    """`phantom_folder("elsewhere", 6, seed=9, height=80, width=100)`: so many phantoms a class in BUSI's layout."""

    def made(name, n_per_class, **how):
        folder = tmp_path_factory.mktemp("phantoms") / name
        write_phantom_dataset(folder, n_per_class, **how)
        return folder

    return made


@pytest.fixture(scope="session")
def phantoms(phantom_folder):
    """Eight phantoms a class, 90 x 110 px."""
    return phantom_folder("phantoms", 8, seed=5, height=90, width=110)


@pytest.fixture(scope="module")
def few_pictures():
    """A study's detector is fitted on every tenth of the pictures that are no ultrasound, to be quick."""
    from busi_model.training.ood import data

    some = data.gray_pictures()[::10]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "gray_pictures", lambda seed=0: some)
        yield


@pytest.fixture
def store(tmp_path):
    """A store of records in a folder of its own."""
    opened = Store(tmp_path / "store", app_version="1.2")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """A weights folder with a seeded, untrained network at 64 px: right in form, of no use."""
    folder = tmp_path_factory.mktemp("untrained")
    torch.manual_seed(0)
    network = MultiTaskUNet(decoder_channels=(16, 16, 8, 8), class_hidden=8).eval()
    preprocess = Preprocess(size=64, tones=TONES)
    checkpoint.save(folder, network, preprocess, OperatingPoint(temperature=1.5), {"recipe": "none"}, {})
    return folder


@pytest.fixture
def within_s():
    """`with within_s(30):` fails when the block takes longer: for work that a fault would let run for minutes."""

    @contextlib.contextmanager
    def limited(seconds):
        def end(*_):
            raise TimeoutError(f"not done within {seconds} s")

        before = signal.signal(signal.SIGALRM, end)
        signal.alarm(seconds)
        try:
            yield
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)

    return limited


@pytest.fixture(scope="session")
def shipped():
    """The weights that the repository ships."""
    return ROOT / "weights"


@pytest.fixture(scope="session")
def weights(shipped, tmp_path_factory):
    """The shipped weights without their out-of-distribution detector: it turns phantoms away, and rightly so."""
    folder = tmp_path_factory.mktemp("weights")
    shutil.copytree(shipped, folder, dirs_exist_ok=True)
    for name in (checkpoint.OOD_NAME, checkpoint.OLD_OOD_NAME):
        (folder / name).unlink(missing_ok=True)
    return folder


@pytest.fixture(scope="session")
def mirrored_predictor(untrained):
    """The untrained network, the tones of the picture and of its mirror image exchanged."""
    loaded = checkpoint.load(untrained)
    tones = loaded.preprocess.tones[::-1]
    return Predictor(dataclasses.replace(loaded, preprocess=dataclasses.replace(loaded.preprocess, tones=tones)))


@pytest.fixture(scope="session")
def predictor(weights):
    return Predictor.load(weights)


@pytest.fixture(scope="session")
def address(weights, tmp_path_factory):
    """Address of `python app.py`."""
    with served([sys.executable, "app.py"], {"BUSI_WEIGHTS": str(weights)}, tmp_path_factory.mktemp("app")) as url:
        yield url


@pytest.fixture(scope="session")
def staged_address(untrained, tmp_path_factory):
    """Address of the same page with a Predictor that says what `tests.support.staged_app` tells it to."""
    command = [sys.executable, "-m", "tests.support.staged_app"]
    with served(command, {"BUSI_WEIGHTS": str(untrained)}, tmp_path_factory.mktemp("staged")) as url:
        yield url


@pytest.fixture(scope="session")
def chromium():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("No chromium was found on PATH; the page's tests need one: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_tab(chromium, address):
    """Opens the page as a new user each time. At the end: no request left the machine, none failed."""
    with Visitors(chromium, address) as visitors:
        yield visitors.open


@pytest.fixture
def staged_visitors(chromium, staged_address):
    with Visitors(chromium, staged_address) as visitors:
        yield visitors


@pytest.fixture
def open_staged_tab(staged_visitors):
    return staged_visitors.open


@pytest.fixture
def tab(open_tab):
    return open_tab()


@pytest.fixture
def staged_tab(open_staged_tab):
    return open_staged_tab()
