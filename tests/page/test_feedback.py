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
from tests.page.test_reader import Oracle
from tests.picture_files import dataset, region, written
from tests.test_banner import screen


@pytest.fixture
def desk(tmp_path):
    """A feedback panel, its store, a visit with two analysed images, and a way to say what the browser sends."""
    images = OpenImages(Oracle(), tmp_path)
    cases = [images.analyse(images.add(draw_phantom("malignant", seed, 100, 140)[0])) for seed in (1, 2)]
    visit = Visit(case_ids=[case.case_id for case in cases], shown=cases[0].case_id)
    store = Store(tmp_path / "store")
    with gr.Blocks(analytics_enabled=False):
        panel = feedback.Panel(store, None, images, "ab" * 32)
        panel.connect(gr.State(visit), gr.HTML(""))
    drafts = feedback.Drafts()

    def sent(seen, **typed):
        typed = feedback.BLANK | typed
        fields = {part: typed[name] for name, part in panel.by_name.items()}
        return {panel.visit: visit, panel.seen: seen, panel.drafts: drafts, **fields}

    panel.turn(sent(""), cases[0].case_id)
    return SimpleNamespace(panel=panel, store=store, visit=visit, cases=cases, sent=sent, drafts=drafts, images=images)


def test_an_opinion_is_saved_for_the_image_it_was_clicked_under(desk):
    first, second = desk.cases
    answer = desk.panel.send("agree", desk.sent(first.case_id, comment="mine", own_class="benign"))
    assert "Image 1: Saved here" in answer[desk.panel.receipt]
    (record,) = desk.store.records()
    assert (record.content["verdict"], record.content["comment"]) == ("agree", "mine")
    assert record.image_sha256 == image_sha256(first.frame.gray) and record.image_kept is False
    again = desk.panel.send("agree", desk.sent(first.case_id, comment="mine", own_class="benign"))
    assert strings.RECEIPT_AGAIN.split(",")[0] in again[desk.panel.receipt]  # a double click
    assert len(desk.store.records()) == 1


def test_a_click_that_names_another_image_than_the_one_shown_is_refused(desk):
    first, second = desk.cases
    desk.visit.shown = second.case_id  # the server has turned already; the browser still showed the first
    answer = desk.panel.send("agree", desk.sent(first.case_id))
    assert set(answer) == {desk.panel.problem} and strings.FEEDBACK_OTHER_PICTURE in answer[desk.panel.problem]
    for forged in ("", "somebody else's", None):
        answer = desk.panel.send("agree", desk.sent(forged))
        assert strings.FEEDBACK_NO_PICTURE in answer[desk.panel.problem]
    assert desk.store.records() == []


def test_what_was_typed_comes_back_with_its_image_and_the_receipt_is_not_touched(desk):
    first, second = desk.cases
    panel = desk.panel
    away = panel.turn(desk.sent(first.case_id, comment="typed", own_class="malignant"), second.case_id)
    assert away[panel.comment]["value"] == "" and away[panel.own_class]["value"] is None
    assert panel.receipt not in away and panel.put_away not in away
    back = panel.turn(desk.sent(second.case_id), first.case_id)
    assert back[panel.comment]["value"] == "typed" and back[panel.own_class]["value"] == "malignant"
    assert 'data-form="begun"' in back[panel.problem] and 'data-form="empty"' in away[panel.problem]
    assert panel.turn(desk.sent(first.case_id, comment="typed on"), first.case_id) == {}  # the same image
    panel.send("unsure", desk.sent(first.case_id, comment="typed on"))
    panel.turn(desk.sent(first.case_id), second.case_id)
    answered = panel.turn(desk.sent(second.case_id), first.case_id)
    assert 'data-form="answered"' in answered[panel.problem]
    new = panel.again(desk.sent(first.case_id))
    assert 'data-form="empty"' in new[panel.problem] and new[panel.comment]["value"] == ""
    panel.send("agree", desk.sent(first.case_id))
    assert [record.content["comment"] for record in desk.store.records()] == ["typed on", ""]


