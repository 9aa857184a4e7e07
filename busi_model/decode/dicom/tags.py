"""Optional tags, read with care: one that is of no use is left out with a notice, and never costs the picture.

Enters: a pydicom data set. Leaves: plain numbers, and notices that name a tag but never say what stands in it.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from busi_model.frame import Notice

_SHOWN = {
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
}


class Tags:
    """A data set and the notices of what was left out of it."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset
        self.notices: list[Notice] = []

    def value(self, keyword: str, item: Dataset | None = None) -> Any:
        """What stands in a tag of `item` (default: the data set itself); None where it is missing or unreadable."""
        dataset = self.dataset if item is None else item
        if keyword not in dataset:
            return None
        try:
            return dataset[keyword].value
        except Exception:  # pydicom raises whatever a value leads it to
            self.leave_out(keyword)
            return None

    def word(self, keyword: str) -> str:
        """A coded word in capitals, the first of several; "" where there is none."""
        found = self.value(keyword)
        words = [found] if isinstance(found, str) or not isinstance(found, Iterable) else list(found)
        return str(words[0] or "").strip().upper() if words else ""

    def numbers(
        self,
        keyword: str,
        item: Dataset | None = None,
        least: int = 1,
        usable: Callable[..., bool] = lambda *numbers: True,
    ) -> tuple[float, ...] | None:
        """The finite numbers of a tag, `least` of them or more, for which usable(*the first ones) is true; else None,
        with a notice where something stands there that is of no use."""
        dataset = self.dataset if item is None else item
        if keyword not in dataset:
            return None
        try:
            found = tuple(float(number) for number in np.ravel(dataset[keyword].value))
        except Exception:  # empty, text, too large
            found = ()
        if len(found) < least or not all(map(math.isfinite, found)) or not usable(*found[:least]):
            self.leave_out(keyword)
            return None
        return found

    def items(self, keyword: str, item: Dataset | None = None) -> list[Dataset]:
        """The items of a sequence; none where it is missing, unreadable or no sequence."""
        found = self.value(keyword, item)
        return [] if found is None or isinstance(found, (str, bytes)) else list(found)

    def in_groups(self, keyword: str, frame: int) -> list:
        """The items of a sequence that enhanced files have in groups: one for all frames, or one for each."""
        groups = self.items("SharedFunctionalGroupsSequence")[:1]
        groups += self.items("PerFrameFunctionalGroupsSequence")[frame : frame + 1]
        return [item for group in groups for item in self.items(keyword, group)[:1]]

    def take_from_groups(self, frame: int) -> None:
        """How an enhanced file's gray is to be shown, moved to where other files say it."""
        for sequence, keywords in _SHOWN.items():
            for item in self.in_groups(sequence, frame):
                for keyword in keywords:
                    if keyword in item and keyword not in self.dataset:
                        self.dataset[keyword] = item.get_item(keyword)

    def leave_out(self, keyword: str, said: str | None = None) -> None:
        """Say that a tag was of no use. said: by another sentence of `words.NOTICES`."""
        notice = Notice("tag_ignored", said, {"keyword": keyword})
        if notice not in self.notices:
            self.notices.append(notice)


def positive(*numbers: float) -> bool:
    return all(number > 0 for number in numbers)
