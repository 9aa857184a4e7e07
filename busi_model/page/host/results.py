"""A session's figures on the host's page: four numbers and one plot; folded under them tables, plots and comments.

Enters: the tables of `reading.analysis.results`. Leaves: HTML; plots are PNG inside it: nothing has an address of its
own.
"""

import base64
import html
import io
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # not pyplot: its figures belong to one thread

from busi_model.page import strings
from busi_model.reading.analysis import results
from busi_model.reading.storage.store import Store

OWN, FINAL, MODEL = "#64748b", "#0f766e", "#b45309"  # colours of the own read, the final read and the model
MIN_POSITIONS = 2  # a curve needs two points


def results_html(store: Store, session_id: str) -> str:
    """Everything that is known of a session so far. Raises StoreError."""
    table = results.readings(store, session_id)
    if table.empty:
        return f"<p>{html.escape(strings.RESULTS_NONE)}</p>"
    first = _accuracy if table["truth"].notna().any() else _confidence
    rest = [axes for axes in (_confidence, _time) if axes is not first]
    parts = [plot_html(table, rest, strings.RESULTS_PLOTS_ALT), table_html(_figures(table), strings.RESULTS_TABLE)]
    answers = results.usability(store, session_id)
    if len(answers):
        parts.append(table_html(answers, strings.RESULTS_SUS))
    spoken = table.loc[table["comment"].fillna("") != "", ["reader", "case", "comment"]]
    if len(spoken):
        parts.append(table_html(spoken, strings.RESULTS_COMMENTS))
    more = f"<details><summary>{html.escape(strings.RESULTS_MORE)}</summary>{''.join(parts)}</details>"
    return numbers_html(table) + plot_html(table, [first], strings.RESULTS_PLOT_ALT) + more


def numbers_html(table: pd.DataFrame) -> str:
    """Readings, right before and after the model where the truth is known, and how often it changed the class."""
    known, both = table[table["truth"].notna()], table[table["own_class"].notna()]
    own = known[known["own_class"].notna()]
    numbers = [
        (str(len(table)), strings.RESULTS_N_READINGS.format(n_readers=table["reader"].nunique())),
        (_percent(own["own_class"] == own["truth"]), strings.RESULTS_OWN_RIGHT),
        (_percent(known["final_class"] == known["truth"]), strings.RESULTS_FINAL_RIGHT),
        (_percent(both["own_class"] != both["final_class"]), strings.RESULTS_CHANGED),
    ]
    items = "".join(f"<li><strong>{number}</strong> {html.escape(words)}</li>" for number, words in numbers)
    return f'<ul class="numbers">{items}</ul>'


def _percent(hits: pd.Series) -> str:
    return "–" if hits.empty else f"{100 * hits.mean():.0f}\u00a0%"


def _figures(table: pd.DataFrame) -> pd.DataFrame:
    """The summary in reading order, its intervals joined to one column."""
    summary = results.summarise(table)
    interval = [
        "" if pd.isna(low) else f"{_figure(low)} to {_figure(high)}"
        for low, high in zip(summary["low"], summary["high"], strict=True)
    ]
    shown = summary.assign(interval=interval)[["scope", "measure", "value", "interval", "n", "note"]]
    return shown.rename(columns=dict(zip(shown.columns, strings.RESULTS_COLUMNS, strict=True)))


def table_html(table: pd.DataFrame, caption: str) -> str:
    """Any table; every cell is escaped, undefined is a dash."""
    head = "".join(f'<th scope="col">{html.escape(str(name))}</th>' for name in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(cell))}</td>" for cell in row) + "</tr>"
        for row in table.itertuples(index=False)
    )
    return (
        f'<div class="figures"><table><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cell(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    return "–" if pd.isna(cell) else _figure(cell)


def _figure(value: Any) -> str:
    return str(value) if isinstance(value, Integral) else f"{value:.3g}"


def plot_html(table: pd.DataFrame, plots: Sequence[Callable[[Axes, pd.DataFrame], None]], alt: str) -> str:
    """Plots side by side as one picture. plots: functions that draw the table on axes. alt: what is to be seen."""
    figure = Figure(figsize=(5.5 * len(plots), 3.4), layout="constrained")
    for axes, draw in zip(figure.subplots(1, len(plots), squeeze=False)[0], plots, strict=True):
        draw(axes, table)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    png = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img class="plots" alt="{html.escape(alt)}" src="data:image/png;base64,{png}">'


def _accuracy(axes: Axes, table: pd.DataFrame) -> None:
    """Share of right classes of each reader, own read and final read, and of the model on the same cases."""
    known = table[table["truth"].notna()]
    axes.set_title(strings.PLOT_ACCURACY)
    axes.set_ylim(0, 1.02)
    readers = list(dict.fromkeys(known["reader"]))
    for beside, (column, colour, words) in zip(
        (-0.12, 0, 0.12),  # equal shares stand side by side: none hides another
        (
            ("own_class", OWN, strings.PLOT_OWN),
            ("final_class", FINAL, strings.PLOT_FINAL),
            ("model_class", MODEL, strings.PLOT_MODEL),
        ),
        strict=True,
    ):
        given = known[known[column].notna()]
        share = (given[column] == given["truth"]).groupby(given["reader"]).mean().reindex(readers)
        axes.plot([place + beside for place in range(len(readers))], share, "o", color=colour, label=words)
    axes.set_xticks(range(len(readers)), readers, rotation=20, ha="right", parse_math=False)
    axes.set_xlim(-0.5, max(len(readers), 1) - 0.5)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))  # beside the plot, where no share can lie under it


def _confidence(axes: Axes, table: pd.DataFrame) -> None:
    """One point a reading: confidence before and after; above the line it rose."""
    axes.set_title(strings.PLOT_CONFIDENCE)
    both = table.dropna(subset=["own_confidence", "final_confidence"])
    axes.plot([0, 100], [0, 100], color="#cbd5e1", linewidth=1)
    axes.plot(both["own_confidence"], both["final_confidence"], "o", color=FINAL, alpha=0.5)
    axes.set_xlabel(strings.PLOT_OWN)
    axes.set_ylabel(strings.PLOT_FINAL)


def _time(axes: Axes, table: pd.DataFrame) -> None:
    """Median seconds a case, in the order in which the readers met the cases."""
    curve = results.learning_curve(table)
    axes.set_title(strings.PLOT_TIME)
    if curve["seconds"].isna().all():
        _say(axes, strings.PLOT_NO_TIME)
        return
    style = "-o" if len(curve) >= MIN_POSITIONS else "o"
    axes.plot(curve["position"], curve["seconds"], style, color=FINAL)
    axes.set_xlabel(strings.PLOT_POSITION)
    axes.set_ylim(bottom=0)


def _say(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])
