"""How far deletions are, in words for the host: what is gone, what is left, and that it is tried again.

Enters: `Deletion`s of the store, and whether this program copies to a private dataset. Leaves: sentences, HTML.
"""

import html

from busi_model.page import strings
from busi_model.reading.deletion import Deletion


def deletion_words(deletion: Deletion, has_outbox: bool) -> str:
    """One deletion: only what is true by now."""
    said = [strings.DELETED[deletion.what].format(n_records=deletion.n_records, n_pictures=deletion.n_pictures)]
    if deletion.pictures_left:
        said.append(strings.DELETED_PICTURES_LEFT.format(count=deletion.pictures_left))
    if not deletion.log_emptied:
        said.append(strings.DELETED_LOG_LEFT)
    if deletion.copies_left:
        left = strings.DELETED_COPIES_LEFT if has_outbox else strings.DELETED_COPIES_OUT_OF_REACH
        said.append(left.format(count=deletion.copies_left))
        if deletion.datasets:
            said.append(strings.DELETED_COPIES_WHERE.format(datasets=", ".join(deletion.datasets)))
    elif deletion.n_copies:
        said.append(strings.DELETED_COPIES.format(count=deletion.n_copies))
    else:
        said.append(strings.DELETED_NO_COPIES)
    return " ".join(said)


def deletions_html(deletions: list[Deletion], has_outbox: bool) -> str:
    """Those that are not done; "" when all are."""
    items = [
        f"<li>{html.escape(d.began_at[:16].replace('T', ' '))} UTC: {html.escape(deletion_words(d, has_outbox))}</li>"
        for d in deletions
    ]
    heading = html.escape(strings.DELETIONS_HEADING)
    return f'<div class="reading-remark" role="status"><p>{heading}</p><ul>{"".join(items)}</ul></div>' if items else ""
