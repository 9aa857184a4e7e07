"""What a reader takes away from a case: overlay, mask, data, a page to print, a text. Made when asked for."""

from collections.abc import Callable
from datetime import UTC, datetime

from busi_model import __version__
from busi_model.clinic import lengths, words
from busi_model.clinic.render import as_json, as_text, pixels_sha256
from busi_model.clinic.report import Finding, Report, report
from busi_model.clinic.view import draw_overlay, encode_png, overlay_png
from busi_model.dicom_out.reference import reference_of
from busi_model.dicom_out.write import KINDS, DicomResultError, require_highdicom, results_of
from busi_model.model.operating_point import OperatingPoint, Threshold
from busi_model.page import strings
from busi_model.page.images.case import OpenImage
from busi_model.predict import Predictor

PRINTED_PX = 2400  # longer side: 350 pixels an inch between the margins


class Downloads:
    """Words and files of cases, all of the same weights."""

    def __init__(self, point: OperatingPoint, version: str, weights_sha256: str, clock: Callable = datetime.now):
        """clock: gives the time in a time zone, for tests."""
        self.point, self.clock = point, clock
        self.model = {"version": version, "weights_sha256": weights_sha256}

    def report(self, case: OpenImage, threshold_name: str | None) -> Report:
        """The one wording of a case that has a Prediction."""
        how = {"insisted": case.insisted, "synthetic": case.synthetic, "edited": case.drawn is not None}
        return report(Finding.of(case.prediction, len(case.lesions)), self.point, threshold_name, **how)

    def text(self, case: OpenImage, threshold_name: str | None) -> str:
        return as_text(self.report(case, threshold_name), case.lesions, __version__, self.model["weights_sha256"])

    def notes(self, case: OpenImage) -> list[str]:
        """What must be known of the case's measurements."""
        edited, described = case.drawn is not None, case.described
        return lengths.notes(case.lesions, case.spacing_mm, case.marked, self.point, edited, case.carried, described)

    @staticmethod
    def table(case: OpenImage) -> tuple[tuple[str, ...], ...]:
        """A case's measurements, header first; empty without a lesion."""
        return lengths.table(case.lesions, case.described)

    def file_name(self, kind: str, case: OpenImage) -> str:
        """kind: a key of `strings.TAKE_FILES`. The date, and eight letters of the pixels' hash."""
        short = pixels_sha256(case.frame.gray)[:8]
        return strings.TAKE_FILES[kind].format(date=self._today(), short=short)

    def dicom_kinds(self, case: OpenImage) -> tuple[str, ...]:
        """Which of `KINDS` can be made of a case: of a DICOM file that was not refused, while the outline is the
        network's, for they say so."""
        try:
            require_highdicom()
        except DicomResultError:
            return ()
        if case.identity is None or not case.is_judged or case.prediction.refused or case.drawn is not None:
            return ()
        return KINDS if case.mask.any() else tuple(kind for kind in KINDS if kind != "seg")

    def _dicom(self, kind: str, case: OpenImage) -> bytes:
        if case.identity is None:
            raise DicomResultError("no_study")
        frame = None if case.film is None else case.film.index
        reference = reference_of(case.identity, frame, self.model["weights_sha256"])
        model = self.model | {"version": __version__}  # as the command line says it
        return results_of(reference, case.prediction, case.lesions, model, (kind,))[kind]

    def content(self, kind: str, case: OpenImage, threshold_name: str | None) -> bytes:
        """kind: a key of `strings.TAKE_FILES`; of the DICOM ones one of `dicom_kinds`. The case must have a result.
        Raises DicomResultError."""
        if kind in KINDS:
            return self._dicom(kind, case)
        if kind == "mask":
            return encode_png(case.mask)
        if kind == "overlay":
            return overlay_png(case.kept_gray, case.mask)
        worded = self.report(case, threshold_name)
        if kind == "data":
            reading = self._reading(case, worded.threshold)
            return as_json(worded, case.prediction, case.lesions, self.model, reading, case.described).encode()
        from busi_model.clinic.pdf import as_pdf  # matplotlib: no page waits for it to start

        printed = draw_overlay(case.kept_gray, case.mask, longest_px=PRINTED_PX)
        return as_pdf(worded, self.table(case), self.notes(case), self._footer(case), printed)

    def _footer(self, case: OpenImage) -> tuple[str, ...]:
        height, width = case.frame.gray.shape
        return (
            words.REPORT_MADE.format(date=self._today(), version=__version__, model=self.model["version"]),
            words.REPORT_WEIGHTS.format(sha256=self.model["weights_sha256"]),
            words.REPORT_IMAGE.format(width=width, height=height, sha256=pixels_sha256(case.frame.gray)),
        )

    def _today(self) -> str:
        return self.clock(UTC).date().isoformat()

    def _reading(self, case: OpenImage, threshold: Threshold | None) -> dict[str, object]:
        point = None
        if threshold is not None:
            point = {"name": threshold.name, "malignant_probability": threshold.malignant_probability}
        spacing = None
        if case.spacing_mm is not None:
            spacing = {"row": case.spacing_mm[0], "column": case.spacing_mm[1], "from": ["file", "mark"][case.marked]}
        cut = {} if case.crop is None else {"cut_out_xyxy_px": case.crop}
        film = {} if case.film is None else {"frame": case.film.index + 1, "frames": case.film.count}
        return {
            "made": self._today(),
            "operating_point": point,
            "spacing_mm": spacing,
            "synthetic": case.synthetic,
            "outline": "model" if case.drawn is None else "edited",
            **cut,
            **film,
        }


def model_version(predictor: Predictor) -> str:
    """What a record says of the network, beside the hash of its weights."""
    return f"MultiTaskUNet {predictor.checkpoint.network.arguments['encoder']}, {predictor.preprocess.size} px"
