"""A Prediction is worded once: everything that page, session, text, JSON and PDF say of it stands in one `Report`.

Enters: a `Finding` (a Prediction's, or that of a record which kept it), the weights' operating point, the name of the
threshold in use. Leaves: a verdict that this threshold decides, and the words for it. A picture whose malignant
probability reaches the threshold is always called suspicious, whatever class is likelier. Words are in `words`, layout
in `render`.
"""

from dataclasses import dataclass

from busi_model.clinic import words
from busi_model.frame import Notice
from busi_model.model.operating_point import OperatingPoint, Rate, Threshold
from busi_model.predict import Prediction

OPEN_CODES = ("low_confidence", "uncertain")  # warnings that leave the class open
SAYS_OUTLINED = ("no_lesion", "contradiction", "nothing_outlined")  # reasons that say whether a region is outlined
NO_JUDGEMENT_CODES = ("blank", "not_ultrasound")


@dataclass(frozen=True)
class Finding:
    """What must be known of a picture to word it."""

    class_probabilities: dict[str, float]  # calibrated; empty: the network's answer was not kept
    n_lesions: int
    warnings: tuple[Notice, ...] = ()
    refused: bool = False

    @classmethod
    def of(cls, prediction: Prediction, n_lesions: int) -> "Finding":
        """n_lesions: regions on the screen, which is not the mask's number once the outline was edited."""
        said = prediction.class_probabilities
        return cls(said, n_lesions, prediction.warnings, prediction.refused)


@dataclass(frozen=True)
class ClassRow:
    """One class with its probability, as number and in words."""

    code: str
    name: str
    probability: float
    percent: str
    chosen: bool  # the likeliest


