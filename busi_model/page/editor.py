"""The outline editor: polygons over an image that a reader drags, draws and deletes. The hand is in editor.js.

Enters: a gray picture and outlines in its own pixels. Leaves: the outlines as they stand on the screen, in the same
pixels. The value that travels is JSON {"shown": key, "lesions": [{"points_xy": [[x, y], ...]}, ...]}: it names what it
belongs to, so outlines of one picture can never be saved with another.
"""

import base64
import json
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image
from skimage.measure import approximate_polygon

from busi_model.clinic.view import encode_png, outlines_xy
from busi_model.page import strings

SCRIPT = "".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in ("outline.js", "editor.js"))
SCREEN_SIDE_PX = 2048  # a longer picture is shown smaller; its coordinates stay the original's
TOLERANCE_PX = 0.75  # how far a thinned outline may leave the model's: below what a hand can place
TOLERANCE_SHARE = 1 / 600  # the same for a large picture, as a share of its longer side
NOTHING = json.dumps({"shown": None, "lesions": []})


class EditorError(ValueError):
    """What came back is not outlines of this picture: what was found, what to do."""


def build(elem_id: str) -> gr.HTML:
    """An editor that waits for its first picture, hidden."""
    return gr.HTML(
        NOTHING,
        html_template='<div class="outline-editor"></div>',
        js_on_load=SCRIPT,
        apply_default_css=False,
        visible=False,
        elem_id=elem_id,
        **_properties(np.zeros((1, 1), np.uint8), []),
    )


def show(key: str, gray: np.ndarray, polygons: list, reset_to: list | None = None) -> gr.HTML:
    """Update that shows a picture with outlines.

    key: what the outlines will belong to. gray: uint8 (H, W). polygons: lists of (x, y), pixel centres at whole
    numbers, not closed. reset_to: what the button Reset brings back, the same when None.
    """
    reset_to = polygons if reset_to is None else reset_to
    return gr.HTML(value(key, polygons), visible=True, **_properties(gray, reset_to))


def hide() -> gr.HTML:
    """Update that takes picture and outlines away."""
    return gr.HTML(NOTHING, visible=False, **_properties(np.zeros((1, 1), np.uint8), []))


def value(key: str, polygons: list) -> str:
    """The value that the editor carries for these outlines."""
    return json.dumps({"shown": key, "lesions": [{"points_xy": _plain(points)} for points in polygons]})


def drawn(carried: str, key: str) -> list[list[tuple[float, float]]]:
    """The outlines in the editor, as lists of (x, y). Raises EditorError when they are not those of `key`."""
    try:
        content = json.loads(carried)
        shown = content["shown"]
        polygons = [[(float(x), float(y)) for x, y in lesion["points_xy"]] for lesion in content["lesions"]]
    except (TypeError, ValueError, KeyError) as error:
        raise EditorError(strings.EDITOR_UNREADABLE) from error
    if shown != key:
        raise EditorError(strings.EDITOR_OTHER_PICTURE)
    return polygons


def shown_key(carried: str) -> str | None:
    """What the editor's outlines belong to."""
    return json.loads(carried)["shown"]


def model_polygons(mask: np.ndarray) -> list[list[list[float]]]:
    """Bool (H, W) -> outlines for the editor, largest first: those of `outlines_xy`, not closed, and thinned.

    A marching-squares outline has a point for each pixel it passes, too many to drag. Thinning after Douglas & Peucker
    (1973) keeps every dropped point within TOLERANCE_PX (TOLERANCE_SHARE) of the line.
    """
    tolerance_px = max(TOLERANCE_PX, TOLERANCE_SHARE * max(mask.shape))
    thinned = [approximate_polygon(outline, tolerance_px)[:-1] for outline in outlines_xy(mask)]
    return [_plain(points) for points in thinned if len(points) >= 3]


def _plain(points) -> list[list[float]]:
    """Hundredths of a pixel, as editor.js keeps them: an untouched outline comes back equal."""
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points]


def _properties(gray, reset_to):
    height, width = gray.shape
    picture = Image.fromarray(gray)
    picture.thumbnail((SCREEN_SIDE_PX, SCREEN_SIDE_PX))
    png = base64.b64encode(encode_png(np.asarray(picture))).decode("ascii")
    return {
        "picture": f"data:image/png;base64,{png}",  # in the page itself: no address that another user could open
        "size_px": [width, height],
        "model_outlines": [_plain(points) for points in reset_to],
        "words": strings.EDITOR_WORDS,
    }
