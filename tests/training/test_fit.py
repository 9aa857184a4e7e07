import csv
import dataclasses
import resource
import shutil
from dataclasses import replace

import pytest
import torch

from busi_model.model.preprocess import Preprocess
from busi_model.training import command
from busi_model.training.data.layouts import find_cases
from busi_model.training.fitting.dataset import ImageSet, load_images
from busi_model.training.fitting.fit import Trainer
from busi_model.training.fitting.history import validate, write_history
from busi_model.training.fitting.loss import multi_task_loss
from busi_model.training.fitting.recipe import RunError, TrainConfig, shares

pytestmark = pytest.mark.slow

CONFIG = TrainConfig(epochs=3, size=64, batch=4, precision="float32")


@pytest.fixture(scope="module")
def images(phantoms):
    cases = find_cases(phantoms)
    return {
        "train": load_images([c for c in cases if c.fold != 0], Preprocess(size=64), "train"),
        "validation": load_images([c for c in cases if c.fold == 0], Preprocess(size=64), "validation"),
    }


class StoppedError(Exception):
    pass


def _same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    """Weights of a run that nothing disturbed."""
    return Trainer(CONFIG, images["train"], tmp_path_factory.mktemp("whole"), "cpu").fit()


def test_a_resumed_run_gives_the_weights_of_an_uninterrupted_one(images, whole, tmp_path, monkeypatch):
    original = Trainer._epoch

    def stop_in_second(self, epoch, progress):
        if epoch == 1:
            raise StoppedError
        return original(self, epoch, progress)

    monkeypatch.setattr(Trainer, "_epoch", stop_in_second)
    with pytest.raises(StoppedError):
        Trainer(CONFIG, images["train"], tmp_path / "parts", "cpu").fit()
    monkeypatch.setattr(Trainer, "_epoch", original)
    torch.manual_seed(99)  # whatever happened in between must not matter
    resumed = Trainer(CONFIG, images["train"], tmp_path / "parts", "cpu")
    assert _same(resumed.fit(), whole)
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3]


def test_a_disk_that_fills_up_leaves_the_epoch_before(images, whole, tmp_path, monkeypatch):
    original, (soft, hard) = Trainer._epoch, resource.getrlimit(resource.RLIMIT_FSIZE)

    def full_from_second(self, epoch, progress):
        if epoch == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # no file may grow beyond
        return original(self, epoch, progress)

    monkeypatch.setattr(Trainer, "_epoch", full_from_second)
    try:
        with pytest.raises(RunError, match="the same command resumes from the epoch before"):
            Trainer(CONFIG, images["train"], tmp_path, "cpu").fit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.csv", "last.pt"]
    monkeypatch.setattr(Trainer, "_epoch", original)
    assert _same(Trainer(CONFIG, images["train"], tmp_path, "cpu").fit(), whole)


def test_a_kill_while_a_checkpoint_is_written_leaves_the_epoch_before(images, whole, tmp_path, monkeypatch):
    original = torch.save

    def write_half(state, path):
        original(state, path)
        if len(state["history"]) == 2:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            raise StoppedError  # nothing handles it: on the disk this looks like a kill

    monkeypatch.setattr(torch, "save", write_half)
    with pytest.raises(StoppedError):
        Trainer(CONFIG, images["train"], tmp_path, "cpu").fit()
    assert (tmp_path / "last.pt.writing").is_file()
    monkeypatch.setattr(torch, "save", original)
    assert _same(Trainer(CONFIG, images["train"], tmp_path, "cpu").fit(), whole)
    assert not (tmp_path / "last.pt.writing").exists()


class Bomb:
    def __reduce__(self):
        return open, ("exploded", "w")


SHORT = replace(CONFIG, epochs=1)


@pytest.fixture(scope="module")
def finished(images, tmp_path_factory):
    """last.pt of a run of one epoch; a test takes a copy."""
    folder = tmp_path_factory.mktemp("finished")
    Trainer(SHORT, images["train"], folder, "cpu").fit()
    return folder / "last.pt"


@pytest.mark.parametrize("kind", ["cut", "empty", "text", "pickle"])
def test_a_damaged_checkpoint_is_told_and_no_pickle_runs(images, finished, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = shutil.copy(finished, tmp_path / "last.pt")
    whole = path.read_bytes()
    if kind == "pickle":
        torch.save({"identity": Bomb()}, path)
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"no checkpoint"}[kind])
    with pytest.raises(RunError, match="is damaged, or no checkpoint of this program"):
        Trainer(SHORT, images["train"], tmp_path, "cpu").fit()
    assert not (tmp_path / "exploded").exists()


def test_other_settings_are_not_resumed(images, finished, tmp_path):
    shutil.copy(finished, tmp_path / "last.pt")
    other = replace(SHORT, lr=5e-4)
    with pytest.raises(RunError, match=r"other settings \(lr\)"):
        Trainer(other, images["train"], tmp_path, "cpu").fit()


