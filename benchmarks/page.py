"""python -m benchmarks.page [--images 100] [--data DIR] [--out DIR]: how quick the page is in a browser.

One tab opens single images one after the other, then all of them at once, and presses N until the last is shown. Times
are taken in the browser, from the drop or the key to the frame after which verdict and picture of that very image are
drawn. Memory is what the browser's process for the tab holds at the end (Linux), and its JavaScript heap. Pictures are
phantoms of 600 x 500 px, or the PNG files below --data. Nothing else should be running.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.app import ROOT, served
from benchmarks.measure import describe_machine, markdown, table
from busi_model.clinic.view import encode_png
from busi_model.names import CLASS_NAMES
from busi_model.phantom import draw_phantom

PATIENCE_MS = 600_000
SINGLE = 20  # images opened alone, for upload to verdict
WINDOW = {"width": 1440, "height": 900}
# Everything that is waited for is awaited frame by frame: what is timed is what a reader can see.
WATCH = """
window.frame = () => new Promise(requestAnimationFrame);
window.address = () => document.querySelector("#viewer .overlay canvas.frame")?.dataset.href;
window.verdict = () => document.querySelector("#result [data-verdict]");
window.turned = (before) => verdict() && address() && address() !== before;
document.addEventListener("change", (event) => {
  if (!event.target.closest("#upload")) return;
  const [begin, before] = [performance.now(), address()];
  window.took = (async () => {
    while (!turned(before)) await frame();
    await frame();
    return performance.now() - begin;
  })();
}, true);
window.next = async () => {
  const [begin, before, column] = [performance.now(), address(), document.querySelector("#result-column")];
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "n", bubbles: true }));
  while (column.inert || !turned(before)) await frame();
  await frame();
  return performance.now() - begin;
};
null;
"""
OPEN = "states => [...document.querySelectorAll('.worklist li span')].some((state) => states.includes(state.innerText))"


def run(weights, images: int = 100, data: str | None = None) -> list[dict]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        raise RuntimeError("no chromium was found to load the page; apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, served(weights) as (address, _, _), sync_playwright() as playwright:
        files = _pictures(Path(folder), images, data)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab = browser.new_context(viewport=WINDOW).new_page()
        tab.set_default_timeout(PATIENCE_MS)
        tab.goto(address)
        tab.locator("#upload .zone").wait_for()
        tab.evaluate(WATCH)
        shown = []
        for file in files[: SINGLE + 1]:
            tab.set_input_files("#upload input[type=file]", file)
            shown.append(tab.evaluate("window.took"))
        tab.locator("#clear").click()
        tab.locator(".worklist").wait_for(state="hidden")
        turned = _turn(tab, files)
        memory = _memory(browser, tab)
        browser.close()
    rows = [
        [f"drop to verdict, median of {len(shown) - 1}, ms", statistics.median(shown[1:])],  # the first warms up
        [f"next image, median of {len(turned)} with {len(files)} open, ms", statistics.median(turned)],
        ["next image, p95, ms", float(np.quantile(turned, 0.95))],
        *memory,
    ]
    return [table("The page in a browser", ["what", "value"], rows)]


def _pictures(folder: Path, images: int, data: str | None) -> list[Path]:
    if data:
        found = [path for path in sorted(Path(data).rglob("*.png")) if "mask" not in path.name][:images]
        if len(found) < 2:
            raise RuntimeError(f"{data} holds {len(found)} PNG files; at least 2 are needed")
        return found
    made = [folder / f"{number}.png" for number in range(images)]
    for number, path in enumerate(made):
        path.write_bytes(encode_png(draw_phantom(CLASS_NAMES[number % 3], number, 500, 600)[0]))
    return made


def _turn(tab, files) -> list[float]:
    """Open all, wait until each is analysed, go from the first to the last by key."""
    from busi_model.page import strings

    tab.set_input_files("#upload input[type=file]", files)
    tab.locator(".worklist li").nth(len(files) - 1).wait_for()
    states = [strings.CASE_STATES[name] for name in ("waiting", "analysing")]
    tab.wait_for_function(f"states => !({OPEN})(states)", arg=states)
    took = []
    for _ in files[1:]:
        took.append(tab.evaluate("window.next()"))
        tab.wait_for_timeout(400)  # a reader looks, and the neighbours are fetched
    return took


def _memory(browser, tab) -> list[list]:
    devtools = tab.context.new_cdp_session(tab)
    devtools.send("HeapProfiler.collectGarbage")
    devtools.send("Performance.enable")
    metrics = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
    rows = [["JavaScript heap, MB", metrics["JSHeapUsedSize"] / 1e6]]
    if sys.platform == "linux":
        processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
        pages = [_resident_mb(one["id"]) for one in processes if one["type"] == "renderer"]
        rows.append(["the tab's process, resident, MB", max(pages)])  # the others are the browser's own pages
    return rows


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--data", help="folder of PNG files in place of phantoms")
    parser.add_argument("--weights", default=str(ROOT / "weights"))
    parser.add_argument("--out", default="runs/page", help="folder for page.json and page.md")
    return parser.parse_args(arguments)


def main(arguments=None) -> int:
    arguments = parse_arguments(arguments)
    machine = describe_machine()
    tables = run(arguments.weights, arguments.images, arguments.data)
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "tables": tables}
    (folder / "page.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "page.md").write_text(markdown(machine, tables), encoding="utf-8")
    print(markdown(machine, tables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
