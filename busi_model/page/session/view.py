"""A reading session's words as HTML: progress, what to do, what the model says, what was locked.

Everything that a reader, a host or the store supplied is escaped.
"""

import html

from busi_model.clinic import words
from busi_model.clinic.render import as_html
from busi_model.clinic.report import Finding, report
from busi_model.frame import Notice
from busi_model.operating_point import OperatingPoint
from busi_model.page import strings
from busi_model.reading.progress import Step
from busi_model.reading.records import Model, OwnRead


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
    finding = Finding(model.class_probabilities, len(model.outline.polygons), warnings, model.refused)
    return as_html("session", report=report(finding, point), whose=strings.MODEL_SAYS)


def own_html(own: OwnRead) -> str:
    text = strings.OWN_LOCKED.format(name=strings.CLASS_NAMES[own.class_name], confidence=f"{own.confidence:.0f}")
    if own.birads:
        text += " " + strings.OWN_BIRADS.format(birads=own.birads)
    for name, word in own.descriptors or ():
        if word:
            text += f" {words.DESCRIPTOR_ROWS[name]}: {words.DESCRIPTOR_WORDS[word]}."
    return f'<p class="locked">{html.escape(text)}</p>'
