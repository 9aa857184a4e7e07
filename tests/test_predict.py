import json
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from busi_model.frame import Frame
from busi_model.model import checkpoint
from busi_model.model.network import MultiTaskUNet, fold_for_inference
from busi_model.model.ood import N_TEXTURE, fit_distance, ood_inputs
from busi_model.model.operating_point import OperatingPoint
from busi_model.model.preprocess import Preprocess
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from tests.record_phantoms import RECORD


@pytest.fixture(scope="module")
def predictor(untrained):
    return Predictor.load(untrained, device="cpu")


def test_prediction_keeps_the_contract(predictor):
    prediction = predictor(draw_phantom("benign", 1, 100, 150)[0])
    assert list(prediction.class_probabilities) == ["benign", "malignant", "normal"]
    assert sum(prediction.class_probabilities.values()) == pytest.approx(1)
    assert prediction.confidence == prediction.class_probabilities[prediction.label]
    assert prediction.confidence == max(prediction.class_probabilities.values())
    assert prediction.mask.shape == (100, 150) and prediction.mask.dtype == bool
    assert prediction.mask_probability.shape == (100, 150)
    assert prediction.mask_probability.dtype == np.float32
    assert prediction.mask_probability.min() >= 0 and prediction.mask_probability.max() <= 1


def test_file_image_and_array_give_one_answer(predictor, tmp_path):
    gray = draw_phantom("malignant", 2, 80, 120)[0]
    Image.fromarray(gray).save(tmp_path / "a.png")
    answers = [predictor(x) for x in (gray, Image.fromarray(gray), tmp_path / "a.png", str(tmp_path / "a.png"))]
    for answer in answers[1:]:
        assert answer.class_probabilities == answers[0].class_probabilities
        np.testing.assert_array_equal(answer.mask_probability, answers[0].mask_probability)


def test_the_answer_does_not_depend_on_what_came_before(predictor):
    one, other = draw_phantom("benign", 3, 90, 90)[0], draw_phantom("normal", 4, 200, 70)[0]
    before = predictor(one)
    predictor(other)
    after = predictor(one)
    assert before.class_probabilities == after.class_probabilities
    np.testing.assert_array_equal(before.mask_probability, after.mask_probability)


def test_views_side_by_side_give_the_answer_of_one_after_the_other(untrained, monkeypatch):
    answers = []
    for n_threads in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda n=n_threads: n)
        predictor, seen = Predictor.load(untrained, device="cpu"), set()
        predictor.network.register_forward_hook(lambda *_, seen=seen: seen.add(threading.get_ident()))
        answers.append(predictor(draw_phantom("benign", 1)[0]))
        assert (threading.get_ident() in seen) == (n_threads == 1)  # otherwise each view has a thread of its own
    one, other = answers
    assert one.class_probabilities == pytest.approx(other.class_probabilities, abs=1e-5)
    np.testing.assert_allclose(one.mask_probability, other.mask_probability, atol=1e-4)


def test_many_threads_get_their_own_answers(predictor):
    images = [draw_phantom("benign", seed, 80, 80 + 10 * seed)[0] for seed in range(6)]
    expected = [predictor(image).class_probabilities for image in images]
    found = [None] * len(images)

    def work(i):
        found[i] = predictor(images[i]).class_probabilities

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_many_at_once_are_as_one_by_one(predictor):
    images = [draw_phantom(name, 7, 70 + 20 * n, 90)[0] for n, name in enumerate(("benign", "malignant", "normal"))]
    for one, image in zip(predictor.predict_many(images), images, strict=True):
        alone = predictor(image)
        assert one.class_probabilities == pytest.approx(alone.class_probabilities, abs=1e-6)
        np.testing.assert_allclose(one.mask_probability, alone.mask_probability, atol=1e-5)
        np.testing.assert_allclose(one.class_logits, alone.class_logits, atol=1e-5)
        assert one.warnings == alone.warnings
    assert predictor.predict_many([]) == []


