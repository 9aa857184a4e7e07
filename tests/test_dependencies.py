"""The requirement files are those of pyproject.toml; constraints.txt and docs/licences.md tell the truth of them."""

import re
import runpy
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

SCRIPT = runpy.run_path(str(ROOT / ".ci" / "dependencies.py"))
PERMISSIVE = re.compile(r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla", re.IGNORECASE)


@pytest.fixture(scope="module")
def installed():
    return SCRIPT["installed_for"](ROOT / "requirements-dev.txt")


def test_the_requirement_files_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = {"dependencies": project["dependencies"], **project["optional-dependencies"]}
    for name, content in SCRIPT["requirement_files"]().items():
        assert (ROOT / name).read_text() == content, "run: python .ci/dependencies.py requirements"
        own = [Requirement(line.split("#")[0]) for line in content.splitlines() if not line.startswith(("#", "-r"))]
        assert own == [Requirement(text) for key in SCRIPT["FILES"][name][1] for text in lists[key]]
    assert set(lists) == {key for _, keys in SCRIPT["FILES"].values() for key in keys}


def test_every_package_has_a_locked_version_that_its_range_allows(installed):
    lines = (ROOT / "constraints.txt").read_text().splitlines()[1:]
    locked = dict(line.split("==") for line in lines)
    assert not set(installed) - set(locked), "run .ci/dependencies.py again"
    for requirement in SCRIPT["requirements"](ROOT / "requirements-dev.txt"):
        assert isinstance(requirement, Requirement)
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)])


def test_every_licence_is_permissive_and_listed(installed):
    listed = (ROOT / "docs" / "licences.md").read_text()
    for name, package in installed.items():
        licence = SCRIPT["licence"](package)
        assert PERMISSIVE.search(licence) and "GPL" not in licence, f"{name}: {licence}"
        assert f"| {name} |" in listed, "run .ci/dependencies.py again"
