"""The images that users have open, kept on the server: a path becomes a `Case`, a case gets its Prediction.

Pages hold only case ids, which cannot be guessed. Cases live in memory; what the browser has to fetch lies in a private
folder that Gradio serves and empties. What was not used for an hour is forgotten. All that cases hold, pixels, results,
what was drawn and the files on the disk, has one bound; where it is reached the longest unused case of whoever holds
most is forgotten.
"""

import dataclasses
import logging
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from busi_model.clinic.descriptors import describe
from busi_model.clinic.explain import Explainer, scan_area
from busi_model.clinic.measure import measure_lesions
from busi_model.clinic.view import draw_heat, encode_png, regions, thumbnail
from busi_model.frame import PLAUSIBLE_MM, check_size, is_plausible, square_steps
from busi_model.image import Box, Frame, ImageError
from busi_model.page import strings
from busi_model.page.images.case import Case, Drawn
from busi_model.page.images.film import Film
from busi_model.page.server.decoding import read_identity, read_image
from busi_model.page.viewer.outlines import model_polygons
from busi_model.preprocess import square_pixels
from busi_model.reading.outline import rasterise, repair

__all__ = ["Case", "OpenImages"]

LOG = logging.getLogger(__name__)
KEPT_S = 3600
KEPT_BYTES = 2 * 2**30
LOOK_S = 60.0  # between looks for what was not used for an hour
THUMBNAIL_PX = 96
HEAT_PX = 2048  # longer side, at most: the browser stretches the map over the frame, and its grid is coarse anyway


