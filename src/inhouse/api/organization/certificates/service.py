"""Certificates of authorities: kept, listed, and marked as active. Nothing here checks the certificates of clients:
that is for what ends TLS before this server."""

from __future__ import annotations

import builtins
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from inhouse.access import Caller
from inhouse.access.audit import record
from inhouse.access.store import now
from inhouse.api.organization.certificates import wire
from inhouse.api.organization.certificates.reading import validity
from inhouse.api.organization.listing import page, seconds
from inhouse.api.organization.office import Office, active_project_of, not_found, project_of
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.ids import new_id
from inhouse.storage.database import lock
from inhouse.storage.schema import active_certificates, certificates


class CertificateService(Office):
    async def list(self, caller: Caller, query: wire.ListCertificatesQuery) -> wire.OrganizationCertificateList:
        rows, more = await self.read(lambda c: self._page(c, caller, caller.organization_id, query))
        data = [_organizations(row) for row in rows]
        return wire.OrganizationCertificateList(
            data=data, first_id=data[0].id if data else None, last_id=data[-1].id if data else None, has_more=more
        )

    async def list_project(
        self, caller: Caller, project_id: str, query: wire.ListCertificatesQuery
    ) -> wire.ProjectCertificateList:
        def work(connection: Connection) -> tuple[builtins.list[Row[Any]], bool]:
            project_of(connection, caller.organization_id, project_id)
            return self._page(connection, caller, project_id, query)

        rows, more = await self.read(work)
        data = [_projects(row) for row in rows]
        return wire.ProjectCertificateList(
            data=data, first_id=data[0].id if data else None, last_id=data[-1].id if data else None, has_more=more
        )

    async def upload(self, caller: Caller, body: wire.UploadCertificate) -> wire.Certificate:
        valid_at, expires_at = validity(body.certificate)

        def work(connection: Connection) -> wire.Certificate:
            id = new_id("cert_")
            connection.execute(
                insert(certificates).values(
                    id=id,
                    organization_id=caller.organization_id,
                    name=body.name,
                    content=body.certificate,
                    valid_at=valid_at * 1_000_000,
                    expires_at=expires_at * 1_000_000,
                    created_at=now(),
                )
            )
            self._record(connection, caller, "certificate.created", id, {"name": body.name or ""})
            return _certificate(_row(connection, caller, id))

        return await self.change(work)

    async def retrieve(self, caller: Caller, id: str, query: wire.RetrieveCertificateQuery) -> wire.Certificate:
        row = await self.read(lambda c: _row(c, caller, id))
        return _certificate(row, content="content" in (query.include or ()))

    async def update(self, caller: Caller, id: str, body: wire.UpdateCertificate) -> wire.Certificate:
        def work(connection: Connection) -> wire.Certificate:
            row = _row(connection, caller, id)
            if body.name is not None and body.name != row.name:
                connection.execute(update(certificates).where(certificates.c.id == id).values(name=body.name))
                self._record(connection, caller, "certificate.updated", id, {"name": body.name})
            return _certificate(_row(connection, caller, id))

        return await self.change(work)

    async def delete(self, caller: Caller, id: str) -> wire.CertificateDeleted:
        def work(connection: Connection) -> None:
            lock(connection, f"certificates {caller.organization_id}")
            row = _row(connection, caller, id)
            used = select(active_certificates.c.scope).where(active_certificates.c.certificate_id == id)
            if connection.execute(used).first() is not None:
                raise InvalidRequest(
                    "The certificate is active. Deactivate it everywhere first.", param="certificate_id"
                )
            connection.execute(delete(certificates).where(certificates.c.id == id))
            told = {"name": row.name or "", "certificate": row.content}
            self._record(connection, caller, "certificate.deleted", id, told)

        await self.change(work)
        return wire.CertificateDeleted(id=id)

    async def activate(self, caller: Caller, body: wire.ToggleCertificates) -> wire.OrganizationActivation:
        rows = await self._toggle(caller, None, body, on=True)
        return wire.OrganizationActivation(data=[_organizations(row) for row in rows])

    async def deactivate(self, caller: Caller, body: wire.ToggleCertificates) -> wire.OrganizationDeactivation:
        rows = await self._toggle(caller, None, body, on=False)
        return wire.OrganizationDeactivation(data=[_organizations(row) for row in rows])

    async def activate_project(
        self, caller: Caller, project_id: str, body: wire.ToggleCertificates
    ) -> wire.ProjectActivation:
        rows = await self._toggle(caller, project_id, body, on=True)
        return wire.ProjectActivation(data=[_projects(row) for row in rows])

    async def deactivate_project(
        self, caller: Caller, project_id: str, body: wire.ToggleCertificates
    ) -> wire.ProjectDeactivation:
        rows = await self._toggle(caller, project_id, body, on=False)
        return wire.ProjectDeactivation(data=[_projects(row) for row in rows])

    async def _toggle(
        self, caller: Caller, project_id: str | None, body: wire.ToggleCertificates, *, on: bool
    ) -> builtins.list[Row[Any]]:
        scope = project_id or caller.organization_id
        ids = builtins.list(dict.fromkeys(body.certificate_ids))

        def work(connection: Connection) -> builtins.list[Row[Any]]:
            lock(connection, f"certificates {caller.organization_id}")
            if project_id is not None:
                active_project_of(connection, caller.organization_id, project_id)
            changed = []
            for id in ids:
                row = _row(connection, caller, id, scope)
                if row.active == on:
                    continue
                changed.append({"id": id, "name": row.name or ""})
                if on:
                    connection.execute(insert(active_certificates).values(scope=scope, certificate_id=id))
                else:
                    mine = (active_certificates.c.scope == scope, active_certificates.c.certificate_id == id)
                    connection.execute(delete(active_certificates).where(*mine))
            if changed:
                event = "certificates.activated" if on else "certificates.deactivated"
                self._record(connection, caller, event, scope, {"certificates": changed}, project_id)
            return [_row(connection, caller, id, scope) for id in ids]

        return await self.change(work)

    def _page(
        self, connection: Connection, caller: Caller, scope: str, query: wire.ListCertificatesQuery
    ) -> tuple[builtins.list[Row[Any]], bool]:
        return page(
            connection,
            _rows(caller, scope),
            certificates.c.created_at,
            certificates.c.id,
            limit=query.limit,
            after=query.after,
            order=query.order,
        )

    def _record(
        self,
        connection: Connection,
        caller: Caller,
        event: str,
        id: str,
        told: dict[str, Any],
        project_id: str | None = None,
    ) -> None:
        record(connection, caller.organization_id, caller.actor, event, id, told, project_id=project_id)


