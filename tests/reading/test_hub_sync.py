"""Copying to the Hub, against a stand-in that refuses, stalls and breaks: every record arrives, once, in private."""

import base64
import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.utils import _http

from busi_model.reading.hub import queue as hub_queue
from busi_model.reading.hub import sync
from busi_model.reading.hub.sync import BATCH, LONGEST_WAIT_S, HubSync, storage_warning
from busi_model.reading.outline import encode_mask
from busi_model.reading.storage.pictures import image_sha256
from busi_model.reading.storage.schema import MIGRATIONS
from busi_model.reading.storage.store import DATABASE, Store, new_key
from tests.support.dataset_hub import HubStandIn, wait_until
from tests.support.reading_help import (
    SQUARE,
    feedback,
    final,
    joined,
    model,
    new_session,
    outline,
    own,
    picture,
    read_all,
)

ROOT = Path(__file__).parents[2]
PREUPLOAD = ["ok"] * 3  # create, ask whether it is private, preupload: the next request is the commit


@pytest.fixture
def hub(monkeypatch):
    class Impatient:  # huggingface_hub's own retries sleep for up to 23 s
        sleep = staticmethod(lambda seconds: None)

    monkeypatch.setattr(_http, "time", Impatient)
    stand_in = HubStandIn("hf_right")
    yield stand_in
    stand_in.close()
    huggingface_hub.set_client_factory(_http.default_client_factory)


def make(store, hub, token="hf_right", timeout_s=10.0, dataset="me/records"):
    return HubSync(store, dataset, token, hub.endpoint, timeout_s)


def save(store, n, **fields):
    return [store.save_feedback(new_key(), feedback(f"comment {number}", **fields)) for number in range(n)]


def comments(hub):
    return sorted(json.loads(content)["content"]["comment"] for content in hub.files.values())


def test_saved_and_synced_are_told_apart(store, hub):
    (receipt,) = save(store, 1)
    hub_sync = make(store, hub)
    assert not store.receipt(receipt.key).synced
    assert (hub_sync.state().waiting, hub_sync.state().synced) == (1, 0)
    hub_sync.push()
    assert store.receipt(receipt.key).synced
    assert (hub_sync.state().waiting, hub_sync.state().synced, hub_sync.state().problem) == (0, 1, "")


def test_the_repository_is_made_private_and_a_public_one_is_refused(store, hub):
    save(store, 1)
    make(store, hub).push()
    (created,) = hub.created
    assert (created["type"], created.get("visibility") == "private" or created.get("private")) == ("dataset", True)
    save(store, 1)
    hub.private = False  # somebody opened it later
    hub_sync = make(store, hub)
    hub_sync.push()
    assert "public" in hub_sync.state().problem and hub_sync.state().waiting == 1
    assert len(hub.files) == 1


def test_a_record_explains_itself_without_the_database(store, hub):
    sessions, created = new_session(store, n_cases=1, truths=["malignant"])
    drawn = outline(SQUARE)
    read_all(
        joined(sessions, created.codes[0]),
        lambda step: (own(), model(), final(outline_verdict="corrected", outline=drawn, comment="seen")),
    )
    make(store, hub).push()
    bodies = {json.loads(content)["kind"]: json.loads(content) for content in hub.files.values()}
    assert set(bodies) == {"own", "reveal", "final", "questionnaire"}
    body = bodies["final"]
    assert body["reader"] == {"number": 1, "pseudonym": "Owl", "role": "radiologist", "years": 7}
    assert (body["truth"], body["case_number"], body["session"]["name"]) == ("malignant", 1, "Morning")
    assert base64.b64decode(body["mask_png"]) == encode_mask(drawn.mask())
    assert body["content"]["comment"] == "seen" and "image_png" not in body
    assert all(
        path == f"records/{json.loads(c)['saved_at'][:10]}/{json.loads(c)['key']}.json" for path, c in hub.files.items()
    )


def test_the_picture_goes_along_only_with_consent(store, hub):
    save(store, 1)
    store.save_feedback(new_key(), feedback("with picture", keep_image=True), picture(0))
    make(store, hub).push()
    bodies = [json.loads(content) for content in hub.files.values()]
    with_picture = [body for body in bodies if "image_png" in body]
    assert [body["content"]["comment"] for body in with_picture] == ["with picture"]
    kept = store.image_path(image_sha256(picture(0))).read_bytes()
    assert base64.b64decode(with_picture[0]["image_png"]) == kept


