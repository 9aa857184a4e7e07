"""The web page: `python app.py`, then open the address it prints.

Enters: weights/, or another folder or Hub repository "owner/name" named by BUSI_WEIGHTS. Leaves: a page
that only this machine can open, unless it runs on a Hugging Face Space or GRADIO_SERVER_NAME says
otherwise; the port comes from GRADIO_SERVER_PORT. BUSI_AUTH asks users for a password, BUSI_HUB_USERS
on a Space for their Hub account. Nothing is sent elsewhere; what users open is deleted after about an
hour and at the end.
"""

import contextlib
import ctypes
import os
import signal
import sys
import threading
from pathlib import Path

from busi_model import temporary

PORT = os.environ.get("GRADIO_SERVER_PORT")
if PORT and not (PORT.isdecimal() and 0 < int(PORT) < 2**16):  # Gradio reads it when it is imported
    raise SystemExit(f"app.py: GRADIO_SERVER_PORT is {PORT!r}; a number from 1 to 65535 is expected.")
CLOSING = contextlib.ExitStack()  # what must be done at the end, however it comes
try:
    PRIVATE_FOLDER = str(CLOSING.enter_context(temporary.private_folder()))
except OSError as error:
    raise SystemExit(f"app.py: No temporary folder can be made ({error.strerror}). Name one with TMPDIR.") from None
# Before Gradio and the Hub client are imported: they read these once.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_TEMP_DIR"] = PRIVATE_FOLDER

from busi_model import __version__, page
from busi_model.checkpoint import CheckpointError
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from busi_model.reading.errors import StoreError
from busi_model.reading.outbox import Outbox
from busi_model.reading.store import Store

END_S = 4.5  # from a SIGTERM to the end, whatever is under way
WEIGHTS = os.environ.get("BUSI_WEIGHTS") or str(Path(__file__).parent / "weights")


def main() -> None:
    on_space = "SPACE_ID" in os.environ  # there a proxy stands in front
    server_name = os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_space else "127.0.0.1")
    page.log_discreetly()
    share_memory()
    temporary.sweep()
    try:
        walls = page.walls(server_name, on_space)
        predictor = Predictor.load(WEIGHTS)
    except (CheckpointError, page.LoginError) as error:
        raise SystemExit(f"app.py: {error}") from None
    predictor(draw_phantom("normal", seed=0)[0])  # the first pass through a network is the slow one
    CLOSING.callback(page.helpers().close)
    page.helpers().warm_up()
    store, outbox = open_store()
    built = page.build(predictor, WEIGHTS, PRIVATE_FOLDER, store, outbox)
    first = int(PORT or 7860)
    try:
        server = page.serve(built, walls, server_name, range(first, first + 100))
    except OSError:
        raise SystemExit(
            f"app.py: Neither port {first} nor the 99 after it is free at {server_name}, or that is not this "
            "machine's address. Name others with GRADIO_SERVER_PORT and GRADIO_SERVER_NAME."
        ) from None
    CLOSING.callback(server.stop)
    shown = "localhost" if server_name in ("0.0.0.0", "::", "[::]") else server_name
    print(f"The page is at http://{shown}:{server.port}/ (stop it with Ctrl-C).", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.wait()


def share_memory() -> None:
    """glibc would give each thread that answers a pool of its own, which stays as large as what it once held."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(-8, 2)  # M_ARENA_MAX


def open_store() -> tuple[Store | None, Outbox | None]:
    """Where readings are kept (BUSI_STORE), and the copies' way to the Hub; without a disk to write on, the page still
    reads images."""
    try:
        store = Store(app_version=__version__)
    except StoreError as error:
        print(f"app.py: feedback and reading sessions are off. {error}", file=sys.stderr)
        return None, None
    outbox = Outbox.from_environment(store)
    if outbox:
        outbox.start()
    return store, outbox


class Stopped(BaseException):  # noqa: N818 - it is no error
    """Somebody asked the program to end."""


def stop(*_) -> None:
    """A plain `kill` must not leave images behind; service managers send it twice, and once is enough."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end = threading.Timer(END_S, os._exit, (0,))  # whatever still runs then: nothing that was acknowledged is lost
    end.daemon = True
    end.start()
    raise Stopped


def run() -> None:
    """`main`, and an end that leaves no image behind."""
    signal.signal(signal.SIGTERM, stop)
    page.bound_output()
    try:
        main()
    except Stopped:
        pass
    finally:
        CLOSING.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # Python and torch would take seconds to give back every object; the system does it at once


if __name__ == "__main__":
    run()
