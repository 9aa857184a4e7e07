"""Errors in words: those whose text is for whoever runs the program, and what to do about the system's own."""

import errno


class UserError(Exception):
    """Its text says what was found, what was expected and what to do; the command line prints it and ends."""


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
