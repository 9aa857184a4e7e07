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
from busi_model.page import result, strings
from busi_model.page.lightbox import Case, Lightbox
from busi_model.page.takeaway import Takeaway
from busi_model.page.viewer import empty_data, viewer_data
from busi_model.page.worklist import worklist_data

LOG = logging.getLogger(__name__)


@dataclass
class Visit:
    """One user's place: ids of the open cases, the one shown, and how often the shown image changed."""

    turn: int = 0  # an answer to an earlier turn is thrown away
    version: int = 0  # of the worklist, for the browser: an older one that arrives later is not shown
    case_ids: list[str] = field(default_factory=list)
    shown: str | None = None


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
            else:
                self.lightbox.unmark_length(case)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            note = strings.SCALE_REFUSED.format(reason=error)
        return self._step(case, visit, threshold_name, note).outputs()

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

    def _viewer(self, case, visit, note):
        heat = self.lightbox.explanation(case) if case.explained else None
        return viewer_data(case, visit.turn, self.lightbox.picture(case), heat, note)

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


def _sent(event) -> dict:
    """What the browser sent along; a stranger's program may send anything."""
    return event._data if isinstance(event._data, dict) else {}


def skip() -> list:
    """No change of any output."""
    return [gr.skip()] * N_OUTPUTS
