"""Files that are there whole or not at all, whatever stops the program while it writes them."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a path beside the wanted one to write to; at the end that file takes the wanted one's place, unless
    something was raised: then the wanted one is as it was. Raises OSError."""
    temporary = Path(f"{os.fspath(path)}.writing")
    yield temporary
    os.replace(temporary, path)


def write_bytes(content: bytes, path: str | os.PathLike) -> None:
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def write_json(content: dict, path: str | os.PathLike) -> None:
    """Write valid JSON (undefined figures as null), whole or not at all."""
    text = json.dumps(_without_nan(content), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    write_bytes(text.encode(), path)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value
