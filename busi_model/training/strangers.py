"""Pictures that are no breast ultrasound, for measuring the gate: photographs, other modalities, text pages, noise.

Nothing is downloaded: the samples are those that scikit-image, scikit-learn, matplotlib and pydicom carry in their
packages, with crops and recolourings of them; pages, screenshots, noise and gradients are drawn here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from busi_model.image import read_image
from busi_model.predict import Predictor

PHOTOGRAPHS = ("astronaut", "camera", "coffee", "cat", "rocket", "coins", "moon", "gravel", "brick", "grass", "clock")
OTHER_MODALITIES = ("retina", "immunohistochemistry", "cell", "microaneurysms", "shepp_logan_phantom")
GRAPHICS = ("horse", "page", "text", "colorwheel", "hubble_deep_field")
DICOM = ("CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm")  # others of pydicom's need a codec
OTHER_ORGANS = ("examples_rgb_color.dcm", "examples_ybr_color.dcm")  # an echocardiogram, still and film


@dataclass(frozen=True)
class Stranger:
    kind: str  # what the report counts it under
    name: str
    pixels: np.ndarray  # uint8 (H, W) or (H, W, 3), at least 64 px on each side


def strangers(seed: int = 0) -> list[Stranger]:
    """Over 250 pictures, the same for the same seed and package versions."""
    rng = np.random.default_rng(seed)
    found = []
    for kind, name, pixels in _samples():
        found.append(Stranger(kind, name, pixels))
        found += [Stranger(kind, f"{name}, {how}", p) for how, p in _variants(pixels, rng)]
    found += [Stranger("text page", f"page {i}", _page(rng)) for i in range(20)]
    found += [Stranger("screenshot", f"screenshot {i}", _screenshot(rng)) for i in range(20)]
    found += [Stranger("noise", f"noise {i}", _noise(i, rng)) for i in range(20)]
    found += [Stranger("gradient", f"gradient {i}", _gradient(i, rng)) for i in range(20)]
    found += [Stranger("blank", f"gray {level}", np.full((300, 400), level, np.uint8)) for level in range(0, 256, 25)]
    return found


def measure_gate(predictor: Predictor, seed: int = 0) -> dict:
    """How many strangers the predictor turns away, by kind, and what it makes of other organs' ultrasound."""
    rows = []
    for stranger in tqdm(strangers(seed), desc="strangers", unit="image", leave=False):
        prediction = predictor(np.ascontiguousarray(stranger.pixels))
        rows.append({"kind": stranger.kind, "name": stranger.name, "refused": prediction.refused})
    kinds = {}
    for row in rows:
        of_kind = kinds.setdefault(row["kind"], {"n": 0, "refused": 0, "let_through": []})
        of_kind["n"] += 1
        of_kind["refused"] += row["refused"]
        if not row["refused"]:
            of_kind["let_through"].append(row["name"])
    other = []
    for name in OTHER_ORGANS:
        prediction = predictor(_dicom_path(name))
        warnings = [warning.code for warning in prediction.warnings]
        other.append({"name": name, "refused": prediction.refused, "distance": prediction.distance})
        other[-1] |= {"label": prediction.label, "warnings": warnings}
    return {
        "title": "Pictures that are no breast ultrasound",
        "weights_sha256": predictor.checkpoint.weights_sha256,
        "gate_distance": predictor.operating_point.gate_distance,
        "n": len(rows),
        "refused": sum(row["refused"] for row in rows),
        "kinds": kinds,
        "other_ultrasound": other,
    }


def _samples() -> Iterator[tuple[str, str, np.ndarray]]:
    import skimage.data
    import sklearn.datasets
    from matplotlib.cbook import get_sample_data

    for kind, names in (
        ("photograph", PHOTOGRAPHS),
        ("other modality", OTHER_MODALITIES),
        ("graphics", GRAPHICS),
    ):
        for name in names:
            yield kind, name, _eight_bit(getattr(skimage.data, name)())
    for picture, name in zip(sklearn.datasets.load_sample_images().images, ("china", "flower"), strict=True):
        yield "photograph", name, picture
    for name in ("grace_hopper.jpg", "Minduka_Present_Blue_Pack.png", "logo2.png"):
        with Image.open(get_sample_data(name, asfileobj=False)) as image:
            kind = "photograph" if name.endswith("jpg") else "graphics"
            yield kind, name, np.asarray(image.convert("RGB"))
    yield from _dicom_samples()


