"""What the page says back to whoever did something, as HTML: saved, refused, deleted, worth knowing.

Enters: sentences, receipts, deletions of the store. Leaves: HTML in which everything is escaped, and the component that
shows such HTML.
"""

import html
from typing import Any

import gradio as gr

from busi_model.page import strings
from busi_model.reading.hub.sync import SyncState
from busi_model.reading.storage.deletion import Deletion
from busi_model.reading.storage.store import Receipt


def plain_html(value: str, **arguments: Any) -> gr.HTML:
    """A component without Gradio's own style and script."""
    return gr.HTML(value, apply_default_css=False, js_on_load=None, **arguments)


def warning_html(sentence: str) -> str:
    """The red line that stands before the first case when nothing would outlive a restart."""
    return f'<p class="storage-warning" role="alert">{html.escape(sentence)}</p>'


def problem_html(sentence: str) -> str:
    return f'<p class="reading-problem" role="alert">{html.escape(sentence)}</p>'


def remark_html(sentence: str) -> str:
    return f'<p class="reading-remark" role="status">{html.escape(sentence)}</p>'


def receipt_html(receipt: Receipt, sync: SyncState | None, of: str = "") -> str:
    """What was just saved, and whether copies have left this machine: two facts, said apart. of: which image."""
    saved = strings.RECEIPT_AGAIN if receipt.again else strings.RECEIPT
    saved = html.escape(f"{of}: " * bool(of) + saved.format(receipt=receipt.receipt))
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


def deletion_words(deletion: Deletion, copies_to_hub: bool) -> str:
    """One deletion, for the host: what is gone, what is left and that it is tried again; only what is true by now.

    copies_to_hub: whether this program copies to a private dataset.
    """
    said = [strings.DELETED[deletion.what].format(n_records=deletion.n_records, n_pictures=deletion.n_pictures)]
    if deletion.pictures_left:
        said.append(strings.DELETED_PICTURES_LEFT.format(count=deletion.pictures_left))
    if not deletion.log_emptied:
        said.append(strings.DELETED_LOG_LEFT)
    if deletion.copies_left:
        left = strings.DELETED_COPIES_LEFT if copies_to_hub else strings.DELETED_COPIES_OUT_OF_REACH
        said.append(left.format(count=deletion.copies_left))
        if deletion.datasets:
            said.append(strings.DELETED_COPIES_WHERE.format(datasets=", ".join(deletion.datasets)))
    elif deletion.n_copies:
        said.append(strings.DELETED_COPIES.format(count=deletion.n_copies))
    else:
        said.append(strings.DELETED_NO_COPIES)
    return " ".join(said)


def deletions_html(deletions: list[Deletion], copies_to_hub: bool) -> str:
    """Those that are not done; "" when all are."""
    said = [(d.began_at[:16].replace("T", " "), deletion_words(d, copies_to_hub)) for d in deletions]
    items = [f"<li>{html.escape(began)} UTC: {html.escape(text)}</li>" for began, text in said]
    heading = html.escape(strings.DELETIONS_HEADING)
    return f'<div class="reading-remark" role="status"><p>{heading}</p><ul>{"".join(items)}</ul></div>' if items else ""
