"""What the panel shows of one case at one moment, a `View`: the result card, a `Report` of clinic or what stands in its
place, as HTML; and the scene that the viewer draws, plain data, points being [x, y] in frame pixels, pixel centres at
whole numbers.

Every state begins with the same unseen paragraph of role "status": it stays in the page while its text changes, which
is what makes a screen reader speak. Gradio matches old and new nodes by their place, so nothing may stand before it.
"""

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np
from gradio.data_classes import FileData

from busi_model.clinic import words
from busi_model.clinic.measure import Lesion
from busi_model.clinic.render import as_html, spoken
from busi_model.clinic.report import Report, outlined_words
from busi_model.clinic.view import band_outlines_xy
from busi_model.page import strings
from busi_model.page.images import pictures
from busi_model.page.images.case import OpenImage
from busi_model.page.images.downloads import Downloads
from busi_model.page.images.opened import OpenImages
from busi_model.page.images.worklist import Visit, worklist_of
from busi_model.page.viewer.field import model_polygons, plain

MADE = itertools.count(1)  # scenes: of one turn, a newer one is never overtaken by an older one


@dataclass(frozen=True)
class View:
    """What the panel shows of one case at one moment."""

    words: str | None  # HTML; None: only the worklist changed
    viewer: dict | None
    worklist: dict
    case_id: str | None = None  # whose result is in `words`; None: there is none
    measures: str = ""  # HTML
    text: str | None = None  # for the report; None: there is nothing to take away
    dicom: tuple[str, ...] = ()  # kinds of DICOM results that can be taken away
    insistable: bool = False  # whether the result of a refused picture is offered
    n_open: int = 0
    n_closed: int = 0  # images that can be opened again


class Screen:
    """Says of a case what there is by now."""

    def __init__(self, images: OpenImages, downloads: Downloads):
        self.images, self.downloads = images, downloads

    def view(
        self,
        case: OpenImage | None,
        visit: Visit,
        threshold_name: str | None,
        note: str = "",
        listed: int | None = None,
    ) -> View:
        """What there is to say of a case by now."""
        self._carry_scale(case, visit)
        if case is not None and case.ready:
            visit.looked_at.add(case.case_id)
        worklist = worklist_of(visit, self.images, listed)
        made = partial(View, worklist=worklist, n_open=len(visit.case_ids), n_closed=len(visit.closed))
        if case is None or case.error is not None or case.failed:
            return made(message_html(*_message(case)), empty_data(visit.turn))
        if not case.is_read:
            return made(busy_html(strings.OPENING), empty_data(visit.turn))
        viewer = self.viewer(case, visit, note)
        if not case.is_judged:
            return made(busy_html(strings.ANALYSING), viewer)
        card = result_html(self.downloads.report(case, threshold_name))
        if case.withheld:
            blank = any(warning.code == "blank" for warning in case.prediction.warnings)
            return made(card, viewer, insistable=not blank)
        measures = as_html("measures", table=self.downloads.table(case), notes=self.downloads.notes(case))
        text = self.downloads.text(case, threshold_name)
        dicom = self.downloads.dicom_kinds(case)
        return made(card, viewer, case_id=case.case_id, measures=measures, text=text, dicom=dicom)

    def viewer(self, case: OpenImage, visit: Visit, note: str, judging: bool = False) -> dict:
        with case.lock:  # a film may turn to another frame meanwhile
            heat = pictures.explanation(self.images, case) if case.explained and case.is_judged else None
            picture = pictures.picture(self.images, case)
            return viewer_data(case, visit.turn, picture, heat, note, judging)

    def _carry_scale(self, case: OpenImage | None, visit: Visit) -> None:
        """The mark of an earlier image, where the user said that it holds for the next ones of the same size."""
        if visit.scale is None or case is None or not case.is_read or case.spacing_mm is not None:
            return
        spacing_mm, shape = visit.scale
        if case.frame.gray.shape == shape:
            case.carry_scale(spacing_mm)


