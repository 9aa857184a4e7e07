"""Errors in words: those whose text is for whoever runs the program, and what to do about the system's own."""

import errno
from collections.abc import Mapping
from typing import Any, ClassVar


class UserError(Exception):
    """Its text says what was found, what was expected and what to do; the command line prints it and ends."""


class WordedError(Exception):
    """An error that carries the code of its sentence and what fills it. The sentence is looked up when it is shown, so
    it comes in the language of the process that shows it. A finished sentence may stand in place of the code."""

    words: ClassVar[Mapping[str, str]] = {}  # sentence by code
    parts: ClassVar[Mapping[str, str]] = {}  # what a value that is one of these codes is said as

    def __init__(self, code: str, **values: str | float):
        super().__init__(code)
        self.code, self.values = code, values

    def __str__(self) -> str:
        return sentence(self.code, self.values, self.words, self.parts)

    def __reduce__(self) -> tuple[Any, ...]:  # for other processes
        return _made_again, (type(self), self.code, self.values)


def _made_again(kind: type[WordedError], code: str, values: Mapping[str, str | float]) -> WordedError:
    return kind(code, **values)


def sentence(
    code: str, values: Mapping[str, str | float], words: Mapping[str, str], parts: Mapping[str, str] | None = None
) -> str:
    """The sentence of a code, filled; what is no code is a finished sentence."""
    if code not in words:
        return code
    return words[code].format(**{name: (parts or {}).get(str(value), value) for name, value in values.items()})


REMEDIES = (
    ((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "Free some space, or name another folder."),
    ((errno.ENOENT,), "Check the name and the folder."),
    ((errno.EACCES, errno.EPERM, errno.EROFS), "Allow it for this user, or name another folder."),
    ((errno.ENOTDIR, errno.EEXIST), "A file stands where a folder is expected; name another."),
    ((errno.EISDIR,), "It is a folder where a file is expected; name a file."),
)


def remedy(error: OSError) -> str:
    """What a user can do about a file that cannot be read or written, in one sentence."""
    return next((words for numbers, words in REMEDIES if error.errno in numbers), "Check the disk and the folder.")
