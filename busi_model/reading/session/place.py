"""Where a reader stands in a session: the one step whose turn it is, from the records alone.

Enters: rows of the database. Leaves: a Place, which `progress` makes a Step for the page. Whatever was done twice,
reloaded or cut short, what is kept decides.
"""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from busi_model.reading.records import Checked, Model, OwnRead
from busi_model.reading.storage.store import Receipt


@dataclass(frozen=True)
class Place:
    """Where a reader stands, as the records say."""

    stage: str  # "profile", "familiarise", "own", "reveal", "final", "questionnaire", "done" or "closed"
    done: int  # cases finished
    case_number: int | None  # in the host's order; None outside the cases
    key: str | None  # what to save this step under; None where nothing is saved by key


@dataclass(frozen=True)
class Step:
    """What the page shows."""

    stage: str
    key: str | None
    position: int | None  # from 1, in this reader's order
    n_cases: int
    image_path: Path | None
    image_sha256: str | None
    width: int | None
    height: int | None
    read_first: bool
    own: OwnRead | None  # locked
    model: Model | None  # revealed: stage "final"
    pseudonym: str | None
    session_name: str


@dataclass(frozen=True)
class Saved:
    """A step that was saved before."""

    step: Step
    content: dict
    receipt: Receipt

    def is_same(self, content: Checked) -> bool:
        return content.model_dump(mode="json") == self.content


def stage_of(connection: sqlite3.Connection, session: sqlite3.Row, reader: sqlite3.Row) -> Place:
    """Rows of session and reader -> the reader's place."""
    saved = {
        (row["case_number"], row["kind"])
        for row in connection.execute("SELECT case_number, kind FROM record WHERE reader_id = ?", (reader["id"],))
    }
    order = json.loads(reader["case_order"])
    done = sum((number, "final") in saved or (number, "left_out") in saved for number in order)
    start = prefix(session, reader)
    if session["closed_at"]:
        return Place("closed", done, None, None)
    if reader["pseudonym"] is None:
        return Place("profile", done, None, None)
    if reader["familiarised_at"] is None:
        return Place("familiarise", done, None, None)
    kinds = ("own", "reveal", "final") if session["read_first"] else ("reveal", "final")
    for number in order:
        for kind in kinds if (number, "left_out") not in saved else ():
            if (number, kind) not in saved:
                return Place(kind, done, number, f"{start}c{number:03d}-{kind}")
    if (None, "questionnaire") not in saved:
        return Place("questionnaire", done, None, f"{start}questionnaire")
    return Place("done", done, None, None)


def prefix(session: sqlite3.Row, reader: sqlite3.Row) -> str:
    """How the keys of all a reader's steps begin."""
    return f"{session['id']}-r{reader['number']:03d}-"
