"""Moderations over HTTP."""

from __future__ import annotations

from typing import cast

from inhouse.api.moderations import wire
from inhouse.api.moderations.service import ModerationsService
from inhouse.api.operation import Request, operation
from inhouse.kit.errors import NotFound, Overloaded


class Moderations:
    def __init__(self, service: ModerationsService) -> None:
        self._service = service

    @operation("POST", "/moderations", id="createModeration", tag="Moderations", errors=(NotFound, Overloaded))
    async def create(self, request: Request, body: wire.CreateModerationRequest) -> wire.Moderation:
        """Score texts and images in categories of harm.

        A list of texts has a result for each text. A list of parts, texts and images, is one thing: it has one result.
        """
        # The official document knows the omni models' answer alone, and so does ours.
        return cast(wire.Moderation, await self._service.moderate(request, body))
