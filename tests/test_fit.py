import csv
import dataclasses
import resource

import pytest
import torch

import train
from busi_model.preprocess import Preprocess
from busi_model.training.cases import find_cases
from busi_model.training.fit import RunError, TrainConfig, Trainer, validate
from busi_model.training.images import ImageSet, load_images

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
    return Trainer(CONFIG, images["train"], images["validation"], tmp_path_factory.mktemp("whole"), "cpu").fit()


def test_a_resumed_run_gives_the_weights_of_an_uninterrupted_one(images, whole, tmp_path, monkeypatch):
    original = Trainer._epoch

    def stop_in_second(self, epoch, progress):
        if epoch == 1:
            raise StoppedError
        return original(self, epoch, progress)

    monkeypatch.setattr(Trainer, "_epoch", stop_in_second)
    with pytest.raises(StoppedError):
        Trainer(CONFIG, images["train"], images["validation"], tmp_path / "parts", "cpu").fit()
    monkeypatch.setattr(Trainer, "_epoch", original)
    torch.manual_seed(99)  # whatever happened in between must not matter
    resumed = Trainer(CONFIG, images["train"], images["validation"], tmp_path / "parts", "cpu")
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
            Trainer(CONFIG, images["train"], images["validation"], tmp_path, "cpu").fit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.csv", "last.pt"]
    monkeypatch.setattr(Trainer, "_epoch", original)
    assert _same(Trainer(CONFIG, images["train"], images["validation"], tmp_path, "cpu").fit(), whole)


def test_a_kill_while_a_checkpoint_is_written_leaves_the_epoch_before(images, whole, tmp_path, monkeypatch):
    original = torch.save

    def write_half(state, path):
        original(state, path)
        if len(state["history"]) == 2:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            raise StoppedError  # nothing handles it: on the disk this looks like a kill

    monkeypatch.setattr(torch, "save", write_half)
    with pytest.raises(StoppedError):
        Trainer(CONFIG, images["train"], images["validation"], tmp_path, "cpu").fit()
    assert (tmp_path / "last.pt.writing").is_file()
    monkeypatch.setattr(torch, "save", original)
    assert _same(Trainer(CONFIG, images["train"], images["validation"], tmp_path, "cpu").fit(), whole)
    assert not (tmp_path / "last.pt.writing").exists()


class Bomb:
    def __reduce__(self):
        return open, ("exploded", "w")


@pytest.mark.parametrize("kind", ["cut", "empty", "text", "pickle"])
def test_a_damaged_checkpoint_is_told_and_no_pickle_runs(images, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    short = TrainConfig(epochs=1, size=64, batch=4, precision="float32")
    Trainer(short, images["train"], None, tmp_path, "cpu").fit()
    path = tmp_path / "last.pt"
    whole = path.read_bytes()
    if kind == "pickle":
        torch.save({"identity": Bomb()}, path)
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"no checkpoint"}[kind])
    with pytest.raises(RunError, match="is damaged, or no checkpoint of this program"):
        Trainer(short, images["train"], None, tmp_path, "cpu").fit()
    assert not (tmp_path / "exploded").exists()


def test_other_settings_are_not_resumed(images, tmp_path):
    short = TrainConfig(epochs=1, size=64, batch=4, precision="float32")
    Trainer(short, images["train"], None, tmp_path, "cpu").fit()
    other = TrainConfig(epochs=1, size=64, batch=4, precision="float32", lr=5e-4)
    with pytest.raises(RunError, match=r"other settings \(lr\)"):
        Trainer(other, images["train"], None, tmp_path, "cpu").fit()


def test_every_epoch_has_its_row(images, tmp_path):
    Trainer(CONFIG, images["train"], None, tmp_path, "cpu").fit(images["validation"])
    with open(tmp_path / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert all(0 <= float(row["val_accuracy"]) <= 1 for row in rows)
    assert {"train_bce", "train_dice", "train_class", "seconds", "augment_share", "val_dice"} <= set(rows[0])


def test_training_learns_phantoms(images, tmp_path):
    """Forty epochs of a toy problem: lesions that anyone sees are outlined better than by chance."""
    config = TrainConfig(epochs=40, size=64, batch=6, precision="float32", ema=0.9, lr=3e-3)
    trainer = Trainer(config, images["train"], None, tmp_path, "cpu")
    before = validate(trainer.averaged_network, images["validation"], trainer.preprocess, "cpu")
    after = validate(trainer.fit(), images["validation"], trainer.preprocess, "cpu")
    assert after["val_dice"] > 0.4 > before["val_dice"]


def test_an_epoch_shows_each_image_once_and_as_many_of_the_second_source(images, tmp_path):
    few = ImageSet(*(getattr(images["validation"], f)[:3] for f in ("cases", "images", "masks", "labels")))
    trainer = Trainer(CONFIG, images["train"], few, tmp_path, "cpu")
    n = len(images["train"])
    seen = []
    for epoch in range(3):
        order = trainer._order(epoch, torch.Generator().manual_seed(epoch)).tolist()
        assert sorted(order[0::2]) == list(range(n))
        assert all(n <= i < n + 3 for i in order[1::2]) and len(order) == 2 * n
        seen += order[1::2]
    for start in range(0, len(seen) - 3, 3):  # no repeat until all three were seen
        assert sorted(seen[start : start + 3]) == [n, n + 1, n + 2]


def test_each_setting_is_explained_with_its_default(capsys):
    with pytest.raises(SystemExit):
        train.parse_arguments(["--help"])
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
        Trainer(CONFIG, nothing, None, tmp_path, "cpu")
