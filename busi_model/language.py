"""Another language is one file: JSON, code -> sentence, laid over the English of `CATALOGUES` before the page is built.

    python -m busi_model.language > de.json     # every sentence with its code, to be translated
    BUSI_LANGUAGE=de.json busi app

What the file leaves out stays English. A sentence keeps the names in braces, which the program fills in. The command
line stays English.
"""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from string import Formatter
from types import ModuleType

CATALOGUES = {  # beginning of the code: the module whose constants are sentences. The page's own comes last: it takes
    "picture": "busi_model.words",  # some of the others' over
    "said": "busi_model.clinic.words",
    "kept": "busi_model.reading.words",
    "questionnaire": "busi_model.reading.session.questionnaire",
    "page": "busi_model.page.strings",
}


class LanguageError(ValueError):
    """A language's file that cannot be used: what was found, what was expected."""


def catalogue() -> dict[str, str]:
    """Every sentence by its code, as things stand now: "page.CASE_STATES.done": "analysed"."""
    found: dict[str, str] = {}
    _each(lambda code, text: found.setdefault(code, text))
    return found


def load(path: str | Path) -> None:
    """Lay a language's file over the catalogue. Raises LanguageError; then nothing is changed."""
    try:
        sentences = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LanguageError(f"The language's file cannot be read as JSON ({type(error).__name__}).") from None
    if not isinstance(sentences, dict) or not all(isinstance(text, str) for text in sentences.values()):
        raise LanguageError("The language's file is no object of sentences by code.")
    english = catalogue()
    for code, text in sentences.items():
        if code not in english:
            raise LanguageError(f"{code} is no code of a sentence; `python -m busi_model.language` prints all.")
        if _names(text) != (wanted := _names(english[code])):
            raise LanguageError(f"{code} must hold {', '.join(sorted(wanted)) or 'no names'} in braces, and does not.")
    _each(lambda code, text: sentences.get(code, text))


def _each(change: Callable[[str, str], str]) -> None:
    """Put into each sentence's place what `change(code, sentence)` makes of it."""
    for beginning, name in CATALOGUES.items():
        module = import_module(name)
        for constant, value in _sentences(module):
            setattr(module, constant, _changed(value, f"{beginning}.{constant}", change))


def _sentences(module: ModuleType) -> list[tuple[str, object]]:
    """A module's own constants; what it takes over from another stands there."""
    taken = getattr(module, "__all__", ())
    return [(name, value) for name, value in vars(module).items() if name.isupper() and name not in taken]


def _changed(value: object, code: str, change: Callable[[str, str], str]) -> object:
    if isinstance(value, str):
        return change(code, value)
    if isinstance(value, dict):  # in place: others hold the same one
        value.update({key: _changed(inner, f"{code}.{key}", change) for key, inner in value.items()})
        return value
    if isinstance(value, tuple):
        return tuple(_changed(inner, f"{code}.{place}", change) for place, inner in enumerate(value))
    return value


def _names(text: str) -> set[str]:
    """What stands in braces."""
    try:
        return {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    except ValueError:
        return {text}  # a brace is open: equal to nothing


if __name__ == "__main__":
    json.dump(catalogue(), sys.stdout, indent=1, ensure_ascii=False)
    print()
