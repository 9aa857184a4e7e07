"""The recipe: every setting of a training run, with its unit or reason.

AdamW with one cycle of warm-up and decay, an ImageNet encoder at a lower rate than the rest, small squares first,
bfloat16 where the machine has it, gradient clipping, and an exponential moving average of the weights. `fit` carries it
out.
"""

from dataclasses import dataclass

import numpy as np

from busi_model.errors import UserError


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a training run; the flags of train.py are these fields."""

    epochs: int = 24  # the last one is kept
    epoch_images: int = 0  # shown in an epoch, of all hospitals together; 0: as many as there are
    balance: float = 0.5  # a hospital's share of them goes by its number of images to this power; 0: all alike
    size: int = 256  # side of the network's square in pixels, a multiple of 32
    start_size: float = 0.625  # share of size in the first half of the epochs; half-way to size in the third quarter
    encoder: str = "lite0"  # lite0, lite1 or lite2
    batch: int = 8  # images a step, of all processes together
    lr: float = 1e-3  # AdamW peak, after 15 % warm-up
    encoder_lr: float = 0.3  # share of lr for the encoder, which starts from ImageNet
    weight_decay: float = 0.02  # on matrices and kernels, not on biases and norms
    ema: float = 0.998  # decay a step of the averaged weights: a memory of about 500 steps
    clip: float = 5.0  # largest gradient norm
    class_loss: float = 0.5  # weight of the class cross-entropy beside pixel cross-entropy + Dice; 0: outline only
    mask_loss: float = 1.0  # weight of pixel cross-entropy + Dice; 0: class only, for the ablation
    smoothing: float = 0.05  # of class labels: in BUSI one picture can carry two of them
    dropout: float = 0.3  # in the class head
    seed: int = 0  # of weights, order, augmentation
    precision: str = "auto"  # bfloat16, float32, or auto: bfloat16 where the machine computes it natively

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2:
            raise ValueError(f"epochs is {self.epochs} and batch {self.batch}; at least 1 and 2 are expected.")
        if not 0 < self.start_size <= 1:
            raise ValueError(f"start_size is {self.start_size}; a share of size in (0, 1] is expected.")
        if not 0 <= self.balance <= 1 or self.epoch_images < 0:
            found = f"balance is {self.balance} and epoch_images {self.epoch_images}"
            raise ValueError(f"{found}; a power from 0 to 1, and 0 or more images are expected.")
        if self.precision not in ("auto", "bfloat16", "float32"):
            raise ValueError(f"precision is {self.precision!r}; auto, bfloat16 or float32 is expected.")

    def size_in(self, epoch: int) -> int:
        """Side in pixels, a multiple of 32, in an epoch counted from 0: small in the first half of the epochs,
        half-way to `size` in the third quarter, `size` in the last. Small squares cost little and teach the coarse
        things (progressive learning: Tan & Le, EfficientNetV2, ICML 2021).
        """
        quarter = 4 * epoch // self.epochs
        share = (self.start_size, self.start_size, (1 + self.start_size) / 2, 1.0)[quarter]
        return max(32, int(share * self.size) // 32 * 32)


def shares(sizes: list[int], total: int, balance: float) -> list[int]:
    """Images of each hospital -> how many of each an epoch of `total` shows, by size ** balance; at least one."""
    weights = np.array(sizes, float) ** balance
    return [max(1, round(total * w / weights.sum())) for w in weights]


class RunError(UserError, RuntimeError):
    """A run folder that cannot be continued: what was found, what to do."""
