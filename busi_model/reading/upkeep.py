"""What a running store needs now and then: deletions are finished, the write-ahead log is emptied, leftovers go.

Enters: a store. Leaves: nothing. A thread does it while the program runs, and once more at the end: then the database
file alone holds everything, and a copy of it made by other tools is whole.
"""

import contextlib
import logging
import threading
import time

from busi_model.reading.errors import StoreError
from busi_model.reading.store import Store

LOG = logging.getLogger(__name__)
INTERVAL_S = 20.0
QUIET_S = 120.0  # without a save: then the log is emptied
LEFTOVERS_S = 3600.0  # between looks for pictures that a crash left


class Upkeep:
    """Tends one store in a thread of its own."""

    def __init__(self, store: Store, interval_s: float = INTERVAL_S, quiet_s: float = QUIET_S):
        self._store, self._interval_s, self._quiet_s = store, interval_s, quiet_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._leftovers_at = time.monotonic()
        self._said = ""

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and empty the log a last time."""
        self._stopping.set()
        if self._thread:
            self._thread.join(timeout=2)
        with contextlib.suppress(StoreError):
            self._store.checkpoint()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.tend(self._quiet_s)

    def tend(self, quiet_s: float) -> None:
        """One round. quiet_s: how long nothing must have been saved before the log is emptied. Never raises."""
        try:
            self._store.work_off()
            if self._store.log_age_s() >= quiet_s:
                self._store.checkpoint()
            if time.monotonic() - self._leftovers_at > LEFTOVERS_S:
                self._leftovers_at = time.monotonic()
                self._store.drop_leftovers()
            self._said = ""
        except StoreError as error:
            if str(error) != self._said:  # once: a full disk is not helped by a long log
                self._said = str(error)
                LOG.warning("The records could not be tended: %s", error)
