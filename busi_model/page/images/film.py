"""The frames of one file: which is shown, what became of those that were judged, what was drawn on them.

One frame is judged when the file is opened, the others when they are asked for. Of those only the malignant probability
is kept, so a film takes no more memory than a still.
"""

import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from busi_model.clinic.view import thumbnail
from busi_model.image import Frame, ImageError
from busi_model.page.server.decoding import count_frames, read_image
from busi_model.predict import Prediction

PREVIEW_PX = 1024  # longer side, at most
QUALITY = 85  # of a preview: it is looked through, not judged


@dataclass(eq=False)
class Film:
    """Changed only by the `Lightbox`, under its case's lock; `scores` also while all frames are judged."""

    source: object  # path: Gradio deletes the file after about an hour
    count: int
    index: int  # the shown one, from 0
    scores: dict[int, float | None] = field(default_factory=dict)  # malignant probability; None: not judged
    drawn: dict = field(default_factory=dict)  # index -> outline that the user edited, or None
    ready: int = 0  # previews that are written, from the first on

    @classmethod
    def of(cls, source, frame: Frame) -> "Film | None":
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
    def worst(self) -> int | None:
        """The judged frame with the highest malignant probability."""
        judged = {index: score for index, score in list(self.scores.items()) if score is not None}
        return max(judged, key=judged.get, default=None)

    def read(self, index: int) -> Frame:
        """Raises ImageError."""
        return read_image(self.source, frame=index)

    def keep(self, index: int, prediction: Prediction) -> None:
        """Remember what a frame's judgement came to."""
        self.scores[index] = None if prediction.refused else prediction.class_probabilities["malignant"]

    def judge(self, predictor, index: int) -> None:
        """Judge a frame, once; one that cannot be read is counted as not judged."""
        if index not in self.scores:
            try:
                self.keep(index, predictor(self.read(index)).judged_anyway)
            except ImageError:
                self.scores[index] = None

    def preview(self, folder: Path, index: int) -> Path:
        """Where a frame's preview lies; frames.js knows the name."""
        return folder / f"busi-frame-{index:04d}.jpg"

    def small(self, index: int) -> bytes:
        """A frame's preview as JPEG. Raises ImageError."""
        buffer = io.BytesIO()
        Image.fromarray(thumbnail(self.read(index).gray, PREVIEW_PX)).save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()
