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
        raise CodeError("no_code")
    return letters[:GROUP], letters[GROUP:]


def matches(secret: str, salt: bytes, code_hash: bytes) -> bool:
    return hmac.compare_digest(_hash(salt, secret), code_hash)


def _hash(salt: bytes, secret: str) -> bytes:
    return hashlib.sha256(salt + secret.encode()).digest()


class Attempts:
    """Counts wrong guesses by who made them or by what they aimed at, and makes the next one wait: 1 s after `limit` of
    them, then 2, 4, 8, up to `longest_s`. A guess that comes too early is not looked at and makes nobody wait longer,
    so that no number of guesses shuts anybody out for good."""

    def __init__(
        self,
        limit: int = 5,
        window_s: float = 900,
        longest_s: float = 30,
        clock: Callable[[], float] = time.monotonic,
    ):
        """window_s: after which a wrong guess is forgotten."""
        self.limit, self.window_s, self.longest_s, self._clock = limit, window_s, longest_s, clock
        self._wrong: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def check(self, *names: str) -> None:
        """Raise TooManyAttempts while one of the names has to wait."""
        with self._lock:
            left_s = max((self._wait_s(self._recent(name)) for name in names), default=0.0)
        if left_s > 0:
            raise TooManyAttempts(left_s)

    def _wait_s(self, times: deque[float]) -> float:
        over = len(times) - self.limit
        if over < 0 or not times:
            return 0.0
        return times[-1] + min(self.longest_s, 2.0 ** min(over, 30)) - self._clock()

    def wrong(self, *names: str) -> None:
        with self._lock:
            for name in names:
                times = self._recent(name)
                times.append(self._clock())
                self._wrong[name] = times
            while len(self._wrong) > MAX_REMEMBERED:
                self._wrong.pop(next(iter(self._wrong)))

    def _recent(self, name: str) -> deque[float]:
        times = self._wrong.pop(name, None) or deque(maxlen=self.limit + 32)
        while times and times[0] <= self._clock() - self.window_s:
            times.popleft()
        if times:
            self._wrong[name] = times  # to the end: the oldest name stands first
        return times


class HostPassword:
    """The host's password, from the environment; without one the host's view does not exist."""

    def __init__(self, attempts: Attempts | None = None):
        self._password = os.environ.get(PASSWORD_VARIABLE, "")
        self._attempts = attempts or Attempts()
        self._known: set[str] = set()

    @property
    def exists(self) -> bool:
        return bool(self._password)

    def check(self, password: str, client: str = "", browser: str = "") -> None:
        """Raise CodeError unless this is the password.

        client: whom to count wrong guesses against. browser: a name of the browser that nobody else can have; one that
        gave the right password before is counted by itself, so that others at its address do not shut it out.
        """
        who = f"browser {browser}" if browser in self._known else f"client {client}"
        self._attempts.check(who)
        given, expected = (
            hashlib.sha256(str(word).encode("utf-8", "replace")).digest() for word in (password, self._password)
        )
        if not self.exists or not hmac.compare_digest(given, expected):
            self._attempts.wrong(who)
            raise CodeError("wrong_password")
        if browser and len(self._known) < MAX_REMEMBERED:
            self._known.add(browser)
