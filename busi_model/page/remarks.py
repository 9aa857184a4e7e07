"""What the page says back to whoever did something, as HTML: saved, refused, worth knowing.

Enters: sentences, receipts. Leaves: HTML in which everything is escaped, and the component that shows such HTML.
"""

import html

import gradio as gr

from busi_model.page import strings
from busi_model.reading.hub_sync import SyncState
from busi_model.reading.records import Receipt


def plain_html(value, **arguments) -> gr.HTML:
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
