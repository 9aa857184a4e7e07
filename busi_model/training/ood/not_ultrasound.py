"""Pictures that are no breast ultrasound, to learn from and to be measured against.

Leaves: over 900 pictures by kind (photographs, other modalities, graphics, plots, text pages, screenshots, noise,
textures, gradients, patterns, drawings, blank) and by source, so that a kind or a source can be left out whole.
Nothing is downloaded: the samples are those that scikit-image, scikit-learn, matplotlib, Gradio and pydicom carry in
their packages, with crops and recolourings of them; the rest is drawn by `drawn_pictures`. Ultrasound of other organs
is `other_ultrasound`: never learned from, and counted apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from PIL import Image, ImageFilter

from busi_model.image import count_frames, read_image
from busi_model.training.ood.drawn_pictures import DRAWN, eight_bit

PHOTOGRAPHS = ("astronaut", "camera", "coffee", "cat", "rocket", "coins", "moon", "gravel", "brick", "grass", "clock")
OTHER_MODALITIES = ("retina", "immunohistochemistry", "cell", "microaneurysms", "shepp_logan_phantom")
GRAPHICS = ("horse", "colorwheel", "hubble_deep_field", "logo")
PAGES = ("page", "text")
Named = tuple[tuple[str, tuple[str, ...]], ...]  # kind, and its samples
# In its folder media_assets/images; what a later version lacks is left out.
GRADIO: Named = (
    ("photograph", ("cheetah.jpg", "cheetah1.jpg", "lion.jpg", "tower.jpg", "groot.jpeg")),
    ("graphics", ("avatar.png", "bus.png", "hf-logo_transpng.png")),
    ("screenshot", ("screenshot.gif",)),
)
DICOM: Named = (  # others of pydicom's need a codec
    ("other modality", ("CT_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm")),  # CT
    ("other modality", ("MR_small.dcm", "examples_overlay.dcm", "JPEG2000.dcm")),
    ("graphics", ("SC_rgb_rle.dcm", "image_dfl.dcm")),
)
OTHER_ULTRASOUND = (  # pydicom's; each file is of one patient
    ("heart", "examples_ybr_color.dcm"),  # a film of 30 frames
    ("lymph node", "examples_rgb_color.dcm"),  # Doppler, two pictures inside a program's window
    ("obstetric", "examples_palette.dcm"),  # almost nothing but calipers
)
LONGEST_PX = 640  # of a sample: larger ones only cost time


@dataclass(frozen=True)
class Picture:
    kind: str  # what the report counts it under
    source: str  # the picture that it was made from; drawn ones are their own
    name: str
    pixels: np.ndarray  # uint8 (H, W) or (H, W, 3), at least 64 px on each side


def pictures(seed: int = 0) -> Iterator[Picture]:
    """All of them, one by one; the same for the same seed and package versions."""
    rng = np.random.default_rng(seed)
    for kind, name, pixels in _samples():
        pixels = _bounded(pixels)
        yield Picture(kind, name, name, pixels)
        for how, changed in _variants(pixels, rng):
            yield Picture(kind, name, f"{name}, {how}", changed)
    for kind, name, draw, count in DRAWN:
        for number in range(count):
            yield Picture(kind, f"{name} {number}", f"{name} {number}", draw(number, rng))
    for level in range(0, 256, 25):
        yield Picture("blank", f"gray {level}", f"gray {level}", np.full((300, 400), level, np.uint8))


def other_ultrasound() -> Iterator[Picture]:
    """Ultrasound that is not of the breast: every frame of pydicom's samples. There is no thyroid among them."""
    for kind, name in OTHER_ULTRASOUND:
        for frame in range(count_frames(_dicom_path(name))):
            yield Picture(kind, name, f"{name}, frame {frame}", read_image(_dicom_path(name), frame).gray)


