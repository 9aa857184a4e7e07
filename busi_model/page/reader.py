"""What happens when a user does something in the reading panel: each method collects, asks the light box, and shows.

Every step of a reading sets every output, so that a picture and the result of another image can never stand side by
side; and a step that was overtaken by a newer image is not shown at all.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import gradio as gr
from gradio.data_classes import FileData

from busi_model.clinic import lengths
from busi_model.clinic.render import as_html
from busi_model.image import ImageError
from busi_model.page import result, strings
from busi_model.page.lightbox import Case, Lightbox
from busi_model.page.takeaway import Takeaway
from busi_model.page.viewer.scene import empty_data, viewer_data
from busi_model.page.worklist import worklist_data
from busi_model.reading.errors import OutlineError

LOG = logging.getLogger(__name__)
PREVIEWS_AT_ONCE = 16  # frames of a film, before the viewer hears of them
JUDGED_AT_ONCE = 4


@dataclass
class Visit:
    """One user's place: ids of the open cases, the one shown, and how often the shown image changed."""

    turn: int = 0  # an answer to an earlier turn is thrown away
    version: int = 0  # of the worklist, for the browser: an older one that arrives later is not shown
    case_ids: list[str] = field(default_factory=list)
    shown: str | None = None
    scale: tuple | None = None  # spacing_mm and frame shape of the mark that goes on to the next images


@dataclass(frozen=True)
class Step:
    """What the panel shows of one case at one moment. Outputs in the order of `single.build`."""

    words: str  # HTML
    viewer: dict
    worklist: dict
    measures: str = ""  # HTML
    text: str | None = None  # for the report; None: there is nothing to take away
    insistable: bool = False  # whether "analyse anyway" is offered

    def outputs(self) -> list:
        """The upload field is emptied, ready for the next files."""
        return [
            None,
            self.worklist,
            self.viewer,
            self.words,
            self.measures,
            gr.Button(visible=self.insistable),
            gr.Column(visible=self.text is not None),
            self.text or "",
            gr.Button(visible=bool(self.worklist["items"])),
        ]


N_OUTPUTS = 9


