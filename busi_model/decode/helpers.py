"""Work on what comes from outside is done apart: by helper processes with a limit of time and memory, kept warm.

Enters: the name of a job and its arguments. Leaves: what the job returns, or its `ImageError`. A file can keep a
decoder busy for minutes or ask for gigabytes in ways that nobody has listed yet; here that ends one helper (`helper`)
and a sentence.

A job that is not done within `slow_s` of processor time leaves the fast lane: it goes on at low priority, among a few
others of its kind, and a fresh helper takes its place, so that the next small file is not held up.
"""

import os
import signal
import threading
from typing import Any

from busi_model.decode.helper import Helper, LostError
from busi_model.frame import ImageError

JOBS = {  # name of a function: its module
    "read_image": "busi_model.image",
    "count_frames": "busi_model.image",
    "identity_or_none": "busi_model.dicom_out.reference",
}
CPU_S = 10  # of a job; the heaviest picture of 40 megapixels that we know of takes 3
WALL_S = 60  # of a job, on a machine where others take the cores
SLOW_S = 1.0  # of processor time; a usual file takes 0.05
MAX_SLOW = 4  # jobs beside the fast lane; the next one is refused
MEMORY_BYTES = 2**30  # above what a helper has at rest: 50 MB


class Helpers:
    """A pool of helper processes; call `run` from any thread."""

    def __init__(
        self,
        n_fast: int | None = None,
        cpu_s: float = CPU_S,
        wall_s: float = WALL_S,
        slow_s: float = SLOW_S,
        memory_bytes: int = MEMORY_BYTES,
        jobs: dict[str, str] = JOBS,
    ):
        """n_fast: jobs side by side in the fast lane; None: as many as there are cores, 2 to 4. jobs: name of a
        function, its module; a helper imports them when it starts."""
        self.n_fast = n_fast or max(2, min(4, os.cpu_count() or 2))
        self.cpu_s, self.wall_s, self.slow_s = cpu_s, wall_s, slow_s
        self.memory_bytes, self.jobs = memory_bytes, jobs
        self._fast, self._slow = threading.BoundedSemaphore(self.n_fast), threading.BoundedSemaphore(MAX_SLOW)
        self._idle: list[Helper] = []
        self._all: set[Helper] = set()
        self._lock, self._closed = threading.Lock(), False

    def warm_up(self) -> None:
        """Start what the fast lane needs, in the background."""
        threading.Thread(target=self._fill, name="warm-up", daemon=True).start()

    def run(self, job: str, *arguments: Any) -> Any:
        """job: a name of `jobs`. arguments: words and numbers, as JSON has them. Raises ImageError: the job's own, or
        one that says that a limit was reached."""
        with self._fast:
            helper = self._take()
            try:
                helper.ask(job, arguments, self.cpu_s, self.wall_s)
                if helper.answered_after(self.slow_s):
                    return self._finish(helper)
            except BaseException:
                self._end(helper)
                raise
            helper.step_back()
            self.warm_up()
        if not self._slow.acquire(blocking=False):
            self._end(helper)
            raise ImageError("busy")
        try:
            if not helper.answered_within(self.wall_s - self.slow_s):
                raise ImageError("slow")
            return self._finish(helper, again=False)  # its priority cannot be raised again
        finally:
            self._slow.release()
            self._end(helper)

    def close(self) -> None:
        """End every helper, busy or not."""
        with self._lock:
            self._closed = True
            gone = list(self._all)
        for helper in gone:
            self._end(helper)

    def process_ids(self) -> list[int]:
        """Of the helpers that are there now."""
        with self._lock:
            return [helper.process.pid for helper in self._all]

    def _finish(self, helper: Helper, again: bool = True) -> Any:
        try:
            kind, value = helper.answer()
        except LostError as lost:
            self._end(helper)
            raise ImageError(_reason(-lost.args[0])) from None
        if again:
            with self._lock:
                self._idle.append(helper)
        if kind == "done":
            return value
        if kind == "refused":
            code, values = value
            raise ImageError(code, **values)
        raise RuntimeError(f"A helper failed: {value}.")

    def _take(self) -> Helper:
        with self._lock:
            while self._idle:
                helper = self._idle.pop()
                if helper.process.poll() is None:
                    return helper
                helper.end()  # somebody killed it
                self._all.discard(helper)
        return self._start()

    def _start(self) -> Helper:
        helper = Helper(self.memory_bytes, self.jobs)
        with self._lock:
            self._all.add(helper)
            closed = self._closed
        if closed or not helper.ready():
            self._end(helper)
            if closed or self._closed:
                raise ImageError("stopping")
            raise RuntimeError("No helper process could be started.")
        return helper

    def _fill(self) -> None:
        while True:
            with self._lock:
                if self._closed or len(self._idle) >= self.n_fast:
                    return
            try:
                helper = self._start()
            except (RuntimeError, ImageError):  # whoever needs one will say so
                return
            with self._lock:
                self._idle.append(helper)

    def _end(self, helper: Helper) -> None:
        helper.end()
        with self._lock:
            self._all.discard(helper)
            if helper in self._idle:
                self._idle.remove(helper)


def _reason(signal_number: int) -> str:
    """Why a helper ended, as an ImageError's code: the limit of its time, the decoder's own fault, or the system had no
    memory left."""
    name = signal.Signals(signal_number).name if signal_number > 0 else ""
    if name in ("SIGXCPU", "SIGALRM"):
        return "slow"
    return "damaged" if name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL") else "ended"
