"""The page is started: `busi app`, `python app.py`, or a Space.

Enters: the weights that came with the program, or another folder or Hub repository "owner/name" named by BUSI_WEIGHTS.
Leaves: a page that only this machine can open, unless it runs on a Hugging Face Space or GRADIO_SERVER_NAME says
otherwise; the port comes from GRADIO_SERVER_PORT. BUSI_OPERATING_POINT names a file that `busi calibrate` wrote.
BUSI_AUTH asks users for a password, BUSI_HUB_USERS on a Space for their Hub account; BUSI_LANGUAGE names a file with
the page's words in another language (`language`). Nothing is sent elsewhere; what
users open is deleted after about an hour and at the end.
"""

import contextlib
import ctypes
import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from busi_model import __version__, files, language
from busi_model.errors import UserError
from busi_model.model.weights_folder import packaged
from busi_model.reading.errors import StoreError
from busi_model.reading.hub.sync import HubSync
from busi_model.reading.storage.deletion import Upkeep
from busi_model.reading.storage.store import Store

if TYPE_CHECKING:
    from busi_model.predict import Predictor

DEFAULT_PORT = 7860  # Gradio's
END_S = 4.5  # from a SIGTERM to the end, whatever is under way


class StartError(UserError):
    """A setting with which the page cannot start: what was found, what was expected, what to do."""


class Stopped(BaseException):  # noqa: N818 - it is no error
    """Somebody asked the program to end."""


def run(load: "Callable[..., Predictor] | None" = None) -> None:
    """Serve the page until the program is stopped, leave no image behind, and end the process.

    load: weights -> Predictor, for tests. Raises CheckpointError and StartError.
    """
    signal.signal(signal.SIGTERM, _stop)
    with contextlib.ExitStack() as closing:  # what must be done at the end, however it comes
        try:
            port = _port()
            private_folder = _private_folder(closing)
            os.environ["GRADIO_TEMP_DIR"] = private_folder  # before Gradio is imported, which reads it then
            serve(closing, private_folder, port, load)
        except (Stopped, KeyboardInterrupt):
            pass
        except Exception:  # compiled code may make an error of its own of a signal that meets it
            if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
                raise
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # Python and torch would take seconds to give back every object; the system does it at once


def serve(
    closing: contextlib.ExitStack,
    private_folder: str,
    port: int = DEFAULT_PORT,
    load: "Callable[..., Predictor] | None" = None,
) -> None:
    """Load the weights, open the store, build the page and serve it.

    closing: takes what must be ended. private_folder: GRADIO_TEMP_DIR. Raises CheckpointError and StartError.
    """
    _speak(os.environ.get("BUSI_LANGUAGE"))
    with without_stubs():
        from busi_model import page  # brings Gradio; with torch it takes seconds, in which a stop must be met as later
    from busi_model.phantom import draw_phantom
    from busi_model.predict import Predictor

    on_space = "SPACE_ID" in os.environ  # there a proxy stands in front
    server_name = os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_space else "127.0.0.1")
    page.bound_output()
    page.log_discreetly()
    _share_memory()
    files.sweep()
    try:
        rules = page.access_rules(server_name, on_space)
    except page.LoginError as error:
        raise StartError(str(error)) from None
    weights = os.environ.get("BUSI_WEIGHTS") or str(packaged())
    predictor = (load or Predictor.load)(weights, operating_point=os.environ.get("BUSI_OPERATING_POINT"))
    predictor(draw_phantom("normal", seed=0)[0])  # the first pass through a network is the slow one
    closing.callback(page.helpers().close)
    page.helpers().warm_up()
    store, hub_sync = _open_store(closing)
    built = page.build(predictor, weights, private_folder, store, hub_sync)
    try:
        server = page.serve(built, rules, server_name, range(port, port + 100))
    except OSError:
        raise StartError(
            f"Neither port {port} nor the 99 after it is free at {server_name}, or that is not this machine's "
            "address. Name others with GRADIO_SERVER_PORT and GRADIO_SERVER_NAME."
        ) from None
    closing.callback(server.stop)
    shown = "localhost" if server_name in ("0.0.0.0", "::", "[::]") else server_name
    print(f"The page is at http://{shown}:{server.port}/ (stop it with Ctrl-C).", flush=True)
    server.wait()


@contextlib.contextmanager
def without_stubs() -> Iterator[None]:
    """Importing Gradio would write a stub for editors beside each component's source, which takes half of the time. It
    writes none for a component that has no file."""
    getfile = inspect.getfile

    def without(thing: type) -> str:
        if sys._getframe(1).f_globals["__name__"] == "gradio.component_meta":
            raise OSError
        return getfile(thing)

    inspect.getfile = without  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = getfile


def _speak(path: str | None) -> None:
    """Another language than English. path: of its file."""
    if path:
        try:
            language.load(path)
        except language.LanguageError as error:
            raise StartError(f"BUSI_LANGUAGE: {error}") from None


def _port() -> int:
    text = os.environ.get("GRADIO_SERVER_PORT") or str(DEFAULT_PORT)
    if not (text.isdecimal() and 0 < int(text) < 2**16):
        raise StartError(f"GRADIO_SERVER_PORT is {text!r}; a number from 1 to 65535 is expected.")
    return int(text)


def _private_folder(closing: contextlib.ExitStack) -> str:
    try:
        return str(closing.enter_context(files.private_folder()))
    except OSError as error:
        text = f"No temporary folder can be made ({error.strerror}). Name one with TMPDIR."
        raise StartError(text) from None


def _share_memory() -> None:
    """glibc would give each thread that answers a pool of its own, which stays as large as what it once held."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(-8, 2)  # M_ARENA_MAX


def _open_store(closing: contextlib.ExitStack) -> tuple[Store | None, HubSync | None]:
    """Where readings are kept (BUSI_STORE), and the copies' way to the Hub; without a disk to write on, the page still
    reads images."""
    try:
        store = Store(app_version=__version__)
    except StoreError as error:
        print(f"Feedback and reading sessions are off. {error}", file=sys.stderr)
        return None, None
    upkeep = Upkeep(store)
    upkeep.start()
    closing.callback(upkeep.stop)
    hub_sync = HubSync.from_environment(store)
    if hub_sync:
        hub_sync.start()
        closing.callback(hub_sync.stop, 0.5)  # seconds; it writes no more when the upkeep empties the log
    return store, hub_sync


def _stop(*_: object) -> None:
    """A plain `kill` must not leave images behind; service managers send it twice, and once is enough."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end = threading.Timer(END_S, os._exit, (0,))  # whatever still runs then: nothing that was acknowledged is lost
    end.daemon = True
    end.start()
    raise Stopped
