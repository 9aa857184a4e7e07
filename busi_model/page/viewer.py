"""The viewer's Python side: its markup, and a case as plain data for `viewer.js`, which draws and knows no words."""

import html
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.data_classes import FileData

from busi_model.clinic.view import band_outlines_xy
from busi_model.page import strings
from busi_model.page.lightbox import Case
from busi_model.page.result import outlined_words

SWITCHES = ("outline", "margin", "axes", "explain", "beside")  # on or off
MODES = ("window", "scale")  # what a drag or a click does; one at a time


def viewer_component(elem_id: str, value: dict) -> gr.HTML:
    """The viewer as a component. Its value is what `viewer_data` makes; it sends the events `explain` and `mark`.

    `explain` brings {case}; `mark` brings {case, start, end, mm}, or {case} to take the scale away.
    """
    return gr.HTML(
        value,
        html_template=_markup(),
        js_on_load=(Path(__file__).parent / "viewer.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def empty_data(turn: int = 0) -> dict:
    """Nothing to show."""
    return {"turn": turn, "case": None, "image": None}


def viewer_data(case: Case, turn: int, picture: str, heat: str | None = None, note: str = "") -> dict:
    """A case as `viewer.js` wants it; points are [x, y] in frame pixels, pixel centres being whole numbers.

    turn: data of an earlier turn are not shown any more. picture, heat: paths that Gradio may serve. note: a sentence
    for the status line. While there is no result, or it is withheld, there is only the picture.
    """
    height, width = case.frame.gray.shape
    shown = case.prediction is not None and not case.withheld
    alt = strings.IMAGE_ALT.format(width=width, height=height)
    if shown:
        alt = strings.OVERLAY_ALT.format(width=width, height=height, outlined=outlined_words(len(case.lesions)))
    return {
        "turn": turn,
        "case": case.case_id,
        "image": FileData(path=picture).model_dump(),
        "width": width,
        "height": height,
        "alt": alt,
        "done": shown,
        "lesions": [_lesion(lesion) for lesion in case.lesions] if shown else [],
        "band": [_points(line) for line in band_outlines_xy(case.prediction.margin)] if shown else [],
        "heat": None if heat is None else FileData(path=heat).model_dump(),
        "heat_note": _heat_note(case) if heat else "",
        "scaled": case.marked,
        "note": note,
    }


def _heat_note(case):
    return strings.EXPLANATION_NOTE.format(name=strings.CLASS_NAMES[case.prediction.label].lower())


def _lesion(lesion):
    return {
        "outline": _points(lesion.outline_xy),
        "axes": [_points(lesion.longest_axis_xy), _points(lesion.perpendicular_axis_xy)],
    }


def _points(points_xy):
    return np.round(points_xy, 2).tolist()


def _markup():
    """Static: gr.HTML would run anything between ${ and } as a program, so no value of a user may come in here."""
    buttons = "".join(_button(action, *words) for action, words in strings.VIEWER_BUTTONS.items())
    texts = {
        "zoom": strings.VIEWER_ZOOM,
        "window": strings.VIEWER_WINDOW,
        "first": strings.VIEWER_PLACE_FIRST,
        "second": strings.VIEWER_PLACE_SECOND,
        "explaining": strings.VIEWER_EXPLAINING,
        "margin": strings.MARGIN_NOTE,
        "nomargin": strings.MARGIN_NONE,
    }
    data = " ".join(f'data-{name}="{html.escape(text)}"' for name, text in texts.items())
    stages = "".join(
        f'<figure class="stage {kind}"{hidden}><svg role="img" aria-label="" tabindex="0"></svg>'
        f"<figcaption>{caption}</figcaption></figure>"
        for kind, caption, hidden in (
            ("original", strings.VIEWER_ORIGINAL, " hidden"),
            ("overlay", strings.VIEWER_OVERLAY, ""),
        )
    )
    form = (
        f'<form hidden><label>{strings.VIEWER_LENGTH} <input type="number" min="1" max="500" step="any" required>'
        f'</label> <button type="submit">{strings.VIEWER_APPLY}</button></form>'
    )
    helps = "".join(f"<li>{line}</li>" for line in strings.VIEWER_HELP)
    return (
        f'<section class="viewer empty" aria-label="{strings.VIEWER}" {data}>'
        f'<div class="tools" role="group" aria-label="{strings.VIEWER}">{buttons}<output></output></div>'
        f'<p class="drop">{strings.VIEWER_EMPTY}</p><div class="stages">{stages}</div>'
        f'{form}<p class="note" role="status"></p>'
        f'<button type="button" class="forget" hidden>{strings.VIEWER_FORGET_SCALE}</button>'
        f"<details><summary>{strings.VIEWER_HELP_HEADING}</summary><ul>{helps}</ul></details></section>"
    )


def _button(action, words, key):
    pressed = ' aria-pressed="false"' if action in (*SWITCHES, *MODES, "keys") else ""
    shortcut = f' aria-keyshortcuts="{key}" data-key="{key.lower()}"' if key else ""
    shown = f"<kbd>{key}</kbd>" if key else ""
    return f'<button type="button" data-do="{action}"{pressed}{shortcut}>{words}{shown}</button>'
