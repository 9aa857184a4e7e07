"""What the page says of the model: measured figures as plots and tables, limits, the card beside the weights; and how
other programs call the page."""

import html
import re
from pathlib import Path

import gradio as gr

from busi_model.clinic import words
from busi_model.clinic.report import percent, rate_words
from busi_model.model.checkpoint import Checkpoint, flat_facts
from busi_model.model.operating_point import OperatingPoint
from busi_model.page import strings
from busi_model.page.plots import confusion_table, reliability_svg, text_table

IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)[^)]*\)")  # ![words](address "title")
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")  # to another file of the repository
LIMITS = re.compile(r"^## (?:Intended|Limits).*?(?=^## (?!Intended|Limits)|\Z)", re.DOTALL | re.MULTILINE)


def build(checkpoint: Checkpoint, weights_folder: Path | str) -> None:
    """Lay out the panel inside the current gr.Blocks. weights_folder: where a README.md may lie."""
    card = Path(weights_folder) / "README.md"
    gr.HTML(about_html(checkpoint), apply_default_css=False, js_on_load=None, elem_id="about")
    if card.is_file():
        gr.Markdown(limits(card))
        with gr.Accordion(strings.ABOUT_CARD, open=False):
            _show_card(card)
    if text := api_text():
        with gr.Accordion(strings.ABOUT_API, open=False, elem_id="about-api"):
            gr.Markdown(text)


def about_html(checkpoint: Checkpoint) -> str:
    """Operating points, then one section a data set that was measured, then training and fingerprint."""
    names = list(strings.CLASS_NAMES.values())
    parts = [f"<h2>{strings.ABOUT_HEADING}</h2>", operating_html(checkpoint.operating_point)]
    if not checkpoint.figures:
        parts.append(f"<p>{strings.ABOUT_NOT_MEASURED}</p>")
    for number, content in enumerate(checkpoint.figures.values()):
        inner = _data_set(content, checkpoint, names)
        opened = "" if number else " open"
        parts.append(f"<details{opened}><summary>{html.escape(content['title'])}</summary>{inner}</details>")
    training = [(name, str(value)) for name, value in flat_facts(checkpoint.training)]
    training.append((strings.ABOUT_FINGERPRINT, checkpoint.weights_sha256))
    table = text_table(strings.ABOUT_TRAINING, strings.ABOUT_COLUMNS, training)
    parts.append(f"<details><summary>{strings.ABOUT_TRAINING}</summary>{table}</details>")
    return f'<section class="about">{"".join(parts)}</section>'


def operating_html(point: OperatingPoint) -> str:
    """Thresholds, what became of held-out images by their probability, and how far class set and margin held."""
    parts = [f"<h3>{strings.ABOUT_OPERATING}</h3>"]
    if point.thresholds:
        rows = [
            (
                strings.OPERATING_NAMES.get(t.name, t.name),
                percent(t.malignant_probability),
                rate_words(t.sensitivity),
                rate_words(t.specificity),
            )
            for t in point.thresholds
        ]
        parts.append(text_table(strings.ABOUT_OPERATING, strings.ABOUT_OPERATING_COLUMNS, rows))
    else:
        parts.append(f"<p>{words.MEANING_NO_THRESHOLD}</p>")
    sentences = [strings.ABOUT_FITTED.format(fitted_on=point.fitted_on)]
    if point.conformal_coverage is not None:
        limit = percent(point.conformal_probability)
        sentences.append(strings.ABOUT_CLASS_SET.format(limit=limit, rate=rate_words(point.conformal_coverage)))
    if point.margin_coverage is not None:
        held = words.MARGIN_COVERAGE.format(rate=rate_words(point.margin_coverage))
        sentences.append(f"{strings.MARGIN_NOTE} {held}")
    parts += [f"<p>{html.escape(sentence)}</p>" for sentence in sentences]
    if point.reliability:
        by_probability = [
            (
                strings.CLASS_NAMES[b.class_name],
                words.PERCENT.format(percent=f"{100 * b.low:.0f}-{100 * b.high:.0f}"),
                rate_words(b.observed),
            )
            for b in point.reliability
        ]
        table = text_table(strings.ABOUT_CLASS_RELIABILITY, strings.ABOUT_CLASS_RELIABILITY_COLUMNS, by_probability)
        parts.append(f"<details><summary>{strings.ABOUT_CLASS_RELIABILITY}</summary>{table}</details>")
    return "".join(parts)


