"""What happens when a user does something in the reading panel: each method collects, asks `OpenImages`, and answers
with a `View`; what is prepared behind the shown picture stands in `background`.

Every step of a reading says everything, so that a picture and the result of another image can never stand side by side;
and a step that was overtaken by a newer image is not shown at all.
"""

from collections.abc import Collection, Iterator, Sequence

import gradio as gr
from gradio.data_classes import FileData

from busi_model.dicom_out.write import KINDS, DicomResultError
from busi_model.image import ImageError
from busi_model.page import strings
from busi_model.page.images.case import OpenImage, Source
from busi_model.page.images.downloads import Downloads
from busi_model.page.images.edits import corners_of
from busi_model.page.images.opened import OpenImages
from busi_model.page.images.result import Screen, View, empty_data, message_html, waiting_html
from busi_model.page.images.worklist import Visit, worklist_of
from busi_model.reading.errors import OutlineError

Views = Iterator[View | None]  # None: nothing changes
MOST_KEPT = 2000  # images of a page, and ids that a browser may ask for after a reload


class Actions:
    """What a user does with images, for all users."""

    def __init__(self, images: OpenImages, downloads: Downloads):
        self.images, self.downloads, self.screen = images, downloads, Screen(images, downloads)
        self._holders: dict[str, Visit] = {}  # case id: whose it is

    def read(
        self,
        sources: Sequence[Source],
        visit: Visit,
        threshold_name: str | None,
        synthetic: bool = False,
        tokens: Sequence[str] = (),
        show: bool = True,
    ) -> Views:
        """New images; the first of them is shown, unless another one is and `show` is
        False. tokens: the browser's, one a source."""
        self._settle(visit)
        if len(visit.case_ids) + len(sources) > MOST_KEPT:
            text = strings.TOO_MANY_OPEN_TEXT.format(n_open=len(visit.case_ids), n_more=len(sources), most=MOST_KEPT)
            words = message_html(strings.TOO_MANY_OPEN_HEADING, text)
            visit.turn, visit.shown = visit.turn + 1, None
            yield View(words, empty_data(visit.turn), worklist_of(visit, self.images), n_open=len(visit.case_ids))
            return
        for case_id in [one for one in self._holders if one not in self.images]:  # forgotten there
            self._holders.pop(case_id, None)
        cases = [self.images.add(source, synthetic, visit.address) for source in sources]
        for case, token in zip(cases, tokens, strict=False):
            visit.tokens[case.case_id] = token
        for case in cases:
            self._holders[case.case_id] = visit
            visit.case_ids.insert(visit.place_of(case), case.case_id)
        if show or visit.shown is None:
            yield from self._turn(cases[0], visit, threshold_name)
        else:
            yield View(None, None, worklist_of(visit, self.images), n_open=len(visit.case_ids))

    def pick(self, visit: Visit, threshold_name: str | None, case_id: object, listed: int | None = None) -> Views:
        """Show another image of the worklist. listed: version of the list that the browser has whole."""
        yield from self._turn(visit.own(self.images, case_id), visit, threshold_name, listed)

    def close(self, visit: Visit, threshold_name: str | None, case_ids: Collection[object]) -> Views:
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
            yield View(waiting_html(), empty_data(visit.turn), worklist_of(visit, self.images), n_closed=len(gone))
        elif place is None:
            yield self.screen.view(visit.own(self.images, visit.shown), visit, threshold_name)
        else:
            yield from self._turn(visit.own(self.images, visit.shown), visit, threshold_name)

    def reopen(self, visit: Visit, threshold_name: str | None) -> Views:
        """What was closed last comes back, behind what is open."""
        back = [case_id for case_id in visit.closed if self.images.get(case_id) is not None]
        visit.closed = []
        visit.case_ids += back
        first = back[0] if back else visit.shown
        yield from self._turn(visit.own(self.images, first), visit, threshold_name)

    def restore(self, visit: Visit, threshold_name: str | None, case_ids: Sequence[object], shown: object) -> Views:
        """The page was loaded again: what this tab had open comes back, as far as it is still there. An id cannot be
        guessed, so whoever names it had it open."""
        asked = [case_id for case_id in case_ids[:MOST_KEPT] if isinstance(case_id, str)]
        for case_id in asked:
            holder = self._holders.get(case_id)
            if holder is None or case_id in visit.case_ids or self.images.get(case_id) is None:
                continue
            if case_id in holder.case_ids:
                holder.case_ids.remove(case_id)  # or they would go with the page that is gone
            self._holders[case_id] = visit
            visit.case_ids.append(case_id)
            visit.looked_at |= holder.looked_at & {case_id}
        if visit.case_ids:
            case = visit.own(self.images, shown) or visit.own(self.images, visit.case_ids[0])
            yield from self._turn(case, visit, threshold_name)
        else:
            visit.turn += 1
            words = message_html(strings.ALL_GONE_HEADING, strings.ALL_GONE_TEXT.format(count=len(asked)))
            yield View(words, empty_data(visit.turn), worklist_of(visit, self.images))

    def leave(self, visit: Visit) -> None:
        """The user is gone for good, and with them their images."""
        self._forget(visit, [*visit.case_ids, *visit.closed])

    def insist(self, visit: Visit, threshold_name: str | None) -> View:
        """Show the result of an image that was refused."""
        case = visit.own(self.images, visit.shown)
        if case is not None:
            case.insisted = True
        return self.screen.view(case, visit, threshold_name)

    def refresh(self, visit: Visit, threshold_name: str | None) -> View | None:
        """Say the shown result again, by another operating point."""
        if visit.shown is None:
            return None
        return self.screen.view(visit.own(self.images, visit.shown), visit, threshold_name)

    def mark(self, visit: Visit, threshold_name: str | None, event: dict) -> View | None:
        """A known length was marked in the picture, or its scale was taken away."""
        case = visit.own(self.images, event.get("case"))
        if case is None or not case.is_read or case.case_id != visit.shown:
            return None
        note = ""
        try:
            if "mm" in event:
                case.mark_length(event["start"], event["end"], float(event["mm"]))
                visit.scale = (case.spacing_mm, case.frame.gray.shape) if event.get("next") else None
            else:
                case.unmark_length()
                visit.scale = None
        except (TypeError, ValueError, LookupError, ArithmeticError) as error:
            note = strings.SCALE_REFUSED.format(reason=error)
        return self.screen.view(case, visit, threshold_name, note)

    def outline(self, visit: Visit, threshold_name: str | None, event: dict) -> View | None:
        """The outline was edited: it becomes the shown one, and everything that follows from it is made anew."""
        case, revision = visit.own(self.images, event.get("case")), event.get("revision")
        if case is None or not case.is_judged or case.withheld or not visit.shows(case, event.get("frame", 0)):
            return None
        if not isinstance(revision, int) or revision <= case.revision:
            return None  # overtaken by a newer one
        try:
            repaired = self.images.draw(case, event.get("lesions"), revision)
            note = strings.OUTLINE_REPAIRED_NOTE.format(text=repaired) if repaired else ""
        except OutlineError as error:
            note = strings.OUTLINE_REFUSED.format(reason=error)
        return None if case.revision != revision else self.screen.view(case, visit, threshold_name, note)

    def crop(self, visit: Visit, threshold_name: str | None, event: dict) -> Views:
        """Judge a part of the picture as an image of its own; it comes after the one that it was cut from."""
        case, corners = visit.own(self.images, event.get("case")), corners_of(event.get("box"))
        if case is None or not case.is_read or corners is None:
            yield None
            return
        try:
            part = self.images.cut(case, corners)
        except ImageError as error:
            yield self.screen.view(case, visit, threshold_name, str(error))
            return
        self._holders[part.case_id] = visit
        if case.case_id in visit.tokens:  # the same file's name
            visit.tokens[part.case_id] = visit.tokens[case.case_id]
        visit.case_ids.insert(visit.case_ids.index(case.case_id) + 1, part.case_id)
        yield from self._turn(part, visit, threshold_name)

    def frame(self, visit: Visit, threshold_name: str | None, event: dict) -> Views:
        """Show another frame of a film and judge it."""
        shown, index = visit.shown_film(self.images, event.get("case")), event.get("index")
        case, film = shown or (None, None)
        if case is None or film is None or not isinstance(index, int) or not 0 <= index < film.count:
            yield None
            return
        visit.turn += 1  # what is still on its way is of the frame before
        try:
            case.turn_to(index)
        except ImageError as error:
            yield self.screen.view(case, visit, threshold_name, strings.FRAME_LOST.format(reason=error))
            return
        yield from self._turn(case, visit, threshold_name)

    def take(self, kind: str, visit: Visit, case_id: object, threshold_name: str | None) -> dict:
        """One file to save, for `download.js`. case_id: of the result on the screen when it was clicked."""
        case = visit.own(self.images, case_id)
        if case is None or not case.is_judged or case.withheld:
            return gr.skip()
        if kind in KINDS and kind not in self.downloads.dicom_kinds(case):
            return gr.skip()
        name = self.downloads.file_name(kind, case)
        try:
            path = self.images.write(case, name, self.downloads.content(kind, case, threshold_name))
        except DicomResultError as error:
            gr.Warning(str(error))
            return gr.skip()
        visit.version += 1
        return {"file": FileData(path=path, orig_name=name).model_dump(), "count": visit.version}

    def _settle(self, visit: Visit) -> None:
        """What was closed before can no longer come back."""
        self._forget(visit, visit.closed)
        visit.closed = []

    def _forget(self, visit: Visit, case_ids: Sequence[str]) -> None:
        mine = [case_id for case_id in case_ids if self._holders.get(case_id) is visit]
        self.images.forget(mine)
        for case_id in mine:
            self._holders.pop(case_id, None)
            visit.tokens.pop(case_id, None)
            visit.looked_at.discard(case_id)

    def _turn(self, case: OpenImage | None, visit: Visit, threshold: str | None, listed: int | None = None) -> Views:
        """Show a case, until a newer image takes the turn."""
        visit.turn += 1
        visit.shown = None if case is None else case.case_id
        mine = visit.turn
        for view in self._views(case, visit, threshold, listed):
            if visit.turn != mine:
                break
            yield view
        if visit.turn != mine:
            # Gradio sends a run's last output again when the run ends: an outdated one must end with "no change".
            # Only an outdated one: "no change" can swallow the view before it, when both travel in one packet.
            yield None

    def _views(self, case: OpenImage | None, visit: Visit, threshold_name: str | None, listed: int | None) -> Views:
        if case is not None and not case.ready:
            if not case.is_read:
                yield self.screen.view(case, visit, threshold_name)
                self.images.open(case)
            if case.is_read:
                yield self.screen.view(case, visit, threshold_name)
                self.images.analyse(case)
        yield self.screen.view(case, visit, threshold_name, listed=listed)
