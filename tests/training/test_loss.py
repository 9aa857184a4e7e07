import math

import pytest
import torch

from busi_model.model.network import NetworkOutput
from busi_model.training.fitting.loss import class_weights, label_numbers, multi_task_loss, soft_dice_loss


def _logit(p):
    return math.log(p / (1 - p))


def test_soft_dice_by_hand():
    logits = torch.full((1, 1, 2, 2), _logit(0.5))
    mask = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    # overlap 0.5, sums 2 and 1: Dice = 2 * 0.5 / 3
    assert soft_dice_loss(logits, mask).item() == pytest.approx(1 - 1 / 3)


def test_soft_dice_leaves_normal_images_out():
    logits = torch.full((2, 1, 2, 2), _logit(0.5))
    mask = torch.zeros(2, 1, 2, 2)
    mask[0, 0, 0, 0] = 1
    assert soft_dice_loss(logits, mask).item() == pytest.approx(1 - 1 / 3)
    assert soft_dice_loss(logits[1:], mask[1:]).item() == 0


def test_class_weights_by_hand():
    weights = class_weights(label_numbers(["benign"] * 6 + ["malignant"] * 3 + ["normal"]))
    torch.testing.assert_close(weights, torch.tensor([10 / 18, 10 / 9, 10 / 3]))


def test_class_weights_count_what_is_shown():
    labels = label_numbers(["benign", "benign", "malignant", "normal"])
    weights = class_weights(labels, torch.tensor([0.5, 0.5, 1.0, 1.0]))
    torch.testing.assert_close(weights, torch.ones(3))


def test_an_absent_class_weighs_nothing():
    weights = class_weights(label_numbers(["benign", "malignant"]))
    torch.testing.assert_close(weights, torch.tensor([1.0, 1.0, 0.0]))


def test_total_is_the_sum_of_its_parts_and_a_perfect_answer_costs_nothing():
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, 0, :2] = 1
    label = torch.tensor([1, 2])
    perfect = NetworkOutput((mask * 2 - 1) * 40, torch.nn.functional.one_hot(label, 3) * 40.0, torch.zeros(2, 1))
    total, _ = multi_task_loss(perfect, mask, label, torch.ones(3), class_share=0.5, smoothing=0.0)
    assert total.item() == pytest.approx(0, abs=1e-5)
    guess = NetworkOutput(torch.zeros(2, 1, 4, 4), torch.zeros(2, 3), torch.zeros(2, 1))
    total, parts = multi_task_loss(guess, mask, label, torch.ones(3), class_share=0.5, smoothing=0.0)
    assert parts["bce"].item() == pytest.approx(math.log(2))
    assert parts["class"].item() == pytest.approx(math.log(3))
    assert total.item() == pytest.approx((parts["bce"] + parts["dice"] + 0.5 * parts["class"]).item())
