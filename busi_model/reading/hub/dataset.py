"""A private dataset on the Hugging Face Hub: how a record lies in it, and how files come and go.

Enters: records. Leaves: `records/DATE/KEY.json` in the dataset, one immutable file a record. When, and what is tried
again: `sync`.
"""

import base64
import json
import sqlite3
from dataclasses import asdict
from functools import partial

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_session, set_client_factory

from busi_model.reading.errors import StoreError
from busi_model.reading.storage.store import Record, Store


class Datasets:
    """Those that one token reaches. Everything raises what huggingface_hub and the network raise."""

    def __init__(self, token: str, endpoint: str | None, timeout_s: float):
        """endpoint: the hub's address, None for huggingface_hub's own (HF_ENDPOINT)."""
        self._api = HfApi(endpoint=endpoint, token=token)
        self._made: set[str] = set()
        kind, hooks = type(get_session()), get_session().event_hooks  # its own time limit is: none
        client = partial(kind, event_hooks=hooks, follow_redirects=True, timeout=timeout_s)
        set_client_factory(client)  # huggingface_hub has one client for the whole process

    def make_sure_it_is_private(self, repo_id: str) -> None:
        """Make the repository once; ask before each push whether it is private still. Raises StoreError."""
        if repo_id not in self._made:
            self._api.create_repo(repo_id, repo_type="dataset", private=True, exist_ok=True)
            self._made.add(repo_id)
        if not self._api.repo_info(repo_id, repo_type="dataset").private:
            raise StoreError("dataset_public")

    def add(self, repo_id: str, bodies: dict[str, bytes]) -> None:
        """Put files into the dataset, by path, in one commit."""
        operations = [CommitOperationAdd(path, body) for path, body in bodies.items()]
        message = f"{len(bodies)} records"
        self._api.create_commit(repo_id, operations, commit_message=message, repo_type="dataset")

    def remove(self, repo_id: str, paths: list[str]) -> None:
        """Delete files, as far as they are there, from the dataset's history too."""
        there = self._api.get_paths_info(repo_id, paths, repo_type="dataset")
        if there:
            gone = [CommitOperationDelete(file.path) for file in there]
            message = f"{len(there)} records removed"
            self._api.create_commit(repo_id, gone, commit_message=message, repo_type="dataset")
        self._api.super_squash_history(repo_id, repo_type="dataset")


def path_of(key: str, saved_at: str) -> str:
    return f"records/{saved_at[:10]}/{key}.json"


def render(store: Store, connection: sqlite3.Connection, record: Record) -> bytes:
    """A record as one JSON file that explains itself without the database; the same record gives the same bytes.

    Pictures are base64 of PNG; `image_png` is there only with the reader's consent.
    """
    body = asdict(record) | {"form": 1, "receipt": record.receipt}
    for name in ("reader_id", "session_id", "image_kept"):
        del body[name]
    for name in ("mask_png", "model_mask_png"):
        body[name] = _base64(body[name])
    picture = store.image_path(record.image_sha256 or "")
    if record.image_kept and picture.is_file():
        body["image_png"] = _base64(picture.read_bytes())
    if record.session_id is not None:
        session = connection.execute("SELECT * FROM session WHERE id = ?", (record.session_id,)).fetchone()
        reader = connection.execute("SELECT * FROM reader WHERE id = ?", (record.reader_id,)).fetchone()
        case = connection.execute(
            "SELECT truth FROM session_case WHERE session_id = ? AND number = ?",
            (record.session_id, record.case_number),
        ).fetchone()
        body["session"] = {"id": session["id"], "name": session["name"], "read_first": bool(session["read_first"])}
        body["reader"] = {name: reader[name] for name in ("number", "pseudonym", "role", "years")}
        body["truth"] = case["truth"] if case else None
    return json.dumps(body, sort_keys=True, ensure_ascii=False, indent=1).encode()


def _base64(png: bytes | None) -> str | None:
    return None if png is None else base64.b64encode(png).decode("ascii")
