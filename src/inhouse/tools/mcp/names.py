"""The names under which a model sees the tools of a server."""

from __future__ import annotations

import hashlib
import re

MARK = "__"
MOST = 64
"""The longest name that every engine takes."""
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


def seen_name(label: str, name: str) -> str:
    """What the model calls a server's tool: both names, so that tools of several servers never meet.

    It depends on these two alone, so that a call of an earlier response reads the same later on. Characters that
    engines do not take, and what is too long, are replaced by a mark of the whole name.
    """
    full = f"{label}{MARK}{name}"
    plain = _FOREIGN.sub("_", full)
    if plain == full and len(full) <= MOST:
        return full
    digest = hashlib.sha256(full.encode()).hexdigest()[:8]
    return f"{plain[: MOST - 9]}_{digest}"
