"""What a session's records say: a table of readings, and figures with intervals made of it.

Enters: the store. Leaves: pandas tables for the page, the report and the downloads. The statistics are in `figures`.
"""

import json

import pandas as pd

from busi_model.names import DESCRIPTOR_WORDS
from busi_model.reading.analysis.figures import dice_of, summarise
from busi_model.reading.session.questionnaire import Questionnaire, sus_score
from busi_model.reading.storage.store import Record, Store

__all__ = ["feedback", "learning_curve", "readings", "summarise", "usability"]


def _descriptor_columns(whose: str) -> list[str]:
    return [f"{whose}_{name}" for name in DESCRIPTOR_WORDS]


READING_COLUMNS = (
    *("reader", "role", "years", "position", "case", "image_sha256", "truth"),
    *("own_class", "own_confidence", "own_birads", *_descriptor_columns("own")),
    *("model_class", "model_confidence", "model_malignant", *_descriptor_columns("model")),
    *("final_class", "final_confidence", "final_birads", *_descriptor_columns("final")),
    *("outline_verdict", "dice_model_own", "dice_model_final"),
    *("own_seconds", "final_seconds", "interrupted", "comment"),
    *("weights_sha256", "weights_revision", "app_version", "saved_at", "receipt"),
)

FEEDBACK_COLUMNS = (
    *("verdict", "own_class", "model_class", "model_confidence", "outline_verdict", "dice_model_final", "comment"),
    *("image_sha256", "image_kept", "weights_sha256", "weights_revision", "app_version", "saved_at", "receipt"),
)


def readings(store: Store, session_id: str) -> pd.DataFrame:
    """One row a reader and finished case, in the order in which each reader read; columns as in READING_COLUMNS.

    reader is the pseudonym; position counts from 1 in that reader's order, case in the host's; confidences of readers
    are 0..100, the model's 0..1, as is its probability of malignant; dice_model_own and dice_model_final compare the
    model's mask with the outline that was drawn before and after the reveal (NaN: none was drawn, or both are empty);
    own_shape, model_shape and the like are descriptors of the largest lesion, None where nothing was said;
    seconds run from the step's last appearance on the screen to its saving, and interrupted says that a step appeared
    more than once (reload, pause), so its seconds are too few.
    """
    with store.read() as connection:
        readers = {
            row["id"]: row for row in connection.execute("SELECT * FROM reader WHERE session_id = ?", (session_id,))
        }
        truth = {
            row["number"]: row["truth"]
            for row in connection.execute("SELECT * FROM session_case WHERE session_id = ?", (session_id,))
        }
    steps = {(r.reader_id, r.case_number, r.kind): r for r in store.records("session_id = ?", (session_id,))}
    rows = []
    for reader in sorted(readers.values(), key=lambda reader: reader["number"]):
        for position, case in enumerate(json.loads(reader["case_order"]), start=1):
            if final := steps.get((reader["id"], case, "final")):
                about = {name: reader[name] for name in ("role", "years")} | {"reader": reader["pseudonym"]}
                about |= {"position": position, "case": case, "truth": truth[case]}
                own, model = steps.get((reader["id"], case, "own")), steps[reader["id"], case, "reveal"]
                rows.append(about | _reading(own, model, final))
    return pd.DataFrame(rows, columns=READING_COLUMNS)


def _reading(own: Record | None, model: Record, final: Record) -> dict:
    opinion = ("class_name", "confidence", "birads")
    return {
        **{f"own_{name.removesuffix('_name')}": own.content[name] if own else None for name in opinion},
        **{f"model_{name.removesuffix('_name')}": model.content[name] for name in opinion[:2]},
        "model_malignant": model.content["class_probabilities"].get("malignant"),
        **{f"final_{name.removesuffix('_name')}": final.content[name] for name in opinion},
        **_descriptors("own", own),
        **_descriptors("model", model),
        **_descriptors("final", final),
        "outline_verdict": final.content["outline_verdict"],
        "dice_model_own": dice_of(model.model_mask_png, own.mask_png if own else None),
        "dice_model_final": dice_of(model.model_mask_png, final.mask_png),
        "own_seconds": own.seconds if own else None,
        "final_seconds": final.seconds,
        "interrupted": any((record.times_shown or 0) > 1 for record in (own, model, final) if record),
        "comment": final.content["comment"],
        "image_sha256": final.image_sha256,
        "weights_sha256": final.weights_sha256,
        "weights_revision": final.weights_revision,
        "app_version": final.app_version,
        "saved_at": final.saved_at,
        "receipt": final.receipt,
    }


def _descriptors(whose: str, record: Record | None) -> dict:
    said = (record.content.get("descriptors") if record else None) or {}
    return {f"{whose}_{name}": said.get(name) for name in DESCRIPTOR_WORDS}


def learning_curve(table: pd.DataFrame) -> pd.DataFrame:
    """Readings -> one row a position in the session: position, own_accuracy, final_accuracy, agreement, seconds, n.

    Accuracies where the truth is known; agreement of the final read with the model; seconds is the median of own and
    final read together, of readings that were not interrupted.
    """
    known = table[table["truth"].notna()]
    agreed = table[table["model_class"].notna()]
    timed = table[~table["interrupted"].astype(bool)]
    curve = pd.DataFrame(
        {
            "own_accuracy": _share(known[known["own_class"].notna()], "own_class", "truth"),
            "final_accuracy": _share(known, "final_class", "truth"),
            "agreement": _share(agreed, "final_class", "model_class"),
            "seconds": case_seconds(timed).groupby(timed["position"]).median(),
            "n": table.groupby("position").size(),
        }
    )
    return curve.rename_axis("position").reset_index()


def _share(table: pd.DataFrame, a: str, b: str) -> pd.Series:
    return (table[a] == table[b]).astype(float).groupby(table["position"]).mean()


def case_seconds(table: pd.DataFrame) -> pd.Series:
    """Seconds of a whole case: own read and final read; NaN when neither was timed."""
    return table[["own_seconds", "final_seconds"]].astype(float).sum(axis=1, min_count=1)


def usability(store: Store, session_id: str) -> pd.DataFrame:
    """One row a reader who answered: reader, sus (0..100)."""
    with store.read() as connection:
        names = dict(
            connection.execute("SELECT id, pseudonym FROM reader WHERE session_id = ?", (session_id,)).fetchall()
        )
    answered = store.records("session_id = ? AND kind = 'questionnaire'", (session_id,))
    rows = [(names[r.reader_id], sus_score(Questionnaire(**r.content).answers)) for r in answered]
    return pd.DataFrame(rows, columns=["reader", "sus"])


def feedback(store: Store) -> pd.DataFrame:
    """Quick feedback, one row a record, oldest first; columns as in FEEDBACK_COLUMNS."""
    rows = [
        {
            "verdict": record.content["verdict"],
            "own_class": record.content["own_class"],
            "model_class": record.content["model"]["class_name"],
            "model_confidence": record.content["model"]["confidence"],
            "outline_verdict": record.content["outline_verdict"],
            "dice_model_final": dice_of(record.model_mask_png, record.mask_png),
            "comment": record.content["comment"],
            "image_sha256": record.image_sha256,
            "image_kept": record.image_kept,
            "weights_sha256": record.weights_sha256,
            "weights_revision": record.weights_revision,
            "app_version": record.app_version,
            "saved_at": record.saved_at,
            "receipt": record.receipt,
        }
        for record in store.records("kind = 'feedback'")
    ]
    return pd.DataFrame(rows, columns=FEEDBACK_COLUMNS)