@dataclass(frozen=True)
class Warned:
    """A warning in words."""

    code: str
    title: str
    found: str
    advice: str

    @property
    def sentence(self) -> str:
        return " ".join(part for part in (f"{self.title}:", self.found, self.advice) if part)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is said of one picture, in reading order."""

    verdict: str  # a key of `words.VERDICTS`
    headline: str  # the verdict in words
    reason: str  # one line: what decided
    threshold: Threshold | None  # the one in use
    outlined: str = ""  # how many regions are outlined; "" where the reason says it
    notes: tuple[str, ...]  # synthetic, edited, shown although refused
    class_line: str = ""  # "" when not judged
    rows: tuple[ClassRow, ...] = ()
    muted: bool = False  # outline and class contradict each other: neither can be relied on
    open: bool = False  # more than one class is possible
    warnings: tuple[Warned, ...]  # the weightiest first
    meaning: tuple[str, ...] = ()  # what the figures mean, in sentences

    @property
    def facts(self) -> str:
        """How many regions are outlined, and what else is true of the picture."""
        return " ".join(part for part in (self.outlined, *self.notes) if part)

    @property
    def warnings_line(self) -> str:
        """The weightiest warning and the number of others; "" without any."""
        if not self.warnings:
            return ""
        first, *others = self.warnings
        return words.WARNINGS_MORE.format(first=first.title, count=len(others)) if others else first.title


def report(
    finding: Finding,
    point: OperatingPoint,
    threshold_name: str | None = None,
    *,
    insisted: bool = False,
    synthetic: bool = False,
    edited: bool = False,
) -> Report:
    """Word a finding.

    threshold_name: of `point.thresholds`; None or an unknown one: the first. insisted: the user wants to see what the
    network said of a picture that it would not judge. synthetic: the picture is one of our phantoms. edited: the
    outline is no longer the network's.
    """
    threshold = point.threshold(threshold_name) or next(iter(point.thresholds), None)  # None: none was measured
    warnings = warned(finding.warnings)
    notes = (words.SYNTHETIC,) * synthetic + (words.OUTLINE_EDITED,) * edited
    if finding.refused and insisted and not synthetic:
        notes = (words.INSISTED, *notes)
    if not finding.class_probabilities or (finding.refused and not (insisted or synthetic)):
        code = next((w.code for w in warnings if w.code in NO_JUDGEMENT_CODES), "refused")
        return Report(
            verdict="not_judged",
            headline=words.VERDICTS["not_judged"],
            reason=words.REASONS[code],
            threshold=threshold,
            notes=notes,
            warnings=warnings,
        )
    possible = point.class_set(finding.class_probabilities)
    label = possible[0]
    verdict, code = decide(finding, possible, threshold)
    values = {
        "probability": percent(finding.class_probabilities["malignant"]),
        "limit": percent(threshold.malignant_probability) if threshold else "",
        "name": words.OPERATING_NAMES.get(threshold.name, threshold.name) if threshold else "",
        "class_name": words.CLASS_NAMES[label].lower(),
    }
    return Report(
        verdict=verdict,
        headline=words.VERDICTS[verdict],
        reason=words.REASONS[code].format(**values),
        threshold=threshold,
        outlined="" if code in SAYS_OUTLINED else outlined_words(finding.n_lesions),
        notes=notes,
        class_line=_class_line(finding, possible),
        rows=tuple(
            ClassRow(name, words.CLASS_NAMES[name], p, percent(p), name == label)
            for name, p in finding.class_probabilities.items()
        ),
        muted=(finding.n_lesions > 0) == (label == "normal"),
        open=len(possible) > 1 or any(w.code in OPEN_CODES for w in warnings),
        warnings=warnings,
        meaning=(
            *((words.SYNTHETIC_NOTE,) if synthetic else ()),
            *((words.INSISTED_NOTE,) if finding.refused and not synthetic else ()),
            *_threshold_meaning(values, verdict, threshold),
            *_set_meaning(possible, point),
            *_class_meaning(label, finding.class_probabilities[label], point),
        ),
    )


def decide(finding: Finding, possible: tuple[str, ...], threshold: Threshold | None) -> tuple[str, str]:
    """Verdict (a key of `words.VERDICTS`) and what decided it (a key of `words.REASONS`).

    possible: the classes that cannot be ruled out, likeliest first. The threshold comes before everything else.
    """
    if threshold is None:
        return "cannot_say", "no_threshold"
    if finding.class_probabilities["malignant"] >= threshold.malignant_probability:
        return "suspicious", "suspicious"
    if finding.n_lesions and possible[0] == "normal":
        return "contradiction", "contradiction"
    if not finding.n_lesions and possible[0] != "normal":
        return "cannot_say", "nothing_outlined"
    if "malignant" in possible:
        return "cannot_say", "open"
    if not finding.n_lesions:
        return "no_lesion", "no_lesion"
    return "not_suspicious", "not_suspicious"


def warned(notices: tuple[Notice, ...]) -> tuple[Warned, ...]:
    """Notices in words, the weightiest first; the order of `words.WARNINGS` is that of their weight."""
    weights = {code: place for place, code in enumerate(words.WARNINGS)}
    ranked = sorted(notices, key=lambda notice: weights.get(notice.code, len(weights)))
    found = []
    for notice in ranked:
        title, what, advice = words.WARNINGS.get(notice.code, words.WARNING_UNKNOWN)
        found.append(Warned(notice.code, title, what.replace("{found}", notice.text), advice))
    return tuple(found)


def outlined_words(n_lesions: int) -> str:
    return words.OUTLINED.get(n_lesions) or words.OUTLINED_SEVERAL.format(count=n_lesions)


def percent(probability: float) -> str:
    """Whole per cent; never 100 % and never 0 %, which nothing that was measured supports."""
    if probability >= 0.995:
        return words.PERCENT_OVER
    if probability < 0.005:
        return words.PERCENT_UNDER
    return words.PERCENT.format(percent=round(100 * probability))


def rate_words(rate: Rate | None) -> str:
    """A measured share, which unlike a probability may be 100 %."""
    if rate is None:
        return words.NOT_MEASURED
    value, low, high = (words.PERCENT.format(percent=round(100 * x)) for x in (rate.value, rate.low, rate.high))
    return words.RATE.format(value=value, low=low, high=high, n=rate.n)


def _class_line(finding: Finding, possible: tuple[str, ...]) -> str:
    if len(possible) == len(finding.class_probabilities):
        return words.CLASS_OPEN_ALL
    if len(possible) > 1:
        names = words.CLASS_OR.join(words.CLASS_NAMES[name].lower() for name in possible)
        return words.CLASS_OPEN.format(names=names)
    figure = percent(finding.class_probabilities[possible[0]])
    return words.CLASS_LINE.format(name=words.CLASS_NAMES[possible[0]].lower(), percent=figure)


def _threshold_meaning(values: dict[str, str], verdict: str, threshold: Threshold | None) -> tuple[str, ...]:
    """On which side of the threshold in use the picture lies, and how good that threshold was."""
    if threshold is None:
        return (words.MEANING_NO_THRESHOLD,)
    side = words.MEANING_VERDICTS["suspicious" if verdict == "suspicious" else "not_suspicious"].format(**values)
    sensitivity, specificity = rate_words(threshold.sensitivity), rate_words(threshold.specificity)
    return side, words.MEANING_RATES.format(sensitivity=sensitivity, specificity=specificity)


def _set_meaning(possible: tuple[str, ...], point: OperatingPoint) -> tuple[str, ...]:
    if len(possible) < 2 or point.conformal_coverage is None:
        return ()
    return (words.MEANING_SET.format(rate=rate_words(point.conformal_coverage)),)


def _class_meaning(label: str, probability: float, point: OperatingPoint) -> tuple[str, ...]:
    """What the probability of the likeliest class means, as far as it was measured."""
    if point.fitted_on == OperatingPoint().fitted_on:
        return words.MEANING_NOT_FITTED, words.MEANING_LIMITS
    fitted = words.MEANING_FITTED.format(fitted_on=point.fitted_on)
    if not point.reliability:
        of_hundred = words.MEANING[label].format(percent=min(99, round(100 * probability)))
        return of_hundred, fitted, words.MEANING_LIMITS
    observed = point.observed(label, probability)
    if observed is None:
        return words.MEANING_UNOBSERVED, fitted, words.MEANING_LIMITS
    low, high = round(100 * observed.low), round(100 * observed.high)
    sentence = words.MEANING_OBSERVED[label].format(low=low, high=high, rate=rate_words(observed.observed))
    return sentence, fitted, words.MEANING_LIMITS
