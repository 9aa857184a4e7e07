"""What is prepared behind the shown picture: the frames of a film, the explanation, the images that wait. Each method
answers with the value of one component.
"""

import logging
import time
from collections.abc import Iterator

import gradio as gr

from busi_model.image import ImageError
from busi_model.page import strings
from busi_model.page.images import pictures
from busi_model.page.images.result import Screen
from busi_model.page.images.worklist import Visit, worklist_of

LOG = logging.getLogger(__name__)
PREVIEWS_AT_ONCE = 16  # frames of a film, before the viewer hears of them
JUDGED_AT_ONCE = 4
LIST_EVERY_S = 0.3  # the worklist is sent at most so often while images are analysed ahead


class Background:
    """Works ahead for all users."""

    def __init__(self, screen: Screen):
        self.screen, self.images = screen, screen.images

    def film(self, visit: Visit, case_id: object) -> Iterator[dict]:
        """Prepare small pictures of all frames, to be looked through; the viewer learns how many are there."""
        shown = visit.shown_film(self.images, case_id)
        if shown is None:
            yield gr.skip()
            return
        case, _ = shown
        try:
            for ready in pictures.previews(self.images, case):
                if visit.shown != case.case_id:
                    yield gr.skip()
                    return
                if ready % PREVIEWS_AT_ONCE == 0:
                    yield self.screen.viewer(case, visit, "")
            yield self.screen.viewer(case, visit, "")
        except ImageError as error:
            yield self.screen.viewer(case, visit, strings.FRAME_LOST.format(reason=error))

    def judge(self, visit: Visit, case_id: object) -> Iterator[dict]:
        """Judge all frames of a film, to find the most suspicious one; it ends when another image is shown."""
        shown = visit.shown_film(self.images, case_id)
        if shown is None:
            yield gr.skip()
            return
        case, film = shown
        for index in range(film.count):
            film.judge(self.images.predictor, index)
            if visit.shown != case.case_id:
                yield gr.skip()
                return
            if index % JUDGED_AT_ONCE == 0:
                yield self.screen.viewer(case, visit, "", judging=True)
        yield self.screen.viewer(case, visit, "")

    def explain(self, visit: Visit, case_id: object) -> dict:
        """The viewer with a heat map of what speaks for the likeliest class."""
        case, turn = visit.own(self.images, case_id), visit.turn
        if case is None or not case.is_judged or case.withheld:
            return gr.skip()
        note = ""
        try:
            pictures.explanation(self.images, case)
        except Exception:
            LOG.exception("Explaining an image failed.")
            note = strings.EXPLANATION_FAILED
        return gr.skip() if visit.turn != turn else self.screen.viewer(case, visit, note)

    def ahead(self, visit: Visit) -> Iterator[dict]:
        """Analyse the images that wait, one after the other, and say so in the worklist."""
        said = 0.0
        for case_id in list(visit.case_ids):
            case = self.images.get(case_id)
            if case is None or case.ready or case_id not in visit.case_ids:
                continue
            self.images.analyse(case)
            if case.is_read:
                pictures.picture(self.images, case)
            if time.monotonic() - said > LIST_EVERY_S:
                said = time.monotonic()
                yield worklist_of(visit, self.images)
        yield worklist_of(visit, self.images)
