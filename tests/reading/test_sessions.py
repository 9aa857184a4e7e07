"""Reading sessions: read first, locked, revealed, final; resumed anywhere; nobody saves into another's case."""

import contextlib
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busi_model.reading.errors import CodeError, ConflictError, PictureError, RecordError, StageError, TooManyAttempts
from busi_model.reading.records import NewSession, Profile
from busi_model.reading.session.access import Attempts, HostPassword, make_code, take_apart
from busi_model.reading.session.questionnaire import SUS_ITEMS, Questionnaire, sus_score
from busi_model.reading.session.sessions import Sessions
from busi_model.reading.storage.clock import steady
from busi_model.reading.storage.pictures import image_sha256
from busi_model.reading.storage.store import DATABASE, Store
from tests.support.reading_help import final, joined, model, new_session, outline, own, picture, read_all, save_step

ROOT = Path(__file__).parents[2]


def profile(pseudonym="Owl", **fields):
    return Profile.checked(**{"pseudonym": pseudonym, "role": "radiologist", "years": 7} | fields)


# The way through


def test_each_case_goes_own_read_reveal_final(store):
    sessions, created = new_session(store, n_cases=3)
    reader = sessions.enter(created.codes[0])
    assert reader.step().stage == "profile"
    reader.join(profile())
    assert reader.step().stage == "familiarise"
    reader.familiarised()
    for position in (1, 2, 3):
        step = reader.step()
        assert (step.stage, step.position, step.n_cases, step.model) == ("own", position, 3, None)
        reader.save_own(step.key, own("malignant", 70, birads="4B"))
        step = reader.step()
        assert (step.stage, step.own.class_name, step.own.birads, step.model) == ("reveal", "malignant", "4B", None)
        reader.reveal(step.key, model())
        step = reader.step()
        assert (step.stage, step.model) == ("final", model())
        reader.save_final(step.key, final())
    step = reader.step()
    assert (step.stage, step.position) == ("questionnaire", None)
    reader.save_questionnaire(step.key, Questionnaire.checked(answers=[3] * 10))
    assert reader.step().stage == "done"
    kinds = [record.kind for record in store.records()]
    assert kinds == ["own", "reveal", "final"] * 3 + ["questionnaire"]


def test_without_read_first_the_model_comes_at_once(store):
    sessions, created = new_session(store, n_cases=2, read_first=False)
    reader = joined(sessions, created.codes[0])
    assert reader.step().stage == "reveal"
    read_all(reader)
    assert [record.kind for record in store.records()] == ["reveal", "final"] * 2 + ["questionnaire"]


def test_the_picture_of_a_step_is_the_one_that_was_given(store):
    sessions, created = new_session(store, n_cases=6, n_readers=2)
    orders = []
    for code, name in zip(created.codes, ("Owl", "Fox"), strict=True):
        reader, order = joined(sessions, code, name), []

        def note(step, order=order):
            if step.stage == "own":
                order.append(step.image_sha256)
                assert step.image_path.stem == step.image_sha256 and (step.width, step.height) == (80, 70)
            return own(), model(), final()

        read_all(reader, note)
        orders.append(order)
        finals = [r for r in store.records("kind = 'final'") if f"-r{len(orders):03d}-" in r.key]
        assert [record.image_sha256 for record in finals] == order
    given = {image_sha256(picture(number)) for number in range(6)}
    assert set(orders[0]) == set(orders[1]) == given
    assert orders[0] != orders[1]  # each reader has an order of their own


def test_the_order_follows_from_the_seed(store, tmp_path):
    def order(folder, seed):
        sessions, created = new_session(Store(folder), n_cases=8, seed=seed)
        shown = []
        read_all(
            joined(sessions, created.codes[0]), lambda s: shown.append(s.image_sha256) or (own(), model(), final())
        )
        return shown[::3]

    assert order(tmp_path / "a", 5) == order(tmp_path / "b", 5) != order(tmp_path / "c", 6)


def test_the_final_record_says_which_model_was_seen(store):
    sessions, created = new_session(store, n_cases=1)
    reader = joined(sessions, created.codes[0])
    reader.save_own(reader.step().key, own())
    first = reader.reveal(reader.step().key, model("malignant", weights="cd" * 32))
    step = reader.step()
    with pytest.raises(StageError):
        reader.reveal(step.key, model("benign"))  # a stage later
    again = reader.reveal(step.key.replace("final", "reveal"), model("benign", weights="ef" * 32))
    assert again == first == reader.step().model  # new weights do not change what was seen
    reader.save_final(step.key, final())
    assert store.records("kind = 'final'")[0].weights_sha256 == "cd" * 32


