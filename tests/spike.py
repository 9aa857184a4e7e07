"""How much memory reading a file takes at its peak: `python -m tests.spike`, then a path a line.

A line of JSON comes back for each: MiB, and the sentence that refused it or the codes of its notices. Each is read in a
process of its own, whose resident memory is compared with what it had before.
"""

import json
import multiprocessing
import os
import resource
import sys
from pathlib import Path

from busi_model.image import ImageError, read_image


def peak(path) -> dict:
    """Of this process, which must not have taken more before."""
    before = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        found = {"refused": "", "notices": [notice.code for notice in read_image(path).notices]}
    except ImageError as error:
        found = {"refused": str(error), "notices": []}
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"mib": (most - before) / 2**20, **found}


def main() -> None:
    # Not a Pool: that has threads, and a child that is forked beside them can inherit a lock that nobody gives back.
    context = multiprocessing.get_context("fork")
    for line in sys.stdin:
        receiver, sender = context.Pipe(duplex=False)
        path = line.rstrip("\n")
        process = context.Process(target=lambda path=path, sender=sender: sender.send(peak(path)))
        process.start()
        sender.close()
        print(json.dumps(receiver.recv()), flush=True)
        process.join()


if __name__ == "__main__":
    main()
