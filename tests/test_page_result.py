"""The words of a result: what is said first, what is admitted, and that nothing foreign becomes HTML."""

import html
from types import SimpleNamespace

import numpy as np
import pytest

from busi_model.checkpoint import Checkpoint
from busi_model.clinic.measure import measure_lesions
from busi_model.clinic.view import encode_png
from busi_model.image import Frame, Notice
from busi_model.network import CLASS_NAMES
from busi_model.operating_point import OperatingPoint, Rate, ReliabilityBin, Threshold
from busi_model.page import about, measurements, plots, result, strings
from busi_model.predict import Prediction
from busi_model.preprocess import Preprocess
from tests.test_view import rectangle

RATE = Rate(0.84, 0.73, 0.91, 61)
FITTED = OperatingPoint(fitted_on="90 test images")


def prediction(probabilities=(0.1, 0.87, 0.03), class_set=("malignant",), warnings=()):
    frame = Frame(np.zeros((100, 140), np.uint8), None, ())
    mask = rectangle(100, 140, (20, 60, 30, 110))
    probabilities = dict(zip(CLASS_NAMES, probabilities, strict=True))
    logits = np.zeros(3, np.float32)
    return Prediction(frame, probabilities, mask, mask * 1.0, logits, class_set, mask & False, tuple(warnings))


def text(shown):
    """HTML without its tags, and with plain blanks."""
    return html.unescape("".join(part.split(">", 1)[-1] for part in shown.split("<"))).replace("\xa0", " ")


def test_words_of_others_are_escaped():
    warnings = [Notice("colour", "Close <b>classes</b>."), Notice("new_code", "<script>")]
    shown = result.result_html(prediction(warnings=warnings), FITTED, None, 1, False)
    assert "Close &lt;b&gt;classes&lt;/b&gt;." in shown and "&lt;script&gt;" in shown and "<script>" not in shown
    assert "<b>Colour in the picture.</b>" in shown and strings.WARNINGS["colour"][1] in shown


def test_a_class_set_of_two_is_an_explicit_uncertainty():
    point = OperatingPoint(fitted_on="90 test images", conformal_coverage=RATE)
    open_case = prediction((0.4, 0.55, 0.05), ("malignant", "benign"))
    assert result.is_uncertain(open_case) and not result.is_uncertain(prediction())
    shown = text(result.result_html(open_case, point, None, 1, False))
    assert "Uncertain: malignant or benign" in shown
    assert "Likeliest is a malignant pattern, 55 %" in shown
    assert "84 % (95 % interval 73 % to 91 %, n = 61)" in shown


def test_low_confidence_is_uncertain_too():
    doubtful = prediction((0.45, 0.5, 0.05), warnings=[Notice("low_confidence", "Close.")])
    assert result.headline(doubtful) == "Uncertain. Likeliest is a malignant pattern, 50 %"


@pytest.mark.parametrize(
    ("point", "expected", "absent"),
    [
        (OperatingPoint(), strings.MEANING_NOT_FITTED, "Of 100 images"),
        (FITTED, "Of 100 images given a figure like this, about 87 should be malignant.", "held-out"),
        (
            OperatingPoint(fitted_on="x", reliability=(ReliabilityBin("malignant", 0.8, 0.9, RATE),)),
            "given 80 to 90 % for malignant, 84 % (95 % interval 73 % to 91 %, n = 61) were malignant.",
            "Of 100 images",
        ),
        (
            OperatingPoint(fitted_on="x", reliability=(ReliabilityBin("malignant", 0.9, 1.0, RATE),)),
            strings.MEANING_UNOBSERVED,
            "84 %",
        ),
    ],
)
def test_the_figure_means_what_was_measured_and_no_more(point, expected, absent):
    said = " ".join(result.meaning_sentences(prediction(), point))
    assert expected in said and absent not in said


def test_the_operating_point_says_its_side_and_its_rates():
    point = Threshold("sensitive", 0.2, Rate(0.98, 0.91, 1.0, 61), Rate(0.55, 0.48, 0.62, 200))
    verdict, rates = result.operating_sentences(prediction((0.8, 0.15, 0.05), ("benign",)), point)
    assert verdict.startswith("Not suspicious") and "15 %" in verdict and "does not rule malignancy out" in verdict
    assert "sensitivity 98 % (95 % interval 91 % to 100 %, n = 61)" in rates
    assert result.operating_sentences(prediction((0.7, 0.2, 0.1)), point)[0].startswith("Suspicious")  # reached
    assert result.operating_sentences(prediction(), None) == [strings.OPERATING_NONE]


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.874, "87 %"), (0.996, "over 99 %"), (1.0, "over 99 %"), (0.004, "under 1 %"), (0.006, "1 %")],
)
def test_no_probability_is_called_certain(probability, text):
    assert result.percent(probability) == text


def test_every_state_begins_with_the_sentence_for_screen_readers():
    refused = prediction(warnings=[Notice("blank", "Nothing is on it.")])
    states = {
        result.waiting_html(): strings.WAITING_HEADING,
        result.busy_html(strings.ANALYSING): strings.ANALYSING,
        result.refused_html(refused): "Nothing is on it.",
        result.result_html(prediction(), FITTED, None, 1, False): "Malignant pattern, 87 %. One region is outlined.",
    }
    for shown, said in states.items():
        first = shown.split("</p>")[0]
        assert first.startswith("<section") and 'role="status">' in first and said in first


def test_every_warning_of_the_program_says_what_to_do():
    for title, advice in strings.WARNINGS.values():
        assert title and advice.endswith(".")


