"""The README's picture: python -m tests.support.screenshot docs/page.png

The page with one of its own synthetic examples; no patient's picture is involved.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from busi_model.clinic import words
from busi_model.page import strings
from tests.support.browser import FLAGS, Visitors, expect_result, served

WIDTH, HEIGHT = 1280, 860


def main(target) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        served([sys.executable, "app.py"], {}, Path(folder)) as address,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        with Visitors(chromium, address) as visitors:
            tab = visitors.open(viewport={"width": WIDTH, "height": HEIGHT})
            tab.get_by_role("button", name=strings.EXAMPLE_BUTTONS["malignant"]).click()
            expect_result(tab, 560, 440)
            expect(tab.locator("#result")).to_contain_text(words.SYNTHETIC_NOTE)
            picture = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
            picture.quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)
        chromium.close()


if __name__ == "__main__":
    main(sys.argv[1])
