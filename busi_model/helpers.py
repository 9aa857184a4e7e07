"""Work on what strangers send is done apart: by helper processes with a limit of time and memory, kept warm.

Enters: the name of a job and its arguments. Leaves: what the job returns, or its `ImageError`. A file can keep a
decoder busy for minutes or ask for gigabytes in ways that nobody has listed yet; here that ends one helper and a
sentence.

A job that is not done within `slow_s` of processor time leaves the fast lane: it goes on at low priority, among a few
others of its kind, and a fresh helper takes its place, so that the next small file is not held up. A helper knows no
torch, no secret of the environment and no other user's data; its answer is read with a list of the classes that may
stand in it.
"""

import contextlib
import importlib
import io
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from busi_model.frame import ImageError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

JOBS = {  # name of a function: its module
    "read_image": "busi_model.image",
    "count_frames": "busi_model.image",
    "identity_or_none": "busi_model.dicom_out.reference",
}
CPU_S = 10  # of a job; the heaviest picture of 40 megapixels that we know of takes 3
WALL_S = 60  # of a job, on a machine where others take the cores
SLOW_S = 1.0  # of processor time; a usual file takes 0.05
STARVED = 10  # times as long by the clock: what a helper may wait for its share of a busy machine
MAX_SLOW = 4  # jobs beside the fast lane; the next one is refused
MEMORY_BYTES = 2**30  # above what a helper has at rest: 50 MB

_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_ANSWERS = {  # what an answer may be made of, beside numbers, words, lists and classes of `busi_model.frame`
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy._core.multiarray", "_reconstruct"),
}


class _LostError(Exception):
    """The helper ended before it had answered; its argument is the return code, as Popen has it."""


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
        self._idle: list[_Helper] = []
        self._all: set[_Helper] = set()
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

    def _finish(self, helper: "_Helper", again: bool = True) -> Any:
        try:
            kind, value = helper.answer()
        except _LostError as lost:
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

    def _take(self) -> "_Helper":
        with self._lock:
            while self._idle:
                helper = self._idle.pop()
                if helper.process.poll() is None:
                    return helper
                helper.end()  # somebody killed it
                self._all.discard(helper)
        return self._start()

    def _start(self) -> "_Helper":
        helper = _Helper(self.memory_bytes, self.jobs)
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

    def _end(self, helper: "_Helper") -> None:
        helper.end()
        with self._lock:
            self._all.discard(helper)
            if helper in self._idle:
                self._idle.remove(helper)


class _Helper:
    """One process, seen from the page's. Messages are a length of 8 bytes and as many bytes."""

    def __init__(self, memory_bytes: int, jobs: dict[str, str]):
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(memory_bytes), json.dumps(jobs)],
            cwd=Path(__file__).parents[1],
            env={**environment, **threads},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdin and self.process.stdout  # both are pipes
        self._incoming, self._outgoing = self.process.stdin, self.process.stdout
        self._answer: list[bytearray] | None = None
        self._came, self._had_s = threading.Event(), 0.0

    def ready(self) -> bool:
        """Waits until its imports are done, half a second; False: it could not start."""
        return _receive(self._outgoing) is not None

    def ask(self, job: str, arguments: tuple[Any, ...], cpu_s: float, wall_s: float) -> None:
        self._answer, self._came, self._had_s = None, threading.Event(), self._processor_s()
        with contextlib.suppress(BrokenPipeError):  # it has ended: the answer says so
            _send(self._incoming, json.dumps([job, arguments, cpu_s, wall_s]).encode())
        threading.Thread(target=self._listen, args=(self._came,), daemon=True).start()

    def _listen(self, came: threading.Event) -> None:
        with contextlib.suppress(OSError, ValueError):  # the pipe was closed under it
            self._answer = _receive_parts(self._outgoing)
        came.set()

    def answered_within(self, seconds: float) -> bool:
        return self._came.wait(seconds)

    def answered_after(self, processor_s: float) -> bool:
        """Waits until the job has had so much processor time, or `STARVED` times as long by the clock."""
        for _ in range(4 * STARVED):
            if self.answered_within(processor_s / 4):
                return True
            if self._processor_s() - self._had_s >= processor_s:
                return False
        return False

    def _processor_s(self) -> float:
        """Since it started; where the system does not say (not Linux), the clock's time."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            return time.monotonic()

    def answer(self) -> tuple[str, Any]:
        """Kind and value. Raises _LostError."""
        if self._answer is None:
            self.process.kill()
            raise _LostError(self.process.wait())
        head, *arrays = self._answer
        return _Reader(io.BytesIO(head), buffers=arrays).load()

    def step_back(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # it has just ended; Windows
            os.setpriority(os.PRIO_PROCESS, self.process.pid, 10)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()
        for pipe in (self._incoming, self._outgoing):
            with contextlib.suppress(OSError, ValueError):
                pipe.close()


class _Reader(pickle.Unpickler):
    """A helper works on strangers' bytes: its answer may hold a picture and words, and nothing that runs."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "busi_model.frame" or (module, name) in _ANSWERS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"A helper answered with a {module}.{name}.")


