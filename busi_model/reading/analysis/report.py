"""A session as files to take away: tables as CSV and JSON lines, and a report in the order of DECIDE-AI.

Enters: the store. Leaves: readings.csv, readings.jsonl, summary.csv, report.md; with known truths the ratings for
iMRMC and MRMCaov, and study.csv where they suffice for it. Readers' words are shown as text only: no cell begins a
formula, no comment becomes Markdown or HTML.
"""

import csv
import html
import re
from pathlib import Path

import pandas as pd

from busi_model.files import without_formula
from busi_model.reading.analysis.figures import summarise
from busi_model.reading.analysis.reader_study import Block, crossed, imrmc_text, mrmcaov_table, study_table
from busi_model.reading.analysis.results import learning_curve, readings, usability
from busi_model.reading.errors import RecordError, StoreError
from busi_model.reading.storage.store import Store


def write_downloads(store: Store, session_id: str, folder: Path | str) -> list[Path]:
    """Write all files into a folder, made when absent; returns their paths."""
    folder = Path(folder)
    table = readings(store, session_id)
    known = table[table["truth"].notna()]
    writers = {
        "readings.csv": lambda path: write_csv(table, path),
        "readings.jsonl": lambda path: write_jsonl(table, path),
        "summary.csv": lambda path: write_csv(summarise(table), path),
        "report.md": lambda path: write_report(store, session_id, path),
    }
    if not no_study(table):
        writers["study.csv"] = lambda path: write_csv(study_table(known), path)
    if len(known):
        writers["ratings-mrmcaov.csv"] = lambda path: write_csv(mrmcaov_table(known), path)
        writers["ratings.imrmc"] = lambda path: path.write_text(imrmc_text(known), encoding="utf-8")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, write in writers.items():
            write(folder / name)
    except OSError as error:
        raise StoreError("files_not_written", reason=str(error.strerror)) from error
    return [folder / name for name in writers]


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """UTF-8 with a byte-order mark, so that a spreadsheet shows every alphabet; text that begins a formula gets a '."""
    escaped = table.map(without_formula)
    # All text in quotes: a bare carriage return would else begin a new row, and with it a cell.
    escaped.to_csv(path, index=False, encoding="utf-8-sig", quoting=csv.QUOTE_NONNUMERIC)


def write_jsonl(table: pd.DataFrame, path: Path) -> None:
    """One JSON object a line; undefined is null."""
    table.to_json(path, orient="records", lines=True, force_ascii=False)


def write_report(store: Store, session_id: str, path: Path | str) -> None:
    """Markdown with the sections of DECIDE-AI (Vasey et al., Nature Medicine 28 (2022) 924); see `_SECTIONS`.

    What a program cannot know (ethics, recruitment, intended use in the host's clinic) is left to the host, and named.
    """
    table = readings(store, session_id)
    with store.read() as connection:
        session = connection.execute("SELECT * FROM session WHERE id = ?", (session_id,)).fetchone()
        if session is None:
            raise RecordError("no_session")
        n_cases, n_known = connection.execute(
            "SELECT count(*), count(truth) FROM session_case WHERE session_id = ?", (session_id,)
        ).fetchone()
        people = pd.DataFrame(
            connection.execute(
                "SELECT pseudonym, role, years FROM reader WHERE session_id = ? AND pseudonym IS NOT NULL "
                "ORDER BY number",
                (session_id,),
            ).fetchall(),
            columns=["reader", "role", "years"],
        )
    finished = table.groupby("reader").size() if len(table) else pd.Series(dtype=int)
    people["cases finished"] = [f"{finished.get(name, 0)} of {n_cases}" for name in people["reader"]]
    sections = _SECTIONS.format(
        name=as_text(session["name"]),
        created=session["created_at"][:10],
        state=f"closed on {session['closed_at'][:10]}" if session["closed_at"] else "still open",
        n_cases=n_cases,
        n_known=n_known,
        order=_ORDER_WORDS.format(seed=session["seed"]),
        protocol=_READ_FIRST if session["read_first"] else _MODEL_AT_ONCE,
        people=_markdown_table(people),
        models=_markdown_table(_models(table)),
        figures=_markdown_table(summarise(table).round(3)),
        study=_study(table),
        curve=_markdown_table(learning_curve(table).round(3)),
        usability=_markdown_table(usability(store, session_id)),
        outlines=_markdown_table(_counts(table, "outline_verdict")),
        safety=_markdown_table(_worsened(table)),
        comments=_comments(table),
        host=_LEFT_TO_THE_HOST,
    )
    Path(path).write_text(sections, encoding="utf-8")


_READ_FIRST = (
    "For each case a reader gave class and confidence, which were locked; then the model's outline, class and "
    "probability were shown; then the reader gave the final class, confidence and a judgement of the outline."
)
_MODEL_AT_ONCE = "The model's outline, class and probability were shown with each case from the start; no own read."
_ORDER_WORDS = "Each reader saw the cases in an order of their own (shuffled, seed {seed})."
_LEFT_TO_THE_HOST = "Not recorded by the program: to be stated by the host."

