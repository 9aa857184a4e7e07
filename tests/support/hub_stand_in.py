"""A small Hugging Face Hub on loopback: as much of its HTTP interface as downloads and pushes use.

It holds repositories in memory, keeps private ones from callers without the token, stores large files the LFS way, and
can break off a download.
"""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_standin"
LFS_SUFFIXES = (".safetensors", ".png")  # what the Hub takes by LFS or Xet only


@dataclass
class Repository:
    files: dict[str, bytes] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    revisions: tuple[str, ...] = ("main",)

    @property
    def sha(self) -> str:
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()


class Hub(ThreadingHTTPServer):
    """repositories: "models/owner/name" or "spaces/owner/name" -> Repository."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}  # LFS, by sha256
        self.break_off_after: int | None = None  # bytes of a file

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running_hub():
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._read()

    def do_HEAD(self):
        self._read()

    def _read(self):
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[0] == "api" and len(parts) < 4:
            self._error(404, None)  # what the client asks about itself
            return
        if parts[0] == "api":
            kind, owner, name, *rest = parts[1:]
            repository = self._visible(f"{kind}/{owner}/{name}")
            if repository is None:
                return
            if rest[:1] == ["tree"]:
                self._json([self._entry(path, content) for path, content in repository.files.items()])
            elif rest[:1] == ["revision"] and rest[1] not in (*repository.revisions, repository.sha):
                self._error(404, "RevisionNotFound")
            else:
                files = [{"rfilename": path} for path in repository.files]
                self._json({"id": f"{owner}/{name}", "sha": repository.sha, "siblings": files, "tags": []})
            return
        owner, name, _, _, *path = parts  # owner/name/resolve/revision/file
        repository = self._visible(f"models/{owner}/{name}")
        if repository is not None:
            self._file(repository, repository.files["/".join(path)])

    def _visible(self, key):
        """The repository; or else None, and the answer that the real Hub gives."""
        repository = self.server.repositories.get(key)
        logged_in = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repository is None or (repository.private and not logged_in):
            self._error(404 if logged_in else 401, "RepoNotFound")
        elif repository.gated:
            self._error(403, "GatedRepo")
        else:
            return repository
        return None

    def _entry(self, path, content):
        entry = {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
        if path.endswith(LFS_SUFFIXES):
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        return entry

    def _file(self, repository, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", repository.sha)
        self.end_headers()
        if self.command == "GET":
            limit = self.server.break_off_after
            self.wfile.write(content[:limit])
            if limit is not None and limit < len(content):
                self.close_connection = True

    def do_POST(self):
        body = (
            self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else self._chunks()
        )
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._error(401, None)
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts == ["api", "repos", "create"]:
            return self._create(json.loads(body))
        if parts == ["api", "validate-yaml"]:
            return self._json({"errors": [], "warnings": []})
        if parts[-3:] == ["lfs", "objects", "batch"]:
            return self._json({"objects": [self._lfs_upload(o) for o in json.loads(body)["objects"]]})
        key, action = "/".join(parts[1:4]), parts[4]
        if action == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(LFS_SUFFIXES) else "regular"}
                for f in json.loads(body)["files"]
            ]
            return self._json({"files": [f | {"shouldIgnore": False} for f in files]})
        return self._commit(key, [json.loads(line) for line in body.splitlines()])

    def _body(self):
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _create(self, wanted):
        kind = wanted.get("type") or "model"
        owner = wanted.get("organization") or "owner"
        if owner != "owner":
            return self._error(403, None)
        key = f"{kind}s/{owner}/{wanted['name']}"
        status = 409 if key in self.server.repositories else 200
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        self.server.repositories.setdefault(key, Repository(private=private))
        prefix = "" if kind == "model" else f"{kind}s/"
        return self._json({"url": f"{self.server.url}/{prefix}{owner}/{wanted['name']}"}, status)

    def _lfs_upload(self, wanted):
        href = f"{self.server.url}/lfs/{wanted['oid']}"
        return {"oid": wanted["oid"], "size": wanted["size"], "actions": {"upload": {"href": href, "header": {}}}}

    def do_PUT(self):
        content = (
            self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else self._chunks()
        )
        self.server.objects[hashlib.sha256(content).hexdigest()] = content
        self._json({})

    def _commit(self, key, lines):
        repository = self.server.repositories[key]
        plain = [base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"]
        if any(b"\0" in content for content in plain):
            return self._error(400, None)  # a raw binary
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.files[value["path"]] = self.server.objects[value["oid"]]
        self._json({"commitUrl": f"{self.server.url}/{key}/commit/{repository.sha}", "commitOid": repository.sha})

    def _error(self, status, code):
        body = json.dumps({"error": "refused"}).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, content, status=200):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
