"""A Prediction is worded once: what decides the verdict, how few words it takes, and that five forms say the same."""

import dataclasses
import html
import io
import json
import re
from pathlib import Path

import numpy as np
import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import busi_model
from busi_model.clinic import lengths, words
from busi_model.clinic.descriptors import AGREEMENT, describe
from busi_model.clinic.measure import measure_lesions
from busi_model.clinic.pdf import RIGHT, as_pdf
from busi_model.clinic.render import as_html, as_json, as_text, pixels_sha256, spoken
from busi_model.clinic.report import Finding, percent, report
from busi_model.clinic.view import draw_overlay
from busi_model.image import Frame, Notice
from busi_model.model.operating_point import OperatingPoint, Rate, ReliabilityBin, Threshold
from busi_model.names import CLASS_NAMES, DESCRIPTOR_WORDS
from busi_model.predict import REFUSALS, Prediction
from tests.clinic.test_view import rectangle

RATE = Rate(0.84, 0.73, 0.91, 61)
POINT = OperatingPoint(
    thresholds=(
        Threshold("balanced", 0.4, RATE, RATE),
        Threshold("sensitive", 0.1, Rate(0.98, 0.91, 1.0, 61), Rate(0.55, 0.48, 0.62, 200)),
    ),
    conformal_probability=0.3,
    conformal_coverage=RATE,
    fitted_on="90 test images",
)
FITTED = OperatingPoint(fitted_on="90 test images")
MODEL = {"version": "test net", "weights_sha256": "ab" * 32}


def finding(benign, malignant, normal, n_lesions=1, codes=()):
    probabilities = dict(zip(CLASS_NAMES, (benign, malignant, normal), strict=True))
    refused = any(code in REFUSALS for code in codes)
    return Finding(probabilities, n_lesions, tuple(Notice(code, f"It is {code}.") for code in codes), refused)


@pytest.mark.parametrize(
    ("found", "threshold", "verdict", "reason"),
    [
        (finding(0.1, 0.87, 0.03), "balanced", "suspicious", "Malignant 87 %; balanced threshold 40 %."),
        (finding(0.9, 0.05, 0.05), "balanced", "not_suspicious", "Malignant 5 %; balanced threshold 40 %. Not ruled"),
        (finding(0.85, 0.12, 0.03), "balanced", "not_suspicious", "balanced threshold 40 %"),
        (finding(0.85, 0.12, 0.03), "sensitive", "suspicious", "Malignant 12 %; sensitive threshold 10 %"),
        (finding(0.02, 0.03, 0.95, 0), "balanced", "no_lesion", "Nothing is outlined and the class is normal."),
        (finding(0.02, 0.03, 0.95, 1), "balanced", "contradiction", "A region is outlined, but the class is normal."),
        (finding(0.27, 0.34, 0.39, 1), "sensitive", "suspicious", "Malignant 34 %"),  # normal is the likeliest
        (finding(0.95, 0.03, 0.02, 0), "balanced", "cannot_say", "The class is benign, but nothing is outlined."),
        (finding(0.6, 0.35, 0.05, 1), "balanced", "cannot_say", "below the balanced threshold, 40 %, but possible"),
        (finding(0.1, 0.87, 0.03, codes=["not_ultrasound"]), "balanced", "not_judged", "I am not sure that this is a"),
        (finding(0.1, 0.87, 0.03, codes=["blank"]), "balanced", "not_judged", "The picture is almost uniform."),
    ],
)
def test_the_threshold_in_use_decides_the_verdict(found, threshold, verdict, reason):
    worded = report(found, POINT, threshold)
    assert (worded.verdict, worded.headline) == (verdict, words.VERDICTS[verdict])
    assert reason in worded.reason
    if verdict == "not_judged":
        assert not worded.rows and not worded.class_line and not worded.meaning


