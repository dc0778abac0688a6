"""Passwords of people: argon2id with the parameters that RFC 9106 recommends where memory is scarce."""

from __future__ import annotations

import asyncio
import functools

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from inhouse.kit.errors import InvalidRequest

MIN_LENGTH = 12
MAX_LENGTH = 256
_MIN_DIFFERENT = 5
_AT_ONCE = 2
"""Each takes 64 MiB and some tens of milliseconds; more at once would be a way to fill the machine."""


class Passwords:
    """Hashes and checks, a few at a time and never on the event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, hash: str | None, password: str) -> bool:
        """Whether it is the one. Without a hash it takes as long, so that nobody learns who has an account."""
        async with self._turns:
            return await asyncio.to_thread(self._verify, hash, password[: MAX_LENGTH + 1])

    def is_outdated(self, hash: str) -> bool:
        """Whether it was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(hash)

    def _verify(self, hash: str | None, password: str) -> bool:
        nobodys = self._nobodys  # whoever is asked about first, so that the time it takes tells nothing
        try:
            return self._hasher.verify(hash or nobodys, password) and hash is not None
        except (VerificationError, InvalidHashError):
            return False

    @functools.cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("nobody's")


def check_new(password: str, email: str) -> None:
    """
    Raises:
        InvalidRequest: it is too short or long, a pattern, or made of the address.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidRequest(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.", param="password")
    if len(set(password)) < _MIN_DIFFERENT or password.casefold() in (email.casefold(), "passwordpassword"):
        raise InvalidRequest("This password is too easy to guess.", param="password")