def test_measurements_are_pixels_until_the_spacing_is_known():
    mask = rectangle(100, 140, (20, 60, 30, 110), (80, 90, 10, 15))
    lesions = measure_lesions(mask)
    shown = text(measurements.measurements_html(lesions, None, False, FITTED))
    assert "3200 px²" in shown and strings.SPACING_NONE in shown and strings.MARGIN_NONE in shown
    spaced = measure_lesions(mask, spacing_mm=(0.1, 0.2))
    shown = text(measurements.measurements_html(spaced, (0.1, 0.2), False, FITTED))
    assert "64.0 mm² (3200 px²)" in shown and "0.1 mm per pixel down, 0.2 mm across" in shown
    header, first, second = measurements.table(lesions)
    assert len(header) == len(first) == len(second) and (first[0], second[0]) == ("1", "2")
    assert (first[4], second[4]) == (strings.NO, strings.YES)  # taller than wide
    assert measurements.measurements_html([], None, False, FITTED) == "" and measurements.table([]) == ()


def test_the_margin_is_said_with_how_often_it_held():
    mask = rectangle(100, 140, (20, 60, 30, 110))
    band = rectangle(100, 140, (16, 64, 26, 114)) & ~rectangle(100, 140, (24, 56, 34, 106))
    point = OperatingPoint(margin_coverage=RATE)
    shown = text(measurements.measurements_html(measure_lesions(mask, band), None, False, point))
    assert "± 4." in shown and "84 % (95 % interval 73 % to 91 %, n = 61)" in shown


# About this model

CONTENT = {
    "title": "Hospital <A>",
    "n_images": 60,
    "n_groups": 50,
    "n_by_class": {"benign": 30, "malignant": 20, "normal": 10},
    "weights_sha256": "ab",
    "figures": {
        "dice_mean": {"value": 0.8123, "low": 0.7, "high": 0.9},
        "hd95_median_px": {"value": 12.34, "low": None, "high": None},
        "accuracy": {"value": None, "low": None, "high": None},
    },
    "confusion_matrix": [[27, 2, 1], [4, 16, 0], [2, 0, 8]],
    "reliability": [{"low": 0.8, "high": 0.9, "n": 25, "confidence": 0.85, "accuracy": 0.8}],
}


def about_of(point=OperatingPoint(), figures=None):  # noqa: B008 (frozen)
    network = SimpleNamespace(arguments={"encoder": "lite0"})
    return about.about_html(Checkpoint(network, Preprocess(), point, {"recipe": {"epochs": 3}}, figures or {}, "ab"))


def test_about_shows_figures_intervals_and_what_is_missing():
    shown = about_of(figures={"A": CONTENT})
    said = text(shown)
    assert "Hospital &lt;A&gt;" in shown and "<A>" not in shown
    assert "0.812" in said and "0.700 to 0.900" in said and "12.3" in said
    assert strings.ABOUT_FIGURE_NAMES["accuracy"] not in said  # undefined, so not shown
    assert strings.ABOUT_SAME_WEIGHTS in said and "<svg" in shown
    others = {**CONTENT, "weights_sha256": "cd"}
    assert strings.ABOUT_SAME_RECIPE in about_of(figures={"A": {**others, "recipe": {"epochs": 3}}})
    assert strings.ABOUT_OTHER_RECIPE in about_of(figures={"A": {**others, "recipe": {"epochs": 4}}})
    assert strings.ABOUT_NOT_MEASURED in about_of() and strings.OPERATING_NONE in about_of()


def test_about_shows_the_operating_points():
    point = OperatingPoint(
        thresholds=(Threshold("balanced", 0.4, RATE, Rate(0.5, 0.4, 0.6, 10)),),
        reliability=(ReliabilityBin("malignant", 0.8, 0.9, RATE),),
        conformal_probability=0.2,
        conformal_coverage=Rate(0.91, 0.85, 0.95, 120),
        fitted_on="90 test images",
    )
    said = text(about_of(point))
    for expected in ("balanced", "40 %", "84 % (95 %", "50 % (95 %", "80-90 %", "91 % (95 %", "90 test images"):
        assert expected in said


def test_the_reliability_plot_puts_its_dots_where_the_table_says():
    svg = plots.reliability_svg([{"n": 4, "confidence": 0.0, "accuracy": 1.0}, CONTENT["reliability"][0]], "A")
    assert f'cx="{plots.EDGE:.1f}" cy="8.0"' in svg  # no confidence, always right: the upper left corner
    assert svg.count("<circle") == 2 and 'role="img"' in svg


def test_a_confusion_cell_is_shaded_by_its_share_of_the_truth():
    shown = plots.confusion_table([[3, 1], [0, 0]], ["a", "b"])
    assert '--share:0.75">3<' in shown and '--share:0.25">1<' in shown and shown.count('--share:0.00">0<') == 2


def test_limits_come_from_the_card(tmp_path):
    card = tmp_path / "README.md"
    limits = "## Intended and unintended use\nResearch.\n## Limits\n- Few."
    card.write_text(f"---\na: b\n---\n# Card\n## Figures\n0.9\n{limits}\n## Data\nX\n")
    assert about.limits(card) == limits


def test_the_model_card_shows_pictures_of_its_own_folder_only(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "roc.png").write_bytes(encode_png(np.zeros((8, 8), np.uint8)))
    (tmp_path / "outside.png").write_bytes(encode_png(np.zeros((8, 8), np.uint8)))
    card = folder / "README.md"
    card.write_text(
        "---\nlicense: apache-2.0\n---\n# Card\n![ROC curve](roc.png)\nmiddle\n"
        "![x](../outside.png)\n![badge](https://example.org/badge.svg)\nend\n"
    )
    assert about.card_parts(card) == [
        ("# Card", "ROC curve", folder.resolve() / "roc.png"),
        ("middle", "x", None),
        ("", "badge", None),
        ("end", "", None),
    ]
