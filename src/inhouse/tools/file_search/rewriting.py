"""Queries without what only makes them a question."""

from __future__ import annotations

import re

_FRAME = re.compile(
    r"^\s*(?:(?:hello|hi|hey|please|so|well|ok(?:ay)?)[\s,!.]+)*"
    r"(?:(?:(?:can|could|would|will) you (?:please |kindly )?(?:tell|show|explain|find|give|help|describe)"
    r"(?: to)?(?: me| us)?(?: with| about| out)?"
    r"|(?:please )?(?:tell|show|explain|find|give|describe)(?: to)?(?: me| us)?(?: about| out)?"
    r"|i (?:want|need|would like|'d like) to (?:know|find|see|understand|learn)(?: out| about)?"
    r"|do you know|i am looking for|i'm looking for)\s+)?"
    r"(?:(?:what|who|where|when|which|why|how)(?:'s| is| are| was| were| do| does| did| can| should| would| will| to"
    r"| i| we| you| one)*\s+)?"
    r"(?:(?:the|a|an|any|some)\s+)?",
    re.IGNORECASE,
)
_ENDS = " \t\n\r?!.,"
_THANKS = ("please", "thanks", "thank you")


def rewritten(query: str) -> str:
    """What a question is about: "Can you tell me what the capital of France is?" becomes "capital of France is".

    Done by rules, for English: it asks no model. A query of which nothing would be left stays.
    """
    core = _FRAME.sub("", query, count=1).rstrip(_ENDS)
    for thanks in _THANKS:
        if core.lower().endswith(f" {thanks}"):
            core = core[: -len(thanks)].rstrip(_ENDS)
    return core if len(core.split()) > 1 else query
