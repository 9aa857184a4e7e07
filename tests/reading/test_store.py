"""The store loses nothing: kills, full disks, forbidden disks, crowds, double clicks, hostile input."""

import contextlib
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busi_model.reading.errors import ConflictError, PictureError, RecordError, StoreError
from busi_model.reading.session.sessions import Sessions
from busi_model.reading.storage import schema
from busi_model.reading.storage.pictures import image_sha256
from busi_model.reading.storage.store import DATABASE, Store, default_folder, new_key, receipt_id
from tests.support.reading_help import feedback, final, joined, model, new_session, outline, own, picture, read_all

ROOT = Path(__file__).parents[2]


def integrity(folder):
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]


# What is kept


def test_everything_about_a_judgement_is_kept(store):
    drawn = outline([(10.25, 10.0), (40.0, 12.5), (30.0, 30.0)])
    given = feedback(
        "Schöne Grüße, 所見 🩺", verdict="disagree", own_class="malignant", outline_verdict="corrected", outline=drawn
    )
    receipt = store.save_feedback("a-key-of-1", given)
    (record,) = store.records()
    assert record.content["comment"] == "Schöne Grüße, 所見 🩺"
    assert record.content["outline"]["polygons"] == [[[10.25, 10.0], [40.0, 12.5], [30.0, 30.0]]]
    assert record.mask_png == given.mask_png() and record.model_mask_png == given.model.mask_png
    assert (record.weights_sha256, record.weights_revision, record.app_version) == ("ab" * 32, "r1", "1.2")
    assert record.image_sha256 == image_sha256(picture(0))
    assert record.receipt == receipt.receipt == receipt_id("a-key-of-1")
    assert store.receipt("a-key-of-1") == receipt and store.receipt("another-key") is None


def test_the_picture_is_kept_only_with_consent(store):
    store.save_feedback(new_key(), feedback(), picture(0))
    assert list(store.images.iterdir()) == []
    receipt = store.save_feedback(new_key(), feedback(keep_image=True), picture(0))
    assert [path.stem for path in store.images.iterdir()] == [image_sha256(picture(0))]
    with pytest.raises(RecordError, match="not the one that was judged"):
        store.save_feedback(new_key(), feedback(keep_image=True), picture(1))
    assert store.remove_feedback(receipt.receipt.lower()).n_records == 1
    assert list(store.images.iterdir()) == [] and len(store.records()) == 1


def test_a_double_click_makes_one_record(store):
    key = new_key()
    first = store.save_feedback(key, feedback("one"))
    again = store.save_feedback(key, feedback("one"))
    assert (again.receipt, again.saved_at, again.again, first.again) == (first.receipt, first.saved_at, True, False)
    with pytest.raises(ConflictError, match=first.receipt):
        store.save_feedback(key, feedback("two"))
    assert [record.content["comment"] for record in store.records()] == ["one"]