def test_a_class_at_the_threshold_is_suspicious_and_the_first_threshold_is_the_default():
    assert report(finding(0.55, 0.4, 0.05), POINT, None).verdict == "suspicious"
    assert report(finding(0.85, 0.12, 0.03), POINT, "unknown").threshold.name == "balanced"


def test_without_a_measured_threshold_nothing_can_be_said():
    worded = report(finding(0.1, 0.87, 0.03), FITTED)
    assert (worded.verdict, worded.reason) == ("cannot_say", words.REASONS["no_threshold"])
    assert words.MEANING_NO_THRESHOLD in worded.meaning


def test_a_refused_picture_is_worded_on_demand_and_a_synthetic_one_at_once():
    refused = finding(0.1, 0.87, 0.03, codes=["not_ultrasound"])
    assert report(refused, POINT).warnings[0].code == "not_ultrasound"
    insisted = report(refused, POINT, insisted=True)
    assert insisted.verdict == "suspicious" and words.INSISTED in insisted.facts
    synthetic = report(refused, POINT, synthetic=True)
    assert synthetic.notes == (words.SYNTHETIC,) and words.SYNTHETIC_NOTE in synthetic.meaning
    forgotten = Finding({}, 0, refused.warnings, refused=True)  # a record that did not keep what the network said
    assert report(forgotten, POINT, insisted=True).verdict == "not_judged"


def test_class_and_bars_are_muted_when_outline_and_class_contradict_each_other():
    assert report(finding(0.02, 0.03, 0.95, 1), POINT).muted and report(finding(0.95, 0.03, 0.02, 0), POINT).muted
    assert not report(finding(0.02, 0.03, 0.95, 0), POINT).muted and not report(finding(0.9, 0.05, 0.05), POINT).muted
    assert "muted" in as_html("result", report=report(finding(0.02, 0.03, 0.95, 1), POINT), said="")


def test_several_possible_classes_leave_the_class_open():
    worded = report(finding(0.4, 0.55, 0.05), POINT)
    assert worded.open and worded.class_line == "Class open: malignant or benign"
    assert "84 % (95 % interval 73 % to 91 %, n = 61)" in " ".join(worded.meaning)
    assert report(finding(0.1, 0.87, 0.03), POINT).class_line == "Likeliest class: malignant, 87 %"
    assert report(finding(0.1, 0.87, 0.03, codes=["low_confidence"]), POINT).open


def test_warnings_come_in_order_of_weight_and_unknown_ones_keep_their_text():
    worded = report(finding(0.1, 0.87, 0.03, codes=["rescaled", "new_code", "marks", "heads_disagree"]), POINT)
    assert [w.code for w in worded.warnings] == ["heads_disagree", "marks", "rescaled", "new_code"]
    assert worded.warnings_line == "Outline and class disagree; 3 more"
    assert worded.warnings[-1].found == "It is new_code."


def test_every_warning_of_the_program_says_what_it_is_and_what_to_do():
    package = Path(busi_model.__file__).parent
    sources = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    codes = set(re.findall(r'\bNotice\(\s*"(\w+)"', sources))
    assert len(codes) > 15 and codes <= set(words.WARNINGS)
    for title, _, advice in words.WARNINGS.values():
        assert 0 < len(title.split()) <= 5 and advice.endswith(".")


@pytest.mark.parametrize(
    ("point", "expected", "absent"),
    [
        (OperatingPoint(), words.MEANING_NOT_FITTED, "Of 100 images"),
        (FITTED, "Of 100 images given a figure like this, about 87 should be malignant.", "held-out"),
        (
            OperatingPoint(fitted_on="x", reliability=(ReliabilityBin("malignant", 0.8, 0.9, RATE),)),
            "given 80 to 90 % for malignant, 84 % (95 % interval 73 % to 91 %, n = 61) were malignant.",
            "Of 100 images",
        ),
        (
            OperatingPoint(fitted_on="x", reliability=(ReliabilityBin("malignant", 0.9, 1.0, RATE),)),
            words.MEANING_UNOBSERVED,
            "84 %",
        ),
    ],
)
def test_the_figure_means_what_was_measured_and_no_more(point, expected, absent):
    said = " ".join(report(finding(0.1, 0.87, 0.03), point).meaning)
    assert expected in said and absent not in said


