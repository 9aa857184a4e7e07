"""What happens when a user does something in the reading panel: each method collects, asks the light box, and answers
with a `Step`.

Every step of a reading says everything, so that a picture and the result of another image can never stand side by side;
and a step that was overtaken by a newer image is not shown at all.
"""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import gradio as gr
from gradio.data_classes import FileData

from busi_model.clinic.render import as_html
from busi_model.dicom_out.write import KINDS, DicomResultError
from busi_model.image import ImageError
from busi_model.page import strings
from busi_model.page.images import result
from busi_model.page.images.opened import Case, Lightbox
from busi_model.page.images.scene import empty_data, viewer_data
from busi_model.page.images.takeaway import Takeaway
from busi_model.page.images.worklist import item, state_of, worklist_data
from busi_model.reading.errors import OutlineError

LOG = logging.getLogger(__name__)
MOST_KEPT = 2000  # images of a page, and ids that a browser may ask for after a reload
PREVIEWS_AT_ONCE = 16  # frames of a film, before the viewer hears of them
JUDGED_AT_ONCE = 4
LIST_EVERY_S = 0.3  # the worklist is sent at most so often while images are analysed ahead


@dataclass
class Visit:
    """One user's place: ids of the open cases, the one shown, and how often the shown image changed."""

    address: str = ""  # that the user's images came from
    turn: int = 0  # an answer to an earlier turn is thrown away
    version: int = 0  # of the worklist, for the browser: an older one that arrives later is not shown
    listed: tuple = ()  # what the list said when it was last sent whole, and as which version
    case_ids: list[str] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)  # case id: what the browser knows the file's name by
    looked_at: set[str] = field(default_factory=set)
    closed: list[str] = field(default_factory=list)  # closed together and last: they can still come back
    shown: str | None = None
    scale: tuple | None = None  # spacing_mm and frame shape of the mark that goes on to the next images


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


