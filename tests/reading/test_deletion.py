"""A deletion is a record: it is worked off and retried, over kills and refusals, until nothing is left anywhere."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from busi_model.reading.errors import RecordError
from busi_model.reading.session.sessions import Sessions
from busi_model.reading.storage.deletion import Upkeep
from busi_model.reading.storage.pictures import image_sha256
from busi_model.reading.storage.store import DATABASE, Store, new_key
from tests.support.dataset_hub import wait_until
from tests.support.reading_help import feedback, final, joined, model, new_session, own, picture, read_all

ROOT = Path(__file__).parents[2]
SECRET = "words that only the reader knew"


def read_with_a_comment(store, **fields):
    sessions, created = new_session(store, **fields)
    reader = joined(sessions, created.codes[0])
    read_all(reader, lambda step: (own(), model(), final(comment=SECRET)))
    return sessions, created


def files_that_say_it(store):
    return [path.name for path in store.folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_a_deletion_goes_through_at_once_when_nothing_stands_in_its_way(store):
    sessions, created = read_with_a_comment(store, n_cases=2)
    assert files_that_say_it(store)
    gone = sessions.delete(created.session_id)
    assert (gone.what, gone.n_records, gone.n_pictures, gone.pictures_left, gone.copies_left) == ("session", 7, 2, 0, 0)
    assert gone.log_emptied and gone.done_at is not None
    assert files_that_say_it(store) == [] and list(store.images.iterdir()) == []


KILLED = """
import os, signal, sys
from busi_model.reading.storage import store as module
from busi_model.reading.session.sessions import Sessions

store = module.Store(sys.argv[1])
store.finish = lambda number: os.kill(os.getpid(), signal.SIGKILL)  # just after the commit
Sessions(store).delete(sys.argv[2])
"""


@pytest.mark.slow
def test_a_kill_between_commit_and_pictures_is_made_good_by_any_program_on_the_store(store):
    sessions, created = read_with_a_comment(store, n_cases=2)
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.folder), created.session_id], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert sessions.list() == [] and len(list(store.images.iterdir())) == 2
    (open_one,) = store.deletions("done_at IS NULL")
    assert (open_one.pictures_left, open_one.log_emptied) == (2, False)
    Upkeep(store).tend(quiet_s=3600)  # this program was running all the while
    assert files_that_say_it(store) == [] and list(store.images.iterdir()) == []
    assert store.deletions("done_at IS NULL") == []


def test_an_open_read_elsewhere_is_said_and_the_log_is_emptied_when_it_ends(store):
    sessions, created = read_with_a_comment(store, n_cases=1)
    with contextlib.closing(sqlite3.connect(store.folder / DATABASE, isolation_level=None)) as elsewhere:
        elsewhere.execute("BEGIN")
        elsewhere.execute("SELECT count(*) FROM record").fetchone()
        gone = sessions.remove_reader(created.session_id, "Owl")
        assert (gone.n_records, gone.log_emptied, gone.done_at) == (4, False, None)
        assert files_that_say_it(store)  # the reader elsewhere still sees the state before
    Upkeep(store).tend(quiet_s=3600)
    (gone,) = store.deletions()
    assert gone.log_emptied and gone.done_at is not None
    assert files_that_say_it(store) == []


UNWILLING = """
import os, sys
from busi_model.reading.session.sessions import Sessions
from busi_model.reading.storage.store import Store

store = Store(sys.argv[1])
os.setuid(65534)  # root may delete anywhere
gone = Sessions(store).delete(sys.argv[2])
print(gone.n_pictures, gone.pictures_left, gone.done_at)
"""


@pytest.mark.slow
@pytest.mark.parametrize("root", [os.getuid() == 0])
def test_pictures_that_cannot_be_deleted_are_counted_and_tried_again(store, root):
    sessions, created = read_with_a_comment(store, n_cases=2)
    store.close()
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    for path in (store.folder.parent, store.folder):
        path.chmod(0o777)
    for path in store.folder.glob(f"{DATABASE}*"):
        path.chmod(0o666)
    store.images.chmod(0o555)
    script = UNWILLING if root else UNWILLING.replace("os.setuid(65534)", "")
    done = subprocess.run(
        [sys.executable, "-c", script, str(store.folder), created.session_id],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert done.stdout.split() == ["2", "2", "None"], done.stderr
    store.images.chmod(0o755)
    again = Store(store.folder)  # a restart
    assert list(again.images.iterdir()) == [] and Sessions(again).list() == []
    assert again.deletions("done_at IS NULL") == []
    again.close()


def test_a_picture_that_another_session_shows_stays(store):
    sessions, first = new_session(store, n_cases=2)
    _, second = new_session(store, n_cases=1, sessions=sessions)  # picture 0 again
    assert sessions.delete(first.session_id).done_at is not None
    assert [path.stem for path in store.images.iterdir()] == [image_sha256(picture(0))]
    sessions.delete(second.session_id)
    assert list(store.images.iterdir()) == []


def test_feedback_goes_with_its_picture_and_a_wrong_receipt_is_told(store):
    receipt = store.save_feedback(new_key(), feedback(SECRET, keep_image=True), picture(0))
    with pytest.raises(RecordError, match="No feedback has this receipt"):
        store.remove_feedback("AAAA-AAAA")
    gone = store.remove_feedback(receipt.receipt)
    assert (gone.n_records, gone.n_pictures, gone.pictures_left) == (1, 1, 0)
    assert list(store.images.iterdir()) == [] and files_that_say_it(store) == []


def test_the_upkeep_empties_a_quiet_log_and_at_the_end(store):
    store.save_feedback(new_key(), feedback(SECRET))
    log = store.folder / f"{DATABASE}-wal"
    assert log.stat().st_size > 0
    upkeep = Upkeep(store, interval_s=0.05, quiet_s=0.2)
    upkeep.start()
    wait_until(lambda: log.stat().st_size == 0)
    assert log.stat().st_size == 0
    upkeep = Upkeep(store, interval_s=3600)
    upkeep.start()
    store.save_feedback(new_key(), feedback(SECRET))
    upkeep.stop()
    copy = store.folder.parent / "copy.sqlite3"
    copy.write_bytes((store.folder / DATABASE).read_bytes())  # what a copying tool without SQLite takes
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        comments = [json.loads(row[0])["comment"] for row in connection.execute("SELECT content FROM record")]
    assert comments == [SECRET] * 2
