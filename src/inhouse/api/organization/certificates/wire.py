"""Shapes of the operations on certificates."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from inhouse.api.organization.listing import ListQuery, Order
from inhouse.api.wire import Page, RequestObject, ResponseObject, doc

Name = Annotated[str, Meta(min_length=1, max_length=256)]


class Validity(ResponseObject, kw_only=True):
    """What stands in a certificate."""

    valid_at: Annotated[int, doc("From when it is valid, in Unix seconds.")]
    expires_at: Annotated[int, doc("When it expires, in Unix seconds.")]


class Details(Validity, kw_only=True):
    """What stands in a certificate, and on request the certificate itself."""

    content: Annotated[str | UnsetType, doc("In PEM, where it was asked for.")] = UNSET


class Certificate(ResponseObject, kw_only=True):
    """A certificate that was uploaded."""

    object: Annotated[
        Literal["certificate", "organization.certificate", "organization.project.certificate"],
        doc("Always `certificate`."),
    ] = "certificate"
    id: Annotated[str, doc("Its id.")]
    name: Annotated[str | None, doc("Its name.")]
    created_at: Annotated[int, doc("When it was uploaded, in Unix seconds.")]
    certificate_details: Annotated[Details, doc("What stands in it.")]
    active: Annotated[bool | UnsetType, doc("Told in lists alone.")] = UNSET


class OrganizationCertificate(ResponseObject, kw_only=True):
    """A certificate, and whether it is active in the organization."""

    object: Annotated[Literal["organization.certificate"], doc("Always `organization.certificate`.")] = (
        "organization.certificate"
    )
    id: Annotated[str, doc("Its id.")]
    name: Annotated[str | None, doc("Its name.")]
    created_at: Annotated[int, doc("When it was uploaded, in Unix seconds.")]
    certificate_details: Annotated[Validity, doc("What stands in it.")]
    active: Annotated[bool, doc("Whether it is active in the organization.")]


class ProjectCertificate(ResponseObject, kw_only=True):
    """A certificate, and whether it is active in a project."""

    object: Annotated[
        Literal["organization.project.certificate"], doc("Always `organization.project.certificate`.")
    ] = "organization.project.certificate"
    id: Annotated[str, doc("Its id.")]
    name: Annotated[str | None, doc("Its name.")]
    created_at: Annotated[int, doc("When it was uploaded, in Unix seconds.")]
    certificate_details: Annotated[Validity, doc("What stands in it.")]
    active: Annotated[bool, doc("Whether it is active in the project.")]


class OrganizationCertificateList(Page[OrganizationCertificate], kw_only=True):
    """A page of certificates."""


class ProjectCertificateList(Page[ProjectCertificate], kw_only=True):
    """A page of certificates."""


class ListCertificatesQuery(ListQuery, kw_only=True, forbid_unknown_fields=True):
    """Which certificates."""

    order: Annotated[Order, doc("By when they were uploaded.")] = "desc"


class RetrieveCertificateQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to tell."""

    include: Annotated[list[Literal["content"]] | None, doc("The certificate itself, too.")] = None


class UploadCertificate(RequestObject, kw_only=True):
    """A certificate of an authority."""

    certificate: Annotated[Annotated[str, Meta(min_length=1, max_length=65536)], doc("In PEM; one, of an authority.")]
    name: Annotated[Name | None, doc("Its name.")] = None


class UpdateCertificate(RequestObject, kw_only=True):
    """What is to change."""

    name: Annotated[Name | None, doc("Its new name.")] = None


class ToggleCertificates(RequestObject, kw_only=True):
    """Certificates to be made active, or no longer."""

    certificate_ids: Annotated[
        Annotated[list[str], Meta(min_length=1, max_length=10)], doc("Their ids: all of them, or none, are changed.")
    ]


class OrganizationActivation(ResponseObject, kw_only=True):
    """Certificates that are active in the organization now."""

    object: Annotated[
        Literal["organization.certificate.activation"], doc("Always `organization.certificate.activation`.")
    ] = "organization.certificate.activation"
    data: Annotated[list[OrganizationCertificate], doc("The certificates.")]


class OrganizationDeactivation(ResponseObject, kw_only=True):
    """Certificates that are no longer active in the organization."""

    object: Annotated[
        Literal["organization.certificate.deactivation"], doc("Always `organization.certificate.deactivation`.")
    ] = "organization.certificate.deactivation"
    data: Annotated[list[OrganizationCertificate], doc("The certificates.")]


class ProjectActivation(ResponseObject, kw_only=True):
    """Certificates that are active in the project now."""

    object: Annotated[
        Literal["organization.project.certificate.activation"],
        doc("Always `organization.project.certificate.activation`."),
    ] = "organization.project.certificate.activation"
    data: Annotated[list[ProjectCertificate], doc("The certificates.")]


class ProjectDeactivation(ResponseObject, kw_only=True):
    """Certificates that are no longer active in the project."""

    object: Annotated[
        Literal["organization.project.certificate.deactivation"],
        doc("Always `organization.project.certificate.deactivation`."),
    ] = "organization.project.certificate.deactivation"
    data: Annotated[list[ProjectCertificate], doc("The certificates.")]


class CertificateDeleted(ResponseObject, kw_only=True):
    """A certificate that is gone."""

    object: Annotated[Literal["certificate.deleted"], doc("Always `certificate.deleted`.")] = "certificate.deleted"
    id: Annotated[str, doc("Its id.")]