def _rows(caller: Caller, scope: str = "") -> Any:
    active = (active_certificates.c.certificate_id == certificates.c.id) & (active_certificates.c.scope == scope)
    return (
        select(certificates, active_certificates.c.scope.is_not(None).label("active"))
        .outerjoin_from(certificates, active_certificates, active)
        .where(certificates.c.organization_id == caller.organization_id)
    )


def _row(connection: Connection, caller: Caller, id: str, scope: str = "") -> Row[Any]:
    row: Row[Any] | None = connection.execute(_rows(caller, scope).where(certificates.c.id == id)).first()
    if row is None:
        raise not_found("certificate", id)
    return row


def _validity(row: Row[Any]) -> wire.Validity:
    return wire.Validity(valid_at=seconds(row.valid_at), expires_at=seconds(row.expires_at))


def _certificate(row: Row[Any], *, content: bool = False) -> wire.Certificate:
    details = wire.Details(valid_at=seconds(row.valid_at), expires_at=seconds(row.expires_at))
    if content:
        details.content = row.content
    return wire.Certificate(id=row.id, name=row.name, created_at=seconds(row.created_at), certificate_details=details)


def _organizations(row: Row[Any]) -> wire.OrganizationCertificate:
    return wire.OrganizationCertificate(
        id=row.id,
        name=row.name,
        created_at=seconds(row.created_at),
        certificate_details=_validity(row),
        active=bool(row.active),
    )


def _projects(row: Row[Any]) -> wire.ProjectCertificate:
    return wire.ProjectCertificate(
        id=row.id,
        name=row.name,
        created_at=seconds(row.created_at),
        certificate_details=_validity(row),
        active=bool(row.active),
    )
