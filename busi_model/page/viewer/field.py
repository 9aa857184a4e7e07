"""Outlines that a hand can move, on their way between a mask, a form and a record: their points as edit.js keeps them,
the viewer as a form's field, and the value that it carries.

Enters: a gray picture, and a mask or outlines in its own pixels. Leaves: the outlines as they stand on the screen, in
the same pixels. The value that travels is JSON {"shown": key, "lesions": [{"points_xy": [[x, y], ...]}, ...]}: it names
what it belongs to, so outlines of one picture can never be saved with another.
"""

import base64
import json
from collections.abc import Iterable

import gradio as gr
import numpy as np
from PIL import Image
from skimage.measure import approximate_polygon

from busi_model.clinic.view import encode_png, outlines_xy
from busi_model.page import strings
from busi_model.page.viewer.component import packed, viewer_field

TOLERANCE_PX = 0.75  # how far a thinned outline may leave the model's: below what a hand can place
TOLERANCE_SHARE = 1 / 600  # the same for a large picture, as a share of its longer side
SCREEN_SIDE_PX = 2048  # a longer picture is shown smaller; its coordinates stay the original's
NOTHING = json.dumps({"shown": None, "lesions": []})
NO_SCENE = {"case": None, "image": None}


class EditorError(ValueError):
    """What came back is not outlines of this picture: what was found, what to do."""


def build(elem_id: str) -> gr.HTML:
    """A viewer that waits for its first picture, hidden."""
    return viewer_field(elem_id, NOTHING, NO_SCENE)


def show(key: str, gray: np.ndarray, polygons: list, reset_to: list | None = None) -> gr.HTML:
    """Update that shows a picture with outlines.

    key: what the outlines will belong to. gray: uint8 (H, W). polygons: lists of (x, y), pixel centres at whole
    numbers, not closed. reset_to: what the button Reset brings back, the same when None.
    """
    model = polygons if reset_to is None else reset_to
    return gr.HTML(value(key, polygons), visible=True, scene=packed(_scene(key, gray, model)))


def hide() -> gr.HTML:
    """Update that takes picture and outlines away."""
    return gr.HTML(NOTHING, visible=False, scene=NO_SCENE)


def value(key: str, polygons: list) -> str:
    """The value that the editor carries for these outlines."""
    return json.dumps({"shown": key, "lesions": [{"points_xy": plain(points)} for points in polygons]})


def drawn(carried: str, key: str) -> list[list[tuple[float, float]]]:
    """The outlines in the editor, as lists of (x, y). Raises EditorError when they are not those of `key`."""
    try:
        content = json.loads(carried)
        shown = content["shown"]
        polygons = [[(float(x), float(y)) for x, y in lesion["points_xy"]] for lesion in content["lesions"]]
    except (TypeError, ValueError, KeyError, OverflowError) as error:  # 10**400 is no float
        raise EditorError(strings.EDITOR_UNREADABLE) from error
    if shown != key:
        raise EditorError(strings.EDITOR_OTHER_PICTURE)
    return polygons


def model_polygons(mask: np.ndarray) -> list[list[list[float]]]:
    """Bool (H, W) -> outlines for the editor, largest first: those of `outlines_xy`, not closed, and thinned.

    A marching-squares outline has a point for each pixel it passes, too many to drag. Thinning after Douglas & Peucker
    (1973) keeps every dropped point within TOLERANCE_PX (TOLERANCE_SHARE) of the line.
    """
    tolerance_px = max(TOLERANCE_PX, TOLERANCE_SHARE * max(mask.shape))
    thinned = [approximate_polygon(outline, tolerance_px)[:-1] for outline in outlines_xy(mask)]
    return [plain(points) for points in thinned if len(points) >= 3]


def plain(points_xy: Iterable[Iterable[float]]) -> list[list[float]]:
    """Points (K, 2) as lists, to hundredths of a pixel: an untouched outline comes back equal."""
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points_xy]


def _scene(key: str, gray: np.ndarray, model: list) -> dict:
    height, width = gray.shape
    picture = Image.fromarray(gray)
    picture.thumbnail((SCREEN_SIDE_PX, SCREEN_SIDE_PX))
    png = base64.b64encode(encode_png(np.asarray(picture))).decode("ascii")
    return {
        "case": key,
        "image": {"url": f"data:image/png;base64,{png}"},  # in the page itself: no address another user could open
        "width": width,
        "height": height,
        "alt": strings.IMAGE_ALT.format(width=width, height=height),
        "done": True,
        "lesions": [],
        "model": [plain(points) for points in model],
        "band": [],
    }
