"""Pictures that are no breast ultrasound, drawn at random: sections, plots, pages, screenshots, noise, textures.

Enters: a number, which picks the variety, and a random generator. Leaves: uint8 (H, W) or (H, W, 3), at least 64 px on
each side.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy import ndimage


def eight_bit(pixels: ArrayLike) -> np.ndarray:
    """Numbers (H, W) or (H, W, 3 or 4) -> uint8, stretched to 0..255; uint8 stays as it is, without alpha."""
    found = np.asarray(pixels)
    if found.dtype != np.uint8:
        found = found.astype(np.float64)
        found = (255 * (found - found.min()) / max(np.ptp(found), 1e-9)).astype(np.uint8)
    return found[..., :3] if found.ndim == 3 else found


def _size(rng: Generator, low: int = 200, high: int = 600) -> tuple[int, int]:
    return int(rng.integers(low, high)), int(rng.integers(low, high))


def _fractal(shape: tuple[int, int], exponent: float, rng: Generator, stretch: float = 1.0) -> np.ndarray:
    """Noise with the power spectrum f ** -exponent, standardised; stretch: how much longer it is sideways."""
    v, u = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :] * stretch
    f = np.hypot(u, v)
    f[0, 0] = 1.0
    phases = rng.normal(size=f.shape) + 1j * rng.normal(size=f.shape)
    field = np.fft.irfft2(phases * f ** (-exponent / 2), shape)
    return (field - field.mean()) / field.std()


def _section(number: int, rng: Generator) -> np.ndarray:
    """Like CT, MR or a mammogram: ellipses or a half disc of smooth tissue on black, with the noise of the modality."""
    height, width = _size(rng, 256, 513)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    if number % 3 == 2:  # mammogram
        body = np.hypot(x + 1, y / rng.uniform(0.7, 1.0)) < rng.uniform(0.8, 1.3)
        picture = np.where(body, rng.uniform(60, 120) + 30 * _fractal((height, width), 3, rng), 0)
        picture += np.where(body, rng.normal(0, 2, picture.shape), 0)
        return np.clip(picture, 0, 255).astype(np.uint8)
    picture = np.zeros((height, width))
    body = np.hypot(x / rng.uniform(0.6, 0.9), y / rng.uniform(0.6, 0.9)) < 1
    picture[body] = rng.uniform(60, 140)
    for _ in range(int(rng.integers(5, 16))):
        (cx, cy), (rx, ry) = rng.uniform(-0.6, 0.6, 2), rng.uniform(0.04, 0.35, 2)
        picture[body & (np.hypot((x - cx) / rx, (y - cy) / ry) < 1)] = rng.uniform(0, 255)
    picture = ndimage.uniform_filter(picture, 3)
    if number % 3 == 0:  # CT: streaked noise
        return np.clip(picture + rng.uniform(2, 12) * _fractal(picture.shape, -0.5, rng), 0, 255).astype(np.uint8)
    noise = rng.normal(0, rng.uniform(2, 14), (2, height, width))  # MR: Rician noise, shading
    shaded = picture * (1 + 0.3 * rng.uniform(-1, 1) * x + 0.3 * rng.uniform(-1, 1) * y)
    return np.clip(np.hypot(shaded + noise[0], noise[1]), 0, 255).astype(np.uint8)


def _plot(number: int, rng: Generator) -> np.ndarray:
    """Lines, points, bars or a coloured map, with axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = rng.uniform(3, 6, 2)
    figure = Figure(figsize=(width, height), facecolor="black" if number % 5 == 0 else "white")
    axes = figure.add_subplot()
    if number % 4 == 0:
        axes.plot(np.cumsum(rng.normal(size=(100, int(rng.integers(1, 5)))), axis=0))
    elif number % 4 == 1:
        x, y = rng.normal(size=(2, int(rng.integers(20, 400))))
        axes.scatter(x, y, s=rng.uniform(2, 40))
    elif number % 4 == 2:
        axes.bar(range(8), rng.uniform(1, 9, 8))
    else:
        axes.imshow(_fractal((40, 60), 2.5, rng), cmap=("gray", "viridis", "jet")[number % 3])
    axes.set_title(_words(rng, 14))
    axes.grid(bool(number % 2))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _page(number: int, rng: Generator) -> np.ndarray:
    """Lines of random words, black on white or the reverse; every third photographed: tilted, shaded, blurred."""
    image = Image.new("L", _size(rng, 300, 700), 255)
    draw, size = ImageDraw.Draw(image), float(rng.uniform(9, 22))
    font = ImageFont.load_default(size=size)
    for y in np.arange(20, image.height - 20, size * rng.uniform(1.2, 1.8)):
        if rng.random() < 0.85:
            draw.text((rng.uniform(10, 40), y), _words(rng, image.width / size * 1.6), fill=0, font=font)
    if number % 3 == 0:
        image = image.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR, fillcolor=90)
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2)))
        shade = np.linspace(rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.9), image.width)
        return (np.asarray(image) * shade).astype(np.uint8)
    pixels = np.asarray(image)
    return 255 - pixels if rng.random() < 0.3 else pixels


