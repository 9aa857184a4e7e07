"""Which processes a test's program started, and whether they still run (Linux)."""

from pathlib import Path


def children(pid):
    """Process ids of those that `pid` started and that have not been waited for."""
    return [int(number) for task in Path(f"/proc/{pid}/task").iterdir() for number in _read(task / "children").split()]


def runs(pid):
    return _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2][1:2] not in ("", "Z")


def _read(path):
    try:
        return path.read_text()
    except OSError:  # it has ended
        return ""
