"""Corrected cases come back as training cases, and only as those: session -> export -> train.py --data."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from busi_model.image import read_image
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from busi_model.reading.errors import StoreError
from busi_model.reading.export import export_cases, export_known
from busi_model.reading.outline import encode_mask
from busi_model.reading.records import Model, NewSession, Outline
from busi_model.reading.session.sessions import NewCase, Sessions
from busi_model.reading.storage.pictures import image_sha256
from busi_model.reading.storage.store import Store, new_key
from busi_model.training import command
from busi_model.training.data.cases import CaseError
from busi_model.training.data.layouts import find_cases, find_hospital, find_hospitals
from busi_model.training.data.near_duplicates import without_twins
from busi_model.training.data.splits import choose_split
from tests.support.reading_help import (
    SQUARE,
    feedback,
    final,
    joined,
    model,
    new_session,
    outline,
    own,
    picture,
    read_all,
)

MOVED = [(30.0, 20.0), (60.0, 20.0), (60.0, 50.0), (30.0, 50.0)]


def say(store, *opinions, n_cases=1):
    """A session in which each reader gives one final read to each case -> session id."""
    sessions, created = new_session(store, n_cases=n_cases, n_readers=len(opinions))
    for number, opinion in enumerate(opinions):
        reader = joined(sessions, created.codes[number], f"Reader {number}")
        read_all(reader, lambda step, opinion=opinion: (own(), model(), opinion))
    return created.session_id


def corrected(class_name="malignant", polygon=MOVED):
    return final(class_name, outline_verdict="corrected", outline=outline(polygon))


def test_a_corrected_case_is_read_back_as_the_reader_left_it(store, tmp_path):
    say(store, corrected())
    exported = export_cases(store, tmp_path / "out")
    assert (exported.n_cases, exported.skipped) == (1, {})
    (case,) = find_cases(tmp_path / "out")
    frame, mask = case.read()
    assert np.array_equal(frame.gray, picture(0))
    assert np.array_equal(mask, outline(MOVED).mask()) and mask.sum() == 31 * 31
    assert (case.class_name, case.hospital, case.split, case.fold, case.scored) == (
        "malignant",
        "clinician",
        "training",
        None,
        False,
    )
    (row,) = csv.DictReader((tmp_path / "out" / "manifest.csv").read_text(encoding="utf-8").splitlines())
    assert (row["image"], row["weights"], row["readers"]) == (case.case_id, "ab" * 32, "1")


def test_a_good_outline_is_the_models(store, tmp_path):
    say(store, final("benign", outline_verdict="good"))
    export_cases(store, tmp_path / "out")
    (case,) = find_cases(tmp_path / "out")
    assert np.array_equal(case.read()[1], outline(SQUARE).mask())


def test_three_readers_are_joined_by_majority(store, tmp_path):
    say(store, corrected(polygon=MOVED), corrected(polygon=SQUARE), corrected(polygon=SQUARE))
    export_cases(store, tmp_path / "out")
    (case,) = find_cases(tmp_path / "out")
    assert np.array_equal(case.read()[1], outline(SQUARE).mask())


def conflicts(folder):
    return list(csv.DictReader((folder / "conflicts.csv").read_text(encoding="utf-8").splitlines()))


def test_a_known_truth_wins_over_the_readers_and_the_conflict_is_listed(store, tmp_path):
    """A proven cancer that both readers call benign leaves as malignant, with the outline on which they agree."""
    sessions, created = new_session(store, n_cases=3, n_readers=2, truths=["malignant", "normal", "benign"])
    for number, code in enumerate(created.codes):
        reader = joined(sessions, code, f"Reader {number}")
        read_all(reader, lambda step: (own("benign"), model("benign"), corrected("benign")))
    exported = export_cases(store, tmp_path / "out")
    assert (exported.n_cases, exported.skipped, exported.n_conflicts) == (3, {}, 2)
    cases = {image_sha256(case.read()[0].gray): case for case in find_cases(tmp_path / "out")}
    malignant, normal, benign = (cases[image_sha256(picture(number))] for number in range(3))
    assert (malignant.class_name, normal.class_name, benign.class_name) == ("malignant", "normal", "benign")
    assert np.array_equal(malignant.read()[1], outline(MOVED).mask())
    assert not normal.read()[1].any()
    listed = {row["image"]: row for row in conflicts(tmp_path / "out")}
    assert set(listed) == {malignant.case_id, normal.case_id}
    row = listed[malignant.case_id]
    assert (row["truth"], row["benign"], row["malignant"], row["exported"]) == ("malignant", "2", "0", "malignant")


def test_a_truth_counts_wherever_it_is_known_and_two_truths_are_none(store, tmp_path):
    without_truth = say(store, corrected("benign"))  # picture 0, as in the session with the truth
    new_session(store, truths=["malignant"])
    assert export_cases(store, tmp_path / "one", [without_truth]).n_conflicts == 1
    assert [case.class_name for case in find_cases(tmp_path / "one")] == ["malignant"]
    new_session(store, truths=["benign"])
    exported = export_cases(store, tmp_path / "two")
    assert (exported.n_cases, exported.skipped) == (0, {"two sessions give it different truths": 1})
    assert [row["truth"] for row in conflicts(tmp_path / "two")] == ["benign / malignant"]


@pytest.mark.parametrize("code", ["uncertain", "low_confidence", "heads_disagree"])
def test_agreement_with_an_uncertain_result_is_no_label(store, tmp_path, code):
    unsure = model().model_copy(update={"warnings": (code,)})
    given = {"verdict": "agree", "outline_verdict": "good", "keep_image": True}
    store.save_feedback(new_key(), feedback(model=unsure, **given), picture(0))
    exported = export_cases(store, tmp_path / "out")
    assert (exported.n_cases, exported.skipped) == (0, {"nobody gave a class that counts": 1})
    store.save_feedback(new_key(), feedback(model=unsure, own_class="benign", **given), picture(0))  # who says it does
    assert export_cases(store, tmp_path / "again").n_cases == 1


def test_a_damaged_picture_trains_nothing(store, tmp_path):
    say(store, corrected())
    path = store.image_path(image_sha256(picture(0)))
    path.write_bytes(path.read_bytes()[:200])
    assert export_cases(store, tmp_path / "out").skipped == {"the picture is damaged": 1}


def test_one_picture_leaves_once_from_two_sessions(store, tmp_path):
    first = say(store, corrected("malignant"), n_cases=2)
    say(store, corrected("malignant"))  # picture 0 again
    assert export_cases(store, tmp_path / "all").n_cases == 2
    assert export_cases(store, tmp_path / "one", [first]).n_cases == 2


@pytest.mark.parametrize(
    ("opinions", "reason"),
    [
        ([corrected("malignant"), corrected("benign")], "the readers are divided on the class"),
        ([final("benign", outline_verdict="wrong_place")], "the outline was called wrong and none was drawn"),
        ([final("benign", outline_verdict="nothing_there")], "called benign, but no lesion is outlined"),
        ([final("normal", outline_verdict="good")], "called normal, but a lesion is outlined"),
        (
            [final("normal", outline_verdict="wrong_place")],
            "called normal, but the model's outline was not judged",
        ),
    ],
)
def test_what_contradicts_itself_stays_behind_and_is_counted(store, tmp_path, opinions, reason):
    say(store, *opinions)
    exported = export_cases(store, tmp_path / "out")
    assert (exported.n_cases, exported.skipped) == (0, {reason: 1})
    assert find_cases(tmp_path / "out") == []


def test_a_normal_picture_leaves_with_an_empty_mask(store, tmp_path):
    say(store, final("normal", outline_verdict="nothing_there"))
    export_cases(store, tmp_path / "out")
    (case,) = find_cases(tmp_path / "out")
    assert case.class_name == "normal" and not case.read()[1].any()


def test_feedback_leaves_only_with_its_picture(store, tmp_path):
    given = {"verdict": "disagree", "own_class": "malignant", "outline_verdict": "good"}
    store.save_feedback(new_key(), feedback(**given))
    assert export_cases(store, tmp_path / "without").n_cases == 0
    other = image_sha256(picture(1))
    store.save_feedback(new_key(), feedback(**given, keep_image=True, image_sha256=other), picture(1))
    assert export_cases(store, tmp_path / "with").n_cases == 1
    (case,) = find_cases(tmp_path / "with")
    assert np.array_equal(case.read()[0].gray, picture(1)) and case.class_name == "malignant"


def test_a_folder_that_is_not_empty_is_left_alone(store, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError, match="not empty"):
        export_cases(store, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_corrected_cases_cannot_be_evaluated_on(store, tmp_path):
    say(store, corrected(), n_cases=3)
    export_cases(store, tmp_path / "out")
    hospital = find_hospital(tmp_path / "out")
    for split in ("all", "test", *(f"fold{fold}" for fold in range(5))):
        with pytest.raises(CaseError, match="no scored images"):
            choose_split(hospital, split)


def test_a_published_image_cannot_hide_among_them(store, tmp_path):
    say(store, corrected())
    export_cases(store, tmp_path / "out")
    Image.fromarray(picture(5)).save(tmp_path / "out" / "benign" / "benign (1).png")
    Image.fromarray(outline(SQUARE).mask()).convert("L").save(tmp_path / "out" / "benign" / "benign (1)_mask.png")
    with pytest.raises(CaseError, match="does not list"):
        find_cases(tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.csv"
    manifest.write_text(manifest.read_text() + "benign (1).png,benign,G1,development,0,1,BUSI,1,\n")
    with pytest.raises(CaseError, match="another source"):
        find_cases(tmp_path / "out")


def phantom_model(mask):
    height, width = mask.shape
    rows, columns = np.nonzero(mask) if mask.any() else (np.array([30, 60]), np.array([30, 60]))
    top, left, bottom, right = (float(v) for v in (rows.min(), columns.min(), rows.max(), columns.max()))
    box = [[(left, top), (right, top), (right, bottom), (left, bottom)]]
    shape = Outline.checked(polygons=box, width=width, height=height)
    return Model.checked(
        class_name="benign",
        confidence=0.6,
        class_probabilities={"benign": 0.6, "malignant": 0.3, "normal": 0.1},
        outline=shape,
        mask_png=encode_mask(shape.mask()),
        weights_sha256="0" * 64,
    )


@pytest.mark.slow
def test_a_phantom_session_trains_the_next_model(phantoms, store, tmp_path, capsys):
    """Six phantoms and one picture of the held-out fold are read and corrected; train.py takes the six."""
    pictures = {}
    for seed in range(6):
        class_name = ("benign", "malignant", "normal")[seed % 3]
        gray, mask = draw_phantom(class_name, seed=100 + seed, height=90, width=110)
        pictures[image_sha256(gray)] = (gray, class_name, mask)
    held_out = next(case for case in find_cases(phantoms) if case.fold == 0 and case.class_name == "benign")
    gray = read_image(held_out.image_path).gray
    pictures[image_sha256(gray)] = (gray, "benign", held_out.read()[1])
    sessions = Sessions(store)
    new = NewSession.checked(name="Phantoms", images_may_be_kept=True)
    created = sessions.create(new, [NewCase(gray, truth) for gray, truth, _ in pictures.values()])

    def correct(step):
        _, truth, mask = (
            pictures[step.image_sha256] if step.image_sha256 else (None, "benign", np.ones((90, 110), bool))
        )
        said = phantom_model(mask)
        if truth == "normal":
            return own(truth), said, final(truth, outline_verdict="nothing_there")
        return own(truth), said, final(truth, outline_verdict="corrected", outline=said.outline)

    read_all(joined(sessions, created.codes[0]), correct)
    assert export_cases(store, tmp_path / "corrected").n_cases == 7
    arguments = ["--data", phantoms, "--data", tmp_path / "corrected", "--out", tmp_path / "run"]
    arguments += ["--epochs", "1", "--size", "64", "--batch", "4", "--device", "cpu"]
    assert command.main(list(map(str, arguments))) == 0
    assert "1 corrected cases left out" in capsys.readouterr().out
    training = Predictor.load(tmp_path / "run" / "weights", device="cpu").checkpoint.training
    assert training["n_training_images"]["clinician"] == 6
    places = list((tmp_path / "run" / "evaluation").glob("*/per_case.csv"))
    assert [place.parent.name for place in places] == [phantoms.name]
    assert held_out.case_id in places[0].read_text(encoding="utf-8")


def test_corrected_cases_alone_are_no_training_data(store, tmp_path):
    export_cases(store, tmp_path / "a", [say(store, corrected())])
    with pytest.raises(CaseError, match="Only corrected cases were given"):
        find_hospitals([tmp_path / "a"])


def test_training_takes_several_folders_and_leaves_twins_of_held_out_pictures(store, phantoms, tmp_path):
    first = say(store, corrected(), n_cases=3)
    other = Store(tmp_path / "other")
    sessions, created = new_session(other, n_cases=5)  # pictures 0 to 4
    read_all(joined(sessions, created.codes[0]), lambda step: (own(), model(), corrected()))
    export_cases(store, tmp_path / "a", [first])
    export_cases(other, tmp_path / "b")
    other.close()
    hospitals = find_hospitals([phantoms, tmp_path / "a", tmp_path / "b"])
    assert [h.name for h in hospitals] == [phantoms.name, "clinician", "clinician"]
    held_out = tmp_path / "held_out.png"
    Image.fromarray(picture(2) // 2).save(held_out)  # darker, so another file and hash: a twin all the same
    unseen = replace(hospitals[1].cases[0], image_path=held_out, mask_paths=(), class_name="normal")
    kept = without_twins([case for hospital in hospitals[1:] for case in hospital.cases], [unseen])
    pictures = [image_sha256(read_image(case.image_path).gray) for case in kept]
    assert sorted(pictures) == sorted(image_sha256(picture(number)) for number in (0, 0, 1, 1, 3, 4))


def test_cases_of_known_class_leave_for_calibration_without_outlines(store, tmp_path):
    """Each case once, where its class is certain; readers are not asked, who have seen the model's outline."""
    truths = ["benign", "malignant", None, "normal", "benign", "malignant", "malignant"]
    sessions, created = new_session(store, truths=truths)
    read_all(joined(sessions, created.codes[0]), lambda step: (own(), model(), corrected()))
    cases = [NewCase(picture(4), "malignant"), NewCase(picture(10), "benign"), NewCase(picture(10), "benign")]
    other = sessions.create(NewSession.checked(name="Noon", images_may_be_kept=True), cases)
    store.image_path(image_sha256(picture(5))).write_bytes(b"damaged")
    sessions.close(created.session_id)
    exported = export_known(
        store, tmp_path / "known", created.session_id, is_seen=lambda gray: np.array_equal(gray, picture(6))
    )
    names = sorted(str(path.relative_to(tmp_path / "known")) for path in (tmp_path / "known").rglob("*.png"))
    assert names == ["benign/case_001.png", "malignant/case_002.png", "normal/case_004.png"]
    assert np.array_equal(read_image(tmp_path / "known" / names[1]).gray, picture(1))
    assert exported.n_cases == 3 and exported.skipped == {
        "their class is not known": 1,
        "two sessions give it different truths": 1,
        "the picture is missing or damaged": 1,
        "the weights were trained on them": 1,
    }
    again = export_known(store, tmp_path / "other", other.session_id)
    assert (again.n_cases, again.skipped["the same picture is another case, too"]) == (1, 1)
    none = export_known(store, tmp_path / "none", "no such session")
    assert none.n_cases == 0 and not (tmp_path / "none").exists()
