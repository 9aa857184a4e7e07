"""Small judgements and sessions for the tests of busi_model/reading."""

import numpy as np

from busi_model.reading.outline import encode_mask
from busi_model.reading.records import Feedback, FinalRead, Model, NewSession, Outline, OwnRead, Profile
from busi_model.reading.session.questionnaire import Questionnaire
from busi_model.reading.session.sessions import NewCase, Sessions
from busi_model.reading.storage.pictures import image_sha256

HEIGHT, WIDTH = 70, 80
SQUARE = [(20.0, 10.0), (50.0, 10.0), (50.0, 40.0), (20.0, 40.0)]  # 31 x 31 pixel centres, the border counted in


def picture(number: int) -> np.ndarray:
    """uint8 (H, W), another one for each number."""
    return np.random.default_rng(number).integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)


def outline(*polygons) -> Outline:
    return Outline.checked(polygons=list(polygons), width=WIDTH, height=HEIGHT)


def model(class_name="benign", polygon=SQUARE, weights="ab" * 32, **fields) -> Model:
    shape = outline(polygon) if polygon else outline()
    rest = {name: 0.1 for name in ("benign", "malignant", "normal")}
    return Model.checked(
        class_name=class_name,
        confidence=0.8,
        class_probabilities=rest | {class_name: 0.8},
        outline=shape,
        mask_png=encode_mask(shape.mask()),
        weights_sha256=weights,
        weights_revision="r1",
        **fields,
    )


def own(class_name="benign", confidence=50, **fields) -> OwnRead:
    return OwnRead.checked(class_name=class_name, confidence=confidence, **fields)


def final(class_name="benign", confidence=60, outline_verdict="good", **fields) -> FinalRead:
    return FinalRead.checked(class_name=class_name, confidence=confidence, outline_verdict=outline_verdict, **fields)


def feedback(comment="", **fields) -> Feedback:
    given = {"verdict": "agree", "model": model(), "image_sha256": image_sha256(picture(0))} | fields
    return Feedback.checked(comment=comment, **given)


def new_session(store, n_cases=3, truths=None, sessions=None, **fields):
    """A session with its codes -> Sessions, Created."""
    sessions = sessions or Sessions(store)
    truths = truths or [None] * n_cases
    cases = [NewCase(picture(number), truth) for number, truth in enumerate(truths)]
    return sessions, sessions.create(NewSession.checked(name="Morning", images_may_be_kept=True, **fields), cases)


def joined(sessions, code, pseudonym="Owl"):
    """A reader past the familiarisation."""
    reader = sessions.enter(code)
    reader.join(Profile.checked(pseudonym=pseudonym, role="radiologist", years=7))
    reader.familiarised()
    return reader


def save_step(reader, step, own_read, revealed, final_read):
    """Save whatever the step asks for; returns what the reader returned."""
    if step.stage == "own":
        return reader.save_own(step.key, own_read)
    if step.stage == "reveal":
        return reader.reveal(step.key, revealed)
    if step.stage == "final":
        return reader.save_final(step.key, final_read)
    return reader.save_questionnaire(step.key, Questionnaire.checked(answers=[4, 2] * 5))


def read_all(reader, say=lambda step: (own(), model(), final())):
    """Go to the end; say(step) -> own read, model, final read of the step's case."""
    while (step := reader.step()).stage != "done":
        reader.shown(step)
        save_step(reader, step, *say(step))
