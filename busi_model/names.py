"""The classes, in the order of every class axis in this project; knows no torch, so that everybody may import it."""

from typing import Literal, get_args

ClassName = Literal["benign", "malignant", "normal"]
CLASS_NAMES: tuple[ClassName, ...] = get_args(ClassName)