def test_a_mirrored_image_gives_the_mirrored_answer(predictor, mirrored_predictor):
    gray = draw_phantom("malignant", 5, 96, 96)[0]
    straight, mirrored = predictor(gray), mirrored_predictor(np.ascontiguousarray(gray[:, ::-1]))
    np.testing.assert_allclose(straight.mask_probability, mirrored.mask_probability[:, ::-1], atol=1e-5)
    assert straight.class_probabilities == pytest.approx(mirrored.class_probabilities, abs=1e-5)


@pytest.mark.parametrize("aspect", [0.5, 0.75, 2.0])
def test_pixels_that_are_not_square_are_judged_in_true_proportion(weights, aspect):
    """The same picture, stored with fewer columns or rows, gets the same answer in its own pixels."""
    predictor = Predictor.load(weights, device="cpu")
    gray, _ = draw_phantom("malignant", 3, 360, 480)
    size = (480 if aspect >= 1 else round(480 * aspect), 360 if aspect <= 1 else round(360 / aspect))
    stored = np.asarray(Image.fromarray(gray).resize(size, Image.Resampling.BOX))
    whole, flat = predictor(gray), predictor(Frame(stored, None, (), pixel_aspect=aspect))
    assert flat.mask.shape == flat.mask_probability.shape == flat.margin.shape == stored.shape
    for name, probability in whole.class_probabilities.items():
        assert flat.class_probabilities[name] == pytest.approx(probability, abs=0.05)
    mask = np.asarray(Image.fromarray(whole.mask.view(np.uint8)).resize(size, Image.Resampling.NEAREST)) > 0
    assert mask.sum() > 500 and 2 * (mask & flat.mask).sum() / (mask.sum() + flat.mask.sum()) > 0.95
    squeezed = predictor(stored)  # what it says of the pixels alone
    assert max(abs(squeezed.class_probabilities[n] - p) for n, p in whole.class_probabilities.items()) > 0.002


def test_folding_batch_norm_changes_no_output():
    torch.manual_seed(1)
    network = MultiTaskUNet()
    network(torch.randn(4, 1, 64, 64))  # training mode: the norms move away from 0 and 1
    network.eval()
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        before = network(x)
        fold_for_inference(network)
        after = network(x)
    torch.testing.assert_close(after.mask_logits, before.mask_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after.class_logits, before.class_logits, rtol=1e-4, atol=1e-4)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


def _predictor_that_says(tmp_path, class_bias, mask_bias, **point):
    """A network whose answer is set by its last biases."""
    network = MultiTaskUNet(decoder_channels=(16, 16, 8, 8), class_hidden=8)
    with torch.no_grad():
        for parameter in (network.mask_head.weight, network.class_head.layers[-1].weight):
            parameter.zero_()
        network.mask_head.bias.fill_(mask_bias)
        network.class_head.layers[-1].bias.copy_(torch.tensor(class_bias))
    checkpoint.save(tmp_path, network, Preprocess(size=64), OperatingPoint(**point), {}, {})
    return Predictor.load(tmp_path, device="cpu")


def test_probabilities_by_hand(tmp_path):
    say = _predictor_that_says(tmp_path, [np.log(2), np.log(5), np.log(3)], np.log(4))
    prediction = say(draw_phantom("benign", 1, 64, 64)[0])
    assert prediction.class_probabilities == pytest.approx({"benign": 0.2, "malignant": 0.5, "normal": 0.3}, abs=1e-3)
    np.testing.assert_allclose(prediction.mask_probability, 0.8, atol=1e-3)
    assert prediction.label == "malignant"
    assert prediction.mask.all()


@pytest.mark.parametrize(
    ("class_bias", "mask_bias", "code"),
    [
        ([0.0, 0.0, 9.0], 5.0, "heads_disagree"),
        ([0.0, 9.0, 0.0], -5.0, "heads_disagree"),
        ([0.0, 0.1, 0.0], 5.0, "low_confidence"),
    ],
)
def test_warnings_are_given(tmp_path, class_bias, mask_bias, code):
    prediction = _predictor_that_says(tmp_path, class_bias, mask_bias)(draw_phantom("benign", 1, 64, 64)[0])
    assert [w.code for w in prediction.warnings] == [code]


