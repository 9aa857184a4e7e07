"""What several parts must agree on: the classes, in the order of every class axis in this project, the words that
describe a lesion, the files of a data set as BUSI is published, and what calibrating needs.

Knows no torch, so that everybody may import it.
"""

import re
from typing import Literal, get_args

ClassName = Literal["benign", "malignant", "normal"]
CLASS_NAMES: tuple[ClassName, ...] = get_args(ClassName)

# What may be said of a lesion besides its class: `clinic.descriptors` measures it, readers of sessions say it.
Shape = Literal["irregular", "not irregular"]
Orientation = Literal["parallel", "not parallel"]
Posterior = Literal["posterior shadowing", "no posterior shadowing"]
DESCRIPTOR_WORDS = {"shape": get_args(Shape), "orientation": get_args(Orientation), "posterior": get_args(Posterior)}

# BUSI's layout: folders benign/, malignant/, normal/ with `NAME.png` and its outline in `NAME_mask.png`, further
# lesions in `NAME_mask_1.png` and so on; a manifest says how the pictures are grouped and split.
MANIFEST_NAME = "manifest.csv"  # of any data set in this layout
MANIFEST_OF_BUSI = "busi_manifest.csv"  # BUSI's own, which ships with the program
MANIFEST_COLUMNS = ("image", "class", "group", "split", "fold", "scored")  # further ones may follow
CLINICIAN = "clinician"  # the source, and the hospital, of cases that readers corrected: for training only
LEAST_TO_CALIBRATE = 20  # labelled images
TRAINING_PACKAGES = ("seaborn", "sklearn")  # what the extra `train` brings; a Space goes without

_MASK_STEM = re.compile(r"(.+)_mask(?:_\d+)?")


def mask_name(stem: str, number: int = 0) -> str:
    """Of a picture's outline: its first lesion is number 0."""
    return f"{stem}_mask_{number}.png" if number else f"{stem}_mask.png"


def outlined_stem(stem: str) -> str | None:
    """A file's name without its ending -> that of the picture whose outline it holds; None where it is no outline."""
    found = _MASK_STEM.fullmatch(stem)
    return found[1] if found else None
