"""A backup of a store in use is whole, private and comes back; a damaged one changes nothing."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from busi_model import __main__ as command_line
from busi_model.reading.errors import StoreError
from busi_model.reading.session.sessions import Sessions
from busi_model.reading.storage import schema
from busi_model.reading.storage.backup import CONTENTS, backup, restore
from busi_model.reading.storage.pictures import image_sha256
from busi_model.reading.storage.store import DATABASE, Store, new_key
from tests.reading.test_store import WRITER, integrity
from tests.support.reading_help import feedback, final, joined, model, new_session, own, picture, read_all

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(store):
    """With a session that was read, and feedback whose picture is kept."""
    sessions, created = new_session(store, n_cases=2, truths=["malignant", None])
    read_all(joined(sessions, created.codes[0]), lambda step: (own(), model(), final(comment="seen")))
    kept = feedback("kept", keep_image=True, image_sha256=image_sha256(picture(5)))
    store.save_feedback(new_key(), kept, picture(5))
    return store


def test_the_command_puts_a_running_store_away_and_brings_it_back(store, tmp_path, capsys):
    file, other = tmp_path / "away.zip", tmp_path / "elsewhere" / "store"
    assert command_line.main(["backup", str(file), "--store", str(store.folder)]) == 0  # the store stays open
    assert "8 records, 1 sessions, 3 pictures" in capsys.readouterr().out
    assert file.stat().st_mode & 0o077 == 0
    before = store.records()
    sessions = Sessions(store)
    sessions.delete(sessions.list()[0].session_id)  # by mistake
    assert command_line.main(["restore", str(file), "--store", str(other)]) == 0
    back = Store(other)
    assert back.records() == before
    (info,) = Sessions(back).list()
    assert [reader.pseudonym for reader in info.readers] == ["Owl"]
    for number in (0, 1, 5):
        assert (back.picture(image_sha256(picture(number))) == picture(number)).all()
    assert integrity(other) == "ok"
    modes = {path.name: path.stat().st_mode & 0o077 for path in (other, *other.rglob("*"))}
    assert set(modes.values()) == {0}, modes
    back.close()
    assert list(tmp_path.glob(".busi-*")) == [] and list(other.parent.glob(".busi-*")) == []


@pytest.mark.slow
def test_a_backup_while_others_write_holds_every_record_up_to_one_moment(tmp_path):
    Store(tmp_path / "busy").close()
    command = [sys.executable, "-c", WRITER, str(tmp_path / "busy"), "7", "2000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        said = [writer.stdout.readline().strip() for _ in range(40)]
        backup(tmp_path / "busy", tmp_path / "busy.zip")
        writer.kill()
    restore(tmp_path / "busy.zip", tmp_path / "back")
    back = Store(tmp_path / "back")
    keys = [record.key for record in back.records()]
    assert set(said) <= set(keys) and keys == [f"round-7-number-{number}" for number in range(len(keys))]
    back.close()


def test_nothing_is_written_over(store, tmp_path):
    file = tmp_path / "away.zip"
    file.write_bytes(b"an older backup")
    with pytest.raises(StoreError, match="is there already"):
        backup(store.folder, file)
    assert file.read_bytes() == b"an older backup"
    backup(store.folder, tmp_path / "new.zip")
    with pytest.raises(StoreError, match="not empty"):
        restore(tmp_path / "new.zip", store.folder)
    with pytest.raises(StoreError, match="holds no records"):
        backup(tmp_path / "absent", tmp_path / "other.zip")


@pytest.mark.parametrize(
    "damage", ["cut", "a bit", "a picture is missing", "a name leads out", "no backup", "too large"]
)
def test_a_damaged_backup_is_told_and_changes_nothing(store, tmp_path, damage):
    whole, file = tmp_path / "whole.zip", tmp_path / "damaged.zip"
    backup(store.folder, whole)
    content = bytearray(whole.read_bytes())
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "a bit":
        content[len(content) // 3] ^= 1
        file.write_bytes(content)
    elif damage == "no backup":
        file.write_bytes(b"a letter")
    else:
        with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(file, "w") as changed:
            described = json.loads(archive.read(CONTENTS))
            names = [name for name in archive.namelist() if name != CONTENTS]
            for name in names[:-1] if damage == "a picture is missing" else names:
                changed.writestr(name, archive.read(name))
            if damage == "a name leads out":
                changed.writestr("../out.png", b"out")
                described["files"]["../out.png"] = {"bytes": 3, "sha256": "0" * 64}
            if damage == "too large":
                described["files"][names[-1]]["bytes"] -= 1
            changed.writestr(CONTENTS, json.dumps(described))
    with pytest.raises(StoreError, match="no whole backup"):
        restore(file, tmp_path / "back")
    assert not (tmp_path / "back").exists() and not (tmp_path / "out.png").exists()
    assert list(tmp_path.glob(".busi-*")) == []


def test_a_picture_that_is_lost_already_is_named_and_the_rest_is_kept(store, tmp_path, capsys):
    lost = image_sha256(picture(1))
    store.image_path(lost).write_bytes(b"no picture any more")
    file = tmp_path / "away.zip"
    assert command_line.main(["backup", str(file), "--store", str(store.folder)]) == 1
    assert lost in capsys.readouterr().err
    back = restore(file, tmp_path / "back")
    assert (back.n_records, back.n_pictures, back.damaged) == (8, 2, (lost,))


FULL = """
import resource, sys
from busi_model.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))  # no file may grow beyond: what a full disk looks like
sys.exit(main(["backup", sys.argv[2], "--store", sys.argv[1]]))
"""


@pytest.mark.slow
def test_a_full_disk_ends_the_backup_with_a_sentence_and_leaves_no_half_of_it(store, tmp_path):
    (tmp_path / "small").mkdir()
    command = [sys.executable, "-c", FULL, str(store.folder), str(tmp_path / "small" / "away.zip")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 1 and "Free some space" in done.stderr and "Traceback" not in done.stderr
    assert list((tmp_path / "small").iterdir()) == []


KILLED = """
import os, signal, sys
from busi_model.__main__ import main
from busi_model.reading.storage import backup

