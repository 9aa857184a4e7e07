"""Optional tags, read with care: one that is of no use is left out with a notice, and never costs the picture.

Enters: a pydicom data set. Leaves: plain numbers, and notices that name a tag but never say what stands in it.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from busi_model.frame import Notice


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
        """A coded word in capitals; "" where there is none."""
        return str(self.value(keyword) or "").strip().upper()

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

    def leave_out(self, keyword: str) -> None:
        """Say that a tag was of no use."""
        text = f"The file's {keyword} is empty or makes no sense; it was left out."
        if all(notice.text != text for notice in self.notices):
            self.notices.append(Notice("tag_ignored", text))


def positive(*numbers: float) -> bool:
    return all(number > 0 for number in numbers)
