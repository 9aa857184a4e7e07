"""A folder of results that survives being interrupted at any moment.

`predictions.jsonl` is what counts: rows are added to its end and flushed. `predictions.csv` and `measurements.csv` say
the same for spreadsheets, and `clips.csv` sums up the frames of each clip. Opening the folder again repairs what a kill
left (a torn last line, a file whose frames are not all there, a CSV that lags behind), drops the rows of files that
have changed since, and on request of those that failed, for another try. Which files are done is kept as 8 bytes each.
"""

import contextlib
import csv
import hashlib
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Self

from busi_model.batch import clips
from busi_model.batch.work import BatchError, stamp
from busi_model.files import without_formula
from busi_model.names import CLASS_NAMES

COLUMNS = [
    "file",
    "frame",
    "frames",
    "status",
    "label",
    *CLASS_NAMES,
    "class_set",
    "outlined_px2",
    "row_mm",
    "column_mm",
]
COLUMNS += ["warnings", "mask", "overlay", "dicom_seg", "dicom_sr", "dicom_sc", "reason"]
ROWS, TABLE, LESIONS, RUN = "predictions.jsonl", "predictions.csv", "measurements.csv", "run.json"
CLIPS = "clips.csv"


class Results:
    """Append rows, once each. Use it in a `with` statement."""

    def __init__(self, folder: str | os.PathLike, run: dict, retry: bool = False):
        """run: what the rows depend on, plain values. retry: forget the files that failed. Raises BatchError where the
        folder holds another run's rows."""
        self.folder = Path(folder)
        self.n_rows = self.n_failed = self.n_refused = 0
        self._done: set[bytes] = set()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._keep_or_compare(run)
            self._repair(retry)
            self.n_files = len(self._done)  # judged before
            with contextlib.ExitStack() as opened:
                path = self.folder / ROWS
                self._jsonl = opened.enter_context(open(path, "a", encoding="utf-8", errors="surrogateescape"))
                self._tables = opened.enter_context(_Tables(self.folder, "a"))
                self._opened = opened.pop_all()
        except OSError as error:
            reason = f"The folder for the results cannot be written ({error.strerror})"
            raise BatchError(f"{reason}; give another one with --out.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def counts(self) -> str:
        """For the terminal."""
        return f"{self.n_rows} {'row' if self.n_rows == 1 else 'rows'}, {self.n_failed} failed"

    def claim(self, path: str) -> bool:
        """Whether this file is still to be judged; from now on it is not."""
        key = _key(path)
        free = key not in self._done
        self._done.add(key)
        return free

    def add(self, rows: list[dict]) -> None:
        """rows: all those of one or several files."""
        self._jsonl.write("".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))
        self._jsonl.flush()
        for row in rows:
            self._tables.add(row)
            self._count(row)
        self._tables.flush()

    def _count(self, row: dict) -> None:
        self._done.add(_key(row["file"]))
        self.n_rows += 1
        self.n_failed += row["status"] == "failed"
        self.n_refused += row["status"] == "refused"

    def _keep_or_compare(self, run: dict) -> None:
        path = self.folder / RUN
        if path.exists():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                found = None
            if found != run:
                raise BatchError(
                    f"The folder for the results holds those of another run (see {RUN} in it): other weights or other "
                    "options. Give a new folder with --out."
                )
        elif (self.folder / ROWS).exists():
            raise BatchError(f"The folder for the results has {ROWS} but no {RUN}. Give a new folder with --out.")
        else:
            temporary = path.with_suffix(".writing")
            temporary.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
            os.replace(temporary, path)

    def _repair(self, retry: bool) -> None:
        """Cut off what is torn or incomplete, drop what shall be tried again, and write the tables anew, row by row."""
        path = self.folder / ROWS
        path.touch()
        keep = 0  # bytes: up to the last file whose rows are all there
        again: set[bytes] = set()
        looked_at: set[bytes] = set()
        with open(path, "rb") as file:
            for row in _rows(file):
                if row["frame"] is None or row["frame"] == row["frames"]:
                    keep = file.tell()
                key = _key(row["file"])
                if retry and row["status"] == "failed":
                    again.add(key)
                if key not in looked_at and row.get("stamp"):
                    looked_at.add(key)
                    if stamp(row["file"]) not in (row["stamp"], None):  # None: gone, or not to be seen now
                        again.add(key)
        os.truncate(path, keep)
        if again:
            _drop(path, again)
        with open(path, "rb") as file, _Tables(self.folder, "w") as tables:
            for row in _rows(file):
                tables.add(row)
                self._count(row)


def _drop(path: Path, keys: Collection[bytes]) -> None:
    """Write the rows anew without those of these files; whenever it is interrupted, the rows are the old or the new."""
    temporary = path.with_suffix(".writing")
    with open(path, "rb") as old, open(temporary, "wb") as new:
        new.writelines(line for line in old if (row := _parse(line)) and _key(row["file"]) not in keys)
        new.flush()
        os.fsync(new.fileno())
    os.replace(temporary, path)


def _rows(file: IO[bytes]) -> Iterator[dict]:
    """Up to the first line that is torn."""
    while (row := _parse(file.readline())) is not None:
        yield row


def _parse(line: bytes) -> dict | None:
    """The row of a whole line, else None."""
    try:
        row = json.loads(line.decode("utf-8", "surrogateescape"))
        return row if line.endswith(b"\n") and {"file", "frame", "frames", "status"} <= row.keys() else None
    except (ValueError, AttributeError):
        return None


def _key(path: str) -> bytes:
    return hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=8).digest()


def _no_formulas(row: dict) -> dict:
    """For the tables; the rows in JSON keep each name as it is."""
    return {name: without_formula(cell) for name, cell in row.items()}


class _Tables:
    """The rows as CSV; lesions in a table of their own, which begins with the first one."""

    def __init__(self, folder: Path, mode: str):
        self._folder, self._mode = folder, mode
        self._files: list[IO[str]] = []
        if mode == "w":
            for name in (LESIONS, CLIPS):
                (folder / name).unlink(missing_ok=True)
        self._lesions: csv.DictWriter | None = None
        self._clips: csv.DictWriter | None = None
        self._clip: list[dict] = []
        self._rows = self._writer(TABLE, COLUMNS)

    def _writer(self, name: str, columns: list[str]) -> csv.DictWriter:
        path = self._folder / name
        begins = self._mode == "w" or not path.exists() or path.stat().st_size == 0
        # With a mark in front, by which Excel knows the encoding.
        file = open(path, self._mode, encoding="utf-8-sig", errors="surrogateescape", newline="")  # noqa: SIM115 (__exit__)
        self._files.append(file)
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        if begins:
            writer.writeheader()
        return writer

    def add(self, row: dict) -> None:
        codes = [warning["code"] for warning in row.get("warnings", ())]
        lists = {"warnings": "; ".join(codes), "class_set": "; ".join(row.get("class_set", ()))}
        self._rows.writerow(_no_formulas(row | lists))
        if row["frame"] is not None:
            self._clip.append(row)
            if row["frame"] == row["frames"]:
                self._clips = self._clips or self._writer(CLIPS, clips.COLUMNS)
                self._clips.writerow(_no_formulas(clips.summary(self._clip)))
                self._clip = []
        for lesion in row.get("lesions", ()):
            if self._lesions is None:
                self._lesions = self._writer(LESIONS, ["file", "frame", *lesion])
            self._lesions.writerow(_no_formulas({"file": row["file"], "frame": row["frame"], **lesion}))

    def flush(self) -> None:
        for file in self._files:
            file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()
