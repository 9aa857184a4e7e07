"""The command line.

python -m busi_model predict PATH... --out DIR       a row for each picture in files, folders, patterns; DICOM as well
python -m busi_model evaluate --weights DIR --data DIR --manifest CSV --split fold0 --out DIR
python -m busi_model calibrate --weights DIR --data DIR --split fold0 --out DIR    fits the operating point and the gate
python -m busi_model strangers --weights DIR --out DIR          does the gate turn away what is no breast ultrasound?
python -m busi_model card --weights DIR --evaluation DIR...   writes the model card from evaluations
python -m busi_model export --onnx FILE | --hub owner/name | --space owner/name
python -m busi_model arrange ARCHIVE_OR_FOLDER --out DIR      a download of BUSI, checked, ready for training
"""

import argparse
import sys
from pathlib import Path

from busi_model.checkpoint import CheckpointError, write_json
from busi_model.predict import Predictor


def predict(arguments) -> int:
    from busi_model.batch.run import predict

    wanted = {name: getattr(arguments, name) for name in ("masks", "overlays", "measurements", "frames")}
    wanted["dicom"] = tuple(kind for kind in ("seg", "sr", "sc") if getattr(arguments, f"dicom_{kind}"))
    how = {name: getattr(arguments, name) for name in ("workers", "ray", "retry")}
    return predict(arguments.places, arguments.weights, arguments.device, arguments.out, **how, **wanted)


def evaluate(arguments) -> int:
    from busi_model.training.cases import CaseError, find_cases
    from busi_model.training.evaluate import choose_split, evaluate_cases, write_report

    try:
        cases = choose_split(find_cases(arguments.data, arguments.manifest), arguments.split)
        predictor = Predictor.load(arguments.weights, arguments.device)
        table = evaluate_cases(predictor, cases)
    except CaseError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    title = arguments.title or f"{cases[0].source}, {arguments.split}"
    loaded = predictor.checkpoint
    recipe, calibrated_on = loaded.training.get("recipe", {}), predictor.operating_point.fitted_on
    write_report(table, arguments.out, title, loaded.weights_sha256, recipe, calibrated_on)
    print((Path(arguments.out) / "report.md").read_text(encoding="utf-8"))
    print(f"{arguments.out} holds this report, plots and one row a case.")
    return 0


def calibrate(arguments) -> int:
    from busi_model.training.cases import CaseError, find_cases
    from busi_model.training.evaluate import choose_split
    from busi_model.training.run import recalibrate

    weights = Path(arguments.weights)
    try:
        if not (weights / "config.json").is_file():
            raise CaseError(f"{weights} is no folder of weights. Name one: the operating point is written into it.")
        places = [(find_cases(arguments.data, arguments.manifest), arguments.split)]
        if arguments.extra:
            places.append((find_cases(arguments.extra), arguments.extra_split))
        hospitals = [choose_split(cases, split) for cases, split in places]
        held_out = {case.case_id for cases in hospitals for case in cases}
        folds = [{case.fold for case in cases} for cases in hospitals]
        trained_on = [
            [c for c in cases if c.split == "development" and c.fold not in own and c.case_id not in held_out]
            for (cases, _), own in zip(places, folds, strict=True)
        ]
        recalibrate(weights, hospitals, trained_on, Path(arguments.out), arguments.device)
    except CaseError as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 1
    return 0


def strangers(arguments) -> int:
    from busi_model.training.strangers import measure_gate

    content = measure_gate(Predictor.load(arguments.weights, arguments.device))
    Path(arguments.out).mkdir(parents=True, exist_ok=True)
    write_json(content, Path(arguments.out) / "gate.json")
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
    one.add_argument("--workers", type=int, help="processes on a CPU (default: one a core), threads on a GPU")
    one.add_argument("--ray", metavar="ADDRESS", help="run on a Ray cluster: auto, local or its address")
    one.add_argument("--device", default="auto", help="auto, cpu or cuda")

    one = command(evaluate, "Figures with intervals, plots and one row a case, on images the weights never saw.")
    one.add_argument("--data", required=True, help="folder in BUSI's or BUS-BRA's layout")
    one.add_argument("--manifest", help="CSV that says how BUSI is split")
    one.add_argument("--split", required=True, help="fold0 to fold4 (BUS-BRA: fold1 to fold10), test or all")
    one.add_argument("--title", help="heading of the report")
    one.add_argument("--out", required=True, help="folder for metrics.json, per_case.csv, report.md and plots")
    one.add_argument("--device", default="auto", help="auto, cpu or cuda")

    one = command(calibrate, "Fit operating point and gate of a weights folder on images that it never saw; report.")
    one.add_argument("--data", required=True, help="folder in BUSI's or BUS-BRA's layout")
    one.add_argument("--manifest", help="CSV that says how BUSI is split")
    one.add_argument("--split", required=True, help="as in evaluate: images that the weights never saw")
    one.add_argument("--extra", help="BUS-BRA's folder, to calibrate for two hospitals, each counting alike")
    one.add_argument("--extra-split", default="fold7", help="of --extra")
    one.add_argument("--out", required=True, help="folder for operating_point.json and the cross-fitted reports")
    one.add_argument("--device", default="auto", help="auto, cpu or cuda")

    one = command(strangers, "How many photographs, other modalities, text pages and noise the gate turns away.")
    one.add_argument("--out", required=True, help="folder for gate.json, which `card` reads")
    one.add_argument("--device", default="auto", help="auto, cpu or cuda")

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
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names in any script, on a console that knows one
            stream.reconfigure(errors="backslashreplace")
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
