"""How the tests start the app and use it as a browser's user does."""

import base64
import functools
import http.client
import io
import os
import re
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from busi_model.clinic.report import Finding, percent, report
from busi_model.clinic.view import encode_png, outlines_xy
from busi_model.page import strings
from busi_model.phantom import draw_phantom

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120  # for a machine that trains beside the tests; nothing waits longer than it must
START_S = 400  # for the app, which takes 8 s of processor time until it answers
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What Gradio's script tells the console when a page is left while an answer is on its way.
LEFT = ("AbortError: ", "Unexpected error Connection errored out.")


@contextmanager
def running(command, folder, environment, log):
    """Run an app in `folder`; gives its address, at a free port, once it answers, and ends it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**environment, "GRADIO_SERVER_PORT": str(port)}
    with log.open("w") as sink:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=sink, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}/"
    try:
        _wait_until_served(url, server, log)
        yield url
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


@contextmanager
def served(command, environment, folder):
    """Run an app; gives its address. At the end: no image left behind, no traceback and no file name printed."""
    log, temporary = folder / "log.txt", folder / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "BUSI_STORE": str(folder / "store"), **environment, "TMPDIR": str(temporary)}
    with running(command, ROOT, environment, log) as url:
        yield url
    printed = log.read_text()
    assert "Traceback" not in printed, printed
    assert "Jane Doe" not in printed, printed
    assert list(temporary.glob("busi-*")) == []


def _wait_until_served(url, server, log):
    """Until the process `server` answers; the test fails with its log if it ends instead."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"The app ended with code {server.returncode}:\n{log.read_text()}")
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)  # the port is not open yet
    pytest.fail(f"The app served no page within {START_S} s:\n{log.read_text()}")


def ask(address, path, method="GET", body=None, source=None, **headers):
    """Status, headers and body; the path goes out as it is, without the tidying that most clients do. source: the
    client's own address, if it matters."""
    place, own = address.removeprefix("http://").rstrip("/"), (source, 0) if source else None
    connection = http.client.HTTPConnection(place, timeout=PATIENCE_S, source_address=own)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Visitors:
    """Users of one address, each with a browser context of its own. At the end: no request left the machine."""

    def __init__(self, chromium, address):
        self.chromium, self.address = chromium, address
        self.contexts, self.requested, self.failed = [], [], []

    def __enter__(self):
        expect.set_options(timeout=PATIENCE_S * 1000)
        return self

    def open(self, **look):
        """look: arguments of `new_context`, such as viewport and color_scheme."""
        context = self.chromium.new_context(accept_downloads=True, **look)
        context.set_default_timeout(PATIENCE_S * 1000)
        self.contexts.append(context)
        tab = context.new_page()
        tab.on("request", lambda request: self.requested.append(request.url))
        tab.on("response", lambda response: response.status >= 400 and self.failed.append(response.url))
        tab.on("pageerror", lambda error: self.failed.append(str(error)))
        tab.on("console", lambda message: message.type == "error" and self.failed.append(message.text))
        tab.goto(self.address)
        expect(tab.locator("#result")).to_contain_text(strings.WAITING_HEADING)
        tab.locator("#upload input[type=file]").wait_for(state="attached")
        tab.locator("#upload .zone").wait_for()
        return tab

    def reload(self, tab):
        """Load the page again. What is on its way is cut; that reaches the console and no one else."""
        before = len(self.failed)
        tab.reload()
        self.failed[before:] = [said for said in self.failed[before:] if not said.startswith(LEFT)]

    def __exit__(self, kind, error, trace):
        for context in self.contexts:
            context.close()
        if kind is None:
            assert {urlsplit(u).hostname for u in self.requested if u.startswith(("http", "ws"))} == {"127.0.0.1"}
            assert any(url.endswith("SourceSansPro-Bold.woff2") for url in self.requested)
            assert self.failed == [], self.failed


def phantom_file(folder, class_name="malignant", seed=3, height=440, width=560):
    path = Path(folder) / f"{class_name}-{seed}-{height}x{width}.png"
    path.write_bytes(_phantom_png(class_name, seed, height, width))
    return path


@functools.cache
def _phantom_png(class_name, seed, height, width):
    return encode_png(draw_phantom(class_name, seed, height, width)[0])


def upload(tab, *paths):
    tab.set_input_files("#upload input[type=file]", list(paths))


def expect_result(tab, width, height):
    """Wait until the finished result of an image of this size stands in the page."""
    picture = tab.locator("#viewer .overlay svg")
    expect(picture).to_have_attribute("aria-label", re.compile(rf"{width} by {height} pixels\. .*outlined"))
    expect(tab.locator("#result .done")).to_be_visible()


def shown_picture(tab):
    """The displayed picture's pixels (H, W), as the server delivered them; once it is drawn."""
    kind, content = tab.locator("#viewer .overlay canvas.frame[data-href]").evaluate(
        """async (picture) => {
            const blob = await (await fetch(picture.dataset.href)).blob();
            const reader = new FileReader();
            await new Promise((done) => { reader.onload = done; reader.readAsDataURL(blob); });
            return [blob.type, reader.result.split(",")[1]];
        }"""
    )
    assert kind == "image/png"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def shown_outlines(tab):
    """The outlines in the page, in the picture's pixels: list of float (K, 2), without the closing point."""
    drawn = tab.locator("#viewer .overlay svg .outline path.line")
    lines = drawn.evaluate_all("nodes => nodes.map(node => node.getAttribute('d'))")
    return [np.array([p.split() for p in line.strip("MZ").split("L")], float) for line in lines]


def wait_until(tab, condition):
    """For what only Python sees; the browser's events are handled while this waits."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not true after {PATIENCE_S} s"
        tab.wait_for_timeout(50)


def saved(tab, button) -> tuple[str, bytes]:
    """File name and content of what a click on a download button saves."""
    with tab.expect_download() as download:
        tab.locator(button).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def worded_of(predictor, prediction):
    """The report of a prediction at the first operating point."""
    return report(Finding.of(prediction, len(outlines_xy(prediction.mask))), predictor.operating_point)


def assert_shows(tab, predictor, prediction):
    """Words, probabilities, picture and outline in the page are this prediction's."""
    worded = worded_of(predictor, prediction)
    expect(tab.locator("#result h2")).to_have_text(worded.headline)
    expect(tab.locator("#result .reason")).to_have_text(worded.reason)
    for name, probability in prediction.class_probabilities.items():
        row = tab.locator(f"#result tr[data-class={name}]")
        expect(row).to_contain_text(strings.CLASS_NAMES[name])
        expect(row).to_contain_text(percent(probability))
    for warning in worded.warnings:
        expect(tab.locator("#result .warnings")).to_contain_text(warning.title)
    assert (shown_picture(tab) == prediction.frame.gray).all()
