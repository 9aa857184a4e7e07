"""Normalised gray images go in, logits come out: one encoder, a decoder for the outline, a head for the class.

The decoder is a U-Net (Ronneberger et al., MICCAI 2015); the encoder stands in `encoder`. The class head sees the
deepest features and, pooled under the outline that the decoder found, the features of the lesion itself: a class
without a lesion to point at is a guess. And where it runs: the device, the threads, fewer passes over the maps.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from busi_model.errors import UserError
from busi_model.model.encoder import LiteEncoder, conv_bn
from busi_model.names import CLASS_NAMES


class NetworkOutput(NamedTuple):
    """Logits, of which `Predictor` makes probabilities, and the features by which `OodDetector` knows a picture."""

    mask_logits: Tensor  # (N, 1, S, S)
    class_logits: Tensor  # (N, 3), in the order of CLASS_NAMES
    features: Tensor  # (N, C), the encoder's deepest, averaged over the image


class DecoderBlock(nn.Module):
    """Upsample twofold, join the skip, two 3x3 convolutions."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int):
        super().__init__()
        self.convs = nn.Sequential(
            conv_bn(in_channels + skip_channels, out_channels, kernel=3),
            conv_bn(out_channels, out_channels, kernel=3),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = torch.cat([x, skip], dim=1)  # (N, C + C_skip, 2H, 2W)
        return self.convs(x)


class ClassHead(nn.Module):
    """Class logits from the whole image, from the lesion, and from how much lesion there is."""

    def __init__(self, deep_channels: int, middle_channels: int, fine_channels: int, hidden: int, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(2 * deep_channels + middle_channels + fine_channels + 2, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, len(CLASS_NAMES)),
        )

    def forward(self, deep: Tensor, middle: Tensor, fine: Tensor, mask_logits: Tensor) -> Tensor:
        # Detached: the class may read the outline, never bend it.
        probability = mask_logits.detach().float().sigmoid()  # (N, 1, S/2, S/2)
        evidence = [
            deep.mean(dim=(2, 3)),
            deep.amax(dim=(2, 3)),
            _pool_under(middle, probability),
            _pool_under(fine, probability),
            probability.mean(dim=(2, 3)),
            probability.amax(dim=(2, 3)),
        ]
        return self.layers(torch.cat([e.to(deep.dtype) for e in evidence], dim=1))


def _pool_under(features: Tensor, probability: Tensor) -> Tensor:
    """Mean of features (N, C, H, W) weighted by the outline's probability -> (N, C); near 0 without a lesion."""
    weight = F.adaptive_avg_pool2d(probability, (features.shape[-2], features.shape[-1])).to(features.dtype)
    pixels = weight.sum(dim=(2, 3)) + 1.0  # one pixel of prior: no lesion gives 0, not a noisy ratio
    return (features * weight).sum(dim=(2, 3)) / pixels


class MultiTaskUNet(
    nn.Module,
    PyTorchModelHubMixin,
    license="apache-2.0",
    pipeline_tag="image-segmentation",
    tags=["breast-ultrasound", "medical"],
):
    """One encoder, a U-Net decoder for the outline, a head for the class.

    `forward` takes float (N, 1, S, S), normalised as `Preprocess` does, S a multiple of 32, and returns
    `NetworkOutput`. Construction gives random weights; call
    `encoder.load_imagenet()` before training or `from_pretrained(folder)` for use.
    """

    def __init__(
        self,
        encoder: str = "lite0",
        decoder_channels: tuple[int, ...] = (96, 64, 32, 16),  # at strides 16, 8, 4, 2
        class_hidden: int = 128,
        dropout: float = 0.3,
    ):
        super().__init__()
        self.arguments = {  # what `checkpoint` writes to config.json and `from_pretrained` reads there
            "encoder": encoder,
            "decoder_channels": list(decoder_channels),
            "class_hidden": class_hidden,
            "dropout": dropout,
        }
        self.encoder = LiteEncoder(encoder)
        stride2, stride4, stride8, stride16, stride32 = self.encoder.channels
        skips = (stride16, stride8, stride4, stride2)
        inputs = (stride32, *decoder_channels[:-1])
        self.decoder = nn.ModuleList(
            DecoderBlock(i, s, o) for i, s, o in zip(inputs, skips, decoder_channels, strict=True)
        )
        self.mask_head = nn.Conv2d(decoder_channels[-1], 1, 1)
        self.class_head = ClassHead(stride32, stride16, decoder_channels[2], class_hidden, dropout)

    def forward(self, x: Tensor) -> NetworkOutput:
        if x.ndim != 4 or x.shape[1] != 1 or x.shape[2] % 32 or x.shape[3] % 32:
            raise ValueError(f"Input is {tuple(x.shape)}; (N, 1, S, S) with S a multiple of 32 is expected.")
        *skips, deep = self.encoder(x)
        decoded = []
        y = deep
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            y = block(y, skip)
            decoded.append(y)
        half_logits = self.mask_head(y)  # (N, 1, S/2, S/2)
        class_logits = self.class_head(deep, skips[3], decoded[2], half_logits)
        mask_logits = F.interpolate(half_logits.float(), scale_factor=2.0, mode="bilinear", align_corners=False)
        return NetworkOutput(mask_logits, class_logits.float(), deep.mean(dim=(2, 3)).float())


def count_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def count_multiply_adds(network: nn.Module, size: int = 256) -> int:
    """Multiply-adds of the convolutions and linear layers for one (1, 1, size, size) image."""
    from torch.utils.flop_counter import FlopCounterMode

    training = network.training
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, size, size, device=next(network.parameters()).device))
    network.train(training)
    return counter.get_total_flops() // 2  # torch counts a multiply and an add apart


