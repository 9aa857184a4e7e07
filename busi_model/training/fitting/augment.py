"""A batch of letterboxed images and masks is varied as ultrasound varies: probe, view, gain, depth, machine, marks.

Image and mask move together in one resampling; intensities change in the image alone. Everything works on batched
tensors, on CPU or GPU, and draws from the generator that it is given. Burned-in calipers, text and pictograms are
drawn on all classes at one rate: in BUSI they stand on 40 % of benign and 6 % of normal images, and a
classifier would read them instead of the tissue.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from busi_model.training.fitting.drawn_marks import draw_marks

DARK = 0.08  # share of full white under which brightness is added only in part
TONES = 33  # points of a tone curve
QUANTILE_STEP = 31  # every 31st pixel tells the distribution of gray levels


@dataclass(frozen=True)
class AugmentConfig:
    """Ranges are half-widths around no change; probabilities are per image."""

    rotation_deg: float = 15.0
    zoom: float = 0.35  # log scale: exp(-0.35) = 0.70 to exp(0.35) = 1.42
    aspect: float = 0.15  # log ratio of width to height
    shift: float = 0.12  # share of the side
    gamma: float = 0.4  # log
    contrast: float = 0.3  # log
    brightness: float = 0.12  # share of full white
    speckle: float = 0.15  # standard deviation of the multiplicative noise, at most
    shading: float = 0.35  # log gain from top to bottom and from left to right, at most
    blur_probability: float = 0.25
    mix_probability: float = 0.5  # of another image's appearance (`_mix`)
    narrow_probability: float = 0.5  # of a narrower field of view
    marks_probability: float = 0.35


@dataclass(frozen=True)
class Draws:
    """Random numbers for each of the n images of a batch, of which only those of `own` are handed out: an image
    looks the same whether one process augments the batch or several share it."""

    generator: torch.Generator
    n: int
    own: slice

    def share(self) -> Tensor:
        """One number an image, uniform in [0, 1)."""
        return torch.rand(self.n, generator=self.generator)[self.own]

    def around_zero(self, half_width: float) -> Tensor:
        return (self.share() * 2 - 1) * half_width

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.n, *shape, generator=self.generator)[self.own]

    def below(self, end: int) -> Tensor:
        return torch.randint(end, (self.n,), generator=self.generator)[self.own]


class Augmenter:
    """Call with images, masks uint8 (N, S, S) and a generator; returns float image in [0, 255] and mask in [0, 1]."""

    def __init__(self, size: int, config: AugmentConfig | None = None, seed: int = 0, n_marks: int = 64):
        self.size = size
        self.config = config or AugmentConfig()
        rng = np.random.default_rng(seed)
        self.marks = torch.from_numpy(np.stack([draw_marks(size, rng) for _ in range(n_marks)]))  # (M, S, S) uint8

    def __call__(
        self,
        images: Tensor,
        masks: Tensor,
        generator: torch.Generator | Draws,
        size: int | None = None,
        others: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """uint8 (N, S, S) twice -> float32 (N, 1, s, s) gray levels 0..255, float32 (N, 1, s, s) coverage 0..1.

        generator: or the draws, when the images are a part of a batch. size: side s of what comes out, even, at
        most S; S if not given. others: uint8 (N, S, S), images of any hospital whose appearance some take on.
        """
        n, s = len(images), size or self.size
        draws = generator if isinstance(generator, Draws) else Draws(generator, n, slice(n))
        images = images.float() / 255.0
        if others is not None:
            images = self._mix(images, others.float() / 255.0, draws)
        both = torch.stack([images, masks.float() / 255.0], dim=1)  # (N, 2, S, S)
        transforms, seen = self._narrow(self._transforms(draws).to(both.device), both[:, 1], draws, s)
        grid = F.affine_grid(transforms, [n, 2, s, s], align_corners=False)
        both = F.grid_sample(both, grid, padding_mode="zeros", align_corners=False) * seen
        image, mask = both[:, :1], both[:, 1:]
        image = self._intensity(image, draws) * seen
        image = self._draw_marks(image, draws)
        return image.clamp(0.0, 1.0) * 255.0, mask

    def _mix(self, images: Tensor, others: Tensor, draws: Draws) -> Tensor:
        """Some images as another machine would show them, by a random share: either with the low frequencies of
        another image's amplitude spectrum (Yang & Soatto, FDA, CVPR 2020) or with its tone curve (histogram
        specification). (N, S, S) in [0, 1] twice -> (N, S, S); what is black, as the padding is, stays black."""
        n = len(images)
        used = draws.share() < self.config.mix_probability
        share = (draws.share() * used).view(n, 1, 1).to(images.device)
        spectral = draws.share() < 0.5
        reach = 1 + (draws.share() * 0.03 * images.shape[-1]).long()  # cycles an image
        mixed = torch.stack(
            [
                images[i]
                if not used[i]
                else _with_spectrum(images[i], others[i], int(reach[i]), share[i].item())
                if spectral[i]
                else torch.lerp(images[i], _with_tones(images[i], others[i]), share[i].item())
                for i in range(n)
            ]
        )
        return mixed.clamp(0.0, 1.0) * (images > 0)

    def _transforms(self, draws: Draws) -> Tensor:
        """Output-to-input matrices (N, 2, 3): mirror, turn, zoom, stretch, shift."""
        c = self.config
        angle = draws.around_zero(math.radians(c.rotation_deg))
        zoom = torch.exp(-draws.around_zero(c.zoom))
        aspect = torch.exp(draws.around_zero(c.aspect) / 2)
        mirror = torch.where(draws.share() < 0.5, -1.0, 1.0)
        cos, sin = torch.cos(angle), torch.sin(angle)
        x = torch.stack([cos * zoom * aspect * mirror, -sin * zoom / aspect, 2 * draws.around_zero(c.shift)])
        y = torch.stack([sin * zoom * aspect * mirror, cos * zoom / aspect, 2 * draws.around_zero(c.shift)])
        return torch.stack([x, y]).permute(2, 0, 1)

    def _narrow(self, transforms: Tensor, masks: Tensor, draws: Draws, s: int) -> tuple[Tensor, Tensor]:
        """Show some images as a machine with a narrower field of view would: a band of 50 to 95 % of the columns or
        rows, up to a third closer, with the lesion's centre well inside. Otherwise upright pictures are all of the
        second hospital, and the network learns that from their shape.

        transforms (N, 2, 3), masks (N, S, S) -> transforms and what is seen of the square, 0 or 1, (N, 1, s, s).
        """
        n, device = len(masks), masks.device
        used = draws.share() < self.config.narrow_probability
        axis = (draws.share() >= 2 / 3).long().to(device)  # 0: columns are cut off, 1: rows
        share = torch.where(used, 0.5 + 0.45 * draws.share(), 2.0).to(device)
        closer = torch.where(used, torch.exp(-0.3 * draws.share()), 1.0).to(device)
        turn, shift = transforms[:, :, :2] * closer.view(n, 1, 1), transforms[:, :, 2]

        along = torch.linspace(-1, 1, 2 * masks.shape[-1] + 1, device=device)[1::2]  # pixel centres
        mass = masks.sum(dim=(1, 2)).clamp(min=1e-6)
        centre = torch.stack([(masks.sum(dim=1) @ along) / mass, (masks.sum(dim=2) @ along) / mass], dim=1)
        placed = torch.linalg.solve(turn, centre - shift)  # where the lesion's centre comes to lie
        place = placed.gather(1, axis.view(n, 1)).squeeze(1)
        excess = place - torch.minimum(place.abs(), 0.7 * share) * place.sign()
        excess = excess * (used.to(device) & masks.flatten(1).any(dim=1))
        shift = shift + turn[torch.arange(n, device=device), :, axis] * excess.view(n, 1)

        out = torch.linspace(-1, 1, 2 * s + 1, device=device)[1::2]
        band = (out.abs() <= share.view(n, 1)).float()  # (N, s)
        band = torch.where(axis.view(n, 1, 1) == 0, band.view(n, 1, s), band.view(n, s, 1)).expand(n, s, s)
        return torch.cat([turn, shift.unsqueeze(2)], dim=2), band.unsqueeze(1)

    def _intensity(self, image: Tensor, draws: Draws) -> Tensor:
        c, n, s, device = self.config, len(image), image.shape[-1], image.device

        def each(half_width: float) -> Tensor:  # one random number an image, (N, 1, 1, 1)
            return draws.around_zero(half_width).view(n, 1, 1, 1).to(device)

        image = image.clamp(1e-4, 1.0) ** torch.exp(each(c.gamma))
        # The padding stays black, and so that shadows do not speckle, dark gray is lifted in proportion.
        lift = (image / DARK).clamp(max=1.0) * each(c.brightness)
        image = image * torch.exp(each(c.contrast)) + lift
        ramp = torch.linspace(-1, 1, s, device=device)
        image = image * torch.exp(each(c.shading) * ramp.view(1, 1, s, 1) + each(c.shading / 2) * ramp.view(1, 1, 1, s))
        # Speckle is coarser than a pixel: noise at half the resolution, brought up.
        noise = draws.normal(1, s // 2, s // 2).to(device)
        noise = F.interpolate(noise, scale_factor=2.0, mode="bilinear", align_corners=False)
        image = image * (1.0 + each(c.speckle).abs() * noise)
        share = draws.share() * (draws.share() < c.blur_probability)
        blurred = F.avg_pool2d(F.avg_pool2d(image, 3, 1, 1), 3, 1, 1)
        return torch.lerp(image, blurred, share.view(n, 1, 1, 1).to(device))

    def _draw_marks(self, image: Tensor, draws: Draws) -> Tensor:
        n = len(image)
        chosen = self.marks[draws.below(len(self.marks))]
        used = draws.share() < self.config.marks_probability
        chosen = torch.where(used.view(n, 1, 1), chosen, 0).unsqueeze(1).to(image.device).float() / 255.0
        return torch.maximum(image, F.interpolate(chosen, image.shape[-2:], mode="area"))


def _with_spectrum(image: Tensor, other: Tensor, reach: int, share: float) -> Tensor:
    """(S, S) twice -> the image, its amplitudes up to `reach` cycles moved by `share` towards the other's."""
    spectrum, theirs = torch.fft.rfft2(image), torch.fft.rfft2(other).abs()
    rows = [slice(0, reach + 1), slice(-reach, None)]
    for part in rows:
        low = spectrum[part, : reach + 1]
        amplitude = torch.lerp(low.abs(), theirs[part, : reach + 1], share)
        spectrum[part, : reach + 1] = torch.polar(amplitude, low.angle())
    return torch.fft.irfft2(spectrum, s=image.shape)


def _with_tones(image: Tensor, other: Tensor) -> Tensor:
    """(S, S) twice -> the image with the other's distribution of gray levels, black aside."""
    levels = torch.linspace(0, 1, TONES, device=image.device)
    ours, theirs = (
        torch.quantile(x[x > 0][::QUANTILE_STEP], levels) if (x > 0).sum() > 1000 else levels for x in (image, other)
    )
    ours = ours + torch.arange(TONES, device=ours.device) * 1e-6  # strictly rising
    above = torch.searchsorted(ours, image.contiguous()).clamp(1, TONES - 1)
    slope = (theirs[above] - theirs[above - 1]) / (ours[above] - ours[above - 1])
    return theirs[above - 1] + slope * (image - ours[above - 1])
