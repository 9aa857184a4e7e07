"""Where in the image the network found what speaks for a class: Grad-CAM on the encoder's deepest features.

Enters: a Predictor once, then gray frames. Leaves: a map in the frame's own pixels, and the part of the frame where it
means anything (`scan_area`): outside lies margin, text or a gray scale, which says nothing of tissue. It shows where
the network looked, at the coarse grid of those features (one cell is a thirty-second of the square), not where a lesion
ends.
"""

import copy
import threading
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage.morphology import convex_hull_image

from busi_model.frame import Box
from busi_model.names import CLASS_NAMES
from busi_model.predict import Predictor

TOLERANCE = 6  # gray levels round the margin's own: JPEG leaves ripples of a few
WORD_SHARE = 1 / 60  # of the shorter side: thinner things, such as letters and lines, are no scan


class Explainer:
    """Holds a copy of the Predictor's network: gradients are taken there, so no running prediction is disturbed."""

    def __init__(self, predictor: Predictor):
        self.preprocess, self.device = predictor.preprocess, predictor.device
        self.network = copy.deepcopy(predictor.network).eval()
        self.network.encoder.register_forward_hook(self._keep_deepest)
        self._turn = threading.Lock()
        self._deepest: torch.Tensor | None = None

    def __call__(self, gray: np.ndarray, class_name: str) -> np.ndarray:
        """Gray uint8 (H, W) -> float32 (H, W) in [0, 1]; 1 where most speaks for `class_name`, all 0 if nothing does.

        Selvaraju et al., Grad-CAM, ICCV 2017; as the Predictor does, we average over the image and its mirror image.
        Raises ValueError for a class that the network does not know.
        """
        if class_name not in CLASS_NAMES:
            raise ValueError(f"The class is {class_name!r}; one of {', '.join(CLASS_NAMES)} is expected.")
        x = torch.from_numpy(self.preprocess(gray)).to(self.device)
        with self._turn, torch.enable_grad():
            logits = self.network(x).class_logits
            deepest = cast(torch.Tensor, self._deepest)  # the hook has just put it there
            (gradient,) = torch.autograd.grad(logits[:, CLASS_NAMES.index(class_name)].sum(), deepest)
            self._deepest = None
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        maps = F.relu((weights * deepest.detach()).sum(dim=1, keepdim=True)).float()  # (2, 1, S/32, S/32)
        both = (maps[0] + maps[1].flip(-1)) / 2
        size = self.preprocess.size
        square = F.interpolate(both[None], (size, size), mode="bilinear", align_corners=False)[0, 0]
        heat = self.preprocess.restore(square.cpu().numpy(), *gray.shape)
        return heat / max(float(heat.max()), 1e-12)

    def _keep_deepest(self, module: object, inputs: object, features: list[torch.Tensor]) -> None:
        # The weights need no gradient, so these features are where the graph begins.
        self._deepest = features[-1].requires_grad_()


def scan_area(gray: np.ndarray, scan_regions: Sequence[Box] = ()) -> np.ndarray:
    """Gray uint8 (H, W) -> bool (H, W): the scan regions (`Frame.scan_regions`), or the hull of the largest thing that
    stands out from the margin; everything when nothing does. `banner` asks the opposite question with more care, since
    a wrong answer there takes pixels away; here it only hides a colour."""
    area = np.zeros(gray.shape, bool)
    for box in scan_regions:
        area[box.top : box.bottom, box.left : box.right] = True
    if area.any():
        return area
    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    margin = int(np.bincount(border).argmax())
    bright = np.abs(gray.astype(np.int16) - margin) > TOLERANCE
    side = max(3, round(min(gray.shape) * WORD_SHARE))
    solid = ndimage.uniform_filter(bright.astype(np.float32), 2 * side + 1) > 0.5
    pieces, count = ndimage.label(solid)
    if not count:
        return np.ones(gray.shape, bool)
    largest = np.bincount(pieces.ravel())[1:].argmax() + 1
    return convex_hull_image(pieces == largest)