def _samples() -> Iterator[tuple[str, str, np.ndarray]]:
    import skimage.data
    import sklearn.datasets
    from matplotlib.cbook import get_sample_data

    named: Named = (
        ("photograph", PHOTOGRAPHS),
        ("other modality", OTHER_MODALITIES),
        ("graphics", GRAPHICS),
        ("text page", PAGES),
    )
    for kind, names in named:
        for name in names:
            yield kind, name, eight_bit(getattr(skimage.data, name)())
    yield "photograph", "motorcycle", eight_bit(skimage.data.stereo_motorcycle()[0])
    for picture, name in zip(sklearn.datasets.load_sample_images().images, ("china", "flower"), strict=True):
        yield "photograph", name, picture
    digits = sklearn.datasets.load_digits().images[:12].reshape(3, 4, 8, 8).transpose(0, 2, 1, 3).reshape(24, 32)
    yield "text page", "digits", np.kron(eight_bit(digits), np.ones((12, 12), np.uint8))
    for name in ("grace_hopper.jpg", "Minduka_Present_Blue_Pack.png", "logo2.png"):
        kind = "photograph" if name.endswith("jpg") else "graphics"
        yield kind, name, _opened(get_sample_data(name, asfileobj=False))
    with cast(IO[bytes], get_sample_data("s1045.ima.gz")) as file:  # MR of a head
        yield "other modality", "s1045", eight_bit(np.frombuffer(file.read(), np.uint16).reshape(256, 256))
    yield "other modality", "terrain", eight_bit(cast(Any, get_sample_data("jacksboro_fault_dem.npz"))["elevation"])
    for kind, names in GRADIO:
        for name in names:
            path = _package("gradio") / "media_assets" / "images" / name
            if path.is_file():
                yield kind, name, _opened(path)
    for kind, names in DICOM:
        for name in names:
            yield kind, name, read_image(_dicom_path(name)).gray


def _package(name: str) -> Path:
    """Where a package lies, without importing it. Raises ModuleNotFoundError."""
    found = find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"There is no package {name}. Install what requirements.txt names.")
    return Path(found.submodule_search_locations[0])


def _dicom_path(name: str) -> str:
    """Where pydicom's package keeps a sample."""
    return str(_package("pydicom") / "data" / "test_files" / name)


def _opened(path: Any) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _bounded(pixels: np.ndarray) -> np.ndarray:
    """At most LONGEST_PX long, and at least 64 px on each side."""
    height, width = pixels.shape[:2]
    factor = min(1.0, LONGEST_PX / max(height, width))
    size = max(64, round(width * factor)), max(64, round(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(size)) if size != (width, height) else pixels


def _variants(pixels: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Crops, tilts, blur and recoloured gray copies: what a wrong export or a snapshot could look like."""
    height, width = pixels.shape[:2]
    for number in (1, 2, 3):
        side = rng.uniform(0.3, 0.8)
        rows, columns = (max(64, int(side * extent)) for extent in (height, width))
        top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
        yield f"crop {number}", pixels[top : top + rows, left : left + columns]
    image = Image.fromarray(pixels).convert("L")
    gray = np.asarray(image)
    yield "negative", 255 - gray
    yield "darker", (255 * (gray / 255.0) ** 2).astype(np.uint8)
    yield "low contrast", (60 + gray * 0.4).astype(np.uint8)
    yield "blurred", np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(1.5, 5))))
    yield "tilted", np.asarray(image.rotate(rng.uniform(-30, 30), Image.Resampling.BILINEAR))
    grainy = gray * rng.gamma(6, 1 / 6, gray.shape)
    yield "grainy", np.clip(grainy, 0, 255).astype(np.uint8)
    yield "in a fan", _in_a_fan(gray)


def _in_a_fan(gray: np.ndarray) -> np.ndarray:
    """Only what a curved probe would show of it, on black."""
    height, width = gray.shape
    y, x = np.mgrid[0:height, 0:width]
    radius, angle = np.hypot(y + 0.3 * height, x - width / 2), np.arctan2(x - width / 2, y + 0.3 * height)
    inside = (radius > 0.35 * height) & (radius < 1.25 * height) & (np.abs(angle) < 0.6)
    return np.where(inside, gray, 0).astype(np.uint8)
