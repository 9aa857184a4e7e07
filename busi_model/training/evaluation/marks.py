"""What stands at the rim of a picture, boxes and text, is taken away or painted on: does the class follow it?

Enters: gray uint8 (H, W). Leaves: a copy of the same size. A hospital whose machine draws a pictogram box into each
image, most of them normal, can teach that the box means normal; `subgroups.change_figures` says whether.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from busi_model.decode.banner import blank_banner
from busi_model.frame import Box
from busi_model.model.quality import MARK_RIM
from busi_model.training.data.cases import Case
from busi_model.training.fitting.drawn_marks import draw_pictogram_box, paint_marks

FLAT_WINDOW_PX, FLAT_LEVELS = 5, 2  # gray levels may differ by so many in a window of a drawn box; in tissue by more
DARKEST, BRIGHTEST = 60, 250  # mean of no box: margins are darker, echoes may be cut off at white
BRIDGE_PX = 15  # lines drawn in a box are narrower
LEAST_SHARE, MOST_SIDE = 0.002, 0.3  # of the picture: the box's flat area, and each of its sides
EDGE_PX = 4  # a box's frame, and what JPEG leaves of it


def without_marks(gray: np.ndarray, case_id: str = "") -> np.ndarray:
    """A copy without boxes at the rim, each filled with the tissue beside it, mirrored, and without text beside the
    scan. What is drawn over the scan itself, calipers and letters, stays."""
    filled = gray.copy()
    for box in rim_boxes(gray):
        width = box.right - box.left
        to_left = box.left >= gray.shape[1] - box.right  # from where there is more
        source = slice(box.left - width, box.left) if to_left else slice(box.right, box.right + width)
        filled[box.top : box.bottom, box.left : box.right] = gray[box.top : box.bottom, source][:, ::-1]
    return blank_banner(filled)[0]


def rim_boxes(gray: np.ndarray) -> list[Box]:
    """Boxes of one gray level that lie in the outer rim of a picture or reach into it, with their frames."""
    height, width = gray.shape
    spread = ndimage.maximum_filter(gray, FLAT_WINDOW_PX) - ndimage.minimum_filter(gray, FLAT_WINDOW_PX)
    flat = ndimage.maximum_filter((spread <= FLAT_LEVELS) & (gray >= DARKEST) & (gray < BRIGHTEST), FLAT_WINDOW_PX)
    whole = ndimage.binary_closing(np.pad(flat, BRIDGE_PX), np.ones((BRIDGE_PX, BRIDGE_PX)))
    pieces, _ = ndimage.label(whole[BRIDGE_PX:-BRIDGE_PX, BRIDGE_PX:-BRIDGE_PX])
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(pieces), start=1):
        at_rim = (
            min(rows.start, height - rows.stop) <= MARK_RIM * height
            or min(columns.start, width - columns.stop) <= MARK_RIM * width
        )
        small = rows.stop - rows.start <= MOST_SIDE * height and columns.stop - columns.start <= MOST_SIDE * width
        if at_rim and small and (pieces[rows, columns] == number).sum() >= LEAST_SHARE * gray.size:
            top, left = max(0, rows.start - EDGE_PX), max(0, columns.start - EDGE_PX)
            found.append(Box(top, left, min(height, rows.stop + EDGE_PX), min(width, columns.stop + EDGE_PX)))
    return found


def with_box(gray: np.ndarray, case_id: str) -> np.ndarray:
    """A copy with a pictogram box in a lower corner, as in training; the same for the same case_id."""
    size = max(gray.shape)
    image = Image.fromarray(np.pad(gray, ((size - gray.shape[0], 0), (0, size - gray.shape[1]))))
    draw_pictogram_box(ImageDraw.Draw(image), size, np.random.default_rng(list(case_id.encode())))
    return np.asarray(image)[size - gray.shape[0] :, : gray.shape[1]]


Change = Callable[[np.ndarray, str], np.ndarray]
CHANGES: dict[str, tuple[str, Change]] = {  # what `busi evaluate --marks` calls it: in words, and what does it
    "remove": ("Boxes and text at the rim removed", without_marks),
    "box": ("A pictogram box painted on", with_box),
    "paint": ("Calipers and text painted on", paint_marks),
}


def changed_cases(cases: list[Case], change: Change) -> list[Case]:
    """Those whose picture it changes. Raises CaseError."""
    return [case for case in cases if (change(gray := case.read()[0].gray, case.case_id) != gray).any()]