@pytest.mark.parametrize(
    "words", ["<script>alert(1)</script>", "=CMD()", "'; DROP TABLE record; --", "\x00\x1b[31m", "‮abc", "x" * 2000]
)
def test_hostile_words_are_kept_as_text(store, words):
    store.save_feedback(new_key(), feedback(words))
    assert store.records()[0].content["comment"] == words


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=50))
def test_any_text_comes_back(tmp_path_factory, words):
    store = Store(tmp_path_factory.mktemp("text"))
    store.save_feedback(new_key(), feedback(words))
    assert store.records()[0].content["comment"] == words
    store.close()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"comment": "x" * 2**20}, "comment: at most 2000 characters"),
        ({"comment": "\ud800"}, "comment"),
        ({"verdict": "maybe"}, "verdict"),
        ({"own_class": "<b>"}, "own_class"),
        ({"image_sha256": "../../etc/passwd"}, "image_sha256"),
        ({"admin": True}, "admin"),
        ({"outline_verdict": "corrected"}, "none was drawn"),
        ({"outline_verdict": "corrected", "outline": outline()}, "confirm"),
        ({"outline_verdict": "good", "outline": outline([(1, 1), (9, 1), (9, 9)])}, "another one was drawn"),
        (
            {"outline_verdict": "corrected", "outline": outline([(1, 1), (9, 9), (9, 1), (1, 9)])},
            "crosses itself",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_words(fields, words):
    with pytest.raises(RecordError, match=words) as refusal:
        feedback(**fields)
    assert "xxxx" not in str(refusal.value) and "<b>" not in str(refusal.value)  # what was typed is not repeated


def test_an_outline_with_nan_is_refused():
    with pytest.raises(RecordError, match="finite"):
        outline([(float("nan"), 1.0), (9.0, 1.0), (9.0, 9.0)])


@pytest.mark.parametrize("key", ["", "short", "../../../etc/passwd", "a" * 81, "with space", "ключ-ключ", None])
def test_a_key_that_is_no_file_name_is_refused(store, key):
    with pytest.raises(RecordError, match="no valid key"):
        store.save_feedback(key, feedback())
    assert store.records() == []


# Where it lies


def test_the_folder_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("BUSI_STORE", str(tmp_path / "here"))
    assert default_folder() == tmp_path / "here"
    monkeypatch.delenv("BUSI_STORE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_folder() == tmp_path / "data" / "busi"
    monkeypatch.setattr("busi_model.reading.storage.store.SPACE_DISK", tmp_path)
    monkeypatch.setenv("SPACE_ID", "me/busi")
    assert default_folder() == tmp_path / "busi"


def test_an_older_database_is_brought_up_to_date(monkeypatch, store):
    store.save_feedback(new_key(), feedback("from before"))
    store.close()
    monkeypatch.setattr(
        "busi_model.reading.storage.database.MIGRATIONS",
        (*schema.MIGRATIONS, "ALTER TABLE record ADD COLUMN colour TEXT"),
    )
    newer = Store(store.folder)
    with newer.read() as connection:
        row = connection.execute("SELECT colour, content FROM record").fetchone()
    assert row["colour"] is None and "from before" in row["content"]
    newer.close()
    monkeypatch.undo()
    with pytest.raises(StoreError, match="newer program"):
        Store(store.folder)


def test_records_from_before_there_were_descriptors_are_known_again(monkeypatch, tmp_path):
    """A store of the second form: the same answer gets its first receipt again, and the session goes on."""
    with monkeypatch.context() as older:
        older.setattr("busi_model.reading.storage.database.MIGRATIONS", schema.MIGRATIONS[:2])
        store = Store(tmp_path / "store")
        sessions, created = new_session(store, n_cases=1)
        reader = joined(sessions, created.codes[0])
        key = reader.step().key
        receipt = reader.save_own(key, own())
        store.close()
    store = Store(tmp_path / "store")
    reader = Sessions(store).enter(created.codes[0])
    again = reader.save_own(key, own())
    assert again.again and again.receipt == receipt.receipt
    saved = reader.saved(key)
    assert saved.is_same(own()) and "descriptors" not in saved.content
    assert not saved.is_same(own(descriptors={"shape": "irregular"}))
    read_all(reader, lambda step: (own(), model(), final(descriptors={"shape": "irregular"})))
    assert [record.kind for record in store.records()] == ["own", "reveal", "final", "questionnaire"]
    store.close()


@pytest.mark.slow
def test_a_program_that_was_started_before_a_newer_one_came_stops_with_a_sentence(monkeypatch, store):
    store.save_feedback(new_key(), feedback("from before"))
    command = [sys.executable, "-c", OLDER_BESIDE, str(store.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as older:
        assert older.stdout.readline() == "1 record\n"
        newer = (*schema.MIGRATIONS, "ALTER TABLE record ADD COLUMN colour TEXT")
        monkeypatch.setattr("busi_model.reading.storage.database.MIGRATIONS", newer)
        Store(store.folder).close()
        said, _ = older.communicate("go on\n", timeout=60)
    assert said.count("stop it and start the newer one") == 2, said  # a save and a read
    assert [record.content["comment"] for record in store.records()] == ["from before"]


OLDER_BESIDE = """
import sys
from busi_model.reading.errors import StoreError
from busi_model.reading.storage.store import Store
from tests.support.reading_help import feedback

store = Store(sys.argv[1])
print(len(store.records()), "record", flush=True)
sys.stdin.readline()
for action in (lambda: store.save_feedback("older-program", feedback("lost?")), store.records):
    try:
        action()
    except StoreError as error:
        print(error, flush=True)
"""


def others_may(folder):
    """What lies in a folder and is open to others, the folder included."""
    return sorted(path.name for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077)


def test_a_store_is_private_whoever_made_its_folder(tmp_path):
    before = os.umask(0)  # the least careful of machines
    try:
        open_to_all = tmp_path / "open"
        open_to_all.mkdir(mode=0o777)
        first = Store(open_to_all)
        first.save_feedback(new_key(), feedback(keep_image=True), picture(0))
        assert others_may(open_to_all) == []
        first.close()
        for path in (open_to_all, *open_to_all.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)  # as an older program left it
        Store(open_to_all).close()
        assert others_may(open_to_all) == []
        shared = tmp_path / "shared"
        shared.mkdir(mode=0o777)
        (shared / "notes of somebody else.txt").write_text("mine")
        store = Store(shared)
        store.save_feedback(new_key(), feedback(keep_image=True), picture(0))
        assert others_may(shared) == ["notes of somebody else.txt", "shared"]  # these are not ours to close
        store.close()
    finally:
        os.umask(before)


def test_a_failed_migration_leaves_the_old_form(monkeypatch, store):
    store.save_feedback(new_key(), feedback("from before"))
    store.close()
    broken = (*schema.MIGRATIONS, "ALTER TABLE record ADD COLUMN colour TEXT; ALTER TABLE nonsense DROP COLUMN x")
    monkeypatch.setattr("busi_model.reading.storage.database.MIGRATIONS", broken)
    with pytest.raises(StoreError):
        Store(store.folder)
    monkeypatch.undo()
    assert [record.content["comment"] for record in Store(store.folder).records()] == ["from before"]


def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path):
    (tmp_path / DATABASE).write_bytes(b"a letter, not a database" * 100)
    with pytest.raises(StoreError, match="no database") as refusal:
        Store(tmp_path)
    assert str(tmp_path) not in str(refusal.value)
    assert (tmp_path / DATABASE).read_bytes() == b"a letter, not a database" * 100


def test_leftovers_of_a_crash_go_after_a_day(store):
    store.save_feedback(new_key(), feedback(keep_image=True), picture(0))
    for number in (1, 2):
        store.keep_image(picture(number))
    part = store.images / "half.part"
    part.write_bytes(b"half a picture")
    yesterday = time.time() - 90_000
    for path in (store.image_path(image_sha256(picture(0))), store.image_path(image_sha256(picture(1))), part):
        os.utime(path, (yesterday, yesterday))
    Store(store.folder).close()
    left = {path.stem for path in store.images.iterdir()}
    assert left == {image_sha256(picture(0)), image_sha256(picture(2))}  # referred to; younger than a day


# Crowds and kills


def test_two_hundred_at_once_are_all_kept_once(store):
    keys, failures = [new_key() for _ in range(200)], []
    start = threading.Barrier(200)

    def save(number):
        try:
            start.wait()
            store.save_feedback(keys[number], feedback(f"comment {number}"))
            store.save_feedback(keys[number], feedback(f"comment {number}"))  # the double click
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(record.content["comment"] for record in store.records()) == sorted(
        f"comment {number}" for number in range(200)
    )


WRITER = """
import sys
from busi_model.reading.storage.store import Store
from tests.support.reading_help import feedback

store = Store(sys.argv[1])
given = feedback("x" * 500)
for number in range(int(sys.argv[3])):
    key = f"round-{sys.argv[2]}-number-{number}"
    store.save_feedback(key, given)
    print(key, flush=True)  # the acknowledgement
"""


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_by_kills(tmp_path):
    rng = random.Random(7)
    acknowledged = []
    for number in range(5):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(number), "1000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
            said = [writer.stdout.readline() for _ in range(rng.randrange(1, 1000))]
            time.sleep(rng.uniform(0, 0.01))  # somewhere within a save, not always after one
            writer.send_signal(signal.SIGKILL)
            said += writer.stdout.readlines()
        assert writer.returncode == -signal.SIGKILL
        acknowledged += [line.strip() for line in said if line.endswith("\n")]
        assert integrity(tmp_path) == "ok"
    assert len(acknowledged) >= 5
    kept = [record.key for record in Store(tmp_path).records()]
    assert set(acknowledged) <= set(kept) and len(kept) == len(set(kept))
    assert len(kept) <= len(acknowledged) + 5  # in each round one may have been written and not yet said


@pytest.mark.slow
def test_several_processes_share_a_store(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [
        subprocess.Popen([*command, str(number), "40"], stdout=subprocess.DEVNULL, cwd=ROOT) for number in range(4)
    ]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert len({record.key for record in Store(tmp_path).records()}) == 160


LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def locked_by_another_program(folder):
    command = [sys.executable, "-c", LOCKER, str(folder / DATABASE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as locker:
        assert locker.stdout.readline() == "locked\n"
        yield
        locker.kill()


@pytest.mark.slow
def test_everybody_waits_side_by_side_for_a_locked_database(store, monkeypatch):
    """Twelve at once are refused within one waiting time, not one after the other; then all is saved."""
    monkeypatch.setattr("busi_model.reading.storage.database.BUSY_TIMEOUT_S", 1.5)
    keys, refusals = [new_key() for _ in range(12)], []

    def save(number):
        try:
            store.save_feedback(keys[number], feedback(f"comment {number}"))
        except StoreError as error:
            refusals.append((time.monotonic() - begun, str(error)))

    with locked_by_another_program(store.folder):
        begun = time.monotonic()
        threads = [threading.Thread(target=save, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        while store.locked_s() == 0:
            time.sleep(0.01)
        for thread in threads:
            thread.join()
    assert len(refusals) == 12 and all("keeps the records locked" in words for _, words in refusals)
    assert max(waited_s for waited_s, _ in refusals) < 8 * 1.5  # in turn it would be twelve times that
    assert store.records() == [] and store.locked_s() == 0
    for number in range(12):
        save(number)
    assert len(store.records()) == 12 and len(refusals) == 12


# Disks


UNCONFIRMED = """
import os, signal, sys
from busi_model.reading.errors import StoreError
from busi_model.reading.storage.store import Store
from tests.support.reading_help import feedback
from tests.support.syscall_faults import break_fsync

store = Store(sys.argv[1])
store.save_feedback("confirmed-key", feedback("first"))
break_fsync()
try:
    store.save_feedback("unconfirmed-key", feedback("second"))
except StoreError as error:
    print(error, flush=True)
print([record.key for record in store.records()], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_disk_that_does_not_confirm_is_never_called_not_saved(tmp_path):
    """The kernel answers EIO to fsync; a kill then brings the pages back, as SQLite's recovery takes what it finds."""
    done = subprocess.run([sys.executable, "-c", UNCONFIRMED, str(tmp_path)], capture_output=True, text=True, cwd=ROOT)
    words, seen = done.stdout.splitlines()
    assert "may be saved or not" in words and "Not saved" not in words and seen == "['confirmed-key']"
    store = Store(tmp_path)
    assert [record.key for record in store.records()] == ["confirmed-key", "unconfirmed-key"]
    assert store.save_feedback("unconfirmed-key", feedback("second")).again is True
    with pytest.raises(ConflictError, match=receipt_id("unconfirmed-key")):
        store.save_feedback("unconfirmed-key", feedback("second, corrected"))
    store.close()


FULL = """
import resource, sys
from busi_model.reading.errors import StoreError
from busi_model.reading.storage.store import Store
from tests.support.reading_help import feedback

store = Store(sys.argv[1])
size = 600_000
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # no file may grow beyond: what a full disk looks like
saved = 0
try:
    for number in range(10_000):
        store.save_feedback(f"full-disk-{number}", feedback("x" * 2000))
        saved += 1
except StoreError as error:
    print(saved, error)
"""


@pytest.mark.slow
def test_a_full_disk_is_told_and_what_was_kept_stays(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, cwd=ROOT)
    saved, words = done.stdout.split(" ", 1)
    assert "full" in words and str(tmp_path) not in words
    assert integrity(tmp_path) == "ok"
    store = Store(tmp_path)
    assert len(store.records()) == int(saved) > 0
    store.save_feedback("full-disk-again", feedback("there is room again"))


READ_ONLY = """
import os, sys
from busi_model.reading.errors import StoreError
from busi_model.reading.storage.store import Store
from tests.support.reading_help import feedback
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
try:
    store = Store(sys.argv[1])
    print(len(store.records()))
    store.save_feedback("read-only-key", feedback("typed with care"))
except StoreError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_folder_without_the_right_to_write_is_told(tmp_path):
    tmp_path.chmod(0o755)
    store = Store(tmp_path / "store")
    store.save_feedback(new_key(), feedback("from before"))
    store.close()
    for path in store.folder.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    store.folder.chmod(0o555)
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(store.folder)], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert "Not saved." in done.stdout and str(tmp_path) not in done.stdout, done.stderr
    store.folder.chmod(0o755)
    for path in store.folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert [record.content["comment"] for record in Store(store.folder).records()] == ["from before"]


@pytest.mark.slow
def test_a_picture_whose_record_the_disk_refuses_goes_again(tmp_path):
    script = FULL_AFTER_THE_PICTURE
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, cwd=ROOT)
    assert "full" in done.stdout and "1 picture" in done.stdout, done
    store = Store(tmp_path)
    assert len(store.records()) == 1 and len(list(store.images.iterdir())) == 1
    store.close()


FULL_AFTER_THE_PICTURE = """
import resource, sys
from busi_model.reading.errors import StoreError
from busi_model.reading.storage.pictures import image_sha256
from busi_model.reading.storage.store import DATABASE, Store
from tests.support.reading_help import feedback, picture

store = Store(sys.argv[1])
store.save_feedback("with-room", feedback(keep_image=True), picture(0))
size = (store.folder / f"{DATABASE}-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, -1))  # the picture still fits
try:
    another = feedback(keep_image=True, image_sha256=image_sha256(picture(1)))
    store.save_feedback("without-room", another, picture(1))
except StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
store.drop_images([image_sha256(picture(1))])
print(len(list(store.images.iterdir())), "picture")
"""


def test_a_damaged_picture_is_told_and_kept_anew(store):
    name = store.keep_image(picture(0))
    whole = store.image_path(name).read_bytes()
    for content in (b"", whole[:300], whole[:-20] + bytes(20), b"no picture"):
        store.image_path(name).write_bytes(content)
        with pytest.raises(PictureError, match="damaged"):
            store.picture(name)
    store.image_path(name).write_bytes(store.image_path(store.keep_image(picture(1))).read_bytes())
    with pytest.raises(PictureError, match="not the one that was kept"):
        store.picture(name)
    store.image_path(name).unlink()
    with pytest.raises(PictureError, match="missing"):
        store.picture(name)
    store.image_path(name).write_bytes(whole[:300])
    store.keep_image(picture(0))  # the host gives it once more
    assert (store.picture(name) == picture(0)).all()


def test_a_picture_that_the_disk_refuses_is_told(store, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        store.save_feedback(new_key(), feedback(keep_image=True), picture(0))
    assert store.records() == [] and list(store.images.iterdir()) == []


def test_how_long_a_save_takes(store, capsys):
    times_s = []
    for number in range(60):
        start = time.perf_counter()
        store.save_feedback(new_key(), feedback(f"{number}" * 20))
        times_s.append(time.perf_counter() - start)
    with capsys.disabled():
        print(f"\nsave: median {1000 * statistics.median(times_s):.1f} ms, longest {1000 * max(times_s):.1f} ms")
    assert len(store.records()) == 60


def test_images_are_known_by_their_pixels():
    assert image_sha256(picture(0)) == image_sha256(np.asfortranarray(picture(0)))
    assert image_sha256(picture(0)) != image_sha256(picture(0).reshape(35, 160))
    with pytest.raises(RecordError, match="uint8"):
        image_sha256(picture(0).astype(float))
