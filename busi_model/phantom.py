"""Synthetic breast ultrasound: a class and a seed become a picture and the mask of its lesion.

No patient is in these pictures, so they may be committed, shown and shared: tests use them in place of BUSI, the
app as its examples. They look like B-mode (layers, speckle, attenuation, posterior enhancement and shadow) but
teach nothing about medicine: weights trained on them must not meet a real image.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter, label, map_coordinates

from busi_model.names import CLASS_NAMES, mask_name

WHITE_DB = 50.0  # echo level drawn white; 0 dB is black
N_LOOKS = 3  # speckle patterns averaged, as spatial compounding does in a scanner


def draw_phantom(class_name: str, seed: int, height: int = 440, width: int = 560) -> tuple[np.ndarray, np.ndarray]:
    """Draw one picture: gray uint8 (H, W) and mask bool (H, W), True inside the lesion, all False for "normal".

    class_name: one of CLASS_NAMES. seed: 0 or more; the same seed gives the same picture. height, width: pixels,
    at least 64. Benign: smooth oval, wider than tall, brighter behind. Malignant: spiculated, taller than wide,
    shadow behind. Raises ValueError for another class name or a smaller size.
    """
    gray, masks = _draw(class_name, [seed], height, width, n_lesions=1)
    return gray, np.any(masks, axis=0)


def write_phantom_dataset(folder: str | Path, n_per_class: int, seed: int, height: int = 440, width: int = 560) -> None:
    """Write n_per_class pictures of each class in BUSI's published layout; masks are 0 or 255, one channel.

    `benign/benign (1).png`, `benign/benign (1)_mask.png` and so on. From two pictures a class on, `benign (2)` has
    a second lesion, in `benign (2)_mask_1.png`. Masks of normal pictures are all 0, as in BUSI.
    """
    for class_name in CLASS_NAMES:
        class_folder = Path(folder) / class_name
        class_folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, n_per_class + 1):
            n_lesions = 2 if (class_name, number) == ("benign", 2) else 1
            gray, masks = _draw(class_name, [seed, number], height, width, n_lesions)
            name = f"{class_name} ({number})"
            Image.fromarray(gray).save(class_folder / f"{name}.png")
            for lesion, mask in enumerate(masks):
                Image.fromarray(mask.astype(np.uint8) * 255).save(class_folder / mask_name(name, lesion))


def _draw(class_name: str, seeds: list[int], height: int, width: int, n_lesions: int) -> tuple[np.ndarray, np.ndarray]:
    """Gray uint8 (H, W) and masks bool (n_lesions, H, W), which do not touch."""
    if class_name not in CLASS_NAMES:
        raise ValueError(f"The class is {class_name!r}; one of {', '.join(CLASS_NAMES)} is expected.")
    if min(height, width) < 64:
        raise ValueError(f"A phantom of {width}x{height} px was asked for; at least 64x64 is needed.")
    rng = np.random.default_rng([CLASS_NAMES.index(class_name), *seeds])
    echo_db = _tissue_db(rng, height, width)
    masks = np.zeros((n_lesions, height, width), bool)
    if class_name != "normal":
        for number in range(n_lesions):
            masks[number] = _lesion_mask(rng, class_name, height, width, number, n_lesions)
            echo_db = _with_lesion(rng, echo_db, masks[number], class_name)
    echo_db += _speckle_db(rng, height, width)
    return np.rint(np.clip(echo_db / WHITE_DB, 0, 1) * 255).astype(np.uint8), masks


def _tissue_db(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Mean echo level (H, W) in dB: skin, fat, gland, muscle and chest wall from top to bottom."""
    depth = (np.arange(height)[:, None] + 0.5) / height  # (H, 1), 0 at the probe, 1 at the bottom
    bend = _wave(rng, width, 0.03)
    bottoms = [
        rng.uniform(0.03, 0.045) + _wave(rng, width, 0.004),  # skin
        rng.uniform(0.15, 0.30) + _wave(rng, width, 0.035),  # fat
        rng.uniform(0.52, 0.66) + _wave(rng, width, 0.025) + bend,  # gland
        rng.uniform(0.76, 0.92) + _wave(rng, width, 0.02) + bend,  # muscle
    ]
    levels_db = np.array([40, 24, 33, 22, 12]) + rng.uniform(-3, 3, 5)
    streaks_db = np.array([0, 2, 2.5, 5, 1])  # septa in fat, fibres in gland and muscle
    echo_db = np.full((height, width), levels_db[0])
    streak_gain_db = np.zeros((height, width))
    for bottom, level_db, gain_db in zip(bottoms, levels_db[1:], streaks_db[1:], strict=True):
        below = 1 / (1 + np.exp(-(depth - bottom) / 0.006))  # a soft step, (H, W)
        echo_db += below * (level_db - echo_db)
        streak_gain_db += below * (gain_db - streak_gain_db)
    for bottom in bottoms[1:]:  # fasciae, bright where the beam meets them squarely
        brightness = np.clip(6 + _wave(rng, width, 6), 0, None)
        echo_db += brightness * np.exp(-(((depth - bottom) / 0.007) ** 2))
    streaks = _bent(_noise(rng, height, width, 0.004, 0.035), bend * height + _wave(rng, width, 0.05) * height)
    echo_db += streak_gain_db * np.clip(streaks, -1, 3)
    echo_db += 3.5 * _noise(rng, height, width, 0.012, 0.016)  # lobules
    echo_db += 3.0 * _noise(rng, height, width, 0.15, 0.15)  # one picture is unlike the next
    echo_db += _wave(rng, width, 3.0)  # uneven contact of the probe
    return echo_db - rng.uniform(6, 12) * depth  # attenuation that the gain curve left over


