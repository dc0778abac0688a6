"""Verdicts along with a chat completion, on the wire."""

from __future__ import annotations

from inhouse.api.chat import wire
from inhouse.api.moderating import told
from inhouse.engines.moderation.verdicts import Judged, Moderated, NotJudged


def told_moderation(moderated: Moderated) -> wire.Moderation:
    """Verdicts on the messages and on each choice, or why there are none."""
    return wire.Moderation(input=_side(moderated.input), output=_side(moderated.output))


def _side(side: Judged | NotJudged) -> wire.ModerationResults | wire.ModerationFailure:
    if isinstance(side, NotJudged):
        return wire.ModerationFailure(code=side.code, message=side.message)
    results = [wire.ModerationVerdict(**told(side.model, each)) for each in side.verdicts]
    return wire.ModerationResults(model=side.model, results=results)
