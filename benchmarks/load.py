"""python -m benchmarks.load [--clients 1 10 50] [--requests N] [--url URL] [--out DIR]: many clients at once.

Each client sends a picture of its own, another size and seed than all others, to the running page's API, and checks
that the answer is what a Predictor here says of this very picture. A request ends answered, busy (the server said so in
words), lost (anything else) or mixed up (an answer that is not its picture's). Beside the clients one sends its upload
a few bytes at a time, one breaks its uploads off, and one opens the page itself twice a second, as a visitor who
comes now would. Latency is from the upload to the mask in hand; compare the ratios, and p95 with what the cores allow:
`floor_ms` is the clients times the Predictor's own time for a picture. Memory is the server's resident memory after 100
and after --requests requests (Linux; not with --url). The page that is started here runs without the weights'
out-of-distribution detector: the pictures are phantoms, which it refuses, and a refusal could be anybody's.
"""

import argparse
import contextlib
import http.client
import json
import math
import re
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from benchmarks.app import served
from busi_model.clinic.view import encode_png
from busi_model.model import checkpoint
from busi_model.names import CLASS_NAMES
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor

ROOT = Path(__file__).parents[1]
PATIENCE_S = 300
FIRST_MEMORY = 100  # requests, after which caches are filled
KINDS = ("answered", "busy", "lost", "mixed up")
EDGE = "busi-load"


@dataclass(frozen=True)
class Picture:
    png: bytes
    mask: np.ndarray  # bool (H, W), the Predictor's own
    class_probabilities: dict[str, float]


def pictures(predictor, count: int) -> list[Picture]:
    """Phantoms that differ in class, seed and size, with their answers."""
    made = []
    for n in range(count):
        gray, _ = draw_phantom(CLASS_NAMES[n % 3], n, 200 + 4 * n, 260 + 6 * n)
        prediction = predictor(gray)
        made.append(Picture(encode_png(gray), prediction.mask, prediction.class_probabilities))
    return made


def form(png: bytes) -> bytes:
    """An upload's body."""
    head = f'--{EDGE}\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    return head.encode() + png + f"\r\n--{EDGE}--\r\n".encode()


def ask(url: str, picture: Picture) -> str:
    """One request, from the upload to the mask: one of KINDS."""
    try:
        kind = {"Content-Type": f"multipart/form-data; boundary={EDGE}"}
        path = json.loads(_fetch(f"{url}/gradio_api/upload", form(picture.png), kind))[0]
        return read_uploaded(url, path, picture)
    except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError):
        return "lost"


def read_uploaded(url: str, path: str, picture: Picture) -> str:
    """The rest of `ask`, once the picture lies on the server. Raises what a broken connection or answer raises."""
    body = json.dumps({"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}).encode()
    try:
        event = json.loads(_fetch(f"{url}/gradio_api/call/predict", body, {"Content-Type": "application/json"}))
    except urllib.error.HTTPError as error:
        said = json.load(error).get("detail", "")
        return "busy" if error.code == 503 and re.search(r"busy, \d+ ", said) else "lost"
    events = _fetch(f"{url}/gradio_api/call/predict/{event['event_id']}").decode()
    if "event: complete" not in events:
        return "lost"
    reading, mask = json.loads(re.search(r"^data: (\[.*)$", events, re.MULTILINE)[1])
    pixels = np.asarray(Image.open(BytesIO(_fetch(mask["url"]))))
    return "answered" if is_of(picture, reading["class_probabilities"], pixels > 0) else "mixed up"


def is_of(picture: Picture, class_probabilities, mask) -> bool:
    """Whether an answer is this picture's. Other numbers of threads may round otherwise, at the mask's rim, too."""
    return (
        mask.shape == picture.mask.shape
        and np.mean(mask != picture.mask) < 1e-3
        and all(abs(class_probabilities[name] - p) < 1e-3 for name, p in picture.class_probabilities.items())
    )


def _fetch(url, body=None, headers=None) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, body, headers or {}), timeout=PATIENCE_S) as answer:
        return answer.read()


def send_raw(url: str, body: bytes, pieces: int, pause_s: float, share: float = 1.0) -> bytes:
    """Upload by hand, in pieces with pauses; share below 1: break off there. Returns what the server answered."""
    place = urlsplit(url)
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={EDGE}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((place.hostname, place.port or 80), PATIENCE_S) as connection:
        connection.sendall(head.encode())
        end, size = int(share * len(body)), -(-len(body) // pieces)
        for begin in range(0, end, size):
            connection.sendall(body[begin : min(begin + size, end)])
            time.sleep(pause_s)
        if share < 1:
            return b""
        return b"".join(iter(lambda: connection.recv(2**16), b""))


def run_clients(url: str, chosen: list[Picture], n_requests: int) -> tuple[dict, list[float]]:
    """As many clients as pictures at once, n_requests in all -> how many ended how, seconds of the answered ones."""
    share = [n_requests // len(chosen) + (n < n_requests % len(chosen)) for n in range(len(chosen))]

    def client(picture, count):
        outcomes = []
        for _ in range(count):
            begin = time.perf_counter()
            outcomes.append((ask(url, picture), time.perf_counter() - begin))
        return outcomes

    with ThreadPoolExecutor(len(chosen)) as pool:
        outcomes = [one for many in pool.map(client, chosen, share) for one in many]
    counts = {kind: sum(end == kind for end, _ in outcomes) for kind in KINDS}
    return counts, [seconds for end, seconds in outcomes if end == "answered"]


def memory_mb(pid: int) -> float:
    """Resident memory of a process, in MB of 10^6 bytes; NaN where the system does not say."""
    try:
        return 1024e-6 * int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1])
    except OSError:
        return float("nan")


