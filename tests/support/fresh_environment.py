"""A virtual environment that holds what a list of requirements asks for and nothing else, made without a download.

Each package is a link to the one that runs the tests, which must have the version asked for. So a package that is
missing from the list is missing here, as it would be on a machine where pip has just installed the list.
"""

import subprocess
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

TIMEOUT_S = 180


def make(folder: Path, requirements: str) -> Path:
    """requirements: the text of a requirements.txt. Returns the environment's interpreter."""
    command = [sys.executable, "-m", "venv", "--without-pip", folder]
    subprocess.run(command, check=True, timeout=TIMEOUT_S)
    packages = next(folder.glob("lib/python*/site-packages"))
    for found in needed(requirements).values():
        names = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
        for name in names:
            link, target = packages / name, Path(found.locate_file(name))
            if target.exists() and not link.is_symlink():
                link.symlink_to(target)
    return folder / "bin" / "python"


def needed(requirements: str) -> dict[str, Distribution]:
    """The packages of a list and all that they need in turn, by name."""
    lines = (line.split(" #")[0].strip() for line in requirements.splitlines())
    waiting = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
    found, done = {}, set()
    while waiting:
        asked = waiting.pop()
        place = distribution(asked.name)
        # PyTorch's builds differ in what follows the +: a machine that tests may have another one.
        version, wanted = place.version.split("+")[0], str(asked.specifier).replace("+cpu", "")
        assert Requirement(f"{asked.name}{wanted}").specifier.contains(version, prereleases=True), (asked, version)
        found[place.metadata["Name"].lower()] = place
        for extra in ("", *asked.extras):
            if (key := (place.metadata["Name"], extra)) not in done:
                done.add(key)
                more = map(Requirement, place.requires or ())
                waiting += [r for r in more if r.marker is None or r.marker.evaluate({"extra": extra})]
    return found
