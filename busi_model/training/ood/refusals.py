"""What is refused as no breast ultrasound: the limits that a study measures, and the detector that a release carries.

Enters: networks and the hospitals that they never saw, or all that a release saw. Leaves: two limits of the operating
point, with ood.json; a detector to lie with the weights. The figures are made in `detector`.
"""

from pathlib import Path
from typing import Any

from busi_model.files import write_json, written_whole
from busi_model.model.ood import OodDetector
from busi_model.names import CLINICIAN
from busi_model.predict import Predictor
from busi_model.training.data.cases import Case
from busi_model.training.data.splits import Part
from busi_model.training.ood import data, detector
from busi_model.training.ood.data import LeftOut


def measured_limits(device: str, parts: list[Part], folders: list[Path], folder: Path) -> dict[str, Any]:
    """Where each part is one hospital: the limits of what is refused, fitted and measured on hospitals left out."""
    alone = [len(part.held_out) == 1 and part.name == part.held_out[0][0].hospital for part in parts]
    if len(parts) < 2 or not all(alone):
        return {}
    left_out = []
    for place, part in zip(folders, parts, strict=True):
        left_out.append(_left_out_inputs(device, part, place))
    report = detector.measure_ood(left_out)
    write_json(report, folder / "ood.json")
    return {name: report[name] for name in ("ood_score", "ood_distance")}


def _left_out_inputs(device: str, part: Part, folder: Path) -> LeftOut:
    """Minutes of work: kept beside the weights that they belong to, by what the network saw."""
    predictor = Predictor.load(folder / "weights", device)
    tones = "-".join(map(str, predictor.preprocess.tones))
    kept = folder / f"ood-{predictor.checkpoint.weights_sha256[:12]}-{tones}.npz"
    if not kept.is_file():
        others = _by_hospital(part.training)
        found = data.left_out_inputs(predictor, part.name, part.held_out[0], others)
        with written_whole(kept) as temporary, open(temporary, "wb") as file:
            found.write(file)
    return LeftOut.read(kept)


def _by_hospital(cases: list[Case]) -> dict[str, list[Case]]:
    """Name -> cases; clinicians' corrected ones are of hospitals that are unknown, and left out."""
    names = dict.fromkeys(case.hospital for case in cases if case.hospital != CLINICIAN)
    return {name: [case for case in cases if case.hospital == name] for name in names}


def fitted_detector(predictor: Predictor, part: Part) -> OodDetector:
    """Of the pictures that a network saw, against drawn ones and photographs."""
    own = {name: data.case_inputs(predictor, cases, data.IMAGES) for name, cases in _by_hospital(part.training).items()}
    return detector.fit_ood(own, data.no_ultrasound_inputs(predictor))
