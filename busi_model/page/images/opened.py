"""The images that users have open, kept on the server: a path becomes an `OpenImage`, a case gets its Prediction.

Pages hold only case ids, which cannot be guessed. Cases live in memory; what the browser has to fetch lies in a private
folder that Gradio serves and empties. What was not used for an hour is forgotten. All that cases hold, pixels, results,
what was drawn and the files on the disk, has one bound; where it is reached the longest unused case of whoever holds
most is forgotten.
"""

import logging
import os
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from busi_model.clinic.explain import Explainer
from busi_model.page.images.case import OpenImage, Source
from busi_model.page.images.edits import Corners, part_of
from busi_model.predict import Predictor

LOG = logging.getLogger(__name__)
KEPT_S = 3600
KEPT_BYTES = 2 * 2**30
LOOK_S = 60.0  # between looks for what was not used for an hour


class OpenImages:
    """All open cases of all users. Whatever makes a case larger goes through here, and is counted."""

    def __init__(
        self,
        predictor: Predictor,
        folder: str | os.PathLike,
        kept_bytes: int = KEPT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ):
        """folder: private, served by Gradio. kept_bytes: of all cases together. clock: seconds, for tests."""
        self.predictor, self.folder, self.kept_bytes, self.clock = predictor, Path(folder), kept_bytes, clock
        self._cases: dict[str, OpenImage] = {}
        self._bytes: Counter[str] = Counter()  # of them, by holder
        self._looked_at = clock()
        self._lock = threading.Lock()
        self._files = threading.Lock()

    @cached_property
    def explainer(self) -> Explainer:
        return Explainer(self.predictor)

    def __contains__(self, case_id: str) -> bool:
        return case_id in self._cases

    def get(self, case_id: str) -> OpenImage | None:
        """The case, or None when it was forgotten."""
        case = self._cases.get(case_id)
        if case is not None:
            case.used_at = self.clock()
        return case

    def add(self, source: Source, synthetic: bool = False, holder: str = "") -> OpenImage:
        """Take an image in; it is read later, by `open`. holder: whose it is."""
        case_id = secrets.token_urlsafe(16)
        folder = self.folder / f"case-{case_id}"
        case = OpenImage(case_id, source, folder, synthetic, holder=holder, used_at=self.clock())
        with self._lock:
            self._cases[case_id] = case
        self._tidy(case)
        return case

    def cut(self, case: OpenImage, corners: Corners) -> OpenImage:
        """Take a part of the shown frame in, as an image of its own. Raises ImageError."""
        with case.lock:
            part = self.add(part_of(case.frame, corners), case.synthetic, case.holder)
            part.spacing_mm, part.marked, part.carried = case.spacing_mm, case.marked, case.carried
            part.crop, part.is_dicom = corners, case.is_dicom
        return part

    def open(self, case: OpenImage) -> OpenImage:
        """As `OpenImage.read`."""
        case.read()
        self._tidy(case)
        return case

    def analyse(self, case: OpenImage) -> OpenImage:
        """Read and analyse, once. A failure of the program goes to the log and is marked on the case."""
        with case.lock:
            try:
                self.open(case)
                if not case.ready:
                    case.judge(self.predictor(case.frame).judged_anyway)  # `withheld` keeps it back
            except Exception:  # the page must not stay at "Analysing…", and the cause belongs in the log
                LOG.exception("Reading an image failed.")
                case.failed = True
        self._tidy(case)
        return case

    def draw(self, case: OpenImage, polygons: Any, revision: int) -> str:
        """As `OpenImage.draw`."""
        text = case.draw(polygons, revision)
        self._tidy(case)
        return text

    def write(self, case: OpenImage, name: str, content: bytes) -> str:
        """Put a file into the case's own folder, in place of one that lies there; returns its path."""
        path = case.folder / name
        with self._files:
            if not case.forgotten:
                case.folder.mkdir(mode=0o700, exist_ok=True)
                path.write_bytes(content)
                case.written[name] = len(content)
        self._tidy(case)
        return str(path)

    def write_once(self, case: OpenImage, name: str, made: Callable[[], bytes]) -> str:
        """As `write`, but made only when it is not there yet."""
        path = case.folder / name
        with case.lock:
            return str(path) if path.is_file() else self.write(case, name, made())

    def forget(self, case_ids: Iterable[str]) -> None:
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

    def _tidy(self, keep: OpenImage) -> None:
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
        by_holder: dict[str, list[OpenImage]] = {}
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