def test_times_run_from_the_last_appearance_on_the_screen(store, monkeypatch):
    clock = iter(range(60))
    monkeypatch.setattr("busi_model.reading.storage.clock.steady", lambda: ("this machine", float(next(clock))))
    sessions, created = new_session(store, n_cases=1)
    reader = joined(sessions, created.codes[0])
    step = reader.step()
    reader.shown(step)
    reader.shown(step)  # a reload
    reader.save_own(step.key, own())
    (record,) = store.records()
    assert record.times_shown == 2 and record.seconds == 1


def test_a_clock_that_is_set_changes_no_time_and_is_marked(store, monkeypatch):
    """Five hours forward, ten minutes back: the reader needed four seconds all the same."""
    steady, wall = [100.0], ["2026-11-25T10:00:00.000Z"]
    monkeypatch.setattr("busi_model.reading.storage.clock.steady", lambda: ("this machine", steady[0]))
    monkeypatch.setattr("busi_model.reading.storage.clock.now", lambda: wall[0])
    sessions, created = new_session(store, n_cases=4)
    reader = joined(sessions, created.codes[0])
    for number, (later, name) in enumerate(
        [
            ("2026-11-25T10:00:04.100Z", "this machine"),
            ("2026-11-25T15:00:04.000Z", "this machine"),
            ("2026-11-25T09:50:04.000Z", "this machine"),
            ("2026-11-25T10:00:04.000Z", "started anew"),
        ]
    ):
        wall[0] = "2026-11-25T10:00:00.000Z"
        monkeypatch.setattr("busi_model.reading.storage.clock.steady", lambda: ("this machine", steady[0]))
        reader.shown(reader.step())
        steady[0] += 4
        wall[0] = later
        monkeypatch.setattr("busi_model.reading.storage.clock.steady", lambda name=name: (name, steady[0]))
        for _ in range(3):
            save_step(reader, reader.step(), own(), model(), final())
        assert len(store.records()) == 3 * (number + 1)
    timed = [(r.seconds, r.clock_step_s) for r in store.records("kind = 'own'")]
    assert timed == [(4.0, None), (4.0, 18_000.0), (4.0, -600.0), (None, None)]


@pytest.mark.slow
def test_the_steady_clock_has_one_name_in_all_programs_of_a_machine():
    script = "from busi_model.reading.storage.clock import steady; print(*steady())"
    name, before = steady()
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT).stdout.split()
    assert other[0] == name and before <= float(other[1]) <= steady()[1]


def test_a_case_whose_picture_is_damaged_can_be_left_out_and_no_other(store):
    sessions, created = new_session(store, n_cases=2)
    reader = joined(sessions, created.codes[0])
    step = reader.step()
    with pytest.raises(StageError, match="can be read"):
        reader.leave_out(step.key)
    step.image_path.write_bytes(b"damaged")
    with pytest.raises(PictureError, match="damaged"):
        reader.picture(step)
    with pytest.raises(StageError, match="not your next step"):
        reader.leave_out(step.key.replace("own", "final"))
    receipt = reader.leave_out(step.key)
    following = reader.step()
    assert (following.stage, following.position) == ("own", 2) and following.image_sha256 != step.image_sha256
    with pytest.raises(StageError, match="not your next step"):
        reader.leave_out(step.key)
    saved = reader.saved(step.key)
    assert (saved.receipt.receipt, saved.content) == (receipt.receipt, {"reason": "picture_damaged"})
    read_all(reader)
    assert [r.kind for r in store.records()] == ["left_out", "own", "reveal", "final", "questionnaire"]
    (reader,) = sessions.list()[0].readers
    assert (reader.done, reader.stage) == (2, "done")


# Resuming, repeating, interfering


def test_every_step_is_resumed_after_a_restart_with_nothing_asked_again(tmp_path):
    sessions, created = new_session(Store(tmp_path), n_cases=2)
    code, saved = created.codes[0], []
    for _ in range(20):
        store = Store(tmp_path)  # another process, another browser: only the code is known
        reader = Sessions(store).enter(code)
        step = reader.step()
        if step.stage == "done":
            break
        if step.stage == "profile":
            reader.join(profile())
        elif step.stage == "familiarise":
            reader.familiarised()
        else:
            save_step(reader, step, own(), model(), final())
            saved.append(step.key)
        store.close()
    assert len(saved) == len(set(saved)) == 7
    assert [record.key for record in Store(tmp_path).records()] == saved