@pytest.mark.parametrize("fault", [500, 503, "cut", (429, {"Retry-After": "7"}), 401, 403])
@pytest.mark.parametrize("requests_before", range(4))
def test_after_any_fault_anywhere_all_arrives_once(store, hub, fault, requests_before):
    save(store, 3)
    hub_sync = make(store, hub)
    hub.faults.extend(["ok"] * requests_before + [fault])
    waits = [hub_sync.push()]
    while hub_sync.state().waiting and len(waits) < 4:
        waits.append(hub_sync.push())
    assert comments(hub) == ["comment 0", "comment 1", "comment 2"]
    assert (hub_sync.state().waiting, hub_sync.state().problem) == (0, "")
    assert len(hub.commits) == 1


def test_retry_after_is_kept(store, hub):
    save(store, 1)
    hub_sync = make(store, hub)
    hub.faults.extend([*PREUPLOAD, (429, {"Retry-After": "77"})])
    assert hub_sync.push() == 77
    assert "asks to wait" in hub_sync.state().problem


def test_waits_double_up_to_ten_minutes(store, hub):
    save(store, 1)
    hub_sync = make(store, hub)
    hub.faults.extend([500] * 100)
    waits = [hub_sync.push() for _ in range(12)]
    for number, wait_s in enumerate(waits):
        wanted = min(LONGEST_WAIT_S, 2 * 2**number)
        assert 0.8 * wanted <= wait_s <= 1.2 * wanted


def test_a_refused_token_is_told_and_nothing_is_lost(store, hub):
    save(store, 2)
    hub_sync = make(store, hub, token="hf_wrong")
    assert hub_sync.push() == LONGEST_WAIT_S
    assert "HF_TOKEN" in hub_sync.state().problem and "hf_wrong" not in hub_sync.state().problem
    assert hub_sync.state().waiting == 2
    make(store, hub).push()  # restarted with the right one
    assert comments(hub) == ["comment 0", "comment 1"]


def test_silence_ends_after_the_time_limit(store, hub):
    save(store, 1)
    hub_sync = make(store, hub, timeout_s=0.3)
    hub.faults.extend([*PREUPLOAD, "hang"])
    hub_sync.push()
    assert "cannot be reached" in hub_sync.state().problem and hub_sync.state().waiting == 1
    hub_sync.push()
    assert hub_sync.state().waiting == 0


def test_a_commit_whose_answer_was_lost_is_not_made_twice(store, hub):
    save(store, 2)
    hub_sync = make(store, hub)
    hub.faults.extend([*PREUPLOAD, "done, then cut"])
    hub_sync.push()
    assert len(hub.files) == 2 and hub_sync.state().waiting == 2
    hub_sync.push()
    assert hub_sync.state().waiting == 0 and len(hub.commits) == 1


def test_one_bad_record_does_not_hold_up_the_others(store, hub):
    receipts = save(store, 9)
    bad = f"records/{receipts[4].saved_at[:10]}/{receipts[4].key}.json"
    hub.refused_paths.add(bad)
    hub_sync = make(store, hub)
    for _ in range(12):
        hub_sync.push()
    assert hub_sync.state().synced == 8 and hub_sync.state().waiting == 1
    assert "refused 1" in hub_sync.state().problem
    assert bad not in hub.files


def test_many_records_go_in_batches(store, hub):
    save(store, BATCH + 5)
    hub_sync = make(store, hub)
    assert hub_sync.push() < hub_sync.push()  # soon again while more waits
    assert [len(commit) for commit in hub.commits] == [BATCH, 5]


KILLED = """
import sys
from busi_model.reading.hub.sync import HubSync
from busi_model.reading.storage.store import DATABASE, Store
HubSync(Store(sys.argv[1]), "me/records", "hf_right", sys.argv[2]).push()
"""


@pytest.mark.slow
def test_a_killed_push_is_taken_up_at_the_next_start(store, hub):
    save(store, 3)
    hub.faults.extend([*PREUPLOAD, "hang"])
    command = [sys.executable, "-c", KILLED, str(store.folder), hub.endpoint]
    with subprocess.Popen(command, cwd=ROOT) as process:
        wait_until(lambda: len(hub.asked) == 4)
        process.kill()
    assert len(hub.asked) == 4 and hub.files == {}
    hub_sync = make(store, hub)
    hub_sync.start()
    wait_until(lambda: hub_sync.state().waiting == 0)
    hub_sync.stop()
    assert comments(hub) == ["comment 0", "comment 1", "comment 2"]


