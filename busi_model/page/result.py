"""A Prediction becomes the page's words, as HTML: class first, then doubts, figures and what they mean.

Everything that is not ours to trust (texts of warnings, errors, weights) is escaped.
"""

import html

from busi_model.clinic.view import outlines_xy
from busi_model.operating_point import OperatingPoint
from busi_model.page import strings
from busi_model.predict import Prediction


def waiting_html() -> str:
    return message_html(strings.WAITING_HEADING, strings.WAITING_TEXT, "waiting")


def busy_html(text: str) -> str:
    return f'<section class="result busy" role="status"><h2>{html.escape(text)}</h2></section>'


def message_html(heading: str, text: str, kind: str = "message") -> str:
    heading, text = html.escape(heading), html.escape(text)
    return f'<section class="result {kind}" role="status"><h2>{heading}</h2><p>{text}</p></section>'


def result_html(prediction: Prediction, point: OperatingPoint, synthetic: bool) -> str:
    """synthetic: the picture is one of our phantoms, and the words say so."""
    name, figure = strings.CLASS_NAMES[prediction.label], percent(prediction.confidence)
    headline = strings.HEADLINE.format(name=name, percent=figure)
    if any(warning.code == "low_confidence" for warning in prediction.warnings):
        headline = strings.HEADLINE_UNCERTAIN.format(name=name.lower(), percent=figure)
    parts = [f"<h2>{headline}</h2>", f"<p>{outlined_words(prediction.mask)}</p>"]
    if synthetic:
        parts.append(f'<p class="synthetic">{strings.SYNTHETIC_NOTE}</p>')
    if prediction.warnings:
        items = "".join(f"<li>{html.escape(warning.text)}</li>" for warning in prediction.warnings)
        parts.append(f'<div class="warnings"><h3>{strings.WARNINGS_HEADING}</h3><ul>{items}</ul></div>')
    parts += [_table(prediction), f"<h3>{strings.MEANING_HEADING}</h3>"]
    parts += [f"<p>{html.escape(sentence)}</p>" for sentence in _meaning(prediction, point)]
    return f'<section class="result done" role="status">{"".join(parts)}</section>'


def _table(prediction):
    rows = []
    for name, probability in prediction.class_probabilities.items():
        chosen = ' class="chosen"' if name == prediction.label else ""
        bar = f'<div aria-hidden="true"><div style="width:{100 * probability:.1f}%"></div></div>'
        rows.append(
            f'<tr{chosen} data-class="{name}"><th scope="row">{strings.CLASS_NAMES[name]}</th>'
            f'<td class="figure">{percent(probability)}</td><td class="bar">{bar}</td></tr>'
        )
    head = f'<th scope="col">{strings.COLUMN_CLASS}</th><th scope="col">{strings.COLUMN_PROBABILITY}</th>'
    return (
        f"<table><caption>{strings.PROBABILITIES_CAPTION}</caption>"
        f'<thead class="unseen"><tr>{head}<td></td></tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _meaning(prediction, point):
    if point.fitted_on == OperatingPoint().fitted_on:
        return [strings.MEANING_NOT_FITTED, strings.MEANING_LIMITS]
    of_hundred = strings.MEANING[prediction.label].format(percent=min(99, round(100 * prediction.confidence)))
    return [of_hundred, strings.MEANING_FITTED.format(fitted_on=point.fitted_on), strings.MEANING_LIMITS]


def outlined_words(mask) -> str:
    count = len(outlines_xy(mask))
    return strings.OUTLINED.get(count) or strings.OUTLINED_SEVERAL.format(count=count)


def percent(probability: float) -> str:
    """Whole per cent; never 100 % and never 0 %, which nothing that was measured supports."""
    if probability >= 0.995:
        return strings.PERCENT_OVER
    if probability < 0.005:
        return strings.PERCENT_UNDER
    return strings.PERCENT.format(percent=round(100 * probability))
