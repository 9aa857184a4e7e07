"""The command line; without installing, `python -m busi_model` is the same as `busi`.

busi app                                      the web page
busi predict PATH... --out DIR                a row for each picture of files, folders, patterns; DICOM as well
busi watch IN --out OUT                       each picture that comes into a folder, once, as it comes
busi train --data DIR... --out DIR            see `busi train --help`
busi evaluate --weights DIR --data DIR --manifest CSV --split fold0 --out DIR
busi calibrate --data DIR --out FILE          an operating point that holds at your own hospital
busi refusals --weights DIR --out DIR         how many pictures that are no breast ultrasound are refused
busi card --weights DIR --abroad DIR          writes the model card from studies
busi pack --data DIR... --out FILE            all hospitals in one file, for a machine with a GPU
busi export --onnx FILE | --hub owner/name | --space owner/name [--out FOLDER]
busi arrange ARCHIVE_OR_FOLDER --out DIR      a download of BUSI, checked, ready for training
busi backup FILE | restore FILE               the records of readers, also while the page runs
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence

from busi_model.cli import commands
from busi_model.errors import UserError, remedy
from busi_model.interrupts import interruptible
from busi_model.names import TRAINING_PACKAGES


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="busi", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        function: Callable[[argparse.Namespace], int], words: str, weights: bool = True
    ) -> argparse.ArgumentParser:
        one = parsers.add_parser(function.__name__, help=words, description=words)
        one.set_defaults(run=function)
        if weights:
            which = "folder, or owner/name on the Hugging Face Hub (default: those that came with the program)"
            one.add_argument("--weights", help=which)
        return one

    def operating_point(one: argparse.ArgumentParser) -> None:
        words = "file that `calibrate` wrote, instead of the weights' own (default: BUSI_OPERATING_POINT)"
        one.add_argument("--operating-point", default=os.environ.get("BUSI_OPERATING_POINT"), help=words)

    def drawn(one: argparse.ArgumentParser) -> None:
        one.add_argument("--masks", action="store_true", help="write each outline as a PNG in the picture's own size")
        one.add_argument(
            "--overlays", action="store_true", help="write each picture with its outline, the banner blanked"
        )
        one.add_argument("--measurements", action="store_true", help="write measurements.csv, a row for each lesion")

    def device(one: argparse.ArgumentParser) -> None:
        one.add_argument("--device", default="auto", help="auto, cpu or cuda")

    settings = "BUSI_WEIGHTS, BUSI_STORE, BUSI_AUTH, BUSI_HOST_PASSWORD, GRADIO_SERVER_NAME, GRADIO_SERVER_PORT"
    command(
        commands.app,
        f"The web page, for this machine only unless set otherwise. Settings (docs/settings.md): {settings}.",
        weights=False,
    )

    # No prefix, so that all that follows goes on to training's own parser, --help too.
    one = parsers.add_parser("train", help="Train, calibrate, evaluate.", prefix_chars="\0", add_help=False)
    one.add_argument("rest", nargs="*")
    one.set_defaults(run=commands.train)

    one = command(
        commands.predict, "Class and outline of each picture. Exit code: 0 all judged, 1 some failed, 2 did not run."
    )
    one.add_argument("places", nargs="+", metavar="PATH", help="file, folder, or pattern in quotes")
    one.add_argument(
        "--out", help="folder for predictions.csv and .jsonl; the same command resumes; without it the rows are printed"
    )
    drawn(one)
    named = "; carries the study's identifiers, needs the extra `dicom`"
    one.add_argument("--dicom-seg", action="store_true", help=f"write the outlines as DICOM segmentations{named}")
    one.add_argument("--dicom-sr", action="store_true", help=f"write the measurements as DICOM SR, TID 1500{named}")
    one.add_argument("--dicom-sc", action="store_true", help=f"write the picture with its outline as DICOM{named}")
    one.add_argument(
        "--frames",
        choices=("middle", "all"),
        default="middle",
        help="which frames of a cine loop to judge (default: middle)",
    )
    one.add_argument("--retry", action="store_true", help="judge again the files that failed before")
    operating_point(one)
    one.add_argument("--workers", type=int, help="processes on a CPU (default: one a core), threads on a GPU")
    one.add_argument("--ray", metavar="ADDRESS", help="run on a Ray cluster: auto, local or its address")
    device(one)

    one = command(
        commands.watch, "Judge each picture that comes into a folder, once, until you stop it; goes on after a kill."
    )
    one.add_argument("folder", metavar="IN", help="folder that pictures come into, or its subfolders")
    one.add_argument("--out", required=True, metavar="OUT", help="folder for predictions.csv and .jsonl")
    drawn(one)
    one.add_argument(
        "--every", type=float, default=2.0, metavar="SECONDS", help="how often to look for new files (default: 2)"
    )
    device(one)

    one = command(
        commands.evaluate, "Figures with intervals, plots and one row a case, on images the weights never saw."
    )
    one.add_argument("--data", required=True, help="folder in a published layout, or with class folders")
    one.add_argument("--manifest", help="CSV that says how class folders are split")
    one.add_argument("--split", required=True, help="fold0 to fold4, development, test or all")
    operating_point(one)
    one.add_argument("--title", help="heading of the report")
    one.add_argument(
        "--marks",
        nargs="+",
        default=[],
        choices=("remove", "box", "paint"),
        help="judge the images again without boxes and text at their rim, with a pictogram box, or with calipers and "
        "text painted on; tells what that does to the class",
    )
    one.add_argument("--out", required=True, help="folder for metrics.json, per_case.csv, report.md and plots")
    device(one)

    one = command(
        commands.calibrate, "Fit the operating point to your own hospital's images, from 20 labelled ones on."
    )
    one.add_argument(
        "--data", action="append", required=True, help="folder of labelled images; give it once for each hospital"
    )
    one.add_argument("--manifest", help="CSV that says how the first folder is split")
    one.add_argument(
        "--split",
        default="all",
        help="fold0 to fold4, development, test or all: images that the weights never saw (default: all)",
    )
    one.add_argument("--out", required=True, metavar="FILE", help="file to write, for BUSI_OPERATING_POINT")
    device(one)

    one = command(commands.refusals, "How many photographs, other modalities, text pages and noise are refused.")
    one.add_argument("--out", required=True, help="folder for refusals.json")
    device(one)

    one = command(
        commands.pack, "Pack hospitals' images into one small file for training on another machine.", weights=False
    )
    one.add_argument(
        "--data",
        action="append",
        required=True,
        help="folder of a hospital, as for training; give it once for each hospital",
    )
    one.add_argument(
        "--side", type=int, default=256, help="longer side of the packed pictures, in pixels (default: 256)"
    )
    one.add_argument("--out", required=True, metavar="FILE", help="ZIP file to write; it holds patients' pictures")

    one = command(
        commands.card, "Write a weights folder's model card, README.md, and the figures in config.json, from studies."
    )
    one.add_argument("--abroad", help="folder of the study that left each hospital out")
    one.add_argument("--home", help="folder of the study that left each fold out")
    one.add_argument("--evaluation", nargs="+", default=[], help="folders that `evaluate` wrote")

    one = command(
        commands.export, "Write the weights as ONNX, push them to the Hugging Face Hub, or push the page as a Space."
    )
    one.add_argument("--onnx", metavar="FILE", help="file to write")
    one.add_argument("--hub", metavar="OWNER/NAME", help="model repository for weights and card, private when new")
    one.add_argument("--space", metavar="OWNER/NAME", help="Space for the page and these weights, private when new")
    one.add_argument("--out", metavar="FOLDER", help="with --space: write its files there and push nothing")
    one.add_argument(
        "--datasets",
        nargs="+",
        default=[],
        metavar="OWNER/NAME",
        help="data sets on the Hub to name on the Space's page",
    )

    one = command(
        commands.arrange, "Arrange a download of BUSI for training and check it against the manifest.", weights=False
    )
    one.add_argument("source", metavar="ARCHIVE_OR_FOLDER", help="the zip file, or the folder it was unpacked to")
    one.add_argument("--out", required=True, help="folder for benign/, malignant/, normal/ and busi_manifest.csv")

    for function, words in (
        (
            commands.backup,
            "Put all records and their pictures into one file, also while the page runs. The file is private.",
        ),
        (commands.restore, "Bring a backup back into a folder that holds no records yet; all of it is checked first."),
    ):
        one = command(function, words, weights=False)
        one.add_argument("file", metavar="FILE", help="one ZIP file")
        one.add_argument(
            "--store", metavar="DIR", help="folder of the records (default: BUSI_STORE, or the page's own folder)"
        )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names in any script, on a console that knows one
            stream.reconfigure(errors="backslashreplace")
    asked = parse_arguments(arguments)
    name = asked.run.__name__
    try:
        with interruptible(signal.SIGINT):
            return asked.run(asked)
    except KeyboardInterrupt:
        print(f"{name}: stopped.", file=sys.stderr)
        return 130
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in TRAINING_PACKAGES:
            raise
        print(f"{name}: {error.name} is not installed. Run in BUSI's folder: pip install '.[train]'", file=sys.stderr)
        return 1
    except OSError as error:
        place = error.filename or "A file"
        print(f"{name}: {place} cannot be read or written ({error.strerror}). {remedy(error)}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