def _lesion_mask(
    rng: np.random.Generator, class_name: str, height: int, width: int, number: int, n_lesions: int
) -> np.ndarray:
    unit = min(height, width)
    centre_x = width * ((number + 0.5) / n_lesions + rng.uniform(-0.15, 0.15) / n_lesions**2)
    centre_y = height * rng.uniform(0.36, 0.46)
    angle, radius = _angle_and_radius(height, width, centre_x, centre_y)
    if class_name == "benign":
        half_width = unit * rng.uniform(0.13, 0.22) / n_lesions
        half_height = half_width * rng.uniform(0.5, 0.72)
        tilt = rng.uniform(-0.2, 0.2)  # radians
        wobble = [(k, rng.uniform(0, 0.03), rng.uniform(0, 2 * np.pi)) for k in (2, 3)]
    else:
        half_width = unit * rng.uniform(0.10, 0.15)
        half_height = half_width * rng.uniform(1.35, 1.6)
        tilt = rng.uniform(-0.12, 0.12)
        wobble = [(k, rng.uniform(0.02, 0.06), rng.uniform(0, 2 * np.pi)) for k in range(3, 8)]
    turned = angle - tilt
    limit = 1 / np.hypot(np.cos(turned) / half_width, np.sin(turned) / half_height)  # an ellipse, in pixels
    shape = 1 + sum(size * np.cos(k * turned + phase) for k, size, phase in wobble)
    if class_name == "malignant":
        for direction in np.arange(9) * 2 * np.pi / 9 + rng.uniform(-0.25, 0.25, 9):  # spicules
            away = np.abs((turned - direction + np.pi) % (2 * np.pi) - np.pi)
            shape += rng.uniform(0.15, 0.45) * np.exp(-away / rng.uniform(0.05, 0.1))
    pieces, _ = label(radius < limit * shape)  # in a small picture the tip of a spicule can come off
    return pieces == pieces[round(centre_y), round(centre_x)]


def _angle_and_radius(height: int, width: int, centre_x: float, centre_y: float) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width]
    return np.arctan2(y - centre_y, x - centre_x), np.hypot(x - centre_x, y - centre_y)