def parts_html(view: View) -> str:
    """Which parts of the panel there are, for layout.css."""
    there = {
        "take": view.text is not None,
        "dicom": bool(view.dicom),
        "seg": "seg" in view.dicom,
        "anyway": view.insistable,
        "clear": view.n_open > 0,
        "undo": view.n_closed > 0,
    }
    return f'<span hidden data-parts="{" ".join(name for name, is_there in there.items() if is_there)}"></span>'


def waiting_html() -> str:
    return message_html(strings.WAITING_HEADING, *strings.WAITING_LINES, kind="waiting")


def busy_html(text: str) -> str:
    return message_html(text, kind="busy")


def message_html(heading: str, *lines: str, kind: str = "message") -> str:
    return as_html("message", heading=heading, lines=lines, kind=kind)


def result_html(report: Report) -> str:
    return as_html("result", report=report, said=spoken(report))


def _message(case: OpenImage | None) -> tuple[str, str]:
    """Heading and text in place of picture and result, of a case that will have none."""
    if case is None:
        return strings.GONE_HEADING, strings.GONE_TEXT
    if case.error is not None:
        return strings.UNREADABLE_HEADING, case.error
    return strings.FAILED_HEADING, strings.FAILED_TEXT


def empty_data(turn: int = 0) -> dict:
    """Nothing to show."""
    return {"turn": turn, "made": next(MADE), "case": None, "image": None}


def viewer_data(
    case: OpenImage, turn: int, picture: str, heat: str | None = None, note: str = "", judging: bool = False
) -> dict:
    """A case as the viewer wants it.

    turn: data of an earlier turn are not shown any more. picture, heat: paths that Gradio may serve. note: a sentence
    for the status line. judging: all frames of a film are being judged. While there is no result, or it is withheld,
    there is only the picture, and what may be cut out of it.
    """
    height, width = case.frame.gray.shape
    shown = case.is_judged and not case.withheld
    alt = strings.IMAGE_ALT.format(width=width, height=height)
    if shown:
        outlined = [outlined_words(len(case.lesions)), *([words.OUTLINE_EDITED] if case.drawn is not None else [])]
        alt = strings.OVERLAY_ALT.format(width=width, height=height, outlined=" ".join(outlined))
    return {
        "turn": turn,
        "made": next(MADE),
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


def _film(case: OpenImage, judging: bool) -> dict:
    film = case.film
    if film is None:
        return {"frames": 1, "frame": 0}
    first = FileData(path=str(film.preview(case.folder, 0))).model_dump() if film.ready else None
    scores = film.scores
    worst = max(scores, key=scores.__getitem__, default=None)
    return {
        "frames": film.count,
        "frame": film.index,
        "film": {"first": first, "ready": film.ready},
        "scores": [[index, round(score, 3)] for index, score in scores.items()],
        "judged": len(film.rows),
        "clip": film.summary,
        "judging": judging,
        "worst": worst,
        "worst_percent": None if worst is None else round(100 * scores[worst]),
    }


def _band(case: OpenImage) -> list:
    """Round an outline that was edited there is none: it is the model's."""
    return [] if case.drawn is not None else [_points(line) for line in band_outlines_xy(case.prediction.margin)]


def _cropped_note(case: OpenImage) -> str:
    if case.crop is None:
        return ""
    left, top, right, bottom = case.crop
    return strings.CROPPED_NOTE.format(left=left, right=right - 1, top=top, bottom=bottom - 1)


def _heat_note(case: OpenImage) -> str:
    return strings.EXPLANATION_NOTE.format(name=strings.CLASS_NAMES[case.label].lower())


def _lesion(lesion: Lesion) -> dict:
    return {
        "outline": plain(lesion.outline_xy),
        "axes": [plain(lesion.longest_axis_xy), plain(lesion.perpendicular_axis_xy)],
    }


def _points(points_xy: np.ndarray) -> list:
    return np.round(points_xy, 2).tolist()
