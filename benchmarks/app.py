"""The page as a process of its own, for the benchmarks that speak to it."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE_S = 300


@contextlib.contextmanager
def served(weights):
    """Run app.py with a store and a temporary folder of its own; gives its address, its process id and the seconds
    until it answered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        settings = {"BUSI_WEIGHTS": str(weights), "BUSI_STORE": f"{folder}/store", "TMPDIR": folder}
        environment = {**os.environ, **settings, "GRADIO_SERVER_PORT": str(port)}
        environment.pop("BUSI_AUTH", None)
        begin = time.perf_counter()
        server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_served(url, server)
            yield url, server.pid, time.perf_counter() - begin
        finally:
            server.terminate()
            server.wait(60)


def _wait_until_served(url, server):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("The app did not start; run `python app.py` to see why.") from None
            time.sleep(0.02)
