"""Paths become rows: the work itself, the same in this process, in another one and on another machine.

A row is a dict of plain values. A file that cannot be judged is a row with its reason, so that nothing stops a run.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from busi_model import __version__
from busi_model.batch.clips import dice
from busi_model.clinic.measure import measure_lesions
from busi_model.clinic.view import encode_png, overlay_png
from busi_model.decode.banner import BLANKED, without_banner
from busi_model.dicom_out.write import DicomResultError, dicom_results
from busi_model.image import Frame, ImageError, count_frames, read_image
from busi_model.names import CLASS_NAMES
from busi_model.predict import Prediction, Predictor

FRAMES = ("middle", "all")
PIXELS_AT_ONCE = 2**25  # of frames that are judged together; a larger one is judged alone
MASKS, OVERLAYS, DICOM = "masks", "overlays", "dicom"  # folders
MAX_STEM_BYTES = 200  # file systems take names of 255, and ours are longer than the picture's


class BatchError(RuntimeError):
    """The run cannot begin or go on: what was found, what was expected, what to do."""


@dataclass(frozen=True)
class Wanted:
    """What is to be made of each frame beside its row."""

    folder: str | None = None  # where pictures go; None: nothing is written
    masks: bool = False
    overlays: bool = False
    measurements: bool = False
    dicom: tuple[str, ...] = ()  # of `dicom_out.write.KINDS`: results that carry the study's identifiers
    frames: str = "middle"  # of a file with several: "middle" (the first of a GIF or TIFF) or "all"
    operating_point: str | None = None  # file that `busi calibrate` wrote; None: the weights' own

    def __post_init__(self) -> None:
        if self.frames not in FRAMES:
            raise ValueError(f"frames is {self.frames!r}; one of {', '.join(FRAMES)} is expected.")

    def place(self, *names: str) -> Path:
        """Within the folder that pictures go to."""
        if self.folder is None:
            raise ValueError("No folder was named for pictures; give one as folder.")
        return Path(self.folder, *names)


class Worker:
    """Weights, loaded once, and what to do with them."""

    def __init__(self, predictor: Predictor, wanted: Wanted):
        self.predictor, self.wanted = predictor, wanted
        self.frames_at_once = 4 if predictor.device.type == "cpu" else 32  # beyond, neither gets faster
        for folder, made in ((MASKS, wanted.masks), (OVERLAYS, wanted.overlays), (DICOM, wanted.dicom)):
            if made:
                wanted.place(folder).mkdir(parents=True, exist_ok=True)

    def __call__(self, paths: Iterable[str]) -> list[dict]:
        """Rows of the files, in their order; those of one file are together. Raises nothing for a bad file."""
        rows: list[dict] = []
        waiting: list[tuple[dict, Frame]] = []
        before: dict[str, Any] = {}
        for path in paths:
            for row, frame in self._read(path):
                rows.append(row)
                if frame is None:
                    continue
                n_pixels = frame.gray.size + sum(other.gray.size for _, other in waiting)
                if len(waiting) == self.frames_at_once or n_pixels > PIXELS_AT_ONCE:
                    self._judge(waiting, before)
                    waiting = []
                waiting.append((row, frame))
        self._judge(waiting, before)
        return rows

    def _read(self, path: str) -> Iterator[tuple[dict, Frame | None]]:
        """Yield (row, Frame), or (row, None) where the row already says why there is none."""
        try:
            n_frames = count_frames(path) if self.wanted.frames == "all" else None
        except ImageError as error:
            yield _row(path, reason=str(error)), None
            return
        for number in range(n_frames) if n_frames and n_frames > 1 else [None]:
            place: dict[str, Any] = {} if number is None else {"frame": number + 1, "frames": n_frames}
            try:
                frame = read_image(path, number)
            except ImageError as error:
                yield _row(path, reason=str(error), **place), None
            else:
                yield _row(path, **place), frame

    def _judge(self, waiting: list[tuple[dict, Frame]], before: dict[str, Any]) -> None:
        """Complete the rows of frames, in place. before: place and mask of the last frame that was judged, kept up to
        date."""
        predictions = self.predictor.predict_many([frame for _, frame in waiting])
        for (row, _), prediction in zip(waiting, predictions, strict=True):
            row.update(_verdict(prediction))
            if row["frame"] is not None and not prediction.refused:
                follows = before.get("place") == (row["file"], row["frame"] - 1)
                row["dice_to_previous"] = dice(before["mask"], prediction.mask) if follows else None
                before.update(place=(row["file"], row["frame"]), mask=prediction.mask)
            self._export(row, prediction)

    def _export(self, row: dict, prediction: Prediction) -> None:
        if self.wanted.measurements:
            row["lesions"] = lesion_values(prediction)
        stem = picture_stem(row["file"], row["frame"])
        if self.wanted.dicom:
            self._export_dicom(row, prediction, stem)
        if prediction.refused:  # an empty mask would say that there is no lesion
            return
        if self.wanted.masks:
            row["mask"] = self._write(MASKS, f"{stem}_mask.png", encode_png(prediction.mask))
        if self.wanted.overlays:
            frame = without_banner(prediction.frame)
            if BLANKED in frame.notices:
                row["warnings"] = [*row["warnings"], BLANKED.as_row()]
            row["overlay"] = self._write(OVERLAYS, f"{stem}_overlay.png", overlay_png(frame.gray, prediction.mask))

    def _export_dicom(self, row: dict, prediction: Prediction, stem: str) -> None:
        frame, number = prediction.frame, row["frame"]
        lesions = measure_lesions(prediction.mask, prediction.margin, frame.spacing_mm, frame.pixel_aspect)
        model = {"version": __version__, "weights_sha256": self.predictor.checkpoint.weights_sha256}
        try:
            made = dicom_results(
                row["file"], prediction, lesions, model, self.wanted.dicom, None if number is None else number - 1
            )
        except DicomResultError as error:
            row["warnings"] = [*row["warnings"], {"code": "no_dicom_result", "text": str(error)}]
            return
        for kind, content in made.items():
            row[f"dicom_{kind}"] = self._write(DICOM, f"{stem}_{kind}.dcm", content)

    def _write(self, folder: str, name: str, content: bytes) -> str:
        self.wanted.place(folder, name).write_bytes(content)
        return f"{folder}/{name}"


def stamp(path: str | os.PathLike) -> str | None:
    """Size and time of a file: what differs when it was written anew. None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return f"{status.st_size}-{status.st_mtime_ns}"


