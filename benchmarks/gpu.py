"""A CUDA card: does it answer as the CPU does, how fast is it, what does it hold, and what when it is full?

`python -m benchmarks --only gpu`. Enters: weights. Leaves: tables, as the other benchmarks; an error where the card's
answers differ from the CPU's by more than TOLERANCE, or a full card does not hand over to the CPU.
"""

import contextlib

import numpy as np
import torch

from benchmarks import training
from benchmarks.measure import median_ms, table
from busi_model.names import CLASS_NAMES
from busi_model.phantom import draw_phantom
from busi_model.predict import Prediction, Predictor

TOLERANCE = 1e-3  # of any probability
N_PICTURES = 24
BATCHES = (1, 8, 32)


class GpuError(RuntimeError):
    """What was found, what was expected, what to do."""


def run(weights) -> list[dict]:
    if not torch.cuda.is_available():
        raise GpuError("PyTorch sees no CUDA card here. Run this on a machine with one, with PyTorch's CUDA build.")
    cpu, card = Predictor.load(weights, "cpu"), Predictor.load(weights, "cuda")
    grays = pictures(N_PICTURES)
    expected = cpu.predict_many(grays)
    rows = []
    for words, tf32 in (("as it runs", torch.backends.cudnn.allow_tf32), ("TF32 off", False)):
        with _tf32(tf32):
            rows.append([words, *differences(expected, card.predict_many(grays))])
    equal = table(
        "The card against the CPU",
        ["convolutions", "largest difference of a class probability", "of a pixel's", "pixels on the other side"],
        rows,
        f"{N_PICTURES} synthetic pictures; {TOLERANCE} is allowed.",
    )
    if max(rows[0][1:3]) > TOLERANCE:
        raise GpuError(f"The card's answers differ by {max(rows[0][1:3]):.2g}; {TOLERANCE} is allowed. {rows}")
    rates = table(
        "Pictures a second",
        ["pictures at once", "card", "CPU", "card's memory, MiB"],
        [[n, rate(card, grays, n), rate(cpu, grays, n), _memory_mib(card, grays, n)] for n in BATCHES],
        "From gray levels to Predictions; the memory is the most that PyTorch held.",
    )
    full = table(
        "A full card",
        ["judged by the CPU", "largest difference", "next picture by the card again"],
        [hand_over(card, expected[:1], grays[:1], _full_card())],
        "This process may take no more memory of the card; the answer must come all the same.",
    )
    return [equal, rates, full, *training.run(weights)]


def pictures(n: int) -> list[np.ndarray]:
    """Synthetic pictures, uint8 (H, W), of several sizes."""
    return [draw_phantom(CLASS_NAMES[i % 3], i, 300 + 40 * (i % 4), 400 + 30 * (i % 5))[0] for i in range(n)]


def differences(expected: list[Prediction], found: list[Prediction]) -> tuple[float, float, float]:
    """Largest difference of a class probability and of a pixel's, share of pixels on the other side of the outline."""
    pairs = list(zip(expected, found, strict=True))
    classes = max(abs(a.class_probabilities[c] - b.class_probabilities[c]) for a, b in pairs for c in CLASS_NAMES)
    pixels = max(float(np.abs(a.mask_probability - b.mask_probability).max()) for a, b in pairs)
    return classes, pixels, float(np.mean([np.mean(a.mask != b.mask) for a, b in pairs]))


def rate(predictor: Predictor, grays: list[np.ndarray], at_once: int) -> float:
    """Pictures a second."""
    batch = [grays[i % len(grays)] for i in range(at_once)]
    return 1000 * at_once / median_ms(lambda: predictor.predict_many(batch), repeats=9)


def hand_over(card: Predictor, expected, grays, full) -> list:
    """full: context in which the card has no memory. Returns yes, difference, yes; raises GpuError otherwise."""
    with full:
        found = card.predict_many(grays)
    if not any(notice.code == "on_cpu" for notice in found[0].warnings):
        raise GpuError(
            "With a full card the answer does not say that the CPU gave it: it was not full, or not noticed."
        )
    _, difference, _ = differences(expected, found)
    again = card.predict_many(grays)
    if any(notice.code == "on_cpu" for notice in again[0].warnings):
        raise GpuError("The card is free again, but the CPU still answers.")
    return ["yes", difference, "yes"]


@contextlib.contextmanager
def _full_card():
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@contextlib.contextmanager
def _tf32(allowed):
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _memory_mib(card, grays, at_once):
    torch.cuda.reset_peak_memory_stats()
    card.predict_many([grays[i % len(grays)] for i in range(at_once)])
    return torch.cuda.max_memory_allocated() / 2**20
