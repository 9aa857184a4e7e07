"""`python -m busi_model watch IN --out OUT`: pictures that come into a folder are judged as they come, each once.

Enters: a folder that a scanner, an export or a person fills. Leaves: the files of `rows.Results`, as `predict` writes
them. A file is read once it lies still: its size and time are the same in two looks. A file that cannot be read may
still be on its way, so its failure is kept only when it has lain still for PATIENCE_S. What was judged is on the disk
at once; after a kill the same command goes on. A file that was replaced under its name is judged anew, and its row is
then that of the new picture.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from busi_model.batch.find import find_images
from busi_model.batch.rows import Results
from busi_model.batch.work import BatchError, Wanted, Worker
from busi_model.errors import remedy
from busi_model.model.network import DeviceError
from busi_model.model.weights_folder import CheckpointError
from busi_model.predict import Predictor

EVERY_S = 2.0  # between two looks
PATIENCE_S = 30.0
REPLACED_EVERY = 15  # looks: then it is asked of each judged file, too, whether it is still the same


class Watcher:
    """Looks at a folder; each look judges the files that lie still since the one before."""

    def __init__(
        self,
        folder: str | os.PathLike,
        results: Results,
        worker: Worker,
        but_not: str | os.PathLike | None = None,
    ):
        """but_not: the folder of the results, which may lie within the watched one."""
        self.folder, self.results, self.worker, self.but_not = folder, results, worker, but_not
        self._moving: dict[str, tuple[str | None, float]] = {}  # path -> stamp, since when it is so
        self._finished: dict[int, int] = {}  # hashes of paths and stamps: names take ten times the memory
        self._n_looks = 0
        self.replaced = False  # a judged file is another one now, whole: open the results anew, which drops its rows
        self._held: dict[str, str] = {}  # path -> stamp with which it could not be read

    def look(self, now: float) -> list[dict]:
        """now: seconds of a clock that never goes back. Returns the rows that were written."""
        written, here = [], set()
        self._n_looks += 1
        all_of_them = self._n_looks % REPLACED_EVERY == 0
        for path in find_images([self.folder], self.but_not):
            judged = self._finished.get(hash(path))
            if judged is not None and not (all_of_them or path in self._moving):
                continue
            stamp = _stamp(path)
            if judged is not None and (stamp is None or hash(stamp) == judged):
                continue
            here.add(path)
            before, since = self._moving.get(path, (None, now))
            self._moving[path] = stamp, since if stamp == before else now
            if stamp is not None and stamp == before:
                if judged is None:
                    written += self._judge(path, stamp, now - since)
                self.replaced |= judged is not None
        for path in set(self._moving) - here:  # gone, or finished
            self._moving.pop(path)
            self._held.pop(path, None)
        return written

    def _judge(self, path: str, stamp: str, still_s: float) -> list[dict]:
        if path not in self._held and not self.results.claim(path):  # judged before this start
            self._finished[hash(path)] = hash(stamp)
            return []
        if self._held.get(path) == stamp and still_s < PATIENCE_S:
            return []
        rows = self.worker([path])
        if _stamp(path) != stamp or (still_s < PATIENCE_S and all(row["status"] == "failed" for row in rows)):
            self._held[path] = stamp  # changed under our hands, or perhaps not whole yet
            return []
        self.results.add(rows)
        self._finished[hash(path)] = hash(stamp)
        return rows


def _stamp(path: str) -> str | None:
    """What changes while a file is written; None: gone, or nothing in it yet."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return f"{status.st_size}-{status.st_mtime_ns}" if status.st_size else None


def watch(
    folder: str, weights: Path | str | None, out: str, device: str = "auto", every_s: float = EVERY_S, **wanted: Any
) -> int:
    """Watch until SIGTERM or Ctrl-C. wanted: fields of `Wanted`. Returns the exit code: 0 ended, 2 did not run."""
    try:
        if not os.path.isdir(folder):
            raise BatchError("There is no such folder to watch. Name the folder that pictures come into.")
        if os.path.realpath(folder) == os.path.realpath(out):
            raise BatchError("The results cannot go into the very folder that is watched. Give another one with --out.")
        if not every_s > 0:
            raise BatchError(f"--every is {every_s:g}; seconds above 0 are expected.")
        return _watch(folder, weights, out, device, every_s, Wanted(out, **wanted))
    except (BatchError, CheckpointError, DeviceError) as error:
        print(f"watch: {error}", file=sys.stderr)
    except OSError as error:
        text = f"The results cannot be written ({error.strerror}). {remedy(error)} The same command goes on from here."
        print(f"watch: {text}", file=sys.stderr)
    return 2


def _watch(folder: str, weights: Path | str | None, out: str, device: str, every_s: float, wanted: Wanted) -> int:
    predictor = Predictor.load(weights, device)
    run: dict[str, Any] = {"weights_sha256": predictor.checkpoint.weights_sha256, "frames": wanted.frames}
    run |= {"masks": wanted.masks, "overlays": wanted.overlays, "measurements": wanted.measurements}
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())  # the file in hand is finished first
    print("Watching. Ctrl-C ends it; the same command goes on.", flush=True)
    while not stop.is_set():
        with Results(out, run) as results:
            watcher = Watcher(folder, results, Worker(predictor, wanted), out)
            while not (stop.is_set() or watcher.replaced):
                if watcher.look(time.monotonic()):
                    print(results.counts(), flush=True)
                stop.wait(every_s)
    return 0
