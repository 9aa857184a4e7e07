"""A Prediction becomes the page's words, as HTML: class first, then doubts, figures and what they mean.

Sentences are made apart from their HTML, so that text and PDF to take away say the same. Everything that is not ours
to trust (texts of warnings, errors, weights) is escaped. Every state begins with the same unseen paragraph of role
"status": it stays in the page while its text changes, which is what makes a screen reader speak.
"""

import html
import re

from busi_model.operating_point import OperatingPoint, Rate, Threshold
from busi_model.page import strings
from busi_model.predict import Prediction

UNCERTAIN_CODES = ("low_confidence", "uncertain")


def waiting_html() -> str:
    return message_html(strings.WAITING_HEADING, strings.WAITING_TEXT, "waiting")


def busy_html(text: str) -> str:
    bar = '<div class="progress" aria-hidden="true"><div></div></div>'
    return _section("busy", text, f"<h2>{html.escape(text)}</h2>{bar}")


def message_html(heading: str, text: str, kind: str = "message") -> str:
    return _section(kind, f"{heading}. {text}", f"<h2>{html.escape(heading)}</h2><p>{html.escape(text)}</p>")


def refused_html(prediction: Prediction) -> str:
    """In place of a result: why there is none, and what to do."""
    reasons = _warnings(prediction, strings.REFUSED_REASONS)
    parts = [f"<h2>{strings.REFUSED_HEADING}</h2>", f"<p>{strings.REFUSED_TEXT}</p>", reasons]
    said = " ".join([strings.REFUSED_HEADING + ".", *warning_sentences(prediction)])
    return _section("refused", said, "".join(parts))


def result_html(
    prediction: Prediction,
    point: OperatingPoint,
    threshold: Threshold | None,
    n_lesions: int,
    synthetic: bool,
    edited: bool = False,
) -> str:
    """threshold: the operating point in use. synthetic: the picture is one of our phantoms, and the words say so.
    edited: the lesions are those of an outline that the user edited."""
    parts = [f"<h2>{headline(prediction)}</h2>"]
    if prediction.refused:
        parts.append(f'<p class="synthetic">{strings.ANYWAY_NOTE}</p>')
    if synthetic:
        parts.append(f'<p class="synthetic">{strings.SYNTHETIC_NOTE}</p>')
    outlined = outlined_words(n_lesions, edited)
    parts += [f"<p>{sentence}</p>" for sentence in (*doubt_sentences(prediction, point), outlined)]
    parts += [_warnings(prediction, strings.WARNINGS_HEADING), _table(prediction)]
    for heading, sentences in (
        (strings.MEANING_HEADING, meaning_sentences(prediction, point)),
        (strings.OPERATING_HEADING, operating_sentences(prediction, threshold)),
    ):
        parts.append(f"<h3>{heading}</h3>" + "".join(f"<p>{html.escape(s)}</p>" for s in sentences))
    said = f"{headline(prediction)}. {outlined}"
    if prediction.warnings:
        said += " " + strings.WARNINGS_COUNT.format(count=len(prediction.warnings))
    return _section("uncertain done" if is_uncertain(prediction) else "done", said, "".join(parts))


def is_uncertain(prediction: Prediction) -> bool:
    """Whether the class must be treated as open."""
    return len(prediction.class_set) > 1 or any(w.code in UNCERTAIN_CODES for w in prediction.warnings)


def headline(prediction: Prediction) -> str:
    if len(prediction.class_set) > 1:
        names = strings.CLASS_OR.join(strings.CLASS_NAMES[name].lower() for name in prediction.class_set)
        return strings.HEADLINE_OPEN.format(names=names)
    name, figure = strings.CLASS_NAMES[prediction.label], percent(prediction.confidence)
    if is_uncertain(prediction):
        return strings.HEADLINE_UNCERTAIN.format(name=name.lower(), percent=figure)
    return strings.HEADLINE.format(name=name, percent=figure)


