"""How much memory a file takes at its peak: `python -m tests.support.spike [WEIGHTS]`, then a path a line.

A line of JSON comes back for each: MiB, and the sentence that refused it or the codes of its notices. With weights it
is not only read, but judged as the API does, and the number of lesions comes back, too. Each has a process of its own,
whose resident memory is compared with what it had before (with weights: after a first small picture).
"""

import json
import multiprocessing
import os
import resource
import sys
from pathlib import Path

from busi_model.clinic.measure import measure_lesions
from busi_model.clinic.view import encode_png
from busi_model.image import ImageError, read_image
from busi_model.model.network import use_one_thread
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor


def peak(path, predictor) -> dict:
    """Of this process, which must not have taken more before. predictor: or None."""
    if predictor:
        judge(predictor, read_image(draw_phantom("malignant", 0)[0]))
    before = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        frame = read_image(path)
        found = {"refused": "", "notices": [notice.code for notice in frame.notices]}
        found["lesions"] = judge(predictor, frame) if predictor else None
    except ImageError as error:
        found = {"refused": str(error), "notices": []}
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"mib": (most - before) / 2**20, **found}


def judge(predictor, frame) -> int:
    prediction = predictor(frame)
    encode_png(prediction.mask)
    return len(measure_lesions(prediction.mask, prediction.margin))


def main() -> None:
    use_one_thread()  # a process that has started others of torch's cannot be forked
    predictor = Predictor.load(sys.argv[1], "cpu") if sys.argv[1:] else None
    # Not a Pool: that has threads, and a child that is forked beside them can inherit a lock that nobody gives back.
    context = multiprocessing.get_context("fork")
    for line in sys.stdin:
        receiver, sender = context.Pipe(duplex=False)
        path = line.rstrip("\n")
        process = context.Process(target=lambda path=path, sender=sender: sender.send(peak(path, predictor)))
        process.start()
        sender.close()
        print(json.dumps(receiver.recv()), flush=True)
        process.join()


if __name__ == "__main__":
    main()
