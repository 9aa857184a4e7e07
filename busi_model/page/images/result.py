"""The result card: a `Report` of clinic, or what stands in its place, as HTML.

Every state begins with the same unseen paragraph of role "status": it stays in the page while its text changes, which
is what makes a screen reader speak.
"""

from busi_model.clinic.render import as_html, spoken
from busi_model.clinic.report import Report, outlined_words
from busi_model.page import strings

__all__ = ["busy_html", "message_html", "outlined_words", "result_html", "waiting_html"]


def waiting_html() -> str:
    return message_html(strings.WAITING_HEADING, *strings.WAITING_LINES, kind="waiting")


def busy_html(text: str) -> str:
    return message_html(text, kind="busy")


def message_html(heading: str, *lines: str, kind: str = "message") -> str:
    return as_html("message", heading=heading, lines=lines, kind=kind)


def result_html(report: Report) -> str:
    return as_html("result", report=report, said=spoken(report))
