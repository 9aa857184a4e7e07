"""What pyproject.toml asks for, as requirement files; what is installed because of them: versions for CI, licences for
whoever must approve them.

    python .ci/dependencies.py requirements                      # writes requirements*.txt
    python .ci/dependencies.py constraints > constraints.txt     # exact versions, which .ci/run installs
    python .ci/dependencies.py licences > docs/licences.md

Run the last two in an environment that was made from requirements-dev.txt and passes the tests.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
# File -> the files that it includes and the lists of pyproject.toml that it holds. requirements.txt must stand alone: a
# Space installs from it and from nothing else.
FILES = {
    "requirements.txt": ((), ("dependencies", "train")),
    "requirements-ray.txt": (("requirements.txt",), ("ray",)),
    "requirements-dicom.txt": (("requirements.txt",), ("dicom",)),
    "requirements-dev.txt": (
        ("requirements.txt", "requirements-ray.txt", "requirements-dicom.txt"),
        ("tensorboard", "dev"),
    ),
}
ENTRY = re.compile(r'^    (?:"(?P<requirement>[^"]+)",)? *(?P<comment># .+)?$', re.MULTILINE)


def requirement_files() -> dict[str, str]:
    """Name -> content of each requirement file, with the comments of pyproject.toml."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = {}
    for name, (includes, lists) in FILES.items():
        lines = ["# Written by .ci/dependencies.py from pyproject.toml.", *(f"-r {other}" for other in includes)]
        for key in lists:
            body = re.search(rf"^{key} = \[\n(.*?)^\]$", project, re.DOTALL | re.MULTILINE)[1]
            lines += ["  ".join(filter(None, entry.groups())) for entry in ENTRY.finditer(body)]
        found[name] = "\n".join(lines) + "\n"
    return found


def requirements(path: Path) -> list[Requirement]:
    """The lines of a requirement file and of those that it includes."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("-r "):
            found += requirements(path.parent / line[3:].strip())
        elif line:
            found.append(Requirement(line))
    return found


def installed_for(path: Path) -> dict:
    """Name -> distribution of everything that a requirement file brings, by name."""
    waiting, found = requirements(path), {}
    seen = set()
    while waiting:
        wanted = waiting.pop()
        key = canonicalize_name(wanted.name), tuple(sorted(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            found[key[0]] = distribution(wanted.name)
        except PackageNotFoundError:
            raise SystemExit(f"{wanted} is not installed here. Run: pip install -r {path.name}") from None
        for text in found[key[0]].requires or ():
            further = Requirement(text)
            extras = wanted.extras or {""}
            if further.marker is None or any(further.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(further)
    return dict(sorted(found.items()))


def licence(package) -> str:
    """What a package says of its licence, in a few words; the first words of its licence file if it says nothing."""
    metadata = package.metadata
    classified = [c.split(" :: ")[-1] for c in metadata.get_all("Classifier", []) if c.startswith("License ::")]
    stated = metadata.get("License-Expression") or ", ".join(c for c in classified if c != "OSI Approved")
    stated = stated or (metadata.get("License") or "").strip().partition("\n")[0]
    if stated in ("", "UNKNOWN"):
        files = [f for f in package.files or () if f.name.upper().startswith("LICENSE")]
        lines = [line.strip() for line in files[0].read_text().splitlines()] if files else []
        stated = next(filter(None, lines), "not stated")
    return stated


def constraints() -> str:
    installed = installed_for(ROOT / "requirements-dev.txt")
    versions = [f"{name}=={package.version.split('+')[0]}" for name, package in installed.items()]
    return "\n".join(["# Written by .ci/dependencies.py: the versions that CI installs.", *versions, ""])


def licences() -> str:
    lines = [
        "# Licences of what is installed",
        "",
        "Written by `python .ci/dependencies.py licences`, from what the packages say of themselves. MPL-2.0 asks",
        "only that changes to its own files stay open. With PyTorch's CUDA build, which pip chooses on Linux, come",
        "NVIDIA's libraries under NVIDIA's own licence; the CPU build has none.",
    ]
    user = installed_for(ROOT / "requirements.txt")
    parts = {
        "To run and to train": user,
        "For Ray, ONNX, DICOM and the tests": {
            n: p for n, p in installed_for(ROOT / "requirements-dev.txt").items() if n not in user
        },
    }
    for heading, packages in parts.items():
        lines += ["", f"## {heading}", "", "| package | licence |", "|---|---|"]
        lines += [f"| {name} | {licence(package)} |" for name, package in packages.items()]
    return "\n".join(lines) + "\n"


def write_requirements() -> str:
    for name, content in requirement_files().items():
        (ROOT / name).write_text(content, encoding="utf-8")
    return ""


if __name__ == "__main__":
    writers = {"requirements": write_requirements, "constraints": constraints, "licences": licences}
    if len(sys.argv) != 2 or sys.argv[1] not in writers:
        raise SystemExit(__doc__)
    print(writers[sys.argv[1]](), end="")