class Reader:
    """Reads images for all users."""

    def __init__(self, lightbox: Lightbox, takeaway: Takeaway):
        self.lightbox, self.takeaway = lightbox, takeaway
        self._holders: dict[str, Visit] = {}  # case id: whose it is

    def read(self, sources, visit: Visit, threshold_name, synthetic=False, tokens=(), show=True) -> Iterator[Step]:
        """New images, as `read_image` takes them; the first of them is shown, unless another one is and `show` is
        False. tokens: the browser's, one a source."""
        self._settle(visit)
        if len(visit.case_ids) + len(sources) > MOST_KEPT:
            text = strings.TOO_MANY_OPEN_TEXT.format(n_open=len(visit.case_ids), n_more=len(sources), most=MOST_KEPT)
            words = result.message_html(strings.TOO_MANY_OPEN_HEADING, text)
            visit.turn, visit.shown = visit.turn + 1, None
            yield Step(words, empty_data(visit.turn), self._worklist(visit), n_open=len(visit.case_ids))
            return
        for case_id in [one for one in self._holders if one not in self.lightbox]:  # forgotten there
            self._holders.pop(case_id, None)
        cases = [self.lightbox.add(source, synthetic, visit.address) for source in sources]
        for case, token in zip(cases, tokens, strict=False):
            visit.tokens[case.case_id] = token
        for case in cases:
            self._holders[case.case_id] = visit
            visit.case_ids.insert(_place(visit, case), case.case_id)
        if show or visit.shown is None:
            yield from self._turn(cases[0], visit, threshold_name)
        else:
            yield Step(None, None, self._worklist(visit), n_open=len(visit.case_ids))

    def pick(self, visit: Visit, threshold_name, case_id, listed=None) -> Iterator[Step]:
        """Show another image of the worklist. listed: version of the list that the browser has whole."""
        yield from self._turn(self._own(visit, case_id), visit, threshold_name, listed)

    def close(self, visit: Visit, threshold_name, case_ids) -> Iterator[Step]:
        """Close some of the open images; the next one is shown. Until images are opened or closed again they can come
        back; then they are forgotten."""
        self._settle(visit)
        gone = [case_id for case_id in visit.case_ids if case_id in case_ids]
        place = visit.case_ids.index(visit.shown) if visit.shown in gone else None
        left = [case_id for case_id in visit.case_ids if case_id not in gone]
        if place is not None and left:
            following = [case_id for case_id in visit.case_ids[place:] if case_id in left]
            visit.shown = following[0] if following else left[-1]
        visit.case_ids, visit.closed = left, gone
        if not left:
            visit.turn, visit.shown = visit.turn + 1, None
            yield Step(result.waiting_html(), empty_data(visit.turn), self._worklist(visit), n_closed=len(gone))
        elif place is None:
            yield self._step(self._own(visit, visit.shown), visit, threshold_name)
        else:
            yield from self._turn(self._own(visit, visit.shown), visit, threshold_name)

    def reopen(self, visit: Visit, threshold_name) -> Iterator[Step]:
        """What was closed last comes back, behind what is open."""
        back = [case_id for case_id in visit.closed if self.lightbox.get(case_id) is not None]
        visit.closed = []
        visit.case_ids += back
        first = back[0] if back else visit.shown
        yield from self._turn(self._own(visit, first), visit, threshold_name)

    def restore(self, visit: Visit, threshold_name, case_ids, shown) -> Iterator[Step]:
        """The page was loaded again: what this tab had open comes back, as far as it is still there. An id cannot be
        guessed, so whoever names it had it open."""
        asked = [case_id for case_id in case_ids[:MOST_KEPT] if isinstance(case_id, str)]
        for case_id in asked:
            holder = self._holders.get(case_id)
            if holder is None or case_id in visit.case_ids or self.lightbox.get(case_id) is None:
                continue
            if case_id in holder.case_ids:
                holder.case_ids.remove(case_id)  # or they would go with the page that is gone
            self._holders[case_id] = visit
            visit.case_ids.append(case_id)
            visit.looked_at |= holder.looked_at & {case_id}
        if visit.case_ids:
            case = self._own(visit, shown) or self._own(visit, visit.case_ids[0])
            yield from self._turn(case, visit, threshold_name)
        else:
            visit.turn += 1
            words = result.message_html(strings.ALL_GONE_HEADING, strings.ALL_GONE_TEXT.format(count=len(asked)))
            yield Step(words, empty_data(visit.turn), self._worklist(visit))

    def leave(self, visit: Visit) -> None:
        """The user is gone for good, and with them their images."""
        self._forget(visit, [*visit.case_ids, *visit.closed])

    def insist(self, visit: Visit, threshold_name) -> Step:
        """Show the result of an image that was refused."""
        case = self._own(visit, visit.shown)
        if case is not None:
            case.insisted = True
        return self._step(case, visit, threshold_name)

    def refresh(self, visit: Visit, threshold_name) -> Step | None:
        """Say the shown result again, by another operating point."""
        if visit.shown is None:
            return None
        return self._step(self._own(visit, visit.shown), visit, threshold_name)

    def mark(self, visit: Visit, threshold_name, event: dict) -> Step | None:
        """A known length was marked in the picture, or its scale was taken away."""
        case = self._own(visit, event.get("case"))
        if case is None or case.frame is None or case.case_id != visit.shown:
            return None
        note = ""
        try:
            if "mm" in event:
                self.lightbox.mark_length(case, event["start"], event["end"], float(event["mm"]))
                visit.scale = (case.spacing_mm, case.frame.gray.shape) if event.get("next") else None
            else:
                self.lightbox.unmark_length(case)
                visit.scale = None
        except (TypeError, ValueError, LookupError, ArithmeticError) as error:
            note = strings.SCALE_REFUSED.format(reason=error)
        return self._step(case, visit, threshold_name, note)

    def outline(self, visit: Visit, threshold_name, event: dict) -> Step | None:
        """The outline was edited: it becomes the shown one, and everything that follows from it is made anew."""
        case, revision = self._own(visit, event.get("case")), event.get("revision")
        if not _shows(case, visit, event) or case.prediction is None or case.withheld:
            return None
        if not isinstance(revision, int) or revision <= case.revision:
            return None  # overtaken by a newer one
        try:
            mended = self.lightbox.draw(case, event.get("lesions"), revision)
            note = strings.OUTLINE_MENDED_NOTE.format(text=mended) if mended else ""
        except OutlineError as error:
            note = strings.OUTLINE_REFUSED.format(reason=error)
        return None if case.revision != revision else self._step(case, visit, threshold_name, note)

    def crop(self, visit: Visit, threshold_name, event: dict) -> Iterator[Step | None]:
        """Judge a part of the picture as an image of its own; it comes after the one that it was cut from."""
        case, box = self._own(visit, event.get("case")), event.get("box")
        if case is None or case.frame is None or not _is_box(box):
            yield None
            return
        try:
            part = self.lightbox.cut(case, box)
        except ImageError as error:
            yield self._step(case, visit, threshold_name, str(error))
            return
        self._holders[part.case_id] = visit
        visit.case_ids.insert(visit.case_ids.index(case.case_id) + 1, part.case_id)
        yield from self._turn(part, visit, threshold_name)

    def frame(self, visit: Visit, threshold_name, event: dict) -> Iterator[Step | None]:
        """Show another frame of a film and judge it."""
        case, index = self._own(visit, event.get("case")), event.get("index")
        if not self._is_film(case, visit) or not isinstance(index, int) or not 0 <= index < case.film.count:
            yield None
            return
        visit.turn += 1  # what is still on its way is of the frame before
        try:
            self.lightbox.turn_to(case, index)
        except ImageError as error:
            yield self._step(case, visit, threshold_name, strings.FRAME_LOST.format(reason=error))
            return
        yield from self._turn(case, visit, threshold_name)

    def film(self, visit: Visit, case_id) -> Iterator[dict]:
        """Prepare small pictures of all frames, to be looked through; the viewer learns how many are there."""
        case = self._own(visit, case_id)
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

    def judge(self, visit: Visit, case_id) -> Iterator[dict]:
        """Judge all frames of a film, to find the most suspicious one; it ends when another image is shown."""
        case = self._own(visit, case_id)
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

    def explain(self, visit: Visit, case_id) -> dict:
        """The viewer with a heat map of what speaks for the likeliest class."""
        case, turn = self._own(visit, case_id), visit.turn
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
        said = 0.0
        for case_id in list(visit.case_ids):
            case = self.lightbox.get(case_id)
            if case is None or case.ready or case_id not in visit.case_ids:
                continue
            self.lightbox.analyse(case)
            if case.frame is not None:
                self.lightbox.picture(case)
            if time.monotonic() - said > LIST_EVERY_S:
                said = time.monotonic()
                yield self._worklist(visit)
        yield self._worklist(visit)

    def take(self, kind: str, visit: Visit, case_id, threshold_name) -> dict:
        """One file to save, for `download.js`. case_id: of the result on the screen when it was clicked."""
        case = self._own(visit, case_id)
        if case is None or case.prediction is None or case.withheld:
            return gr.skip()
        if kind in KINDS and kind not in self.takeaway.dicom_kinds(case):
            return gr.skip()
        name = self.takeaway.file_name(kind, case)
        try:
            path = self.lightbox.write(case, name, self.takeaway.content(kind, case, threshold_name))
        except DicomResultError as error:
            gr.Warning(str(error))
            return gr.skip()
        visit.version += 1
        return {"file": FileData(path=path, orig_name=name).model_dump(), "count": visit.version}

    def _own(self, visit, case_id) -> Case | None:
        """The user's own case of this id, or None: ids come from the browser."""
        return self.lightbox.get(case_id) if case_id in visit.case_ids else None

    def _is_film(self, case, visit) -> bool:
        return case is not None and case.film is not None and case.case_id == visit.shown

    def _settle(self, visit):
        """What was closed before can no longer come back."""
        self._forget(visit, visit.closed)
        visit.closed = []

    def _forget(self, visit, case_ids):
        mine = [case_id for case_id in case_ids if self._holders.get(case_id) is visit]
        self.lightbox.forget(mine)
        for case_id in mine:
            self._holders.pop(case_id, None)
            visit.tokens.pop(case_id, None)
            visit.looked_at.discard(case_id)

    def _turn(self, case, visit, threshold_name, listed=None):
        """Show a case, until a newer image takes the turn."""
        visit.turn += 1
        visit.shown = None if case is None else case.case_id
        mine = visit.turn
        for step in self._steps(case, visit, threshold_name, listed):
            if visit.turn != mine:
                break
            yield step
        if visit.turn != mine:
            # Gradio sends a run's last output again when the run ends: an outdated one must end with "no change".
            # Only an outdated one: that step can swallow the step before it, when both travel in one packet.
            yield None

    def _steps(self, case, visit, threshold_name, listed):
        if case is not None and not case.ready:
            if case.frame is None:
                words = result.busy_html(strings.OPENING)
                yield Step(words, empty_data(visit.turn), self._worklist(visit), n_open=len(visit.case_ids))
                self.lightbox.open(case)
            if case.frame is not None:
                yield self._step(case, visit, threshold_name)
                self.lightbox.analyse(case)
        yield self._step(case, visit, threshold_name, listed=listed)

    def _step(self, case, visit, threshold_name, note="", listed=None) -> Step:
        """What there is to say of a case by now."""
        self._carry_scale(case, visit)
        if case is not None and case.ready:
            visit.looked_at.add(case.case_id)
        counts = {"n_open": len(visit.case_ids), "n_closed": len(visit.closed)}
        worklist = self._worklist(visit, listed)
        message = self._message(case)
        if message is not None:
            return Step(result.message_html(*message), empty_data(visit.turn), worklist, **counts)
        viewer = self._viewer(case, visit, note)
        if case.prediction is None:
            return Step(result.busy_html(strings.ANALYSING), viewer, worklist, **counts)
        words = result.result_html(self.takeaway.report(case, threshold_name))
        if case.withheld:
            blank = any(warning.code == "blank" for warning in case.prediction.warnings)
            return Step(words, viewer, worklist, insistable=not blank, **counts)
        measures = as_html("measures", table=self.takeaway.table(case), notes=self.takeaway.notes(case))
        text = self.takeaway.text(case, threshold_name)
        dicom = self.takeaway.dicom_kinds(case)
        return Step(words, viewer, worklist, case.case_id, measures, text, dicom=dicom, **counts)

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

    def _worklist(self, visit, listed=None):
        """listed: version of the list that the browser has whole; while that is how things stand nothing is sent
        again."""
        visit.version += 1
        cases = [self.lightbox.get(case_id) for case_id in visit.case_ids]
        numbered = [(number, case) for number, case in enumerate(cases, start=1) if case is not None]
        seen = visit.looked_at
        stand = tuple((case.case_id, state_of(case), case.case_id in seen) for _, case in numbered)
        if listed is not None and visit.listed == (stand, listed):
            return worklist_data(None, visit.shown, visit.version)
        visit.listed = (stand, visit.version)
        for _, case in numbered:
            self.lightbox.keep_thumbnail(case)
        items = [item(case, number, visit.tokens.get(case.case_id), case.case_id in seen) for number, case in numbered]
        return worklist_data(items, visit.shown, visit.version)


def _place(visit: Visit, case: Case) -> int:
    """Where a new image comes in the list: at its end, or before a file that was dropped later but was quicker."""
    mine = _dropped(visit.tokens.get(case.case_id))
    later = (n for n, case_id in enumerate(visit.case_ids) if mine < _dropped(visit.tokens.get(case_id), never=(0, 0)))
    return next(later, len(visit.case_ids))


def _dropped(token: str | None, never=(math.inf, 0)) -> tuple:
    """When a file was dropped, by inbox.js's token: milliseconds in base 36, then a count. never: for an image that was
    no file, or whose token says nothing."""
    try:
        moment, count = (token or "").split("-")
        return int(moment, 36), int(count)
    except ValueError:
        return never


def _shows(case, visit, sent) -> bool:
    """Whether the browser speaks of the very frame that is shown."""
    if case is None or case.frame is None or case.case_id != visit.shown:
        return False
    return sent.get("frame", 0) == (0 if case.film is None else case.film.index)


def _is_box(box) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(isinstance(edge, int) for edge in box)
