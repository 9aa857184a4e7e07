"""The way in for images: a drop zone whose script, inbox.js, uploads what is dropped, pasted or chosen.

Gradio's own field takes nothing while it is busy and sends the files' names along. Here names stay in the browser: each
upload is called "image", and comes back as {path, token}; the token is what the browser knows the name by.
"""

import contextlib
import html
from pathlib import Path

import gradio as gr

from busi_model.image import ImageError
from busi_model.page import strings


def inbox_component(elem_id: str) -> gr.HTML:
    """It sends the event `hand` with {files: [{path, token}], show}: uploaded files, and whether to show the first."""
    words = " ".join(f'data-{name}="{html.escape(text)}"' for name, text in strings.INBOX_WORDS.items())
    return gr.HTML(
        None,
        html_template=(
            f'<div class="inbox" {words}><label class="zone"><input type="file" multiple class="unseen">'
            f'<b>{strings.UPLOAD_LABEL}</b></label><p class="state" role="status"></p>'
            f'<progress hidden aria-label="{strings.INBOX_PROGRESS}"></progress>'
            f'<button type="button" class="again" hidden>{strings.INBOX_AGAIN}</button></div>'
        ),
        js_on_load=(Path(__file__).parent / "inbox.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def uploaded(path: object, folder: Path) -> Path:
    """The path of an upload. Raises ImageError for anything else, which would be a file of the server or an address."""
    with contextlib.suppress(OSError, ValueError):  # no path at all
        place = Path(path if isinstance(path, str) else "").resolve()
        if place.is_file() and place.is_relative_to(Path(folder).resolve()):
            return place
    raise ImageError(strings.API_NO_UPLOAD)
