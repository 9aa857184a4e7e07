"""The command line.

python -m busi_model predict PATH... --out DIR       a row for each picture in files, folders, patterns; DICOM as well
python -m busi_model evaluate --weights DIR --data DIR --manifest CSV --split fold0 --out DIR
python -m busi_model calibrate --data DIR --out FILE           an operating point that holds at your own hospital
python -m busi_model strangers --weights DIR --out DIR          is what is no breast ultrasound refused?
python -m busi_model card --weights DIR --evaluation DIR...   writes the model card from evaluations
python -m busi_model export --onnx FILE | --hub owner/name | --space owner/name
python -m busi_model arrange ARCHIVE_OR_FOLDER --out DIR      a download of BUSI, checked, ready for training
"""

import argparse
import os
import sys
from pathlib import Path

from busi_model.checkpoint import CheckpointError, write_json
from busi_model.predict import Predictor


def predict(arguments) -> int:
    from busi_model.batch.run import predict

    wanted = {
        name: getattr(arguments, name) for name in ("masks", "overlays", "measurements", "frames", "operating_point")
    }
    how = {name: getattr(arguments, name) for name in ("workers", "ray", "retry")}
    return predict(arguments.places, arguments.weights, arguments.device, arguments.out, **how, **wanted)


def evaluate(arguments) -> int:
    from busi_model.training.cases import CaseError
    from busi_model.training.evaluate import choose_split, evaluate_cases, write_report
    from busi_model.training.layouts import find_hospital

    try:
        hospital = find_hospital(arguments.data, arguments.manifest)
        cases, left_out = choose_split(hospital, arguments.split)
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


def calibrate(arguments) -> int:
    from busi_model.training import recalibrate
    from busi_model.training.cases import CaseError
    from busi_model.training.evaluate import choose_split
    from busi_model.training.layouts import find_hospitals

    try:
        hospitals = find_hospitals(arguments.data, arguments.manifest)
        cases = [case for hospital in hospitals for case in choose_split(hospital, arguments.split)[0]]
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


def pack(arguments) -> int:
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


def strangers(arguments) -> int:
    from busi_model.training.out_of_distribution import measure_strangers

    content = measure_strangers(Predictor.load(arguments.weights, arguments.device))
    Path(arguments.out).mkdir(parents=True, exist_ok=True)
    write_json(content, Path(arguments.out) / "strangers.json")
    print(f"{content['refused']} of {content['n']} pictures that are no breast ultrasound were turned away.")
    return 0


def card(arguments) -> int:
    from busi_model.training.card import write_card

    write_card(arguments.weights, arguments.evaluation)
    return 0


def export(arguments) -> int:
    from busi_model.training.export import ExportError, export_onnx
    from busi_model.training.publish import PublishError, push_model, push_space

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
            models = [arguments.hub] if arguments.hub else []
            program = Path(__file__).parents[1]
            print(f"Pushed the Space: {push_space(program, arguments.weights, arguments.space, models)}")
    except (ExportError, PublishError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    return 0


def arrange(arguments) -> int:
    from busi_model.training import arrange
    from busi_model.training.cases import CaseError

    try:
        arranged = arrange.arrange(arguments.source, arguments.out)
    except CaseError as error:
        print(f"arrange: {error}", file=sys.stderr)
        return 1
    print(arranged.report())
    return 0 if arranged.complete else 1


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m busi_model", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function, words, weights=True):
        one = commands.add_parser(function.__name__, help=words, description=words)
        one.set_defaults(run=function)
        if weights:
            one.add_argument("--weights", default="weights", help="folder, or owner/name on the Hugging Face Hub")
        return one

    def operating_point(one):
        words = "file that `calibrate` wrote, instead of the weights' own (default: BUSI_OPERATING_POINT)"
        one.add_argument("--operating-point", default=os.environ.get("BUSI_OPERATING_POINT"), help=words)

    one = command(predict, "Class and outline of each picture. Exit code: 0 all judged, 1 some failed, 2 did not run.")
    one.add_argument("places", nargs="+", metavar="PATH", help="file, folder, or pattern in quotes")
    one.add_argument("--out", help="folder for predictions.csv and .jsonl; the same command resumes; none: print")
    one.add_argument("--masks", action="store_true", help="write each outline as a PNG in the picture's own size")
    one.add_argument("--overlays", action="store_true", help="write each picture with its outline, the banner blanked")
    one.add_argument("--measurements", action="store_true", help="write measurements.csv, a row for each lesion")
    one.add_argument("--frames", choices=("middle", "all"), default="middle", help="of a cine loop")
    one.add_argument("--retry", action="store_true", help="judge again the files that failed before")
    operating_point(one)
    one.add_argument("--workers", type=int, help="processes on a CPU (default: one a core), threads on a GPU")
    one.add_argument("--ray", metavar="ADDRESS", help="run on a Ray cluster: auto, local or its address")
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

    one = command(card, "Write evaluations into config.json and the model card README.md of a weights folder.")
    one.add_argument(
        "--evaluation", nargs="+", required=True, help="folders that `evaluate`, `strangers` or train.py wrote"
    )

    one = command(export, "Write the weights as ONNX, push them to the Hugging Face Hub, or push the page as a Space.")
    one.add_argument("--onnx", metavar="FILE", help="file to write")
    one.add_argument("--hub", metavar="OWNER/NAME", help="model repository for weights and card, private when new")
    one.add_argument("--space", metavar="OWNER/NAME", help="Space for the page and these weights, private when new")

    one = command(arrange, "Arrange a download of BUSI for training and check it against the manifest.", weights=False)
    one.add_argument("source", metavar="ARCHIVE_OR_FOLDER", help="the zip file, or the folder it was unpacked to")
    one.add_argument("--out", required=True, help="folder for benign/, malignant/, normal/ and busi_manifest.csv")
    return parser.parse_args(arguments)


def main(arguments=None) -> int:
    arguments = parse_arguments(arguments)
    try:
        return arguments.run(arguments)
    except CheckpointError as error:
        print(f"python -m busi_model: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        place = error.filename or "A file"
        text = f"{place} cannot be read or written ({error.strerror}). Free some space, or name another folder."
        print(f"python -m busi_model: {text}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
