"""What an epoch's row of history.csv says goes to a log that other programs show, beside the file.

Enters: rows of the history. Leaves: RUN/tensorboard, for `tensorboard --logdir RUN`. The package is loaded only when
the log is wanted. Nothing leaves the machine.
"""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

from busi_model.training.fit import RunError

LOGS = ("tensorboard",)


def check_log(kind: str | None) -> None:
    """Raises RunError where the package is not installed; cheap, to be called before any work."""
    if kind and importlib.util.find_spec(kind) is None:
        raise RunError(f"--log {kind} needs the package {kind}. Run: pip install 'busi-model[{kind}]'")


@contextlib.contextmanager
def opened_log(kind: str | None, folder) -> Iterator[Callable[[dict], None]]:
    """A function that takes the row of an epoch; it does nothing where no log is wanted. A resumed run goes on in the
    same log. Raises RunError."""
    check_log(kind)
    if kind is None:
        yield lambda row: None
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(Path(folder, kind))) as writer:

        def write(row):
            for name, value in row.items():
                if name != "epoch":
                    writer.add_scalar(_tag(name), value, row["epoch"])
            writer.flush()  # a kill loses no epoch that history.csv holds

        yield write


def _tag(name):
    """Losses of training and of held-out images under one heading, so that they are compared."""
    side, _, rest = name.partition("_")
    return {"train": f"training/{rest}", "val": f"held out/{rest}"}.get(side, f"run/{name}")
