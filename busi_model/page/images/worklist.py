"""The worklist's Python side: its markup, and the user's cases as plain data for `worklist.js`."""

import html
import json
from pathlib import Path

import gradio as gr

from busi_model.clinic.report import OPEN_CODES
from busi_model.page import strings
from busi_model.page.images.opened import Case


def worklist_component(elem_id: str) -> gr.HTML:
    """Value: what `worklist_data` makes. It sends the events `pick` with {case, listed}, `close` with {case}, and
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


def worklist_data(items: list[dict] | None, shown: str | None, version: int) -> dict:
    """items: of `item`, or None when the browser has them already. shown: id of the case in the viewer. version: an
    older one arriving later is not shown."""
    return {"items": items, "shown": shown, "version": version}


def packed_list(data: dict) -> dict:
    """`worklist_data` as it travels: see `viewer.component.packed`."""
    return data | {"items": None if data["items"] is None else json.dumps(data["items"])}


def item(case: Case, number: int, token: str | None, looked_at: bool) -> dict:
    """One line. thumbnail, picture: paths that Gradio serves, None until they are written. Until an image was looked at
    nothing is said of its result."""
    state = state_of(case)
    if not looked_at and state in ("uncertain", "check", "refused"):
        state = "done"
    thumbnail, picture = case.folder / "busi-thumbnail.png", case.folder / "busi-image.png"
    return {
        "case": case.case_id,
        "token": token,
        "name": strings.WORKLIST_ITEM.format(number=number),
        "state": strings.CASE_STATES[state],
        "thumbnail": str(thumbnail) if case.thumbnail_png else None,
        "picture": str(picture) if case.prediction is not None and case.film is None else None,
    }


def state_of(case: Case) -> str:
    """A key of `strings.CASE_STATES`."""
    if case.error is not None:
        return "unreadable"
    if case.failed:
        return "failed"
    if case.prediction is None:
        return "waiting" if case.frame is None else "analysing"
    if case.withheld:
        return "refused"
    doubtful = any(warning.code in OPEN_CODES for warning in case.prediction.warnings)
    if doubtful or len(case.prediction.class_set) > 1:
        return "uncertain"
    return "check" if case.prediction.warnings else "done"


def _step(way, words, key):
    return f'<button type="button" data-step="{way}" aria-keyshortcuts="{key}">{words}<kbd>{key}</kbd></button>'
