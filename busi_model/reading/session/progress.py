"""One reader's place in a session: which step comes next, and what is saved in it.

For each case: own read -> locked -> model revealed -> final read -> saved. The step follows from the records alone, so
a reload, another browser, a crash or a restart of the server finds the reader where the last receipt left them.
A step's key is made of session, reader, case and kind: whoever saves it twice gets the first receipt, and a page that
was left open cannot save into a later case. Only a case whose stored picture is damaged can be left out.
"""

import json
import sqlite3
from typing import Any

import numpy as np

from busi_model.reading.errors import PictureError, RecordError, StageError
from busi_model.reading.records import Checked, FinalRead, LeftOut, Model, OwnRead, Profile
from busi_model.reading.session.place import Place, Saved, Step, prefix, stage_of
from busi_model.reading.session.questionnaire import Questionnaire
from busi_model.reading.storage import clock
from busi_model.reading.storage.store import Receipt, Store

_OF_MODEL = ("weights_sha256", "weights_revision")  # columns of a record: which model was on the screen


def fold(pseudonym: str) -> str:
    """Two pseudonyms are one when they differ in case or blanks only."""
    return " ".join(str(pseudonym).split()).casefold()


class ReaderSession:
    """Made by `Sessions.enter`, for one request: it holds no state but the reader's id."""

    def __init__(self, store: Store, reader_id: int):
        self._store = store
        self._reader_id = reader_id

    def step(self) -> Step:
        """The step that comes next; reading it changes nothing."""
        with self._store.read() as connection:
            connection.execute("BEGIN")  # one state of the database for all that follows
            try:
                session, reader = self._rows(connection)
                return self._step(connection, session, reader, stage_of(connection, session, reader))
            finally:
                connection.execute("COMMIT")

    def saved(self, key: str) -> Saved | None:
        """What this reader has saved under a step's key, with the step as it was on the screen; None: nothing."""
        with self._store.read() as connection:
            session, reader = self._rows(connection)
            row = connection.execute(
                "SELECT * FROM record WHERE key = ? AND reader_id = ?", (key, self._reader_id)
            ).fetchone()
            if row is None:
                return None
            place = Place(row["kind"], 0, row["case_number"], key)
            step = self._step(connection, session, reader, place)
            receipt = self._store.receipt_of(connection, row, again=True)
        return Saved(step, json.loads(row["content"]), receipt)

    def owns(self, key: object) -> bool:
        """Whether a key is of one of this reader's steps."""
        with self._store.read() as connection:
            return isinstance(key, str) and key.startswith(prefix(*self._rows(connection)))

    def picture(self, step: Step) -> np.ndarray:
        """The step's picture, uint8 (H, W). Raises PictureError when it is missing or damaged."""
        if step.image_sha256 is None:
            raise PictureError("no_picture")
        return self._store.picture(step.image_sha256)

    def _step(self, connection: sqlite3.Connection, session: sqlite3.Row, reader: sqlite3.Row, place: Place) -> Step:
        case = connection.execute(
            "SELECT * FROM session_case WHERE session_id = ? AND number = ?", (session["id"], place.case_number)
        ).fetchone()
        own = self._saved(connection, place.case_number, "own")
        reveal = self._saved(connection, place.case_number, "reveal")
        order = json.loads(reader["case_order"])
        return Step(
            stage=place.stage,
            key=place.key,
            position=order.index(place.case_number) + 1 if case else None,
            n_cases=len(order),
            image_path=self._store.image_path(case["image_sha256"]) if case else None,
            image_sha256=case["image_sha256"] if case else None,
            width=case["width"] if case else None,
            height=case["height"] if case else None,
            read_first=bool(session["read_first"]),
            own=OwnRead(**json.loads(own["content"])) if own else None,
            model=_model(reveal) if reveal else None,
            pseudonym=reader["pseudonym"],
            session_name=session["name"],
        )

    def shown(self, step: Step) -> None:
        """The step is on the screen now: its clock starts (again)."""
        with self._store.write() as connection:
            self._rows(connection)  # a reader who was removed leaves no trace
            connection.execute("UPDATE reader SET last_seen = ? WHERE id = ?", (clock.now(), self._reader_id))
            if step.key:
                connection.execute(
                    "INSERT INTO shown (reader_id, step_key, last_at, times, clock, clock_s) VALUES (?, ?, ?, 1, ?, ?) "
                    "ON CONFLICT (reader_id, step_key) DO UPDATE SET last_at = excluded.last_at, times = times + 1, "
                    "clock = excluded.clock, clock_s = excluded.clock_s",
                    (self._reader_id, step.key, clock.now(), *clock.steady()),
                )

    def join(self, profile: Profile) -> None:
        """Bind the code to a pseudonym. Raises RecordError when it is taken, StageError when the code has another."""
        with self._store.write() as connection:
            session, reader = self._rows(connection)
            _refuse_closed(session)
            if reader["pseudonym"] is not None and reader["pseudonym_folded"] != fold(profile.pseudonym):
                raise StageError("other_pseudonym")
            taken = connection.execute(
                "SELECT 1 FROM reader WHERE session_id = ? AND pseudonym_folded = ? AND id != ?",
                (session["id"], fold(profile.pseudonym), self._reader_id),
            ).fetchone()
            if taken:
                raise RecordError("pseudonym_taken")
            if connection.execute("SELECT 1 FROM record WHERE reader_id = ?", (self._reader_id,)).fetchone():
                return  # the profile went out with them, and records do not change
            connection.execute(
                "UPDATE reader SET pseudonym = ?, pseudonym_folded = ?, role = ?, years = ?, last_seen = ? "
                "WHERE id = ?",
                (profile.pseudonym, fold(profile.pseudonym), profile.role, profile.years, clock.now(), self._reader_id),
            )

    def familiarised(self) -> None:
        """The reader has seen the example cases."""
        with self._store.write() as connection:
            session, reader = self._rows(connection)
            _refuse_closed(session)
            if reader["pseudonym"] is None:
                raise StageError("pseudonym_first")
            connection.execute(
                "UPDATE reader SET familiarised_at = coalesce(familiarised_at, ?) WHERE id = ?",
                (clock.now(), self._reader_id),
            )

    def save_own(self, key: str, own_read: OwnRead) -> Receipt:
        """Lock the reader's own opinion."""
        return self._save(key, "own", own_read, mask_png=own_read.mask_png())

    def reveal(self, key: str, model: Model) -> Model:
        """Keep what the model says before it is shown; the first one counts, whatever weights run later."""
        with self._store.write() as connection:
            known = connection.execute(
                "SELECT 1 FROM record WHERE key = ? AND reader_id = ? AND kind = 'reveal'", (key, self._reader_id)
            ).fetchone()
            if not known:
                columns = {name: getattr(model, name) for name in _OF_MODEL}
                self._insert(connection, key, "reveal", model, model_mask_png=model.mask_png, **columns)
            row = connection.execute("SELECT * FROM record WHERE key = ?", (key,)).fetchone()
        return _model(row)

    def save_final(self, key: str, final_read: FinalRead) -> Receipt:
        """Keep the reader's last word on a case."""
        return self._save(key, "final", final_read, mask_png=final_read.mask_png())

    def save_questionnaire(self, key: str, questionnaire: Questionnaire) -> Receipt:
        return self._save(key, "questionnaire", questionnaire)

    def leave_out(self, key: str) -> Receipt:
        """Go on without the step's case, whose picture is damaged. Raises StageError when it can be read."""
        step = self.step()
        if step.key != key or step.image_sha256 is None:
            raise StageError("not_next")
        try:
            self.picture(step)
        except PictureError:
            return self._save(key, "left_out", LeftOut())
        raise StageError("readable_again")

    def _save(self, key: str, kind: str, content: Checked, **columns: Any) -> Receipt:
        with self._store.write() as connection:
            return self._insert(connection, key, kind, content, **columns)

    def _insert(self, connection: sqlite3.Connection, key: str, kind: str, content: Checked, **columns: Any) -> Receipt:
        """Insert when it is this step's turn; a key saved before goes to `Store.insert`, which compares."""
        session, reader = self._rows(connection)
        place = stage_of(connection, session, reader)
        saved = connection.execute(
            "SELECT 1 FROM record WHERE key = ? AND kind = ? AND reader_id = ?", (key, kind, self._reader_id)
        ).fetchone()
        if not saved:
            _refuse_closed(session)
            if place.key != key or kind not in (place.stage, "left_out"):
                raise StageError("not_next")
            case = connection.execute(
                "SELECT * FROM session_case WHERE session_id = ? AND number = ?", (session["id"], place.case_number)
            ).fetchone()
            _refuse_other_size(content, case)
            shown = connection.execute(
                "SELECT * FROM shown WHERE reader_id = ? AND step_key = ?", (self._reader_id, key)
            ).fetchone()
            seconds, clock_step_s = (
                clock.since(shown["clock"], shown["clock_s"], shown["last_at"]) if shown else (None, None)
            )
            columns |= {
                "session_id": session["id"],
                "reader_id": self._reader_id,
                "case_number": place.case_number,
                "image_sha256": case["image_sha256"] if case else None,
                "seconds": seconds,
                "clock_step_s": clock_step_s,
                "times_shown": shown["times"] if shown else None,
            }
            if kind == "final" and (reveal := self._saved(connection, place.case_number, "reveal")):
                columns |= {name: reveal[name] for name in _OF_MODEL}
            connection.execute("UPDATE reader SET last_seen = ? WHERE id = ?", (clock.now(), self._reader_id))
        return self._store.insert(connection, key, kind, content, **columns)

    def _rows(self, connection: sqlite3.Connection) -> tuple[sqlite3.Row, sqlite3.Row]:
        reader = connection.execute(
            "SELECT * FROM reader WHERE id = ? AND removed_at IS NULL", (self._reader_id,)
        ).fetchone()
        if reader is None:
            raise StageError("reader_gone")
        session = connection.execute("SELECT * FROM session WHERE id = ?", (reader["session_id"],)).fetchone()
        return session, reader

    def _saved(self, connection: sqlite3.Connection, case_number: int | None, kind: str) -> sqlite3.Row | None:
        return connection.execute(
            "SELECT * FROM record WHERE reader_id = ? AND case_number = ? AND kind = ?",
            (self._reader_id, case_number, kind),
        ).fetchone()


def _model(row: sqlite3.Row) -> Model:
    return Model(**json.loads(row["content"]), mask_png=row["model_mask_png"])


def _refuse_closed(session: sqlite3.Row) -> None:
    if session["closed_at"]:
        raise StageError("closed_by_host")


def _refuse_other_size(content: Checked, case: sqlite3.Row | None) -> None:
    outline = getattr(content, "outline", None)
    if case and outline and (outline.width, outline.height) != (case["width"], case["height"]):
        size = {"case_width": case["width"], "case_height": case["height"]}
        raise RecordError("outline_of_other_size", width=outline.width, height=outline.height, **size)
