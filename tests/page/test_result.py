"""The result card's states, and what the page says of the model."""

import html
from types import SimpleNamespace

import numpy as np

from busi_model.clinic import words
from busi_model.clinic.report import Finding, report
from busi_model.clinic.view import encode_png
from busi_model.image import Notice
from busi_model.model.checkpoint import Checkpoint
from busi_model.model.operating_point import OperatingPoint, Rate, ReliabilityBin, Threshold
from busi_model.model.preprocess import Preprocess
from busi_model.page import plots, strings
from busi_model.page.about import panel as about
from busi_model.page.images import result
from busi_model.page.images.layout import EXAMPLE_SEED
from busi_model.page.viewer.component import packed
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor

RATE = Rate(0.84, 0.73, 0.91, 61)
POINT = OperatingPoint(thresholds=(Threshold("balanced", 0.4, RATE, RATE),))


def text(shown):
    """HTML without its tags, and with plain blanks."""
    return html.unescape("".join(part.split(">", 1)[-1] for part in shown.split("<"))).replace("\xa0", " ")


def test_every_state_begins_with_the_sentence_for_screen_readers():
    probabilities = {"benign": 0.1, "malignant": 0.87, "normal": 0.03}
    refused = Finding(probabilities, 1, (Notice("blank", "Nothing is on it."),), refused=True)
    states = {
        result.waiting_html(): strings.WAITING_HEADING,
        result.busy_html(strings.ANALYSING): strings.ANALYSING,
        result.result_html(report(refused, POINT)): f"{words.VERDICTS['not_judged']}. {words.REASONS['blank']}",
        result.result_html(report(Finding(probabilities, 1), POINT)): "Suspicious of malignancy. Malignant 87",
    }
    for shown, said in states.items():
        first = shown.split("</p>")[0]
        assert first.startswith("<section") and 'role="status">' in first and said in first


def test_the_first_screen_s_examples_are_judged_by_the_shipped_weights_as_their_buttons_say(shipped):
    predictor = Predictor.load(shipped)
    for class_name in strings.EXAMPLE_BUTTONS:
        prediction = predictor(draw_phantom(class_name, EXAMPLE_SEED)[0])
        assert not prediction.refused and prediction.label == class_name
        assert prediction.mask.any() == (class_name != "normal")


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
    assert strings.ABOUT_NOT_MEASURED in about_of() and words.MEANING_NO_THRESHOLD in about_of()


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


def test_each_scene_that_travels_is_newer_than_the_one_before():
    """An empty one, too: the viewer drops what is older than what it shows."""
    made = [packed(result.empty_data(1))["made"] for _ in range(3)]
    assert made == sorted(set(made))
