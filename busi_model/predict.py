"""One image becomes one `Prediction`: the contract that page, command line and evaluation build on.

The Predictor holds no state besides the weights, so the same image gives the same answer whatever came before.
"""

import copy
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageStat
from torch import Tensor, nn

from busi_model.image import Frame, Notice, read_image
from busi_model.model import checkpoint
from busi_model.model.network import NetworkOutput, choose_device, fold_for_inference
from busi_model.model.ood import ood_inputs
from busi_model.model.preprocess import square_pixels
from busi_model.model.quality import look
from busi_model.names import CLASS_NAMES

REFUSALS = ("blank", "not_ultrasound")  # codes of the warnings that make a result meaningless
BLANK_STANDARD_DEVIATION = 4.0  # gray levels; the flattest image of BUSI has 29, of BUS-BRA 16

BLANK, NOT_ULTRASOUND = Notice("blank"), Notice("not_ultrasound")
Picture = str | os.PathLike[str] | Image.Image | np.ndarray | Frame  # an array: uint8 (H, W) or (H, W, 3)
ON_CPU = Notice("on_cpu")


@dataclass(frozen=True)
class Prediction:
    """What the network says of one frame; all maps are in the frame's own pixels.

    Of a picture that is `refused` nothing is said: no label, no probabilities, nothing outlined. What the network would
    have said stands in `despite_refusal`, for a reader who knows better.
    """

    frame: Frame
    class_probabilities: dict[str, float]  # calibrated, sums to 1, in the order of CLASS_NAMES; {} when refused
    mask: np.ndarray  # bool (H, W)
    mask_probability: np.ndarray  # float32 (H, W) in [0, 1], mean over the mirrored views
    class_logits: np.ndarray  # float32 (3,), before the temperature: what calibration is fitted on; NaN when refused
    class_set: tuple[str, ...]  # the classes that cannot be ruled out, likeliest first; more than one: uncertain
    margin: np.ndarray  # bool (H, W): the band where the contour of a lesion could reasonably lie
    warnings: tuple[Notice, ...]  # the frame's notices, then the picture's, then of the result
    ood_score: float = float("nan")  # of `OodDetector`: log-odds of no breast ultrasound; NaN: unknown
    ood_distance: float = float("nan")  # likewise, from the training pictures: about 1 for one like them
    suggested_crops: tuple[tuple[int, int, int, int], ...] = ()  # (x0, y0, x1, y1) in frame pixels, ends not included
    despite_refusal: "Prediction | None" = None  # None unless refused

    @property
    def label(self) -> str | None:
        """The likeliest class; None when refused."""
        probabilities = self.class_probabilities
        return max(probabilities, key=probabilities.__getitem__) if probabilities else None

    @property
    def confidence(self) -> float:
        """The probability of `label`; NaN when refused."""
        return max(self.class_probabilities.values(), default=math.nan)

    @property
    def refused(self) -> bool:
        """Whether the picture is not one that can be judged. Look at this first."""
        return any(warning.code in REFUSALS for warning in self.warnings)

    @property
    def judged_anyway(self) -> "Prediction":
        """Itself, or what the network would have said of a refused picture."""
        return self.despite_refusal or self


