"""constraints.txt and docs/licences.md tell the truth about the requirement files."""

import re
import runpy

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

SCRIPT = runpy.run_path(str(ROOT / ".ci" / "dependencies.py"))
PERMISSIVE = re.compile(r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla", re.IGNORECASE)


@pytest.fixture(scope="module")
def installed():
    return SCRIPT["installed_for"](ROOT / "requirements-dev.txt")


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
