"""What the panel shows of one case at one moment: a `Step`, and the result card in it, a `Report` of clinic or what
stands in its place, as HTML.

Every state begins with the same unseen paragraph of role "status": it stays in the page while its text changes, which
is what makes a screen reader speak.
"""

from dataclasses import dataclass

from busi_model.clinic.render import as_html, spoken
from busi_model.clinic.report import Report
from busi_model.page import strings
from busi_model.page.images.opened import Case, Lightbox
from busi_model.page.images.scene import empty_data, viewer_data
from busi_model.page.images.takeaway import Takeaway
from busi_model.page.images.worklist import Visit, worklist_of


@dataclass(frozen=True)
class Step:
    """What the panel shows of one case at one moment."""

    words: str | None  # HTML; None: only the worklist changed
    viewer: dict | None
    worklist: dict
    case_id: str | None = None  # whose result is in `words`; None: there is none
    measures: str = ""  # HTML
    text: str | None = None  # for the report; None: there is nothing to take away
    dicom: tuple[str, ...] = ()  # kinds of DICOM results that can be taken away
    insistable: bool = False  # whether the result of a refused picture is offered
    n_open: int = 0
    n_closed: int = 0  # images that can be opened again


class Screen:
    """Says of a case what there is by now."""

    def __init__(self, lightbox: Lightbox, takeaway: Takeaway):
        self.lightbox, self.takeaway = lightbox, takeaway

    def step(
        self, case: Case | None, visit: Visit, threshold_name: str | None, note: str = "", listed: int | None = None
    ) -> Step:
        """What there is to say of a case by now."""
        self._carry_scale(case, visit)
        if case is not None and case.ready:
            visit.looked_at.add(case.case_id)
        counts = {"n_open": len(visit.case_ids), "n_closed": len(visit.closed)}
        worklist = worklist_of(visit, self.lightbox, listed)
        message = _message(case)
        if message is not None:
            return Step(message_html(*message), empty_data(visit.turn), worklist, **counts)
        viewer = self.viewer(case, visit, note)
        if case.prediction is None:
            return Step(busy_html(strings.ANALYSING), viewer, worklist, **counts)
        words = result_html(self.takeaway.report(case, threshold_name))
        if case.withheld:
            blank = any(warning.code == "blank" for warning in case.prediction.warnings)
            return Step(words, viewer, worklist, insistable=not blank, **counts)
        measures = as_html("measures", table=self.takeaway.table(case), notes=self.takeaway.notes(case))
        text = self.takeaway.text(case, threshold_name)
        dicom = self.takeaway.dicom_kinds(case)
        return Step(words, viewer, worklist, case.case_id, measures, text, dicom=dicom, **counts)

    def viewer(self, case: Case, visit: Visit, note: str, judging: bool = False) -> dict:
        with case.lock:  # a film may turn to another frame meanwhile
            heat = self.lightbox.explanation(case) if case.explained and case.prediction is not None else None
            return viewer_data(case, visit.turn, self.lightbox.picture(case), heat, note, judging)

    def _carry_scale(self, case: Case | None, visit: Visit) -> None:
        """The mark of an earlier image, where the user said that it holds for the next ones of the same size."""
        if visit.scale is None or case is None or case.frame is None or case.spacing_mm is not None:
            return
        spacing_mm, shape = visit.scale
        if case.frame.gray.shape == shape:
            self.lightbox.carry_scale(case, spacing_mm)


def parts_html(step: Step) -> str:
    """Which parts of the panel there are, for layout.css."""
    there = {
        "take": step.text is not None,
        "dicom": bool(step.dicom),
        "seg": "seg" in step.dicom,
        "anyway": step.insistable,
        "clear": step.n_open > 0,
        "undo": step.n_closed > 0,
    }
    return f'<span hidden data-parts="{" ".join(name for name, is_there in there.items() if is_there)}"></span>'


def waiting_html() -> str:
    return message_html(strings.WAITING_HEADING, *strings.WAITING_LINES, kind="waiting")


def busy_html(text: str) -> str:
    return message_html(text, kind="busy")


def message_html(heading: str, *lines: str, kind: str = "message") -> str:
    return as_html("message", heading=heading, lines=lines, kind=kind)


def result_html(report: Report) -> str:
    return as_html("result", report=report, said=spoken(report))


def _message(case: Case | None) -> tuple[str, str] | None:
    """Heading and text in place of picture and result, where there are none."""
    if case is None:
        return strings.GONE_HEADING, strings.GONE_TEXT
    if case.error is not None:
        return strings.UNREADABLE_HEADING, case.error
    if case.failed:
        return strings.FAILED_HEADING, strings.FAILED_TEXT
    return None
