"""The few paths of the Hugging Face Hub that `reading.hub` uses, on a loopback address, with every way to fail.

`faults` is a queue: each request takes the next one and suffers it ("ok" where none is left): an HTTP status,
(status, headers), "hang", "cut" (the connection closes after the request), "done, then cut" (the commit is made and
its answer lost) or "late" (the commit is made when `release` is set, whoever waits for it). A dataset is there once
it was made, and gone when it is taken out of `datasets`; `files` are those of me/records.
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


class HubStandIn:
    def __init__(self, token: str, private: bool = True):
        self.token, self.private = token, private
        self.datasets: dict[str, dict[str, bytes]] = {"me/records": {}}
        self.files = self.datasets["me/records"]
        self.commits: list[list[str]] = []  # paths that each commit touched
        self.created: list[dict] = []
        self.squashed = 0
        self.refused_paths: set[str] = set()  # a commit that holds one is answered with 400
        self.faults: deque = deque()
        self.asked: list[str] = []  # "METHOD path"
        self.release = threading.Event()
        self._closing = threading.Event()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # noqa: N802
                stand_in._answer(self, b"")

            def do_POST(self):  # noqa: N802
                stand_in._answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request, body):
        path = request.path.split("?")[0]
        self.asked.append(f"{request.command} {path}")
        fault = self.faults.popleft() if self.faults else "ok"
        if fault == "hang":
            self._closing.wait(30)
            fault = "cut"
        if fault == "cut":
            request.close_connection = True
            return
        if fault == "late":
            self.release.wait(60)
        if isinstance(fault, int):
            fault = (fault, {})
        if isinstance(fault, tuple):
            self._send(request, fault[0], {"error": "on purpose"}, fault[1])
        elif request.headers.get("Authorization") != f"Bearer {self.token}":
            self._send(request, 401, {"error": "Invalid credentials"})
        else:
            status, answer = self._do(path, body)
            if fault == "done, then cut":
                request.close_connection = True
            else:
                self._send(request, status, answer)

    @staticmethod
    def _send(request, status, answer, headers=None):
        content = json.dumps(answer).encode()
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _do(self, path, body):
        if path == "/api/repos/create":
            made = json.loads(body)
            self.created.append(made)
            name = f"{made.get('organization', 'me')}/{made['name']}"
            self.datasets.setdefault(name, {})
            return 200, {"url": f"{self.endpoint}/datasets/{name}"}
        found = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(.*)", path)
        if found is None or found[1] not in self.datasets:
            return 404, {"error": f"no such path: {path}"}
        name, path, files = found[1], found[2], self.datasets[found[1]]
        if path in ("", "/revision/main"):
            return 200, {"id": name, "private": self.private, "sha": "0" * 40, "tags": []}
        if path == "/preupload/main":
            wanted = [
                {
                    "path": file["path"],
                    "uploadMode": "regular",
                    "shouldIgnore": False,
                    "oid": _git_oid(files, file["path"]),
                }
                for file in json.loads(body)["files"]
            ]
            return 200, {"files": wanted}
        if path == "/commit/main":
            return self._commit(name, [json.loads(line) for line in body.splitlines()])
        if path == "/paths-info/main":
            there = [one for one in parse_qs(body.decode())["paths"] if one in files]
            return 200, [{"type": "file", "path": one, "size": 1, "oid": _git_oid(files, one)} for one in there]
        if path == "/super-squash/main":
            self.squashed += 1
            return 200, {}
        return 404, {"error": f"no such path: {path}"}

    def _commit(self, name, lines):
        files = self.datasets[name]
        touched = [line["value"]["path"] for line in lines if line["key"] != "header"]
        if self.refused_paths & set(touched):
            return 400, {"error": "a file is refused"}
        for line in lines:
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                del files[line["value"]["path"]]
        self.commits.append(touched)
        return 200, {
            "commitUrl": f"{self.endpoint}/datasets/{name}/commit/1",
            "commitOid": "1" * 40,
            "commitTitle": "t",
        }


def _git_oid(files, path):
    if path not in files:
        return None
    content = files[path]
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def wait_until(condition, seconds=60):
    """Poll until the condition holds; the caller asserts what it wanted to see."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not condition():
        time.sleep(0.02)
