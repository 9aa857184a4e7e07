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

COLOUR = Notice("colour")
PHOTO = Notice("photo")


def sample_step(height: int, width: int) -> int:
    """Every how many pixels `colour_notices` wants to see a picture of this size."""
    return max(1, int(np.ceil(np.sqrt(height * width / SAMPLE_PIXELS))))


def colour_notices(rgb: np.ndarray) -> tuple[Notice, ...]:
    """RGB uint8 (H, W, 3) -> none, `COLOUR`, `PHOTO` or both."""
    raw = np.ascontiguousarray(np.moveaxis(rgb, 2, 0), np.int16)  # (3, H, W)
    if max(np.abs(raw[0] - raw[1]).max(), np.abs(raw[2] - raw[1]).max()) <= PHOTO_LEVELS:
        return ()  # gray, stored in colour
    off = _off_curve(raw, np.asarray(Image.fromarray(rgb).convert("L")))
    patches = 0
    for channel, others in ((0, (1, 2)), (2, (0, 1))):  # red, blue
        excess, excess_raw = (c[channel] - np.maximum(c[others[0]], c[others[1]]) for c in (off, raw))
        patches += int(_whole_patches((excess > SATURATED) & (excess_raw > SATURATED_RAW)).sum())
    distance = np.abs(off)
    distance = np.maximum(np.maximum(distance[0], distance[1]), distance[2])  # (H, W)
    strong = np.count_nonzero(distance > STRONG) / distance.size
    found = []
    if patches >= SATURATED_SHARE * distance.size or strong >= STRONG_SHARE:
        found.append(COLOUR)
    if np.median(distance) > PHOTO_LEVELS and strong < STRONG_SHARE:
        found.append(PHOTO)
    return tuple(found)


def _off_curve(raw: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """int16 (3, H, W): each channel less luma, less the median of that among pixels as bright (at most TINT)."""
    step = luma // LEVELS_A_STEP
    n_steps = 255 // LEVELS_A_STEP + 1
    off = raw - luma
    for channel in range(3):
        places = (step.astype(np.intp) * 511 + off[channel] + 255).ravel()
        counts = np.bincount(places, minlength=n_steps * 511).reshape(n_steps, 511).cumsum(axis=1)
        median = (counts * 2 >= np.maximum(counts[:, -1:], 1)).argmax(axis=1) - 255
        off[channel] -= median.clip(-TINT, TINT).astype(np.int16)[step]
    return off


def _whole_patches(mask: np.ndarray) -> np.ndarray:
    """Middles of 3 x 3 pixels that are all true, bool (H - 2, W - 2)."""
    rows = mask[:-2] & mask[1:-1] & mask[2:]
    return rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
