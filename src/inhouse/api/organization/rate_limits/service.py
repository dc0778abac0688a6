"""A project's rate limits: what its organization's tier allows, and what was lowered."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from sqlalchemy import Connection

from inhouse.access import Access, Caller
from inhouse.access.audit import record
from inhouse.api.organization.office import Office, active_project_of, not_found, project_of
from inhouse.api.organization.rate_limits import wire
from inhouse.catalog import Catalog
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.limits import Limits, store
from inhouse.limits.service import GroupLimits, check_lowered
from inhouse.storage.database import Database

PREFIX = "rl-"
NAMES = {
    "max_requests_per_1_minute": "rpm",
    "max_tokens_per_1_minute": "tpm",
    "max_images_per_1_minute": "ipm",
    "max_requests_per_1_day": "rpd",
    "batch_1_day_max_input_tokens": "batch",
}


class RateLimitService(Office):
    def __init__(self, database: Database, access: Access, catalog: Catalog, limits: Limits) -> None:
        super().__init__(database, access)
        self._catalog = catalog
        self._limits = limits

    async def list(self, caller: Caller, project_id: str, query: wire.ListRateLimitsQuery) -> wire.RateLimitList:
        found = [_shown(each) for each in await self._groups(caller, project_id)]
        places = {each.id: place for place, each in enumerate(found)}
        for name, id in (("after", query.after), ("before", query.before)):
            if id is not None and id not in places:
                raise NotFound(f"No such object: {id}", param=name)
        first = 0 if query.after is None else places[query.after] + 1
        last = len(found) if query.before is None else places[query.before]
        if query.before is not None and query.after is None:
            data, more = found[max(0, last - query.limit) : last], last > query.limit
        else:
            data, more = found[first : min(last, first + query.limit)], last - first > query.limit
        return wire.RateLimitList(
            data=data, first_id=data[0].id if data else None, last_id=data[-1].id if data else None, has_more=more
        )

    async def update(
        self, caller: Caller, project_id: str, rate_limit_id: str, body: wire.UpdateRateLimit
    ) -> wire.RateLimit:
        found = next(
            (each for each in await self._groups(caller, project_id) if PREFIX + each.group == rate_limit_id), None
        )
        if found is None:
            raise not_found("rate limit", rate_limit_id)
        if body.max_audio_megabytes_per_1_minute is not UNSET:
            raise InvalidRequest(
                "Audio is not limited by its size here.",
                param="max_audio_megabytes_per_1_minute",
                code="unsupported_parameter",
            )
        wanted = {name: value for name in NAMES if (value := getattr(body, name)) is not UNSET}
        for name, value in wanted.items():
            check_lowered(found, NAMES[name], value, param=name)

        def work(connection: Connection) -> None:
            active_project_of(connection, caller.organization_id, project_id)
            store.lock_project_limits(connection, project_id)
            own = dict(store.all_project_limits(connection, project_id).get((project_id, found.group), {}))
            before = dict(own)
            for name, value in wanted.items():
                own[NAMES[name]] = value
                if value == found.tier_value(NAMES[name]):
                    del own[NAMES[name]]
            if own == before:
                return
            store.set_project_limits(connection, project_id, found.group, own)
            told = {"changes_requested": wanted}
            record(
                connection,
                caller.organization_id,
                caller.actor,
                "rate_limit.updated",
                rate_limit_id,
                told,
                project_id=project_id,
            )

        await self.change(work)
        await self._limits.accounts.refresh()
        return _shown(next(each for each in await self._groups(caller, project_id) if each.group == found.group))

    async def _groups(self, caller: Caller, project_id: str) -> Any:
        await self.read(lambda c: project_of(c, caller.organization_id, project_id))
        return await self._limits.groups(caller.organization_id, project_id, self._catalog.cards)


def _shown(found: GroupLimits) -> wire.RateLimit:
    told: dict[str, Any] = {name: value for name, field in NAMES.items() if (value := found.value(field)) is not None}
    return wire.RateLimit(id=PREFIX + found.group, model=found.group, **told)
