"""What may be kept, field by field: everything that comes from a browser is checked here, before any other code.

Enters: plain values. Leaves: frozen models, or a RecordError that names the field and never repeats what was typed.
"""

import unicodedata
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from busi_model.names import CLASS_NAMES, ClassName, Orientation, Posterior, Shape  # noqa: F401 (others take them here)
from busi_model.reading import outline as outlines
from busi_model.reading import words
from busi_model.reading.errors import OutlineError, RecordError

ROLES = ("radiologist", "radiology resident", "surgeon or gynaecologist", "sonographer", "student", "other")
MAX_COMMENT = 2000  # characters
MAX_MASK_BYTES = 2 * 2**20

BiRads = Literal["0", "1", "2", "3", "4A", "4B", "4C", "5", "6"]
OutlineVerdict = Literal["good", "corrected", "wrong_place", "nothing_there"]
Role = Literal["radiologist", "radiology resident", "surgeon or gynaecologist", "sonographer", "student", "other"]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Comment = Annotated[str, Field(max_length=MAX_COMMENT)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Coordinate = Annotated[float, Field(allow_inf_nan=False)]


class Checked(BaseModel):
    """A frozen model that takes only the fields it knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def checked(cls, **fields: Any) -> Self:
        """The model, or a RecordError in words."""
        try:
            return cls(**fields)
        except ValidationError as error:
            raise _refusal(error) from None  # the cause would repeat what was typed


def _refusal(error: ValidationError) -> RecordError:
    """In words."""
    found = error.errors(include_url=False, include_input=False)
    sentences = []
    for problem in found[:3]:
        path = ".".join(str(part) for part in problem["loc"]) or "entry"
        limits = problem.get("ctx", {})
        said = words.PROBLEMS.get("missing" if limits.get("min_length") == 1 else problem["type"])
        said = said.format(**limits) if said else problem["msg"].removeprefix("Value error, ")
        sentences.append(f"{words.FIELDS.get(path, path)}: {said}")
    problems = "; ".join(sentences)
    if len(found) > 3:
        return RecordError("unfit_more", problems=problems, more=len(found) - 3)
    return RecordError("unfit", problems=problems)


class Outline(Checked):
    """Polygons of (x, y) in pixels of an image of this size; no polygon: no lesion."""

    polygons: list[list[tuple[Coordinate, Coordinate]]]
    width: int
    height: int

    @model_validator(mode="after")
    def _has_a_sound_size(self) -> Self:
        _in_pydantic(outlines.measure_size, self)
        return self

    def mask(self) -> np.ndarray:
        """Bool (H, W)."""
        return outlines.rasterise(self.polygons, self.width, self.height)


class Descriptors(Checked):
    """What was said of the largest lesion; None: nothing. As `clinic.descriptors` measures it."""

    shape: Shape | None = None
    orientation: Orientation | None = None
    posterior: Posterior | None = None


class _Described(Checked):
    """A record that may hold descriptors; one without them is kept as it was before there were any."""

    descriptors: Descriptors | None = None

    @model_serializer(mode="wrap")
    def _nothing_said(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content = dump(self)
        if content["descriptors"] is None:
            del content["descriptors"]
        return content


def _in_pydantic(check: Callable[[outlines.Polygons, int, int], None], outline: Outline) -> None:
    try:
        check(outline.polygons, outline.width, outline.height)
    except OutlineError as error:
        raise ValueError(str(error).removesuffix(".")) from None


class Model(_Described):
    """What the model said of a picture, and which model it was."""

    class_name: ClassName | None  # None: it refused the picture
    confidence: Probability | None
    class_probabilities: dict[ClassName, Probability]
    outline: Outline
    mask_png: Annotated[bytes, Field(max_length=MAX_MASK_BYTES, exclude=True)]  # kept beside the text, not inside it
    weights_sha256: Annotated[str, Field(max_length=64)]
    weights_revision: Annotated[str, Field(max_length=100)] = ""
    refused: bool = False
    warnings: tuple[Annotated[str, Field(max_length=60)], ...] = ()  # codes

    @model_validator(mode="after")
    def _mask_fits_the_outline(self) -> Self:
        try:
            shape = outlines.decode_mask(self.mask_png).shape
        except OutlineError as error:
            raise ValueError(str(error)) from None
        if shape != (self.outline.height, self.outline.width):
            raise ValueError(words.CONTRADICTIONS["mask_of_two_sizes"])
        return self


class _Judgement(Checked):
    """An outline that a reader drew: what is kept is what was shown, so it must need no mending."""

    outline: Outline | None = None

    @field_validator("outline")
    @classmethod
    def _crosses_nothing(cls, outline: Outline | None) -> Outline | None:
        if outline is not None:
            _in_pydantic(outlines.check, outline)
        return outline

    def mask_png(self) -> bytes | None:
        """The outline, filled, as a PNG; None when none was drawn."""
        return None if self.outline is None else outlines.encode_mask(self.outline.mask())


class _OutlineJudgement(_Judgement):
    outline_verdict: OutlineVerdict | None
    no_lesion_confirmed: bool = False
    comment: Comment = ""

    @model_validator(mode="after")
    def _outline_fits_the_verdict(self) -> Self:
        if self.outline_verdict == "corrected" and self.outline is None:
            raise ValueError(words.CONTRADICTIONS["corrected_not_drawn"])
        if self.outline is not None and self.outline_verdict in ("good", "nothing_there") and self.outline.polygons:
            raise ValueError(words.CONTRADICTIONS["drawn_anyway"].format(verdict=self.outline_verdict))
        empty = self.outline is not None and not self.outline.polygons
        if empty and self.outline_verdict == "good":
            raise ValueError(words.CONTRADICTIONS["good_but_deleted"])
        if empty and not self.no_lesion_confirmed:
            raise ValueError(words.CONTRADICTIONS["confirm_no_lesion"])
        return self


class OwnRead(_Judgement, _Described):
    """What a reader thinks before seeing the model."""

    class_name: ClassName
    confidence: Percent
    birads: BiRads | None = None


class FinalRead(_OutlineJudgement, _Described):
    """What the reader thinks after it."""

    class_name: ClassName
    confidence: Percent
    birads: BiRads | None = None
    outline_verdict: OutlineVerdict


class LeftOut(Checked):
    """Why a reader went on without a case."""

    reason: Literal["picture_damaged"] = "picture_damaged"


class Feedback(_OutlineJudgement):
    """Quick feedback on one picture."""

    verdict: Literal["agree", "disagree", "unsure"]
    model: Model
    image_sha256: Sha256
    own_class: ClassName | None = None
    outline_verdict: OutlineVerdict | None = None
    keep_image: bool = False  # the reader's explicit tick

    @model_validator(mode="after")
    def _outline_is_of_this_picture(self) -> Self:
        size = (self.model.outline.width, self.model.outline.height)
        if self.outline is not None and (self.outline.width, self.outline.height) != size:
            raise ValueError(words.CONTRADICTIONS["other_image"])
        return self


class Profile(Checked):
    """Who reads: no names, no addresses."""

    pseudonym: Annotated[str, Field(min_length=2, max_length=32)]
    role: Role
    years: Annotated[float, Field(ge=0, le=80, allow_inf_nan=False)]

    @field_validator("pseudonym", mode="before")
    @classmethod
    def _is_a_plain_word(cls, pseudonym: object) -> str:
        if not isinstance(pseudonym, str):
            raise ValueError(words.CONTRADICTIONS["letters"])
        pseudonym = " ".join(unicodedata.normalize("NFKC", pseudonym).split())
        if not all(c.isalnum() or c in " -_" or unicodedata.category(c).startswith("M") for c in pseudonym):
            raise ValueError(words.CONTRADICTIONS["plain_word"])
        return pseudonym


class NewSession(Checked):
    """What a host decides before the first reader comes."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    n_readers: Annotated[int, Field(ge=1, le=200)] = 1
    read_first: bool = True
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    images_may_be_kept: bool  # the host's tick: without the pictures there is nothing to read

    @field_validator("images_may_be_kept")
    @classmethod
    def _is_ticked(cls, ticked: bool) -> bool:
        if not ticked:
            raise ValueError(words.CONTRADICTIONS["images_kept"])
        return ticked
