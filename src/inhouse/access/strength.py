"""Refusing preset keys that anybody could guess.

Servers get started with the key of some example, and then stand open. A key given in the settings must look like one
that was made for this server: long, not published anywhere, not a pattern.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

from inhouse.access.keys import MAX_LENGTH, Kind, new_key
from inhouse.kit.errors import ExpectedError

MIN_LENGTH = 20
MIN_BITS = 60
"""Shannon entropy of the key's own characters, prefix left out; twenty random letters have more."""
RANDOM_BITS = 280
"""More than words have: 64 random characters, as in a generated key, have some 340 and may spell a word by chance."""

PUBLIC = {
    # What examples and other servers tell people to write.
    "sk-1234",
    "sk-test",
    "sk-no-key-required",
    "sk-fake",
    "sk-dummy",
    "sk-local",
    "sk-xxx",
    "changeme",
    "empty",
    "dummy",
    "none",
    "null",
    "token",
    "secret",
    "password",
    "apikey",
    "not-needed",
    "no-key",
    "ollama",
    "lm-studio",
    "vllm",
    "llama.cpp",
    "local",
    "localai",
    "inhouse",
    "sk-inhouse",
    "sk-abcdef1234567890abcdef1234567890abcdef12",
    "sk-proj-1234567890abcdefghijklmnopqrstuvwxyz",
}
# Short words count only when they stand alone: a random key may contain one by chance.
PLACEHOLDER = re.compile(
    r"(^|[^a-z0-9])(your|fake|dummy|sample|insert|todo|none|test)([^a-z0-9]|$)|"
    r"my[-_](api|key|secret)|change[-_]?(me|this|it)|replace[-_]?(me|this|with)|placeholder|example|api[-_]?key|no[-_]key|"
    r"not[-_](needed|required|used)|(key|token)[-_]?here|password|passw0rd|^<.*>$|^\$\{?\w+\}?$|\.\.\.",
    re.IGNORECASE,
)
PREFIX = re.compile(r"^sk-(proj-|admin-|svcacct-|or-v1-|ant-)?", re.IGNORECASE)


class UnusableKey(ExpectedError, ValueError):
    """A key given in the settings cannot be used. The message says why and what to write instead."""


class WeakKey(UnusableKey):
    """A key given in the settings is short, publicly known or a pattern.

    Attributes:
        suggestion: a fresh key that could be used instead.
    """

    def __init__(self, setting: str, reason: str, kind: Kind) -> None:
        self.suggestion = new_key(kind)
        super().__init__(
            f"{setting} {reason}, so anyone could use this server. Use a key of your own, for example this fresh one:\n"
            f"    {self.suggestion}\n"
            f"or leave {setting} unset."
        )


def require_strong(key: str, kind: Kind, setting: str) -> None:
    """Returns if ``key`` may guard a server.

    Args:
        setting: where it was given, for the message.

    Raises:
        WeakKey: anyone could guess it.
        UnusableKey: it cannot travel in a header, or is longer than ``MAX_LENGTH``.
    """
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UnusableKey(f"{setting} has characters that an HTTP header cannot carry; use letters, digits, - and _.")
    if len(key) > MAX_LENGTH:
        raise UnusableKey(f"{setting} is {len(key)} characters long; at most {MAX_LENGTH} are accepted.")
    reason = _weakness(key)
    if reason is not None:
        raise WeakKey(setting, reason, kind)


def _weakness(key: str) -> str | None:
    if key.lower() in PUBLIC:
        return "is a publicly known key"
    body = PREFIX.sub("", key)
    if _bits(body) < RANDOM_BITS and PLACEHOLDER.search(key):
        return "is a placeholder, not a key"
    if len(key) < MIN_LENGTH:
        return f"is shorter than {MIN_LENGTH} characters"
    if _is_periodic(body) or _bits(body) < MIN_BITS or _runs(body) * 2 > len(body):
        return "is a pattern that can be guessed"
    return None


def _is_periodic(text: str) -> bool:
    """Made of one piece repeated, the last time perhaps cut short: ``abcabcab``."""
    return any(text == (text[:n] * len(text))[: len(text)] for n in range(1, len(text) // 2 + 1))


def _bits(text: str) -> float:
    counts = Counter(text)
    return -sum(count * math.log2(count / len(text)) for count in counts.values())


def _runs(text: str) -> int:
    """Characters that equal the one before or follow it in the alphabet: ``aaa``, ``1234``."""
    return sum(abs(ord(a) - ord(b)) <= 1 for a, b in pairwise(text))