def measure(
    url: str, pid: int | None, made: list[Picture], clients: list[int], n_requests: int, own_s: float = math.nan
) -> dict:
    """The whole run. n_requests: in all, shared among the rounds. own_s: of the Predictor for one picture."""
    ended, page_s = threading.Event(), []

    def visit():
        while not ended.wait(0.5):
            begin = time.perf_counter()
            try:
                _fetch(url)
                page_s.append(time.perf_counter() - begin)
            except OSError:
                page_s.append(math.inf)

    def disturb(pieces, pause_s, share):
        while not ended.is_set():
            with contextlib.suppress(OSError):
                send_raw(url, form(made[0].png), pieces, pause_s, share)
            ended.wait(1)

    for _ in range(3):
        ask(url, made[0])  # so that the first round does not pay for what is made once
    rows, memory, done = [], {}, 0
    with ThreadPoolExecutor(3) as pool:
        disturbers = [pool.submit(disturb, 60, 0.2, 1.0), pool.submit(disturb, 4, 0.01, 0.6), pool.submit(visit)]
        try:
            for number, count in enumerate(clients):
                total = n_requests // len(clients) + (number < n_requests % len(clients))
                counts, seconds = dict.fromkeys(KINDS, 0), []
                page_s.clear()
                for part in _parts(done, total):
                    ends, took = run_clients(url, made[:count], part)
                    counts = {kind: counts[kind] + ends[kind] for kind in KINDS}
                    seconds += took
                    done += part
                    if pid and done in (FIRST_MEMORY, n_requests):
                        memory[done] = memory_mb(pid)
                rows.append(
                    {"clients": count, "requests": total, **counts, **_latency(seconds)}
                    | {"floor_ms": 1000 * count * own_s, "page_ms": 1000 * max(page_s, default=math.nan)}
                )
        finally:
            ended.set()
        for one in disturbers:
            one.result()
    return {"rows": rows, "memory_mb": memory}


def _parts(done, total):
    """A round's requests, cut where memory is looked at."""
    first = FIRST_MEMORY - done
    return [first, total - first] if 0 < first < total else [total]


def _latency(seconds):
    if not seconds:
        return {"median_ms": None, "p95_ms": None}
    return {"median_ms": 1000 * statistics.median(seconds), "p95_ms": 1000 * float(np.quantile(seconds, 0.95))}


def _own_time(predictor, picture) -> float:
    """Seconds of one picture without server and waiting: the median of ten."""
    gray, took = np.asarray(Image.open(BytesIO(picture.png))), []
    for _ in range(10):
        begin = time.perf_counter()
        predictor(gray)
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def markdown(found: dict) -> str:
    """One table: a row a number of clients, and under it the memory."""
    columns = ("clients", "requests", *KINDS, "median_ms", "p95_ms", "floor_ms", "page_ms")
    single = next((row["median_ms"] for row in found["rows"] if row["clients"] == 1), None)
    lines = ["| " + " | ".join([*columns, "p95 / median of 1"]) + " |", "|---" * (len(columns) + 1) + "|"]
    for row in found["rows"]:
        cells = ["-" if row[name] is None else f"{row[name]:.0f}" for name in columns]
        ratio = f"{row['p95_ms'] / single:.1f}" if single and row["p95_ms"] else "-"
        lines.append("| " + " | ".join([*cells, ratio]) + " |")
    sizes = [f"{size:.0f} MB after {count} requests" for count, size in found["memory_mb"].items()]
    lines += ["", "page_ms: the slowest answer to `/` meanwhile. floor_ms: clients times the Predictor's own time."]
    return "\n".join(lines) + f"\n\nResident memory of the server: {', '.join(sizes) or 'not measured'}.\n"


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--requests", type=int, default=2000, help="in all, shared among the numbers of clients")
    parser.add_argument("--url", help="address of a running page with the same weights; left out: one is started")
    parser.add_argument("--weights", default=str(ROOT / "weights"))
    parser.add_argument("--out", default="runs/load", help="folder for load.json and load.md")
    arguments = parser.parse_args(arguments)
    if min(arguments.clients) < 1 or arguments.requests // len(arguments.clients) < max(arguments.clients):
        parser.error("At least 1 client, and in each round a request for each client, are needed: raise --requests.")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as weights:
        shutil.copytree(arguments.weights, weights, dirs_exist_ok=True)
        if not arguments.url:
            for name in (checkpoint.OOD_NAME, checkpoint.OLD_OOD_NAME):
                Path(weights, name).unlink(missing_ok=True)
        predictor = Predictor.load(weights, "cpu")
        made = pictures(predictor, max(arguments.clients))
        own_s = _own_time(predictor, made[0])
        started = contextlib.nullcontext((arguments.url, None, None)) if arguments.url else served(weights)
        with started as (url, pid, _):
            found = measure(url.rstrip("/"), pid, made, arguments.clients, arguments.requests, own_s)
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "load.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (folder / "load.md").write_text(markdown(found), encoding="utf-8")
    print(markdown(found))
    return int(any(row["lost"] or row["mixed up"] for row in found["rows"]))


if __name__ == "__main__":
    sys.exit(main())
