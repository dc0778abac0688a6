"""Shapes of the operations on spend limits and alerts. Amounts are in cents."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from inhouse.api.organization.listing import Order
from inhouse.api.wire import Deleted, Page, RequestObject, ResponseObject, doc

Cents = Annotated[int, Meta(ge=0, le=10**13)]
Address = Annotated[str, Meta(min_length=3, max_length=254)]


class SetLimit(RequestObject, kw_only=True):
    """The limit to set in place of any that is there."""

    threshold_amount: Annotated[Annotated[int, Meta(ge=1, le=10**13)], doc("Cents in a month.")]
    currency: Annotated[Literal["USD"], doc("Always `USD`.")]
    interval: Annotated[Literal["month"], doc("Always `month`: of UTC.")]


class Enforcement(ResponseObject, kw_only=True):
    """Whether a limit stops requests now."""

    status: Annotated[str | Literal["inactive", "enforcing"], doc("`enforcing` once the month's limit is spent.")]


class Limit(ResponseObject, kw_only=True):
    threshold_amount: Annotated[int, doc("Cents in a month.")]
    currency: Annotated[str | Literal["USD"], doc("Always `USD`.")] = "USD"
    interval: Annotated[str | Literal["month"], doc("Always `month`.")] = "month"
    enforcement: Annotated[Enforcement, doc("Whether it stops requests now.")]


class OrganizationLimit(Limit, kw_only=True):
    """What an organization may spend in a month. Requests beyond are refused with `insufficient_quota`."""

    object: Annotated[Literal["organization.spend_limit"], doc("Always `organization.spend_limit`.")] = (
        "organization.spend_limit"
    )


class ProjectLimit(Limit, kw_only=True):
    """What a project may spend in a month. Requests beyond are refused with `insufficient_quota`."""

    object: Annotated[Literal["project.spend_limit"], doc("Always `project.spend_limit`.")] = "project.spend_limit"


class OrganizationLimitDeleted(ResponseObject, kw_only=True):
    """The limit is lifted."""

    object: Annotated[
        Literal["organization.spend_limit.deleted"], doc("Always `organization.spend_limit.deleted`.")
    ] = "organization.spend_limit.deleted"
    deleted: Annotated[bool, doc("Always true.")] = True


class ProjectLimitDeleted(ResponseObject, kw_only=True):
    """The limit is lifted."""

    object: Annotated[Literal["project.spend_limit.deleted"], doc("Always `project.spend_limit.deleted`.")] = (
        "project.spend_limit.deleted"
    )
    deleted: Annotated[bool, doc("Always true.")] = True


class Channel(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whom an alert is for. This server writes alerts to its log and its database; it sends no mail."""

    type: Annotated[Literal["email"], doc("Always `email`.")]
    recipients: Annotated[Annotated[list[Address], Meta(max_length=100)], doc("Addresses.")]
    subject_prefix: Annotated[Annotated[str, Meta(max_length=200)] | None, doc("Put before the subject.")] = None


class SetAlert(RequestObject, kw_only=True):
    """An alert, whole."""

    threshold_amount: Annotated[Cents, doc("Cents in a month.")]
    currency: Annotated[Literal["USD"], doc("Always `USD`.")]
    interval: Annotated[Literal["month"], doc("Always `month`: of UTC.")]
    notification_channel: Annotated[Channel, doc("Whom to tell.")]


class Alert(ResponseObject, kw_only=True):
    id: Annotated[str, doc("Its id.")]
    threshold_amount: Annotated[int, doc("Cents in a month.")]
    currency: Annotated[Literal["USD"], doc("Always `USD`.")] = "USD"
    interval: Annotated[Literal["month"], doc("Always `month`.")] = "month"
    notification_channel: Annotated[Channel, doc("Whom to tell.")]


class OrganizationAlert(Alert, kw_only=True):
    """Told once a month, when the organization has spent this much. It stops nothing."""

    object: Annotated[Literal["organization.spend_alert"], doc("Always `organization.spend_alert`.")] = (
        "organization.spend_alert"
    )


class ProjectAlert(Alert, kw_only=True):
    """Told once a month, when the project has spent this much. It stops nothing."""

    object: Annotated[Literal["project.spend_alert"], doc("Always `project.spend_alert`.")] = "project.spend_alert"


class OrganizationAlertList(Page[OrganizationAlert], kw_only=True):
    """A page of alerts."""


class ProjectAlertList(Page[ProjectAlert], kw_only=True):
    """A page of alerts."""


class OrganizationAlertDeleted(Deleted, kw_only=True):
    """An alert that is gone."""

    object: Annotated[
        Literal["organization.spend_alert.deleted"], doc("Always `organization.spend_alert.deleted`.")
    ] = "organization.spend_alert.deleted"


class ProjectAlertDeleted(Deleted, kw_only=True):
    """An alert that is gone."""

    object: Annotated[Literal["project.spend_alert.deleted"], doc("Always `project.spend_alert.deleted`.")] = (
        "project.spend_alert.deleted"
    )


class ListAlertsQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which page."""

    limit: Annotated[Annotated[int, Meta(ge=0, le=100)], doc("Alerts in a page.")] = 20
    order: Annotated[Order, doc("By time of creation.")] = "asc"
    after: Annotated[str | None, doc("Id of the last alert of the page before.")] = None
    before: Annotated[str | None, doc("Id of the first alert of the page after.")] = None