def test_the_thread_pushes_what_comes_later(store, hub, monkeypatch):
    monkeypatch.setattr(sync, "INTERVAL_S", 0.05)
    hub_sync = make(store, hub)
    hub_sync.start()
    save(store, 1)
    wait_until(lambda: hub_sync.state().waiting == 0)
    save(store, 1)
    wait_until(lambda: hub_sync.state().waiting == 0)
    hub_sync.stop()
    assert (hub_sync.state().waiting, hub_sync.state().synced) == (0, 2)


def test_removed_records_go_on_the_hub_too_history_included(store, hub):
    sessions, created = new_session(store, n_cases=1, n_readers=2)
    for code, name in zip(created.codes, ("Owl", "Fox"), strict=True):
        read_all(joined(sessions, code, name))
    hub_sync = make(store, hub)
    hub_sync.push()
    sessions.remove_reader(created.session_id, "Owl")
    hub.faults.extend(["ok"] * 2 + ["cut"])  # the removal is tried again as well
    hub_sync.push()
    assert len(hub.files) == 8
    hub_sync.push()
    assert {json.loads(content)["reader"]["pseudonym"] for content in hub.files.values()} == {"Fox"}
    assert len(hub.files) == 4 and hub.squashed == 1
    asked = len(hub.asked)
    hub_sync.push()
    assert len(hub.asked) == asked  # nothing waits: the hub is left alone


@pytest.mark.slow
def test_a_record_that_two_programs_push_and_remove_does_not_come_back(store, hub, monkeypatch):
    """One program is killed while its commit is under way; the other removes the record; the commit arrives after."""
    (receipt,) = save(store, 1)
    hub.faults.extend([*PREUPLOAD, "late"])
    command = [sys.executable, "-c", KILLED, str(store.folder), hub.endpoint]
    hub_sync = make(store, hub)
    with subprocess.Popen(command, cwd=ROOT) as other:
        wait_until(lambda: len(hub.asked) == 4)
        assert (gone := store.remove_feedback(receipt.receipt)).copies_left == 1 and gone.done_at is None
        hub_sync.push()
        assert len(hub.asked) == 4  # the other program is at it: this one leaves the hub alone
        other.kill()
    hub_sync.push()
    assert len(hub.asked) > 4 and hub.files == {}
    assert store.deletions("done_at IS NULL")[0].copies_left == 1  # not there, but it may still come
    hub.release.set()
    wait_until(lambda: hub.files)
    assert comments(hub) == ["comment 0"]
    monkeypatch.setattr(hub_queue, "SETTLED_S", -1.0)  # a quarter of an hour later
    hub_sync.push()
    assert hub.files == {} and hub.squashed == 2
    assert store.deletions("done_at IS NULL") == []
    asked = len(hub.asked)
    hub_sync.push()
    assert len(hub.asked) == asked


def test_what_another_dataset_has_counts_for_none(store, hub):
    """BUSI_SYNC_REPO names another dataset than in the run before, and then the first one again."""
    (receipt,) = save(store, 1)
    make(store, hub).push()
    assert store.receipt(receipt.key).synced
    later = make(store, hub, dataset="me/later")
    assert (later.state().waiting, later.state().synced) == (1, 0) and not store.receipt(receipt.key).synced
    later.push()
    assert (later.state().waiting, later.state().synced) == (0, 1) and store.receipt(receipt.key).synced
    assert hub.datasets["me/later"] == hub.files and len(hub.files) == 1
    n_commits = len(hub.commits)
    first = make(store, hub)
    assert (first.state().waiting, first.state().synced) == (0, 1)
    first.push()
    assert len(hub.commits) == n_commits


def test_a_removed_record_goes_in_every_dataset_that_may_have_it(store, hub, monkeypatch):
    monkeypatch.setattr(hub_queue, "SETTLED_S", -1.0)
    (receipt,) = save(store, 1)
    make(store, hub).push()
    later = make(store, hub, dataset="me/later")
    later.push()
    gone = store.remove_feedback(receipt.receipt)
    assert (gone.n_copies, gone.copies_left, gone.datasets) == (2, 2, ("me/later", "me/records"))
    later.push()
    assert hub.datasets == {"me/later": {}, "me/records": {}}
    assert store.deletions("done_at IS NULL") == []


