"""What the page says of the model: the card that lies beside the weights, or else what is stored in them."""

import dataclasses
import re
from pathlib import Path

import gradio as gr

from busi_model.checkpoint import Checkpoint
from busi_model.page import strings

IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)[^)]*\)")  # ![words](address "title")
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def build(checkpoint: Checkpoint, weights_folder) -> None:
    """Lay out the panel inside the current gr.Blocks. weights_folder: where a README.md may lie."""
    card = Path(weights_folder) / "README.md"
    if not card.is_file():
        gr.Markdown(stored_facts(checkpoint))
        return
    for text, alt, picture in card_parts(card):
        if text:
            gr.Markdown(text)
        if picture:
            gr.Image(
                str(picture),
                alt_text=alt,
                interactive=False,
                show_label=False,
                buttons=["fullscreen"],
                format="png",
            )


def card_parts(card: Path) -> list[tuple[str, str, Path | None]]:
    """Model card -> (Markdown, words for a picture, its file or None), in reading order.

    Only pictures that lie in the card's own folder are shown: nothing is fetched from elsewhere.
    """
    folder = card.parent.resolve()
    text = FRONT_MATTER.sub("", card.read_text(encoding="utf-8").replace("\r\n", "\n"))
    pieces = IMAGE.split(text)  # text, words, address, text, words, address, ..., text
    parts = []
    for start in range(0, len(pieces) - 1, 3):
        picture = (folder / pieces[start + 2]).resolve()
        shown = picture.is_file() and picture.is_relative_to(folder)
        parts.append((pieces[start].strip(), pieces[start + 1], picture if shown else None))
    return [*parts, (pieces[-1].strip(), "", None)]


def stored_facts(checkpoint: Checkpoint) -> str:
    """Operating point, training and figures of the weights as Markdown tables."""
    sections = {
        strings.ABOUT_OPERATING_POINT: dataclasses.asdict(checkpoint.operating_point),
        strings.ABOUT_FIGURES: checkpoint.figures,
        strings.ABOUT_TRAINING: checkpoint.training,
    }
    lines = [f"# {strings.ABOUT_HEADING}", strings.ABOUT_NO_CARD]
    for heading, facts in sections.items():
        lines += [f"## {heading}", _table(facts) if facts else f"({strings.ABOUT_NOTHING})"]
    lines.append(f"{strings.ABOUT_FINGERPRINT}: `{checkpoint.weights_sha256}`")
    return "\n\n".join(lines)


def _table(facts):
    rows = [f"| {name} | {_value(value)} |" for name, value in _flat(facts)]
    return "\n".join([f"| {' | '.join(strings.ABOUT_COLUMNS)} |", "|---|---|", *rows])


def _flat(facts, prefix=""):
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name} · ")
        else:
            yield prefix + str(name), value


def _value(value):
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
