"""The worklist: what a user has open and in which order, its markup, and the same as plain data for `worklist.js`."""

import html
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr

from busi_model.clinic.report import OPEN_CODES
from busi_model.page import strings
from busi_model.page.images.case import OpenImage
from busi_model.page.images.film import Film
from busi_model.page.images.opened import OpenImages
from busi_model.page.images.pictures import keep_thumbnail


@dataclass
class Visit:
    """One user's place: ids of the open cases, the one shown, and how often the shown image changed."""

    address: str = ""  # that the user's images came from
    turn: int = 0  # an answer to an earlier turn is thrown away
    version: int = 0  # of the worklist, for the browser: an older one that arrives later is not shown
    listed: tuple = ()  # what the list said when it was last sent whole, and as which version
    case_ids: list[str] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)  # case id: what the browser knows the file's name by
    looked_at: set[str] = field(default_factory=set)
    closed: list[str] = field(default_factory=list)  # closed together and last: they can still come back
    shown: str | None = None
    scale: tuple | None = None  # spacing_mm and frame shape of the mark that goes on to the next images

    def own(self, images: OpenImages, case_id: object) -> OpenImage | None:
        """The user's own case of this id, or None: ids come from the browser."""
        return images.get(case_id) if isinstance(case_id, str) and case_id in self.case_ids else None

    def shows(self, case: OpenImage, frame: object) -> bool:
        """Whether the case is the shown one, and this the frame of it."""
        return case.case_id == self.shown and frame == (0 if case.film is None else case.film.index)

    def shown_film(self, images: OpenImages, case_id: object) -> tuple[OpenImage, Film] | None:
        """The case and its film, where it has one and is the shown one."""
        case = self.own(images, case_id)
        return None if case is None or case.film is None or case_id != self.shown else (case, case.film)

    def place_of(self, case: OpenImage) -> int:
        """Where a new image comes in the list: at its end, or before a file that was dropped later but was quicker."""
        mine = _dropped(self.tokens.get(case.case_id))
        later = (
            n for n, case_id in enumerate(self.case_ids) if mine < _dropped(self.tokens.get(case_id), never=(0, 0))
        )
        return next(later, len(self.case_ids))


def worklist_component(elem_id: str) -> gr.HTML:
    """Value: of `packed_list`. It sends the events `pick` and `look` with {case, listed}, `close` with {case}, and
    `restore` with {cases, shown}."""
    words = f'data-close="{html.escape(strings.WORKLIST_CLOSE)}" data-leave="{html.escape(strings.LEAVE_QUESTION)}"'
    return gr.HTML(
        packed_list(worklist_data([], None, 0)),
        html_template=(
            f'<nav class="worklist" aria-label="{strings.WORKLIST}" {words} hidden><ol></ol><div>'
            f"{_step(-1, strings.WORKLIST_PREVIOUS, 'P')}<output></output>{_step(1, strings.WORKLIST_NEXT, 'N')}"
            "</div></nav>"
        ),
        js_on_load=(Path(__file__).parent / "worklist.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def worklist_of(visit: Visit, images: OpenImages, listed: int | None = None) -> dict:
    """All that a user has open. listed: version of the list that the browser has whole; while that is how things stand
    nothing is sent again."""
    visit.version += 1
    cases = [images.get(case_id) for case_id in visit.case_ids]
    numbered = [(number, case) for number, case in enumerate(cases, start=1) if case is not None]
    seen = visit.looked_at
    stand = tuple((case.case_id, state_of(case), case.case_id in seen) for _, case in numbered)
    if listed is not None and visit.listed == (stand, listed):
        return worklist_data(None, visit.shown, visit.version)
    visit.listed = (stand, visit.version)
    for _, case in numbered:
        keep_thumbnail(images, case)
    items = [item(case, number, visit.tokens.get(case.case_id), case.case_id in seen) for number, case in numbered]
    return worklist_data(items, visit.shown, visit.version)


def worklist_data(items: list[dict] | None, shown: str | None, version: int) -> dict:
    """items: of `item`, or None when the browser has them already. shown: id of the case in the viewer. version: an
    older one arriving later is not shown."""
    return {"items": items, "shown": shown, "version": version}


def packed_list(data: dict) -> dict:
    """`worklist_data` as it travels: see `viewer.component.packed`."""
    return data | {"items": None if data["items"] is None else json.dumps(data["items"])}


def item(case: OpenImage, number: int, token: str | None, looked_at: bool) -> dict:
    """One line. thumbnail, picture: paths that Gradio serves, None until they are written. Until an image was looked at
    nothing is said of its result."""
    state = state_of(case)
    if not looked_at and state in ("uncertain", "check", "refused"):
        state = "done"
    thumbnail, picture = case.folder / "busi-thumbnail.png", case.folder / "busi-image.png"
    return {
        "case": case.case_id,
        "token": token,
        "name": (strings.WORKLIST_CROP if case.crop else strings.WORKLIST_ITEM).format(number=number),
        "state": strings.CASE_STATES[state],
        "thumbnail": str(thumbnail) if case.thumbnail_png else None,
        "picture": str(picture) if case.is_judged and case.film is None else None,
    }


def state_of(case: OpenImage) -> str:
    """A key of `strings.CASE_STATES`."""
    if case.error is not None:
        return "unreadable"
    if case.failed:
        return "failed"
    if not case.is_judged:
        return "analysing" if case.is_read else "waiting"
    if case.withheld:
        return "refused"
    doubtful = any(warning.code in OPEN_CODES for warning in case.prediction.warnings)
    if doubtful or len(case.prediction.class_set) > 1:
        return "uncertain"
    return "check" if case.prediction.warnings else "done"


def _step(way: int, words: str, key: str) -> str:
    return f'<button type="button" data-step="{way}" aria-keyshortcuts="{key}">{words}<kbd>{key}</kbd></button>'


def _dropped(token: str | None, never: tuple[float, int] = (math.inf, 0)) -> tuple[float, int]:
    """When a file was dropped, by inbox.js's token: milliseconds in base 36, then a count. never: for an image that was
    no file, or whose token says nothing."""
    try:
        moment, count = (token or "").split("-")
        return int(moment, 36), int(count)
    except ValueError:
        return never