def _send(pipe: IO[bytes], content: bytes | memoryview) -> None:
    pipe.write(struct.pack("<Q", len(content)))
    pipe.write(content)
    pipe.flush()


def _receive(pipe: Any) -> bytearray | None:
    """None: the other side has ended."""
    head = pipe.read(8)
    if len(head) < 8:
        return None
    content = bytearray(struct.unpack("<Q", head)[0])
    begin, rest = 0, memoryview(content)
    while begin < len(content):
        count = pipe.readinto(rest[begin:])
        if not count:
            return None
        begin += count
    return content


def _receive_parts(pipe: IO[bytes]) -> list[bytearray] | None:
    """An answer: its pickle, then the arrays that it leaves out."""
    count = _receive(pipe)
    if count is None:
        return None
    parts = []
    for _ in range(struct.unpack("<Q", count)[0]):
        part = _receive(pipe)
        if part is None:
            return None
        parts.append(part)
    return parts


def _reason(signal_number: int) -> str:
    """Why a helper ended, as an ImageError's code: the limit of its time, the decoder's own fault, or the system had no
    memory left."""
    name = signal.Signals(signal_number).name if signal_number > 0 else ""
    if name in ("SIGXCPU", "SIGALRM"):
        return "slow"
    return "damaged" if name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL") else "ended"


def main(memory_bytes: int, jobs: dict[str, str]) -> None:
    """A helper's life: jobs come by stdin, answers go to stdout, until the page's process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the page ends its helpers
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)  # whatever a library prints is no answer
    functions = {name: getattr(importlib.import_module(module), name) for name, module in jobs.items()}
    if resource:
        with contextlib.suppress(FileNotFoundError):  # macOS, which keeps to no such limit either
            at_rest = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (at_rest + memory_bytes,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes nothing
    _send(outgoing, b"ready")
    while (request := _receive(incoming)) is not None:
        job, arguments, cpu_s, wall_s = json.loads(request)
        _limit(cpu_s, wall_s)
        buffers: list[pickle.PickleBuffer] = []
        try:
            answer = pickle.dumps(("done", functions[job](*arguments)), protocol=5, buffer_callback=buffers.append)
        except ImageError as error:
            answer = pickle.dumps(("refused", (error.code, error.values)))
        except Exception as error:
            answer = pickle.dumps(("failed", type(error).__name__))
        _limit(None, 0)
        parts: list[bytes | memoryview] = [answer, *(buffer.raw() for buffer in buffers)]
        _send(outgoing, struct.pack("<Q", len(parts)))
        for part in parts:
            _send(outgoing, part)


def _limit(cpu_s: float | None, wall_s: float) -> None:
    """The system ends this process when a job takes longer, even if the page's process has ended before."""
    if resource:
        used = time.process_time()
        most = resource.RLIM_INFINITY if cpu_s is None else int(used + cpu_s) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        signal.alarm(int(wall_s) + 1 if wall_s else 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))
