"""Figures as pictures: what an evaluation found, and how a training went."""

import matplotlib

matplotlib.use("Agg")  # no screen is needed, and none may be there

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from sklearn.metrics import roc_curve

from busi_model.names import CLASS_NAMES
from busi_model.training import metrics


def plot_evaluation(table: pd.DataFrame, content: dict, folder) -> None:
    """Confusion matrix, ROC, reliability, risk-coverage and Dice as PNGs into a folder. content: of metrics.json."""
    labels = table["class_name"].map(CLASS_NAMES.index).to_numpy()
    with plt.rc_context({"figure.figsize": (5, 4.2), "figure.dpi": 120, "savefig.bbox": "tight"}):
        sns.heatmap(
            content["confusion_matrix"],
            annot=True,
            fmt="d",
            cmap="Blues",
            cbar=False,
            xticklabels=CLASS_NAMES,
            yticklabels=CLASS_NAMES,
        )
        _finish(folder / "confusion.png", "said", "truth")
        for i, name in enumerate(CLASS_NAMES):
            auc = content["figures"][f"auc_{name}"]["value"]
            if not np.isnan(auc):
                plt.plot(*roc_curve(labels == i, table[f"p_{name}"])[:2], label=f"{name}, AUC {auc:.3f}")
        plt.plot([0, 1], [0, 1], "k:", linewidth=0.8)
        plt.legend(loc="lower right")
        _finish(folder / "roc.png", "1 - specificity", "sensitivity")
        bins = content["reliability"]
        plt.plot([0, 1], [0, 1], "k:", linewidth=0.8)
        plt.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], "o-")
        for b in bins:
            plt.annotate(
                f"n={b['n']}",
                (b["confidence"], b["accuracy"]),
                (4, -10),
                textcoords="offset points",
                fontsize=7,
            )
        _finish(folder / "reliability.png", "confidence", "share correct")
        lesions = table[table["class_name"] != "normal"]
        _plot_risk(table)
        _finish(folder / "risk_coverage.png", "share of cases kept, surest first", "share of wrong classes among them")
        sns.histplot(lesions, x="dice", hue="class_name", bins=np.linspace(0, 1, 21), multiple="stack")
        _finish(folder / "dice.png", "Dice", "lesion images")


def _plot_risk(table):
    """Risk-coverage curve (El-Yaniv & Wiener, JMLR 2010)."""
    order = table[metrics.PROBABILITY_COLUMNS].max(axis=1).sort_values(ascending=False).index
    wrong = (table["predicted"] != table["class_name"]).loc[order].to_numpy()
    kept = np.arange(1, len(wrong) + 1)
    plt.plot(kept / len(wrong), wrong.cumsum() / kept)
    plt.ylim(bottom=0)


def _finish(path, xlabel, ylabel):
    plt.xlabel(xlabel)
    plt.ylabel(ylabel)
    plt.savefig(path)
    plt.close()


def plot_history(history: list[dict], path) -> None:
    """Training curves as PNG: losses, and validation figures where there are any."""
    table = pd.DataFrame(history)
    with plt.rc_context({"figure.dpi": 120, "savefig.bbox": "tight"}):
        figure, axes = plt.subplots(1, 2, figsize=(10, 4))
        for axis, prefix in zip(axes, ("train_", "val_"), strict=True):
            for name in (c for c in table if c.startswith(prefix)):
                axis.plot(table["epoch"], table[name], label=name.removeprefix(prefix))
            axis.set_xlabel("epoch")
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.set_title("training losses" if prefix == "train_" else "validation, averaged weights")
            if axis.lines:
                axis.legend()
        figure.savefig(path)
        plt.close(figure)
