"""The work on this machine: several files are read, judged and drawn at a time, and never more than a few wait.

On a CPU one process a core, each with the network on a single thread: no core waits while another decodes or draws,
and small convolutions lose much of what a second thread brings. On a GPU threads, which share the network and decode
while it runs.
"""

import collections
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from busi_model.batch.work import BatchError, Wanted, Worker
from busi_model.model.network import use_one_thread
from busi_model.predict import Predictor

FILES_AT_ONCE = 8  # for one process: enough to fill two batches, few enough to lose little when it is killed
WAITING = 2  # such portions a worker, so that none is idle and memory stays bounded
SMALL = 24  # files; starting processes takes longer than judging so few


def judge(
    paths: Iterable[str],
    predictor: Predictor,
    weights: Path | str | None,
    wanted: Wanted,
    n_files: int,
    workers: int | None = None,
) -> Iterator[list[dict]]:
    """Yield the rows of a few files at a time, in the order of the paths. n_files: how many there are, about.

    Raises BatchError when a worker is killed from outside.
    """
    paths = iter(paths)
    on_cpu = predictor.device.type == "cpu"
    workers = workers or (_n_cores() if on_cpu else 4)
    if workers == 1 or (on_cpu and n_files <= SMALL):
        worker = Worker(predictor, wanted)
        for path in paths:
            yield worker([path])
    elif on_cpu:
        with _processes(workers, weights, wanted) as pool:
            yield from _in_order(pool, _judge_here, paths, workers, FILES_AT_ONCE)
    else:
        worker = Worker(predictor, wanted)
        with ThreadPoolExecutor(workers) as pool:
            yield from _in_order(pool, worker, paths, workers, worker.frames_at_once)


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))  # those that this process may use
    return os.cpu_count() or 1


def _in_order(
    pool: Executor, work: Callable[[list[str]], list[dict]], paths: Iterator[str], workers: int, size: int
) -> Iterator[list[dict]]:
    waiting: collections.deque[Future[list[dict]]] = collections.deque()
    try:
        while portion := list(itertools.islice(paths, size)):
            waiting.append(pool.submit(work, portion))
            if len(waiting) >= workers * WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        text = "A worker was killed, perhaps for memory. The same command goes on; fewer --workers need less."
        raise BatchError(text) from None
    finally:
        for future in waiting:
            future.cancel()


# In a worker process


_worker: Worker  # set by `_begin`


def _processes(workers: int, weights: Path | str | None, wanted: Wanted) -> ProcessPoolExecutor:
    # A forked child would inherit the locks of threads that it does not have.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, _begin, (weights, wanted))


def _begin(weights: Path | str | None, wanted: Wanted) -> None:
    global _worker  # the one state of a process that exists for nothing else
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which lets us finish
    threading.Thread(target=_end_with_parent, daemon=True).start()
    use_one_thread()
    _worker = Worker(Predictor.load(weights, "cpu", operating_point=wanted.operating_point), wanted)


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _judge_here(paths: list[str]) -> list[dict]:
    return _worker(paths)
