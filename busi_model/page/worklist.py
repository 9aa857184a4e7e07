"""The worklist's Python side: its markup, and the user's cases as plain data for `worklist.js`."""

import base64
from pathlib import Path

import gradio as gr

from busi_model.clinic.report import OPEN_CODES
from busi_model.page import strings
from busi_model.page.lightbox import Case


def worklist_component(elem_id: str) -> gr.HTML:
    """Value: what `worklist_data` makes. It sends the event `pick` with {case}."""
    return gr.HTML(
        worklist_data([], None, 0),
        html_template=(
            f'<nav class="worklist" aria-label="{strings.WORKLIST}" hidden><ol></ol><div>'
            f"{_step(-1, strings.WORKLIST_PREVIOUS, 'P')}{_step(1, strings.WORKLIST_NEXT, 'N')}</div></nav>"
        ),
        js_on_load=(Path(__file__).parent / "worklist.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def worklist_data(cases: list[Case], shown: str | None, version: int) -> dict:
    """shown: id of the case in the viewer. version: an older one arriving later is not shown."""
    items = [
        {
            "case": case.case_id,
            "name": strings.WORKLIST_ITEM.format(number=number),
            "state": strings.CASE_STATES[state_of(case)],
            "thumbnail": _data_uri(case.thumbnail_png),
        }
        for number, case in enumerate(cases, start=1)
    ]
    return {"items": items, "shown": shown, "version": version}


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


def _data_uri(png):
    return f"data:image/png;base64,{base64.b64encode(png).decode()}" if png else ""