class OpenImages:
    """All open cases of all users."""

    def __init__(self, predictor, folder, kept_bytes: int = KEPT_BYTES, clock: Callable[[], float] = time.monotonic):
        """folder: private, served by Gradio. kept_bytes: of all cases together. clock: seconds, for tests."""
        self.predictor, self.folder, self.kept_bytes, self.clock = predictor, Path(folder), kept_bytes, clock
        self._cases: dict[str, Case] = {}
        self._bytes: Counter[str] = Counter()  # of them, by holder
        self._looked_at = clock()
        self._lock = threading.Lock()
        self._files = threading.Lock()

    def add(self, source, synthetic: bool = False, holder: str = "") -> Case:
        """Take an image in, a path or an array; it is read later, by `open`. holder: whose it is."""
        case_id = secrets.token_urlsafe(16)
        folder = self.folder / f"case-{case_id}"
        case = Case(case_id, source, folder, synthetic, holder=holder, used_at=self.clock())
        with self._lock:
            self._cases[case_id] = case
        self._tidy(case)
        return case

    def __contains__(self, case_id: str) -> bool:
        return case_id in self._cases

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
                    read = isinstance(case.source, Frame)
                    case.frame = case.source if read else read_image(case.source)
                    case.film = None if read else Film.of(case.source, case.frame)
                    case.identity = read_identity(case.source) if isinstance(case.source, (str, Path)) else None
                    case.spacing_mm = case.spacing_mm or case.frame.spacing_mm
                    case.thumbnail_png = encode_png(thumbnail(case.frame.gray, THUMBNAIL_PX))
                except ImageError as error:
                    case.error = str(error)
                case.source = None
        self._tidy(case)
        return case

    def analyse(self, case: Case) -> Case:
        """Read and analyse, once. A failure of the program goes to the log and is marked on the case."""
        with case.lock:
            try:
                self.open(case)
                if not case.ready:
                    case.prediction = self.predictor(case.frame).judged_anyway  # `withheld` keeps it back
                    if case.film is not None:
                        case.film.keep(case.film.index, case.prediction)
                    self._measure(case)
            except Exception:  # the page must not stay at "Analysing…", and the cause belongs in the log
                LOG.exception("Reading an image failed.")
                case.failed = True
        self._tidy(case)
        return case

    def mark_length(self, case: Case, start_xy, end_xy, length_mm: float) -> None:
        """Take millimetres from a length that the user marked; pixels are square if the file says nothing.

        Raises ValueError.
        """
        row, column = square_steps(case.frame.pixel_aspect)
        length_px = float(np.hypot(column * (end_xy[0] - start_xy[0]), row * (end_xy[1] - start_xy[1])))
        if not length_px >= 10:
            raise ValueError(strings.SCALE_SHORT.format(length=length_px))
        if not 1 <= length_mm <= 500:
            raise ValueError(strings.SCALE_LENGTH.format(length=length_mm))
        spacing_mm = (row * length_mm / length_px, column * length_mm / length_px)
        if not is_plausible(spacing_mm):
            low, high = PLAUSIBLE_MM
            raise ValueError(strings.SCALE_IMPLAUSIBLE.format(found=spacing_mm[0], low=low, high=high))
        self._set_spacing(case, spacing_mm, marked=True)

    def carry_scale(self, case: Case, spacing_mm: tuple[float, float]) -> None:
        """Take millimetres from a mark in an earlier image of the same export."""
        self._set_spacing(case, spacing_mm, marked=True, carried=True)

    def draw(self, case: Case, polygons: list, revision: int) -> str:
        """Make an edited outline the shown one and measure it; the model's own returns when it is drawn again.

        polygons: lists of (x, y), frame pixels. revision: the browser's count. Returns what was mended, in words, or
        "". Raises OutlineError; then the shown outline stays.
        """
        with case.lock:
            case.revision = revision
            height, width = case.frame.gray.shape
            if polygons == model_polygons(case.prediction.mask):
                case.drawn, text = None, ""
            else:
                repaired = repair(polygons, width, height)
                points = [[list(point) for point in polygon] for polygon in repaired.polygons]
                case.drawn, text = Drawn(points, _filled(points, width, height)), repaired.text
            self._measure(case)
        self._tidy(case)
        return text

    def cut(self, case: Case, box) -> Case:
        """A part of a frame as an image of its own. box: x0, y0, x1, y1 in whole frame pixels. Raises ImageError."""
        with case.lock:
            height, width = case.frame.gray.shape
            x0, y0, x1, y1 = box
            if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
                raise ImageError(strings.CROP_OUTSIDE.format(x0=x0, y0=y0, x1=x1, y1=y1, width=width, height=height))
            check_size(x1 - x0, y1 - y0)
            regions = tuple(part for region in case.frame.scan_regions if (part := _within(region, x0, y0, x1, y1)))
            gray = np.ascontiguousarray(case.frame.gray[y0:y1, x0:x1]).copy()
            frame = dataclasses.replace(case.frame, gray=gray, scan_regions=regions)
            part = self.add(frame, case.synthetic, case.holder)
            part.spacing_mm, part.marked, part.carried = case.spacing_mm, case.marked, case.carried
            part.crop = (x0, y0, x1, y1)
        return part

    def turn_to(self, case: Case, index: int) -> None:
        """Show another frame of a film; what was drawn on the one before is kept. Raises ImageError."""
        with case.lock:
            frame = case.film.read(index)
            case.film.drawn[case.film.index] = case.drawn
            case.film.index, case.frame, case.drawn = index, frame, case.film.drawn.get(index)
            case.prediction, case.explained, case.failed = None, False, False
            case.lesions, case.described = [], []
            if not case.marked:
                case.spacing_mm = frame.spacing_mm

    def unmark_length(self, case: Case) -> None:
        """Return to the spacing that the file brought, or to none."""
        self._set_spacing(case, case.frame.spacing_mm, marked=False)

    def picture(self, case: Case) -> str:
        """Path of the frame as PNG."""
        return self._written(case, f"busi-image{_suffix(case)}.png", lambda: encode_png(case.frame.gray))

    def previews(self, case: Case) -> Iterator[int]:
        """Write the frames of a film as small JPEG files; yields how many are there. Raises ImageError."""
        film = case.film
        if not film.preview(case.folder, 0).is_file():  # Gradio empties the folder now and then
            film.ready = 0
        while film.ready < film.count and not case.forgotten:
            with case.lock:
                path = film.preview(case.folder, film.ready)
                self.write(case, path.name, film.small(film.ready))
                film.ready += 1
            yield film.ready

    def keep_thumbnail(self, case: Case) -> None:
        """Write the small picture for the worklist, once. Without the case's lock: the list does not wait for a case
        that is being analysed."""
        if case.thumbnail_png and not (case.folder / "busi-thumbnail.png").is_file():
            self.write(case, "busi-thumbnail.png", case.thumbnail_png)

    def explanation(self, case: Case) -> str:
        """Path of the heat map of the likeliest class as PNG with transparency."""
        label = case.prediction.label

        def draw():
            frame = case.frame
            gray = thumbnail(square_pixels(frame.gray, frame.pixel_aspect), HEAT_PX)  # the viewer stretches it back
            row, column = (small / whole for small, whole in zip(gray.shape, frame.gray.shape, strict=True))
            regions = [_scaled(box, row, column) for box in frame.scan_regions]
            return encode_png(draw_heat(self._explainer(gray, label) * scan_area(gray, regions)))

        path = self._written(case, f"busi-explanation-{label}{_suffix(case)}.png", draw)
        case.explained = True
        return path

    def write(self, case: Case, name: str, content: bytes) -> str:
        """Put a file into the case's own folder, in place of one that lies there; returns its path."""
        path = case.folder / name
        with self._files:
            if not case.forgotten:
                case.folder.mkdir(mode=0o700, exist_ok=True)
                path.write_bytes(content)
                case.written[name] = len(content)
        self._tidy(case)
        return str(path)

    def forget(self, case_ids) -> None:
        """Drop cases and what was written of them."""
        with self._lock:
            gone = [self._cases.pop(case_id) for case_id in list(case_ids) if case_id in self._cases]
            for case in gone:
                self._bytes[case.holder] -= case.counted_bytes
            self._bytes = +self._bytes  # without those who hold nothing
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
        margin = case.prediction.margin if case.drawn is None else None  # the band is the model's
        case.lesions = measure_lesions(case.mask, margin, case.spacing_mm, case.frame.pixel_aspect)
        case.described = [describe(case.frame.gray, lesion, case.drawn is None) for lesion in case.lesions]

    def _set_spacing(self, case, spacing_mm, marked, carried=False):
        with case.lock:
            case.spacing_mm, case.marked, case.carried = spacing_mm, marked, carried
            if case.prediction is not None:
                self._measure(case)

    def _tidy(self, keep: Case):
        """Count what a case holds by now. Forget what is old; while there is too much, the longest unused of whoever
        holds most; never the case at hand."""
        with self._lock:
            if keep.case_id in self._cases:
                size = keep.held_bytes
                self._bytes[keep.holder] += size - keep.counted_bytes
                keep.counted_bytes = size
            now, left = self.clock(), self._bytes.copy()
            if now - self._looked_at < LOOK_S and left.total() <= self.kept_bytes:
                return
            self._looked_at = now
            by_use = sorted((case for case in self._cases.values() if case is not keep), key=lambda case: case.used_at)
        gone = [case for case in by_use if now - case.used_at > KEPT_S]
        by_holder: dict[str, list[Case]] = {}
        for case in by_use:
            if case in gone:
                left[case.holder] -= case.counted_bytes
            else:
                by_holder.setdefault(case.holder, []).append(case)
        while left.total() > self.kept_bytes and by_holder:
            most = max(by_holder, key=lambda holder: left[holder])
            gone.append(by_holder[most].pop(0))
            left[most] -= gone[-1].counted_bytes
            if not by_holder[most]:
                del by_holder[most]
        self.forget([case.case_id for case in gone])


def _filled(polygons, width, height):
    """The outlines as a mask, each one region: what a spike thinner than a pixel leaves apart is no lesion."""
    mask = np.zeros((height, width), bool)
    for polygon in polygons:
        for region in regions(rasterise([polygon], width, height))[:1]:
            rows, columns = region.filled.shape
            mask[region.top : region.top + rows, region.left : region.left + columns] |= region.filled
    return mask


def _suffix(case):
    return "" if case.film is None else f"-{case.film.index:04d}"


def _scaled(box, row, column):
    return Box(*map(round, (box.top * row, box.left * column, box.bottom * row, box.right * column)))


def _within(region, x0, y0, x1, y1):
    """The region as it lies in a part of its frame, or None."""
    top, bottom = max(region.top, y0) - y0, min(region.bottom, y1) - y0
    left, right = max(region.left, x0) - x0, min(region.right, x1) - x0
    return Box(top, left, bottom, right) if top < bottom and left < right else None
