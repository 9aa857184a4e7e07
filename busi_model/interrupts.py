"""Ctrl-C, or a plain `kill`, ends a command wherever it meets it.

Python's way is to raise KeyboardInterrupt at the next instruction. Where that is inside another library's compiled code
(matplotlib's, torch's), the library may make an error of its own of it, or lose it. Both are seen to here.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_asked = threading.Event()


@contextlib.contextmanager
def interruptible(*signals: signal.Signals) -> Iterator[None]:
    """Within it each of these signals raises KeyboardInterrupt, whatever the shell that started us had set; so does an
    error that comes after one. For the main thread: others get no signals, and for them it does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _raise) for number in signals}
    try:
        yield
    except Exception:
        check()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()  # what runs next in this process was not asked to end


def check() -> None:
    """For loops: raises KeyboardInterrupt where one was asked for and has been lost."""
    if _asked.is_set():
        raise KeyboardInterrupt


def _raise(_number: int, _frame: FrameType | None) -> None:
    _asked.set()
    raise KeyboardInterrupt
