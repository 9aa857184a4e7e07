"""The page: the only place, besides app.py, that knows Gradio.

One folder a panel, and none imports another: what two of them need lies beside this file, in `viewer` or in `server`.
Every word is in `strings`, the looks are in `theme`.
"""

import json
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import fastapi
import gradio as gr
from starlette.middleware import Middleware

from busi_model.page import api, strings
from busi_model.page.about import panel as about
from busi_model.page.feedback import panel as feedback
from busi_model.page.host import panel as host
from busi_model.page.host.calibration import Calibration
from busi_model.page.images import panel as images
from busi_model.page.server import gradio_inside, wire
from busi_model.page.server import queue as page_queue
from busi_model.page.server.access_rules import AccessRules
from busi_model.page.server.decoding import helpers
from busi_model.page.server.events import Page, refuse_addresses
from busi_model.page.server.log import bound_output, log_discreetly
from busi_model.page.server.sign_in import hub_login
from busi_model.page.server.sign_in.login import Accounts, LoginError
from busi_model.page.session import panel as session
from busi_model.page.theme import CSS, LARGE_SCREEN, calm_theme
from busi_model.predict import Predictor
from busi_model.reading.hub.sync import HubSync, storage_warning
from busi_model.reading.session.access import HostPassword
from busi_model.reading.session.sessions import Sessions
from busi_model.reading.storage.store import Store

__all__ = ["LoginError", "access_rules", "bound_output", "build", "helpers", "log_discreetly", "looks", "serve"]

MAX_FILE_SIZE = "100mb"  # an uncompressed 16-bit image of 40 megapixels has 80


def build(
    predictor: Predictor,
    weights_folder: Path | str,
    private_folder: Path | str,
    store: Store | None = None,
    hub_sync: HubSync | None = None,
) -> gr.Blocks:
    """Put the panels together.

    weights_folder: where a model card may lie. private_folder: GRADIO_TEMP_DIR, for pictures on their way
    out. store: where readings are kept, or None: nothing can be kept, and the panels that would are left out. hub_sync:
    copies of the store's records to the Hub, or None.
    """
    how: dict[str, Any] = {"analytics_enabled": False, "delete_cache": (600, 3600), "fill_width": True}
    with Page(title=strings.TITLE, **how) as page:
        page.expects_oauth = hub_login.HubUsers.from_environment() is not None
        api.build(predictor, private_folder)  # first: a panel's own event of the same name would take it
        gr.HTML(_top_line(page.expects_oauth), apply_default_css=False, elem_id="top")
        with gr.Tabs(elem_id="page-tabs"):
            with gr.Tab(strings.TAB_READ):
                asks = partial(feedback.FeedbackPanel, store, hub_sync) if store else None
                images.ImagesPanel(predictor, private_folder, asks).connect()
            if store:
                sessions, host_password = Sessions(store), HostPassword()
                with gr.Tab(strings.TAB_SESSION):
                    session.SessionPanel(sessions, predictor, hub_sync, storage_warning(store.folder)).connect()
                if host_password.exists:
                    with gr.Tab(strings.TAB_HOST):
                        calibration = Calibration(predictor, weights_folder)
                        host.HostPanel(store, sessions, host_password, private_folder, hub_sync, calibration).connect()
            with gr.Tab(strings.TAB_ABOUT):
                about.build(predictor.checkpoint, weights_folder)
    page_queue.limit(page)
    return page


def _top_line(has_sign_out: bool) -> str:
    """Name, what the page must not be used for, the switch of looks; the tabs lie over it (layout.css)."""
    way_out = f'<a href="{hub_login.SIGN_OUT}">{strings.HUB_SIGN_OUT}</a>' if has_sign_out else ""
    return (
        f'<header class="topline"><h1>{strings.HEADING} <small>{strings.SUBHEADING}</small></h1>'
        f'<p role="note" id="notice">{strings.RESEARCH_USE}</p>{way_out}'
        f'<button type="button" id="look" aria-pressed="false">{strings.LOOK_DARK}</button></header>'
    )


def looks() -> dict:
    """Arguments for `launch`: theme, stylesheets and the few lines of JavaScript that belong to the whole page."""
    folder = Path(__file__).parent
    scripts = [path.read_text(encoding="utf-8") for path in (folder / "server" / "stream.js", folder / "page.js")]
    script = "\n".join([f"document.documentElement.lang = {json.dumps(strings.LANGUAGE)};", *scripts])
    sheets = [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.css"))]
    # Gradio's own words lack this one: the tooltip in a file box would read "common.upload".
    missing = gr.I18n(en={"common.upload": strings.FILE_BOX_MORE})
    return {
        "theme": calm_theme(),
        "css": "\n".join([CSS, *sheets]),
        "head": f"{LARGE_SCREEN}<script>{script}</script>",
        "i18n": missing,
    }


def access_rules(server_name: str, on_space: bool) -> AccessRules:
    """Who is let in, and to what. server_name: what the server will listen to. on_space: on a Hugging Face Space.
    Raises LoginError."""
    accounts, users = Accounts.from_environment(), hub_login.HubUsers.from_environment()
    inner = [Middleware(hub_login.HubUsersOnly, users=users)] if users else []
    return AccessRules.from_environment(
        server_name, on_space, has_login=bool(accounts or users), accounts=accounts, inner=inner
    )


def serve(page: gr.Blocks, rules: AccessRules, server_name: str, ports: Collection[int]) -> wire.Server:
    """Serve a finished page at the first free port. Raises OSError when none is free."""
    refuse_addresses()
    login = {"auth": rules.accounts, "auth_message": strings.LOGIN_TEXT} if rules.accounts else {}
    outer = fastapi.FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    gr.mount_gradio_app(
        outer,
        page,
        path="/",
        app_kwargs={"middleware": rules.middleware(page)},
        show_error=False,
        ssr_mode=False,
        run_history=False,  # Gradio would keep every image in the browser's storage
        max_file_size=MAX_FILE_SIZE,
        footer_links=[],
        enable_monitoring=False,
        **looks(),
        **login,
    )
    gradio_inside.hold_to_uploads(page)
    return wire.serve(outer, server_name, ports, rules.proxies)
