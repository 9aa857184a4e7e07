"""Train BUSI's network: flags -> hospitals -> fit -> calibrate -> save -> report.

    busi train --data BUSI --data BUS-BRA --leave-one-out --out runs/abroad   # each hospital held out in turn
    busi train --data BUSI --data BUS-BRA --cross-validate --out runs/home    # each of five folds held out in turn
    busi train --data BUSI --data BUS-BRA --folds all --operating-point runs/abroad --out runs/release
                                              # the weights to ship: all images, calibrated by the hospitals left out
    busi train --data BUSI --out runs/fold0   # fold 0 held out
    torchrun --nproc_per_node=4 train.py ...  # four GPUs (or CPU processes) share each batch; the same result
    busi train ... --data corrected-cases     # and what clinicians corrected: one more hospital, for training only
    busi train ... --epochs 2 --size 128 --out runs/try      # does a change run at all? Minutes, on a CPU

The same command resumes a run that was stopped. RUN/weights (of a study: RUN/NAME/weights) is ready for
`Predictor.load`; RUN/evaluation says how the weights do on images that they never saw; history.csv and curves.png show
the epochs.
"""

import argparse
import contextlib
import dataclasses
import inspect
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from busi_model.errors import remedy
from busi_model.interrupts import interruptible
from busi_model.model.network import DeviceError, choose_device
from busi_model.training import study
from busi_model.training.data import splits
from busi_model.training.data.cases import N_FOLDS, CaseError, check_cases
from busi_model.training.data.layouts import find_hospitals
from busi_model.training.data.splits import found_table, write_manifest
from busi_model.training.fitting import distributed
from busi_model.training.fitting.history import LOGS, check_log
from busi_model.training.fitting.recipe import RunError, TrainConfig
from busi_model.training.one_network import Settings

SETTING = re.compile(r"^    (\w+): \w+ = .*?  # (.+)$", re.MULTILINE)  # of TrainConfig: its comment explains the flag


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "busi train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        action="append",
        required=True,
        help="folder of one hospital: BUSI's class folders, BUS-BRA, BUS-UCLM or BrEaST as published, or cases that "
        "clinicians corrected. Give it once a hospital",
    )
    parser.add_argument("--manifest", help="CSV that says how to split the class folders of the first --data")
    parser.add_argument(
        "--start",
        help="weights folder to go on from instead of an ImageNet encoder, or the folder of a study: each part goes on "
        "from its own network. What has seen an image that a part holds out is not used for it",
    )
    parser.add_argument("--scratch-epochs", type=int, help="epochs of networks that cannot go on from --start")
    parser.add_argument("--folds", default="0", help="fold to hold out, 0-4, or 'all' to train on everything")
    parser.add_argument("--cross-validate", action="store_true", help="hold out each fold in turn")
    parser.add_argument(
        "--hold-out-of",
        action="append",
        metavar="HOSPITAL",
        help="hold out folds of this hospital only and learn the others whole; once a hospital",
    )
    parser.add_argument("--leave-one-out", action="store_true", help="hold out each hospital in turn")
    parser.add_argument("--operating-point", help="folder of the study whose operating point to take (--folds all)")
    parser.add_argument("--out", required=True, help="run folder, made if absent, resumed if present")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--log", choices=LOGS, help="log each epoch for TensorBoard too, in RUN/tensorboard")
    words = dict(SETTING.findall(inspect.getsource(TrainConfig)))
    for field in dataclasses.fields(TrainConfig):
        flag = f"--{field.name.replace('_', '-')}"
        text = f"{words.get(field.name, '')} (default: {field.default})".replace("%", "%%")
        kind = cast(type, field.type)
        parser.add_argument(flag, type=kind, default=field.default, metavar=kind.__name__, help=text)
    return parser.parse_args(arguments)


def main(words: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(words)
    try:
        arguments.device = choose_device(arguments.device)
    except DeviceError as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    with distributed.joined(arguments.device):
        if distributed.is_first():
            return run(arguments)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # one process speaks for all
            return run(arguments)


def run(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.out)
    try:
        with interruptible(signal.SIGINT, signal.SIGTERM):
            _run(arguments, folder)
    except (CaseError, RunError, RuntimeError, ValueError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        text = f"{error.filename or folder} cannot be read or written ({error.strerror}). {remedy(error)}"
        text += " The same command resumes."
        print(f"train: {text}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"Stopped. {folder} holds the last whole epoch: the same command resumes it.", file=sys.stderr)
        return 130
    return 0


def _run(arguments: argparse.Namespace, folder: Path) -> None:
    config = TrainConfig(**{f.name: getattr(arguments, f.name) for f in dataclasses.fields(TrainConfig)})
    check_log(arguments.log)
    settings = Settings(config, arguments.device, arguments.start, arguments.scratch_epochs, arguments.log)
    hospitals = find_hospitals(arguments.data, arguments.manifest)
    print("\n".join(line for hospital in hospitals for line in hospital.report()))
    print("\n".join(found_table(hospitals)), flush=True)
    check_cases([case for hospital in hospitals for case in hospital.cases if case.split != "test"])
    folder.mkdir(parents=True, exist_ok=True)
    if distributed.is_first():
        for hospital in hospitals:
            write_manifest(hospital.cases, folder / f"split-{hospital.name}.csv")
    if arguments.leave_one_out:
        study.run_study(settings, splits.by_hospital(hospitals), folder, "left out")
    elif arguments.cross_validate:
        study.run_study(settings, splits.by_fold(hospitals, of=arguments.hold_out_of), folder, "out of fold")
    elif arguments.folds == "all":
        study.release(settings, hospitals, folder, arguments.operating_point)
    elif arguments.folds in map(str, range(N_FOLDS)):
        parts = splits.by_fold(hospitals, [int(arguments.folds)], arguments.hold_out_of)
        study.run_study(settings, parts, folder, "held out")
    else:
        raise RunError(f"--folds is {arguments.folds!r}; 0 to {N_FOLDS - 1}, or all, is expected.")
