import pytest
import torch

from busi_model.network import MultiTaskUNet
from busi_model.training.average import mean_network


def test_the_mean_is_of_weights_and_of_running_figures():
    networks = [MultiTaskUNet() for _ in range(3)]
    for number, network in enumerate(networks):
        network.mask_head.bias.data.fill_(float(number))  # 0, 1, 2: their mean is 1
        network.encoder.stem.bn.running_var.fill_(number + 2.0)  # 2, 3, 4
    mean = mean_network(networks)
    assert mean.mask_head.bias.item() == 1.0
    torch.testing.assert_close(mean.encoder.stem.bn.running_var, torch.full((32,), 3.0))
    assert networks[0].mask_head.bias.item() == 0.0  # they stay as they were


def test_networks_of_other_shapes_have_no_mean():
    with pytest.raises(ValueError, match="one shape"):
        mean_network([MultiTaskUNet("lite0"), MultiTaskUNet("lite1")])