def fold_for_inference(network: nn.Module) -> None:
    """Fold every batch norm into the convolution before it, and every one-sided padding into its kernel, in place:
    the same function with fewer passes over the maps."""
    for module in network.modules():
        if not isinstance(module, nn.Sequential):
            continue
        conv, bn, pad = (getattr(module, name, None) for name in ("conv", "bn", "pad"))
        if isinstance(conv, nn.Conv2d) and isinstance(bn, nn.BatchNorm2d):
            module.conv, module.bn = fuse_conv_bn_eval(conv, bn), nn.Identity()
            if isinstance(pad, nn.ZeroPad2d):
                module.conv, module.pad = _with_padding(module.conv, *pad.padding[:2]), nn.Identity()


def _with_padding(conv: nn.Conv2d, before: int, after: int) -> nn.Conv2d:
    """A convolution that pads by itself: zeros in front of the kernel make up for padding both sides alike."""
    conv.weight = nn.Parameter(F.pad(conv.weight, (after - before, 0) * 2), requires_grad=False)
    conv.kernel_size, conv.padding = tuple(conv.weight.shape[-2:]), (after, after)
    return conv


class DeviceError(UserError, ValueError):
    """A device that this machine does not have: what was asked for, what there is."""


def choose_device(device: str = "auto") -> str:
    """auto, cpu, cuda, cuda:N or mps, in any case -> what torch calls it. Raises DeviceError where there is none."""
    name = str(device).strip().lower()
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu" or (name == "mps" and torch.backends.mps.is_available()):
        return name
    n_cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (name == "cuda" and n_cards) or name in (f"cuda:{number}" for number in range(n_cards)):
        return name
    cards = ", ".join(f"cuda:{number}" for number in range(n_cards))
    has = f"{cards} and the CPU" if cards else "no CUDA device that PyTorch can use, only the CPU"
    if name != "mps" and name.split(":")[0] != "cuda":
        raise DeviceError(f"The device is {device!r}; auto, cpu or cuda is expected. This machine has {has}.")
    raise DeviceError(f"The device {device!r} is not there: this machine has {has}. Use --device auto or cpu.")


def native_bfloat16(device: torch.device) -> bool:
    """Whether the device computes bfloat16 itself; elsewhere float32 is quicker."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def use_one_thread() -> None:
    """From now on, in this process: for processes that share the cores among themselves."""
    torch.set_num_threads(1)
