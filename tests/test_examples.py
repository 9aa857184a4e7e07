"""The commands in README.md and docs/ are ones that the program understands; other tests run the longer ones."""

import re
import shlex
from importlib import import_module

import pytest

import train
from busi_model.__main__ import parse_arguments
from tests.examples import blocks

PROGRAM = re.compile(r"python -m busi_model (.+)")
BENCHMARK = re.compile(r"python -m (benchmarks(?:\.\w+)?)(.*)")
TRAINING = re.compile(r"(?:python|torchrun --nproc_per_node=\d+) train\.py (.+)")


def _commands():
    for block in blocks("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if "python" in line or "torchrun" in line:
                yield line.split(" #")[0].strip()


@pytest.mark.parametrize("command", list(_commands()))
def test_a_command_is_understood(command):
    if match := PROGRAM.search(command):
        assert callable(parse_arguments(shlex.split(match[1])).run)
    elif match := BENCHMARK.search(command):
        module = match[1] if "." in match[1] else f"{match[1]}.__main__"
        assert import_module(module).parse_arguments(shlex.split(match[2])).out
    elif match := TRAINING.search(command):
        assert train.parse_arguments(shlex.split(match[1])).out
    else:
        assert command.endswith("python app.py")