def _row(path: str, reason: str = "", frame: int | None = None, frames: int | None = None) -> dict[str, Any]:
    status = "failed" if reason else "ok"
    place: dict[str, Any] = {"file": os.fspath(path), "frame": frame, "frames": frames, "stamp": stamp(path)}
    return place | {"status": status, "reason": reason}


def _verdict(prediction: Prediction) -> dict:
    spacing_mm = prediction.frame.spacing_mm or (None, None)
    return {
        "status": "refused" if prediction.refused else "ok",
        "label": prediction.label,
        **{name: _rounded(prediction.class_probabilities.get(name)) for name in CLASS_NAMES},
        "class_set": list(prediction.class_set),
        "outlined_px2": None if prediction.refused else int(prediction.mask.sum()),
        "row_mm": spacing_mm[0],
        "column_mm": spacing_mm[1],
        "warnings": [warning.as_row() for warning in prediction.warnings],
    }


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 6)


def lesion_values(prediction: Prediction) -> list[dict]:
    """Measurements of each lesion as plain numbers, the largest lesion first."""
    from busi_model.clinic.descriptors import as_values, describe

    frame = prediction.frame
    lesions = measure_lesions(prediction.mask, prediction.margin, frame.spacing_mm, frame.pixel_aspect)
    return [
        {f.name: getattr(lesion, f.name) for f in fields(lesion) if not isinstance(getattr(lesion, f.name), np.ndarray)}
        | as_values(describe(frame.gray, lesion))
        for lesion in lesions
    ]


def picture_stem(path: str, frame: int | None) -> str:
    """A file name that no other frame has: a.png and sub/a.png do not meet, whatever order they come in."""
    digest = hashlib.sha256(f"{path}\0{frame}".encode("utf-8", "surrogateescape")).hexdigest()[:8]
    number = "" if frame is None else f"_{frame}"
    stem = os.fsdecode(os.fsencode(Path(path).stem)[:MAX_STEM_BYTES])
    return f"{stem}{number}-{digest}"
