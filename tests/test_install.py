"""The wheel, installed in a fresh environment: the command `busi` and the weights, from any folder, for any user.

Only this project is installed there; what it needs comes from the environment that runs the tests.
"""

import email
import os
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PIL import Image

from busi_model.model import checkpoint
from busi_model.phantom import draw_phantom
from tests.conftest import ROOT
from tests.support.browser import PATIENCE_S, START_S, served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", ROOT, *how, "-w", folder], check=True, timeout=PATIENCE_S)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel):
    """Folder of a virtual environment that everybody may read and nobody may change."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=PATIENCE_S)
        python = folder / "bin" / "python"
        how = ["--no-deps", "--no-index", "--quiet"]
        pip = [sys.executable, "-m", "pip", "--python", python, "install", *how, wheel]
        subprocess.run(pip, check=True, timeout=PATIENCE_S)
        packages = next(folder.glob("lib/python*/site-packages"))
        (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o555 if path.is_dir() or path.parent.name == "bin" else 0o444)
        yield folder
        for path in (folder, *folder.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)


def as_another_user() -> list:
    """Before a command: where the tests run as root, nobody runs it. He may read all, as the tests' own Python can lie
    where only root may look, but owns nothing."""
    if os.geteuid() != 0:
        return []
    reads_all = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", "--reuid=nobody", "--regid=65534", "--clear-groups", *reads_all]


def run(command, folder):
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "HOME": str(folder), "TMPDIR": str(folder)}
    command = [*as_another_user(), *command]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=START_S)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture
def elsewhere():
    """A folder outside the checkout where every user may write."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def test_the_wheel_holds_program_and_weights(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = email.message_from_bytes(archive.read(next(n for n in names if n.endswith("METADATA"))))
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "busi_model", "weights"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    expected = {f"busi_model/{n}" if n.startswith("weights/") else n for n in listed.stdout.splitlines()}
    assert expected <= names
    surplus = {n for n in names - expected if ".dist-info/" not in n}
    assert surplus <= {"busi_model/training/command.py", "busi_model/docs/api.md"}
    assert "busi_model/docs/api.md" in names  # shown under "About"
    asked = {Requirement(r) for r in metadata.get_all("Requires-Dist") if "extra ==" not in r}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert asked == {Requirement(r) for r in project["dependencies"]}
    assert set(metadata.get_all("Provides-Extra")) == set(project["optional-dependencies"])


def test_busi_predict_from_another_folder_as_another_user(installed, elsewhere, shipped):
    gray, _ = draw_phantom("benign", 1)
    Image.fromarray(gray).save(elsewhere / "scan.png")
    printed = run([installed / "bin" / "busi", "predict", "scan.png"], elsewhere)
    assert printed.startswith("scan.png")
    program = "from busi_model.predict import Predictor; print(Predictor.load().checkpoint.weights_sha256)"
    printed = run([installed / "bin" / "python", "-c", program], elsewhere)
    assert printed.strip() == checkpoint.load(shipped).weights_sha256


@pytest.mark.parametrize("command", [["bin/busi"], ["bin/python", "-m", "busi_model"]])
def test_every_command_is_there(installed, elsewhere, command):
    command = [installed / command[0], *command[1:]]
    printed = run([*command, "--help"], elsewhere)
    for name in ("app", "predict", "train", "evaluate", "calibrate", "card", "export", "arrange"):
        assert f"\nbusi {name} " in printed
    assert "--data" in run([*command, "train", "--help"], elsewhere)


def test_busi_app_serves_the_page(installed, tmp_path):
    with served([installed / "bin" / "busi", "app"], {}, tmp_path) as address:
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
            page = answer.read().decode()
        assert "Not a medical device" in page and ".worklist" in page  # words and a stylesheet


def test_without_the_extra_training_says_what_to_install(tmp_path):
    without = "import sys; sys.modules['sklearn'] = sys.modules['sklearn.model_selection'] = None\n"
    program = without + "from busi_model.__main__ import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["evaluate", "--data", str(tmp_path), "--split", "fold0", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert "is not installed. Run in BUSI's folder: pip install '.[train]'" in done.stderr
