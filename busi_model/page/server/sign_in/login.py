"""Who may open the page, when not everyone may: BUSI_AUTH.

Enters: pairs `user:password,user2:password2`, or `@FILE` with one pair a line, which only its owner may read. Leaves:
a check for Gradio's login form. Passwords are compared in constant time. Guessing is counted by name and address, by
address, and by name; a browser that logged in before is counted by itself, so that nobody's guesses shut it out.
"""

import hashlib
import hmac
import math
import os
import secrets
import stat
from collections.abc import Iterable

from fastapi import HTTPException

from busi_model.page import strings
from busi_model.page.server import visitor
from busi_model.reading.errors import TooManyAttempts
from busi_model.reading.session.access import MAX_REMEMBERED, Attempts

VARIABLE = "BUSI_AUTH"
MIN_PASSWORD = 8  # letters
FORM = f"{VARIABLE} must be user:password,user2:password2, or @FILE with one user:password a line"


class LoginError(ValueError):
    """A login cannot be used as it is set: what was found, what was expected, what to do. Holds no password."""


WIDE_LIMIT = 50  # wrong guesses at many names from one address, or at one name from many


class Accounts:
    """Names and passwords. Calling it with both says whether they belong together; that is what Gradio asks for."""

    def __init__(self, passwords: dict[str, str], attempts: Attempts | None = None, wide: Attempts | None = None):
        """attempts: by name and address. wide: by either alone."""
        self._key = secrets.token_bytes(32)
        self._digests = {user: self._digest(password) for user, password in passwords.items()}
        self._nobody = self._digest(secrets.token_hex(16))  # an unknown name takes as long as a known one
        self._attempts, self._wide = attempts or Attempts(), wide or Attempts(WIDE_LIMIT)
        self._known: set[tuple[str, str]] = set()  # users and browsers that logged in

    @classmethod
    def from_environment(cls) -> "Accounts | None":
        """None: no login is asked for. Raises LoginError."""
        if (value := os.environ.get(VARIABLE)) is None:
            return None
        pairs = _lines(value[1:]) if value.startswith("@") else value.split(",")
        return cls(_passwords(pairs))

    def __call__(self, user: str, password: str) -> bool:
        """Raises HTTPException 429 for who has to wait; Gradio hands it on."""
        address, browser = visitor.address.get(), visitor.browser.get()
        known = (user, browser) in self._known
        near = (f"{user} in {browser}",) if known else (f"{user} at {address}",)
        wide = () if known else (f"name {user}", f"address {address}")
        try:
            self._attempts.check(*near)
            self._wide.check(*wide)
        except TooManyAttempts as wait:
            after = {"Retry-After": str(math.ceil(wait.retry_after_s))}
            raise HTTPException(429, strings.LOGIN_WAIT.format(seconds=after["Retry-After"]), after) from None
        same = hmac.compare_digest(self._digest(password), self._digests.get(user, self._nobody))
        if not same:
            self._attempts.wrong(*near)
            self._wide.wrong(*wide)
        elif browser and len(self._known) < MAX_REMEMBERED:
            self._known.add((user, browser))
        return same

    def _digest(self, password: str) -> bytes:
        return hmac.digest(self._key, password.encode("utf-8", "replace"), hashlib.sha256)


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise LoginError(f"Others may read the file that {VARIABLE} names. Close it with `chmod 600` first.")
            return [line for line in file.read().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, LoginError):
            raise
        raise LoginError(f"The file that {VARIABLE} names cannot be read as text. {FORM}.") from None


def _passwords(pairs: Iterable[str]) -> dict[str, str]:
    passwords: dict[str, str] = {}
    for number, pair in enumerate(pairs, start=1):
        user, colon, password = pair.partition(":")
        user = user.strip()  # as Gradio's form does
        if not user or not colon:
            raise LoginError(f"{FORM}; entry {number} is no such pair.")
        if len(password) < MIN_PASSWORD:
            raise LoginError(
                f"{VARIABLE}: the password of entry {number} has {len(password)} letters; at least {MIN_PASSWORD} are "
                "expected. A password with a comma needs the form @FILE."
            )
        if user in passwords:
            raise LoginError(f"{VARIABLE} names one user twice, again in entry {number}. Keep one of the two.")
        passwords[user] = password
    if not passwords:
        raise LoginError(f"{FORM}; no pair was found.")
    return passwords
