"""A case becomes a scene: plain data that the viewer draws.

Points are [x, y] in frame pixels, pixel centres being whole numbers.
"""

import numpy as np
from gradio.data_classes import FileData

from busi_model.clinic import words
from busi_model.clinic.report import outlined_words
from busi_model.clinic.view import band_outlines_xy
from busi_model.page import strings
from busi_model.page.images.opened import Case
from busi_model.page.viewer.outlines import model_polygons, plain


def empty_data(turn: int = 0) -> dict:
    """Nothing to show."""
    return {"turn": turn, "case": None, "image": None}


def viewer_data(
    case: Case, turn: int, picture: str, heat: str | None = None, note: str = "", judging: bool = False
) -> dict:
    """A case as the viewer wants it.

    turn: data of an earlier turn are not shown any more. picture, heat: paths that Gradio may serve. note: a sentence
    for the status line. judging: all frames of a film are being judged. While there is no result, or it is withheld,
    there is only the picture, and what may be cut out of it.
    """
    height, width = case.frame.gray.shape
    shown = case.prediction is not None and not case.withheld
    alt = strings.IMAGE_ALT.format(width=width, height=height)
    if shown:
        outlined = [outlined_words(len(case.lesions)), *([words.OUTLINE_EDITED] if case.drawn is not None else [])]
        alt = strings.OVERLAY_ALT.format(width=width, height=height, outlined=" ".join(outlined))
    return {
        "turn": turn,
        "case": case.case_id,
        "image": FileData(path=picture).model_dump(),
        "width": width,
        "height": height,
        "alt": alt,
        "done": shown,
        "lesions": [_lesion(lesion) for lesion in case.lesions] if shown else [],
        "model": model_polygons(case.prediction.mask) if shown else [],
        "drawn": case.drawn.polygons if shown and case.drawn is not None else None,
        "revision": case.revision,
        "band": _band(case) if shown else [],
        "heat": None if heat is None else FileData(path=heat).model_dump(),
        "heat_note": _heat_note(case) if heat else "",
        "spacing_mm": case.spacing_mm,
        "scaled": case.marked,
        "crops": [list(box) for box in case.suggested_crops],
        "note": note or _cropped_note(case),
        **_film(case, judging),
    }


def _film(case, judging):
    film = case.film
    if film is None:
        return {"frames": 1, "frame": 0}
    first = FileData(path=str(film.preview(case.folder, 0))).model_dump() if film.ready else None
    scores, worst = film.scores, film.worst
    return {
        "frames": film.count,
        "frame": film.index,
        "film": {"first": first, "ready": film.ready},
        "scores": [[index, round(score, 3)] for index, score in sorted(scores.items()) if score is not None],
        "judged": len(scores),
        "clip": film.summary,
        "judging": judging,
        "worst": worst,
        "worst_percent": None if worst is None else round(100 * scores[worst]),
    }


def _band(case):
    """Round an outline that was edited there is none: it is the model's."""
    return [] if case.drawn is not None else [_points(line) for line in band_outlines_xy(case.prediction.margin)]


def _cropped_note(case):
    if case.crop is None:
        return ""
    left, top, right, bottom = case.crop
    return strings.CROPPED_NOTE.format(left=left, right=right - 1, top=top, bottom=bottom - 1)


def _heat_note(case):
    return strings.EXPLANATION_NOTE.format(name=strings.CLASS_NAMES[case.prediction.label].lower())


def _lesion(lesion):
    return {
        "outline": plain(lesion.outline_xy),
        "axes": [plain(lesion.longest_axis_xy), plain(lesion.perpendicular_axis_xy)],
    }


def _points(points_xy):
    return np.round(points_xy, 2).tolist()
