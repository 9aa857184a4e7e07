"""One helper: a process of its own that works on bytes from outside. Both of its ends, and the messages between them.

Enters: the name of a job and its arguments, as JSON. Leaves: what the job returns, as a pickle that is read with a list
of the classes that may stand in it, or the code of its `ImageError`; or why the process ended. It knows no torch, no
secret of the environment and no other user's data, and the system ends it at its limits.
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

STARVED = 10  # times as long by the clock: what a helper may wait for its share of a busy machine

_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_ANSWERS = {  # what an answer may be made of, beside numbers, words, lists and classes of `busi_model.frame`
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy._core.multiarray", "_reconstruct"),
}


class LostError(Exception):
    """The helper ended before it had answered; its argument is the return code, as Popen has it."""


class Helper:
    """One process, seen from the page's. Messages are a length of 8 bytes and as many bytes."""

    def __init__(self, memory_bytes: int, jobs: dict[str, str]):
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(memory_bytes), json.dumps(jobs)],
            cwd=Path(__file__).parents[2],
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
        """Kind and value. Raises LostError."""
        if self._answer is None:
            self.process.kill()
            raise LostError(self.process.wait())
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
    """A helper works on bytes from outside: its answer may hold a picture and words, and nothing that runs."""

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
