"""One network trained by several processes: `torchrun --nproc_per_node=N train.py ...`.

The batch of the recipe is the batch of all processes together, and each takes its own share of it. Gradients, norm
statistics and loss figures are those of the whole batch, so N changes the speed of a run and not its result. One
process alone is the case N = 1: nothing is exchanged then.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(hours=2)  # the others wait for as long while the first process evaluates a fold


@contextmanager
def joined(device: str = "auto") -> Iterator[None]:
    """Join the processes that torchrun started, for as long as the block runs. device: auto, cpu or cuda."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    cuda = device != "cpu" and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # from here on "cuda" means this one
    dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def count() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this process is the one that writes files and speaks to the user."""
    return rank() == 0


def own_share(n: int) -> slice:
    """Which of n images of a batch are this process's; the shares differ by one image at most."""
    return slice(rank() * n // count(), (rank() + 1) * n // count())


def total(tensor: Tensor) -> Tensor:
    """The sum over all processes, without gradient; the tensor itself when there is one process."""
    if count() == 1:
        return tensor
    tensor = tensor.detach().clone()
    dist.all_reduce(tensor)
    return tensor


def all_equal(number: int, device: torch.device | str) -> bool:
    """Whether every process holds the same number."""
    own = torch.tensor([number, -number], device=device)
    if count() > 1:
        dist.all_reduce(own, dist.ReduceOp.MAX)
    return bool(own[0] == -own[1])


def parallel(network: nn.Module, device: torch.device) -> nn.Module:
    """What to call for training: norms see the whole batch (replaced inside `network`), and `backward` leaves the
    mean over all processes of the gradients in every process."""
    if count() == 1:
        return network
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)
    else:
        _replace_norms(network)
    return DistributedDataParallel(network, forward_sync_buffers=False)  # the buffers are equal by themselves


def _replace_norms(network: nn.Module) -> None:
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                synchronised = SyncBatchNorm2d(child.num_features, child.eps, child.momentum)
                synchronised.load_state_dict(child.state_dict())
                setattr(module, name, synchronised)


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the images of all processes, on any device; torch's own SyncBatchNorm runs on GPUs only."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        values = x.float()  # bfloat16 sums of a million pixels would be wrong
        pixels = _Total.apply(values.new_tensor([x.numel() / x.shape[1]]))
        mean = _Total.apply(values.sum(dim=(0, 2, 3))) / pixels  # (C,)
        centred = values - mean.view(1, -1, 1, 1)
        variance = _Total.apply(centred.square().sum(dim=(0, 2, 3))) / pixels
        with torch.no_grad():
            momentum = cast(float, self.momentum)  # as all buffers, there unless a norm was asked for without
            cast(Tensor, self.num_batches_tracked).add_(1)
            cast(Tensor, self.running_mean).lerp_(mean, momentum)
            cast(Tensor, self.running_var).lerp_(variance * pixels / (pixels - 1), momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)


class _Total(torch.autograd.Function):
    """The sum over all processes; what each process's loss asks of it is summed as well."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return total(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return total(gradient)
