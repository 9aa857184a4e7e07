"""What a picture's colours say of it: Doppler or elastography, or a photograph of a screen.

Enters: RGB of a picture, or of a sample of its pixels. Leaves: notices. A gray scan stored in colour is often tinted,
and has yellow marks and a lavender pictogram: what counts is the colour that remains when the picture's own curve from
gray to RGB is taken off.
"""

import numpy as np
from PIL import Image

from busi_model.frame import Notice

SAMPLE_PIXELS = 400_000  # looked at, in a grid
LEVELS_A_STEP = 4  # gray levels that share a point of the curve
TINT = 60  # levels that the curve may lie off gray: more is colour
# Against BUS-UCLM's own Doppler column: yellow and lavender stay below 26, one speck of blood reaches 30.
SATURATED = 30  # levels off the curve that red or blue exceeds the other channels by
SATURATED_RAW = 20  # and in the picture itself: off its curve the yellow of a bluish picture looks red
SATURATED_SHARE = 1e-4  # of the pixels, in patches of 3 x 3
STRONG, STRONG_SHARE = 40, 0.2  # levels off the curve; from this share of the pixels on it is no gray picture at all
PHOTO_LEVELS = 1  # median off the curve: a file keeps gray within one level, a camera does not

COLOUR = Notice(
    "colour",
    "Colour lies on the picture, as of Doppler or elastography; only its brightness is used. Export the frame without.",
)
PHOTO = Notice(
    "photo",
    "The gray is tinted unevenly, as in a photograph of a screen. Export the image from the scanner or the archive; "
    "or else photograph it straight on and crop it to the scan.",
)


def sample_step(height: int, width: int) -> int:
    """Every how many pixels `colour_notices` wants to see a picture of this size."""
    return max(1, int(np.ceil(np.sqrt(height * width / SAMPLE_PIXELS))))


def colour_notices(rgb: np.ndarray) -> tuple[Notice, ...]:
    """RGB uint8 (H, W, 3) -> none, `COLOUR`, `PHOTO` or both."""
    off = _off_curve(rgb)
    raw = rgb.astype(np.int16)
    saturated = ((_excess(off, c) > SATURATED) & (_excess(raw, c) > SATURATED_RAW) for c in (0, 2))  # red, blue
    patches = sum(float(_whole_patches(s).sum()) for s in saturated) / (rgb.size / 3)
    distance = np.abs(off).max(axis=2)  # (H, W)
    strong = float((distance > STRONG).mean())
    found = []
    if patches >= SATURATED_SHARE or strong >= STRONG_SHARE:
        found.append(COLOUR)
    if np.median(distance) > PHOTO_LEVELS and strong < STRONG_SHARE:
        found.append(PHOTO)
    return tuple(found)


def _off_curve(rgb):
    """int16 (H, W, 3): each channel less luma, less the median of that among pixels as bright (at most TINT)."""
    luma = np.asarray(Image.fromarray(rgb).convert("L"))
    step = luma // LEVELS_A_STEP
    off = rgb.astype(np.int16) - luma[:, :, None]
    for channel in range(3):
        places = step.astype(np.int32) * 511 + off[:, :, channel] + 255
        counts = np.bincount(places.ravel(), minlength=(255 // LEVELS_A_STEP + 1) * 511).reshape(-1, 511).cumsum(axis=1)
        median = (counts * 2 >= np.maximum(counts[:, -1:], 1)).argmax(axis=1) - 255
        off[:, :, channel] -= median.clip(-TINT, TINT).astype(np.int16)[step]
    return off


def _excess(levels, channel):
    """By how much a channel exceeds the others, (H, W, 3) -> (H, W)."""
    return levels[:, :, channel] - np.delete(levels, channel, axis=2).max(axis=2)


def _whole_patches(mask):
    """Middles of 3 x 3 pixels that are all true, bool (H - 2, W - 2)."""
    rows = mask[:-2] & mask[1:-1] & mask[2:]
    return rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