def _data_set(content: dict, checkpoint: Checkpoint, names: list[str]) -> str:
    """content: what `training.evaluation.evaluate.write_report` stores as metrics.json."""
    classes = ", ".join(f"{n} {strings.CLASS_NAMES[name].lower()}" for name, n in content["n_by_class"].items())
    said = strings.ABOUT_DATA_SET.format(images=content["n_images"], classes=classes, groups=content["n_groups"])
    if content.get("weights_sha256") == checkpoint.weights_sha256:
        whose = strings.ABOUT_SAME_WEIGHTS
    else:
        same_recipe = content.get("recipe") == checkpoint.training.get("recipe")
        whose = strings.ABOUT_SAME_RECIPE if same_recipe else strings.ABOUT_OTHER_RECIPE
    figures = [
        (title, _figure(name, content["figures"][name]["value"]), _interval(name, content["figures"][name]))
        for name, title in strings.ABOUT_FIGURE_NAMES.items()
        if content["figures"].get(name, {}).get("value") is not None
    ]
    table_of_figures = text_table(strings.ABOUT_FIGURES, strings.ABOUT_FIGURE_COLUMNS, figures)
    plots = []
    if content.get("confusion_matrix"):
        plots.append(confusion_table(content["confusion_matrix"], names))
    if bins := content.get("reliability"):
        rows = [
            (
                words.PERCENT.format(percent=f"{100 * b['low']:.0f}-{100 * b['high']:.0f}"),
                words.PERCENT.format(percent=f"{100 * b['confidence']:.0f}"),
                words.PERCENT.format(percent=f"{100 * b['accuracy']:.0f}"),
                str(b["n"]),
            )
            for b in bins
        ]
        table = text_table(strings.ABOUT_RELIABILITY, strings.ABOUT_RELIABILITY_COLUMNS, rows)
        plots.append(f'<div class="pair">{reliability_svg(bins, content["title"])}{table}</div>')
    return f'<p>{said} {whose}</p><div class="columns">{table_of_figures}<div>{"".join(plots)}</div></div>'


def limits(card: Path) -> str:
    """The card's sections on intended use and limits, as Markdown."""
    return "\n".join(found.strip() for found in LIMITS.findall(_card_text(card)))


def card_parts(card: Path) -> list[tuple[str, str, Path | None]]:
    """Model card -> (Markdown, words for a picture, its file or None), in reading order.

    Only pictures that lie in the card's own folder are shown: nothing is fetched from elsewhere.
    """
    folder = card.parent.resolve()
    pieces = IMAGE.split(_card_text(card))  # text, words, address, text, words, address, ..., text
    parts = []
    for start in range(0, len(pieces) - 1, 3):
        picture = (folder / pieces[start + 2]).resolve()
        shown = picture.is_file() and picture.is_relative_to(folder)
        parts.append((pieces[start].strip(), pieces[start + 1], picture if shown else None))
    return [*parts, (pieces[-1].strip(), "", None)]


def api_text() -> str:
    """docs/api.md as it came with the program, without links that lead out of it; "" where it did not come."""
    package = Path(__file__).parents[2]
    for place in (package, package.parent):  # installed; in a checkout or on a Space
        page = place / "docs" / "api.md"
        if page.is_file():
            return LINK.sub(r"\1", page.read_text(encoding="utf-8"))
    return ""


def _card_text(card: Path) -> str:
    return FRONT_MATTER.sub("", card.read_text(encoding="utf-8").replace("\r\n", "\n"))


def _show_card(card: Path) -> None:
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


def _figure(name: str, value: float) -> str:
    return f"{value:.{1 if name.endswith('_px') else 3}f}"


def _interval(name: str, figure: dict) -> str:
    if figure.get("low") is None or figure.get("high") is None:
        return ""
    return f"{_figure(name, figure['low'])} to {_figure(name, figure['high'])}"
