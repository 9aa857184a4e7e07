"""Helper processes: an answer is the function's own, and whatever a job does, the next one is answered."""

import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from gradio.utils import NamedString

from busi_model import image
from busi_model.clinic.view import encode_png
from busi_model.decode import helpers
from busi_model.decode.helpers import Helpers
from busi_model.frame import ImageError
from busi_model.phantom import draw_phantom
from busi_model.words import REFUSALS
from tests.support import helper_jobs
from tests.support.browser import PATIENCE_S, ROOT
from tests.support.processes import runs

NAMES = [name for name in vars(helper_jobs) if name.islower() and callable(getattr(helper_jobs, name))]
JOBS = dict.fromkeys(NAMES, "tests.support.helper_jobs")


@pytest.fixture(scope="module")
def pool():
    made = Helpers(n_fast=2, cpu_s=2, wall_s=60, slow_s=0.5, memory_bytes=2**28, jobs=JOBS)
    yield made
    made.close()
    assert made.process_ids() == []


def test_a_frame_comes_back_as_it_was(pool):
    frame, wanted = pool.run("answer", 100), helper_jobs.answer(100)
    assert (frame.gray == wanted.gray).all() and frame.gray.flags.writeable and frame.gray.flags.c_contiguous
    assert (frame.spacing_mm, frame.notices, frame.scan_regions) == (wanted.spacing_mm, wanted.notices, ())


def test_a_picture_is_read_as_without_helpers(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(draw_phantom("benign", 2, 90, 110)[0]))
    made = Helpers(n_fast=1)
    try:
        assert (made.run("read_image", str(path), None).gray == image.read_image(path).gray).all()
        assert made.run("count_frames", str(path)) == 1
        named = NamedString(path)  # what gr.File hands over: the helper knows no Gradio
        assert made.run("read_image", named, None).gray.shape == (90, 110)
        with pytest.raises(ImageError, match="cannot be opened") as caught:
            made.run("read_image", str(tmp_path / "none.png"), None)
        assert str(tmp_path) not in str(caught.value)
    finally:
        made.close()


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ("spin", REFUSALS["slow"]),
        ("hoard", "A helper failed: MemoryError"),  # `read_image` makes a sentence of it
        ("crash", REFUSALS["damaged"]),
        ("refuse", "This is no picture."),
        ("fail", "A helper failed: KeyError"),
    ],
)
def test_whatever_a_job_does_the_next_one_is_answered(pool, within_s, job, words):
    with within_s(PATIENCE_S):
        with pytest.raises((ImageError, RuntimeError)) as caught:
            pool.run(job)
        assert words in str(caught.value) and "Jane" not in str(caught.value)
        assert pool.run("answer", 64).gray.shape == (64, 64)


def test_a_job_that_waits_for_ever_is_ended(within_s):
    made = Helpers(n_fast=1, wall_s=2, slow_s=0.2, jobs=JOBS)
    try:
        with within_s(PATIENCE_S), pytest.raises(ImageError, match="too long"):
            made.run("sleep", 600)
    finally:
        made.close()


@pytest.mark.slow
def test_slow_jobs_leave_the_fast_lane(pool, within_s):
    """Eight jobs that never end, and small ones are answered meanwhile; the fifth slow one is refused at once."""
    with within_s(PATIENCE_S), ThreadPoolExecutor(8) as threads:
        slow = [threads.submit(pool.run, "spin") for _ in range(8)]
        answered = 0
        while not all(one.done() for one in slow):
            answered += pool.run("sleep", 0.01) == 0.01
        assert answered
        reasons = [str(one.exception()) for one in slow]
    assert set(reasons) <= {REFUSALS["slow"], REFUSALS["busy"]}, reasons
    assert REFUSALS["slow"] in reasons


def test_a_job_that_waits_for_its_processor_time_is_no_slow_one(within_s):
    """On a busy machine, as one that sleeps; the four places for slow ones are taken, so it would be refused."""
    made = Helpers(n_fast=1, cpu_s=60, slow_s=0.3, jobs=JOBS)
    with within_s(2 * PATIENCE_S), ThreadPoolExecutor(helpers.MAX_SLOW) as threads:
        try:
            slow = [threads.submit(made.run, "spin") for _ in range(helpers.MAX_SLOW)]
            while len(made.process_ids()) <= helpers.MAX_SLOW:  # until they have left the fast lane
                time.sleep(0.05)
            assert [made.run("sleep", 1.5) for _ in range(2)] == [1.5, 1.5]
            assert not any(one.done() for one in slow)
        finally:
            made.close()
    assert all(isinstance(one.exception(), ImageError) for one in slow)


def test_an_answer_can_run_nothing(pool):
    with pytest.raises(pickle.UnpicklingError, match="builtins.print"):
        pool.run("sneak")


def test_what_a_library_prints_is_no_answer(pool):
    assert pool.run("chat") == 1


def test_a_helper_writes_nothing_and_knows_no_secret(pool, tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "BUSI_AUTH", "BUSI_HOST_PASSWORD"):
        monkeypatch.setenv(name, "secret")
    made = Helpers(n_fast=1, jobs=JOBS)
    try:
        assert made.run("secrets") == []
        assert made.run("modules") == []
        with pytest.raises((ImageError, RuntimeError)):
            made.run("write", str(tmp_path / "file"))
    finally:
        made.close()
    assert not (tmp_path / "file").exists() or (tmp_path / "file").stat().st_size == 0


def test_a_helper_that_somebody_ended_is_replaced(pool):
    pool.run("sleep", 0)
    for process_id in pool.process_ids():
        os.kill(process_id, 9)
    time.sleep(0.2)
    assert pool.run("sleep", 0) == 0


def test_a_picture_that_is_no_dicom_costs_no_helper(tmp_path):
    """The page asks of each file what ties results to it; a helper that is lost makes the next picture wait."""
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(draw_phantom("benign", 2, 90, 110)[0]))
    made = Helpers(n_fast=1)
    try:
        made.run("read_image", str(path), None)
        before = made.process_ids()
        assert made.run("identity_or_none", str(path)) is None
        assert made.run("read_image", str(path), None).gray.shape == (90, 110)
        assert made.process_ids() == before and len(before) == 1
    finally:
        made.close()


def test_a_pool_that_was_closed_says_so():
    """Not as a failure of the program, with a traceback, for each reading that a stop interrupts."""
    pool = Helpers(n_fast=1)
    pool.close()
    with pytest.raises(ImageError, match="being stopped"):
        pool.run("read_image", "a.png", None)


@pytest.mark.slow
def test_helpers_end_with_the_program_that_was_killed(within_s):
    program = "import time; from busi_model.decode.helpers import Helpers; h = Helpers(n_fast=2); h.warm_up()\n"
    program += "while len(h.process_ids()) < 2: time.sleep(0.05)\n"
    program += "print(*h.process_ids(), flush=True); time.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    started = [int(number) for number in parent.stdout.readline().split()]
    assert len(started) == 2
    parent.kill()
    parent.communicate()
    with within_s(PATIENCE_S):
        while any(map(runs, started)):
            time.sleep(0.1)
