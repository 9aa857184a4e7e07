"""What each command of `busi` does with its arguments; returns the exit code.

What a command needs is imported in it: the page brings Gradio, training its own packages, and `busi --help` waits for
none of them. A UserError is told by `__main__`.
"""

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from busi_model.files import write_json

if TYPE_CHECKING:
    from busi_model.reading.storage.backup import BackedUp


def app(arguments: Namespace) -> int:
    from busi_model.cli.start import run

    run()
    return 0


def train(arguments: Namespace) -> int:
    from busi_model.training.command import main

    return main(arguments.rest)


def predict(arguments: Namespace) -> int:
    from busi_model.batch.run import predict

    wanted = {
        name: getattr(arguments, name) for name in ("masks", "overlays", "measurements", "frames", "operating_point")
    }
    wanted["dicom"] = tuple(kind for kind in ("seg", "sr", "sc") if getattr(arguments, f"dicom_{kind}"))
    how = {name: getattr(arguments, name) for name in ("workers", "ray", "retry")}
    return predict(arguments.places, arguments.weights, arguments.device, arguments.out, **how, **wanted)


def watch(arguments: Namespace) -> int:
    from busi_model.batch.watch import watch

    wanted = {name: getattr(arguments, name) for name in ("masks", "overlays", "measurements")}
    return watch(arguments.folder, arguments.weights, arguments.out, arguments.device, arguments.every, **wanted)


def evaluate(arguments: Namespace) -> int:
    from busi_model.predict import Predictor
    from busi_model.training.data.cases import check_cases
    from busi_model.training.data.layouts import find_hospital
    from busi_model.training.data.splits import choose_split
    from busi_model.training.evaluation.evaluate import evaluate_cases, write_report
    from busi_model.training.evaluation.marks import CHANGES, changed_cases

    hospital = find_hospital(arguments.data, arguments.manifest)
    cases, left_out = choose_split(hospital, arguments.split)
    check_cases(cases)
    predictor = Predictor.load(arguments.weights, arguments.device, operating_point=arguments.operating_point)
    table = evaluate_cases(predictor, cases)
    title = arguments.title or f"{hospital.name}, {arguments.split}"
    loaded = predictor.checkpoint
    recipe, calibrated_on = loaded.training.get("recipe", {}), predictor.operating_point.fitted_on
    changed = {}
    for words, change in (CHANGES[name] for name in arguments.marks):
        some = changed_cases(cases, change)
        if some:
            changed[f"{words} ({len(some)} of {len(cases)} images)"] = evaluate_cases(predictor, some, paint=change)
        else:
            print(f"{words}: there is no image to do it to.")
    facts = (loaded.weights_sha256, recipe, calibrated_on)
    content = write_report(table, arguments.out, title, *facts, left_out=left_out, changed=changed)
    print((Path(arguments.out) / "report.md").read_text(encoding="utf-8"))
    print(f"{arguments.out} holds this report, plots and one row a case.")
    if table["seen"].any() or table["fitted_on"].any():
        print("\n".join(content["remarks"]).replace("**", ""), file=sys.stderr)
    return 0


def calibrate(arguments: Namespace) -> int:
    from busi_model.predict import Predictor
    from busi_model.training.calibration import recalibrate
    from busi_model.training.data.cases import check_cases, some
    from busi_model.training.data.layouts import find_hospitals
    from busi_model.training.data.splits import choose_split

    hospitals = find_hospitals(arguments.data, arguments.manifest, needs_outlines=False)
    cases = []
    for hospital in hospitals:
        chosen, left_out = choose_split(hospital, arguments.split)
        cases += chosen
        for why, names in left_out.items():
            print(f"{hospital.name}: {len(names)} left out, {why}: {some(names)}")
    check_cases(cases)
    predictor = Predictor.load(arguments.weights, arguments.device)
    result = recalibrate.recalibrate(predictor, cases)
    figures = recalibrate.figures_before_and_after(result)
    print(recalibrate.comparison(result, figures))
    recalibrate.write(result, figures, predictor, cases, arguments.out)
    print(
        f"{arguments.out} holds the operating point. Use it with BUSI_OPERATING_POINT={arguments.out} for the page, or "
        f"--operating-point {arguments.out} with predict and evaluate."
    )
    return 0


