"""The command line; without installing, `python -m busi_model` is the same as `busi`.

busi app                                      the web page
busi predict PATH... --out DIR                a row for each picture in files, folders, patterns; DICOM as well
busi watch IN --out OUT                       each picture that comes into a folder, once, as it comes
busi train --data DIR... --out DIR            `busi train --help` says all of it
busi evaluate --weights DIR --data DIR --manifest CSV --split fold0 --out DIR
busi calibrate --data DIR --out FILE          an operating point that holds at your own hospital
busi strangers --weights DIR --out DIR        is what is no breast ultrasound refused?
busi card --weights DIR --abroad DIR          writes the model card from studies
busi pack --data DIR... --out FILE            all hospitals in one file, for a machine with a GPU
busi export --onnx FILE | --hub owner/name | --space owner/name [--out FOLDER]
busi arrange ARCHIVE_OR_FOLDER --out DIR      a download of BUSI, checked, ready for training
busi backup FILE | restore FILE               what readers said, also while the page runs
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from busi_model.checkpoint import CheckpointError, packaged
from busi_model.files import remedy, write_json
from busi_model.predict import DeviceError, Predictor

if TYPE_CHECKING:
    from busi_model.reading.backup import BackedUp

TRAINING_PACKAGES = ("monai", "seaborn", "sklearn")  # what the extra `train` brings


def app(arguments: argparse.Namespace) -> int:
    from busi_model.start import run

    run("busi app")
    return 0


def train(arguments: argparse.Namespace) -> int:
    from busi_model.training.command import main

    return main(arguments.rest)


def predict(arguments: argparse.Namespace) -> int:
    from busi_model.batch.run import predict

    wanted = {
        name: getattr(arguments, name) for name in ("masks", "overlays", "measurements", "frames", "operating_point")
    }
    wanted["dicom"] = tuple(kind for kind in ("seg", "sr", "sc") if getattr(arguments, f"dicom_{kind}"))
    how = {name: getattr(arguments, name) for name in ("workers", "ray", "retry")}
    return predict(arguments.places, arguments.weights, arguments.device, arguments.out, **how, **wanted)


def watch(arguments: argparse.Namespace) -> int:
    from busi_model.batch.watch import watch

    wanted = {name: getattr(arguments, name) for name in ("masks", "overlays", "measurements")}
    return watch(arguments.folder, arguments.weights, arguments.out, arguments.device, arguments.every, **wanted)


def evaluate(arguments: argparse.Namespace) -> int:
    from busi_model.training.cases import CaseError, check_cases
    from busi_model.training.evaluate import choose_split, evaluate_cases, write_report
    from busi_model.training.layouts import find_hospital

    try:
        hospital = find_hospital(arguments.data, arguments.manifest)
        cases, left_out = choose_split(hospital, arguments.split)
        check_cases(cases)
        predictor = Predictor.load(arguments.weights, arguments.device, operating_point=arguments.operating_point)
        table = evaluate_cases(predictor, cases)
    except CaseError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    title = arguments.title or f"{hospital.name}, {arguments.split}"
    loaded = predictor.checkpoint
    recipe, calibrated_on = loaded.training.get("recipe", {}), predictor.operating_point.fitted_on
    content = write_report(table, arguments.out, title, loaded.weights_sha256, recipe, calibrated_on, left_out=left_out)
    print((Path(arguments.out) / "report.md").read_text(encoding="utf-8"))
    print(f"{arguments.out} holds this report, plots and one row a case.")
    if table["seen"].any() or table["fitted_on"].any():
        print("\n".join(content["remarks"]).replace("**", ""), file=sys.stderr)
    return 0


def calibrate(arguments: argparse.Namespace) -> int:
    from busi_model.training import recalibrate
    from busi_model.training.cases import CaseError, check_cases
    from busi_model.training.evaluate import choose_split
    from busi_model.training.layouts import find_hospitals

    try:
        hospitals = find_hospitals(arguments.data, arguments.manifest)
        cases = [case for hospital in hospitals for case in choose_split(hospital, arguments.split)[0]]
        check_cases(cases)
        predictor = Predictor.load(arguments.weights, arguments.device)
        result = recalibrate.recalibrate(predictor, cases)
    except CaseError as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 1
    print(recalibrate.comparison(result))
    recalibrate.write(result, predictor, cases, arguments.out)
    print(
        f"{arguments.out} holds the operating point. Use it with BUSI_OPERATING_POINT={arguments.out} for the page, or "
        f"--operating-point {arguments.out} with predict and evaluate."
    )
    return 0


def pack(arguments: argparse.Namespace) -> int:
    from busi_model.training.cases import CaseError
    from busi_model.training.layouts import find_hospitals
    from busi_model.training.pack import pack

    try:
        size = pack(find_hospitals(arguments.data), arguments.out, arguments.side)
    except CaseError as error:
        print(f"pack: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.out} holds the images of {len(arguments.data)} hospitals in {size / 2**20:.1f} MiB.")
    return 0


def strangers(arguments: argparse.Namespace) -> int:
    from busi_model.training.out_of_distribution import measure_strangers

    predictor = Predictor.load(arguments.weights, arguments.device)
    Path(arguments.out).mkdir(parents=True, exist_ok=True)  # before the work, which takes minutes
    content = measure_strangers(predictor)
    write_json(content, Path(arguments.out) / "strangers.json")
    print(f"{content['refused']} of {content['n']} pictures that are no breast ultrasound were turned away.")
    return 0


def card(arguments: argparse.Namespace) -> int:
    from busi_model.training.fit import RunError
    from busi_model.training.model_card import write_card

    try:
        write_card(arguments.weights or packaged(), arguments.abroad, arguments.home, arguments.evaluation)
    except RunError as error:
        print(f"card: {error}", file=sys.stderr)
        return 1
    return 0


def export(arguments: argparse.Namespace) -> int:
    from busi_model.training.export import ExportError, export_onnx
    from busi_model.training.publish import PublishError, push_model, push_space, stage_space

    program = Path(__file__).parents[1]
    models = [arguments.hub] if arguments.hub else []
    if arguments.out:
        return _stage(arguments, program, models, stage_space, PublishError)
    if not (arguments.onnx or arguments.hub or arguments.space):
        print("export: nothing to do. Give --onnx FILE, --hub owner/name or --space owner/name.", file=sys.stderr)
        return 2
    try:
        if arguments.onnx:
            export_onnx(Predictor.load(arguments.weights, "cpu"), arguments.onnx)
            print(f"Wrote {arguments.onnx}.")
        if arguments.hub:
            print(f"Pushed the model: {push_model(arguments.weights, arguments.hub)}")
        if arguments.space:
            address = push_space(program, arguments.weights, arguments.space, models, arguments.datasets)
            print(f"Pushed the Space: {address}")
    except (ExportError, PublishError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    return 0


def _stage(
    arguments: argparse.Namespace,
    program: Path,
    models: list[str],
    stage_space: Callable[..., None],
    refusal: type[Exception],
) -> int:
    """The Space's files in a folder to look at; nothing is sent."""
    if not arguments.space:
        print("export: --out shows the files of a Space; name it with --space owner/name.", file=sys.stderr)
        return 2
    try:
        stage_space(program, arguments.weights, Path(arguments.out), arguments.space, models, arguments.datasets)
    except refusal as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.out} holds what the same command without --out pushes to {arguments.space}; nothing was sent.")
    return 0