def test_the_meaning_says_the_side_of_the_threshold_and_its_rates():
    said = " ".join(report(finding(0.93, 0.05, 0.02), POINT, "sensitive").meaning)
    assert "is below the sensitive threshold, 10 %" in said and "does not rule malignancy out" in said
    assert "sensitivity 98 % (95 % interval 91 % to 100 %, n = 61)" in said


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.874, "87 %"), (0.996, "over 99 %"), (1.0, "over 99 %"), (0.004, "under 1 %"), (0.006, "1 %")],
)
def test_no_probability_is_called_certain(probability, text):
    assert percent(probability) == text


# Properties of every report

PROBABILITIES = st.tuples(*[st.floats(0.001, 1)] * 3).map(lambda p: tuple(x / sum(p) for x in p))
FINDINGS = st.builds(
    lambda p, n, codes: finding(*p, n, codes),
    PROBABILITIES,
    st.integers(0, 5),
    st.lists(st.sampled_from([*words.WARNINGS, "new_code"]), unique=True),
)
LIMITS = st.floats(0.01, 0.99)


def point_with(limit, conformal):
    return OperatingPoint(thresholds=(Threshold("balanced", limit, RATE, RATE),), conformal_probability=conformal)


@given(FINDINGS, LIMITS, st.floats(0.05, 1))
def test_a_class_that_reaches_the_threshold_is_never_ruled_out(found, limit, conformal):
    worded = report(found, point_with(limit, conformal), insisted=True)
    reached = found.class_probabilities["malignant"] >= limit
    assert (worded.verdict == "suspicious") == reached
    if reached:
        assert "below" not in " ".join((worded.reason, *worded.meaning))
    if worded.verdict in ("not_suspicious", "no_lesion"):  # nothing on the page may contradict it
        assert "malignant" not in worded.class_line


