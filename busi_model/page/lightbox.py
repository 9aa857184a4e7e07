"""The images that users have open, kept on the server: a path becomes a `Case`, a case gets its Prediction.

Pages hold only case ids, which cannot be guessed. Cases live in memory; what the browser has to fetch lies in a private
folder that Gradio serves and empties. What was not used for an hour is forgotten, and so is the longest unused when
memory would run out.
"""

import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from busi_model.clinic.explain import Explainer
from busi_model.clinic.measure import Lesion, measure_lesions
from busi_model.clinic.view import draw_heat, encode_png, thumbnail
from busi_model.image import Frame, ImageError
from busi_model.page.decoding import read_image
from busi_model.predict import Prediction

LOG = logging.getLogger(__name__)
KEPT_S = 3600
KEPT_BYTES = 2 * 2**30
BYTES_PER_PIXEL = 7  # gray, mask, margin and the mask's probability
THUMBNAIL_PX = 96
HEAT_PX = 2048  # longer side, at most: the browser stretches the map over the frame, and its grid is coarse anyway


@dataclass(eq=False)
class Case:
    """One opened image. Changed only by `Lightbox`, under the case's own lock."""

    case_id: str
    source: object  # what `read_image` takes, until it is read
    folder: Path  # for what the browser fetches
    synthetic: bool = False
    frame: Frame | None = None
    thumbnail_png: bytes = b""
    error: str | None = None  # why the image cannot be read, in words
    failed: bool = False  # the analysis stopped; the log says why
    prediction: Prediction | None = None
    lesions: list[Lesion] = field(default_factory=list)
    spacing_mm: tuple[float, float] | None = None  # (row, column); the file's, or what the user marked
    marked: bool = False  # the spacing is the user's mark
    insisted: bool = False  # the user wants the result although the image was refused
    explained: bool = False  # the user asked for the explanation
    forgotten: bool = False  # nothing may be written any more
    used_at: float = 0.0  # by the light box's clock
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def ready(self) -> bool:
        """Whether nothing is left to compute."""
        return self.error is not None or self.failed or self.prediction is not None

    @property
    def withheld(self) -> bool:
        """Whether the result is kept back: the image was refused, is not our own, and the user did not insist."""
        shown = self.insisted or self.synthetic
        return self.prediction is not None and self.prediction.refused and not shown


class Lightbox:
    """All open cases of all users."""

    def __init__(self, predictor, folder, kept_bytes: int = KEPT_BYTES, clock: Callable[[], float] = time.monotonic):
        """folder: private, served by Gradio. kept_bytes: of all cases together. clock: seconds, for tests."""
        self.predictor, self.folder, self.kept_bytes, self.clock = predictor, Path(folder), kept_bytes, clock
        self._cases: dict[str, Case] = {}
        self._lock = threading.Lock()
        self._files = threading.Lock()

    def add(self, source, synthetic: bool = False) -> Case:
        """Take an image in, a path or an array; it is read later, by `open`."""
        case_id = secrets.token_urlsafe(16)
        case = Case(case_id, source, self.folder / f"case-{case_id}", synthetic, used_at=self.clock())
        with self._lock:
            self._cases[case_id] = case
        self._tidy(keep=case_id)
        return case

    def get(self, case_id: str | None) -> Case | None:
        """The case, or None when it was forgotten."""
        case = self._cases.get(case_id)
        if case is not None:
            case.used_at = self.clock()
        return case

    def open(self, case: Case) -> Case:
        """Read the pixels, once. A file that cannot be used leaves its reason in `case.error`."""
        with case.lock:
            if case.frame is None and case.error is None:
                try:
                    case.frame = read_image(case.source)
                    case.spacing_mm = case.frame.spacing_mm
                    case.thumbnail_png = encode_png(thumbnail(case.frame.gray, THUMBNAIL_PX))
                except ImageError as error:
                    case.error = str(error)
                case.source = None
        self._tidy(keep=case.case_id)
        return case

    def analyse(self, case: Case) -> Case:
        """Read and analyse, once. A failure of the program goes to the log and is marked on the case."""
        with case.lock:
            try:
                self.open(case)
                if not case.ready:
                    case.prediction = self.predictor(case.frame)
                    self._measure(case)
            except Exception:  # the page must not stay at "Analysing…", and the cause belongs in the log
                LOG.exception("Reading an image failed.")
                case.failed = True
        return case

    def mark_length(self, case: Case, start_xy, end_xy, length_mm: float) -> None:
        """Take millimetres from a length that the user marked; pixels are taken to be square. Raises ValueError."""
        length_px = float(np.hypot(end_xy[0] - start_xy[0], end_xy[1] - start_xy[1]))
        if not length_px >= 10:
            raise ValueError(f"{length_px:.0f} px were marked; at least 10 px are expected.")
        if not 1 <= length_mm <= 500:
            raise ValueError(f"The length is {length_mm} mm; 1 to 500 mm are expected.")
        self._set_spacing(case, (length_mm / length_px,) * 2, marked=True)

    def unmark_length(self, case: Case) -> None:
        """Return to the spacing that the file brought, or to none."""
        self._set_spacing(case, case.frame.spacing_mm, marked=False)

    def picture(self, case: Case) -> str:
        """Path of the frame as PNG."""
        return self._written(case, "busi-image.png", lambda: encode_png(case.frame.gray))

    def explanation(self, case: Case) -> str:
        """Path of the heat map of the likeliest class as PNG with transparency."""
        label = case.prediction.label

        def draw():
            return encode_png(draw_heat(self._explainer(thumbnail(case.frame.gray, HEAT_PX), label)))

        path = self._written(case, f"busi-explanation-{label}.png", draw)
        case.explained = True
        return path

    def write(self, case: Case, name: str, content: bytes) -> str:
        """Put a file into the case's own folder, in place of one that lies there; returns its path."""
        path = case.folder / name
        with self._files:
            if not case.forgotten:
                case.folder.mkdir(mode=0o700, exist_ok=True)
                path.write_bytes(content)
        return str(path)

    def forget(self, case_ids) -> None:
        """Drop cases and what was written of them."""
        with self._lock:
            gone = [self._cases.pop(case_id) for case_id in list(case_ids) if case_id in self._cases]
        for case in gone:
            with self._files:
                case.forgotten = True
                shutil.rmtree(case.folder, ignore_errors=True)

    def _written(self, case, name, draw):
        """As `write`, but drawn only when it is not there yet (Gradio empties the folder now and then)."""
        path = case.folder / name
        with case.lock:
            return str(path) if path.is_file() else self.write(case, name, draw())

    @cached_property
    def _explainer(self):
        return Explainer(self.predictor)

    def _measure(self, case):
        case.lesions = measure_lesions(case.prediction.mask, case.prediction.margin, case.spacing_mm)

    def _set_spacing(self, case, spacing_mm, marked):
        with case.lock:
            case.spacing_mm, case.marked = spacing_mm, marked
            if case.prediction is not None:
                self._measure(case)

    def _tidy(self, keep):
        """Forget what is old, and the longest unused while there is too much; never the case at hand."""
        with self._lock:
            by_use = sorted(self._cases.values(), key=lambda case: case.used_at)
        size = sum(_size(case) for case in by_use)
        gone = []
        for case in by_use:
            old = self.clock() - case.used_at > KEPT_S
            if case.case_id != keep and (old or size > self.kept_bytes):
                gone.append(case.case_id)
                size -= _size(case)
        self.forget(gone)


def _size(case):
    return 0 if case.frame is None else BYTES_PER_PIXEL * case.frame.gray.size
