"""Any command while it still loads torch, which takes seconds: somebody who called the wrong one does not wait."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.browser import PATIENCE_S, ROOT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["app.py"], 0),
        (["train.py", "--data", ".", "--out", "OUT"], 130),
        (["-m", "busi_model", "refusals", "--out", "OUT"], 130),
    ],
)
def test_ctrl_c_ends_a_command_that_is_still_starting(tmp_path, command, code):
    command = [str(tmp_path / "out") if word == "OUT" else word for word in command]
    environment = os.environ | {"BUSI_STORE": str(tmp_path / "store"), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + PATIENCE_S
    while "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, errors
    assert "Traceback" not in errors and "The page is at" not in printed
    assert list(tmp_path.glob("busi-*")) == []


@pytest.mark.slow
def test_help_comes_without_torch():
    told = "import sys; from busi_model.__main__ import main; main(['--help'])"
    asked = "import atexit; atexit.register(lambda: print('torch' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", f"{asked}; {told}"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("usage: busi") and done.stdout.endswith("False\n")


@pytest.mark.slow
def test_gradio_writes_no_stubs_while_the_page_starts():
    """Half of the time that importing it takes; `start` relies on how Gradio is written to leave them out."""
    forbid = "import ast; ast.get_source_segment = None"
    told = "from busi_model.cli.start import without_stubs\nwith without_stubs():\n    import gradio"
    done = subprocess.run([sys.executable, "-c", f"{forbid}\n{told}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
