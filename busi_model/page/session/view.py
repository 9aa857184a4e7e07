"""How a step of a reading session looks: an update of every part of the page, and its words as HTML.

Everything that a reader, a host or the store supplied is escaped.
"""

import html
import json
import logging
from typing import Any

import gradio as gr
import numpy as np

from busi_model.clinic import words
from busi_model.clinic.render import as_html
from busi_model.clinic.report import Finding, report
from busi_model.frame import Frame, Notice
from busi_model.model.operating_point import OperatingPoint
from busi_model.page import strings
from busi_model.page.answers import model_record, program_descriptors
from busi_model.page.remarks import problem_html, receipt_html, remark_html
from busi_model.page.session.form import not_taken
from busi_model.page.session.layout import Layout
from busi_model.page.viewer import field as editor
from busi_model.page.viewer.field import EditorError
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from busi_model.reading import words as store_words
from busi_model.reading.errors import OutlineError, PictureError, ReadingError
from busi_model.reading.hub.sync import HubSync, SyncState
from busi_model.reading.outline import dice, rasterise
from busi_model.reading.records import Model, OwnRead
from busi_model.reading.session.place import Step
from busi_model.reading.session.progress import ReaderSession
from busi_model.reading.storage.store import Receipt

LOG = logging.getLogger(__name__)
PRACTICE = "practice"  # key of the example's outline, which is not saved
PRACTICE_SEED = 11
PRACTICE_SHIFT_XY = (22, 14)  # pixels by which the outline to be put right lies beside the lesion


class Screen:
    """Answers are dicts {component: update}; a component that is not in them stays as it is."""

    def __init__(self, layout: Layout, predictor: Predictor, hub_sync: HubSync | None):
        self.layout, self.predictor, self.hub_sync = layout, predictor, hub_sync

    def entry(self) -> dict:
        """Nothing of a session."""
        on = self.layout
        hidden = (on.head_row, on.picture, on.stuck, *on.forms.values())
        return {
            on.tab: "",
            on.entry: gr.Column(visible=True),
            on.code: "",
            on.unsaved: gr.Textbox(visible=False),
            **{part: gr.update(visible=False) for part in hidden},
            **dict.fromkeys((on.head, on.receipt, on.task, on.problem), ""),
            on.editor: editor.hide(),
        }

    def shut_out(self, key: str | None, text: str) -> dict:
        """The entry again, for a code that opens nothing any more. text: what was typed at the step `key`."""
        kept = {"code": "", "key": key, "unsaved": text}
        return {
            **self.entry(),
            self.layout.tab: json.dumps(kept) if text else "",
            self.layout.unsaved: gr.Textbox(text, visible=bool(text)),
            **self.refusal(strings.SHUT_OUT),
        }

    def stuck(self, error: Exception, receipt: Receipt | None) -> dict:
        """A step was saved, and the next one cannot be shown."""
        on = self.layout
        return {
            on.receipt: receipt_html(receipt, self.copies()) if receipt else "",
            on.picture: gr.Column(visible=False),
            **{part: gr.Column(visible=False) for part in on.forms.values()},
            on.stuck: gr.Column(visible=True),
            on.leave_out_button: gr.Button(visible=False),
            **self.refusal(strings.SAVED_BUT.format(problem=reason(error))),
        }

    @staticmethod
    def compare(carried: str) -> str:
        """How well the practice outline lies on the drawn lesion, in words; nothing is saved."""
        try:
            mask = draw_phantom("malignant", PRACTICE_SEED)[1]
            height, width = mask.shape
            overlap = dice(rasterise(editor.drawn(carried, PRACTICE), width, height), mask)
            return remark_html(strings.PRACTICE_OVERLAP.format(percent=round(100 * overlap)))
        except (EditorError, OutlineError) as error:
            return problem_html(str(error))

    def refusal(self, error: object) -> dict:
        return {self.layout.problem: problem_html(str(error))}

    def copies(self) -> SyncState | None:
        return self.hub_sync.state() if self.hub_sync else None

    def step(
        self, code: str, session: ReaderSession, draft: Any = None, receipt: Receipt | None = None, unsaved: str = ""
    ) -> dict:
        """The next step, every part of it: nothing of the step before can stay beside it.

        draft: {"key", "values"} as the browser tab kept them, applied when they belong to this very step, offered as
        text when to one that is over. unsaved: such a text from before.
        """
        on = self.layout
        step, gray, problem = self._look(session)
        blank = [None, None, "", None, False, "", None, *(None for _ in on.answers), *("" for _ in on.descriptors)]
        values = blank
        kept = draft.get("values", []) if isinstance(draft, dict) else []
        if isinstance(kept, list) and len(blank) - len(on.descriptors) <= len(kept) <= len(blank):
            kept = [*kept, *blank[len(kept) :]]  # a draft may come from before there were descriptors
            if draft.get("key") == mark(step):
                values = kept
            else:
                unsaved = not_taken(session, draft.get("key"), kept) or unsaved
        form = on.stuck if problem else on.forms.get(step.stage)
        tab: dict[str, Any] = {"code": code, "key": mark(step)} | ({"unsaved": unsaved} if unsaved else {})
        if step.own:
            tab["own"] = [step.own.class_name, step.own.confidence, step.own.birads or ""]
        return {
            on.tab: json.dumps(tab),
            on.entry: gr.Column(visible=False),
            on.head_row: gr.Row(visible=True),
            on.head: progress_html(step),
            on.leave_button: strings.LEAVE_DONE if step.stage in ("done", "closed") else strings.LEAVE,
            on.receipt: receipt_html(receipt, self.copies()) if receipt else "",
            on.task: task_html(step, self.predictor.operating_point),
            on.problem: problem_html(problem) if problem else "",
            on.unsaved: gr.Textbox(unsaved, visible=bool(unsaved)),
            on.picture: gr.Column(visible=not problem and step.stage in ("familiarise", "own", "final")),
            **{part: gr.Column(visible=part is form) for part in (on.stuck, *on.forms.values())},
            # Fields get values and columns get visible: a value that comes with `visible` can be lost in Gradio 6.31.
            on.of_model: gr.Column(visible=step.stage == "final"),
            on.as_before: gr.Column(visible=step.stage == "final" and step.own is not None),
            on.lock_button: gr.Button(visible=step.stage == "own"),
            on.save_button: gr.Button(visible=step.stage == "final"),
            on.leave_out_button: gr.Button(visible=bool(problem) and gray is None),
            **({on.years: gr.update(value=None)} if step.stage == "profile" else {}),  # or an empty one is sent as 0
            **{field: gr.update(value=value) for field, value in zip(on.fields, values, strict=True)},
            on.editor: editor.hide() if problem else _editor(step, gray, carried=values[6]),
        }

    def _look(self, session: ReaderSession) -> tuple[Step, np.ndarray | None, str]:
        """The reader's step, its picture, and why it cannot be shown, "" if it can.

        When the model is to be shown it is asked, and its answer kept, first.
        """
        step = session.step()
        if step.image_sha256 is None:
            return step, None, ""
        try:
            gray = session.picture(step)
        except PictureError as error:
            return step, None, strings.PICTURE_DAMAGED.format(problem=error)
        if step.stage != "reveal":
            return step, gray, ""
        try:
            prediction = self.predictor(Frame(gray, None, ()))
            weights = self.predictor.checkpoint.weights_sha256
            session.reveal(mark(step), model_record(prediction, weights, program_descriptors(prediction)))
            return session.step(), gray, ""
        except Exception as error:
            if not isinstance(error, ReadingError):
                LOG.exception("The model could not be asked in a reading session.")
            locked = strings.NOT_REVEALED if step.own else strings.NOT_REVEALED_AT_ONCE
            return step, gray, locked.format(problem=reason(error))