def _with_lesion(rng: np.random.Generator, echo_db: np.ndarray, mask: np.ndarray, class_name: str) -> np.ndarray:
    """The echo levels with the lesion and what lies behind it."""
    height, width = mask.shape
    unit = min(height, width)
    benign = class_name == "benign"
    edge = unit * (0.003 if benign else 0.008)  # pixels; malignant margins are indistinct
    inside = gaussian_filter(mask.astype(float), edge)
    path = np.cumsum(mask, axis=0) / max(mask.sum(axis=0).max(), 1)  # share of the lesion crossed by the beam
    behind = gaussian_filter(np.sqrt(path) * ~mask, (unit * 0.004, unit * 0.015))
    if benign:
        lesion_db = rng.uniform(4, 13)
        behind_db = rng.uniform(11, 16) * np.exp(-_depth_behind(mask) / (0.3 * height))
    else:
        lesion_db = rng.uniform(9, 14)
        behind_db = -rng.uniform(12, 18)
        halo = gaussian_filter(mask.astype(float), unit * 0.03) * (1 - inside)
        echo_db = echo_db + 8 * halo
    echo_db = echo_db + behind * behind_db
    texture_db = 1.5 * _noise(rng, height, width, 0.02, 0.03)
    return echo_db + inside * (lesion_db + texture_db - echo_db)


def _depth_behind(mask: np.ndarray) -> np.ndarray:
    """Rows since the beam left the lesion, (H, W)."""
    return np.cumsum((np.cumsum(mask, axis=0) > 0) & ~mask, axis=0)


def _speckle_db(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Fully developed speckle in dB, (H, W): Rayleigh amplitude, correlated along and across the beam, compounded."""
    unit = min(height, width) / 440
    correlation = (max(0.5, 0.8 * unit), max(0.6, 1.6 * unit))  # pixels: a point spreads more across the beam
    intensity = np.zeros((height, width))
    for _ in range(N_LOOKS):
        real, imaginary = (gaussian_filter(rng.standard_normal((height, width)), correlation) for _ in range(2))
        intensity += real**2 + imaginary**2
    return 10 * np.log10(intensity / intensity.mean() + 1e-3)


def _noise(rng: np.random.Generator, height: int, width: int, rows: float, columns: float) -> np.ndarray:
    """Smooth noise (H, W), mean 0 and standard deviation 1; rows, columns: its grain as a share of the picture."""
    noise = _smooth(rng.standard_normal((height, width)), (rows * height, columns * width))
    return (noise - noise.mean()) / noise.std()


def _smooth(picture: np.ndarray, sigmas: tuple[float, float]) -> np.ndarray:
    """`gaussian_filter(picture, sigmas)` by way of the cosine transform, whose time does not grow with the sigmas: its
    mirrored edges are the filter's own."""
    gains = []
    for n, sigma in zip(picture.shape, sigmas, strict=True):
        radius = int(4 * sigma + 0.5)  # where `gaussian_filter` ends
        reach = np.arange(-radius, radius + 1)
        weights = np.exp(-0.5 * (reach / sigma) ** 2)
        gains.append(np.cos(np.pi * np.outer(np.arange(n) / n, reach)) @ weights / weights.sum())
    return idctn(dctn(picture) * np.outer(*gains))


def _wave(rng: np.random.Generator, width: int, amplitude: float) -> np.ndarray:
    """A smooth random line (W,) of about the given amplitude."""
    x = np.arange(width) / width
    line = np.zeros(width)
    for k in (1, 2, 3):
        line += amplitude / k * rng.uniform(0.3, 1) * np.sin(2 * np.pi * (0.6 * k * x + rng.uniform()))
    return line


def _bent(picture: np.ndarray, shift_rows: np.ndarray) -> np.ndarray:
    """The picture (H, W) with each column moved down by its shift (W,)."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(float)
    return map_coordinates(picture, [y - shift_rows, x], order=1, mode="reflect")