def pack(arguments: Namespace) -> int:
    from busi_model.training.data.layouts import find_hospitals
    from busi_model.training.data.pack import pack

    size = pack(find_hospitals(arguments.data), arguments.out, arguments.side)
    print(f"{arguments.out} holds the images of {len(arguments.data)} hospitals in {size / 2**20:.1f} MiB.")
    return 0


def refusals(arguments: Namespace) -> int:
    from busi_model.predict import Predictor
    from busi_model.training.ood.detector import measure_refusals

    predictor = Predictor.load(arguments.weights, arguments.device)
    Path(arguments.out).mkdir(parents=True, exist_ok=True)  # before the work, which takes minutes
    content = measure_refusals(predictor)
    write_json(content, Path(arguments.out) / "refusals.json")
    print(f"{content['refused']} of {content['n']} pictures that are no breast ultrasound were turned away.")
    return 0


def card(arguments: Namespace) -> int:
    from busi_model.model.weights_folder import packaged
    from busi_model.training.release.model_card import write_card

    write_card(arguments.weights or packaged(), arguments.abroad, arguments.home, arguments.evaluation)
    return 0


def export(arguments: Namespace) -> int:
    from busi_model.predict import Predictor
    from busi_model.training.release.export import export_onnx
    from busi_model.training.release.publish import push_model, push_space, stage_space

    if arguments.out and not arguments.space:
        print("export: --out shows the files of a Space; name it with --space owner/name.", file=sys.stderr)
        return 2
    if not (arguments.onnx or arguments.hub or arguments.space):
        print("export: nothing to do. Give --onnx FILE, --hub owner/name or --space owner/name.", file=sys.stderr)
        return 2
    of_space = (arguments.space, [arguments.hub] if arguments.hub else [], arguments.datasets)
    program = Path(__file__).parents[2]
    if arguments.out:
        stage_space(program, arguments.weights, Path(arguments.out), *of_space)
        held = f"{arguments.out} holds what the same command without --out pushes to {arguments.space}"
        print(f"{held}; nothing was sent.")
        return 0
    if arguments.onnx:
        export_onnx(Predictor.load(arguments.weights, "cpu"), arguments.onnx)
        print(f"Wrote {arguments.onnx}.")
    if arguments.hub:
        print(f"Pushed the model: {push_model(arguments.weights, arguments.hub)}")
    if arguments.space:
        print(f"Pushed the Space: {push_space(program, arguments.weights, *of_space)}")
    return 0


def arrange(arguments: Namespace) -> int:
    from busi_model.training.data.arrange import arrange

    arranged = arrange(arguments.source, arguments.out)
    print(arranged.report())
    return 0 if arranged.complete else 1


def backup(arguments: Namespace) -> int:
    from busi_model.reading.storage.backup import backup

    return _copy_records(arguments, "backup", lambda folder: backup(folder, arguments.file))


def restore(arguments: Namespace) -> int:
    from busi_model.reading.storage.backup import restore

    return _copy_records(arguments, "restore", lambda folder: restore(arguments.file, folder))


def _copy_records(arguments: Namespace, name: str, copy: "Callable[[Path], BackedUp]") -> int:
    from busi_model.reading.storage.store import default_folder

    folder = Path(arguments.store) if arguments.store else default_folder()
    done = copy(folder)
    where = arguments.file if name == "backup" else folder
    print(f"{where}: {done.n_records} records, {done.n_sessions} sessions, {done.n_pictures} pictures.")
    if done.damaged:
        names = ", ".join(done.damaged)
        print(f"{name}: {len(done.damaged)} pictures are missing or damaged: {names}", file=sys.stderr)
    return 1 if done.damaged else 0
