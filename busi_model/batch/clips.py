"""The rows of a clip's frames become one line: the worst frame, and how far the frames agree over time. The command
line and the page say it alike."""

from collections import Counter

import numpy as np

from busi_model.clinic import words
from busi_model.clinic.report import percent
from busi_model.names import CLASS_NAMES

COLUMNS = ["file", "frames", "judged", "refused", "failed", *(f"frames_{name}" for name in CLASS_NAMES)]
COLUMNS += ["label", "label_share", "worst_frame", "worst_malignant", "mean_malignant"]
COLUMNS += ["outlined_frames", "outline_agreement"]


def dice(mask: np.ndarray, other: np.ndarray) -> float | None:
    """Of two bool masks (H, W); None where both are empty, or where the frames differ in size."""
    total = int(mask.sum()) + int(other.sum())
    if mask.shape != other.shape or not total:
        return None
    return round(2 * int((mask & other).sum()) / total, 4)


def summary(rows: list[dict]) -> dict:
    """rows: of all frames of one file. Frames that were refused or failed count as such and nowhere else; what has no
    value is None.

    worst_frame: from 1 on, the one with the highest malignant probability. label: the commonest, label_share: of the
    judged frames. outline_agreement: mean Dice of each outline with that of the frame before.
    """
    judged = [row for row in rows if row["status"] == "ok"]
    statuses, labels = Counter(row["status"] for row in rows), Counter(row["label"] for row in judged)
    line = {"file": rows[0]["file"], "frames": len(rows), "judged": len(judged)}
    line |= {"refused": statuses["refused"], "failed": statuses["failed"]}
    line |= {f"frames_{name}": labels[name] for name in CLASS_NAMES}
    if not judged:
        return line
    worst = max(judged, key=lambda row: row["malignant"])
    label, count = labels.most_common(1)[0]
    followed = [row["dice_to_previous"] for row in judged if row.get("dice_to_previous") is not None]
    return line | {
        "label": label,
        "label_share": round(count / len(judged), 4),
        "worst_frame": worst["frame"],
        "worst_malignant": worst["malignant"],
        "mean_malignant": round(float(np.mean([row["malignant"] for row in judged])), 6),
        "outlined_frames": sum(row["outlined_px2"] > 0 for row in judged),
        "outline_agreement": round(float(np.mean(followed)), 4) if followed else None,
    }


def in_words(line: dict) -> str:
    """line: of `summary`."""
    counts = {"judged": line["judged"], "frames": line["frames"]}
    if not line["judged"]:
        return words.CLIP["none"].format(**counts)
    share, dice = round(100 * line["label_share"]), line["outline_agreement"]
    said = [
        words.CLIP["judged"].format(**counts),
        words.CLIP["label"].format(name=words.CLASS_NAMES[line["label"]].lower(), share=share),
        words.CLIP["worst"].format(frame=line["worst_frame"], percent=percent(line["worst_malignant"])),
        words.CLIP["no_agreement"] if dice is None else words.CLIP["agreement"].format(dice=dice),
    ]
    return " ".join(said)
