"""One open image, as the server holds it: what was read, what was made of it, what the user did to it.

A case is waiting, then shows a frame, then that frame is judged; or its error says why it cannot be read. A film that
turns to another frame shows it and is not judged again yet. Its own methods lead from one to the next, `OpenImages`
calls those that read and judge.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from busi_model.clinic.descriptors import Descriptor, describe
from busi_model.clinic.measure import Lesion, measure_lesions
from busi_model.clinic.view import encode_png, thumbnail
from busi_model.decode.banner import without_banner
from busi_model.decode.dicom.kind import is_dicom_file
from busi_model.image import Frame, ImageError
from busi_model.page.images.edits import BYTES_PER_POINT, Corners, Drawn, marked_spacing
from busi_model.page.images.film import Film
from busi_model.page.server.decoding import read_identity, read_image
from busi_model.page.viewer.field import model_polygons
from busi_model.predict import Prediction

THUMBNAIL_PX = 96
BYTES_PER_PIXEL = 7  # gray, mask, margin and the mask's probability
BASE_BYTES = 20_000  # everything else: the object, its lines in lists, and an opinion that was typed and not sent

Source = Path | np.ndarray | Frame  # an array: a picture of our own


@dataclass(eq=False)
class OpenImage:
    """One opened image. What changes its frame or its result holds its lock."""

    case_id: str
    source: Source | None  # until it is read
    folder: Path  # for what the browser fetches
    synthetic: bool = False
    is_dicom: bool = False  # a scanner writes names beside the scan
    identity: dict | None = field(default=None, repr=False)  # of a DICOM file: what ties results to it, with the name
    thumbnail_png: bytes = b""
    error: str | None = None  # why the image cannot be read, in words
    failed: bool = False  # the analysis stopped; the log says why
    lesions: list[Lesion] = field(default_factory=list)
    described: list[tuple[Descriptor, ...]] = field(default_factory=list)  # one a lesion
    spacing_mm: tuple[float, float] | None = None  # (row, column); the file's, or what the user marked
    marked: bool = False  # the spacing is the user's mark
    carried: bool = False  # that mark was made in an earlier image of the same size
    drawn: Drawn | None = None  # None: the model's outline is the shown one
    revision: int = 0  # of the outline, as the browser counts
    crop: Corners | None = None  # what was cut out of another image
    film: Film | None = None  # None: a still
    insisted: bool = False  # the user wants the result although the image was refused
    explained: bool = False  # the user asked for the explanation
    holder: str = ""  # whose it is, for shares: an address
    written: dict[str, int] = field(default_factory=dict)  # bytes of its files, by name
    counted_bytes: int = 0  # of `held_bytes`, when `OpenImages` last looked
    forgotten: bool = False  # nothing may be written any more
    used_at: float = 0.0  # by the clock of `OpenImages`
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _frame: Frame | None = field(default=None, init=False, repr=False)
    _prediction: Prediction | None = field(default=None, init=False, repr=False)

    @property
    def is_read(self) -> bool:
        return self._frame is not None

    @property
    def frame(self) -> Frame:
        """The shown one. Raises RuntimeError when there is none: look at `is_read` first."""
        if self._frame is None:
            raise RuntimeError("The image has no frame yet; `OpenImages.open` reads it.")
        return self._frame

    @property
    def kept_gray(self) -> np.ndarray:
        """What may be kept of the shown frame, uint8 (H, W), as of a session's cases: of a DICOM file without the text
        beside its scan."""
        return without_banner(self.frame).gray if self.is_dicom else self.frame.gray

    @property
    def is_judged(self) -> bool:
        return self._prediction is not None

    @property
    def prediction(self) -> Prediction:
        """Of the shown frame. Raises RuntimeError when there is none: look at `is_judged` first."""
        if self._prediction is None:
            raise RuntimeError("The frame is not judged yet; `OpenImages.analyse` does it.")
        return self._prediction

    @property
    def ready(self) -> bool:
        """Whether nothing is left to compute."""
        return self.error is not None or self.failed or self.is_judged

    @property
    def withheld(self) -> bool:
        """Whether the result is kept back: the image was refused, is not our own, and the user did not insist."""
        shown = self.insisted or self.synthetic
        return self._prediction is not None and self._prediction.refused and not shown

    @property
    def label(self) -> str:
        """The likeliest class, of a refused image too: what is kept of it is `Prediction.judged_anyway`."""
        return cast(str, self.prediction.label)

    @property
    def mask(self) -> np.ndarray:
        """The shown outline, filled: bool (H, W)."""
        return self.prediction.mask if self.drawn is None else self.drawn.mask

    @property
    def suggested_crops(self) -> tuple[Corners, ...]:
        """Parts of the picture that should be judged on their own."""
        return self._prediction.suggested_crops if self._prediction else ()

    @property
    def held_bytes(self) -> int:
        """All that goes when the case is forgotten: pixels, results, what was drawn, files on the disk."""
        pixels = 0 if self._frame is None else BYTES_PER_PIXEL * self._frame.gray.size
        drawn = [self.drawn, *(self.film.drawn.values() if self.film else [])]
        outlines = BYTES_PER_POINT * sum(len(lesion.outline_xy) for lesion in list(self.lesions))
        own = BASE_BYTES + len(self.thumbnail_png) + sum(list(self.written.values()))
        return own + pixels + outlines + sum(one.held_bytes for one in drawn if one is not None)

    def read(self) -> None:
        """Read the pixels, once. A file that cannot be used leaves its reason in `error`."""
        with self.lock:
            if self.is_read or self.error is not None:
                return
            source = self.source
            try:
                self.show(source if isinstance(source, Frame) else read_image(source))
                if isinstance(source, Path):
                    self.film, self.identity = Film.of(source, self.frame), read_identity(source)
                    self.is_dicom = is_dicom_file(source)
                self.thumbnail_png = encode_png(thumbnail(self.frame.gray, THUMBNAIL_PX))
            except ImageError as error:
                self.error = str(error)
            self.source = None

    def show(self, frame: Frame) -> None:
        """Put a frame in the place of the one before; it is not judged yet. A scale that the user marked stays."""
        self._frame, self._prediction = frame, None
        self.lesions, self.described, self.explained, self.failed = [], [], False, False
        if not self.marked:
            self.spacing_mm = frame.spacing_mm

    def judge(self, prediction: Prediction) -> None:
        """Take what the network says of the shown frame, and measure it."""
        self._prediction = prediction
        if self.film is not None:
            self.film.keep(self.film.index, prediction)
        self._measure()

    def turn_to(self, index: int) -> None:
        """Show another frame of a film; what was drawn on the one before is kept. Raises ImageError, and RuntimeError
        for a still."""
        with self.lock:
            if self.film is None:
                raise RuntimeError("A still has no other frame to turn to.")
            frame = self.film.read(index)
            self.drawn = self.film.turn_to(index, self.drawn)
            self.show(frame)

    def mark_length(self, start_xy: Sequence[float], end_xy: Sequence[float], length_mm: float) -> None:
        """Take millimetres from a length that the user marked. Raises ValueError."""
        self._set_spacing(marked_spacing(self.frame, start_xy, end_xy, length_mm), marked=True)

    def carry_scale(self, spacing_mm: tuple[float, float]) -> None:
        """Take millimetres from a mark in an earlier image of the same export."""
        self._set_spacing(spacing_mm, marked=True, carried=True)

    def unmark_length(self) -> None:
        """Return to the spacing that the file brought, or to none."""
        self._set_spacing(self.frame.spacing_mm, marked=False)

    def draw(self, polygons: Any, revision: int) -> str:
        """Make an edited outline the shown one and measure it; the model's own returns when it is drawn again.

        polygons: what the browser sent; lists of [x, y], frame pixels, are expected. revision: the browser's count.
        Returns what was repaired, in words, or "". Raises OutlineError; then the shown outline stays.
        """
        with self.lock:
            self.revision = revision
            if polygons == model_polygons(self.prediction.mask):
                self.drawn, text = None, ""
            else:
                height, width = self.frame.gray.shape
                self.drawn, text = Drawn.repaired(polygons, width, height)
            self._measure()
        return text

    def _measure(self) -> None:
        margin = self.prediction.margin if self.drawn is None else None  # the band is the model's
        self.lesions = measure_lesions(self.mask, margin, self.spacing_mm, self.frame.pixel_aspect)
        self.described = [describe(self.frame.gray, lesion, self.drawn is None) for lesion in self.lesions]

    def _set_spacing(self, spacing_mm: tuple[float, float] | None, marked: bool, carried: bool = False) -> None:
        with self.lock:
            self.spacing_mm, self.marked, self.carried = spacing_mm, marked, carried
            if self.is_judged:
                self._measure()
