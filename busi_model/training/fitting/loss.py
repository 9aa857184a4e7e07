"""Logits and truth go in, one number to minimise comes out, with its parts by name for the progress line."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from busi_model.model.network import NetworkOutput
from busi_model.names import CLASS_NAMES


def class_weights(labels: Tensor, rates: Tensor | None = None) -> Tensor:
    """Class numbers (N,) of the training split -> weights (3,): total / (classes present * count), 0 if absent.

    rates (N,): how often an epoch shows each image, 1 if not given; the counts are of images shown.
    """
    rates = torch.ones(len(labels)) if rates is None else rates
    counts = torch.bincount(labels, weights=rates, minlength=len(CLASS_NAMES)).float()
    present = counts > 0
    return torch.where(present, counts.sum() / (present.sum() * counts.clamp(min=1e-6)), 0.0)


def soft_dice_loss(mask_logits: Tensor, mask: Tensor) -> Tensor:
    """1 - Dice of probabilities against coverage, (N, 1, H, W) both -> mean over the images that hold a lesion.

    Milletari et al., 3DV 2016. Normal images are left to the cross-entropy: Dice of an empty mask is undefined.
    Without a lesion in the batch the loss is 0.
    """
    probability = mask_logits.sigmoid().flatten(1)
    truth = mask.flatten(1)
    overlap = (probability * truth).sum(dim=1)
    dice = 2 * overlap / (probability.sum(dim=1) + truth.sum(dim=1)).clamp(min=1e-6)
    lesion = truth.sum(dim=1) > 0
    return ((1 - dice) * lesion).sum() / lesion.sum().clamp(min=1)


def multi_task_loss(
    output: NetworkOutput,
    mask: Tensor,
    label: Tensor,
    weights: Tensor,
    class_share: float,
    smoothing: float,
    mask_share: float = 1.0,
    parts_share: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """mask_share * (pixel cross-entropy + soft Dice) + class_share * weighted class cross-entropy.

    mask (N, 1, S, S), label (N,). A share of 0 trains the other task alone. parts_share (3,): when the images are a
    part of a batch, their share of each of `denominators`; the losses of all parts then add up to the batch's.
    """
    parts = {
        "bce": F.binary_cross_entropy_with_logits(output.mask_logits, mask),
        "dice": soft_dice_loss(output.mask_logits, mask),
        "class": F.cross_entropy(output.class_logits, label, weights, label_smoothing=smoothing),
    }
    if parts_share is not None:
        parts = {name: part * share for (name, part), share in zip(parts.items(), parts_share, strict=True)}
    total = mask_share * (parts["bce"] + parts["dice"]) + class_share * parts["class"]
    return total, {name: part.detach() for name, part in parts.items()}


def denominators(mask: Tensor, label: Tensor, weights: Tensor) -> Tensor:
    """What the parts of `multi_task_loss` are means over: images, images with a lesion, class weights -> (3,)."""
    lesions = mask.flatten(1).sum(dim=1) > 0
    return torch.stack([torch.ones_like(lesions).float().sum(), lesions.float().sum(), weights[label].sum()])


def label_numbers(class_names: Iterable[str]) -> Tensor:
    """Class names -> int64 (N,) in the order of CLASS_NAMES."""
    return torch.tensor([CLASS_NAMES.index(name) for name in class_names])
