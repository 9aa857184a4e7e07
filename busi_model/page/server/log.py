"""What the program prints: where it failed and with which kind of error, never what users brought, and never so much
that it fills the disk that the store needs."""

import io
import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

BURST_BYTES = 200_000
BYTES_PER_S = 200  # after a burst: 17 MB a day, whatever visitors do


class Bounded(io.TextIOBase):
    """A stream that leaves lines out when too much is written to it, and says how many."""

    def __init__(
        self,
        stream: TextIO,
        burst_bytes: int = BURST_BYTES,
        bytes_per_s: float = BYTES_PER_S,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._stream, self._burst, self._rate, self._clock = stream, burst_bytes, bytes_per_s, clock
        self._room, self._at, self._left_out = float(burst_bytes), clock(), 0

    def write(self, text: str) -> int:
        now = self._clock()
        self._room = min(self._burst, self._room + (now - self._at) * self._rate)
        self._at = now
        if len(text) > self._room:
            self._left_out += text.count("\n") or 1
            return len(text)
        self._room -= len(text)
        if self._left_out and text.strip():
            left_out, self._left_out = self._left_out, 0
            self._stream.write(f"({left_out} lines were left out: too many came.)\n")
        self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override] # io has an attribute
        return self._stream.encoding


def bound_output() -> None:
    """From now on this program's stdout and stderr are `Bounded`."""
    sys.stdout, sys.stderr = Bounded(sys.stdout), Bounded(sys.stderr)


class Discreet(logging.Formatter):
    """A log says where the program failed and with which kind of error, never with which words: they can name files."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's own name)
        kind, error, place = ei
        reason = f": {error.strerror}" if isinstance(error, OSError) else ""  # the system's words, such as a full disk
        head = "Traceback (most recent call last), without its words:\n"
        return head + "".join(traceback.format_tb(place)) + f"{kind.__module__}.{kind.__qualname__}{reason}"


def log_discreetly() -> None:
    """Warnings and errors of this program go to stderr, by `Discreet`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