@pytest.mark.parametrize(("class_bias", "mask_bias"), [([9.0, 0.0, 0.0], 5.0), ([0.0, 0.0, 9.0], -5.0)])
def test_agreement_warns_of_nothing(tmp_path, class_bias, mask_bias):
    prediction = _predictor_that_says(tmp_path, class_bias, mask_bias)(draw_phantom("benign", 1, 64, 64)[0])
    assert prediction.warnings == ()


def test_blank_image_is_flagged(tmp_path):
    prediction = _predictor_that_says(tmp_path, [9.0, 0.0, 0.0], 5.0)(np.full((80, 80), 90, np.uint8))
    assert "blank" in [w.code for w in prediction.warnings]


def test_frame_notices_come_along(predictor):
    colour = np.zeros((80, 80, 3), np.uint8)
    colour[:40] = (255, 0, 0)
    assert "colour" in [w.code for w in predictor(colour).warnings]


def test_what_to_do_about_the_picture_is_told_before_the_refusal(tmp_path):
    gray = draw_phantom("benign", 1, 300, 400)[0]
    say = _predictor_that_says(tmp_path, [9.0, 0.0, 0.0], 5.0, ood_score=0.0)
    window = np.full((600, 800), 30, np.uint8)
    window[200:500, 300:700] = gray
    say.ood = lambda features, gray: (1.0, 1.0)  # no breast ultrasound
    prediction = say(np.hstack([gray, gray]))
    assert [w.code for w in prediction.warnings] == ["split_screen", "not_ultrasound"]
    assert prediction.suggested_crops == ((0, 0, 400, 300), (400, 0, 800, 300))
    prediction = say(window)
    assert [w.code for w in prediction.warnings] == ["window", "not_ultrasound"]
    ((left, top, right, bottom),) = prediction.suggested_crops
    assert np.abs(np.subtract((left, top, right, bottom), (300, 200, 700, 500))).max() <= 50
    assert say(gray).suggested_crops == ()


class _FullAtFirst(torch.nn.Module):
    """A network on a graphics card whose memory is taken, and then free."""

    def __init__(self, network, n_failures):
        super().__init__()
        self.network, self.n_failures, self.n_calls = network, n_failures, 0

    def forward(self, x):
        self.n_calls += 1
        if self.n_calls <= self.n_failures:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return self.network(x)


def test_a_full_graphics_card_falls_back_to_the_cpu_with_a_notice(weights):
    gray = draw_phantom("malignant", 3, 120, 150)[0]
    predictor = Predictor.load(weights, device="cpu")
    expected = predictor(gray)
    predictor.network = _FullAtFirst(predictor.network, n_failures=1)
    prediction, after = predictor(gray), predictor(gray)
    assert [w.code for w in prediction.warnings] == ["on_cpu", *(w.code for w in expected.warnings)]
    assert [w.code for w in after.warnings] == [w.code for w in expected.warnings]  # the card was tried again
    for one in (prediction, after):
        assert one.class_probabilities == pytest.approx(expected.class_probabilities, abs=1e-6)
        assert (one.mask == expected.mask).all()


def test_where_the_cpu_has_no_memory_either_the_error_is_not_hidden(weights):
    predictor = Predictor.load(weights, device="cpu")
    predictor.network = _FullAtFirst(predictor.network, n_failures=1000)
    with pytest.raises(torch.OutOfMemoryError):
        predictor(draw_phantom("malignant", 3, 120, 150)[0])


@pytest.mark.slow
def test_idle_threads_do_not_spin():
    code = "import busi_model, os; print(os.environ['OMP_WAIT_POLICY'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "PASSIVE"


def test_shipped_weights_give_the_recorded_answers(shipped):
    """Phantoms are no patients: this pins arithmetic and files, not quality."""
    recorded = json.loads(RECORD.read_text())
    predictor = Predictor.load(shipped, device="cpu")
    assert predictor.checkpoint.weights_sha256 == recorded["weights_sha256"]
    for case in recorded["cases"]:
        prediction = predictor(draw_phantom(case["class_name"], case["seed"])[0]).judged_anyway
        assert prediction.class_probabilities == pytest.approx(case["class_probabilities"], abs=0.01)
        assert prediction.mask.sum() == pytest.approx(case["mask_px2"], rel=0.02, abs=20)


