"""How the host's view looks: updates of the page's parts, after whatever the host did.

Everything that a host or a reader supplied is escaped.
"""

from collections.abc import Sequence

import gradio as gr
import pandas as pd

from busi_model.page import strings
from busi_model.page.host.downloads import Prepared
from busi_model.page.host.layout import Layout
from busi_model.page.host.results import table_html
from busi_model.page.remarks import deletion_words, deletions_html, problem_html, remark_html
from busi_model.reading.session.sessions import SessionInfo
from busi_model.reading.storage.deletion import Deletion
from busi_model.reading.storage.store import Store


class Screen:
    """Answers are dicts {component: update}; a component that is not in them stays as it is."""

    def __init__(self, layout: Layout, store: Store, copies_to_hub: bool):
        self.layout, self.store, self.copies_to_hub = layout, store, copies_to_hub

    def opened(self, infos: Sequence[SessionInfo]) -> dict:
        """The entry closes behind the host. infos: all sessions; without any, making one is the first thing to do."""
        on = self.layout
        return {
            on.allowed: True,
            on.password: "",
            on.entry: gr.Column(visible=False),
            on.view: gr.Column(visible=True),
            on.new: gr.Accordion(open=not infos),
            on.more: gr.Accordion(open=False),
            on.number: gr.update(value=None),  # or an empty one shows 0
        }

    def refusal(self, error: object) -> dict:
        return {self.layout.said: problem_html(str(error))}

    def remark(self, said: str) -> dict:
        return {self.layout.said: remark_html(said) if said else ""}

    def sessions(self, infos: Sequence[SessionInfo], session_id: str | None, said: str = "") -> dict:
        """The list of sessions and the readers of the chosen one, as they are now."""
        on = self.layout
        chosen = next((info for info in infos if info.session_id == session_id), infos[0] if infos else None)
        choices = [(strings.HOST_CHOICE.format(name=i.name, made=_minute(i.created_at)), i.session_id) for i in infos]
        return {
            on.session: gr.Dropdown(choices, value=chosen.session_id if chosen else None),
            on.progress: readers_html(chosen) if chosen else f"<p>{strings.HOST_NO_SESSION}</p>",
            on.results: "",
            on.files: gr.File(None, visible=False),
            **self.remark(said),
            **self.deletions(),
        }

    def codes(self, codes: Sequence[str]) -> dict:
        return {self.layout.codes: gr.Textbox("\n".join(codes), visible=True)}

    def made(self, codes: Sequence[str]) -> dict:
        """A session is made: its form folds, and the codes are there."""
        return {self.layout.new: gr.Accordion(open=False), **self.codes(codes)}

    def prepared(self, prepared: Prepared) -> dict:
        """Files to take home, and what is said of them."""
        on = self.layout
        return {
            on.files: gr.File([str(file) for file in prepared.files], visible=True),
            **(self.remark(prepared.said) if prepared.said else {}),
            **({on.results: prepared.figures} if prepared.figures else {}),
        }

    def deletions(self) -> dict:
        """Those that are not done yet."""
        return {self.layout.deletions: deletions_html(self.store.deletions("done_at IS NULL"), self.copies_to_hub)}

    def deleted(self, gone: Deletion) -> str:
        return deletion_words(gone, self.copies_to_hub)


def readers_html(info: SessionInfo) -> str:
    """Each reader of a session: who, how far, when last seen; and the cases that were left out."""
    rows = [
        (
            reader.number,
            reader.pseudonym or strings.HOST_NOT_HERE_YET,
            reader.role or "",
            "" if reader.years is None else f"{reader.years:g}",
            f"{reader.done} / {info.n_cases}",
            strings.HOST_STAGES[reader.stage],
            _minute(reader.last_seen or ""),
        )
        for reader in info.readers
    ]
    caption = strings.HOST_CAPTION_CLOSED if info.closed else strings.HOST_CAPTION
    how = strings.HOST_WITH_READ_FIRST if info.read_first else strings.HOST_WITHOUT_READ_FIRST
    caption = caption.format(name=info.name, n_cases=info.n_cases, how=how)
    table = table_html(pd.DataFrame(rows, columns=list(strings.HOST_COLUMNS)), caption)
    if info.left_out:
        table += problem_html(strings.HOST_LEFT_OUT.format(cases=", ".join(map(str, info.left_out))))
    return table


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")
