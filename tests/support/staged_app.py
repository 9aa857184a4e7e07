"""`app.py` with a Predictor that acts: the height of the image says what it answers.

For states that real weights show only now and then. Every figure of the operating point is invented.
"""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from busi_model.cli import start
from busi_model.image import Frame, Notice, read_image
from busi_model.model.operating_point import OperatingPoint, Rate, ReliabilityBin, Threshold
from busi_model.names import CLASS_NAMES
from busi_model.predict import Prediction, Predictor

RATE = Rate(0.9, 0.84, 0.95, 120)
POINT = OperatingPoint(
    thresholds=(
        Threshold("balanced", 0.4, Rate(0.9, 0.8, 0.96, 61), Rate(0.88, 0.83, 0.92, 200)),
        Threshold("sensitive", 0.1, Rate(0.98, 0.91, 1.0, 61), Rate(0.55, 0.48, 0.62, 200)),
    ),
    conformal_probability=0.2,
    conformal_coverage=RATE,
    margin_inside=0.8,
    margin_outside=0.2,
    margin_coverage=RATE,
    reliability=(
        ReliabilityBin("malignant", 0.8, 0.9, Rate(0.84, 0.73, 0.91, 61)),
        ReliabilityBin("benign", 0.8, 1.0, Rate(0.93, 0.86, 0.97, 88)),
    ),
    fitted_on="261 invented images",
)
SCENES = {  # height of the image: probabilities, number of lesions, codes of warnings
    300: ((0.1, 0.87, 0.03), 1, ()),
    302: ((0.93, 0.05, 0.02), 2, ()),
    304: ((0.04, 0.06, 0.9), 0, ()),
    306: ((0.4, 0.55, 0.05), 1, ("uncertain",)),
    308: ((0.1, 0.87, 0.03), 1, ("not_ultrasound",)),
    310: ((0.1, 0.3, 0.6), 0, ("blank",)),
    314: ((0.1, 0.87, 0.03), 1, ("split_screen",)),  # and each half is suggested as a picture of its own
    312: ((0.03, 0.05, 0.92), 1, ("colour", "marks", "split_screen", "heads_disagree")),
    318: ((0.8, 0.15, 0.05), 1, ()),
    320: ((0.1, 0.87, 0.03), 3, ()),
}


class StagedPredictor(Predictor):
    """Answers by the height of the image; discs are its lesions, and a ring round each its margin."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.operating_point = POINT
        self.checkpoint = replace(self.checkpoint, operating_point=POINT)

    def __call__(self, image) -> Prediction:
        frame = image if isinstance(image, Frame) else read_image(image)
        height, width = frame.gray.shape
        probabilities, n_lesions, codes = SCENES.get(height, SCENES[300])
        probabilities = dict(zip(CLASS_NAMES, probabilities, strict=True))
        y, x = np.mgrid[:height, :width]
        discs = [np.hypot(y - height / 2, x - 0.3 * width) < 70, np.hypot(y - height / 2, x - 0.75 * width) < 30]
        discs.append(np.hypot(y - 0.2 * height, x - 0.88 * width) < 16)
        mask = np.logical_or.reduce([np.zeros(frame.gray.shape, bool), *discs[:n_lesions]])
        ring = ndimage.binary_dilation(mask, iterations=6) & ~ndimage.binary_erosion(mask, iterations=6)
        warnings = tuple(Notice(code, f"Staged: {code}.") for code in codes)
        logits = np.zeros(3, np.float32)
        class_set = POINT.class_set(probabilities)
        said = Prediction(frame, probabilities, mask, mask * np.float32(1), logits, class_set, ring, warnings)
        if height == 314:
            halves = ((0, 0, width // 2, height), (width // 2, 0, width, height))
            object.__setattr__(said, "suggested_crops", halves)  # frozen, and not every Predictor suggests any
        return said


if __name__ == "__main__":
    start.run(load=StagedPredictor.load)