def visible(shown):
    """HTML -> what stands on the screen before anything is unfolded."""
    shown = re.sub(r"<(p|caption|thead)[^>]*\bunseen\b.*?</\1>", "", shown, flags=re.DOTALL)
    shown = re.sub(r"<details[^>]*><summary>(.*?)</summary>.*?</details>", r"\1 ", shown, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", shown)).replace("\xa0", " ")


def count_words(text):
    return len([part for part in text.split() if re.search(r"\w", part)])


@given(FINDINGS, LIMITS, st.floats(0.05, 1), st.booleans())
def test_few_words_are_visible_before_one_unfolds_more(found, limit, conformal, synthetic):
    worded = report(found, point_with(limit, conformal), insisted=True, synthetic=synthetic)
    shown = visible(as_html("result", report=worded, said=spoken(worded)))
    assert "What the figures mean" in shown
    assert count_words(shown) <= 41, shown  # the operating point's switch beside it has four


MASK = rectangle(120, 160, (20, 60, 30, 90), (80, 100, 100, 140), (100, 112, 20, 40), (5, 15, 5, 25))


@given(FINDINGS, LIMITS, st.sampled_from([None, (0.1, 0.2)]))
def test_the_text_for_a_report_has_at_most_60_words(found, limit, spacing):
    worded = report(found, point_with(limit, 0.3), synthetic=True)
    lesions = measure_lesions(MASK, spacing_mm=spacing)[: found.n_lesions]
    text = as_text(worded, lesions, "0.2.0", "ab" * 32)
    assert len(text.split()) <= 60, text
    assert text.startswith(f"{worded.headline}. ") and words.REPORT_USE in text


# One wording, five forms


@pytest.fixture
def prediction():
    gray = np.random.default_rng(0).integers(0, 255, (120, 160), dtype=np.uint8)
    probabilities = {"benign": 0.1, "malignant": 0.87, "normal": 0.03}
    warnings = (Notice("marks", "Calipers."), Notice("exif_turned", "The picture was turned."))
    logits = np.zeros(3, np.float32)
    mask = rectangle(120, 160, (20, 60, 30, 90), (80, 100, 100, 140))
    none = np.zeros_like(mask)
    return Prediction(Frame(gray, None, ()), probabilities, mask, mask * 1.0, logits, ("malignant",), none, warnings)


@pytest.fixture
def worded(prediction):
    return report(Finding.of(prediction, 2), POINT, "sensitive")


def pdf_of(worded, prediction, lesions, footer=("Made 2026-11-27.",), picture=None):
    picture = draw_overlay(prediction.frame.gray, prediction.mask) if picture is None else picture
    return as_pdf(worded, lengths.table(lesions), lengths.notes(lesions, None, False, POINT), footer, picture)


def test_page_session_text_json_and_pdf_say_the_same(worded, prediction):
    lesions = measure_lesions(prediction.mask)
    page = as_html("result", report=worded, said=spoken(worded))
    session = as_html("session", report=worded, whose="The model")
    pdf = pypdf.PdfReader(io.BytesIO(pdf_of(worded, prediction, lesions))).pages[0].extract_text()
    forms = {
        "page": visible(page),
        "session": visible(session),
        "text": as_text(worded, lesions, "0.2.0", "ab" * 32),
        "pdf": pdf,
        "json": " ".join(map(str, json.loads(as_json(worded, prediction, lesions, MODEL, {})).values())),
    }
    for form, said in forms.items():
        said = " ".join(said.split())
        for part in (worded.headline, worded.reason, worded.warnings[0].title):
            assert part in said, f"{part} is not in {form}: {said}"
    unfolded = html.unescape(page).replace("\xa0", " ")
    for sentence in (*worded.meaning, *(w.advice for w in worded.warnings)):
        assert sentence in unfolded and sentence in html.unescape(session).replace("\xa0", " ")
        assert " ".join(sentence.split()) in " ".join(pdf.split())


def test_words_of_others_are_escaped():
    found = Finding({"benign": 0.1, "malignant": 0.87, "normal": 0.03}, 1, (Notice("new_code", "<script>"),))
    for shown in (
        as_html("result", report=report(found, POINT), said=""),
        as_html("session", report=report(found, POINT), whose="The model"),
        as_html("message", heading="<script>", lines=["<b>"], kind="message"),
    ):
        assert "&lt;script&gt;" in shown and "<script>" not in shown and "<b><" not in shown


def test_json_holds_the_result_and_ties_it_to_the_pixels(worded, prediction):
    lesions = measure_lesions(prediction.mask, spacing_mm=(0.1, 0.2))
    content = json.loads(as_json(worded, prediction, lesions, MODEL, {"operating_point": None}))
    assert content["model"] == MODEL and content["verdict"] == "suspicious"
    assert content["class"] == "malignant" and content["class_probabilities"]["malignant"] == 0.87
    assert [warning["code"] for warning in content["warnings"]] == ["marks", "exif_turned"]
    assert content["warnings"][1]["found"] == "The picture was turned."
    assert (content["image"]["width_px"], content["image"]["height_px"]) == (160, 120)
    assert content["image"]["pixels_sha256"] == pixels_sha256(prediction.frame.gray)
    first, second = content["lesions"]
    assert (first["number"], first["area_px2"], first["taller_than_wide"]) == (1, 2400, False)
    assert first["area_mm2"] == pytest.approx(2400 * 0.02) and first["margin_px"] is None
    assert np.array(second["outline_xy"]).max(axis=0).tolist() == [139.5, 99.5]


def test_no_line_of_the_pdf_runs_into_the_margin(prediction, monkeypatch):
    """A bold headline is wider than its letters' number says."""
    ends = []

    def measured(figure, *arguments, **options):
        figure.canvas = FigureCanvasAgg(figure)
        ends.extend(text.get_window_extent().x1 / figure.bbox.width for text in figure.texts)

    monkeypatch.setattr(Figure, "savefig", measured)
    values = {"probability": "27 %", "name": "balanced", "limit": "34 %"}
    worded = report(finding(0.52, 0.27, 0.21), POINT)
    long = dataclasses.replace(worded, headline="Cannot say", reason=words.REASONS["open"].format(**values))
    pdf_of(long, prediction, [])
    assert max(ends) <= RIGHT + 0.005


def test_the_pdf_is_one_page_with_the_verdict_on_top_and_no_metadata(worded, prediction):
    lesions = measure_lesions(prediction.mask)
    data = pdf_of(worded, prediction, lesions)
    pdf = pypdf.PdfReader(io.BytesIO(data))
    assert len(pdf.pages) == 1 and not pdf.metadata and pdf.xmp_metadata is None
    assert b"matplotlib" not in data.lower() and b"/ID" not in data
    said = " ".join(pdf.pages[0].extract_text().split())
    order = [said.index(part) for part in (worded.headline, words.REPORT_USE, "Turned picture", "2400 px²")]
    assert order == sorted(order) and "Made 2026-11-27." in said
    assert "Dashed band" not in said  # nothing is described that is not drawn
    assert data == pdf_of(worded, prediction, lesions)  # no time hidden in it
    (image,) = [image.image for image in pdf.pages[0].images if image.image.mode == "RGB"]
    assert image.size[0] / image.size[1] == pytest.approx(160 / 120, rel=0.02)


def boxes_of(page):
    """Lines of text of a page: left, right (estimated), baseline and letters, in points."""
    found = []

    def visit(text, cm, tm, font, size):
        if text.strip():
            found.append((cm[4], cm[4] + 0.42 * abs(cm[0] or 1) * 8 * len(text.strip()), cm[5], text.strip()))

    page.extract_text(visitor_text=visit)
    return found


@pytest.mark.parametrize("n_lesions", [1, 3, 6])
@pytest.mark.parametrize("spacing", [None, (0.0512, 0.0498)])
def test_no_cell_of_the_pdf_lies_on_another(prediction, n_lesions, spacing, monkeypatch):
    mask = np.zeros((900, 1300), bool)
    for number in range(n_lesions):
        mask[50 + 130 * number : 160 + 130 * number, 100 : 1000 - 90 * number] = True
    lesions = measure_lesions(mask, spacing_mm=spacing)
    worded = report(finding(0.1, 0.87, 0.03, n_lesions), POINT)
    data = as_pdf(worded, lengths.table(lesions), (), ("End.",), np.zeros((300, 400, 3), np.uint8))
    drawn = []

    def measured(figure, *arguments, **options):  # the letters' true widths, bold or not
        figure.canvas = FigureCanvasAgg(figure)
        drawn.extend(text.get_window_extent() for text in figure.texts)
        points[0] = figure.dpi / 72

    points = [1.0]
    monkeypatch.setattr(Figure, "savefig", measured)
    as_pdf(worded, lengths.table(lesions), (), ("End.",), np.zeros((300, 400, 3), np.uint8))
    for box in drawn:
        for other in drawn:
            if other.x0 > box.x0 and box.y0 < other.y1 - 1 and other.y0 < box.y1 - 1:
                assert other.x0 - box.x1 > 4 * points[0], "a column nearly touches the next one"
    boxes = boxes_of(pypdf.PdfReader(io.BytesIO(data)).pages[0])
    assert len(boxes) > 8 * n_lesions
    for left, right, baseline, text in boxes:
        for other_left, _, other_baseline, other in boxes:
            if other_left > left and abs(baseline - other_baseline) < 4:
                assert right < other_left + 1, f"{text} reaches into {other}"
    for row in lengths.table(lesions)[1:] if n_lesions == 1 else ():
        cells = [baseline for _, _, baseline, text in boxes if text in row]
        assert len(cells) >= 2 and any(abs(cells[0] - other) < 0.1 for other in cells[1:]), row  # on one line
    lines = sorted({(round(left), round(baseline)) for left, _, baseline, _ in boxes})
    for (left, low), (other_left, high) in zip(lines, lines[1:], strict=False):
        assert left != other_left or high - low >= 4, "two lines lie on each other"


def test_a_long_report_still_fits_its_page(prediction):
    codes = list(words.WARNINGS)[2:]
    worded = report(finding(0.1, 0.87, 0.03, 30, codes), POINT)
    table = (("", *(f"Lesion {n}" for n in range(1, 7))), *((f"Row {n}", *["123 px"] * 6) for n in range(20)))
    notes = ("A long sentence about what the figure means and what it does not mean. " * 4,) * 4
    data = as_pdf(worded, table, notes, ("The last line of all.",), np.zeros((800, 300, 3), np.uint8))
    page = pypdf.PdfReader(io.BytesIO(data)).pages[0]
    heights = [baseline for _, _, baseline, _ in boxes_of(page)]
    assert len(heights) > 50 and min(heights) > 20  # points above the lower edge
    assert max(heights) < float(page.mediabox.height) - 20
    assert "The last line of all." in page.extract_text()


# Measurements


def text(shown):
    """HTML without its tags, and with plain blanks."""
    return html.unescape("".join(part.split(">", 1)[-1] for part in shown.split("<"))).replace("\xa0", " ")


def measured(lesions, spacing_mm=None, marked=False, point=FITTED):
    notes = lengths.notes(lesions, spacing_mm, marked, point)
    return text(as_html("measures", table=lengths.table(lesions), notes=notes))


def test_measurements_are_pixels_until_the_spacing_is_known():
    mask = rectangle(100, 140, (20, 60, 30, 110), (80, 90, 10, 15))
    lesions = measure_lesions(mask)
    shown = measured(lesions)
    assert "3200 px²" in shown and words.SPACING_NONE in shown and words.MARGIN_NONE in shown
    shown = measured(measure_lesions(mask, spacing_mm=(0.1, 0.2)), (0.1, 0.2))
    page = as_html("measures", table=lengths.table(lesions), notes=["."])
    assert "3200\u00a0px²" in page  # no line ends there
    assert "64.0 mm² (3200 px²)" in shown and "0.1 mm per pixel down, 0.2 mm across" in shown
    assert words.MEASURES_NOTE in shown
    header, *rows = lengths.table(lesions)
    assert header == ("", "Lesion 1", "Lesion 2") and {len(row) for row in rows} == {3}
    taller = dict((name, cells) for name, *cells in rows)[words.MEASURES_ROWS["taller"]]
    assert taller == [words.NO, words.YES]
    assert measured([]).strip() == "" and lengths.table([]) == ()
    assert words.MEASURES_NOTE_EDITED in lengths.notes(lesions, None, False, FITTED, edited=True)


# Descriptors


def described_scene(models_outline=True):
    """A wide lesion with a shadow, and below it a speck behind which nothing is seen, as they are described."""
    gray = np.full((300, 300), 120, np.uint8)
    mask = rectangle(300, 300, (60, 100, 80, 200), (290, 298, 20, 28))
    gray[100:, 80:200] = 50
    lesions = measure_lesions(mask)
    return lesions, [describe(gray, lesion, models_outline) for lesion in lesions]


def test_descriptors_stand_in_the_table_with_their_agreement():
    lesions, described = described_scene()
    rows = {name: cells for name, *cells in lengths.table(lesions, described)}
    assert rows[words.DESCRIPTOR_ROWS["posterior"]] == ["shadowing", words.DESCRIPTOR_NONE]
    assert rows[words.DESCRIPTOR_ROWS["orientation"]] == ["parallel", words.DESCRIPTOR_NONE]
    said = " ".join(lengths.notes(lesions, None, False, FITTED, described=described))
    assert "not a BI-RADS category" in said and words.DESCRIPTORS_NOTE_EDITED not in said
    found = AGREEMENT["posterior"]
    figures = f"kappa {found.kappa:.2f} ({found.low:.2f} to {found.high:.2f}, n = {found.n})"
    assert f"{figures} with the radiologists of BrEaST" in said
    folded = as_html("measures", table=lengths.table(lesions, described), notes=["First.", said])
    assert "kappa" in folded and "kappa" not in visible(folded)


def test_an_edited_outline_gets_no_word_that_was_fitted_to_the_networks():
    lesions, described = described_scene(models_outline=False)
    names = [name for name, *_ in lengths.table(lesions, described)]
    assert words.DESCRIPTOR_ROWS["orientation"] in names
    assert not {words.DESCRIPTOR_ROWS["shape"], words.DESCRIPTOR_ROWS["posterior"]} & set(names)
    said = " ".join(lengths.notes(lesions, None, False, FITTED, edited=True, described=described))
    assert words.DESCRIPTORS_NOTE_EDITED in said and "Shape: kappa" not in said


def test_json_and_pdf_hold_the_descriptors(worded, prediction):
    lesions, described = described_scene()
    first, second = json.loads(as_json(worded, prediction, lesions, MODEL, {}, described))["lesions"]
    assert first["descriptors"]["posterior"] == pytest.approx(50 / 120, abs=0.01)
    assert first["descriptors"]["posterior_word"] == "posterior shadowing"
    assert second["descriptors"]["posterior"] is None and second["descriptors"]["posterior_word"] is None
    notes = lengths.notes(lesions, None, False, FITTED, described=described)
    data = as_pdf(worded, lengths.table(lesions, described), notes, (), np.zeros((300, 400, 3), np.uint8))
    said = " ".join(pypdf.PdfReader(io.BytesIO(data)).pages[0].extract_text().split())
    assert "shadowing" in said and words.DESCRIPTORS_NOTE in said


def test_every_word_of_a_descriptor_is_in_the_catalogue():
    source = Path(describe.__code__.co_filename).read_text(encoding="utf-8")
    said = set(re.findall(r'word = "([^"]+)"|"([a-z ]+)" if ratio|else "([a-z ]+)"', source))
    assert {word for found in said for word in found if word} == set(words.DESCRIPTOR_WORDS)
    assert {word for pair in DESCRIPTOR_WORDS.values() for word in pair} == set(words.DESCRIPTOR_WORDS)  # readers' too
    assert set(words.DESCRIPTOR_ROWS) == set(words.DESCRIPTOR_AGAINST) == set(AGREEMENT)


# Margins


def test_the_margin_is_said_with_how_often_it_held():
    mask = rectangle(100, 140, (20, 60, 30, 110))
    band = rectangle(100, 140, (16, 64, 26, 114)) & ~rectangle(100, 140, (24, 56, 34, 106))
    point = OperatingPoint(margin_coverage=RATE)
    shown = measured(measure_lesions(mask, band), point=point)
    assert "± 4." in shown and "84 % (95 % interval 73 % to 91 %, n = 61)" in shown
    assert "no measurement" not in shown


def test_a_contour_that_may_lie_anywhere_is_said_to_be_no_measurement():
    mask = rectangle(400, 400, (150, 250, 122, 278))  # 156 px across
    band = rectangle(400, 400, (33, 367, 5, 395)) & ~mask
    (lesion,) = measure_lesions(mask, band)
    assert lesion.margin_px > 100 and not lesion.is_measured
    shown = measured([lesion])
    assert "px: no measurement" in shown and words.NO_MEASUREMENT_NOTE in shown
    worded = report(finding(0.1, 0.87, 0.03), POINT)
    assert words.TEXT_NO_MEASUREMENT.format(number=1) in as_text(worded, [lesion], "0.2.0", "ab" * 32)
