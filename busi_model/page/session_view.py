"""A reading session's words as HTML: progress, what to do, what the model says, what was saved.

Everything that a reader, a host or the store supplied is escaped.
"""

import html

from busi_model.page import strings
from busi_model.page.result import percent
from busi_model.reading.desk import Step
from busi_model.reading.outbox import SyncState
from busi_model.reading.records import Model, OwnRead, Receipt


def warning_html(sentence: str) -> str:
    """The red line that stands before the first case when nothing would outlive a restart."""
    return f'<p class="storage-warning" role="alert">{html.escape(sentence)}</p>'


def problem_html(sentence: str) -> str:
    return f'<p class="reading-problem" role="alert">{html.escape(sentence)}</p>'


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


def task_html(step: Step) -> str:
    """What to do in this step; in the last step of a case also what the model says and what was locked."""
    heading, text = strings.SESSION_TASKS[step.stage]
    parts = [f"<h2>{html.escape(heading)}</h2>", f"<p>{html.escape(text)}</p>"]
    if step.model:
        parts.append(model_html(step.model))
    if step.own:
        parts.append(own_html(step.own))
    return f'<section class="result task">{"".join(parts)}</section>'


def model_html(model: Model) -> str:
    if model.refused or model.class_name is None:
        parts = [f"<h3>{html.escape(strings.MODEL_REFUSES)}</h3>"]
    else:
        name, figure = strings.CLASS_NAMES[model.class_name], percent(model.confidence)
        uncertain = {"low_confidence", "uncertain"} & set(model.warnings)
        headline = strings.HEADLINE_UNCERTAIN if uncertain else strings.HEADLINE
        figure = figure.replace(" ", "\u00a0")  # a figure and its sign stay on one line
        headline = headline.format(name=name.lower() if uncertain else name, percent=figure)
        parts = [f'<h3 class="says">{html.escape(strings.MODEL_SAYS.format(headline=headline))}</h3>']
        rows = [_row(model, name) for name in strings.CLASS_NAMES if name in model.class_probabilities]
        caption = f'<caption class="unseen">{html.escape(strings.PROBABILITIES_CAPTION)}</caption>'
        parts.append(f"<table>{caption}<tbody>{''.join(rows)}</tbody></table>")
    n_outlines = len(model.outline.polygons)
    words = strings.OUTLINED.get(n_outlines) or strings.OUTLINED_SEVERAL.format(count=n_outlines)
    parts.append(f"<p>{html.escape(words)}</p>")
    if model.warnings:
        items = [strings.WARNINGS.get(code, (code, ""))[0] for code in model.warnings]
        listed = "".join(f"<li>{html.escape(item)}</li>" for item in items)
        heading = html.escape(strings.WARNINGS_HEADING)
        parts.append(f'<div class="warnings"><h3>{heading}</h3><ul>{listed}</ul></div>')
    return "".join(parts)


def _row(model, name):
    probability = model.class_probabilities[name]
    chosen = ' class="chosen"' if name == model.class_name else ""
    bar = f'<div aria-hidden="true"><div style="width:{100 * probability:.1f}%"></div></div>'
    return (
        f'<tr{chosen}><th scope="row">{html.escape(strings.CLASS_NAMES[name])}</th>'
        f'<td class="figure">{percent(probability)}</td><td class="bar">{bar}</td></tr>'
    )


def own_html(own: OwnRead) -> str:
    text = strings.OWN_LOCKED.format(name=strings.CLASS_NAMES[own.class_name], confidence=f"{own.confidence:.0f}")
    if own.birads:
        text += " " + strings.OWN_BIRADS.format(birads=own.birads)
    return f'<p class="locked">{html.escape(text)}</p>'


def receipt_html(receipt: Receipt, sync: SyncState | None) -> str:
    """What was just saved, and whether copies have left this machine: two facts, said apart."""
    saved = strings.RECEIPT_AGAIN if receipt.again else strings.RECEIPT
    saved = html.escape(saved.format(receipt=receipt.receipt))
    return f'<p class="reading-receipt" role="status"><strong>{saved}</strong> {sync_html(receipt, sync)}</p>'


def sync_html(receipt: Receipt | None, sync: SyncState | None) -> str:
    if sync is None:
        text = strings.SYNC_NONE
    elif sync.problem:
        text = strings.SYNC_PROBLEM.format(waiting=sync.waiting, problem=sync.problem)
    elif receipt is not None and receipt.synced:
        text = strings.SYNC_DONE
    else:
        text = strings.SYNC_WAITING.format(waiting=sync.waiting)
    return f'<span class="sync">{html.escape(text)}</span>'


def remark_html(sentence: str) -> str:
    return f'<p class="reading-remark" role="status">{html.escape(sentence)}</p>'
