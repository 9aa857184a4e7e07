"""The viewer's script on a page of its own, without a server: the test plays the server and reads what is sent."""

import base64
import json
import struct
import zlib

from busi_model.page.viewer.component import FOLDER, SCRIPT, _markup

MOUNT = """([script, value, scene]) => {
  window.sent = [];
  window.props = { value, scene };
  const mount = new Function("element", "trigger", "props", "watch", script);
  mount(document.body, (name, sent) => window.sent.push([name, structuredClone(sent)]), window.props,
    (names, heard) => { window.heard = heard; });
}"""


def gray_png(width: int, height: int) -> str:
    """A gray picture as a data address, without Pillow."""
    rows = (b"\0" + bytes((x + y) % 256 for x in range(width)) for y in range(height))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(rows))),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


def scene(case="a", width=400, height=300, **changes) -> dict:
    """What result.py sends of a finished case with one square lesion."""
    square = [[100, 100], [200, 100], [200, 200], [100, 200]]
    return {
        "turn": 1,
        "case": case,
        "image": {"url": gray_png(width, height)},
        "width": width,
        "height": height,
        "alt": "Ultrasound image.",
        "done": True,
        "lesions": [{"outline": [*square, square[0]], "axes": [[[100, 100], [200, 200]], [[200, 100], [100, 200]]]}],
        "model": [square],
        "drawn": None,
        "revision": 0,
        "band": [],
        "heat": None,
        "heat_note": "",
        "spacing_mm": None,
        "scaled": False,
        "crops": [],
        "note": "",
        "frames": 1,
        "frame": 0,
        **changes,
    }


class Bench:
    """A browser tab with one viewer. tab: Playwright's page."""

    def __init__(self, tab, use="panel"):
        self.tab, self.svg = tab, tab.locator(".overlay svg")
        style = (FOLDER / "viewer.css").read_text(encoding="utf-8")
        tab.set_content(f"<style>{style} .viewer {{ width: 800px }}</style><body>{_markup(use)}</body>")
        tab.evaluate(MOUNT, [SCRIPT, None, None])

    def show(self, value: dict):
        """The server sends a scene."""
        self.tab.evaluate("value => { window.props.value = value; window.heard(); }", value)

    def sent(self, name: str) -> list:
        """What the viewer sent by this event, in order."""
        return [data for event, data in self.tab.evaluate("window.sent") if event == name]

    def at(self, x, y):
        """Frame pixel -> screen."""
        script = "(svg, p) => { const q = new DOMPoint(...p).matrixTransform(svg.getScreenCTM()); return [q.x, q.y]; }"
        return self.svg.evaluate(script, [x, y])

    def drag(self, *points, up=True):
        self.tab.mouse.move(*self.at(*points[0]))
        self.tab.mouse.down()
        for point in points[1:]:
            self.tab.mouse.move(*self.at(*point), steps=3)
        if up:
            self.tab.mouse.up()

    def press(self, *keys):
        for key in keys:
            self.tab.keyboard.press(key)

    def note(self):
        return self.tab.locator(".note").inner_text()

    def zoom(self):
        return int(json.loads(self.tab.locator("output").inner_text().split()[0]))
