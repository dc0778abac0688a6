"""Projects: list, make, rename, archive."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from inhouse.access import Caller
from inhouse.access import Project as Row
from inhouse.access.audit import record
from inhouse.access.store import insert_project, now
from inhouse.api.organization.listing import page, seconds, seconds_or_none
from inhouse.api.organization.office import Office, active_project_of, default_project_id, project_of
from inhouse.api.organization.projects import wire
from inhouse.kit.errors import InvalidRequest
from inhouse.storage.schema import projects


class ProjectService(Office):
    async def list(self, caller: Caller, query: wire.ListProjectsQuery) -> wire.ProjectList:
        wanted = select(*(projects.c[name] for name in Row.__struct_fields__)).where(
            projects.c.organization_id == caller.organization_id
        )
        if not query.include_archived:
            wanted = wanted.where(projects.c.archived_at.is_(None))
        rows, more = await self.read(
            lambda c: page(c, wanted, projects.c.created_at, projects.c.id, limit=query.limit, after=query.after)
        )
        data = [_shown(Row(**row._mapping)) for row in rows]
        return wire.ProjectList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=more,
        )

    async def create(self, caller: Caller, body: wire.CreateProject) -> wire.Project:
        _refuse_external_key(body.external_key_id)
        if body.residency not in (None, "GLOBAL"):
            raise InvalidRequest(
                f"Invalid 'residency': {body.residency} is not offered here. Everything stays on this server's "
                "machines; use GLOBAL.",
                param="residency",
                code="unsupported_value",
            )

        def work(connection: Connection) -> Row:
            made = insert_project(connection, caller.organization_id, body.name)
            told = {"data": {"name": body.name, "title": body.name}}
            record(
                connection, caller.organization_id, caller.actor, "project.created", made.id, told, project_id=made.id
            )
            return made

        return _shown(await self.change(work))

    async def retrieve(self, caller: Caller, project_id: str) -> wire.Project:
        return _shown(await self.read(lambda c: project_of(c, caller.organization_id, project_id)))

    async def update(self, caller: Caller, project_id: str, body: wire.UpdateProject) -> wire.Project:
        _refuse_external_key(body.external_key_id)

        def work(connection: Connection) -> Row:
            project = active_project_of(connection, caller.organization_id, project_id)
            if body.name is None or body.name == project.name:
                return project
            connection.execute(update(projects).where(projects.c.id == project_id).values(name=body.name))
            told = {"changes_requested": {"title": body.name}}
            record(
                connection,
                caller.organization_id,
                caller.actor,
                "project.updated",
                project_id,
                told,
                project_id=project_id,
            )
            return project_of(connection, caller.organization_id, project_id)

        return _shown(await self.change(work))

    async def archive(self, caller: Caller, project_id: str) -> wire.Project:
        """Its keys end with it, for good. Archiving again changes nothing."""

        def work(connection: Connection) -> Row:
            project = project_of(connection, caller.organization_id, project_id)
            if project.archived_at is not None:
                return project
            if project_id == default_project_id(connection, caller.organization_id):
                raise InvalidRequest("The default project cannot be archived.", param="project_id")
            connection.execute(update(projects).where(projects.c.id == project_id).values(archived_at=now()))
            record(
                connection,
                caller.organization_id,
                caller.actor,
                "project.archived",
                project_id,
                project_id=project_id,
            )
            return project_of(connection, caller.organization_id, project_id)

        return _shown(await self.change(work))


def _refuse_external_key(external_key_id: str | None) -> None:
    if external_key_id is not None:
        raise InvalidRequest(
            "External keys are not offered here.", param="external_key_id", code="unsupported_parameter"
        )


def _shown(project: Row) -> wire.Project:
    return wire.Project(
        id=project.id,
        name=project.name,
        created_at=seconds(project.created_at),
        archived_at=seconds_or_none(project.archived_at),
        status="active" if project.archived_at is None else "archived",
    )