class Reader:
    """Reads images for all users."""

    def __init__(self, lightbox: Lightbox, takeaway: Takeaway):
        self.lightbox, self.takeaway = lightbox, takeaway

    def read(self, sources, visit: Visit, threshold_name, synthetic: bool = False) -> Iterator[list]:
        """New images, as `read_image` takes them -> the panel's outputs, step by step; the first of them is shown."""
        cases = [self.lightbox.add(source, synthetic) for source in sources]
        visit.case_ids += [case.case_id for case in cases]
        yield from self._turn(cases[0], visit, threshold_name)

    def pick(self, visit: Visit, threshold_name, event: gr.EventData) -> Iterator[list]:
        """Show another image of the worklist."""
        yield from self._turn(self._own(visit, _sent(event).get("case")), visit, threshold_name)

    def insist(self, visit: Visit, threshold_name) -> list:
        """Show the result of an image that was refused."""
        case = self._own(visit, visit.shown)
        if case is not None:
            case.insisted = True
        return self._step(case, visit, threshold_name).outputs()

    def refresh(self, visit: Visit, threshold_name) -> list:
        """Say the shown result again, by another operating point."""
        if visit.shown is None:
            return skip()
        return self._step(self._own(visit, visit.shown), visit, threshold_name).outputs()

    def mark(self, visit: Visit, threshold_name, event: gr.EventData) -> list:
        """A known length was marked in the picture, or its scale was taken away."""
        case = self._own(visit, _sent(event).get("case"))
        if case is None or case.frame is None or case.case_id != visit.shown:
            return skip()
        note = ""
        try:
            if "mm" in _sent(event):
                self.lightbox.mark_length(case, event.start, event.end, float(event.mm))
                visit.scale = (case.spacing_mm, case.frame.gray.shape) if _sent(event).get("next") else None
            else:
                self.lightbox.unmark_length(case)
                visit.scale = None
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            note = strings.SCALE_REFUSED.format(reason=error)
        return self._step(case, visit, threshold_name, note).outputs()

    def outline(self, visit: Visit, threshold_name, event: gr.EventData) -> list:
        """The outline was edited: it becomes the shown one, and everything that follows from it is made anew."""
        sent = _sent(event)
        case, revision = self._own(visit, sent.get("case")), sent.get("revision")
        if not _shows(case, visit, sent) or case.prediction is None or case.withheld:
            return skip()
        if not isinstance(revision, int) or revision <= case.revision:
            return skip()  # overtaken by a newer one
        try:
            mended = self.lightbox.draw(case, sent.get("lesions"), revision)
            note = strings.OUTLINE_MENDED_NOTE.format(text=mended) if mended else ""
        except OutlineError as error:
            note = strings.OUTLINE_REFUSED.format(reason=error)
        return skip() if case.revision != revision else self._step(case, visit, threshold_name, note).outputs()

    def crop(self, visit: Visit, threshold_name, event: gr.EventData) -> Iterator[list]:
        """Judge a part of the picture as an image of its own; it comes after the one that it was cut from."""
        sent = _sent(event)
        case, box = self._own(visit, sent.get("case")), sent.get("box")
        if case is None or case.frame is None or not _is_box(box):
            yield skip()
            return
        try:
            part = self.lightbox.cut(case, box)
        except ImageError as error:
            yield self._step(case, visit, threshold_name, str(error)).outputs()
            return
        visit.case_ids.insert(visit.case_ids.index(case.case_id) + 1, part.case_id)
        yield from self._turn(part, visit, threshold_name)

    def frame(self, visit: Visit, threshold_name, event: gr.EventData) -> Iterator[list]:
        """Show another frame of a film and judge it."""
        sent = _sent(event)
        case, index = self._own(visit, sent.get("case")), sent.get("index")
        if not self._is_film(case, visit) or not isinstance(index, int) or not 0 <= index < case.film.count:
            yield skip()
            return
        visit.turn += 1  # what is still on its way is of the frame before
        try:
            self.lightbox.turn_to(case, index)
        except ImageError as error:
            yield self._step(case, visit, threshold_name, strings.FRAME_LOST.format(reason=error)).outputs()
            return
        yield from self._turn(case, visit, threshold_name)

    def film(self, visit: Visit, event: gr.EventData) -> Iterator[dict]:
        """Prepare small pictures of all frames, to be looked through; the viewer learns how many are there."""
        case = self._own(visit, _sent(event).get("case"))
        if not self._is_film(case, visit):
            yield gr.skip()
            return
        try:
            for ready in self.lightbox.previews(case):
                if visit.shown != case.case_id:
                    yield gr.skip()
                    return
                if ready % PREVIEWS_AT_ONCE == 0:
                    yield self._viewer(case, visit, "")
            yield self._viewer(case, visit, "")
        except ImageError as error:
            yield self._viewer(case, visit, strings.FRAME_LOST.format(reason=error))

    def judge(self, visit: Visit, event: gr.EventData) -> Iterator[dict]:
        """Judge all frames of a film, to find the most suspicious one; it ends when another image is shown."""
        case = self._own(visit, _sent(event).get("case"))
        if not self._is_film(case, visit):
            yield gr.skip()
            return
        for index in range(case.film.count):
            case.film.judge(self.lightbox.predictor, index)
            if visit.shown != case.case_id:
                yield gr.skip()
                return
            if index % JUDGED_AT_ONCE == 0:
                yield self._viewer(case, visit, "", judging=True)
        yield self._viewer(case, visit, "")

    def explain(self, visit: Visit, event: gr.EventData) -> dict:
        """The viewer with a heat map of what speaks for the likeliest class."""
        case, turn = self._own(visit, _sent(event).get("case")), visit.turn
        if case is None or case.prediction is None or case.withheld:
            return gr.skip()
        note = ""
        try:
            self.lightbox.explanation(case)
        except Exception:
            LOG.exception("Explaining an image failed.")
            note = strings.EXPLANATION_FAILED
        return gr.skip() if visit.turn != turn else self._viewer(case, visit, note)

    def ahead(self, visit: Visit) -> Iterator[dict]:
        """Analyse the images that wait, one after the other, and say so in the worklist."""
        for case in [self.lightbox.get(case_id) for case_id in list(visit.case_ids)]:
            if case is not None and not case.ready and case.case_id in visit.case_ids:
                self.lightbox.open(case)
                yield self._worklist(visit)
                self.lightbox.analyse(case)
        yield self._worklist(visit)

    def clear(self, visit: Visit) -> list:
        """Close all images; they are forgotten at once."""
        self.lightbox.forget(visit.case_ids)
        visit.case_ids.clear()
        visit.turn, visit.shown = visit.turn + 1, None
        return Step(result.waiting_html(), empty_data(visit.turn), self._worklist(visit)).outputs()

    def take(self, kind: str, visit: Visit, threshold_name) -> dict:
        """One file to save, for `download.js`."""
        case = self._own(visit, visit.shown)
        if case is None or case.prediction is None or case.withheld:
            return gr.skip()
        name = self.takeaway.file_name(kind, case)
        path = self.lightbox.write(case, name, self.takeaway.content(kind, case, threshold_name))
        visit.version += 1
        return {"file": FileData(path=path, orig_name=name).model_dump(), "count": visit.version}

    def _own(self, visit, case_id) -> Case | None:
        """The user's own case of this id, or None: ids come from the browser."""
        return self.lightbox.get(case_id) if case_id in visit.case_ids else None

    def _is_film(self, case, visit) -> bool:
        return case is not None and case.film is not None and case.case_id == visit.shown

    def _turn(self, case, visit, threshold_name):
        """Show a case, until a newer image takes the turn."""
        visit.turn += 1
        visit.shown = None if case is None else case.case_id
        mine = visit.turn
        for step in self._steps(case, visit, threshold_name):
            if visit.turn != mine:
                break
            yield step.outputs()
        if visit.turn != mine:
            # Gradio sends a run's last output again when the run ends: an outdated one must end with "no change".
            # Only an outdated one: that step can swallow the step before it, when both travel in one packet.
            yield skip()

    def _steps(self, case, visit, threshold_name):
        if case is not None and not case.ready:
            if case.frame is None:
                yield Step(result.busy_html(strings.OPENING), empty_data(visit.turn), self._worklist(visit))
                self.lightbox.open(case)
            if case.frame is not None:
                yield self._step(case, visit, threshold_name)
                self.lightbox.analyse(case)
        yield self._step(case, visit, threshold_name)

    def _step(self, case, visit, threshold_name, note="") -> Step:
        """What there is to say of a case by now."""
        self._carry_scale(case, visit)
        worklist = self._worklist(visit)
        message = self._message(case)
        if message is not None:
            return Step(result.message_html(*message), empty_data(visit.turn), worklist)
        viewer = self._viewer(case, visit, note)
        if case.prediction is None:
            return Step(result.busy_html(strings.ANALYSING), viewer, worklist)
        words = result.result_html(self.takeaway.report(case, threshold_name))
        if case.withheld:
            blank = any(warning.code == "blank" for warning in case.prediction.warnings)
            return Step(words, viewer, worklist, insistable=not blank)
        measures = as_html("measures", table=lengths.table(case.lesions), notes=self.takeaway.notes(case))
        return Step(words, viewer, worklist, measures, self.takeaway.text(case, threshold_name))

    def _viewer(self, case, visit, note, judging=False):
        with case.lock:  # a film may turn to another frame meanwhile
            heat = self.lightbox.explanation(case) if case.explained and case.prediction is not None else None
            return viewer_data(case, visit.turn, self.lightbox.picture(case), heat, note, judging)

    def _carry_scale(self, case, visit):
        """The mark of an earlier image, where the user said that it holds for the next ones of the same size."""
        if visit.scale is None or case is None or case.frame is None or case.spacing_mm is not None:
            return
        spacing_mm, shape = visit.scale
        if case.frame.gray.shape == shape:
            self.lightbox.carry_scale(case, spacing_mm)

    def _message(self, case):
        """Heading and text in place of picture and result, where there are none."""
        if case is None:
            return strings.GONE_HEADING, strings.GONE_TEXT
        if case.error is not None:
            return strings.UNREADABLE_HEADING, case.error
        if case.failed:
            return strings.FAILED_HEADING, strings.FAILED_TEXT
        return None

    def _worklist(self, visit):
        visit.version += 1
        cases = [self.lightbox.get(case_id) for case_id in visit.case_ids]
        return worklist_data([case for case in cases if case is not None], visit.shown, visit.version)


def _shows(case, visit, sent) -> bool:
    """Whether the browser speaks of the very frame that is shown."""
    if case is None or case.frame is None or case.case_id != visit.shown:
        return False
    return sent.get("frame", 0) == (0 if case.film is None else case.film.index)


def _is_box(box) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(isinstance(edge, int) for edge in box)


def _sent(event) -> dict:
    """What the browser sent along; a stranger's program may send anything."""
    return event._data if isinstance(event._data, dict) else {}


def skip() -> list:
    """No change of any output."""
    return [gr.skip()] * N_OUTPUTS
