"""Verdicts along with a response, on the wire."""

from __future__ import annotations

from inhouse.api.moderating import told
from inhouse.api.responses import wire
from inhouse.engines.moderation.verdicts import Judged, Moderated, NotJudged, combined


def told_moderation(moderated: Moderated) -> wire.ResponseModeration:
    """One verdict on each side, or why there is none."""
    return wire.ResponseModeration(input=_side(moderated.input), output=_side(moderated.output))


def _side(side: Judged | NotJudged) -> wire.ModerationVerdict | wire.ModerationFailure:
    if isinstance(side, NotJudged):
        return wire.ModerationFailure(code=side.code, message=side.message)
    return wire.ModerationVerdict(**told(side.model, combined(side.verdicts)))
