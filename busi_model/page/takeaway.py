"""What a reader takes away from a case: overlay, mask, data and a page to print. Made when asked for, not before."""

from busi_model.clinic.report import Report, as_json, as_pdf, as_text
from busi_model.clinic.view import draw_overlay, encode_png, overlay_png
from busi_model.operating_point import OperatingPoint, Threshold
from busi_model.page import result, strings
from busi_model.page.lightbox import Case
from busi_model.page.measurements import notes_words, table

PRINTED_PX = 2400  # longer side: 350 pixels an inch between the margins


class Takeaway:
    """Everything that can be taken away, of weights that are the same for all cases."""

    def __init__(self, point: OperatingPoint, version: str, weights_sha256: str):
        self.point, self.model = point, {"version": version, "weights_sha256": weights_sha256}

    def content(self, kind: str, case: Case, threshold: Threshold | None) -> bytes:
        """kind: a key of `strings.TAKE_FILES`. The case must have a result."""
        prediction = case.prediction
        if kind == "mask":
            return encode_png(case.mask)
        if kind == "data":
            return as_json(prediction, case.lesions, self.model, self._reading(case, threshold)).encode()
        if kind == "overlay":
            return overlay_png(prediction.frame.gray, case.mask)
        printed = draw_overlay(prediction.frame.gray, case.mask, longest_px=PRINTED_PX)
        return as_pdf(self.report(case, threshold), printed)

    def text(self, case: Case, threshold: Threshold | None) -> str:
        return as_text(self.report(case, threshold))

    def report(self, case: Case, threshold: Threshold | None) -> Report:
        prediction = case.prediction
        figures = "; ".join(
            f"{strings.CLASS_NAMES[name]} {result.percent(p)}" for name, p in prediction.class_probabilities.items()
        )
        edited = case.drawn is not None
        notes = notes_words(case.lesions, case.spacing_mm, case.marked, self.point, edited, case.carried)
        return Report(
            title=strings.REPORT_TITLE,
            notice=strings.RESEARCH_USE,
            summary=(
                result.headline(prediction),
                *([strings.ANYWAY_NOTE] if prediction.refused else []),
                *([strings.SYNTHETIC_NOTE] if case.synthetic else []),
                f"{figures}.",
                result.outlined_words(len(case.lesions), edited),
                *result.doubt_sentences(prediction, self.point),
                *result.meaning_sentences(prediction, self.point),
                *result.operating_sentences(prediction, threshold),
            ),
            warnings=tuple(result.warning_sentences(prediction)),
            table_heading=strings.REPORT_MEASURES_EDITED if edited else strings.REPORT_MEASURES,
            table=table(case.lesions),
            footer=(
                *(notes if case.lesions else []),
                strings.REPORT_MODEL.format(version=self.model["version"], sha256=self.model["weights_sha256"]),
            ),
        )

    def _reading(self, case, threshold):
        point = None
        if threshold is not None:
            point = {"name": threshold.name, "malignant_probability": threshold.malignant_probability}
        spacing = None
        if case.spacing_mm is not None:
            spacing = {"row": case.spacing_mm[0], "column": case.spacing_mm[1], "from": ["file", "mark"][case.marked]}
        outline = "model" if case.drawn is None else "edited"
        cut = {} if case.crop is None else {"cut_out_xyxy_px": case.crop}
        film = {} if case.film is None else {"frame": case.film.index + 1, "frames": case.film.count}
        return {
            "operating_point": point,
            "spacing_mm": spacing,
            "synthetic": case.synthetic,
            "outline": outline,
            **cut,
            **film,
        }
