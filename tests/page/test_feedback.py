"""Quick feedback without a browser: whose opinion is saved for which image, and what stays of what was typed."""

from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from busi_model.page import strings
from busi_model.page.feedback import panel as feedback
from busi_model.page.host.cases import read_cases
from busi_model.page.images.opened import OpenImages
from busi_model.page.images.worklist import Visit
from busi_model.phantom import draw_phantom
from busi_model.reading.errors import StoreError
from busi_model.reading.storage.pictures import image_sha256
from busi_model.reading.storage.store import Store
from tests.decode.test_banner import screen
from tests.page.test_actions import Oracle
from tests.support.picture_files import dataset, region, written


@pytest.fixture
def at_hand(tmp_path):
    """A feedback panel, its store, a visit with two analysed images, and a way to say what the browser sends."""
    images = OpenImages(Oracle(), tmp_path)
    cases = [images.analyse(images.add(draw_phantom("malignant", seed, 100, 140)[0])) for seed in (1, 2)]
    visit = Visit(case_ids=[case.case_id for case in cases], shown=cases[0].case_id)
    store = Store(tmp_path / "store")
    with gr.Blocks(analytics_enabled=False):
        panel = feedback.FeedbackPanel(store, None, images, "ab" * 32)
        panel.connect(gr.State(visit), gr.HTML(""))
    drafts = feedback.Drafts()

    def sent(seen, **typed):
        typed = feedback.BLANK | typed
        fields = {part: typed[name] for name, part in panel.by_name.items()}
        return {panel.visit: visit, panel.seen: seen, panel.drafts: drafts, **fields}

    panel.turn(sent(""), cases[0].case_id)
    return SimpleNamespace(panel=panel, store=store, visit=visit, cases=cases, sent=sent, drafts=drafts, images=images)


def test_an_opinion_is_saved_for_the_image_it_was_clicked_under(at_hand):
    first, second = at_hand.cases
    answer = at_hand.panel.send("agree", at_hand.sent(first.case_id, comment="mine", own_class="benign"))
    assert "Image 1: Saved here" in answer[at_hand.panel.receipt]
    (record,) = at_hand.store.records()
    assert (record.content["verdict"], record.content["comment"]) == ("agree", "mine")
    assert record.image_sha256 == image_sha256(first.frame.gray) and record.image_kept is False
    again = at_hand.panel.send("agree", at_hand.sent(first.case_id, comment="mine", own_class="benign"))
    assert strings.RECEIPT_AGAIN.split(",")[0] in again[at_hand.panel.receipt]  # a double click
    assert len(at_hand.store.records()) == 1


def test_a_click_that_names_another_image_than_the_one_shown_is_refused(at_hand):
    first, second = at_hand.cases
    at_hand.visit.shown = second.case_id  # the server has turned already; the browser still showed the first
    answer = at_hand.panel.send("agree", at_hand.sent(first.case_id))
    assert set(answer) == {at_hand.panel.problem} and strings.FEEDBACK_OTHER_PICTURE in answer[at_hand.panel.problem]
    for forged in ("", "somebody else's", None):
        answer = at_hand.panel.send("agree", at_hand.sent(forged))
        assert strings.FEEDBACK_NO_PICTURE in answer[at_hand.panel.problem]
    assert at_hand.store.records() == []


def test_what_was_typed_comes_back_with_its_image_and_the_receipt_is_not_touched(at_hand):
    first, second = at_hand.cases
    panel = at_hand.panel
    away = panel.turn(at_hand.sent(first.case_id, comment="typed", own_class="malignant"), second.case_id)
    assert away[panel.comment]["value"] == "" and away[panel.own_class]["value"] is None
    assert panel.receipt not in away and panel.put_away not in away
    back = panel.turn(at_hand.sent(second.case_id), first.case_id)
    assert back[panel.comment]["value"] == "typed" and back[panel.own_class]["value"] == "malignant"
    assert 'data-form="begun"' in back[panel.problem] and 'data-form="empty"' in away[panel.problem]
    assert panel.turn(at_hand.sent(first.case_id, comment="typed on"), first.case_id) == {}  # the same image
    panel.send("unsure", at_hand.sent(first.case_id, comment="typed on"))
    panel.turn(at_hand.sent(first.case_id), second.case_id)
    answered = panel.turn(at_hand.sent(second.case_id), first.case_id)
    assert 'data-form="answered"' in answered[panel.problem]
    new = panel.again(at_hand.sent(first.case_id))
    assert 'data-form="empty"' in new[panel.problem] and new[panel.comment]["value"] == ""
    panel.send("agree", at_hand.sent(first.case_id))
    assert [record.content["comment"] for record in at_hand.store.records()] == ["typed on", ""]


