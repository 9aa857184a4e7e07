"""A panel on a page of its own, served from the test's process: quicker than the whole app, and the test sees the
objects behind it. And what a test must know of the viewer's picture to point at its pixels."""

import socket
from contextlib import contextmanager

import gradio as gr

from busi_model.page import looks

PATIENCE_MS = 120_000  # for a machine that trains beside the tests; nothing waits longer than it must


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def served_here(page: gr.Blocks, folder):
    """Address of the page while the block runs. folder: what Gradio may hand out."""
    _, url, _ = page.launch(
        server_name="127.0.0.1",
        server_port=free_port(),
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        run_history=False,
        allowed_paths=[str(folder)],
        **looks(),
    )
    try:
        yield url
    finally:
        page.close(verbose=False)


def new_tab(chromium, url, **context):
    """A new user's page; at the end the test closes `tab.context`."""
    tab = chromium.new_context(**context).new_page()
    tab.set_default_timeout(PATIENCE_MS)
    tab.goto(url)
    return tab


class Canvas:
    """Where the pixels of a viewer's image lie in the browser's window: worked out from the SVG's box alone."""

    def __init__(self, tab, editor: str):
        self.tab, self.svg = tab, tab.locator(f"{editor} .overlay svg")
        self.dots = tab.locator(f"{editor} circle")

    def _mapping(self):
        box = self.svg.bounding_box()
        left, top, width, height = map(float, self.svg.get_attribute("viewBox").split())
        scale = min(box["width"] / width, box["height"] / height)  # "meet": the whole view, centred
        x0 = box["x"] + (box["width"] - scale * width) / 2 - scale * left
        y0 = box["y"] + (box["height"] - scale * height) / 2 - scale * top
        return scale, x0, y0

    def on_screen(self, x, y):
        scale, x0, y0 = self._mapping()
        return x0 + scale * x, y0 + scale * y

    def drag(self, start_xy, end_xy):
        """Mouse down on one pixel of the image, up on another."""
        self.svg.scroll_into_view_if_needed()
        mouse = self.tab.mouse
        mouse.move(*self.on_screen(*start_xy))
        mouse.down()
        mouse.move(*self.on_screen(*end_xy), steps=3)
        mouse.up()

    def stroke(self, points_xy):
        self.svg.scroll_into_view_if_needed()
        mouse = self.tab.mouse
        mouse.move(*self.on_screen(*points_xy[0]))
        mouse.down()
        for point in points_xy[1:]:
            mouse.move(*self.on_screen(*point), steps=2)
        mouse.up()