def test_every_epoch_has_its_row(images, tmp_path):
    Trainer(CONFIG, images["train"], tmp_path, "cpu").fit(images["validation"])
    with open(tmp_path / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert all(0 <= float(row["val_accuracy"]) <= 1 for row in rows)
    assert {"train_bce", "train_dice", "train_class", "seconds", "augment_share", "val_dice", "val_loss"} <= set(
        rows[0]
    )


def test_the_validation_loss_is_trainings_of_the_held_out_images(images, tmp_path):
    """In batches of any size what one batch of all held-out images gives."""
    trainer = Trainer(CONFIG, images["train"], tmp_path, "cpu")
    held_out = images["train"]  # more than one batch of validate
    assert len(held_out) > 16
    how = (trainer.preprocess, trainer.device, False, CONFIG, trainer.class_weights)
    row = validate(trainer.averaged_network, held_out, *how)
    x = trainer.preprocess.normalise(held_out.images.float())[:, None]
    with torch.no_grad():
        output = trainer.averaged_network.eval()(x)
    mask = held_out.masks[:, None].float() / 255
    shares = CONFIG.class_loss, CONFIG.smoothing, CONFIG.mask_loss
    total, parts = multi_task_loss(output, mask, held_out.labels, trainer.class_weights, *shares)
    for name, value in parts.items():
        assert row[f"val_loss_{name}"] == pytest.approx(float(value), rel=1e-4)
    assert row["val_loss"] == pytest.approx(float(total), rel=1e-4)


def test_a_run_of_an_older_program_is_resumed_without_its_loss(images, tmp_path):
    one = dataclasses.replace(CONFIG, epochs=2)
    Trainer(one, images["train"], tmp_path, "cpu").fit(images["validation"])
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    state["history"] = [{k: v for k, v in state["history"][0].items() if "val_loss" not in k}]
    torch.save(state, tmp_path / "last.pt")  # as if the second epoch were still to come; the schedule has ended
    resumed = Trainer(one, images["train"], tmp_path, "cpu")
    resumed._resume()
    resumed.history.append({"epoch": 2, "train_bce": 0.1, "val_loss": 0.7})
    write_history(resumed.history, tmp_path / "history.csv")
    with open(tmp_path / "history.csv") as file:
        first, second = csv.DictReader(file)
    assert first["val_loss"] == "" and second["val_loss"] == "0.7" and second["val_dice"] == ""


def test_training_learns_phantoms(images, tmp_path):
    """Forty epochs of a toy problem: lesions that anyone sees are outlined better than by chance."""
    config = TrainConfig(epochs=40, size=64, batch=6, precision="float32", ema=0.9, lr=3e-3)
    trainer = Trainer(config, images["train"], tmp_path, "cpu")
    before = validate(trainer.averaged_network, images["validation"], trainer.preprocess, "cpu")
    after = validate(trainer.fit(), images["validation"], trainer.preprocess, "cpu")
    assert after["val_dice"] > 0.4 > before["val_dice"]


def test_shares_of_hospitals_by_hand():
    assert shares([100, 400], 300, 0.5) == [100, 200]  # by the square roots, 10 and 20
    assert shares([100, 400], 500, 1.0) == [100, 400]
    assert shares([100, 400], 300, 0.0) == [150, 150]
    assert shares([1, 10_000], 10, 1.0) == [1, 10]


def test_an_epoch_shows_each_hospital_its_share_without_repeats(images, tmp_path):
    few = images["validation"].part(range(3))
    few = ImageSet([replace(c, hospital="other") for c in few.cases], few.images, few.masks, few.labels)
    train = ImageSet(
        images["train"].cases + few.cases,
        *(torch.cat([getattr(images["train"], n), getattr(few, n)]) for n in ("images", "masks", "labels")),
    )
    n = len(images["train"])
    config = dataclasses.replace(CONFIG, balance=0.0, epoch_images=2 * n)
    trainer = Trainer(config, train, tmp_path, "cpu")
    assert trainer.shown == [n, n]
    seen = []
    for epoch in range(3):
        order = trainer._order(epoch, torch.Generator().manual_seed(epoch)).tolist()
        assert sorted(i for i in order if i < n) == list(range(n)) and len(order) == 2 * n
        assert all(sum(i >= n for i in order[k : k + 4]) in (1, 2, 3) for k in range(0, 2 * n - 4, 4))  # evenly mixed
        seen += [i for i in order if i >= n]
    assert sorted(seen[: 3 * (len(seen) // 3)]) == sorted([n, n + 1, n + 2] * (len(seen) // 3))
    alone = Trainer(CONFIG, images["train"], tmp_path / "alone", "cpu")
    assert sorted(alone._order(1, torch.Generator().manual_seed(1)).tolist()) == list(range(n))


def test_each_setting_is_explained_with_its_default(capsys):
    with pytest.raises(SystemExit):
        command.parse_arguments(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--lr float AdamW peak, after 15 % warm-up (default: 0.001)" in shown
    for field in dataclasses.fields(TrainConfig):
        flag = f"--{field.name.replace('_', '-')} {field.type.__name__}"
        assert f"(default: {field.default})" in shown and f"{flag} (default" not in shown


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        TrainConfig(epochs=0)
    with pytest.raises(ValueError, match="bfloat16"):
        TrainConfig(precision="half")


def test_an_empty_training_split_is_refused(images, tmp_path):
    nothing = ImageSet([], images["train"].images[:0], images["train"].masks[:0], images["train"].labels[:0])
    with pytest.raises(RunError, match="no images"):
        Trainer(CONFIG, nothing, tmp_path, "cpu")
