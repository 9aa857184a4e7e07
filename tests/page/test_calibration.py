"""The host fits an operating point to a session's cases of known class."""

import subprocess
import sys
import time
import zipfile
from dataclasses import replace

import gradio as gr
import pytest
from playwright.sync_api import expect

from busi_model.model.checkpoint import fingerprint
from busi_model.names import CLASS_NAMES, LEAST_TO_CALIBRATE
from busi_model.page import strings
from busi_model.page.host import calibration as module
from busi_model.page.host import panel as host
from busi_model.page.host.calibration import Calibration, fitted_html
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from busi_model.reading.errors import RecordError
from busi_model.reading.records import NewSession
from busi_model.reading.session.access import HostPassword
from busi_model.reading.session.sessions import NewCase, Sessions
from tests.conftest import ROOT
from tests.support.browser import PATIENCE_S
from tests.support.panel import PATIENCE_MS, new_tab, served_here
from tests.support.processes import children, runs

expect.set_options(timeout=PATIENCE_MS)
FIGURE = {"value": 0.5, "low": 0.25, "high": 1.0}
CONTENT = {  # of the file that `busi calibrate` writes, what is shown
    "operating_point": {"class_mix": [0.5, 0.5, 0.0]},
    "figures": {"sensitivity, balanced": {"before": FIGURE, "after": dict.fromkeys(FIGURE)}},
    "fitted_on_images": ["a", "b"],
    "kept": ["this <b>", "that"],
}


def picture(number):
    return draw_phantom(CLASS_NAMES[number % 3], number, 72, 96)[0]


def new_session(store, n_cases, n_unknown=0, name="Morning"):
    cases = [NewCase(picture(number), CLASS_NAMES[number % 3]) for number in range(n_cases)]
    cases += [NewCase(picture(100 + number)) for number in range(n_unknown)]
    return Sessions(store).create(NewSession.checked(name=name, images_may_be_kept=True), cases).session_id


@pytest.fixture(scope="module")
def calibration(untrained):
    return Calibration(Predictor.load(untrained, "cpu"), untrained)


@pytest.fixture
def panel(store, tmp_path, calibration):
    (tmp_path / "served").mkdir()
    with gr.Blocks(analytics_enabled=False):
        return host.HostPanel(store, Sessions(store), None, tmp_path / "served", None, calibration)


def prepared(panel):
    return list(panel.downloads.folder.rglob("*"))


def last(answers):
    *_, answer = answers
    return answer


def test_the_host_fits_an_operating_point_that_the_page_takes(chromium, store, tmp_path, monkeypatch, calibration):
    monkeypatch.setattr(module, "PRIORITY", 0)  # or other tests on the machine would starve it
    monkeypatch.setenv("BUSI_HOST_PASSWORD", "correct horse")
    new_session(store, 3, name="Earlier")
    new_session(store, 24, n_unknown=1, name="Our <i>clinic</i>")
    served = tmp_path / "served"
    served.mkdir()
    with gr.Blocks(analytics_enabled=False) as page:
        host.HostPanel(store, Sessions(store), HostPassword(), served, None, calibration).connect()
    with served_here(page, served) as url:
        tab = new_tab(chromium, url)
        tab.locator("#host-password input").fill("correct horse")
        tab.locator("#host-open").click()
        tab.locator("#host-calibrate").click()
        expect(tab.locator("#host-said")).to_contain_text(strings.CALIBRATING)
        tab.locator("#host-refresh").click()  # what else the host does is not held up
        expect(tab.locator("#host-said")).to_have_text("")
        expect(tab.locator("#host-said")).to_contain_text(strings.CALIBRATED, timeout=5 * PATIENCE_MS)
        expect(tab.locator("#host-said")).to_contain_text("1 left out: their class is not known.")
        figures = tab.locator("#host-figures")
        expect(figures.locator("caption")).to_have_text("Our <i>clinic</i>: operating point fitted on 24 cases")
        expect(figures.locator("tbody tr")).to_have_count(3)  # accuracy, ECE, class set: no threshold in these weights
        expect(figures).to_contain_text("(0 outlined lesions, 20 needed)")
        expect(figures).to_contain_text("33 % benign, 33 % malignant, 33 % normal")
        with tab.expect_download() as download:
            tab.locator("#host-files a").first.click()
        download.value.save_as(tmp_path / "ours.json")
        tab.context.close()
    point = Predictor.load(calibration.weights, "cpu", operating_point=tmp_path / "ours.json").operating_point
    assert point.fitted_on.startswith("24 images of your own (24 of reading-session)")
    assert point.temperature != calibration.predictor.operating_point.temperature
    assert list(served.rglob("*.png")) == []  # the pictures went once they were used


