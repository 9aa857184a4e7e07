"""A run's last whole epoch on the disk: a dict of states goes in, and comes out for the same run only."""

import errno
import pickle
from pathlib import Path
from typing import Any

import torch

from busi_model.errors import remedy
from busi_model.files import written_whole
from busi_model.training.fitting.history import write_history
from busi_model.training.fitting.recipe import RunError

FILE = "last.pt"


def there(folder: Path) -> bool:
    return (folder / FILE).is_file()


def save(folder: Path, state: dict[str, Any]) -> None:
    """state: "identity" (what the run is, plain values), "history" (a row an epoch) and whatever `torch.save` takes.
    The history lies beside it as a table. Raises RunError."""
    try:
        with written_whole(folder / FILE) as temporary:  # a kill during the write leaves the epoch before
            torch.save(state, temporary)
        write_history(state["history"], folder / "history.csv")
    except (OSError, RuntimeError) as error:  # PyTorch's writer says RuntimeError of a full disk
        temporary.unlink(missing_ok=True)
        known = error if isinstance(error, OSError) and error.errno else OSError(errno.ENOSPC, "the disk may be full")
        raise RunError(
            f"{folder} cannot be written ({known.strerror}). {remedy(known)} "
            "Then the same command resumes from the epoch before."
        ) from error


def load(folder: Path, identity: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """What `save` kept. Raises RunError for a damaged file, and for that of another run."""
    path = folder / FILE
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise RunError(
            f"{path} is damaged, or no checkpoint of this program. Delete it to begin anew, or give a new --out."
        ) from error
    changed = [key for key in identity if state["identity"].get(key) != identity[key]]
    if changed:
        raise RunError(
            f"{folder} holds a run with other settings ({', '.join(changed)}). "
            "Give --out a new folder, or the settings of that run to resume it."
        )
    return state
