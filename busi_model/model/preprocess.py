"""A gray frame becomes the network's square, and what the network says returns to the frame's own pixels.

Training, evaluation and the app all use this one description; it is stored beside the weights. Geometry is an
aspect-preserving letterbox: the longer side becomes `size`, the rest is black, the picture is centred. Judged are two
views, the picture and its mirror image, each in gray levels of its own.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from busi_model.frame import MAX_PIXELS, square_steps, strips

TONES = (0.6, 1.7)  # of weights that are trained from now on


@dataclass(frozen=True)
class Letterbox:
    """Where a (height, width) frame lies inside the square: rows top..top+rows, columns left..left+columns."""

    height: int
    width: int
    top: int
    left: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Preprocess:
    """How pixels reach the network."""

    size: int = 256  # side of the square in pixels, a multiple of 32
    mean: float = 127.0  # gray levels; the ImageNet encoder was trained on (x - 127) / 128
    scale: float = 128.0  # gray levels
    # Exponents of the gray levels (from 0 to 1) in which a picture and its mirror image are judged; below 1 dark tissue
    # becomes brighter. Weights of before there were tones know none, which is 1.
    tones: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if self.size < 64 or self.size % 32:
            raise ValueError(f"size is {self.size}; a multiple of 32, at least 64, is expected.")
        if not self.scale >= 1e-3:
            raise ValueError(f"scale is {self.scale}; a positive number of gray levels, at least 0.001, is expected.")
        if not all(0.1 <= tone <= 10 for tone in self.tones):
            raise ValueError(f"tones are {self.tones}; two exponents of gray levels, from 0.1 to 10, are expected.")

    def letterbox(self, height: int, width: int) -> Letterbox:
        factor = self.size / max(height, width)
        rows = max(1, round(height * factor))
        columns = max(1, round(width * factor))
        return Letterbox(height, width, (self.size - rows) // 2, (self.size - columns) // 2, rows, columns)

    def square(self, gray: np.ndarray) -> np.ndarray:
        """Gray uint8 (H, W) -> uint8 (S, S), letterboxed. Pillow's bilinear filter averages when it shrinks."""
        box = self.letterbox(*gray.shape)
        small = Image.fromarray(gray).resize((box.columns, box.rows), Image.Resampling.BILINEAR)
        square = np.zeros((self.size, self.size), np.uint8)
        square[box.top : box.top + box.rows, box.left : box.left + box.columns] = np.asarray(small)
        return square

    def square_mask(self, mask: np.ndarray) -> np.ndarray:
        """Mask bool (H, W) -> uint8 (S, S), 255 times the share of each pixel that the mask covers."""
        return self.square(mask.astype(np.uint8) * 255)

    def normalise(self, square: Any) -> Any:
        """Gray levels 0..255, array or tensor of any shape -> what the encoder expects, same shape."""
        return (square - self.mean) / self.scale

    def in_tone(self, levels: Any, tone: float) -> Any:
        """Gray levels 0..255, float array or tensor of any shape -> what the encoder expects of them in that tone."""
        return self.normalise(255 * (levels / 255) ** tone)

    def __call__(self, gray: np.ndarray) -> np.ndarray:
        """Gray uint8 (H, W) -> the picture and its mirror image, each in its tone, float32 (2, 1, S, S)."""
        square, levels = self.square(gray), np.arange(256.0)
        straight, mirrored = (self.in_tone(levels, tone).astype(np.float32)[square] for tone in self.tones)
        return np.stack([straight, mirrored[:, ::-1]])[:, None]

    def restore(self, square: np.ndarray, height: int, width: int, own: tuple[int, int] | None = None) -> np.ndarray:
        """Float (S, S) map of the network -> float32 (H, W) in the frame's own pixels, bilinear.

        own: (H, W) of a frame that `square_pixels` stretched to the height and width; None: it did not.
        """
        box = self.letterbox(height, width)
        height, width = own or (height, width)
        inner = square[box.top : box.top + box.rows, box.left : box.left + box.columns]
        image = Image.fromarray(np.ascontiguousarray(inner, np.float32))
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        restored = np.empty((height, width), np.float32)
        for rows in strips(height, width):  # np.asarray(image) would take its memory twice more
            restored[rows] = np.asarray(image.crop((0, rows.start, width, rows.stop)))
        return restored


def square_pixels(gray: np.ndarray, pixel_aspect: float) -> np.ndarray:
    """Gray uint8 (H, W), `Frame.pixel_aspect` -> uint8 with square pixels: the longer side of a pixel is divided, or
    where that gave too many of them, the shorter one joined. The same array where pixels are square already."""
    if pixel_aspect == 1:
        return gray
    (height, width), (row, column) = gray.shape, square_steps(pixel_aspect)
    if height * row * width * column > MAX_PIXELS:
        row, column = 1 / column, 1 / row
    size = max(1, round(width * column)), max(1, round(height * row))
    return np.asarray(Image.fromarray(gray).resize(size, Image.Resampling.BILINEAR))