def test_a_dicom_picture_is_kept_without_the_text_beside_its_scan(desk, tmp_path):
    """As in a session, under whose hash it is then found; what is not kept is known by the pixels that were shown."""
    scan = draw_phantom("benign", 3, 300, 380)[0]
    gray, painted, box = screen(scan, 0, 220, 18, (48, 64, 48, 64))
    whole = region((box.left, box.top, box.right - 1, box.bottom - 1))
    path = tmp_path / "1.2.840.113619.2.55"
    path.write_bytes(written(dataset(gray, SequenceOfUltrasoundRegions=[whole])))
    case = desk.images.analyse(desk.images.add(path))
    part = desk.images.analyse(desk.images.cut(case, (0, 0, gray.shape[1], box.bottom)))
    desk.visit.case_ids += [case.case_id, part.case_id]
    for one in (case, part):
        desk.visit.shown = one.case_id
        desk.panel.send("agree", desk.sent(one.case_id, keep_image=True))
    records = desk.store.records()
    assert [record.image_kept for record in records] == [True, True]
    whole, cut = (desk.store.picture(record.image_sha256) for record in records)
    assert (gray[painted] > 40).any() and not (whole[painted] > 40).any()
    assert not (cut[painted[: box.bottom]] > 40).any()
    np.testing.assert_array_equal(whole[box.top : box.bottom, box.left : box.right], scan)
    (of_session,) = read_cases([path], None)
    np.testing.assert_array_equal(of_session.gray, whole)
    desk.drafts.keys.clear()
    desk.panel.send("agree", desk.sent(part.case_id))
    assert desk.store.records()[-1].image_sha256 == image_sha256(part.frame.gray)


def test_an_outline_edited_in_the_viewer_is_saved_with_the_opinion(desk):
    case = desk.cases[0]
    moved = [[[32.0, 22.0], [105.0, 22.0], [105.0, 55.0], [32.0, 55.0]]]
    desk.images.draw(case, moved, revision=1)
    desk.panel.send("disagree", desk.sent(case.case_id, verdict="corrected"))
    (record,) = desk.store.records()
    assert record.content["outline"]["polygons"] == moved and record.content["outline_verdict"] == "corrected"


def test_a_lesions_class_and_no_lesion_are_asked_about(desk):
    seen = desk.cases[0].case_id
    for typed, text in (
        ({"no_lesion": True}, None),  # of a picture with an outline: undo one of them
        ({"verdict": "nothing_there"}, strings.CLASS_AND_NOTHING.format(class_name="malignant")),
    ):
        answer = desk.panel.send("disagree", desk.sent(seen, own_class="malignant", **typed))
        assert (text or strings.LESION_AND_NO_LESION) in answer[desk.panel.problem]
    assert desk.store.records() == []
    desk.panel.send("disagree", desk.sent(seen, own_class="normal", verdict="nothing_there"))
    assert len(desk.store.records()) == 1


def test_of_images_that_were_closed_no_draft_is_kept(desk):
    first, second = desk.cases
    desk.panel.turn(desk.sent(first.case_id, comment="y" * 50_000), second.case_id)
    assert len(desk.drafts.typed[first.case_id]["comment"]) == 2000
    desk.visit.case_ids.remove(first.case_id)
    desk.panel.turn(desk.sent(second.case_id, comment="mine"), None)
    assert set(desk.drafts.typed) == {second.case_id}


def test_feedback_that_cannot_be_saved_says_why_and_leaves_the_fields(desk, monkeypatch):
    seen = desk.cases[0].case_id
    answer = desk.panel.send("agree", desk.sent(seen, comment="x" * 2001))
    assert set(answer) == {desk.panel.problem} and "at most 2000 characters" in answer[desk.panel.problem]
    monkeypatch.setattr(
        desk.store, "save_feedback", lambda *_: (_ for _ in ()).throw(StoreError("The disk is full <b>."))
    )
    assert "The disk is full &lt;b&gt;." in desk.panel.send("agree", desk.sent(seen))[desk.panel.problem]
    monkeypatch.setattr(desk.store, "save_feedback", lambda *_: 1 / 0)
    assert strings.STEP_FAILED in desk.panel.send("agree", desk.sent(seen))[desk.panel.problem]
    assert desk.store.records() == []
