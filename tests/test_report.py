"""What is taken away: complete, exact, and without a word about where it came from."""

import hashlib
import io
import json

import numpy as np
import pypdf
import pytest

from busi_model.clinic.measure import measure_lesions
from busi_model.clinic.report import Report, as_json, as_pdf, as_text
from busi_model.clinic.view import draw_overlay
from busi_model.image import Frame, Notice
from busi_model.predict import Prediction
from tests.test_view import rectangle

MODEL = {"version": "test net", "weights_sha256": "ab" * 32}


@pytest.fixture
def prediction():
    gray = np.random.default_rng(0).integers(0, 255, (120, 160), dtype=np.uint8)
    mask = rectangle(120, 160, (20, 60, 30, 90), (80, 100, 100, 140))
    probabilities = {"benign": 0.1, "malignant": 0.87, "normal": 0.03}
    warnings = (Notice("colour", "2 % of the pixels are coloured."),)
    frame = Frame(gray, None, ())
    logits = np.zeros(3, np.float32)
    return Prediction(frame, probabilities, mask, mask * 1.0, logits, ("malignant",), mask & False, warnings)


@pytest.fixture
def report():
    return Report(
        title="Reading",
        notice="Research use only.",
        summary=("Malignant pattern, 87 %", "Two regions are outlined."),
        warnings=("Colour: look again.",),
        table_heading="Measurements",
        table=(("Lesion", "Area", "Longest axis"), ("1", "2400 px²", "72 px"), ("2", "800 px²", "45 px")),
        footer=("Model test net.",),
    )


def test_json_holds_the_result_and_ties_it_to_the_pixels(prediction):
    lesions = measure_lesions(prediction.mask, spacing_mm=(0.1, 0.2))
    content = json.loads(as_json(prediction, lesions, MODEL, {"operating_point": None}))
    assert content["model"] == MODEL
    assert content["class"] == "malignant" and content["class_probabilities"]["malignant"] == 0.87
    assert content["warnings"] == [{"code": "colour", "text": "2 % of the pixels are coloured."}]
    assert (content["image"]["width_px"], content["image"]["height_px"]) == (160, 120)
    assert content["image"]["pixels_sha256"] == hashlib.sha256(prediction.frame.gray.tobytes()).hexdigest()
    first, second = content["lesions"]
    assert (first["number"], first["area_px2"], first["taller_than_wide"]) == (1, 2400, False)
    assert first["area_mm2"] == pytest.approx(2400 * 0.02) and first["margin_px"] is None
    assert np.array(second["outline_xy"]).max(axis=0).tolist() == [139.5, 99.5]


def test_text_is_what_a_report_needs_line_by_line(report):
    lines = as_text(report).splitlines()
    assert lines[0] == "Malignant pattern, 87 %"
    assert "! Colour: look again." in lines
    assert "1; Area 2400 px²; Longest axis 72 px" in lines
    assert lines[-1] == "Research use only."


def test_the_pdf_is_one_page_of_text_without_metadata(report, prediction):
    data = as_pdf(report, draw_overlay(prediction.frame.gray, prediction.mask))
    pdf = pypdf.PdfReader(io.BytesIO(data))
    assert len(pdf.pages) == 1 and not pdf.metadata and pdf.xmp_metadata is None
    assert b"matplotlib" not in data.lower() and b"/ID" not in data
    words = pdf.pages[0].extract_text()
    for expected in ("Reading", "Research use only.", "Malignant pattern, 87 %", "look again", "2400 px²", "test net"):
        assert expected in words
    assert data == as_pdf(report, draw_overlay(prediction.frame.gray, prediction.mask))  # no date hidden in it
    (image,) = [image.image for image in pdf.pages[0].images if image.image.mode == "RGB"]
    assert image.size[0] / image.size[1] == pytest.approx(160 / 120, rel=0.02)


def test_a_long_report_still_fits_its_page(report, prediction):
    rows = tuple((str(n), "12345 px²", "210 px") for n in range(1, 31))
    long = Report(
        report.title,
        report.notice,
        report.summary + ("A long sentence about what the figure means and what it does not mean. " * 4,) * 4,
        report.warnings * 8,
        report.table_heading,
        (report.table[0], *rows),
        ("The last line of all.",),
    )
    page = pypdf.PdfReader(io.BytesIO(as_pdf(long, np.zeros((800, 300, 3), np.uint8)))).pages[0]
    heights = []
    page.extract_text(visitor_text=lambda text, cm, tm, *_: text.strip() and heights.append(cm[5]))
    assert len(heights) > 50 and min(heights) > 20  # points above the lower edge
    assert max(heights) < float(page.mediabox.height) - 20
    assert "The last line of all." in page.extract_text()
