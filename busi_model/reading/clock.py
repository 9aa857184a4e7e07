"""Seconds of a clock that nobody can set: how long a reader needed must not hang on the machine's date.

Leaves: the clock's name and its reading. Two readings compare only under one name: on Linux until the machine starts
anew, elsewhere until the program does.
"""

import secrets
import time
from pathlib import Path

try:
    NAME = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
except OSError:
    NAME = secrets.token_hex(8)
_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)  # goes on while the machine sleeps


def steady() -> tuple[str, float]:
    """(name of the clock, its seconds)."""
    return NAME, time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)