def test_a_dicom_picture_is_kept_without_the_text_beside_its_scan(at_hand, tmp_path):
    """As in a session, under whose hash it is then found; what is not kept is known by the pixels that were shown."""
    scan = draw_phantom("benign", 3, 300, 380)[0]
    gray, painted, box = screen(scan, 0, 220, 18, (48, 64, 48, 64))
    whole = region((box.left, box.top, box.right - 1, box.bottom - 1))
    path = tmp_path / "1.2.840.113619.2.55"
    path.write_bytes(written(dataset(gray, SequenceOfUltrasoundRegions=[whole])))
    case = at_hand.images.analyse(at_hand.images.add(path))
    part = at_hand.images.analyse(at_hand.images.cut(case, (0, 0, gray.shape[1], box.bottom)))
    at_hand.visit.case_ids += [case.case_id, part.case_id]
    for one in (case, part):
        at_hand.visit.shown = one.case_id
        at_hand.panel.send("agree", at_hand.sent(one.case_id, keep_image=True))
    records = at_hand.store.records()
    assert [record.image_kept for record in records] == [True, True]
    whole, cut = (at_hand.store.picture(record.image_sha256) for record in records)
    assert (gray[painted] > 40).any() and not (whole[painted] > 40).any()
    assert not (cut[painted[: box.bottom]] > 40).any()
    np.testing.assert_array_equal(whole[box.top : box.bottom, box.left : box.right], scan)
    (of_session,) = read_cases([path], None)
    np.testing.assert_array_equal(of_session.gray, whole)
    at_hand.drafts.keys.clear()
    at_hand.panel.send("agree", at_hand.sent(part.case_id))
    assert at_hand.store.records()[-1].image_sha256 == image_sha256(part.frame.gray)


def test_an_outline_edited_in_the_viewer_is_saved_with_the_opinion(at_hand):
    case = at_hand.cases[0]
    moved = [[[32.0, 22.0], [105.0, 22.0], [105.0, 55.0], [32.0, 55.0]]]
    at_hand.images.draw(case, moved, revision=1)
    at_hand.panel.send("disagree", at_hand.sent(case.case_id, verdict="corrected"))
    (record,) = at_hand.store.records()
    assert record.content["outline"]["polygons"] == moved and record.content["outline_verdict"] == "corrected"


def test_a_lesions_class_and_no_lesion_are_asked_about(at_hand):
    seen = at_hand.cases[0].case_id
    for typed, text in (
        ({"no_lesion": True}, None),  # of a picture with an outline: undo one of them
        ({"verdict": "nothing_there"}, strings.CLASS_AND_NOTHING.format(class_name="malignant")),
    ):
        answer = at_hand.panel.send("disagree", at_hand.sent(seen, own_class="malignant", **typed))
        assert (text or strings.LESION_AND_NO_LESION) in answer[at_hand.panel.problem]
    assert at_hand.store.records() == []
    at_hand.panel.send("disagree", at_hand.sent(seen, own_class="normal", verdict="nothing_there"))
    assert len(at_hand.store.records()) == 1


def test_of_images_that_were_closed_no_draft_is_kept(at_hand):
    first, second = at_hand.cases
    at_hand.panel.turn(at_hand.sent(first.case_id, comment="y" * 50_000), second.case_id)
    assert len(at_hand.drafts.typed[first.case_id]["comment"]) == 2000
    at_hand.visit.case_ids.remove(first.case_id)
    at_hand.panel.turn(at_hand.sent(second.case_id, comment="mine"), None)
    assert set(at_hand.drafts.typed) == {second.case_id}


def test_feedback_that_cannot_be_saved_says_why_and_leaves_the_fields(at_hand, monkeypatch):
    seen = at_hand.cases[0].case_id
    answer = at_hand.panel.send("agree", at_hand.sent(seen, comment="x" * 2001))
    assert set(answer) == {at_hand.panel.problem} and "at most 2000 characters" in answer[at_hand.panel.problem]
    monkeypatch.setattr(
        at_hand.store, "save_feedback", lambda *_: (_ for _ in ()).throw(StoreError("The disk is full <b>."))
    )
    assert "The disk is full &lt;b&gt;." in at_hand.panel.send("agree", at_hand.sent(seen))[at_hand.panel.problem]
    monkeypatch.setattr(at_hand.store, "save_feedback", lambda *_: 1 / 0)
    assert strings.STEP_FAILED in at_hand.panel.send("agree", at_hand.sent(seen))[at_hand.panel.problem]
    assert at_hand.store.records() == []
