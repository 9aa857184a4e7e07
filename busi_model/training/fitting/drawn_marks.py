"""Calipers, lines of text and pictograms, as machines burn them into pictures, drawn anew by chance."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont


def paint_marks(gray: np.ndarray, case_id: str) -> np.ndarray:
    """Gray uint8 (H, W) -> a copy with calipers and text as in training; the same for the same case_id."""
    rng = np.random.default_rng(list(case_id.encode()))
    marks = draw_marks(max(gray.shape), rng)
    return np.maximum(gray, marks[: gray.shape[0], : gray.shape[1]])


def draw_marks(size: int, rng: np.random.Generator) -> np.ndarray:
    """One random overlay, uint8 (size, size): caliper crosses with dotted lines, lines of text, a pictogram."""
    image = Image.new("L", (size, size))
    draw = ImageDraw.Draw(image)
    size_px = float(rng.uniform(7, 13)) * size / 256
    font = ImageFont.load_default(size=size_px)
    white = int(rng.integers(165, 256))  # small letters are blended with black
    kinds = rng.random(4) < (0.7, 0.6, 0.2, 0.3)
    if kinds[0] or not kinds.any():
        for number in range(1, int(rng.integers(2, 4))):
            _draw_caliper(draw, size, rng, white, str(number), font)
    if kinds[1]:
        x = rng.uniform(0.02, 0.7) * size
        y = rng.choice([rng.uniform(0.02, 0.15), rng.uniform(0.75, 0.93)]) * size
        for line in range(int(rng.integers(1, 4))):
            text = "".join(rng.choice(list("ABCDEFGHLMNOPRSTX0123456789 .:="), int(rng.integers(3, 14))))
            draw.text((x, y + line * size_px * 1.2), text, fill=white, font=font)
    if kinds[2]:
        x, y, r = rng.uniform(0.05, 0.85) * size, rng.uniform(0.7, 0.9) * size, size * 0.04
        draw.ellipse((x - r, y - r, x + r, y + r), outline=white)
        turn = rng.uniform(0, 2 * math.pi)
        draw.line((x, y, x + r * math.cos(turn), y + r * math.sin(turn)), fill=white, width=2)
    if kinds[3]:
        draw_pictogram_box(draw, size, rng)
    return np.asarray(image)


def draw_pictogram_box(draw: ImageDraw.ImageDraw, size: int, rng: np.random.Generator) -> None:
    """A gray box with a breast and a probe in it, in a lower corner, as one hospital has it on every image: most of
    that hospital's images are normal, and the box must not come to mean so."""
    width, height, gap = rng.uniform(0.07, 0.13, 2).tolist() + [rng.uniform(0, 0.03)]
    x = (gap if rng.random() < 0.3 else 1 - gap - width) * size
    y = (1 - rng.uniform(0.02, 0.35) - height) * size
    right, bottom = x + width * size, y + height * size
    draw.rectangle((x, y, right, bottom), fill=int(rng.integers(140, 200)))
    dark = int(rng.integers(20, 90))
    draw.chord((x, y + height * size * 0.3, right, bottom + height * size * 0.3), 180, 360, fill=dark)
    draw.line((x + width * size * rng.uniform(0.2, 0.8), y, right, y + height * size * rng.uniform(0.2, 0.9)), fill=255)


def _draw_caliper(
    draw: ImageDraw.ImageDraw,
    size: int,
    rng: np.random.Generator,
    white: int,
    label: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    centre = rng.uniform(0.2, 0.8, 2) * size
    half = rng.uniform(0.05, 0.25) * size
    turn = rng.uniform(0, math.pi)
    step = np.array([math.cos(turn), math.sin(turn)])
    arm = size * 0.012
    for sign in (-1, 1):
        x, y = centre + sign * half * step
        draw.line((x - arm, y, x + arm, y), fill=white)
        draw.line((x, y - arm, x, y + arm), fill=white)
    if rng.random() < 0.7:
        for t in np.arange(-half, half, size * 0.02):
            draw.point(tuple(centre + t * step), fill=white)
    if rng.random() < 0.5:
        x, y = centre + half * step
        draw.text((x + arm, y), label, fill=white, font=font)
