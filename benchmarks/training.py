"""Training: images a second, and what augmentation and reading take of it."""

import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.measure import table
from busi_model.names import CLASS_NAMES
from busi_model.phantom import draw_phantom
from busi_model.training.data.layouts import find_cases
from busi_model.training.fitting.dataset import load_images
from busi_model.training.fitting.fit import Trainer
from busi_model.training.fitting.recipe import TrainConfig

N_IMAGES = 96
SIZES = (160, 256)


def run(weights) -> list[dict]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        cases = _phantoms(Path(folder, "BUSI"))
        for size in SIZES:
            config = TrainConfig(epochs=2, size=size, start_size=1.0)
            begin = time.perf_counter()
            images = load_images(cases, Trainer.preprocess_for(config), "phantoms")
            reading_s = time.perf_counter() - begin
            trainer = Trainer(config, images, Path(folder, f"run{size}"))
            trainer.fit()
            last = trainer.history[-1]  # the first epoch has the allocations of the first steps
            shown = trainer.steps * config.batch
            share = f"{100 * last['augment_share']:.0f} %"
            rows.append(
                [size, shown / last["seconds"], share, 1000 * reading_s / len(cases), trainer.describe_device()]
            )
    columns = ["side, px", "images a second", "augmentation", "reading, ms an image, once a run", "device"]
    note = "lite0, batches of 8, forward, backward, AdamW and averaging; pictures are read once and stay in memory."
    return [table("Training", columns, rows, note)]


def _phantoms(folder: Path):
    for number in range(N_IMAGES):
        class_name = CLASS_NAMES[number % 3]
        (folder / class_name).mkdir(parents=True, exist_ok=True)
        gray, mask = draw_phantom(class_name, number, 470, 560)
        stem = folder / class_name / f"{class_name} ({number})"
        Image.fromarray(gray).save(f"{stem}.png")
        Image.fromarray(mask).save(f"{stem}_mask.png")
    return find_cases(folder)
