"""An image set trains a network; every epoch is kept and can be resumed.

The averaged weights are validated, saved and used; the settings are in `recipe`. The last epoch counts: to pick the
best one would be to look at the validation images.
"""

import ctypes
import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from busi_model import interrupts
from busi_model.model.network import MultiTaskUNet, choose_device, native_bfloat16
from busi_model.model.preprocess import TONES, Preprocess
from busi_model.training.fitting import distributed, run_state
from busi_model.training.fitting.augment import Augmenter, Draws
from busi_model.training.fitting.dataset import ImageSet
from busi_model.training.fitting.history import validate
from busi_model.training.fitting.loss import class_weights, denominators, multi_task_loss
from busi_model.training.fitting.recipe import RunError, TrainConfig, shares

STATEFUL = ("network", "averaged", "optimizer", "schedule")  # what a run is resumed from, of `Trainer`
STEPS_A_FIGURE = 10  # between two updates of the losses shown: each makes the host wait for the GPU


class Trainer:
    """One run in one folder: `fit()` starts or resumes it and returns the averaged network."""

    def __init__(
        self,
        config: TrainConfig,
        train: ImageSet,
        folder: str | os.PathLike,
        device: str = "auto",
        start: MultiTaskUNet | None = None,
    ):
        """An epoch shows each hospital's share of images (`shares`), drawn without repeats until all were seen, so
        that no hospital drowns the others.
        start: network to go on from; without one, an encoder from ImageNet and random weights elsewhere."""
        if not len(train):
            raise RunError("The training split holds no images.")
        self.config, self.train, self.folder = config, train, Path(folder)
        self.device = torch.device(choose_device(device))
        self.preprocess = self.preprocess_for(config)
        torch.manual_seed(config.seed)
        network = MultiTaskUNet(config.encoder, dropout=config.dropout)
        if start is None:
            network.encoder.load_imagenet()
        else:
            network.load_state_dict(start.state_dict())
        self.network = network.to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch's stubs lack it
        self.averaged = AveragedModel(self.network, multi_avg_fn=_ema(config.ema), use_buffers=True)
        self.parallel = distributed.parallel(self.network, self.device)
        torch.backends.cudnn.benchmark = self.device.type == "cuda"  # few sizes, many steps: trying pays
        self.augment = Augmenter(config.size, seed=config.seed)
        self.bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and native_bfloat16(self.device))
        self.members = [(train.hospital_numbers == h).nonzero()[:, 0] for h in range(len(train.hospitals))]
        self.shown = shares([len(m) for m in self.members], config.epoch_images or len(train), config.balance)
        rates = torch.zeros(len(train))
        for members, shown in zip(self.members, self.shown, strict=True):
            rates[members] = shown / len(members)
        self.class_weights = class_weights(train.labels, rates).to(self.device)
        shown = sum(self.shown)
        self.steps = max(1, shown // config.batch)
        if min(shown, config.batch) < distributed.count():
            raise RunError(
                f"{distributed.count()} processes cannot share a batch of {min(shown, config.batch)}. "
                "Raise --batch, or start fewer with --nproc_per_node."
            )
        self.optimizer = torch.optim.AdamW(self._parameter_groups(), fused=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            [group["lr"] for group in self.optimizer.param_groups],
            total_steps=self.steps * config.epochs,
            pct_start=0.15,
        )
        self.history: list[dict] = []

    @staticmethod
    def preprocess_for(config: TrainConfig) -> Preprocess:
        return Preprocess(size=config.size, tones=TONES)

    def describe_device(self) -> str:
        processes = f", {distributed.count()} processes" if distributed.count() > 1 else ""
        return f"{self.device.type}, {'bfloat16' if self.bfloat16 else 'float32'}{processes}"

    @property
    def averaged_network(self) -> MultiTaskUNet:
        return cast(MultiTaskUNet, self.averaged.module)

    def _parameter_groups(self) -> list[dict]:
        groups = []
        encoder = {id(p) for p in self.network.encoder.parameters()}
        for in_encoder in (True, False):
            for decay in (True, False):
                lr = self.config.lr * (self.config.encoder_lr if in_encoder else 1.0)
                members = [
                    p for p in self.network.parameters() if (id(p) in encoder) == in_encoder and (p.ndim > 1) == decay
                ]
                groups.append({"params": members, "lr": lr, "weight_decay": self.config.weight_decay * decay})
        return groups

    def fit(self, validation: ImageSet | None = None, after_epoch: Callable[[], None] | None = None) -> MultiTaskUNet:
        """Train to the last epoch, from the folder's checkpoint if it holds one of this same run.

        after_epoch: called by the first process when an epoch is kept."""
        _keep_freed_memory()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        total = self.config.epochs * self.steps
        with tqdm(
            total=total,
            initial=len(self.history) * self.steps,
            desc="training",
            unit="step",
            mininterval=5.0,
            disable=not distributed.is_first(),
        ) as progress:
            for epoch in range(len(self.history), self.config.epochs):
                row = {"epoch": epoch + 1, **self._epoch(epoch, progress)}
                if validation is not None and len(validation) and distributed.is_first():
                    how = (self.preprocess, self.device, self.bfloat16, self.config, self.class_weights)
                    row |= validate(self.averaged_network, validation, *how)
                self.history.append(row)
                if distributed.is_first():
                    self._save()
                    if after_epoch:
                        after_epoch()
                    progress.write("  ".join(f"{k} {v:.4g}" for k, v in row.items()))
        return self.averaged_network

    def _order(self, epoch: int, generator: torch.Generator) -> Tensor:
        """Indices of the images of one epoch, the hospitals evenly mixed: every batch sees all of them."""
        windows, places = [], []
        for number, (members, shown) in enumerate(zip(self.members, self.shown, strict=True)):
            n = len(members)
            # The epoch's window of an endless sequence of shuffles, the same whether resumed or not.
            first, last = epoch * shown // n, ((epoch + 1) * shown - 1) // n
            seeds = [self.config.seed + 7919 * (i + 1) + 104_729 * number for i in range(first, last + 1)]
            shuffles = [torch.randperm(n, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
            windows.append(members[torch.cat(shuffles)[epoch * shown - first * n :][:shown]])
            places.append((torch.arange(shown) + torch.rand(1, generator=generator)) / shown)
        return torch.cat(windows)[torch.cat(places).argsort(stable=True)]

    def _to_device(self, tensor: Tensor) -> Tensor:
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()  # only from there a copy runs beside the computation
        return tensor.to(self.device, non_blocking=True)

    def _epoch(self, epoch: int, progress: tqdm) -> dict[str, float]:
        # Seeded by epoch, so that a resumed run draws what an uninterrupted one would have drawn.
        generator = torch.Generator().manual_seed(self.config.seed * 100_003 + epoch)
        torch.manual_seed((self.config.seed + 7919 * distributed.rank()) * 100_003 + epoch)  # dropout is each one's own
        self.network.train()
        order, size = self._order(epoch, generator), self.config.size_in(epoch)
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        augment_s, started = 0.0, time.perf_counter()
        for step in range(self.steps):
            interrupts.check()
            batch = order[step * self.config.batch : (step + 1) * self.config.batch]
            own = distributed.own_share(len(batch))
            indices = batch[own]
            before = time.perf_counter()
            images, masks = (self._to_device(t[indices]) for t in (self.train.images, self.train.masks))
            draws = Draws(generator, len(batch), own)
            others = self._to_device(self.train.images[draws.below(len(self.train))])
            image, mask = self.augment(images, masks, draws, size, others)
            x = self.preprocess.normalise(image).contiguous(memory_format=torch.channels_last)
            augment_s += time.perf_counter() - before
            label = self._to_device(self.train.labels[indices])
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
                output = self.parallel(x)
            means_over = denominators(mask, label, self.class_weights)
            loss, parts = multi_task_loss(
                output,
                mask,
                label,
                self.class_weights,
                self.config.class_loss,
                self.config.smoothing,
                self.config.mask_loss,
                means_over / distributed.total(means_over).clamp(min=1e-6),
            )
            self.optimizer.zero_grad(set_to_none=True)
            (loss * distributed.count()).backward()  # the processes' gradients are averaged, but their losses add up
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
            self.optimizer.step()
            self.schedule.step()
            self.averaged.update_parameters(self.network)
            sums = sums + distributed.total(torch.stack(list(parts.values())).double())
            if step % STEPS_A_FIGURE == 0:
                shown = (sums / (step + 1)).tolist()
                progress.set_postfix({k: f"{v:.3f}" for k, v in zip(parts, shown, strict=True)}, refresh=False)
            progress.update()
        means = {f"train_{k}": v for k, v in zip(parts, (sums / self.steps).tolist(), strict=True)}
        seconds = time.perf_counter() - started
        return means | {"seconds": seconds, "augment_share": augment_s / seconds}

    def _run_identity(self) -> dict:
        names = [f"{c.hospital}/{c.case_id}" for c in self.train.cases]
        return {**dataclasses.asdict(self.config), "cases": names}

    def _save(self) -> None:
        parts = {name: getattr(self, name).state_dict() for name in STATEFUL}
        run_state.save(self.folder, {"identity": self._run_identity(), **parts, "history": self.history})

    def _resume(self) -> None:
        there = run_state.there(self.folder)
        if not distributed.all_equal(there, self.device):
            raise RunError(f"Not all processes see {run_state.FILE} in {self.folder}. Give --out one that all share.")
        if not there:
            return
        state = run_state.load(self.folder, self._run_identity(), self.device)
        for name in STATEFUL:
            getattr(self, name).load_state_dict(state[name])
        self.history = state["history"]


def _keep_freed_memory() -> None:
    """Ask glibc to reuse large buffers: handing each back to the kernel costs a sixth of a training step. Not for the
    page or the command line: there, what one large picture took would never be given back."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD, in bytes
        libc.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD
    except (OSError, AttributeError):
        pass  # not glibc: other systems' allocators have no such switch


Tensors = tuple[Tensor, ...] | list[Tensor]


def _ema(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    def update(averaged: Tensors, current: Tensors, n_averaged: Tensor | int) -> None:
        if not averaged[0].is_floating_point():
            torch._foreach_copy_(averaged, current)
            return
        n = int(n_averaged)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))  # young averages forget faster

    return update
