"""API keys: made here, kept as a hash, shown only in part."""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal

Kind = Literal["project", "admin"]

PREFIXES: dict[Kind, str] = {"project": "sk-proj-", "admin": "sk-admin-"}
RANDOM_BYTES = 48
MAX_LENGTH = 512
"""Characters of the longest key that is looked at."""


def new_key(kind: Kind) -> str:
    """A fresh key: the prefix of its kind and 384 random bits as 64 URL-safe characters."""
    return PREFIXES[kind] + secrets.token_urlsafe(RANDOM_BYTES)


def digest(key: str) -> str:
    """SHA-256 of a key in hex: what the database keeps and looks up.

    A slow, salted hash protects passwords, which can be guessed. Keys made here have 384 bits and preset ones are
    refused when they are short or known (``access.strength``), so there is nothing to try; a fast hash costs 1 µs a
    request. Looking up by it leaks nothing through time either: who does not know the key cannot steer its hash.
    """
    return hashlib.sha256(key.encode()).hexdigest()


def hint(key: str) -> str:
    """What may be shown of a stored key: its first eight and last four characters."""
    return f"{key[:8]}…{key[-4:]}"


def mask(key: str) -> str:
    """A rejected key as the official error shows it: its first eight and last four characters, stars between.

    The sender gets back what it sent, so twelve characters or fewer are shown whole. What is longer than ``MAX_LENGTH``
    is cut, and what is not printable ASCII becomes a question mark.
    """
    printable = "".join(c if " " <= c <= "~" else "?" for c in key[: MAX_LENGTH - 4] + key[MAX_LENGTH - 4 :][-4:])
    if len(printable) <= 12:
        return printable
    return printable[:8] + "*" * (len(printable) - 12) + printable[-4:]
