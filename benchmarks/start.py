"""From `python app.py` to a page: where the time goes, what lies in memory, what a browser loads."""

import json
import shutil
import subprocess
import sys
import time

from benchmarks.app import ROOT, served
from benchmarks.measure import table

# A process of its own: what was imported before costs nothing again. Prints [part, seconds, resident MiB] for each.
PARTS = """
import json, os, sys, time
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
seen, begin = [], time.perf_counter()
def part(name):
    global begin
    seen.append([name, time.perf_counter() - begin, resident()])
    begin = time.perf_counter()
import busi_model, torch, numpy; part("import torch")
from busi_model.predict import Predictor; part("import busi_model.predict")
predictor = Predictor.load(sys.argv[1], "cpu"); part("load the weights")
from busi_model.phantom import draw_phantom
gray = draw_phantom("benign", 0)[0]
predictor(gray); part("first picture")
from busi_model.cli.start import without_stubs
with without_stubs():
    import gradio; part("import gradio")
    from busi_model import page; part("import the page")
import tempfile
page.build(predictor, sys.argv[1], tempfile.mkdtemp(), None, None); part("build the page")
large = draw_phantom("malignant", 0, 500, 600)[0]; part("draw one of 600 x 500 px")
for shift in range(100):
    predictor(numpy.roll(large, shift, axis=1))
part("100 pictures of 600 x 500 px")
print(json.dumps(seen))
"""


def run(weights) -> list[dict]:
    done = subprocess.run([sys.executable, "-c", PARTS, weights], cwd=ROOT, capture_output=True, text=True, check=True)
    parts = json.loads(done.stdout.splitlines()[-1])
    tables = [table("Start and memory, part by part", ["part", "seconds", "resident after it, MiB"], parts)]
    with served(weights) as (address, _, seconds):
        rows = [["python app.py to the first answer, s", seconds]]
        rows += _page_load(address)
    return [*tables, table("The page", ["what", "value"], rows)]


def _page_load(address) -> list[list]:
    from playwright.sync_api import sync_playwright

    path, rows = shutil.which("chromium"), []
    if path is None:
        raise RuntimeError("no chromium was found to load the page; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for visit in ("first", "second"):
            if visit == "first":
                context = browser.new_context()
            tab, sizes = context.new_page(), []
            devtools = context.new_cdp_session(tab)
            devtools.send("Network.enable")
            devtools.on("Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"]))
            begin = time.perf_counter()
            tab.goto(address)
            tab.locator("#viewer").wait_for()
            rows.append([f"{visit} visit: until the viewer is there, s", time.perf_counter() - begin])
            tab.wait_for_timeout(1000)
            rows.append([f"{visit} visit: loaded a second later, MB", sum(sizes) / 1e6])
            tab.close()
        browser.close()
    return rows