def test_only_the_host_may_and_too_few_cases_get_a_sentence(panel, store):
    few = new_session(store, LEAST_TO_CALIBRATE - 1, n_unknown=2)
    for answer in panel.calibrate(False, few):
        assert strings.HOST_LOGIN_FIRST in answer[panel.layout.said]
    for answer in panel.calibrate(True, None):
        assert strings.HOST_CHOOSE_FIRST in answer[panel.layout.said]
    answer = last(panel.calibrate(True, few))
    assert set(answer) == {panel.layout.said} and prepared(panel) == []
    assert "19 cases can be used to calibrate; at least 20 are needed" in answer[panel.layout.said]
    assert "2 left out: their class is not known." in answer[panel.layout.said]


def test_pictures_that_the_weights_learned_from_are_left_out_and_told(store, tmp_path, calibration):
    session_id = new_session(store, 22)
    seen = frozenset(fingerprint(picture(number)) for number in (0, 5, 9))
    predictor = Predictor(replace(calibration.predictor.checkpoint, seen=seen), "cpu")
    with gr.Blocks(analytics_enabled=False):
        panel = host.HostPanel(
            store, Sessions(store), None, tmp_path, None, Calibration(predictor, calibration.weights)
        )
    said = last(panel.calibrate(True, session_id))[panel.layout.said]
    assert "19 cases can be used to calibrate" in said and "3 left out: the weights were trained on them." in said


def test_where_training_is_not_installed_the_cases_leave_as_a_zip(panel, store, monkeypatch):
    session_id = new_session(store, 21)
    monkeypatch.setattr(Calibration, "is_installed", lambda self: False)
    answer = last(panel.calibrate(True, session_id))
    assert "pip install &#x27;.[train]&#x27;" in answer[panel.layout.said]
    (path,) = (path for path in prepared(panel) if path.is_file())
    assert path.name == "cases-of-known-class.zip" and panel.layout.files in answer
    names = [name for name in zipfile.ZipFile(path).namelist() if name.endswith(".png")]
    assert len(names) == 21 and "reading-session/malignant/case_002.png" in names
    panel.delete(True, session_id, "Morning", "yes")
    assert prepared(panel) == []


@pytest.mark.slow  # a shell stands in for the Python that would be started
def test_a_refusal_of_the_command_is_told_and_a_failure_is_not(tmp_path, calibration, monkeypatch):
    """What is no sentence of the command, or names a place on the server, goes to the log."""
    command = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(command))
    refusal = "18 labelled images found; at least 20 are needed."
    ended = "`busi calibrate` ended with 1: {}."
    for said, expected, told in (
        (f"checking 3/4\rcalibrate: {refusal}", RecordError, refusal),
        (f"calibrate: {tmp_path}/cases cannot be read.", RuntimeError, ended.format("calibrate")),
        ("Traceback:\n  line 1\nOSError: Jane Doe.png", RuntimeError, ended.format("OSError")),
        ("Killed by Jane Doe", RuntimeError, ended.format("no exception was printed")),
    ):
        command.write_text(f"#!/bin/sh\nprintf '%s\\n' '{said}' >&2\nexit 1\n")
        command.chmod(0o700)
        with pytest.raises(expected) as caught:
            calibration.fit(tmp_path / "cases", tmp_path / "point.json")
        assert str(caught.value) == told


@pytest.mark.slow
def test_a_calibration_ends_with_the_page_that_was_killed(phantom_folder, untrained, tmp_path, within_s):
    cases, file = phantom_folder("of-known-class", 8, seed=3, height=72, width=96), tmp_path / "point.json"
    program = "import sys; from pathlib import Path; from busi_model.predict import Predictor\n"
    program += "from busi_model.page.host.calibration import Calibration\n"
    program += "weights, cases, file = sys.argv[1:]\n"
    program += "Calibration(Predictor.load(weights, 'cpu'), weights).fit(Path(cases), Path(file))"
    page = subprocess.Popen([sys.executable, "-c", program, untrained, cases, file], cwd=ROOT)
    with within_s(PATIENCE_S):
        while not (started := children(page.pid)):
            time.sleep(0.02)
    page.kill()
    page.wait()
    with within_s(PATIENCE_S):
        while any(map(runs, started)):
            time.sleep(0.1)
    assert not file.exists()


def test_a_session_deleted_meanwhile_gives_nothing(panel, store, monkeypatch):
    session_id = new_session(store, 20)

    def fit(self, folder, file):
        assert len(list(folder.rglob("*.png"))) == 20
        panel.delete(True, session_id, "Morning", "yes")
        file.parent.mkdir()
        file.write_text("{}")
        return CONTENT

    monkeypatch.setattr(Calibration, "fit", fit)
    answer = last(panel.calibrate(True, session_id))
    assert set(answer) == {panel.layout.said} and strings.HOST_CHOOSE_FIRST in answer[panel.layout.said]
    assert prepared(panel) == []


def test_undefined_figures_are_dashes():
    shown = fitted_html(CONTENT, "Morning")
    assert "<td>0.500 (0.250 to 1.000)</td><td>–</td>" in shown
    assert "this &lt;b&gt;; that." in shown and "50 % benign, 50 % malignant, 0 % normal" in shown
