"""What projects allow: which models and hosted tools, and what is kept. See ``access.policies`` for the effect."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, insert, update

from inhouse.access import Access, Caller
from inhouse.access.audit import record
from inhouse.access.policies import DEFAULT_RETENTION, HOSTED_TOOLS, Guardrail, Retention, stored
from inhouse.api.organization.office import Office, active_project_of, project_of
from inhouse.api.organization.policies import wire
from inhouse.catalog import Catalog
from inhouse.kit.errors import NotFound
from inhouse.storage.database import Database, lock
from inhouse.storage.schema import policies


class PolicyService(Office):
    """
    Args:
        catalog: with the moderation models.
    """

    def __init__(self, database: Database, access: Access, catalog: Catalog) -> None:
        super().__init__(database, access)
        self._catalog = catalog

    async def guardrails(self, caller: Caller, project_id: str) -> wire.Guardrails:
        def work(connection: Connection) -> wire.Guardrails:
            project_of(connection, caller.organization_id, project_id)
            return _guardrails(stored(connection, project_id).guardrail)

        return await self.read(work)

    async def set_guardrails(self, caller: Caller, project_id: str, body: wire.UpdateGuardrails) -> wire.Guardrails:
        """
        Raises:
            NotFound: no such project or moderation model.
        """
        self._catalog.resolve(body.model, "moderation")
        thresholds: dict[str, float] = {str(name): score for name, score in (body.thresholds or {}).items()}
        categories = None if body.categories is None else tuple(dict.fromkeys(body.categories))
        wanted = Guardrail(body.model, body.input, body.output, categories, thresholds)
        off = body.input == body.output == "off"

        def work(connection: Connection) -> None:
            active_project_of(connection, caller.organization_id, project_id)
            self._set(connection, caller, project_id, guardrail=None if off else msgspec.to_builtins(wanted))

        await self.change(work)
        return _guardrails(None if off else wanted)

    async def retention(self, caller: Caller) -> wire.OrganizationRetention:
        found = await self.read(lambda c: stored(c, caller.organization_id))
        return wire.OrganizationRetention(type=_organizations(found.retention))

    async def set_retention(self, caller: Caller, body: wire.UpdateOrganizationRetention) -> wire.OrganizationRetention:
        def work(connection: Connection) -> None:
            self._set(connection, caller, None, retention=body.retention_type)

        await self.change(work)
        return wire.OrganizationRetention(type=body.retention_type)

    async def project_retention(self, caller: Caller, project_id: str) -> wire.ProjectDataRetention:
        def work(connection: Connection) -> wire.ProjectDataRetention:
            project_of(connection, caller.organization_id, project_id)
            return wire.ProjectDataRetention(type=stored(connection, project_id).retention or "organization_default")

        return await self.read(work)

    async def set_project_retention(
        self, caller: Caller, project_id: str, body: wire.UpdateProjectRetention
    ) -> wire.ProjectDataRetention:
        def work(connection: Connection) -> None:
            active_project_of(connection, caller.organization_id, project_id)
            self._set(connection, caller, project_id, retention=body.retention_type)

        await self.change(work)
        return wire.ProjectDataRetention(type=body.retention_type)

    async def tools(self, caller: Caller, project_id: str) -> wire.HostedToolPermissions:
        def work(connection: Connection) -> wire.HostedToolPermissions:
            project_of(connection, caller.organization_id, project_id)
            return _tools(stored(connection, project_id).tools_off)

        return await self.read(work)

    async def set_tools(
        self, caller: Caller, project_id: str, body: wire.UpdateHostedTools
    ) -> wire.HostedToolPermissions:
        def work(connection: Connection) -> wire.HostedToolPermissions:
            active_project_of(connection, caller.organization_id, project_id)
            lock(connection, f"policy {project_id}")
            off = set(stored(connection, project_id).tools_off)
            for tool in HOSTED_TOOLS:
                wanted: wire.HostedToolUpdate | None = getattr(body, tool)
                if wanted is not None:
                    (off.discard if wanted.enabled else off.add)(tool)
            self._set(connection, caller, project_id, tools_off=sorted(off) or None)
            return _tools(tuple(off))

        return await self.change(work)

    async def models(self, caller: Caller, project_id: str) -> wire.ModelPermissions:
        """
        Raises:
            NotFound: the project may use every model.
        """

        def work(connection: Connection) -> wire.ModelPermissions:
            project_of(connection, caller.organization_id, project_id)
            found = stored(connection, project_id)
            if found.model_mode is None:
                raise _no_models(project_id)
            return wire.ModelPermissions(mode=found.model_mode, model_ids=list(found.models))

        return await self.read(work)

    async def set_models(
        self, caller: Caller, project_id: str, body: wire.UpdateModelPermissions
    ) -> wire.ModelPermissions:
        models = list(dict.fromkeys(body.model_ids))

        def work(connection: Connection) -> None:
            active_project_of(connection, caller.organization_id, project_id)
            self._set(connection, caller, project_id, model_mode=body.mode, models=models)

        await self.change(work)
        return wire.ModelPermissions(mode=body.mode, model_ids=models)

    async def delete_models(self, caller: Caller, project_id: str) -> wire.ModelPermissionsDeleted:
        def work(connection: Connection) -> None:
            active_project_of(connection, caller.organization_id, project_id)
            if stored(connection, project_id).model_mode is None:
                raise _no_models(project_id)
            self._set(connection, caller, project_id, model_mode=None, models=None)

        await self.change(work)
        return wire.ModelPermissionsDeleted()

    def _set(self, connection: Connection, caller: Caller, project_id: str | None, **values: Any) -> None:
        scope = project_id or caller.organization_id
        lock(connection, f"policy {scope}")
        row = {
            name: msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value
            for name, value in values.items()
        }
        if connection.execute(update(policies).where(policies.c.scope == scope).values(row)).rowcount == 0:
            connection.execute(insert(policies).values(scope=scope, **row))
        # The official log has no types for these changes; their details are kept under the nearest one.
        event = "organization.updated" if project_id is None else "project.updated"
        told = {"changes_requested": values}
        record(connection, caller.organization_id, caller.actor, event, scope, told, project_id=project_id)


def _no_models(project_id: str) -> NotFound:
    return NotFound(f"Project {project_id} has no model permissions: it may use every model.")


def _guardrails(found: Guardrail | None) -> wire.Guardrails:
    found = found or Guardrail()
    return wire.Guardrails(
        input=found.input,
        output=found.output,
        model=found.model,
        categories=None if found.categories is None else list(found.categories),
        thresholds=found.thresholds,
    )


def _organizations(retention: Any) -> Retention:
    found: Retention = retention or DEFAULT_RETENTION
    return found


def _tools(off: tuple[str, ...]) -> wire.HostedToolPermissions:
    return wire.HostedToolPermissions(
        **{tool: wire.HostedToolPermission(enabled=tool not in off) for tool in HOSTED_TOOLS}
    )
