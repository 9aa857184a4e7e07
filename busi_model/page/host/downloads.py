"""What a host takes home: a session's records, report and corrected cases, and the quick feedback.

Enters: a session's id. Leaves: files in a private folder that Gradio serves, and a sentence; they go when the records
go that they were made of.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from busi_model.page import strings
from busi_model.reading.analysis import results
from busi_model.reading.analysis.report import no_study, write_csv, write_downloads
from busi_model.reading.export import Exported, export_cases
from busi_model.reading.storage.store import Store


@dataclass(frozen=True)
class Prepared:
    files: list[Path]
    said: str = ""  # plain text
    figures: str = ""  # HTML


class Downloads:
    """Of one store. folder: private, served by Gradio, emptied by it."""

    def __init__(self, store: Store, folder: str | os.PathLike):
        self.store, self.folder = store, Path(folder)
        self.prepared: dict[str, list[Path]] = {}  # session's id, or "feedback" -> folders with downloads

    @contextlib.contextmanager
    def place(self, of: str) -> Iterator[Path]:
        """A folder for downloads, gone again when they fail; its random name is what keeps other users out. of: a
        session's id, or "feedback"."""
        place = Path(tempfile.mkdtemp(dir=self.folder))
        self.prepared.setdefault(of, []).append(place)
        try:
            yield place
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise

    def drop(self, of: str) -> None:
        """What was prepared from records that are gone goes too."""
        for place in self.prepared.pop(of, []):
            shutil.rmtree(place, ignore_errors=True)

    def records(self, session_id: str) -> Prepared:
        """CSV, JSONL, report, and the corrected cases as a ZIP in BUSI's layout."""
        with self.place(session_id) as place:
            files = write_downloads(self.store, session_id, place / "session")
            exported = export_cases(self.store, place / "cases", [session_id])
            archive = shutil.make_archive(str(place / "session" / "corrected-cases"), "zip", place / "cases")
            shutil.rmtree(place / "cases")
        said = strings.HOST_EXPORTED.format(n_cases=exported.n_cases)
        if exported.n_conflicts:
            said += " " + strings.HOST_CONFLICTS.format(count=exported.n_conflicts)
        said += skipped_words(exported)
        if reason := no_study(results.readings(self.store, session_id)):
            said += " " + strings.HOST_NO_STUDY.format(reason=reason)
        return Prepared([*files, Path(archive)], said)

    def feedback(self) -> Prepared:
        with self.place("feedback") as place:
            path = place / "feedback.csv"
            write_csv(results.feedback(self.store), path)
        return Prepared([path])


def skipped_words(exported: Exported) -> str:
    """Which cases were left out, and why: sentences, each after a blank."""
    return "".join(
        " " + strings.HOST_SKIPPED.format(count=count, reason=reason) for reason, count in exported.skipped.items()
    )