_SECTIONS = """# Reading session: {name}

Made on {created}, {state}. Sections follow DECIDE-AI (Vasey et al., Nature Medicine 28 (2022) 924-933).
Figures are written by the program from its records; research use, not a medical device.

## Intended use and setting
{host}

## Participants and cases
{n_cases} cases, the truth known for {n_known}. {order}

{people}

Recruitment and eligibility of readers, source and eligibility of cases: {host}

## AI system
{models}

Input: one gray image in its own pixels. Output: outline, class (benign, malignant, normal), calibrated probability.

## Implementation and human factors
{protocol} Readers saw example cases on synthetic pictures before the first case.

## Ethics and consent
The host ticked that the images may be kept; readers chose a pseudonym and gave role and years of experience only.
Approval and consent of patients and readers: {host}

## Results: agreement, accuracy, switches, trust, time
`low` and `high` are 95 % limits unless the note says otherwise. Cases are resampled whole for figures over all readers.
Shape, orientation and posterior concern the largest lesion; readers could leave them out and did not see the program's.

{figures}

## Results: before against after, for readers and cases in general
{study}

## Results: judgement of outlines
{outlines}

## Results: order
Every reader read each case before the model and again at once with it, so the second read also gains by looking twice;
only an arm without the model would tell the two apart. The rows "second half minus first" above and this table show
what changed over the session.

{curve}

## Results: usability (SUS, 0-100)
{usability}

## Safety and errors
Readings that were right before the reveal and wrong after it:

{safety}

## Comments of the readers
{comments}

## Limitations, funding, interests
{host}
"""


_STUDY = """Multi-reader multi-case analysis (Obuchowski & Rockette 1995, degrees of freedom by Hillis 2007, DeLong's
covariance): {words}. A rating is the confidence in the class, negative where that class is not malignant; sensitivity
and specificity are at the reader's own cut, the class. `p` holds for readers and cases like these, `p_these_readers`
for these readers alone. The FDA's iMRMC reads `ratings.imrmc`, R's MRMCaov reads `ratings-mrmcaov.csv`.

{results}

{variances}"""


def no_study(table: pd.DataFrame) -> str:
    """Why these readings are not analysed as a reader study; "" if they are."""
    block = _block(table)
    return block if isinstance(block, str) else ""


def _block(table: pd.DataFrame) -> Block | str:
    """What a reader study is made of, or why there is none."""
    known = table[table["truth"].notna()]
    if known.empty:
        return "no truth is known"
    block = crossed(known)
    return block.removeprefix("undefined: ") if isinstance(block, str) else block


def _study(table: pd.DataFrame) -> str:
    block = _block(table)
    if isinstance(block, str):
        return f"Not analysed: {block}."
    found = study_table(table[table["truth"].notna()])
    variances = ["merit", "var_reader", "var_read_reader", "error", "cov1", "cov2", "cov3"]
    results = found.drop(columns=["readers", "cases", "malignant", *variances[1:]])
    shown = found[variances].map(lambda cell: cell if isinstance(cell, str) else float(f"{cell:.3g}"))
    return _STUDY.format(words=block.words, results=_markdown_table(results.round(3)), variances=_markdown_table(shown))


def as_text(words: object) -> str:
    """Anything typed -> one line that Markdown and HTML show as it is."""
    line = " ".join(str(words).split())
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$:@])", r"\\\1", html.escape(line, quote=False))


def _markdown_table(table: pd.DataFrame) -> str:
    if table.empty:
        return "None recorded."
    lines = ["| " + " | ".join(map(as_text, table.columns)) + " |", "|" + " --- |" * len(table.columns)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in table.itertuples(index=False)]
    return "\n".join(lines)


def _cell(cell: str | float | None) -> str:
    return (
        "" if cell is None or pd.isna(cell) else as_text(cell) if isinstance(cell, str) else f"{cell + 0.0:g}"
    )  # no -0


def _models(table: pd.DataFrame) -> pd.DataFrame:
    columns = ["weights_sha256", "weights_revision", "app_version"]
    return table.groupby(columns, dropna=False).size().rename("readings").reset_index()


def _counts(table: pd.DataFrame, column: str) -> pd.DataFrame:
    return table[column].value_counts().rename_axis(column).rename("readings").reset_index()


def _worsened(table: pd.DataFrame) -> pd.DataFrame:
    known = table[table["truth"].notna()]
    worse = known[(known["own_class"] == known["truth"]) & (known["final_class"] != known["truth"])]
    return worse[["reader", "case", "truth", "own_class", "model_class", "model_confidence", "final_class"]]


def _comments(table: pd.DataFrame) -> str:
    spoken = table[table["comment"].fillna("") != ""]
    lines = [f"- {as_text(r.reader)}, case {r.case}: {as_text(r.comment)}" for r in spoken.itertuples()]
    return "\n".join(lines) or "None."
