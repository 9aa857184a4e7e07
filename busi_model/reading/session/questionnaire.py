"""The System Usability Scale: ten sentences and how their answers become one figure.

Enters: ten answers from 1 (strongly disagree) to 5 (strongly agree). Leaves: 0 to 100.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from busi_model.reading.errors import RecordError
from busi_model.reading.records import Checked

# John Brooke, "SUS: a quick and dirty usability scale" (1996), word for word.
SUS_ITEMS = (
    "I think that I would like to use this system frequently.",
    "I found the system unnecessarily complex.",
    "I thought the system was easy to use.",
    "I think that I would need the support of a technical person to be able to use this system.",
    "I found the various functions in this system were well integrated.",
    "I thought there was too much inconsistency in this system.",
    "I would imagine that most people would learn to use this system very quickly.",
    "I found the system very cumbersome to use.",
    "I felt very confident using the system.",
    "I needed to learn a lot of things before I could get going with this system.",
)


class Questionnaire(Checked):
    """Ten answers from 1 (strongly disagree) to 5 (strongly agree)."""

    answers: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=10, max_length=10)]


def sus_score(answers: Sequence[int]) -> float:
    """Ten answers 1..5 -> 0..100: odd items count answer - 1, even ones 5 - answer, the sum times 2.5 (Brooke 1996)."""
    if len(answers) != len(SUS_ITEMS) or not all(1 <= answer <= 5 for answer in answers):
        raise RecordError("ten_answers")
    return 2.5 * sum(answer - 1 if item % 2 == 0 else 5 - answer for item, answer in enumerate(answers))
