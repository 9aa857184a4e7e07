"""Grad-CAM against a network whose map is known by hand, and in the frame's own pixels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from busi_model.clinic.explain import Explainer
from busi_model.model.preprocess import Preprocess
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor


@pytest.fixture(scope="module")
def predictor(untrained):
    return Predictor.load(untrained, device="cpu")


@pytest.fixture(scope="module")
def gray():
    return draw_phantom("malignant", 3, 120, 160)[0]


def test_the_map_has_the_frame_s_size_and_reaches_one(predictor, gray):
    maps = {name: Explainer(predictor)(gray, name) for name in ("benign", "malignant", "normal")}
    for heat in maps.values():
        assert heat.shape == (120, 160) and heat.dtype == np.float32
        assert heat.min() >= 0 and heat.max() in (pytest.approx(1), 0)
    assert any(heat.max() > 0 for heat in maps.values())


class Toy(torch.nn.Module):
    """Deepest features: the mean of each quarter. Benign rises with their sum, malignant falls, normal ignores them."""

    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Module()
        self.encoder.forward = lambda x: [x, F.avg_pool2d(x, 32)]

    def forward(self, x):
        total = self.encoder(x)[-1].sum(dim=(1, 2, 3))
        return SimpleNamespace(class_logits=torch.stack([total, -total, 0 * total], dim=1))


@pytest.mark.parametrize(
    ("class_name", "corners"),  # upper left, upper right, lower left, lower right
    [("benign", [1, 0, 0, 0]), ("malignant", [0, 1, 1, 1]), ("normal", [0, 0, 0, 0])],
)
def test_a_network_whose_map_is_known_by_hand(class_name, corners):
    gray = np.zeros((64, 64), np.uint8)
    gray[:32, :32] = 255
    toy = SimpleNamespace(network=Toy(), preprocess=Preprocess(size=64), device=torch.device("cpu"))
    heat = Explainer(toy)(gray, class_name)
    assert heat[[2, 2, 61, 61], [2, 61, 2, 61]] == pytest.approx(corners, abs=1e-6)


def test_a_mirrored_image_has_the_mirrored_map(predictor, mirrored_predictor, gray):
    straight = Explainer(predictor)(gray, "malignant")
    mirrored = Explainer(mirrored_predictor)(np.ascontiguousarray(gray[:, ::-1]), "malignant")
    assert np.abs(straight - mirrored[:, ::-1]).max() < 1e-3


def test_explaining_does_not_change_predictions(predictor, gray):
    before = predictor(gray)
    Explainer(predictor)(gray, "benign")
    after = predictor(gray)
    assert (before.class_logits == after.class_logits).all()
    assert not any(p.requires_grad or p.grad is not None for p in predictor.network.parameters())


def test_an_unknown_class_is_refused(predictor, gray):
    with pytest.raises(ValueError, match="'cyst'.*benign, malignant, normal"):
        Explainer(predictor)(gray, "cyst")
