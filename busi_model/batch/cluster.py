"""The work on many machines, by Ray Data: the same worker, as actors that load the weights once.

Every node needs this package, and sees files, weights and results under the same paths. Ray starts a killed actor
again and gives its portion to another; rows reach the results only when a portion is finished, so none comes twice.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from busi_model.batch.work import BatchError, Wanted, Worker
from busi_model.predict import Predictor

FILES_AT_ONCE = 8


class _Actor:
    def __init__(self, folder: str, weights: Path | str | None, device: str, wanted: Wanted):
        os.chdir(folder)  # paths may be relative, and the rows say them as they were given
        self.worker = Worker(Predictor.load(weights, device, operating_point=wanted.operating_point), wanted)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        # One text a file: rows differ in their keys, and frames of one file must stay together.
        return {"rows": [json.dumps(self.worker([path])) for path in batch["path"]]}


def judge_on_cluster(
    paths: Iterable[str],
    weights: Path | str | None,
    device: str,
    wanted: Wanted,
    address: str = "auto",
    workers: int | None = None,
) -> Iterator[list[dict]]:
    """Yield the rows of one file at a time, in no order. address: "auto" (a running cluster, else this machine),
    "local" (this machine) or that of a cluster. workers: at most so many actors. Raises BatchError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        text = "Ray is not installed; `pip install '.[ray]'` in BUSI's folder brings it."
        raise BatchError(text) from None
    begun = not ray.is_initialized()
    try:
        if begun:
            place = None if address == "auto" else address
            ray.init(place, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False  # the command has its own
        on_gpu = ray.cluster_resources().get("GPU", 0) > 0 and device != "cpu"
        most = workers or int(ray.cluster_resources()["GPU" if on_gpu else "CPU"])
        rows = ray.data.from_items([{"path": path} for path in paths]).map_batches(
            _Actor,
            fn_constructor_args=(os.getcwd(), weights, device, wanted),
            batch_size=FILES_AT_ONCE,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
            num_gpus=1 if on_gpu else None,
            num_cpus=None if on_gpu else 1,
        )
        for record in rows.iter_rows():
            yield json.loads(record["rows"])
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise BatchError(f"Ray gave up ({type(error).__name__}). The same command goes on from here.") from error
    finally:
        if begun:
            ray.shutdown()
