"""What README.md and docs/ say is there: commands, files, versions; other tests run the longer commands."""

import os
import re
import shlex
import shutil
import tomllib
from importlib import import_module

import pytest
import yaml
from PIL import Image

from busi_model import __main__ as program
from busi_model import __version__
from busi_model.__main__ import parse_arguments
from busi_model.cli import commands
from busi_model.phantom import draw_phantom
from busi_model.training import command as training
from tests.conftest import ROOT
from tests.support.examples import blocks, example

PROGRAM = re.compile(r"(?:python -m busi_model|^busi) (.+)")
BENCHMARK = re.compile(r"python -m (benchmarks(?:\.\w+)?)(.*)")
TRAINING = re.compile(r"(?:python|torchrun --nproc_per_node=\d+) train\.py (.+)")


def _commands():
    for block in blocks("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("busi ") or "python " in line or "torchrun" in line:
                yield line.split(" #")[0].strip()


@pytest.mark.parametrize("command", list(_commands()))
def test_a_command_is_understood(command):
    if match := PROGRAM.search(command):
        assert callable(parse_arguments(shlex.split(match[1])).run)
    elif match := BENCHMARK.search(command):
        module = match[1] if "." in match[1] else f"{match[1]}.__main__"
        parsed = import_module(module).parse_arguments(shlex.split(match[2]))
        assert parsed.files if module == "benchmarks.mutations" else parsed.out  # the one that writes nothing
    elif match := TRAINING.search(command):
        assert training.parse_arguments(shlex.split(match[1])).out
    else:
        assert command.endswith("python app.py")


@pytest.mark.slow
def test_the_readmes_python_example(tmp_path, monkeypatch):
    """As it stands, with the weights that came along: one of its two ways is gone."""
    Image.fromarray(draw_phantom("malignant", 3, 300, 400)[0]).save(tmp_path / "scan.png")
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(example("python", "Predictor.load()"), found)
    prediction = found["prediction"]
    assert prediction.refused == (not prediction.class_probabilities) and prediction.mask.shape == (300, 400)


LINK = re.compile(r"\]\((?!https?:|#)([^)\s#]+)")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page):
    place = (ROOT / page).parent
    for target in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        assert (place / target).exists(), f"{page} links to {target}"


def test_the_architectures_map_has_each_module_and_no_other():
    """But for the page's, DICOM's and the layouts' modules, of which it names the folder."""
    map_ = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("```")[1]
    package = ROOT / "busi_model"
    whole = ("clinic", "cli", "decode", "model", "training", "reading")
    paths = [*package.glob("*.py"), *(path for folder in whole for path in (package / folder).rglob("*.py"))]
    modules = {path.stem for path in paths if path.parent.name not in ("dicom", "layouts")}
    folders = {path.parent.name for path in package.rglob("__init__.py")}
    assert modules | folders <= set(re.findall(r"\w+", map_))
    there = {path.name for folder in (package, ROOT / "benchmarks", ROOT / "tests") for path in folder.rglob("*.py")}
    assert set(re.findall(r"\b\w+\.py\b", map_)) <= there | {"app.py", "train.py"}


def test_the_command_lines_help_has_each_command():
    names = [name for name, what in vars(commands).items() if getattr(what, "__module__", "") == commands.__name__]
    names = [name for name in names if not name.startswith("_")]
    assert len(names) >= 13
    for name in names:
        assert re.search(rf"^busi (\w.* \| )?{name} ", str(program.__doc__), re.MULTILINE), name


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 110


def test_version_and_licence_are_the_same_everywhere():
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert facts["version"] == __version__ and facts["license"] == project["license"]


def test_hooks_and_workflow_run_what_is_there():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]  # nothing is fetched
    for hook in hooks[0]["hooks"]:
        program, *arguments = shlex.split(hook["entry"])
        assert shutil.which(program) and all((ROOT / a).exists() for a in arguments if a.endswith(".py"))
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    (command,) = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert os.access(ROOT / command, os.X_OK)
