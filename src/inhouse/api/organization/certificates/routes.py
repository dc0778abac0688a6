"""Certificates over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.organization.certificates import wire
from inhouse.api.organization.certificates.service import CertificateService
from inhouse.kit.errors import InvalidRequest, NotFound

_ALL = "/organization/certificates"
_ONE = _ALL + "/{certificate_id}"
_PROJECT = "/organization/projects/{project_id}/certificates"
_CHANGE = (InvalidRequest, NotFound)


class Certificates:
    def __init__(self, service: CertificateService) -> None:
        self._service = service

    @operation("GET", _ALL, id="listOrganizationCertificates", tag="Certificates", errors=(NotFound,))
    async def list(self, request: Request, query: wire.ListCertificatesQuery) -> wire.OrganizationCertificateList:
        """List the organization's certificates."""
        return await self._service.list(request.caller, query)

    @operation("POST", _ALL, id="uploadCertificate", tag="Certificates", errors=(InvalidRequest,))
    async def upload(self, request: Request, body: wire.UploadCertificate) -> wire.Certificate:
        """Upload the certificate of an authority.

        It is kept, not enforced: what ends TLS before this server checks the certificates of clients.
        """
        return await self._service.upload(request.caller, body)

    @operation("POST", _ALL + "/activate", id="activateOrganizationCertificates", tag="Certificates", errors=_CHANGE)
    async def activate(self, request: Request, body: wire.ToggleCertificates) -> wire.OrganizationActivation:
        """Mark certificates as active in the organization."""
        return await self._service.activate(request.caller, body)

    @operation(
        "POST", _ALL + "/deactivate", id="deactivateOrganizationCertificates", tag="Certificates", errors=_CHANGE
    )
    async def deactivate(self, request: Request, body: wire.ToggleCertificates) -> wire.OrganizationDeactivation:
        """Mark certificates as no longer active in the organization."""
        return await self._service.deactivate(request.caller, body)

    @operation("GET", _ONE, id="getCertificate", tag="Certificates", errors=(NotFound,))
    async def retrieve(
        self, request: Request, certificate_id: str, query: wire.RetrieveCertificateQuery
    ) -> wire.Certificate:
        """Get a certificate."""
        return await self._service.retrieve(request.caller, certificate_id, query)

    @operation("POST", _ONE, id="modifyCertificate", tag="Certificates", errors=_CHANGE)
    async def update(self, request: Request, certificate_id: str, body: wire.UpdateCertificate) -> wire.Certificate:
        """Rename a certificate."""
        return await self._service.update(request.caller, certificate_id, body)

    @operation("DELETE", _ONE, id="deleteCertificate", tag="Certificates", errors=_CHANGE)
    async def delete(self, request: Request, certificate_id: str) -> wire.CertificateDeleted:
        """Remove a certificate that is active nowhere."""
        return await self._service.delete(request.caller, certificate_id)


class ProjectCertificates:
    def __init__(self, service: CertificateService) -> None:
        self._service = service

    @operation("GET", _PROJECT, id="listProjectCertificates", tag="Certificates", errors=(NotFound,))
    async def list(
        self, request: Request, project_id: str, query: wire.ListCertificatesQuery
    ) -> wire.ProjectCertificateList:
        """List the certificates, with those active in a project marked."""
        return await self._service.list_project(request.caller, project_id, query)

    @operation("POST", _PROJECT + "/activate", id="activateProjectCertificates", tag="Certificates", errors=_CHANGE)
    async def activate(
        self, request: Request, project_id: str, body: wire.ToggleCertificates
    ) -> wire.ProjectActivation:
        """Mark certificates as active in a project."""
        return await self._service.activate_project(request.caller, project_id, body)

    @operation("POST", _PROJECT + "/deactivate", id="deactivateProjectCertificates", tag="Certificates", errors=_CHANGE)
    async def deactivate(
        self, request: Request, project_id: str, body: wire.ToggleCertificates
    ) -> wire.ProjectDeactivation:
        """Mark certificates as no longer active in a project."""
        return await self._service.deactivate_project(request.caller, project_id, body)
