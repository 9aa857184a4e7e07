"""Two clocks: the date, and seconds that nobody can set, for how long a reader needed must not hang on the date.

Two readings of the latter compare only under one name of the clock: on Linux until the machine starts anew, elsewhere
until the program does.
"""

import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

try:
    NAME = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
except OSError:
    NAME = secrets.token_hex(8)
STEP_S = 2.0  # the date and the steady clock may differ by less
_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)  # goes on while the machine sleeps


def now() -> str:
    """UTC to the millisecond, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def steady() -> tuple[str, float]:
    """(name of the clock, its seconds)."""
    return NAME, time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


def since(name: str, clock_s: float, at: str) -> tuple[float | None, float | None]:
    """Seconds since a moment of the steady clock, and by how many the date was set meanwhile (None: by none).

    at: the date of the same moment. Of a clock with another name, the machine having started anew, nobody knows either.
    """
    here, here_s = steady()
    if here != name:
        return None, None
    seconds = here_s - clock_s
    step_s = (datetime.fromisoformat(now()) - datetime.fromisoformat(at)).total_seconds() - seconds
    return round(seconds, 3), round(step_s, 3) if abs(step_s) > STEP_S else None
