"""Code words that let a reader in, and what happens to those who guess.

A code is `LLLLL-SSSSS-SSSSS`: five letters that find the row and ten that prove it (49 random bits). Only a salted hash
of the ten is kept and it is compared in constant time. A slow hash, as for passwords that people choose, would add
nothing: the letters are random, and guessing is counted.
"""

import hashlib
import hmac
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from busi_model.reading.errors import CodeError, TooManyAttempts

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that look alike
GROUP = 5
PASSWORD_VARIABLE = "BUSI_HOST_PASSWORD"
MAX_REMEMBERED = 10_000  # guessers; beyond that the oldest are forgotten


@dataclass(frozen=True)
class NewCode:
    """A fresh code: `text` is shown once, the rest is kept."""

    text: str
    locator: str
    salt: bytes
    code_hash: bytes


def make_code() -> NewCode:
    letters = "".join(secrets.choice(ALPHABET) for _ in range(3 * GROUP))
    salt = secrets.token_bytes(16)
    text = "-".join(letters[start : start + GROUP] for start in range(0, 3 * GROUP, GROUP))
    return NewCode(text, letters[:GROUP], salt, _hash(salt, letters[GROUP:]))


def take_apart(typed: object) -> tuple[str, str]:
    """A code as typed -> (locator, secret); blanks, dashes and lower case do not matter. Raises CodeError."""
    letters = "".join(str(typed)[:100].upper().split()).replace("-", "")
    if len(letters) != 3 * GROUP or not set(letters) <= set(ALPHABET):
        raise CodeError("This is not a code: three groups of five letters and digits are expected, as the host gave.")
    return letters[:GROUP], letters[GROUP:]


def matches(secret: str, salt: bytes, code_hash: bytes) -> bool:
    return hmac.compare_digest(_hash(salt, secret), code_hash)


def _hash(salt: bytes, secret: str) -> bytes:
    return hashlib.sha256(salt + secret.encode()).digest()


class Attempts:
    """Counts wrong guesses by who made them and by what they aimed at; after `limit` in `window_s` it says wait."""

    def __init__(self, limit: int = 10, window_s: float = 300, clock: Callable[[], float] = time.monotonic):
        self.limit, self.window_s, self._clock = limit, window_s, clock
        self._wrong: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def check(self, *names: str) -> None:
        """Raise TooManyAttempts when any of the names has guessed wrong too often."""
        with self._lock:
            for name in names:
                times = self._recent(name)
                if len(times) >= self.limit:
                    raise TooManyAttempts(times[0] + self.window_s - self._clock())

    def wrong(self, *names: str) -> None:
        with self._lock:
            for name in names:
                times = self._recent(name)
                times.append(self._clock())
                self._wrong[name] = times
            while len(self._wrong) > MAX_REMEMBERED:
                self._wrong.pop(next(iter(self._wrong)))

    def _recent(self, name: str) -> deque[float]:
        times = self._wrong.pop(name, deque())
        while times and times[0] <= self._clock() - self.window_s:
            times.popleft()
        if times:
            self._wrong[name] = times  # to the end: the oldest name stands first
        return times


class HostGate:
    """The host's password, from the environment; without one the host's view does not exist."""

    def __init__(self, attempts: Attempts | None = None):
        self._password = os.environ.get(PASSWORD_VARIABLE, "")
        self._attempts = attempts or Attempts()

    @property
    def exists(self) -> bool:
        return bool(self._password)

    def check(self, password: str, client: str = "") -> None:
        """Raise CodeError unless this is the password. client: whom to count wrong guesses against."""
        self._attempts.check(client)
        given, expected = (
            hashlib.sha256(str(word).encode("utf-8", "replace")).digest() for word in (password, self._password)
        )
        if not self.exists or not hmac.compare_digest(given, expected):
            self._attempts.wrong(client)
            raise CodeError("The password is wrong.")