class Predictor:
    """Weights on a device. `Predictor.load()`, then call it with images, from any thread."""

    def __init__(self, loaded: checkpoint.Checkpoint, device: str = "auto"):
        self.device = torch.device(choose_device(device))
        self.checkpoint = loaded
        self.preprocess = loaded.preprocess
        self.operating_point = loaded.operating_point
        fold_for_inference(loaded.network)
        # PyTorch's stubs know no memory_format beside a device.
        self.network = loaded.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._turn = threading.Lock()  # one caller at a time: more would share the same cores
        # On a CPU the image and its mirror image run side by side, each on half of the cores: all cores on one small
        # convolution spend a third of the time on waiting for each other.
        self._map: Callable[..., Iterator[NetworkOutput]] = map
        n_threads = torch.get_num_threads()
        if self.device.type == "cpu" and n_threads > 1:
            pool = ThreadPoolExecutor(2, "view", initializer=torch.set_num_threads, initargs=(n_threads // 2,))
            self._map = pool.map

    @classmethod
    def load(
        cls,
        weights: Path | str | None = None,
        device: str = "auto",
        revision: str | None = None,
        operating_point: Path | str | None = None,
    ) -> "Predictor":
        """weights: folder or Hugging Face repository "owner/name"; None: those that came with the program, from any
        working folder. operating_point: a file that `busi calibrate` wrote
        for these weights, instead of their own. Raises CheckpointError, DeviceError."""
        device = choose_device(device)  # before weights are fetched
        loaded = checkpoint.load(weights, revision)
        if operating_point:
            loaded = checkpoint.with_operating_point(loaded, operating_point)
        return cls(loaded, device)

    def __call__(self, image: Picture) -> Prediction:
        """image: path, PIL.Image, uint8 array (H, W) or (H, W, 3), or a Frame. Raises ImageError."""
        return self.predict_many([image])[0]

    def predict_many(self, images: Iterable[Picture]) -> list[Prediction]:
        """Several images in one pass of the network: the answers of as many calls, all of them in memory."""
        frames = [image if isinstance(image, Frame) else read_image(image) for image in images]
        if not frames:
            return []
        grays = [square_pixels(frame.gray, frame.pixel_aspect) for frame in frames]
        notices: tuple[Notice, ...] = ()
        try:
            logits = self.logits(grays)
        except torch.OutOfMemoryError:
            logits, notices = self._on_cpu.logits(grays), (ON_CPU,)
        return [self._prediction(*one, notices) for one in zip(frames, grays, *logits, strict=True)]

    @cached_property
    def _on_cpu(self) -> "Predictor":
        """The same weights on the CPU, for what the graphics card has no memory for; the next image tries it again."""
        moved = {id(t): nn.Parameter(t.detach().cpu(), requires_grad=False) for t in self.network.parameters()}
        moved |= {id(t): t.cpu() for t in self.network.buffers()}
        twin = copy.copy(self)
        twin.network = copy.deepcopy(self.network, moved)  # not by way of the card: it is full
        twin.device, twin._turn = torch.device("cpu"), threading.Lock()
        return twin

    def _prediction(
        self,
        frame: Frame,
        gray: np.ndarray,
        class_logits: np.ndarray,
        mask_logits: np.ndarray,
        features: np.ndarray,
        notices: tuple[Notice, ...],
    ) -> Prediction:
        """gray: the frame's, with square pixels."""
        point = self.operating_point
        probabilities = point.class_probabilities(class_logits)
        square_probability = point.mask_probability(mask_logits)
        height, width = gray.shape
        mask_probability = self.preprocess.restore(square_probability, height, width, frame.gray.shape)
        class_probabilities: dict[str, float] = dict(zip(CLASS_NAMES, probabilities.tolist(), strict=True))
        core = point.core(square_probability)
        evidence = point.evidence(core, class_probabilities["normal"])
        mask = point.mask(mask_probability, evidence, point.pixel_threshold(core))
        ood = self.ood(features, gray)
        seen, crops = look(frame.gray)
        seen = (*frame.notices, *notices, *seen, *self._refusals(frame, ood))
        prediction = Prediction(
            frame,
            class_probabilities,
            mask,
            mask_probability,
            class_logits,
            point.class_set(class_probabilities),
            point.margin(mask_probability),
            (*seen, *self._doubts(class_probabilities, mask)),
            *ood,
            tuple((box.left, box.top, box.right, box.bottom) for box in crops),
        )
        return _silent(prediction, seen) if prediction.refused else prediction

    def logits(self, grays: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """N gray pictures uint8 (H, W) -> class logits (N, 3), mask logits (N, S, S) in the network's square and
        features (N, C); float32.

        Means over each image and its mirror image, before any temperature: what calibration is fitted on.
        """
        views = torch.from_numpy(np.stack([self.preprocess(gray) for gray in grays], axis=1)).to(self.device)
        with self._turn:
            straight, mirrored = self._map(self._pass, views)
        mask_logits = (straight.mask_logits + mirrored.mask_logits.flip(-1))[:, 0] / 2
        class_logits = (straight.class_logits + mirrored.class_logits) / 2
        features = (straight.features + mirrored.features) / 2
        return class_logits.cpu().numpy(), mask_logits.cpu().numpy(), features.cpu().numpy()

    def _pass(self, x: Tensor) -> NetworkOutput:
        with torch.inference_mode():  # a setting of the thread
            return self.network(x.contiguous(memory_format=torch.channels_last))

    def ood(self, features: np.ndarray, gray: np.ndarray) -> tuple[float, float]:
        """Features (C,) of `logits` and gray uint8 (H, W) -> score and distance of `OodDetector`; NaN where the weights
        know none."""
        detector = self.checkpoint.ood
        if detector is None:
            return math.nan, math.nan
        inputs = ood_inputs(features, gray)[None]
        return float(detector.score(inputs)[0]), float(detector.distance(inputs)[0])

    def _refusals(self, frame: Frame, ood: tuple[float, float]) -> tuple[Notice, ...]:
        if ImageStat.Stat(Image.fromarray(frame.gray)).stddev[0] < BLANK_STANDARD_DEVIATION:
            return (BLANK,)
        return (NOT_ULTRASOUND,) if self.operating_point.is_out_of_distribution(*ood) else ()

    def _doubts(self, class_probabilities: dict[str, float], mask: np.ndarray) -> list[Notice]:
        found = []
        label = max(class_probabilities, key=class_probabilities.__getitem__)
        possible = self.operating_point.class_set(class_probabilities)
        if len(possible) > 1 or class_probabilities[label] < self.operating_point.low_confidence:
            if len(possible) > 1:
                names = " and ".join(possible).capitalize()
                found.append(Notice("low_confidence", "classes_open", {"classes": names}))
            else:
                found.append(Notice("low_confidence", "classes_close"))
        if label == "normal" and mask.any():
            found.append(Notice("heads_disagree", "outlined_normal"))
        if label != "normal" and not mask.any():
            found.append(Notice("heads_disagree", "nothing_outlined", {"class_name": label}))
        return found


def _silent(judged: Prediction, warnings: tuple[Notice, ...]) -> Prediction:
    """A refused picture's Prediction, which says nothing of class and outline."""
    nothing = np.zeros(judged.mask.shape, bool)
    return replace(
        judged,
        class_probabilities={},
        mask=nothing,
        mask_probability=np.zeros(judged.mask.shape, np.float32),
        class_logits=np.full_like(judged.class_logits, np.nan),
        class_set=(),
        margin=nothing,
        warnings=warnings,
        despite_refusal=judged,
    )