def test_a_double_click_saves_once_and_a_second_tab_cannot_overwrite(store):
    sessions, created = new_session(store)
    reader = joined(sessions, created.codes[0])
    step = reader.step()
    first = reader.save_own(step.key, own("benign"))
    again = sessions.enter(created.codes[0]).save_own(step.key, own("benign"))
    assert (again.receipt, again.again) == (first.receipt, True)
    with pytest.raises(ConflictError):
        reader.save_own(step.key, own("malignant"))  # locked
    assert reader.step().own.class_name == "benign"


def test_a_page_left_open_cannot_save_into_a_later_case(store):
    sessions, created = new_session(store)
    reader = joined(sessions, created.codes[0])
    old = reader.step()
    for _ in range(3):
        save_step(reader, reader.step(), own(), model(), final())
    with pytest.raises(ConflictError):
        reader.save_own(old.key, own("malignant"))
    assert len(store.records()) == 3


def test_steps_cannot_be_skipped(store):
    sessions, created = new_session(store)
    reader = joined(sessions, created.codes[0])
    key = reader.step().key
    for attempt in (
        lambda: reader.save_final(key, final()),
        lambda: reader.save_final(key.replace("own", "final"), final()),
        lambda: reader.reveal(key.replace("own", "reveal"), model()),
        lambda: reader.save_own(key.replace("-c", "-c9"), own()),
        lambda: reader.save_questionnaire(key, Questionnaire.checked(answers=[1] * 10)),
    ):
        with pytest.raises(StageError, match="not your next step"):
            attempt()
    assert store.records() == []


def test_another_readers_step_is_refused(store):
    sessions, created = new_session(store, n_readers=2)
    owl, fox = joined(sessions, created.codes[0], "Owl"), joined(sessions, created.codes[1], "Fox")
    key = owl.step().key
    with pytest.raises(StageError):
        fox.save_own(key, own())
    owl.save_own(key, own())
    with pytest.raises(StageError):
        fox.save_own(key, own())  # the same content does not help
    assert len(store.records()) == 1


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["own", "reveal", "final"]), st.integers(0, 9)), max_size=60)
)
def test_whatever_is_clicked_each_step_is_kept_once_and_in_order(tmp_path_factory, clicks):
    """Two readers, clicks on any step with the key of any page they ever saw, their own or the other's."""
    store = Store(tmp_path_factory.mktemp("clicks"))
    sessions, created = new_session(store, n_cases=2, n_readers=2)
    readers = [joined(sessions, code, name) for code, name in zip(created.codes, ("Owl", "Fox"), strict=True)]
    keys = [reader.step().key for reader in readers]
    for number, kind, page in clicks:
        key = keys[-1 - page % len(keys)]
        with suppress(StageError, ConflictError):
            if kind == "own":
                readers[number].save_own(key, own(("benign", "malignant")[number]))
            elif kind == "reveal":
                readers[number].reveal(key, model())
            else:
                readers[number].save_final(key, final(("benign", "malignant")[number]))
        keys.append(readers[number].step().key or keys[-1])
    for reader in (1, 2):
        records = store.records("reader_id = ?", (reader,))
        cases = list(dict.fromkeys(record.case_number for record in records))
        wanted = [(case, kind) for case in cases for kind in ("own", "reveal", "final")]
        assert [(r.case_number, r.kind) for r in records] == wanted[: len(records)]
        said = {r.content["class_name"] for r in records if r.kind != "reveal"}
        assert said <= {("benign", "malignant")[reader - 1]}
    store.close()


