"""A `Report` as HTML for page and session, as text for a report, as JSON for programs.

Enters: the Report, and what was measured. Leaves: str. HTML comes from the templates beside this file, which escape
everything; no sentence is made here.
"""

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from busi_model.clinic import words
from busi_model.clinic.descriptors import as_values
from busi_model.clinic.lengths import Described, lesion_sentence
from busi_model.clinic.measure import Lesion
from busi_model.clinic.report import Report
from busi_model.predict import Prediction

FORMAT = 2  # of the JSON; raised when a reader of the older one would misread it. 2: a refused picture has no class
GEOMETRY = ("outline_xy", "longest_axis_xy", "perpendicular_axis_xy")
TEXT_LESIONS = 2  # that a report's text measures one by one: with more it would pass 60 words
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


def as_html(template: str, **values: object) -> str:
    """template: name of a file in templates/, without ".html". No line ends between a figure and its unit."""
    shown = TEMPLATES.get_template(f"{template}.html").render(words=words, **values)
    return re.sub(r"(?<=\d) (?=%|mm|px)", "\u00a0", shown)


def spoken(report: Report) -> str:
    """What a screen reader says once the result is there."""
    return " ".join(
        part for part in (f"{report.headline}.", report.reason, report.outlined, report.warnings_line) if part
    )


def as_text(report: Report, lesions: list[Lesion], version: str, weights_sha256: str) -> str:
    """At most 60 words to paste into a report, one statement a line."""
    rows = ", ".join(f"{row.name.lower()} {row.percent}" for row in report.rows)
    measured = [lesion_sentence(lesion) for lesion in lesions[:TEXT_LESIONS]]
    if len(lesions) > TEXT_LESIONS:
        measured.append(words.TEXT_LESIONS_MORE.format(count=len(lesions) - TEXT_LESIONS))
    model = words.TEXT_MODEL.format(version=version, sha256=weights_sha256[:8])
    lines = [
        words.TEXT_VERDICT.format(verdict=report.headline, reason=report.reason),
        *report.notes,
        f"{rows}.".capitalize() if rows else "",
        " ".join(measured),
        words.TEXT_WARNING.format(warning=report.warnings_line) if report.warnings else "",
        f"{words.REPORT_USE} {model}",
    ]
    return "\n".join(line for line in lines if line)


def as_json(
    report: Report,
    prediction: Prediction,
    lesions: list[Lesion],
    model: dict,
    reading: dict,
    described: Described = (),
) -> str:
    """Everything a program needs, as JSON with a final newline.

    model: version and sha256 of the weights. reading: what the reader chose, such as the operating point. Lengths are
    as in `Lesion`. described: of each lesion, for its "descriptors". `pixels_sha256` is of the gray frame's bytes, row
    by row, and ties the record to these very pixels.
    """
    frame = prediction.frame
    content = {
        "format": FORMAT,
        "use": "research only; not a medical device",
        "model": model,
        "image": {
            "width_px": frame.gray.shape[1],
            "height_px": frame.gray.shape[0],
            "pixels_sha256": pixels_sha256(frame.gray),
        },
        "verdict": report.verdict,
        "headline": report.headline,
        "reason": report.reason,
        "class": None if prediction.refused else prediction.label,
        "class_probabilities": {row.code: row.probability for row in report.rows},
        "class_set": list(prediction.class_set),
        "refused": prediction.refused,
        "warnings": [asdict(warning) for warning in report.warnings],
        **reading,
        "lesions": lesion_values(lesions, described),
    }
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def pixels_sha256(gray: np.ndarray) -> str:
    """uint8 (H, W) -> hash of its bytes, row by row."""
    return hashlib.sha256(np.ascontiguousarray(gray).tobytes()).hexdigest()


def lesion_values(lesions: list[Lesion], described: Described = ()) -> list[dict[str, object]]:
    """Each lesion as plain values: lengths as in `Lesion`, outline and axes as points (x, y), and its descriptors."""
    values = [_lesion(lesion) for lesion in lesions]
    for lesion, one in zip(values, described, strict=False):
        lesion["descriptors"] = as_values(one)
    return values


def _lesion(lesion: Lesion) -> dict[str, object]:
    content = {name: value for name, value in vars(lesion).items() if name not in GEOMETRY}
    content["taller_than_wide"] = lesion.taller_than_wide
    return content | {name: np.round(getattr(lesion, name), 2).tolist() for name in GEOMETRY}
