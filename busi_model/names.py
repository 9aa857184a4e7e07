"""The classes, in the order of every class axis in this project, and the words that describe a lesion.

Knows no torch, so that everybody may import it.
"""

from typing import Literal, get_args

ClassName = Literal["benign", "malignant", "normal"]
CLASS_NAMES: tuple[ClassName, ...] = get_args(ClassName)

# What may be said of a lesion besides its class: `clinic.descriptors` measures it, readers of sessions say it.
Shape = Literal["irregular", "not irregular"]
Orientation = Literal["parallel", "not parallel"]
Posterior = Literal["posterior shadowing", "no posterior shadowing"]
DESCRIPTOR_WORDS = {"shape": get_args(Shape), "orientation": get_args(Orientation), "posterior": get_args(Posterior)}
