"""`python -m busi_model predict`: from what the user typed to an exit code.

0: every picture was judged. 1: some could not be, their rows say why. 2: the run did not begin or did not end.
130: it was interrupted. Whatever the end, rows that were written stay, and the same command goes on after them.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from busi_model.batch.clips import in_words, summary
from busi_model.batch.find import PassedOver, find_images
from busi_model.batch.local import judge
from busi_model.batch.rows import Results
from busi_model.batch.work import BatchError, Wanted
from busi_model.dicom_out.write import IDENTIFIED, DicomResultError, require_highdicom
from busi_model.errors import remedy
from busi_model.model.network import DeviceError
from busi_model.model.weights_folder import CheckpointError
from busi_model.names import CLASS_NAMES
from busi_model.predict import Predictor


def predict(
    places: Iterable[str],
    weights: Path | str | None,
    device: str = "auto",
    folder: str | None = None,
    workers: int | None = None,
    ray: str | None = None,
    retry: bool = False,
    **wanted: Any,
) -> int:
    """places: files, folders, patterns. folder: for results; None prints them. ray: address of a cluster, or None.
    retry: judge again what failed before. wanted: fields of `Wanted`. Returns the exit code."""
    all_wanted = Wanted(folder, **wanted)
    try:
        return _predict(list(places), weights, device, workers, ray, retry, all_wanted)
    except (BatchError, CheckpointError, DeviceError, DicomResultError) as error:
        print(f"predict: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # bad pictures are rows; this is the place for the results
        text = f"The results cannot be written ({error.strerror}). {remedy(error)} The same command goes on from here."
        print(f"predict: {text}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        return 130


def _predict(
    places: list[str],
    weights: Path | str | None,
    device: str,
    workers: int | None,
    ray: str | None,
    retry: bool,
    wanted: Wanted,
) -> int:
    folder = wanted.folder
    if folder is None and (wanted.masks or wanted.overlays or wanted.measurements or wanted.dicom):
        raise BatchError("Masks, overlays, measurements and DICOM results need a folder to go to; give one with --out.")
    if wanted.dicom:
        require_highdicom()
    if workers is not None and workers < 1:
        raise BatchError(f"--workers is {workers}; 1 or more are expected.")
    passed = PassedOver()
    # Searched twice: a list would grow with the archive.
    n_files = sum(1 for _ in find_images(places, folder, passed))
    if not n_files:
        found = " ".join(["No pictures were found there.", *passed.sentences()])
        raise BatchError(f"{found} Name files, folders or patterns in quotes.")
    predictor = Predictor.load(weights, device, operating_point=wanted.operating_point)

    def judged(paths: Iterable[str]) -> Iterator[list[dict]]:
        if ray is None:
            return judge(paths, predictor, weights, wanted, n_files, workers)
        from busi_model.batch.cluster import judge_on_cluster

        return judge_on_cluster(paths, weights, device, wanted, ray, workers)

    if folder is None:
        code = _print(judged(find_images(places)))
        _say(passed, sys.stderr)  # not among the results
        return code
    run: dict[str, Any] = {"weights_sha256": predictor.checkpoint.weights_sha256, "frames": wanted.frames}
    if wanted.operating_point:
        run["operating_point"] = predictor.operating_point.fitted_on
    run |= {"masks": wanted.masks, "overlays": wanted.overlays, "measurements": wanted.measurements}
    run |= {"dicom": list(wanted.dicom)} if wanted.dicom else {}
    with Results(folder, run, retry) as results:
        code = _write(results, judged, find_images(places, folder), n_files)
    if wanted.dicom:
        print(IDENTIFIED)
    _say(passed, sys.stdout)
    return code


def _say(passed: PassedOver, stream: TextIO) -> None:
    for sentence in passed.sentences():
        print(_on_one_line(sentence), file=stream)


def _print(portions: Iterable[list[dict]]) -> int:
    n_failed = 0
    clip: list[dict] = []
    for rows in portions:
        for row in rows:
            clip += [row] if row["frame"] is not None else []
            n_failed += row["status"] == "failed"
            if row["status"] == "failed":
                print(_failure(row), file=sys.stderr)
            else:
                print(f"{_place(row)}: {_verdict(row)}")
                for warning in row["warnings"]:
                    print(f"  {warning['code']}: {warning['text']}")
            if clip and row["frame"] == row["frames"]:
                print(f"{_on_one_line(row['file'])}: {in_words(summary(clip))}")
                clip = []
    return 1 if n_failed else 0


def _write(
    results: Results, judged: Callable[[Iterable[str]], Iterable[list[dict]]], paths: Iterable[str], n_files: int
) -> int:
    # Rate and time left; quiet in a log. What was done before is no part of the rate.
    with tqdm(total=n_files, initial=results.n_files, unit="file", smoothing=0.02, disable=None) as bar:
        for rows in judged(path for path in paths if results.claim(path)):
            results.add(rows)
            for row in rows:
                if row["status"] == "failed":
                    bar.write(_failure(row), file=sys.stderr)
            bar.update(len({row["file"] for row in rows}))
    refused = f" and {results.n_refused} refused (blank, or no breast ultrasound)" if results.n_refused else ""
    print(f"{results.counts()}{refused}, in {results.folder}")
    return 1 if results.n_failed else 0


def _verdict(row: dict) -> str:
    if row["status"] == "refused":  # its figures mean nothing; the warnings say why
        return "refused"
    probabilities = ", ".join(f"{name} {row[name]:.3f}" for name in CLASS_NAMES)
    return f"{row['label']} ({probabilities}); {row['outlined_px2']} px outlined"


def _place(row: dict) -> str:
    name = _on_one_line(row["file"])
    return name if row["frame"] is None else f"{name}, frame {row['frame']}"


def _on_one_line(name: str) -> str:
    # It may hold bytes that no screen shows, line ends, and codes that move a terminal's cursor.
    name = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _failure(row: dict) -> str:
    return f"{_place(row)}: {row['reason']}"
