"""A device that is not there gets one sentence from every command that takes one, before any work is done."""

import pytest
import torch

from busi_model.__main__ import main
from busi_model.model.network import DeviceError, choose_device
from busi_model.predict import Predictor
from busi_model.training import command

COMMANDS = {
    "train": ["--data", "DATA", "--out", "OUT"],
    "evaluate": ["--weights", "WEIGHTS", "--data", "DATA", "--split", "all", "--out", "OUT"],
    "predict": ["--weights", "WEIGHTS", "DATA/benign/benign (1).png"],
    "watch": ["--weights", "WEIGHTS", "DATA", "--out", "OUT"],
    "calibrate": ["--weights", "WEIGHTS", "--data", "DATA", "--out", "OUT"],
    "refusals": ["--weights", "WEIGHTS", "--out", "OUT"],
}


@pytest.fixture(autouse=True)
def no_card(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize("device", ["cuda", "CUDA:0", "mps", "gpu", "tpu-7"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_device_that_is_not_there_gets_one_sentence(phantoms, untrained, tmp_path, capsys, name, device):
    places = {"DATA": phantoms, "WEIGHTS": untrained, "OUT": tmp_path / "out"}
    arguments = COMMANDS[name]
    for word, place in places.items():
        arguments = [a.replace(word, str(place)) for a in arguments]
    arguments = [*arguments, "--device", device]
    code = command.main(arguments) if name == "train" else main([name, *arguments])
    said = capsys.readouterr().err.strip()
    assert code in (1, 2) and said.count("\n") == 0, said
    assert repr(device) in said and "only the CPU" in said and "auto" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("device", ["CPU", "cpu", " Auto "])
def test_a_device_is_known_in_any_case(untrained, device):
    assert choose_device(device) == "cpu"
    assert Predictor.load(untrained, device).device.type == "cpu"


def test_a_card_is_named_by_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [choose_device(d) for d in ("auto", "cuda", "CUDA:1", "cpu")] == ["cuda", "cuda", "cuda:1", "cpu"]
    with pytest.raises(DeviceError, match="cuda:0, cuda:1 and the CPU"):
        choose_device("cuda:2")