step, arguments = sys.argv[1], sys.argv[2:]
inner = getattr(backup, step) if step != "replace" else os.replace

def killed(*given):
    if step != "replace":
        inner(*given)
    os.kill(os.getpid(), signal.SIGKILL)

if step == "replace":
    backup.os.replace = killed
else:
    setattr(backup, step, killed)
main(arguments)
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["_snapshot", "_pack", "replace", "_unpack", "_look_through"])
def test_a_kill_at_any_step_leaves_nothing_that_the_next_one_does_not_remove(store, tmp_path, step):
    """What is left holds records: it must not lie there for ever."""
    (tmp_path / "away").mkdir()
    file, back = tmp_path / "away" / "away.zip", tmp_path / "away" / "back"
    restores = step in ("_unpack", "_look_through")
    if restores:
        backup(store.folder, file)
    arguments = ["restore", str(file), "--store", str(back)] if restores else ["backup", str(file), "--store"]
    arguments += [] if restores else [str(store.folder)]
    done = subprocess.run([sys.executable, "-c", KILLED, step, *arguments], cwd=ROOT, timeout=300)
    assert done.returncode == -signal.SIGKILL
    assert not back.exists() and file.exists() is restores and len(list(file.parent.glob(".busi-*"))) == 1
    if not restores:
        backup(store.folder, file)
    assert restore(file, back).n_records == 8
    assert sorted(path.name for path in file.parent.iterdir()) == ["away.zip", "back"]


def test_a_backup_of_a_newer_program_is_told(store, tmp_path, monkeypatch):
    newer = (*schema.MIGRATIONS, "ALTER TABLE record ADD COLUMN colour TEXT")
    monkeypatch.setattr("busi_model.reading.storage.database.MIGRATIONS", newer)
    backup(store.folder, tmp_path / "newer.zip")
    monkeypatch.undo()
    with pytest.raises(StoreError, match="newer program"):
        restore(tmp_path / "newer.zip", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_copy_of_the_database_file_alone_has_its_tables_from_the_start(tmp_path):
    running = Store(tmp_path / "fresh")
    (tmp_path / "copy.sqlite3").write_bytes((running.folder / DATABASE).read_bytes())
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as connection:
        assert connection.execute("SELECT count(*) FROM record").fetchone() == (0,)
    running.close()