def test_an_outline_of_another_size_is_refused(store):
    sessions, created = new_session(store)
    reader = joined(sessions, created.codes[0])
    wide = outline([(1.0, 1.0), (9.0, 1.0), (9.0, 9.0)]).model_copy(update={"width": 800})
    with pytest.raises(RecordError, match="800x70"):
        reader.save_own(reader.step().key, own(outline=wide))
    assert store.records() == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"years": -1}, "years of experience: at least 0 is expected"),
        ({"years": 81}, "years of experience: at most 80 is expected"),
        ({"years": "many"}, "years of experience: a number is expected"),
        ({"years": float("nan")}, "years of experience: a finite number is expected"),
        ({"role": "boss"}, "role: one of 'radiologist'"),
        ({"pseudonym": "x"}, "pseudonym: at least 2 characters are needed"),
        ({"pseudonym": "jane@example.org"}, "pseudonym: letters, digits, spaces"),
    ],
)
def test_a_wrong_profile_is_refused_in_words(fields, words):
    with pytest.raises(RecordError) as refusal:
        profile(**fields)
    assert str(refusal.value).startswith(f"Not saved. {words}")
    assert "Input" not in str(refusal.value) and "boss" not in str(refusal.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"n_readers": 1.5}, "number of readers: a whole number is expected"),
        ({"n_readers": 0}, "number of readers: at least 1 is expected"),
        ({"n_readers": None}, "number of readers: a whole number is expected"),
        ({"seed": -1}, "seed of the order: at least 0 is expected"),
        ({"name": ""}, "name of the session: nothing was given"),
        ({"images_may_be_kept": False}, "images: tick that they may be kept"),
    ],
)
def test_a_wrong_session_is_refused_in_words(fields, words):
    with pytest.raises(RecordError, match=words):
        NewSession.checked(**{"name": "Morning", "images_may_be_kept": True} | fields)


# Codes


def test_codes_are_kept_hashed(store):
    _, created = new_session(store)
    store.close()
    with closing(sqlite3.connect(store.folder / DATABASE)) as connection:
        dump = "\n".join(connection.iterdump())
    _, secret = take_apart(created.codes[0])
    assert secret not in dump and created.codes[0] not in dump


def test_a_code_is_read_as_people_type_it(store):
    sessions, created = new_session(store)
    sessions.enter("  " + created.codes[0].lower().replace("-", " ") + " ")


@pytest.mark.parametrize("code", ["", "AAAAA-AAAAA", "AAAAA-AAAAA-AAAAA", "' OR 1=1 --", "x" * 10**6, None, "ÄÖÜ" * 5])
def test_a_forged_code_opens_nothing(store, code):
    sessions, _ = new_session(store)
    with pytest.raises(CodeError):
        sessions.enter(code)


def test_a_secret_with_another_readers_locator_opens_nothing(store):
    sessions, created = new_session(store, n_readers=2)
    first, second = created.codes
    with pytest.raises(CodeError):
        sessions.enter(first[:5] + second[5:])


def test_a_code_belongs_to_the_pseudonym_that_used_it_first(store):
    sessions, created = new_session(store, n_readers=2)
    joined(sessions, created.codes[0], "Owl  1")
    with pytest.raises(StageError, match="chosen first"):
        sessions.enter(created.codes[0]).join(profile("Fox"))
    with pytest.raises(RecordError, match="Another reader"):
        sessions.enter(created.codes[1]).join(profile("OWL 1"))


def test_guessing_is_slowed_down():
    time_s = [0.0]
    attempts = Attempts(limit=3, window_s=60, clock=lambda: time_s[0])
    for _ in range(3):
        attempts.check("client a")
        attempts.wrong("client a")
    with pytest.raises(TooManyAttempts) as refusal:
        attempts.check("client a")
    assert refusal.value.retry_after_s == 1  # and longer with each further one
    attempts.check("client b")
    time_s[0] = 1.0
    attempts.check("client a")


def test_after_too_many_guesses_the_right_code_must_wait_too(store):
    sessions, created = new_session(store)
    sessions = Sessions(store, Attempts(limit=4, clock=lambda: 0.0))
    for _ in range(4):
        with pytest.raises(CodeError, match="opens no session"):
            sessions.enter(created.codes[0][:-5] + make_code().text[-5:], client="1.2.3.4")
    with pytest.raises(TooManyAttempts, match="Wait"):
        sessions.enter(created.codes[0], client="1.2.3.4")


def test_a_reader_is_not_locked_out_by_others_at_the_same_address(store):
    _, created = new_session(store, n_readers=2)
    sessions = Sessions(store, Attempts(limit=3, clock=lambda: 0.0))
    sessions.enter(created.codes[0], client="proxy")
    for _ in range(3):
        with pytest.raises(CodeError):
            sessions.enter(make_code().text, client="proxy")
    with pytest.raises(TooManyAttempts):
        sessions.enter(created.codes[1], client="proxy")
    sessions.enter(created.codes[0], client="proxy")  # was here before
    sessions.enter(created.codes[1], client="elsewhere")


def test_a_reader_who_has_joined_does_not_wait_when_the_program_starts_anew(store):
    sessions, created = new_session(store)
    sessions.enter(created.codes[0]).join(profile("Owl"))
    sessions = Sessions(store, Attempts(limit=3, clock=lambda: 0.0))
    for _ in range(3):
        with pytest.raises(CodeError):
            sessions.enter(make_code().text, client="proxy")
    with pytest.raises(TooManyAttempts):
        sessions.enter(make_code().text, client="proxy")
    assert sessions.enter(created.codes[0], client="proxy").step().pseudonym == "Owl"