def _dicom_samples():
    for name in DICOM:
        yield "other modality", name, read_image(_dicom_path(name)).gray


def _dicom_path(name):
    """Where pydicom's package keeps a sample."""
    return str(files("pydicom") / "data" / "test_files" / name)


def _eight_bit(pixels):
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8:
        pixels = pixels.astype(np.float64)
        pixels = (255 * (pixels - pixels.min()) / max(np.ptp(pixels), 1e-9)).astype(np.uint8)
    return pixels[..., :3] if pixels.ndim == 3 else pixels


def _variants(pixels, rng):
    """Two crops, the gray negative, a darker and a low-contrast gray copy: what a wrong export could look like."""
    height, width = pixels.shape[:2]
    for number in (1, 2):
        side = rng.uniform(0.4, 0.8)
        rows, columns = (max(64, int(side * extent)) for extent in (height, width))
        top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
        yield f"crop {number}", pixels[top : top + rows, left : left + columns]
    gray = np.asarray(Image.fromarray(pixels).convert("L"))
    yield "negative", 255 - gray
    yield "darker", (255 * (gray / 255.0) ** 2).astype(np.uint8)
    yield "low contrast", (60 + gray * 0.4).astype(np.uint8)


def _page(rng):
    """Lines of random words, black on white or the reverse."""
    image = Image.new("L", (int(rng.integers(300, 700)), int(rng.integers(300, 800))), 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=float(rng.uniform(9, 22)))
    for y in np.arange(20, image.height - 20, font.size * rng.uniform(1.2, 1.8)):
        if rng.random() < 0.85:
            draw.text((rng.uniform(10, 40), y), _words(rng, image.width / font.size * 1.6), fill=0, font=font)
    pixels = np.asarray(image)
    return 255 - pixels if rng.random() < 0.3 else pixels


def _words(rng, letters):
    return "".join(rng.choice(list("abcdefghilmnoprstuv    "), max(4, int(letters))))


def _screenshot(rng):
    """Windows, bars, buttons and words in a few flat colours."""
    width, height = int(rng.integers(500, 1200)), int(rng.integers(400, 800))
    image = Image.new("RGB", (width, height), tuple(int(v) for v in rng.integers(0, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(8, 25))):
        x, y = rng.uniform(0, width * 0.8), rng.uniform(0, height * 0.8)
        box = (x, y, x + rng.uniform(40, width * 0.6), y + rng.uniform(15, height * 0.5))
        draw.rectangle(box, fill=tuple(int(v) for v in rng.integers(0, 256, 3)), outline=(90, 90, 90))
        font = ImageFont.load_default(size=float(rng.uniform(10, 20)))
        draw.text((x + 6, y + 4), _words(rng, rng.integers(5, 40)), fill=tuple(rng.integers(0, 256, 3)), font=font)
    return np.asarray(image)


def _noise(number, rng):
    height, width = (int(rng.integers(100, 600)) for _ in range(2))
    if number % 4 == 0:
        return rng.integers(0, 256, (height, width), dtype=np.uint8)
    if number % 4 == 1:
        return np.clip(rng.normal(rng.uniform(40, 200), rng.uniform(10, 60), (height, width)), 0, 255).astype(np.uint8)
    if number % 4 == 2:
        return np.where(rng.random((height, width)) < rng.uniform(0.05, 0.5), 255, 0).astype(np.uint8)
    coarse = rng.integers(0, 256, (height // 16 + 4, width // 16 + 4), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def _gradient(number, rng):
    height, width = (int(rng.integers(100, 600)) for _ in range(2))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    turn = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(turn) * x + np.sin(turn) * y if number % 2 else np.hypot(x - rng.uniform(-1, 1), y)
    ramp = np.sin(rng.uniform(1, 12) * ramp) if number % 3 == 0 else ramp
    return _eight_bit(ramp)
