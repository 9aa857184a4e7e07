"""The viewer's markup and script as a gr.HTML. It draws and knows no words: every word stands in the markup."""

import html
import json
from pathlib import Path
from typing import Any

import gradio as gr

from busi_model.clinic import words
from busi_model.page import strings

FOLDER = Path(__file__).parent
SCRIPTS = ("stage", "rulers", "crop", "frames", "outline", "edit", "viewer")  # one program, in this order
SCRIPT = "".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
SWITCHES = ("outline", "model", "margin", "axes", "explain", "beside", "keep", "keys")  # on or off
MODES = ("window", "ruler", "scale", "crop", "edit")  # what a drag or a click does; one at a time
# In a form the outlines are what is asked for, and nothing may be shown that was computed of the picture.
FIELD_ACTIONS = ("outline", "model", "beside", "edit", "window", "ruler", "fit", "full", "reset", "keep", "keys")

GRAY_WINDOW = (
    '<filter x="0" y="0" width="1" height="1" color-interpolation-filters="sRGB"><feComponentTransfer>'
    '<feFuncR type="linear"/><feFuncG type="linear"/><feFuncB type="linear"/></feComponentTransfer></filter>'
)
APART = ("turn", "made", "case", "image", "heat", "film")  # what comes first, and pictures that Gradio serves


def packed(scene: dict) -> dict:
    """A scene as it travels. Gradio's script copies and compares a value many times over, number by number; a string it
    takes as it is."""
    rest = {name: part for name, part in scene.items() if name not in APART}
    return {name: scene.get(name) for name in APART} | {"rest": json.dumps(rest)}


def viewer_component(elem_id: str, value: dict) -> gr.HTML:
    """The viewer as a panel. Its value is a scene (`viewer_data` of `images.result`), `packed`, and it sends events:

    "explain", "film" and "judge" with {case}; "frame" with {case, index}; "crop" with {case, box}; "outline" with
    {case, frame, revision, lesions}; "mark" with {case, start, end, mm, next}, or with {case} to take the scale away.
    """
    return _component(value, "panel", elem_id=elem_id)


def viewer_field(elem_id: str, value: str, scene: dict) -> gr.HTML:
    """The viewer as a field of a form, hidden at first: its value are the outlines, as `editor.value` makes them, the
    property `scene` is the picture. It sends the event `input` after every change of an outline."""
    return _component(value, "field", elem_id=elem_id, visible=False, scene=scene)


def _component(value: Any, use: str, **arguments: Any) -> gr.HTML:
    return gr.HTML(value, html_template=_markup(use), js_on_load=SCRIPT, apply_default_css=False, **arguments)


def _markup(use: str) -> str:
    """Static: gr.HTML would run anything between ${ and } as a program, so no value of a user may come in here."""
    actions = strings.VIEWER_BUTTONS if use == "panel" else {a: strings.VIEWER_BUTTONS[a] for a in FIELD_ACTIONS}
    buttons = "".join(_button(action, *named) for action, named in actions.items())
    texts = strings.VIEWER_TEXTS | {"margin": strings.MARGIN_NOTE, "nomargin": words.MARGIN_NONE}
    data = " ".join(f'data-{name}="{html.escape(text)}"' for name, text in texts.items())
    stages = "".join(
        f'<figure class="stage {kind}"{hidden}><canvas class="frame" aria-hidden="true"></canvas>'
        f'<svg role="img" aria-label="" tabindex="0">{GRAY_WINDOW if kind == "overlay" else ""}</svg>'
        f"<figcaption>{caption}</figcaption></figure>"
        for kind, caption, hidden in (
            ("original", strings.VIEWER_ORIGINAL, " hidden"),
            ("overlay", strings.VIEWER_OVERLAY, ""),
        )
    )
    badge = f'<span class="badge" hidden>{words.OUTLINE_EDITED.rstrip(".")}</span>'
    drop = f'<p class="drop">{strings.VIEWER_EMPTY}</p>' if use == "panel" else ""
    helps = "".join(f"<li>{line}</li>" for line in strings.VIEWER_HELP)
    return (
        f'<section class="viewer empty" data-use="{use}" aria-label="{strings.VIEWER}" {data}>'
        f'<div class="tools" role="group" aria-label="{strings.VIEWER}">{buttons}'
        f"<output></output></div>"
        f'{_edit_bar()}{drop}<div class="stages">{stages}{badge}</div>{_film_bar()}{_scale_form()}{_crop_bars()}'
        f'<p class="note" role="status"></p>'
        f'<button type="button" class="forget" hidden>{strings.VIEWER_FORGET_SCALE}</button>'
        f"<details><summary>{strings.VIEWER_HELP_HEADING}</summary><ul>{helps}</ul></details></section>"
    )


def _edit_bar() -> str:
    buttons = "".join(
        f'<button type="button" data-tool="{tool}">{name}</button>' for tool, name in strings.EDIT_BUTTONS.items()
    )
    return f'<div class="edit-bar" role="group" aria-label="{strings.EDIT_TOOLBAR}" hidden>{buttons}</div>'


def _film_bar() -> str:
    return (
        f'<div class="film" role="group" aria-label="{strings.FILM}" hidden>'
        f'<button type="button" class="play" aria-pressed="false">{strings.VIEWER_TEXTS["play"]}</button>'
        '<div class="track"><svg class="scores" preserveAspectRatio="none" aria-hidden="true"></svg>'
        f'<input type="range" min="0" max="0" step="1" value="0" aria-label="{strings.FILM_SLIDER}"></div>'
        '<span class="at"></span><button type="button" class="judge"></button>'
        '<button type="button" class="worst" hidden></button><p class="clip" role="status" hidden></p></div>'
    )


def _scale_form() -> str:
    return (
        f'<form class="scale" hidden><label>{strings.VIEWER_LENGTH} <input type="number" min="1" max="500" step="any" '
        f'required></label> <label><input type="checkbox"> {strings.VIEWER_SCALE_NEXT}</label> '
        f'<button type="submit">{strings.VIEWER_APPLY}</button></form>'
    )


def _crop_bars() -> str:
    return (
        f'<div class="crop-bar" hidden><button type="button">{strings.CROP_JUDGE}</button></div>'
        f'<div class="parts" hidden><span>{strings.CROP_SUGGESTED}</span></div>'
    )


def _button(action: str, name: str, key: str) -> str:
    pressed = ' aria-pressed="false"' if action in (*SWITCHES, *MODES) else ""
    shortcut = f' aria-keyshortcuts="{key}" data-key="{key.lower()}"' if key else ""
    shown = f"<kbd>{key}</kbd>" if key else ""
    return f'<button type="button" data-do="{action}"{pressed}{shortcut}>{name}{shown}</button>'
