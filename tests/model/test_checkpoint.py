import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from busi_model.files import write_json
from busi_model.model import checkpoint
from busi_model.model.checkpoint import CheckpointError
from busi_model.model.network import MultiTaskUNet


@pytest.fixture
def folder(untrained, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(untrained, tmp_path / "weights")


def test_round_trip(untrained):
    loaded = checkpoint.load(untrained)
    assert loaded.preprocess.size == 64
    assert loaded.operating_point.temperature == 1.5
    assert loaded.training == {"recipe": "none"}
    assert not loaded.network.training
    torch.manual_seed(0)
    original = MultiTaskUNet(decoder_channels=(16, 16, 8, 8), class_hidden=8).state_dict()
    for name, tensor in loaded.network.state_dict().items():
        torch.testing.assert_close(tensor, original[name], rtol=1e-3, atol=1e-6)  # fp16 on disk


def test_saving_what_was_loaded_changes_nothing(untrained, tmp_path):
    loaded = checkpoint.load(untrained)
    checkpoint.save(tmp_path, loaded.network, loaded.preprocess, loaded.operating_point, loaded.training, {})
    assert checkpoint.load(tmp_path).weights_sha256 == loaded.weights_sha256


def test_hub_mixin_loads_the_folder(untrained):
    network = MultiTaskUNet.from_pretrained(untrained).eval()
    x = torch.randn(1, 1, 64, 64)
    ours = checkpoint.load(untrained).network
    torch.testing.assert_close(network(x).class_logits, ours(x).class_logits)


def test_another_user_may_read_the_file(untrained):
    assert (untrained / checkpoint.WEIGHTS_NAME).stat().st_mode & 0o044 == 0o044


def test_truncated_weights(folder):
    path = folder / checkpoint.WEIGHTS_NAME
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        checkpoint.load(folder)


def test_a_pickle_is_named_and_never_loaded(folder):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    torch.save(Bomb(), folder / checkpoint.WEIGHTS_NAME)
    with pytest.raises(CheckpointError, match="a pickle, which is never loaded"):
        checkpoint.load(folder)


def test_git_lfs_pointer(folder):
    (folder / checkpoint.WEIGHTS_NAME).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(CheckpointError, match="git lfs pull"):
        checkpoint.load(folder)


def test_foreign_weights(folder):
    save_file({"layer.weight": torch.zeros(3)}, folder / checkpoint.WEIGHTS_NAME)
    with pytest.raises(CheckpointError, match="another network"):
        checkpoint.load(folder)


@pytest.mark.parametrize("name", [checkpoint.CONFIG_NAME, checkpoint.WEIGHTS_NAME])
def test_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        checkpoint.load(folder)


def _change(folder, **changes):
    path = folder / checkpoint.CONFIG_NAME
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 99}, "format 99"),
        ({"format": None}, "lacks the key 'format'"),
        ({"class_names": ["normal", "benign", "malignant"]}, "are expected"),
        ({"encoder": "resnet"}, "does not describe"),
        ({"preprocess": {"size": 100}}, "does not describe"),
        ({"operating_point": {"surprise": 1}}, "does not describe"),
    ],
)
def test_wrong_config_says_what_is_wrong(folder, change, words):
    _change(folder, **change)
    with pytest.raises(CheckpointError, match=words):
        checkpoint.load(folder)


def test_config_that_is_no_json(folder):
    (folder / checkpoint.CONFIG_NAME).write_text("{")
    with pytest.raises(CheckpointError, match="not readable JSON"):
        checkpoint.load(folder)


def test_neither_folder_nor_repository():
    with pytest.raises(CheckpointError, match="neither a folder here"):
        checkpoint.load("no/such/place/at/all")


def test_undefined_figures_are_null(tmp_path):
    write_json({"dice": float("nan"), "list": [1.0, float("nan")]}, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == {"dice": None, "list": [1.0, None]}