def test_nobodys_guesses_at_a_readers_code_stop_the_reader(store):
    _, created = new_session(store, n_readers=1)
    sessions = Sessions(store, Attempts(limit=3, clock=lambda: 0.0))
    sessions.enter(created.codes[0], client="reader")
    for number in range(200):  # whoever has seen the first five letters
        with pytest.raises(CodeError):
            sessions.enter(created.codes[0][:-5] + make_code().text[-5:], client=f"address {number % 50}")
    sessions.enter(created.codes[0], client="reader")
    sessions.enter(created.codes[0], client="address 1")  # also from where others guess


def test_waits_grow_to_half_a_minute_and_hasty_guesses_add_nothing():
    time_s = [0.0]
    attempts = Attempts(limit=2, clock=lambda: time_s[0])
    waits = []
    for _ in range(9):
        attempts.wrong("name")
        for _ in range(100):
            with contextlib.suppress(TooManyAttempts):
                attempts.check("name")
        try:
            attempts.check("name")
            waits.append(0.0)
        except TooManyAttempts as wait:
            waits.append(wait.retry_after_s)
            assert f"Wait {wait.retry_after_s:.0f} s" in str(wait)
        time_s[0] += waits[-1]
        attempts.check("name", "another")
    assert waits == [0, 1, 2, 4, 8, 16, 30, 30, 30]
    time_s[0] += 900
    attempts.wrong("name")
    attempts.check("name")


def test_a_browser_that_was_the_hosts_is_not_shut_out_by_others(monkeypatch):
    monkeypatch.setenv("BUSI_HOST_PASSWORD", "Mamma, 3 Töne")
    host_password = HostPassword(Attempts(limit=2, clock=lambda: 0.0))
    host_password.check("Mamma, 3 Töne", "proxy", "the host's browser")
    for number in range(20):
        with pytest.raises(CodeError):
            host_password.check("mamma", "proxy", f"browser {number}")
    with pytest.raises(TooManyAttempts):
        host_password.check("Mamma, 3 Töne", "proxy", "a new browser")
    host_password.check("Mamma, 3 Töne", "proxy", "the host's browser")


def test_the_hosts_view_needs_a_password(monkeypatch):
    monkeypatch.delenv("BUSI_HOST_PASSWORD", raising=False)
    assert not HostPassword().exists
    with pytest.raises(CodeError):
        HostPassword().check("")
    monkeypatch.setenv("BUSI_HOST_PASSWORD", "Mamma, 3 Töne")
    host_password = HostPassword(Attempts(limit=2, clock=lambda: 0.0))
    host_password.check("Mamma, 3 Töne")
    for _ in range(2):
        with pytest.raises(CodeError, match="wrong"):
            host_password.check("mamma")
    with pytest.raises(TooManyAttempts):
        host_password.check("Mamma, 3 Töne")


# The host


def test_the_host_sees_who_is_where(store):
    sessions, created = new_session(store, n_cases=4, n_readers=2)
    reader = joined(sessions, created.codes[1])
    for _ in range(4):
        save_step(reader, reader.step(), own(), model(), final())
    (info,) = sessions.list()
    assert (info.name, info.n_cases, info.closed, info.read_first) == ("Morning", 4, False, True)
    first, second = info.readers
    assert (first.pseudonym, first.done, first.stage) == (None, 0, "profile")
    assert (second.pseudonym, second.role, second.years) == ("Owl", "radiologist", 7)
    assert (second.done, second.stage) == (1, "reveal")


def test_a_closed_session_takes_nothing_more_and_keeps_what_it_has(store):
    sessions, created = new_session(store)
    reader = joined(sessions, created.codes[0])
    step = reader.step()
    receipt = reader.save_own(step.key, own())
    sessions.close(created.session_id)
    assert reader.step().stage == "closed"
    with pytest.raises(StageError, match="closed"):
        reader.reveal(step.key.replace("own", "reveal"), model())
    with pytest.raises(StageError):
        sessions.add_reader(created.session_id)
    assert reader.save_own(step.key, own()).receipt == receipt.receipt  # the answer that got lost on its way
    assert len(store.records()) == 1


