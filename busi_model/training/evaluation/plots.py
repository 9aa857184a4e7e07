"""Figures as pictures: what an evaluation found, how a training went, and a sheet of the cases that went worst.

The sheet shows patients' pictures: keep it where the data are, never in a repository, a card or a report that travels.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no screen is needed, and none may be there

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from sklearn.metrics import roc_curve

from busi_model.files import written_whole
from busi_model.names import CLASS_NAMES
from busi_model.training.evaluation import metrics

WORST_NAME = "worst.png"
A_KIND = 8  # cases of each kind on that sheet
COLUMNS = 4
TRUTH, FOUND = "#00d5ff", "#ffdd33"  # cyan and yellow: both stand out of gray, and from each other to every eye
STYLE: dict[Any, Any] = {"figure.dpi": 120, "savefig.bbox": "tight", "axes.titlesize": "medium"}


def plot_evaluation(table: pd.DataFrame, content: dict, folder: Path | str) -> None:
    """Confusion matrix, ROC, reliability, risk-coverage and Dice as PNGs into a folder, each with its title and n; of
    whatever classes the table holds. content: of metrics.json."""
    folder, labels = Path(folder), table["class_name"].map(CLASS_NAMES.index).to_numpy()
    of = f"{content['title']}\n{len(table)} images"
    with plt.rc_context(STYLE | {"figure.figsize": (5, 4.2)}):
        n_of = [f"{name}\nn={content['n_by_class'][name]}" for name in CLASS_NAMES]
        sns.heatmap(
            content["confusion_matrix"],
            annot=True,
            fmt="d",
            cmap="Blues",
            cbar=False,
            xticklabels=CLASS_NAMES,
            yticklabels=n_of,
        )
        _finish(folder / "confusion.png", "said", "truth", f"Classes: {of}")
        _plot_roc(table, labels, content["figures"])
        _finish(folder / "roc.png", "1 - specificity", "sensitivity", f"Each class against the rest: {of}")
        _plot_reliability(content["reliability"])
        _finish(folder / "reliability.png", "confidence", "share correct", f"Confidence: {of}")
        _plot_risk(table)
        words = "share of cases kept, surest first", "share of wrong classes among them"
        _finish(folder / "risk_coverage.png", *words, f"Referring the least certain: {of}")
        lesions = table[table["class_name"] != "normal"]
        _plot_dice(lesions)
        title = f"Outlines: {content['title']}\n{len(lesions)} lesion images"
        _finish(folder / "dice.png", "Dice", "lesion images", title)


def _plot_roc(table: pd.DataFrame, labels: np.ndarray, figures: dict) -> None:
    for i, name in enumerate(CLASS_NAMES):
        auc, n = figures[f"auc_{name}"]["value"], int((labels == i).sum())
        if not np.isnan(auc):
            label = f"{name} (n={n} of {len(labels)}), AUC {auc:.3f}"
            plt.plot(*roc_curve(labels == i, table[f"p_{name}"])[:2], label=label)
    plt.plot([0, 1], [0, 1], "k:", linewidth=0.8)
    if plt.gca().get_legend_handles_labels()[0]:
        plt.legend(loc="lower right")
    else:
        plt.text(0.5, 0.5, "all images are of one class: no curve", ha="center")


def _plot_reliability(bins: list[dict]) -> None:
    plt.plot([0, 1], [0, 1], "k:", linewidth=0.8)
    plt.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], "o-")
    for b in bins:
        place = (b["confidence"], b["accuracy"])
        plt.annotate(f"n={b['n']}", place, (4, -10), textcoords="offset points", fontsize=7)


def _plot_risk(table: pd.DataFrame) -> None:
    """Risk-coverage curve (El-Yaniv & Wiener, JMLR 2010)."""
    order = table[metrics.PROBABILITY_COLUMNS].max(axis=1).sort_values(ascending=False).index
    wrong = (table["predicted"] != table["class_name"]).loc[order].to_numpy()
    kept = np.arange(1, len(wrong) + 1)
    plt.plot(kept / len(wrong), wrong.cumsum() / kept)
    plt.ylim(bottom=0)


def _plot_dice(lesions: pd.DataFrame) -> None:
    if lesions.empty:
        plt.text(0.5, 0.5, "no image holds a lesion", ha="center")
        return
    named = {name: f"{name} (n={n})" for name, n in lesions["class_name"].value_counts(sort=False).items()}
    classes = lesions["class_name"].map(named).rename("class")
    sns.histplot(x=lesions["dice"], hue=classes, bins=np.linspace(0, 1, 21), multiple="stack")


def _finish(path: Path, xlabel: str, ylabel: str, title: str) -> None:
    plt.xlabel(xlabel)
    plt.ylabel(ylabel)
    plt.title(title)
    plt.savefig(path)
    plt.close()


def plot_history(history: list[dict], path: Path | str, n_training: int = 0, n_held_out: int = 0) -> None:
    """Training curves as PNG, whole or not at all: the losses in training and of held-out images, and figures of those
    where there are any. A row may lack what an older program did not compute. The numbers of images: for the titles."""
    table = pd.DataFrame(history)
    losses = [c for c in table if c.startswith(("train_", "val_loss_"))]
    figures = [c for c in table if c.startswith("val_") and c != "val_loss" and c not in losses]
    parts = list(dict.fromkeys(name.split("_")[-1] for name in losses))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(10, 4))
        for name in losses:
            part, held_out = name.split("_")[-1], name.startswith("val_")
            label, line = f"{part}, {'held out' if held_out else 'training'}", "--" if held_out else "-"
            axes[0].plot(table["epoch"], table[name], line, marker=".", color=f"C{parts.index(part)}", label=label)
        for name in figures:
            axes[1].plot(table["epoch"], table[name], marker=".", label=name.removeprefix("val_"))
        for axis in axes:
            axis.set_xlabel("epoch")
            axis.xaxis.get_major_locator().set_params(integer=True)
            if axis.lines:
                axis.legend(fontsize="small")
        axes[0].set_title("Losses" + _of_n(n_training, "training"))
        axes[1].set_title(f"Averaged weights{_of_n(n_held_out, 'held-out')}" if figures else "Nothing was held out")
        with written_whole(path) as temporary:
            figure.savefig(temporary, format="png")
        plt.close(figure)


def _of_n(n: int, kind: str) -> str:
    return f", n={n} {kind} images" if n else ""


def worst_cases(table: pd.DataFrame, most: int = A_KIND) -> dict[str, pd.DataFrame]:
    """Kind in words -> its rows of the table, the worst first; a kind without cases is left out."""
    lesions = table[table["class_name"] != "normal"].sort_values("dice")
    surest = table[metrics.PROBABILITY_COLUMNS].max(axis=1)
    wrong = table.assign(sure=surest)[table["predicted"] != table["class_name"]].sort_values("sure", ascending=False)
    kinds = {"lowest Dice": lesions.head(most), "surest of a wrong class": wrong.head(most)}
    return {kind: rows for kind, rows in kinds.items() if len(rows)}


def write_worst(table: pd.DataFrame, judge: Callable[[str], tuple], path: Path | str, title: str) -> None:
    """Draw them, whole or not at all; nothing is written where nothing went wrong.

    judge: case_id -> gray uint8 (H, W), truth bool (H, W), outlined bool (H, W). Raises OSError.
    """
    kinds = worst_cases(table)
    if not kinds:
        return
    cells = [(kind, row) for kind, rows in kinds.items() for _, row in rows.iterrows()]
    n_rows = sum(-(-len(rows) // COLUMNS) for rows in kinds.values())
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(n_rows, COLUMNS, figsize=(3 * COLUMNS, 3.2 * n_rows), squeeze=False)
        places = iter(_places(axes, kinds))
        for (kind, row), axis in zip(cells, places, strict=True):
            _draw(axis, *judge(row["case_id"]))
            said = f"{row['class_name']}, said {row['predicted']} {row[metrics.PROBABILITY_COLUMNS].max():.2f}"
            dice = "" if np.isnan(row["dice"]) else f", Dice {row['dice']:.2f}"
            axis.set_title(f"{kind}: {row['case_id']}\n{said}{dice}", fontsize=7)
        for axis in axes.flat:
            axis.axis("off")
        figure.suptitle(
            f"{title}: worst of {len(table)} images. Cyan, dashed: reference; yellow: the network's outline"
        )
        with written_whole(Path(path)) as temporary:
            figure.savefig(temporary, format="png")
        plt.close(figure)


def _places(axes: np.ndarray, kinds: dict[str, pd.DataFrame]) -> Iterator[Axes]:
    """Each kind begins on a row of its own."""
    top = 0
    for rows in kinds.values():
        yield from axes[top:].flat[: len(rows)]
        top += -(-len(rows) // COLUMNS)


def _draw(axis: Axes, gray: np.ndarray, truth: np.ndarray, found: np.ndarray) -> None:
    axis.imshow(gray, cmap="gray", vmin=0, vmax=255)
    for mask, colour, line in ((truth, TRUTH, "dashed"), (found, FOUND, "solid")):
        if mask.any() and not mask.all():
            axis.contour(mask, levels=[0.5], colors=colour, linestyles=line, linewidths=1)
