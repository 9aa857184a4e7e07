"""The page: the only place, besides app.py, that knows Gradio.

One module a panel; every word is in `strings`, the looks are in `theme`.
"""

from pathlib import Path

import fastapi
import gradio as gr
from starlette.middleware import Middleware

from busi_model.page import about, api, host, hub_login, server, session, single, strings, waiting, wire
from busi_model.page.decoding import helpers
from busi_model.page.log import bound_output, log_discreetly
from busi_model.page.login import Accounts, LoginError
from busi_model.page.theme import CSS, calm_theme
from busi_model.reading.codes import HostGate
from busi_model.reading.outbox import storage_warning
from busi_model.reading.session import Sessions

__all__ = ["LoginError", "bound_output", "build", "helpers", "log_discreetly", "looks", "serve", "walls"]

MAX_FILE_SIZE = "100mb"  # an uncompressed 16-bit image of 40 megapixels has 80


def build(predictor, weights_folder, private_folder, store=None, outbox=None) -> gr.Blocks:
    """Put the panels together.

    weights_folder: where a model card may lie. private_folder: GRADIO_TEMP_DIR, for pictures on their way
    out. store: where readings are kept, or None: nothing can be kept, and the panels that would are left out. outbox:
    copies of the store's records to the Hub, or None.
    """
    how = {"analytics_enabled": False, "delete_cache": (600, 3600), "fill_width": True}
    with server.Page(title=strings.TITLE, **how) as page:
        gr.HTML(f'<p role="note">{strings.RESEARCH_USE}</p>', elem_id="notice")
        page.expects_oauth = hub_login.HubUsers.from_environment() is not None
        way_out = f'<a href="{hub_login.SIGN_OUT}">{strings.HUB_SIGN_OUT}</a>' if page.expects_oauth else ""
        heading = f"{way_out}<h1>{strings.HEADING} <small>{strings.SUBHEADING}</small></h1>"
        gr.HTML(heading, elem_id="heading")
        with gr.Tab(strings.TAB_READ):
            single.build(predictor, private_folder, store, outbox)
        if store:
            sessions, gate = Sessions(store), HostGate()
            with gr.Tab(strings.TAB_SESSION):
                session.build(sessions, predictor, outbox, storage_warning(store.folder))
            if gate.exists:
                with gr.Tab(strings.TAB_HOST):
                    host.build(store, sessions, gate, private_folder)
        with gr.Tab(strings.TAB_ABOUT):
            about.build(predictor.checkpoint, weights_folder)
        api.build(predictor, private_folder)
    waiting.limit(page)
    return page


def looks() -> dict:
    """Arguments for `launch`: theme, stylesheets and the few lines of JavaScript that belong to the whole page."""
    folder = Path(__file__).parent
    script = (folder / "upload.js").read_text(encoding="utf-8")
    sheets = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.css"))]
    return {"theme": calm_theme(), "css": "\n".join([CSS, *sheets]), "head": f"<script>{script}</script>"}


def walls(server_name: str, on_space: bool) -> server.Walls:
    """Who is let in, and to what. server_name: what the server will listen to. on_space: on a Hugging Face Space.
    Raises LoginError."""
    accounts, users = Accounts.from_environment(), hub_login.HubUsers.from_environment()
    inner = [Middleware(hub_login.Wall, users=users)] if users else []
    return server.Walls.from_environment(
        server_name, on_space, has_login=bool(accounts or users), accounts=accounts, inner=inner
    )


def serve(page: gr.Blocks, walls: server.Walls, server_name: str, ports) -> wire.Server:
    """Serve a finished page at the first free port. Raises OSError when none is free."""
    server.refuse_addresses()
    login = {"auth": walls.accounts, "auth_message": strings.LOGIN_TEXT} if walls.accounts else {}
    outer = fastapi.FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    gr.mount_gradio_app(
        outer,
        page,
        path="/",
        app_kwargs={"middleware": walls.middleware(page)},
        show_error=False,
        ssr_mode=False,
        run_history=False,  # Gradio would keep every image in the browser's storage
        max_file_size=MAX_FILE_SIZE,
        footer_links=[],
        enable_monitoring=False,
        **looks(),
        **login,
    )
    return wire.serve(outer, server_name, ports, walls.proxies)
