"""The Dockerfile without a Docker engine: its lines are read, and what it copies is started as it would be.

Only pip's two lines are not run: the environment of the tests stands in for what they install.
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.browser import PATIENCE_S, START_S
from tests.test_install import as_another_user

pytestmark = pytest.mark.slow


def steps() -> list[tuple[str, str]]:
    """(instruction, rest) in order; comments gone, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def rest_of(name) -> list[str]:
    return [rest for instruction, rest in steps() if instruction == name]


def variables() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in rest_of("ENV") for pair in shlex.split(line))


def copies() -> list[tuple[str, str]]:
    found = []
    for line in rest_of("COPY"):
        *sources, target = shlex.split(line)
        found += [(source, target) for source in sources]
    return found


def test_every_source_is_there_and_not_ignored():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source, _ in copies():
        assert (ROOT / source).exists(), source
        assert source in allowed, f".dockerignore leaves {source} out"


def test_the_same_requirement_files_and_pytorchs_cpu_build_first():
    first, second, *_ = [command for line in rest_of("RUN") for command in line.split("&&")]
    assert '--index-url "$TORCH_INDEX"' in first and "grep '^torch==' requirements.txt" in first
    assert len(re.findall(r"^torch==[\d.]+$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)) == 1
    assert shlex.split(second) == ["pip", "install", "-r", "requirements.txt", "-c", "constraints.txt"]


def test_nobody_is_root_and_records_go_to_the_volume():
    names = [name for name, _ in steps()]
    user = rest_of("USER")[-1]
    assert user not in ("root", "0") and f"chown {user}:{user} /data" in rest_of("RUN")[-1]
    assert max(i for i, name in enumerate(names) if name == "USER") < names.index("CMD")
    assert Path(variables()["BUSI_STORE"]).is_relative_to(rest_of("VOLUME")[0])
    assert not any(fnmatch.fnmatch(name, "*TOKEN*") or "PASSWORD" in name for name in variables())


@pytest.fixture
def image():
    """What the image holds, in a folder that its user may read and not change; and the volume beside it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield staged(Path(folder))


def staged(folder) -> tuple[Path, Path]:
    code, volume = folder / "app", folder / "data"
    for source, target in copies():
        place = code / target / (Path(source).name if target == "./" else "")
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, place)
    volume.mkdir()
    volume.chmod(0o777)
    return code, volume


def test_the_command_serves_the_page_as_a_user_without_rights(image):
    code, volume = image
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {key: value.replace("/data", str(volume)) for key, value in variables().items()}
    environment |= {"GRADIO_SERVER_PORT": str(port), "HOME": str(volume), "TMPDIR": str(volume)}
    environment |= {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    program, *arguments = json.loads(rest_of("CMD")[-1])
    assert program == "python"
    command = [*as_another_user(), sys.executable, *arguments]
    log = volume / "log.txt"
    with log.open("w") as sink:
        server = subprocess.Popen(command, cwd=code, env=environment, stdout=sink, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_S
        while "The page is at" not in log.read_text():
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE_S) as answer:
            assert "Not a medical device" in answer.read().decode()
        alive = json.loads(rest_of("HEALTHCHECK")[-1].partition("CMD ")[2])
        alive[-1] = alive[-1].replace(variables()["GRADIO_SERVER_PORT"], str(port))
        subprocess.run([sys.executable, *alive[1:]], check=True, timeout=PATIENCE_S)
        assert list((volume / "busi").iterdir())  # the store was opened there
    finally:
        server.terminate()
        server.wait(PATIENCE_S)
    assert server.returncode == 0, log.read_text()
