"""python -m tests.record_phantoms: write down what the shipped weights say of phantoms, once with each new set."""

import json
from pathlib import Path

from busi_model.names import CLASS_NAMES
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor

RECORD = Path(__file__).parent / "recorded_phantoms.json"
SEEDS = (1, 7)


def record() -> None:
    predictor = Predictor.load(RECORD.parents[1] / "weights", device="cpu")
    cases = []
    for class_name in CLASS_NAMES:
        for seed in SEEDS:
            prediction = predictor(draw_phantom(class_name, seed)[0]).judged_anyway
            probabilities = {name: round(p, 4) for name, p in prediction.class_probabilities.items()}
            case = {"class_name": class_name, "seed": seed, "class_probabilities": probabilities}
            cases.append(case | {"mask_px2": int(prediction.mask.sum())})
    content = {"weights_sha256": predictor.checkpoint.weights_sha256, "cases": cases}
    RECORD.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record()