def test_classes_that_cannot_be_ruled_out_are_named(tmp_path):
    say = _predictor_that_says(tmp_path, [np.log(3), np.log(6), 0.0], 5.0, conformal_probability=0.25)
    prediction = say(draw_phantom("benign", 1, 64, 64)[0])
    assert prediction.class_set == ("malignant", "benign")
    assert [(w.code, w.text.split(".")[0]) for w in prediction.warnings] == [
        ("low_confidence", "Malignant and benign cannot be told apart")
    ]


def test_nothing_is_outlined_where_neither_head_finds_a_lesion(tmp_path):
    gray, unsure = draw_phantom("normal", 1, 64, 64)[0], np.log(3)  # 0.75 everywhere
    assert _predictor_that_says(tmp_path / "a", [0.0, 0.0, 3.0], unsure, least_evidence=0.7)(gray).mask.any()
    assert _predictor_that_says(tmp_path / "b", [3.0, 0.0, 0.0], unsure, least_evidence=0.8)(gray).mask.any()
    prediction = _predictor_that_says(tmp_path / "c", [0.0, 0.0, 3.0], unsure, least_evidence=0.8)(gray)
    assert not prediction.mask.any() and prediction.warnings == ()


def test_other_pictures_are_refused_and_what_the_network_knows_is_not(untrained, tmp_path):
    loaded = checkpoint.load(untrained)
    predictor = Predictor(loaded, device="cpu")
    phantoms = [draw_phantom(c, seed, 100, 130)[0] for c in ("benign", "normal") for seed in range(20)]
    inputs = np.stack([ood_inputs(predictor.logits([gray])[2][0], gray) for gray in phantoms])
    detector = fit_distance(inputs[:, :-N_TEXTURE])
    point = OperatingPoint(ood_distance=float(1.5 * detector.distance(inputs).max()))
    loaded = checkpoint.load(untrained)
    checkpoint.save(tmp_path, loaded.network, loaded.preprocess, point, {}, {}, detector)
    predictor = Predictor.load(tmp_path, device="cpu")
    known = predictor(phantoms[0])
    assert not known.refused and known.ood_distance < point.ood_distance
    assert known.judged_anyway is known
    other = predictor(np.random.default_rng(0).integers(0, 256, (100, 130), dtype=np.uint8))
    assert other.refused and [w.code for w in other.warnings] == ["not_ultrasound"]
    assert "I am not sure that this is a breast ultrasound" in other.warnings[0].text
    assert other.label is None and other.class_probabilities == {} and other.class_set == ()
    assert np.isnan(other.confidence) and np.isnan(other.class_logits).all()
    assert not other.mask.any() and not other.margin.any() and not other.mask_probability.any()
    anyway = other.despite_refusal
    assert other.judged_anyway is anyway and anyway.refused and anyway.label in anyway.class_probabilities
    assert sum(anyway.class_probabilities.values()) == pytest.approx(1) and anyway.mask_probability.any()
    (tmp_path / checkpoint.OOD_NAME).rename(tmp_path / checkpoint.OLD_OOD_NAME)  # as older weights have it
    assert Predictor.load(tmp_path, device="cpu")(phantoms[0]).ood_distance == known.ood_distance
    (tmp_path / checkpoint.OOD_NAME).write_bytes(b"no arrays")
    with pytest.raises(checkpoint.CheckpointError, match="ood.safetensors .9 bytes. was not written by train.py"):
        Predictor.load(tmp_path, device="cpu")


def test_the_shipped_weights_bring_a_detector_that_works(shipped):
    predictor = Predictor.load(shipped, device="cpu")
    noise = predictor(np.random.default_rng(0).integers(0, 256, (200, 260), dtype=np.uint8))
    assert noise.refused and noise.ood_distance > predictor.operating_point.ood_distance