def test_a_removal_waits_for_a_dataset_out_of_reach_and_holds_nothing_up(store, hub, monkeypatch):
    monkeypatch.setattr(hub_queue, "SETTLED_S", -1.0)
    (receipt,) = save(store, 1)
    make(store, hub).push()
    store.remove_feedback(receipt.receipt)
    there = hub.datasets.pop("me/records")  # as the hub answers a token that may not see it
    save(store, 1)
    later = make(store, hub, dataset="me/later")
    later.push()
    assert len(hub.datasets["me/later"]) == 1 and (later.state().waiting, later.state().problem) == (0, "")
    (still,) = store.deletions("done_at IS NULL")
    assert (still.copies_left, still.datasets) == (1, ("me/records",))
    asked = len(hub.asked)
    later.push()
    assert len(hub.asked) == asked  # not every half minute
    hub.datasets["me/records"] = there
    make(store, hub).push()  # started with its name again
    assert f"records/{receipt.saved_at[:10]}/{receipt.key}.json" not in there
    assert store.deletions("done_at IS NULL") == []


OLDER_ROWS = """
INSERT INTO record (key, kind, content, app_version, saved_at, push_started_at, synced_at)
    VALUES ('kept-before', 'feedback', '{}', '1', '2026-01-01T00:00:00.000Z', '2026-01-01', '2026-01-01');
INSERT INTO record (key, kind, content, app_version, saved_at)
    VALUES ('never-pushed', 'feedback', '{}', '1', '2026-01-01T00:00:00.000Z');
INSERT INTO deletion (what, began_at, n_records, n_pictures, n_copies, log_emptied_at)
    VALUES ('feedback', '', 1, 0, 1, '');
INSERT INTO removal VALUES ('gone-before', '2026-01-01T00:00:00.000Z', 1, '2026-01-01', NULL);
"""


def test_what_an_older_program_pushed_is_made_sure_of(tmp_path, hub):
    """It did not write down to which dataset: what it calls synced is sent once more, what was removed is sought."""
    (tmp_path / "older").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "older" / DATABASE)) as older:
        for number, script in enumerate((*MIGRATIONS[:2], OLDER_ROWS), start=1):
            older.executescript(f"{script}; PRAGMA user_version = {min(number, 2)}")
    hub.files["records/2026-01-01/gone-before.json"] = b"{}"
    store = Store(tmp_path / "older")
    hub_sync = make(store, hub)
    assert (hub_sync.state().waiting, hub_sync.state().synced) == (2, 0) and not store.receipt("kept-before").synced
    hub_sync.push()
    assert store.receipt("kept-before").synced and store.receipt("never-pushed").synced
    assert sorted(hub.files) == [f"records/2026-01-01/{key}.json" for key in ("kept-before", "never-pushed")]
    assert store.deletions("done_at IS NULL") == []
    store.close()


def test_what_never_left_needs_no_removal(store, hub):
    (receipt,) = save(store, 1)
    store.remove_feedback(receipt.receipt)
    make(store, hub).push()
    assert hub.asked == [] and hub.files == {}


def test_asking_how_things_stand_never_fails(store, hub):
    hub_sync = make(store, hub)
    store.close()
    (store.folder / DATABASE).write_bytes(b"not a database" * 500)
    assert "not known" in hub_sync.state().problem
    assert hub_sync.push() > 0 and hub.asked == []


def test_the_copying_comes_from_the_environment(store, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("BUSI_SYNC_REPO", "me/records")
    assert HubSync.from_environment(store) is None
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert HubSync.from_environment(store).state().waiting == 0


def test_only_a_forgetful_space_is_warned_of(monkeypatch, tmp_path):
    for name in ("SPACE_ID", "HF_TOKEN", "BUSI_SYNC_REPO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sync, "SPACE_DISK", tmp_path / "data")
    assert storage_warning(tmp_path / "store") is None  # a laptop
    monkeypatch.setenv("SPACE_ID", "me/busi")
    assert "lost when it restarts" in storage_warning(tmp_path / "store")
    (tmp_path / "data").mkdir()
    assert "lost" in storage_warning(tmp_path / "store")  # a disk that is not used
    assert storage_warning(tmp_path / "data" / "busi") is None
    monkeypatch.setenv("BUSI_SYNC_REPO", "me/records")
    assert "lost" in storage_warning(tmp_path / "store")  # a name without a token
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert storage_warning(tmp_path / "store") is None