def arrange(arguments: argparse.Namespace) -> int:
    from busi_model.training import arrange
    from busi_model.training.cases import CaseError

    try:
        arranged = arrange.arrange(arguments.source, arguments.out)
    except CaseError as error:
        print(f"arrange: {error}", file=sys.stderr)
        return 1
    print(arranged.report())
    return 0 if arranged.complete else 1


def backup(arguments: argparse.Namespace) -> int:
    from busi_model.reading import backup as backups

    return _copy_records(arguments, "backup", lambda folder: backups.backup(folder, arguments.file))


def restore(arguments: argparse.Namespace) -> int:
    from busi_model.reading import backup as backups

    return _copy_records(arguments, "restore", lambda folder: backups.restore(arguments.file, folder))


def _copy_records(arguments: argparse.Namespace, name: str, copy: "Callable[[Path], BackedUp]") -> int:
    from busi_model.reading.errors import StoreError
    from busi_model.reading.store import default_folder

    try:
        folder = Path(arguments.store) if arguments.store else default_folder()
        done = copy(folder)
    except StoreError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    where = arguments.file if name == "backup" else folder
    print(f"{where}: {done.n_records} records, {done.n_sessions} sessions, {done.n_pictures} pictures.")
    if done.damaged:
        print(
            f"{name}: {len(done.damaged)} pictures are missing or damaged: {', '.join(done.damaged)}", file=sys.stderr
        )
    return 1 if done.damaged else 0


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="busi", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        function: Callable[[argparse.Namespace], int], words: str, weights: bool = True
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(function.__name__, help=words, description=words)
        one.set_defaults(run=function)
        if weights:
            which = "folder, or owner/name on the Hugging Face Hub (default: those that came with the program)"
            one.add_argument("--weights", help=which)
        return one

    def operating_point(one: argparse.ArgumentParser) -> None:
        words = "file that `calibrate` wrote, instead of the weights' own (default: BUSI_OPERATING_POINT)"
        one.add_argument("--operating-point", default=os.environ.get("BUSI_OPERATING_POINT"), help=words)

    settings = "BUSI_WEIGHTS, BUSI_STORE, BUSI_AUTH, BUSI_HOST_PASSWORD, GRADIO_SERVER_NAME, GRADIO_SERVER_PORT"
    command(app, f"The web page, for this machine only unless set otherwise. Settings: {settings}.", weights=False)

    # No prefix, so that all that follows goes on to training's own parser, --help too.
    one = commands.add_parser("train", help="Train, calibrate, evaluate.", prefix_chars="\0", add_help=False)
    one.add_argument("rest", nargs="*")
    one.set_defaults(run=train)

    one = command(predict, "Class and outline of each picture. Exit code: 0 all judged, 1 some failed, 2 did not run.")
    one.add_argument("places", nargs="+", metavar="PATH", help="file, folder, or pattern in quotes")
    one.add_argument("--out", help="folder for predictions.csv and .jsonl; the same command resumes; none: print")
    one.add_argument("--masks", action="store_true", help="write each outline as a PNG in the picture's own size")
    one.add_argument("--overlays", action="store_true", help="write each picture with its outline, the banner blanked")
    one.add_argument("--measurements", action="store_true", help="write measurements.csv, a row for each lesion")
    named = "; carries the study's identifiers, needs busi-model[dicom]"
    one.add_argument("--dicom-seg", action="store_true", help=f"write the outlines as DICOM segmentations{named}")
    one.add_argument("--dicom-sr", action="store_true", help=f"write the measurements as DICOM SR, TID 1500{named}")
    one.add_argument("--dicom-sc", action="store_true", help=f"write the picture with its outline as DICOM{named}")
    one.add_argument("--frames", choices=("middle", "all"), default="middle", help="of a cine loop")
    one.add_argument("--retry", action="store_true", help="judge again the files that failed before")
    operating_point(one)
    one.add_argument("--workers", type=int, help="processes on a CPU (default: one a core), threads on a GPU")
    one.add_argument("--ray", metavar="ADDRESS", help="run on a Ray cluster: auto, local or its address")
    one.add_argument("--device", default="auto", help="auto, cpu or cuda")

    one = command(watch, "Judge each picture that comes into a folder, once, until it is ended; goes on after a kill.")
    one.add_argument("folder", metavar="IN", help="folder that pictures come into; its folders too")
    one.add_argument("--out", required=True, metavar="OUT", help="folder for predictions.csv and .jsonl")
    one.add_argument("--masks", action="store_true", help="write each outline as a PNG in the picture's own size")
    one.add_argument("--overlays", action="store_true", help="write each picture with its outline, the banner blanked")
    one.add_argument("--measurements", action="store_true", help="write measurements.csv, a row for each lesion")
    one.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="between two looks (default: 2)")
    one.add_argument("--device", default="auto", help="auto, cpu or cuda")

    one = command(evaluate, "Figures with intervals, plots and one row a case, on images the weights never saw.")
    one.add_argument("--data", required=True, help="folder in a published layout, or with class folders")
    one.add_argument("--manifest", help="CSV that says how class folders are split")
    one.add_argument("--split", required=True, help="fold0 to fold4, development, test or all")
    operating_point(one)
    one.add_argument("--title", help="heading of the report")
    one.add_argument("--out", required=True, help="folder for metrics.json, per_case.csv, report.md and plots")
    one.add_argument("--device", default="auto", help="auto, cpu or cuda")

    one = command(calibrate, "Fit the operating point to your own hospital's images, from 20 labelled ones on.")
    one.add_argument("--data", action="append", required=True, help="folder of labelled images; once a hospital")
    one.add_argument("--manifest", help="CSV that says how the first folder is split")
    one.add_argument("--split", default="all", help="as in evaluate: images that the weights never saw")
    one.add_argument("--out", required=True, metavar="FILE", help="file to write, for BUSI_OPERATING_POINT")
    one.add_argument("--device", default="auto", help="auto, cpu or cuda")

    one = command(strangers, "How many photographs, other modalities, text pages and noise are refused.")
    one.add_argument("--out", required=True, help="folder for strangers.json, which `card` reads")
    one.add_argument("--device", default="auto", help="auto, cpu or cuda")

    one = command(pack, "Pack hospitals' images into one small file for training on another machine.", weights=False)
    one.add_argument("--data", action="append", required=True, help="folder of a hospital, as for training")
    one.add_argument("--side", type=int, default=256, help="longer side of the packed pictures, in pixels")
    one.add_argument("--out", required=True, metavar="FILE", help="ZIP file to write; it holds patients' pictures")

    one = command(card, "Write the figures of studies into config.json and README.md of a weights folder.")
    one.add_argument("--abroad", help="folder of the study that left each hospital out")
    one.add_argument("--home", help="folder of the study that left each fold out")
    one.add_argument("--evaluation", nargs="+", default=[], help="folders that `evaluate` wrote")

    one = command(export, "Write the weights as ONNX, push them to the Hugging Face Hub, or push the page as a Space.")
    one.add_argument("--onnx", metavar="FILE", help="file to write")
    one.add_argument("--hub", metavar="OWNER/NAME", help="model repository for weights and card, private when new")
    one.add_argument("--space", metavar="OWNER/NAME", help="Space for the page and these weights, private when new")
    one.add_argument("--out", metavar="FOLDER", help="with --space: write its files there and push nothing")
    one.add_argument("--datasets", nargs="+", default=[], metavar="OWNER/NAME", help="to name on the Space's page")

    one = command(arrange, "Arrange a download of BUSI for training and check it against the manifest.", weights=False)
    one.add_argument("source", metavar="ARCHIVE_OR_FOLDER", help="the zip file, or the folder it was unpacked to")
    one.add_argument("--out", required=True, help="folder for benign/, malignant/, normal/ and busi_manifest.csv")

    for function, words in (
        (backup, "Put all records and their pictures into one file, also while the page runs. The file is private."),
        (restore, "Bring a backup back into a folder that holds no records yet; all of it is checked first."),
    ):
        one = command(function, words, weights=False)
        one.add_argument("file", metavar="FILE", help="one ZIP file")
        one.add_argument("--store", metavar="DIR", help="folder of the records (default: BUSI_STORE, or as the page's)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names in any script, on a console that knows one
            stream.reconfigure(errors="backslashreplace")
    asked = parse_arguments(arguments)
    try:
        return asked.run(asked)
    except (CheckpointError, DeviceError) as error:
        print(f"busi: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in TRAINING_PACKAGES:
            raise
        print(f"busi: {error.name} is not installed. Run: pip install 'busi-model[train]'", file=sys.stderr)
        return 1
    except OSError as error:
        place = error.filename or "A file"
        print(f"busi: {place} cannot be read or written ({error.strerror}). {remedy(error)}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
