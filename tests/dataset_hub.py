"""The few paths of the Hugging Face Hub that the outbox uses, on a loopback address, with every way to fail.

`faults` is a queue: each request takes the next one and suffers it ("ok" where none is left): an HTTP status,
(status, headers), "hang", "cut" (the connection closes after the request), "done, then cut" (the commit is made and
its answer lost) or "late" (the commit is made when `release` is set, whoever waits for it).
"""

import base64
import hashlib
import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


class HubStandIn:
    def __init__(self, token: str, private: bool = True):
        self.token, self.private = token, private
        self.files: dict[str, bytes] = {}
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
            self.created.append(json.loads(body))
            return 200, {"url": f"{self.endpoint}/datasets/me/records"}
        if path in ("/api/datasets/me/records", "/api/datasets/me/records/revision/main"):
            return 200, {"id": "me/records", "private": self.private, "sha": "0" * 40, "tags": []}
        if path == "/api/datasets/me/records/preupload/main":
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "regular",
                    "shouldIgnore": False,
                    "oid": self._git_oid(file["path"]),
                }
                for file in json.loads(body)["files"]
            ]
            return 200, {"files": files}
        if path == "/api/datasets/me/records/commit/main":
            return self._commit([json.loads(line) for line in body.splitlines()])
        if path == "/api/datasets/me/records/paths-info/main":
            there = [name for name in parse_qs(body.decode())["paths"] if name in self.files]
            return 200, [{"type": "file", "path": name, "size": 1, "oid": self._git_oid(name)} for name in there]
        if path == "/api/datasets/me/records/super-squash/main":
            self.squashed += 1
            return 200, {}
        return 404, {"error": f"no such path: {path}"}

    def _commit(self, lines):
        touched = [line["value"]["path"] for line in lines if line["key"] != "header"]
        if self.refused_paths & set(touched):
            return 400, {"error": "a file is refused"}
        for line in lines:
            if line["key"] == "file":
                self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                del self.files[line["value"]["path"]]
        self.commits.append(touched)
        return 200, {
            "commitUrl": f"{self.endpoint}/datasets/me/records/commit/1",
            "commitOid": "1" * 40,
            "commitTitle": "t",
        }

    def _git_oid(self, path):
        if path not in self.files:
            return None
        content = self.files[path]
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def wait_until(condition, seconds=60):
    """Poll until the condition holds; the caller asserts what it wanted to see."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not condition():
        time.sleep(0.02)
