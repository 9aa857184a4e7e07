"""Does any damaged file get past the error that its reader promises?

python -m benchmarks.mutations --files 10000

Whole files of every reader (pictures and DICOM, checkpoints, manifests, masks, outlines) are damaged as disks, networks
and others do it, from a seed; each goes to its reader. Only the reader's own error may come out. Prints how many
were read and refused by each, the slowest, and every file that broke the promise; exit code 1 if there is any. What
libtiff finds wrong it writes to stderr itself.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from busi_model.image import ImageError, count_frames, read_image
from busi_model.model import checkpoint
from busi_model.model.network import MultiTaskUNet
from busi_model.model.ood import N_STATISTICS, fit_distance
from busi_model.model.operating_point import OperatingPoint
from busi_model.model.preprocess import Preprocess
from busi_model.phantom import draw_phantom, write_phantom_dataset
from busi_model.predict import Predictor
from busi_model.reading import outline
from busi_model.reading.errors import OutlineError
from busi_model.training.data.cases import CaseError
from busi_model.training.data.layouts import find_cases
from busi_model.training.data.splits import write_manifest
from tests.support.odd_input import KINDS

ONE_OTHER_IN = 10  # of so many damaged files one is no picture
NUMBERS = (b"0", b"-1", b"1e308", b"NaN", b"Infinity", b"99999999999999999999", b"null", b'"a"', b"[]", b"{}", b"")


@dataclass(frozen=True)
class Target:
    """A whole file and who reads it."""

    reader: str
    content: bytes
    read: Callable[[bytes], object]
    error: type[Exception]  # the only one that may come out


def mutated(content: bytes, seed: int) -> bytes:
    """Content with one to eight injuries: bytes changed, cut out or doubled, numbers replaced, the end cut off."""
    rng = np.random.default_rng(seed)
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 8])):
        if not damaged:
            break
        # Most of a file is data; its first bytes say how to read them.
        end = min(len(damaged), int(rng.choice([40, 400, len(damaged), len(damaged)])))
        at = int(rng.integers(end))
        size = int(rng.integers(1, 1 + min(64, len(damaged) - at)))
        match int(rng.integers(7)):
            case 0 | 1:
                damaged[at] ^= 1 << int(rng.integers(8))
            case 2:
                damaged[at : at + size] = rng.bytes(size)
            case 3:
                damaged[at : at + size] = rng.choice([b"\0", b"\xff"]) * size
            case 4:
                del damaged[at : at + size]
            case 5:
                damaged[at:at] = damaged[at : at + size] * int(rng.integers(1, 100))
            case 6:
                _replace_a_number(damaged, at, rng)
    return bytes(damaged[: int(rng.integers(len(damaged) + 1))] if rng.random() < 0.1 else damaged)


def _replace_a_number(damaged, at, rng):
    """The next run of digits becomes something that a number can be read as, or should not be."""
    while at < len(damaged) and not chr(damaged[at]).isdigit():
        at += 1
    end = at
    while end < len(damaged) and chr(damaged[end]).isdigit():
        end += 1
    damaged[at:end] = NUMBERS[rng.integers(len(NUMBERS))]


def targets(folder: Path) -> list[Target]:
    """Whole files of all readers; folder: empty, for what they need on a disk."""
    picture = folder / "scan"

    def read_picture(content):
        picture.write_bytes(content)
        n_frames = count_frames(picture)
        return read_image(picture, n_frames - 1), read_image(picture)

    pictures = [
        Target(f"picture: {kind.name}", kind.content, read_picture, ImageError)
        for kind in KINDS
        if isinstance(kind.content, bytes) and not kind.refused
    ]
    others = [*_checkpoints(folder / "weights"), *_manifests(folder / "cases"), *_busbra(folder / "bra"), _outlines()]
    mask = outline.encode_mask(draw_phantom("benign", 1, 90, 110)[1])
    others.append(Target("mask in the store", mask, outline.decode_mask, OutlineError))
    return pictures + others


def _in_place(path, read):
    """A reader of the folder around the file, which is whole again afterwards."""
    whole = path.read_bytes()

    def read_damaged(content):
        path.write_bytes(content)
        try:
            return read()
        finally:
            path.write_bytes(whole)

    return whole, read_damaged


def _checkpoints(folder):
    torch.manual_seed(0)
    network = MultiTaskUNet(decoder_channels=(8, 8, 8, 8), class_hidden=8).eval()
    gray = draw_phantom("benign", 1, 70, 80)[0]
    checkpoint.save(folder, network, Preprocess(size=64), OperatingPoint(), {"recipe": "none"}, {})
    features = checkpoint.load(folder).network(torch.zeros(1, 1, 64, 64)).features.shape[1]
    ood = fit_distance(np.random.default_rng(0).normal(size=(40, features + N_STATISTICS)))
    checkpoint.save(folder, network, Preprocess(size=64), OperatingPoint(), {"recipe": "none"}, {}, ood)

    def read():
        return Predictor(checkpoint.load(folder), "cpu")(gray)

    for name in (checkpoint.CONFIG_NAME, checkpoint.WEIGHTS_NAME, checkpoint.OOD_NAME):
        yield Target(f"checkpoint: {name}", *_in_place(folder / name, read), checkpoint.CheckpointError)


def _manifests(folder):
    write_phantom_dataset(folder, 5, seed=5, height=90, width=110)
    cases = find_cases(folder)
    path = folder / "split.csv"
    write_manifest(cases, path)
    yield Target("manifest", *_in_place(path, lambda: find_cases(folder, path)), CaseError)
    case = cases[0]
    yield Target("mask of a case", *_in_place(case.mask_paths[0], case.read), CaseError)


def _busbra(folder):
    for name in ("Images", "Masks"):
        (folder / name).mkdir(parents=True)
    gray, mask = draw_phantom("benign", 1, 90, 110)
    (folder / "Images" / "bus_0001-l.png").write_bytes(outline.encode_mask(gray > 90))
    (folder / "Masks" / "mask_0001-l.png").write_bytes(outline.encode_mask(mask))
    (folder / "bus_data.csv").write_text("ID,Case,Pathology,Device\nbus_0001-l,1,benign,GE Logiq 7 @10-14MHz\n")
    (folder / "10-fold-cv.csv").write_text("ID,kFold\nbus_0001-l,3\n")
    for name in ("bus_data.csv", "10-fold-cv.csv"):
        yield Target(f"BUS-BRA: {name}", *_in_place(folder / name, lambda: find_cases(folder)), CaseError)


def _outlines():
    drawn = [[[10.5, 10.25], [30, 10], [30, 20], [10, 20]], [[40, 30], [50, 44], [50, 30], [40, 44]]]

    def read(content):
        try:
            polygons = json.loads(content)
        except (ValueError, RecursionError):
            raise OutlineError("No JSON.") from None
        repaired = outline.repair(polygons, 64, 48).polygons
        outline.check(repaired, 64, 48)
        return outline.rasterise(repaired, 64, 48)

    return Target("outline", json.dumps(drawn).encode(), read, OutlineError)


def run(n_files: int, first: int = 0):
    """Yield (number, reader, what came of it, seconds, traceback or "") of damaged files; the number is the seed."""
    with tempfile.TemporaryDirectory() as folder:
        found = targets(Path(folder))
        pictures = [target for target in found if target.reader.startswith("picture")]
        others = [target for target in found if not target.reader.startswith("picture")]
        for number in range(first, first + n_files):
            turn, group = divmod(number, ONE_OTHER_IN)
            target = others[turn % len(others)] if group == 0 else pictures[number % len(pictures)]
            content = mutated(target.content, number)
            begin, trace = time.perf_counter(), ""
            try:
                target.read(content)
                outcome = "read"
            except target.error:
                outcome = "refused"
            except Exception:
                outcome, trace = "uncaught", traceback.format_exc()
            yield number, target.reader, outcome, time.perf_counter() - begin, trace


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number, and so seed, of the first file")
    return parser.parse_args(arguments)


def main() -> int:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    counts, slowest = Counter(), (0.0, 0, "")
    for number, reader, outcome, seconds, trace in run(arguments.files, arguments.first):
        counts[reader.split(":")[0], outcome] += 1
        slowest = max(slowest, (seconds, number, reader))
        if trace:
            print(f"file {number}, {reader}:\n{trace}", flush=True)
    print("| reader | read | refused | uncaught |\n|---|---|---|---|")
    for reader in dict.fromkeys(reader for reader, _ in counts):
        print(f"| {reader} | {' | '.join(str(counts[reader, o]) for o in ('read', 'refused', 'uncaught'))} |")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{arguments.files} files; at most {most:.0f} MiB resident.")
    print(f"The slowest took {slowest[0]:.2f} s: file {slowest[1]}, {slowest[2]}.")
    return 1 if any(outcome == "uncaught" for _, outcome in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
