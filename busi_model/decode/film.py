"""A film becomes single frames: what .mp4 and .avi clips hold, and what a DICOM file holds that is compressed as one.

Needs the extra `dicom` (OpenCV with its FFmpeg, LGPL), imported when a film comes. Enters: an open file. Leaves:
frames, or an ImageError. FFmpeg also plays lists of addresses, so only what begins like a film reaches it.
"""

import importlib.util
import os
from typing import Any, Self

import numpy as np

from busi_model.frame import MAX_FRAMES, ImageError, check_frame, check_size

HEAD_BYTES = 192  # enough for two packets of a transport stream
_PHOTOGRAPHS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"crx ")


def is_film(head: bytes) -> bool:
    """Whether a file that begins with these bytes is an MPEG-4 or AVI film."""
    return (head[4:8] == b"ftyp" and head[8:12] not in _PHOTOGRAPHS) or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")


def _is_stream(head: bytes) -> bool:
    """A bare stream, as DICOM holds it: elementary, program or transport."""
    return head[:3] == b"\x00\x00\x01" or head[:4] == b"\x00\x00\x00\x01" or head[:1] + head[188:189] == b"GG"


class Film:
    """An open film. Use it in a `with` statement; the file must stay open. Raises ImageError."""

    def __init__(self, file: Any):
        if importlib.util.find_spec("cv2") is None:
            raise ImageError("no_film_reader")
        file.seek(0)
        head = file.read(HEAD_BYTES)
        if not (is_film(head) or _is_stream(head)):
            raise ImageError("damaged")
        file.seek(0)
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        import cv2

        self._cv2, self._file = cv2, file  # OpenCV reads it later, but does not keep it alive
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._film = cv2.VideoCapture(file, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not self._film.isOpened():
            raise ImageError("damaged")
        self.width, self.height, self._stated = (
            int(self._film.get(what))
            for what in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_COUNT)
        )
        check_size(self.width, self.height)  # known from the header: nothing is decoded yet

    @property
    def n_frames(self) -> int:
        """As the film says; counted where it does not say it, up to one more than MAX_FRAMES."""
        if self._stated <= 0:
            self._film.set(self._cv2.CAP_PROP_POS_FRAMES, 0)
            self._stated = 0
            while self._stated <= MAX_FRAMES and self._film.grab():
                self._stated += 1
            self._film.set(self._cv2.CAP_PROP_POS_FRAMES, 0)
        if self._stated == 0:
            raise ImageError("damaged")
        return self._stated

    def read(self, frame: int) -> np.ndarray:
        """One frame, from 0 on, as uint8 (H, W, 3) RGB."""
        check_frame(frame, self.n_frames)
        self._film.set(self._cv2.CAP_PROP_POS_FRAMES, frame)
        good, bgr = self._film.read()
        if not good or bgr.shape != (self.height, self.width, 3):
            raise ImageError("damaged")
        return np.ascontiguousarray(bgr[:, :, ::-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._film.release()