def _words(rng: Generator, letters: float) -> str:
    return "".join(rng.choice(list("abcdefghilmnoprstuv    "), max(4, int(letters))))


def _screenshot(number: int, rng: Generator) -> np.ndarray:
    """Windows, bars, buttons and words in a few flat colours; every fourth dark, with a picture in a window."""
    width, height = int(rng.integers(500, 1200)), int(rng.integers(400, 800))
    dark = number % 4 == 0
    colours = rng.integers(0, 70 if dark else 256, (30, 3))
    image = Image.new("RGB", (width, height), tuple(int(v) for v in colours[0]))
    draw = ImageDraw.Draw(image)
    for n in range(int(rng.integers(8, 25))):
        x, y = rng.uniform(0, width * 0.8), rng.uniform(0, height * 0.8)
        box = (x, y, x + rng.uniform(40, width * 0.6), y + rng.uniform(15, height * 0.5))
        draw.rectangle(box, fill=tuple(int(v) for v in colours[n + 1]), outline=(90, 90, 90))
        font = ImageFont.load_default(size=float(rng.uniform(10, 20)))
        draw.text((x + 6, y + 4), _words(rng, int(rng.integers(5, 40))), fill=tuple(rng.integers(0, 256, 3)), font=font)
    if dark:
        field = eight_bit(_fractal((height // 3, width // 3), rng.uniform(2, 4), rng))
        image.paste(Image.fromarray(field), (int(rng.uniform(0, width / 2)), int(rng.uniform(0, height / 2))))
    return np.asarray(image)


def _noise(number: int, rng: Generator) -> np.ndarray:
    height, width = _size(rng, 100, 600)
    if number % 4 == 0:
        return rng.integers(0, 256, (height, width), dtype=np.uint8)
    if number % 4 == 1:
        return np.clip(rng.normal(rng.uniform(40, 200), rng.uniform(10, 60), (height, width)), 0, 255).astype(np.uint8)
    if number % 4 == 2:
        return np.where(rng.random((height, width)) < rng.uniform(0.05, 0.5), 255, 0).astype(np.uint8)
    coarse = rng.integers(0, 256, (height // 16 + 4, width // 16 + 4), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def _texture(number: int, rng: Generator) -> np.ndarray:
    """Clouds, marble, grain, stripes: nature's textures, some stretched like layers."""
    shape = _size(rng)
    if number % 4 == 3:  # grain that grows with the clouds beneath it, as speckle does
        clouds = np.exp(0.7 * _fractal(shape, 3, rng))
        grain = rng.gamma(rng.uniform(1, 4), 1.0, shape)
        return np.clip(rng.uniform(10, 40) * clouds * grain, 0, 255).astype(np.uint8)
    stretch = rng.uniform(1, 8) if number % 2 else 1.0
    field = _fractal(shape, rng.uniform(1, 4), rng, stretch)
    if number % 4 == 2:
        field = np.sin(rng.uniform(1, 6) * field)
    return np.clip(rng.uniform(70, 160) + rng.uniform(20, 60) * field, 0, 255).astype(np.uint8)


def _gradient(number: int, rng: Generator) -> np.ndarray:
    height, width = _size(rng, 100, 600)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    turn = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(turn) * x + np.sin(turn) * y if number % 2 else np.hypot(x - rng.uniform(-1, 1), y)
    ramp = np.sin(rng.uniform(1, 12) * ramp) if number % 3 == 0 else ramp
    return eight_bit(ramp)


def _pattern(number: int, rng: Generator) -> np.ndarray:
    """Stripes, squares, dots or modules as of a QR code; every other one blurred, grainy and unevenly lit."""
    height, width = _size(rng)
    y, x = np.mgrid[0:height, 0:width]
    period, turn = rng.uniform(4, 40), rng.uniform(0, np.pi)
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    if number % 4 == 0:
        light = np.sin(2 * np.pi * u / period) > rng.uniform(-0.8, 0.8)
    elif number % 4 == 1:
        light = (np.sin(2 * np.pi * u / period) > 0) ^ (np.sin(2 * np.pi * v / period) > 0)
    elif number % 4 == 2:
        light = np.hypot(u % period - period / 2, v % period - period / 2) < rng.uniform(0.15, 0.45) * period
    else:
        side = int(rng.integers(4, 20))
        light = np.kron(rng.random((height // side + 1, width // side + 1)) < 0.5, np.ones((side, side)))
        light = light[:height, :width] > 0
    dark, bright = np.sort(rng.uniform(0, 255, 2))
    return _seen(np.where(light, bright, dark), number, rng)


def _drawing(number: int, rng: Generator) -> np.ndarray:
    """Strokes, circles and polygons by hand on paper, or on a blackboard; every other one photographed."""
    width, height = _size(rng)
    paper, ink = (int(rng.integers(180, 256)), 20) if number % 3 else (int(rng.integers(0, 50)), 230)
    image = Image.new("L", (width, height), paper)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 25))):
        middle, reach = rng.uniform(0, 1, 2) * (width, height), rng.uniform(10, 0.4 * min(width, height))
        pen = int(rng.integers(1, 8))
        shape = rng.integers(3)
        if shape == 0:
            steps = np.cumsum(rng.normal(0, reach / 8, (40, 2)), axis=0)
            draw.line([tuple(p) for p in ndimage.uniform_filter1d(steps, 5, axis=0) + middle], fill=ink, width=pen)
        elif shape == 1:
            draw.ellipse([*(middle - reach), *(middle + reach * rng.uniform(0.3, 1, 2))], outline=ink, width=pen)
        else:
            corners = middle + rng.uniform(-reach, reach, (int(rng.integers(3, 7)), 2))
            draw.polygon([tuple(p) for p in corners], outline=ink, fill=int(rng.integers(0, 256)), width=pen)
    return _seen(np.asarray(image, float), number, rng)


def _seen(picture: np.ndarray, number: int, rng: Generator) -> np.ndarray:
    """Floats (H, W) -> uint8; odd numbers as a camera would see them: blurred, shaded, grainy."""
    if number % 2:
        picture = ndimage.gaussian_filter(picture, rng.uniform(0.5, 3))
        left, right = rng.uniform(0.4, 1, 2)
        picture = picture * np.linspace(left, right, picture.shape[1])
        picture = picture + rng.normal(0, rng.uniform(1, 12), picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


DRAWN = (  # kind, name, how, and how many
    ("other modality", "section", _section, 60),
    ("plot", "plot", _plot, 30),
    ("text page", "page", _page, 40),
    ("screenshot", "screenshot", _screenshot, 40),
    ("noise", "noise", _noise, 40),
    ("texture", "texture", _texture, 60),
    ("gradient", "gradient", _gradient, 30),
    ("pattern", "pattern", _pattern, 40),
    ("drawing", "drawing", _drawing, 40),
)