def test_a_reader_can_be_removed_and_the_others_stay(store):
    sessions, created = new_session(store, n_cases=2, n_readers=2)
    for code, name in zip(created.codes, ("Owl", "Fox"), strict=True):
        read_all(joined(sessions, code, name))
    owl = sessions.enter(created.codes[0])
    left_open = owl.step()
    assert sessions.remove_reader(created.session_id, " owl ").n_records == 7
    assert {record.reader_id for record in store.records()} == {2} and len(store.records()) == 7
    with pytest.raises(CodeError):
        sessions.enter(created.codes[0])
    assert [reader.pseudonym for reader in sessions.list()[0].readers] == ["Fox"]
    with pytest.raises(StageError, match="deleted"):
        owl.shown(left_open)
    with pytest.raises(RecordError, match="Nobody"):
        sessions.remove_reader(created.session_id, "Owl")
    reader = joined(sessions, sessions.add_reader(created.session_id), "Owl")  # the name is free, the number is not
    assert "-r003-" in reader.step().key
    store.close()
    with closing(sqlite3.connect(store.folder / DATABASE)) as connection:
        assert connection.execute("SELECT pseudonym FROM reader WHERE number = 1").fetchone() == (None,)


def test_what_a_removed_reader_wrote_is_in_no_file_any_more(store):
    sessions, created = new_session(store, n_readers=2)
    for code, name in zip(created.codes, ("Owl-of-Athens", "Fox"), strict=True):
        reader = joined(sessions, code, name)
        read_all(reader, lambda step, name=name: (own(), model(), final(comment=f"words of {name}")))

    def holders(words):
        return [path.name for path in store.folder.iterdir() if path.is_file() and words in path.read_bytes()]

    assert holders(b"words of Owl") and holders(b"words of Fox")
    sessions.remove_reader(created.session_id, "Owl-of-Athens")
    assert holders(b"words of Owl") == holders(b"Owl-of-Athens") == []
    assert holders(b"words of Fox")
    sessions.delete(created.session_id)
    assert holders(b"words of Fox") == holders(b"Morning") == []


def test_a_deleted_session_leaves_nothing_but_shared_pictures(store):
    sessions, first = new_session(store, n_cases=3)
    _, second = new_session(store, n_cases=2, sessions=sessions)  # pictures 0 and 1 again
    read_all(joined(sessions, first.codes[0]))
    reader = sessions.enter(first.codes[0])
    sessions.delete(first.session_id)
    assert store.records() == []
    assert {path.stem for path in store.images.iterdir()} == {image_sha256(picture(number)) for number in (0, 1)}
    assert [info.session_id for info in sessions.list()] == [second.session_id]
    with pytest.raises(StageError, match="deleted"):
        reader.step()
    with pytest.raises(CodeError):
        sessions.enter(first.codes[0])
    with pytest.raises(RecordError, match="no such session"):
        sessions.delete(first.session_id)


def test_a_lost_code_is_replaced(store):
    sessions, created = new_session(store)
    joined(sessions, created.codes[0])
    code = sessions.renew_code(created.session_id, 1)
    with pytest.raises(CodeError):
        sessions.enter(created.codes[0])
    assert sessions.enter(code).step().pseudonym == "Owl"


def test_a_session_is_made_whole_or_not_at_all(store):
    sessions = Sessions(store)
    with pytest.raises(RecordError, match="truth"):
        new_session(store, truths=["benign", "cyst"], sessions=sessions)
    with pytest.raises(RecordError, match="at least one image"):
        new_session(store, n_cases=0, sessions=sessions)
    assert sessions.list() == [] and list(store.images.iterdir()) == []


@pytest.mark.parametrize("pseudonym", ["a", "x" * 33, "me@clinic.org", "<b>Owl</b>", "  ", "=Owl", None])
def test_a_pseudonym_is_a_plain_word(pseudonym):
    with pytest.raises(RecordError, match="pseudonym"):
        profile(pseudonym)
    assert profile("Ärztin 3").pseudonym == "Ärztin 3"


def test_sus_is_scored_as_published():
    assert len(SUS_ITEMS) == 10
    assert sus_score([5, 1] * 5) == 100  # full agreement with the five good, none with the five bad
    assert sus_score([1, 5] * 5) == 0
    assert sus_score([3] * 10) == 50
    # by hand: 4 + 1 + 1 + 4 + 1 + 2 + 1 + 1 + 4 + 1 = 20, times 2.5
    assert sus_score([5, 4, 2, 1, 2, 3, 2, 4, 5, 4]) == 50
    with pytest.raises(RecordError):
        sus_score([3] * 9)
