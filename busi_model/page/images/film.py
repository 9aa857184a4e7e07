"""The frames of one file: which is shown, what became of those that were judged, what was drawn on them.

One frame is judged when the file is opened, the others when they are asked for. Of those only a row as in `batch` and
the packed mask are kept, a few kilobytes, so a film takes little more memory than a still.
"""

import io
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from busi_model.batch import clips
from busi_model.clinic.view import thumbnail
from busi_model.image import Frame, ImageError
from busi_model.page.images.edits import Drawn
from busi_model.page.server.decoding import count_frames, read_image
from busi_model.predict import Prediction, Predictor

PREVIEW_PX = 1024  # longer side, at most
QUALITY = 85  # of a preview: it is looked through, not judged


@dataclass(eq=False)
class Film:
    """Changed under its case's lock; `rows` also while all frames are judged."""

    source: str | os.PathLike  # Gradio deletes the file after about an hour
    count: int
    index: int  # the shown one, from 0
    rows: dict[int, dict] = field(default_factory=dict)  # of the frames asked for, as `clips.summary` has them
    masks: dict[int, tuple] = field(default_factory=dict)  # of the judged ones: shape, packed bits
    drawn: dict[int, Drawn | None] = field(default_factory=dict)  # by frame; None: the model's outline
    ready: int = 0  # previews that are written, from the first on

    @classmethod
    def of(cls, source: str | os.PathLike, frame: Frame) -> "Film | None":
        """The film that this frame was read from, or None for a still."""
        codes = {notice.code for notice in frame.notices}
        if not codes & {"first_frame", "middle_frame"}:
            return None
        try:
            count = count_frames(source)
        except ImageError:  # more than anybody would look through: the one frame stays
            return None
        return cls(source, count, count // 2 if "middle_frame" in codes else 0)

    @property
    def scores(self) -> dict[int, float]:
        """Malignant probabilities of the judged frames."""
        return {index: row["malignant"] for index, row in sorted(self.rows.items()) if "malignant" in row}

    @property
    def summary(self) -> str:
        """What the whole clip comes to, in words; "" until every frame was asked for."""
        if len(self.rows) < self.count:
            return ""
        return clips.in_words(clips.summary([self.rows[index] for index in range(self.count)]))

    def read(self, index: int) -> Frame:
        """Raises ImageError."""
        return read_image(self.source, frame=index)

    def turn_to(self, index: int, drawn: Drawn | None) -> Drawn | None:
        """Another frame is the shown one. drawn: on the frame before. Returns what was drawn on this one."""
        self.drawn[self.index] = drawn
        self.index = index
        return self.drawn.get(index)

    def keep(self, index: int, prediction: Prediction) -> None:
        """Remember what a frame's judgement came to."""
        if prediction.refused:
            self.rows[index] = self._row(index, "refused")
            return
        mask, malignant = prediction.mask, prediction.class_probabilities["malignant"]
        judged = {"label": prediction.label, "malignant": malignant, "outlined_px2": int(mask.sum())}
        self.masks[index] = mask.shape, zlib.compress(np.packbits(mask).tobytes())
        self.rows[index] = self._row(index, "ok") | judged
        for later in (index, index + 1):
            if later in self.masks and later - 1 in self.masks:
                self.rows[later]["dice_to_previous"] = clips.dice(self._mask(later - 1), self._mask(later))

    def _row(self, index: int, status: str) -> dict:
        return {"file": "", "frame": index + 1, "frames": self.count, "status": status}

    def _mask(self, index: int) -> np.ndarray:
        (height, width), packed = self.masks[index]
        bits = np.unpackbits(np.frombuffer(zlib.decompress(packed), np.uint8), count=height * width)
        return bits.reshape(height, width).astype(bool)

    def judge(self, predictor: Predictor, index: int) -> None:
        """Judge a frame, once; one that cannot be read is counted as not judged."""
        if index not in self.rows:
            try:
                self.keep(index, predictor(self.read(index)).judged_anyway)
            except ImageError:
                self.rows[index] = self._row(index, "failed")

    def preview(self, folder: Path, index: int) -> Path:
        """Where a frame's preview lies; frames.js knows the name."""
        return folder / f"busi-frame-{index:04d}.jpg"

    def small(self, index: int) -> bytes:
        """A frame's preview as JPEG. Raises ImageError."""
        buffer = io.BytesIO()
        Image.fromarray(thumbnail(self.read(index).gray, PREVIEW_PX)).save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()
