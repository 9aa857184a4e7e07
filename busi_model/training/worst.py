"""A sheet of the cases that went worst: the lesions outlined worst and the wrong classes said most surely.

Enters: the table of `evaluate_cases`, and how to judge a case again. Leaves: one PNG in the run folder. It shows
patients' pictures: keep it where the data are, never in a repository, a card or a report that travels.
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from busi_model.files import written_whole
from busi_model.training import metrics
from busi_model.training.plots import STYLE

NAME = "worst.png"
A_KIND = 8  # cases of each kind
COLUMNS = 4
TRUTH, FOUND = "#00d5ff", "#ffdd33"  # cyan and yellow: both stand out of gray, and from each other to every eye


def worst_cases(table: pd.DataFrame, most: int = A_KIND) -> dict[str, pd.DataFrame]:
    """Kind in words -> its rows of the table, the worst first; a kind without cases is left out."""
    lesions = table[table["class_name"] != "normal"].sort_values("dice")
    surest = table[metrics.PROBABILITY_COLUMNS].max(axis=1)
    wrong = table.assign(sure=surest)[table["predicted"] != table["class_name"]].sort_values("sure", ascending=False)
    kinds = {"lowest Dice": lesions.head(most), "surest of a wrong class": wrong.head(most)}
    return {kind: rows for kind, rows in kinds.items() if len(rows)}


def write_worst(table: pd.DataFrame, judge: Callable[[str], tuple], path, title: str) -> None:
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


def _places(axes, kinds):
    """Each kind begins on a row of its own."""
    top = 0
    for rows in kinds.values():
        yield from axes[top:].flat[: len(rows)]
        top += -(-len(rows) // COLUMNS)


def _draw(axis, gray, truth, found):
    axis.imshow(gray, cmap="gray", vmin=0, vmax=255)
    for mask, colour, line in ((truth, TRUTH, "dashed"), (found, FOUND, "solid")):
        if mask.any() and not mask.all():
            axis.contour(mask, levels=[0.5], colors=colour, linestyles=line, linewidths=1)
