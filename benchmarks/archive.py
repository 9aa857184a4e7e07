"""How much faster is `predict` on an archive than `Predictor` one by one, and does its memory stay where it is?

    python -m benchmarks.archive --images 10000

Both rates, their ratio, and the resident memory of the whole run (the command and its workers together) after the
first hundred pictures and at its end. Phantoms of 440 x 560 px; both ways judge the same files in the same run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from PIL import Image

from benchmarks.measure import describe_machine, markdown, table
from busi_model.batch.rows import ROWS
from busi_model.names import CLASS_NAMES
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor

ROOT = Path(__file__).parents[1]
DIFFERENT = 60  # phantoms that are drawn; the others are links to them


def resident_mib(pid: int) -> float:
    """Of a process and its children, in MiB; Linux only."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{p}/statm").read_text().split()[1]) for p in (pid, *children))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def one_by_one(paths, weights) -> float:
    """Images a second."""
    predictor = Predictor.load(weights, device="cpu")
    predictor(paths[0])
    begin = time.perf_counter()
    for path in paths:
        predictor(path)
    return len(paths) / (time.perf_counter() - begin)


def archive(folder, out, n_images, weights, workers) -> tuple[float, float, float]:
    """Images a second once all workers are up, and MiB after the first hundred and at the end."""
    command = [sys.executable, "-m", "busi_model", "predict", str(folder), "--out", str(out), "--device", "cpu"]
    command += ["--weights", str(Path(weights).resolve()), *(["--workers", str(workers)] if workers else [])]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    seen = []  # (time, rows, MiB)

    def watch():
        while process.poll() is None:
            try:
                n_rows = (out / ROWS).read_bytes().count(b"\n") if (out / ROWS).exists() else 0
                seen.append((time.perf_counter(), n_rows, resident_mib(process.pid)))
            except (FileNotFoundError, ProcessLookupError):
                pass  # it ended between two lines
            time.sleep(0.5)

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"predict ended with {process.returncode}")
    after = [moment for moment in seen if moment[1] >= min(100, n_images // 3)]
    (begin, first, memory), (end, last, _) = after[0], after[-1]
    return (last - first) / (end - begin), memory, max(moment[2] for moment in after)


def run(weights, images: int = 600, n_one_by_one: int = 100, workers: int | None = None) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        pictures, out = Path(folder, "pictures"), Path(folder, "out")
        pictures.mkdir()
        for number in range(images):
            path = pictures / f"{number:06}.png"
            if number < DIFFERENT:
                Image.fromarray(draw_phantom(CLASS_NAMES[number % 3], number)[0]).save(path)
            else:
                os.link(pictures / f"{number % DIFFERENT:06}.png", path)
        paths = sorted(pictures.iterdir())[:n_one_by_one]
        half = len(paths) // 2  # before and after: what else the machine does meets both ways
        before = one_by_one(paths[:half], weights)
        fast, memory, most = archive(pictures, out, images, weights, workers)
        after = one_by_one(paths[half:], weights)
    slow = 2 / (1 / before + 1 / after)
    rows = [
        ["one by one, images a second", slow],
        ["archive, images a second", fast],
        ["ratio", fast / slow],
        ["resident after the first hundred, MiB", memory],
        [f"resident at most, until {images} pictures, MiB", most],
    ]
    return [table("An archive", ["what", "value"], rows)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--one-by-one", type=int, default=100, help="of them are judged one by one")
    parser.add_argument("--weights", default=str(ROOT / "weights"))
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    tables = run(arguments.weights, arguments.images, arguments.one_by_one, arguments.workers)
    print(markdown(describe_machine(), tables))


if __name__ == "__main__":
    main()
