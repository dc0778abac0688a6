"""Moderation along with an answer, as Chat Completions and Responses are asked for it and tell of it."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from inhouse.calls import Call
from inhouse.engines.moderation.verdicts import Verdict


class _Mode(Protocol):
    @property
    def mode(self) -> Literal["score", "block"]: ...


class _Policy(Protocol):
    @property
    def input(self) -> _Mode | None: ...
    @property
    def output(self) -> _Mode | None: ...


class _Options(Protocol):
    @property
    def model(self) -> str: ...
    @property
    def policy(self) -> _Policy | None: ...


def moderate(call: Call, options: _Options | None) -> None:
    """Heed a request's ``moderation``: both sides are scored, and what its policy says is blocked.

    Raises:
        NotFound, Forbidden: of the moderation model.
    """
    if options is None:
        return
    sides = (None, None) if options.policy is None else (options.policy.input, options.policy.output)
    modes = [side.mode if side is not None else "score" for side in sides]
    call.moderate(options.model, *modes)


def told(model: str, verdict: Verdict) -> dict[str, Any]:
    """The fields of a verdict, which are the same on all wires."""
    return {
        "model": model,
        "flagged": any(verdict.flags.values()),
        "categories": verdict.flags,
        "category_scores": verdict.scores,
        "category_applied_input_types": verdict.applied,
    }
