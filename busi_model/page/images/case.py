"""One open image, as the server holds it: what was read, what was made of it, what the user did to it.

Enters and leaves by `OpenImages`, which alone changes a case, under the case's own lock.
"""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from busi_model.clinic.descriptors import Descriptor
from busi_model.clinic.measure import Lesion
from busi_model.image import Frame
from busi_model.page.images.film import Film
from busi_model.predict import Prediction

BYTES_PER_PIXEL = 7  # gray, mask, margin and the mask's probability
BYTES_PER_POINT = 250  # a list of two numbers, here and as the browser's page had it last
BASE_BYTES = 20_000  # everything else: the object, its lines in lists, and an opinion that was typed and not sent


@dataclass(frozen=True, eq=False)
class Drawn:
    """An outline that the user edited."""

    polygons: list  # of lists of [x, y], frame pixels, as they were drawn; none: no lesion
    mask: np.ndarray  # bool (H, W), the same filled

    @property
    def held_bytes(self) -> int:
        return self.mask.nbytes + BYTES_PER_POINT * sum(map(len, self.polygons))


@dataclass(eq=False)
class Case:
    """One opened image. Changed only by `OpenImages`, under the case's own lock."""

    case_id: str
    source: object  # what `read_image` takes, until it is read
    folder: Path  # for what the browser fetches
    synthetic: bool = False
    frame: Frame | None = None
    identity: dict | None = field(default=None, repr=False)  # of a DICOM file: what ties results to it, with the name
    thumbnail_png: bytes = b""
    error: str | None = None  # why the image cannot be read, in words
    failed: bool = False  # the analysis stopped; the log says why
    prediction: Prediction | None = None
    lesions: list[Lesion] = field(default_factory=list)
    described: list[tuple[Descriptor, ...]] = field(default_factory=list)  # one a lesion
    spacing_mm: tuple[float, float] | None = None  # (row, column); the file's, or what the user marked
    marked: bool = False  # the spacing is the user's mark
    carried: bool = False  # that mark was made in an earlier image of the same size
    drawn: Drawn | None = None  # None: the model's outline is the shown one
    revision: int = 0  # of the outline, as the browser counts
    crop: tuple[int, int, int, int] | None = None  # what was cut out of another image: x0, y0, x1, y1
    film: Film | None = None  # None: a still
    insisted: bool = False  # the user wants the result although the image was refused
    explained: bool = False  # the user asked for the explanation
    holder: str = ""  # whose it is, for shares: an address
    written: dict[str, int] = field(default_factory=dict)  # bytes of its files, by name
    counted_bytes: int = 0  # of `held_bytes`, when `OpenImages` last looked
    forgotten: bool = False  # nothing may be written any more
    used_at: float = 0.0  # by the clock of `OpenImages`
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def ready(self) -> bool:
        """Whether nothing is left to compute."""
        return self.error is not None or self.failed or self.prediction is not None

    @property
    def held_bytes(self) -> int:
        """All that goes when the case is forgotten: pixels, results, what was drawn, files on the disk."""
        pixels = 0 if self.frame is None else BYTES_PER_PIXEL * self.frame.gray.size
        drawn = [self.drawn, *(self.film.drawn.values() if self.film else [])]
        outlines = BYTES_PER_POINT * sum(len(lesion.outline_xy) for lesion in list(self.lesions))
        own = BASE_BYTES + len(self.thumbnail_png) + sum(list(self.written.values()))
        return own + pixels + outlines + sum(one.held_bytes for one in drawn if one is not None)

    @property
    def mask(self) -> np.ndarray:
        """The shown outline, filled: bool (H, W)."""
        return self.prediction.mask if self.drawn is None else self.drawn.mask

    @property
    def suggested_crops(self) -> tuple[tuple[int, int, int, int], ...]:
        """Parts of the picture that should be judged on their own: x0, y0, x1, y1 in frame pixels."""
        return self.prediction.suggested_crops if self.prediction else ()

    @property
    def withheld(self) -> bool:
        """Whether the result is kept back: the image was refused, is not our own, and the user did not insist."""
        shown = self.insisted or self.synthetic
        return self.prediction is not None and self.prediction.refused and not shown
