"""A project's rate limits over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.organization.rate_limits import wire
from inhouse.api.organization.rate_limits.service import RateLimitService
from inhouse.kit.errors import InvalidRequest, NotFound

_LIMITS = "/organization/projects/{project_id}/rate_limits"


class RateLimits:
    def __init__(self, service: RateLimitService) -> None:
        self._service = service

    @operation("GET", _LIMITS, id="list-project-rate-limits", tag="Projects", errors=(NotFound,))
    async def list(self, request: Request, project_id: str, query: wire.ListRateLimitsQuery) -> wire.RateLimitList:
        """List what a project may use of each family of models."""
        return await self._service.list(request.caller, project_id, query)

    @operation(
        "POST",
        _LIMITS + "/{rate_limit_id}",
        id="update-project-rate-limits",
        tag="Projects",
        errors=(InvalidRequest, NotFound),
    )
    async def update(
        self, request: Request, project_id: str, rate_limit_id: str, body: wire.UpdateRateLimit
    ) -> wire.RateLimit:
        """Lower what a project may use of a family of models, or give it back.

        In force at once; in other processes that share the database, within seconds.
        """
        return await self._service.update(request.caller, project_id, rate_limit_id, body)
