"""What can go wrong while something is kept. Every message is a sentence for the reader and holds no path."""

import math

from busi_model.errors import UserError, WordedError
from busi_model.reading import words


class ReadingError(WordedError, UserError, ValueError):
    """Something was not kept: what was found, what was expected, what to do. Of a code of `words.ERRORS` and what fills
    its sentence, or of a finished sentence."""

    words, parts = words.ERRORS, words.PARTS


class StoreError(ReadingError):
    """The disk or the database does not take or give the records; whatever was kept before is still there."""


class PictureError(ReadingError):
    """A stored picture is missing or damaged: it is not the one that was kept."""


class RecordError(ReadingError):
    """An entry is refused; the message names the field."""


class OutlineError(ReadingError):
    """An outline is refused."""


class ConflictError(ReadingError):
    """The same key was saved before, with other content."""


class StageError(ReadingError):
    """It is not this step's turn, or the session is closed."""


class CodeError(ReadingError):
    """A code word or password is wrong."""


class TooManyAttempts(CodeError):  # noqa: N818 - it reads as what it says
    """Too many wrong code words; `retry_after_s` says how long to wait."""

    def __init__(self, retry_after_s: float):
        self.retry_after_s = retry_after_s
        super().__init__("too_many_attempts", seconds=math.ceil(retry_after_s))