def progress_html(step: Step) -> str:
    """Session, reader, and how many cases are done."""
    who = strings.SESSION_WHO.format(session=step.session_name, reader=step.pseudonym or "")
    done = step.n_cases if step.stage in ("questionnaire", "done") else (step.position or 1) - 1
    if step.position:
        where = strings.SESSION_CASE.format(position=step.position, n_cases=step.n_cases)
    else:
        where = strings.SESSION_PLACES.get(step.stage, "")
    who, where, share = html.escape(who.strip(" ·")), html.escape(where), 100 * done / step.n_cases
    return (
        f'<div class="reading-progress"><span>{who}</span><strong>{where}</strong>'
        f'<div role="progressbar" aria-label="{where}" aria-valuemax="{step.n_cases}" aria-valuenow="{done}">'
        f'<div style="width:{share:.1f}%"></div></div></div>'
    )


def task_html(step: Step, point: OperatingPoint) -> str:
    """What to do in this step; in the last step of a case also what the model says and what was locked. point: of the
    weights, whose first threshold decides."""
    heading, text = strings.SESSION_TASKS[step.stage]
    parts = [f"<h2>{html.escape(heading)}</h2>", f"<p>{html.escape(text)}</p>"]
    if step.model:
        parts.append(model_html(step.model, point))
    if step.own:
        parts.append(own_html(step.own))
    return f'<section class="result task">{"".join(parts)}</section>'


def model_html(model: Model, point: OperatingPoint) -> str:
    """The same words that the page has for a single image."""
    warnings = tuple(Notice(code, "") for code in model.warnings)
    probabilities: dict[str, float] = {name: share for name, share in model.class_probabilities.items()}
    finding = Finding(probabilities, len(model.outline.polygons), warnings, model.refused)
    return as_html("session", report=report(finding, point), whose=strings.MODEL_SAYS)


def own_html(own: OwnRead) -> str:
    text = strings.OWN_LOCKED.format(name=strings.CLASS_NAMES[own.class_name], confidence=f"{own.confidence:.0f}")
    if own.birads:
        text += " " + strings.OWN_BIRADS.format(birads=own.birads)
    for name, word in own.descriptors or ():
        if word:
            text += f" {words.DESCRIPTOR_ROWS[name]}: {words.DESCRIPTOR_WORDS[word]}."
    return f'<p class="locked">{html.escape(text)}</p>'


def reason(error: Exception) -> str:
    """Why, without "Not saved.": what was to be saved is another thing, and it was."""
    if not isinstance(error, ReadingError):
        return strings.SERVER_FAILED
    return str(error).removeprefix(store_words.PARTS["not_saved"]).lstrip()


def mark(step: Step) -> str:
    """What names a step in the page: its key, or its stage where nothing is saved by key."""
    return step.key or step.stage


def _editor(step: Step, gray: np.ndarray | None, carried: Any) -> gr.HTML:
    if step.stage == "familiarise":
        practice, mask = draw_phantom("malignant", PRACTICE_SEED)
        beside = [np.add(points, PRACTICE_SHIFT_XY).tolist() for points in editor.model_polygons(mask)]
        return editor.show(PRACTICE, practice, beside)
    if gray is None or step.stage not in ("own", "final"):
        return editor.hide()
    outlines = step.model.outline.polygons if step.model else []
    try:
        drawn = editor.drawn(carried, mark(step))
    except EditorError:  # no draft
        drawn = outlines
    return editor.show(mark(step), gray, drawn, reset_to=outlines)
