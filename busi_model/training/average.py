"""Networks trained from one start become one: the mean of their weights.

Fine-tuned from the same network they lie in one valley of the loss, and their mean can generalise better than each, at
the cost of one (Wortsman et al., "Model soups", ICML 2022). So the mean of a cross-validation's networks has learned
from all images, although each left some out. Its class logits come out smaller: docs/experiments.md has the figures.
"""

import copy

import torch

from busi_model.network import MultiTaskUNet


@torch.no_grad()
def mean_network(networks: list[MultiTaskUNet]) -> MultiTaskUNet:
    """Networks of one shape, batch norms' running figures included -> a new one. Raises ValueError for other shapes."""
    if len({str(network.arguments) for network in networks}) != 1:
        shapes = "; ".join(str(network.arguments) for network in networks)
        raise ValueError(f"Only networks of one shape have a mean; found: {shapes}.")
    mean = copy.deepcopy(networks[0])
    others = [network.state_dict() for network in networks]
    for name, value in mean.state_dict().items():
        stacked = torch.stack([other[name] for other in others])
        value.copy_(stacked.mean(dim=0) if value.is_floating_point() else stacked[0])
    return mean