def doubt_sentences(prediction: Prediction, point: OperatingPoint) -> list[str]:
    """What stands under the headline when several classes are possible."""
    if len(prediction.class_set) < 2:
        return []
    name, figure = strings.CLASS_NAMES[prediction.label].lower(), percent(prediction.confidence)
    sentences = [strings.LIKELIEST.format(name=name, percent=figure)]
    if point.conformal_coverage is not None:
        sentences.append(strings.COVERAGE.format(rate=rate_words(point.conformal_coverage)))
    return sentences


def warning_sentences(prediction: Prediction) -> list[str]:
    """One a warning: what it is, what was found, what to do."""
    sentences = []
    for warning in prediction.warnings:
        title, advice = strings.WARNINGS.get(warning.code, ("", ""))
        sentences.append(f"{title}: {warning.text} {advice}" if title else warning.text)
    return sentences


def meaning_sentences(prediction: Prediction, point: OperatingPoint) -> list[str]:
    """What the probability of the likeliest class means, as far as it was measured."""
    label, confidence = prediction.label, prediction.confidence
    if point.fitted_on == OperatingPoint().fitted_on:
        return [strings.MEANING_NOT_FITTED, strings.MEANING_LIMITS]
    fitted = strings.MEANING_FITTED.format(fitted_on=point.fitted_on)
    if not point.reliability:
        of_hundred = strings.MEANING[label].format(percent=min(99, round(100 * confidence)))
        return [of_hundred, fitted, strings.MEANING_LIMITS]
    observed = point.observed(label, confidence)
    if observed is None:
        return [strings.MEANING_UNOBSERVED, fitted, strings.MEANING_LIMITS]
    low, high = round(100 * observed.low), round(100 * observed.high)
    sentence = strings.MEANING_OBSERVED[label].format(low=low, high=high, rate=rate_words(observed.observed))
    return [sentence, fitted, strings.MEANING_LIMITS]


def operating_sentences(prediction: Prediction, threshold: Threshold | None) -> list[str]:
    """On which side of the threshold in use the image lies, and how good that threshold was."""
    if threshold is None:
        return [strings.OPERATING_NONE]
    probability = prediction.class_probabilities["malignant"]
    verdict = strings.OPERATING_VERDICT[probability >= threshold.malignant_probability].format(
        probability=percent(probability),
        limit=percent(threshold.malignant_probability),
        name=strings.OPERATING_NAMES.get(threshold.name, threshold.name),
    )
    rates = strings.OPERATING_RATES.format(
        sensitivity=rate_words(threshold.sensitivity), specificity=rate_words(threshold.specificity)
    )
    return [verdict, rates]


def outlined_words(n_lesions: int, edited: bool = False) -> str:
    """edited: the outline is the user's, no longer the model's."""
    words = strings.OUTLINED.get(n_lesions) or strings.OUTLINED_SEVERAL.format(count=n_lesions)
    return f"{words} {strings.OUTLINE_EDITED}." if edited else words


def percent(probability: float) -> str:
    """Whole per cent; never 100 % and never 0 %, which nothing that was measured supports."""
    if probability >= 0.995:
        return strings.PERCENT_OVER
    if probability < 0.005:
        return strings.PERCENT_UNDER
    return strings.PERCENT.format(percent=round(100 * probability))


def rate_words(rate: Rate) -> str:
    """A measured share, which unlike a probability may be 100 %."""
    value, low, high = (strings.PERCENT.format(percent=round(100 * x)) for x in (rate.value, rate.low, rate.high))
    return strings.RATE.format(value=value, low=low, high=high, n=rate.n)


def _section(kind, said, inner):
    status = f'<p class="unseen" role="status">{html.escape(said)}</p>'
    inner = re.sub(r"(?<=\d) %", "&nbsp;%", inner)  # no line ends between a figure and its per-cent sign
    return f'<section class="result {kind}">{status}{inner}</section>'


def _warnings(prediction, heading):
    if not prediction.warnings:
        return ""
    items = "".join(f"<li>{_warning(warning)}</li>" for warning in prediction.warnings)
    return f'<div class="warnings"><h3>{heading}</h3><ul>{items}</ul></div>'


def _warning(warning):
    title, advice = strings.WARNINGS.get(warning.code, ("", ""))
    text = html.escape(warning.text)
    return f"<b>{title}.</b> {text} {advice}" if title else text


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
