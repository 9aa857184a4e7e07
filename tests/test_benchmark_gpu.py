"""What `benchmarks.gpu` would say of a card: its parts on the CPU, with a card that is made full by hand."""

import contextlib

import pytest
import torch

from benchmarks import __main__ as benchmarks
from benchmarks import gpu
from benchmarks.gpu import GpuError, differences, hand_over, pictures, rate
from busi_model.model.operating_point import OperatingPoint
from busi_model.predict import Predictor


@pytest.fixture
def predictor(untrained):
    return Predictor.load(untrained, "cpu")


def test_differences_are_found(predictor):
    grays = pictures(5)
    expected = predictor.predict_many(grays)
    assert differences(expected, predictor.predict_many(grays)) == (0, 0, 0)
    predictor.operating_point = OperatingPoint(temperature=0.01, mask_temperature=0.01)
    classes, pixels, _ = differences(expected, predictor.predict_many(grays))
    assert classes > gpu.TOLERANCE and pixels > 0
    assert rate(predictor, grays, 8) > 0


def test_a_full_card_hands_over(predictor, monkeypatch):
    grays = pictures(1)
    expected = predictor.predict_many(grays)
    logits = Predictor.logits

    @contextlib.contextmanager
    def full():
        def refuse(self, grays):
            if self is predictor:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return logits(self, grays)

        with monkeypatch.context() as patch:
            patch.setattr(Predictor, "logits", refuse)
            yield

    assert hand_over(predictor, expected, grays, full())[::2] == ["yes", "yes"]
    with pytest.raises(GpuError, match="does not say that the CPU gave it"):
        hand_over(predictor, expected, grays, contextlib.nullcontext())


def test_without_a_card_it_says_so(untrained, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert benchmarks.main(["--only", "gpu", "--weights", str(untrained), "--out", str(tmp_path)]) == 1
    assert "PyTorch sees no CUDA card here" in capsys.readouterr().err
