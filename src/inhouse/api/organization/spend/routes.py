"""Spend limits and alerts over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.organization.spend import wire
from inhouse.api.organization.spend.service import SpendService
from inhouse.kit.errors import NotFound

_ORGANIZATION = "/organization"
_PROJECT = "/organization/projects/{project_id}"
_LIMITS, _ALERTS = "Spend limits", "Spend alerts"


class SpendLimits:
    def __init__(self, service: SpendService) -> None:
        self._service = service

    @operation("GET", _ORGANIZATION + "/spend_limit", id="Getorganizationspendlimit", tag=_LIMITS, errors=(NotFound,))
    async def retrieve(self, request: Request) -> wire.OrganizationLimit:
        """Get the organization's monthly limit."""
        cents, enforcement = await self._service.limit(request.caller, "")
        return wire.OrganizationLimit(threshold_amount=cents, enforcement=enforcement)

    @operation("POST", _ORGANIZATION + "/spend_limit", id="Updateorganizationspendlimit", tag=_LIMITS)
    async def update(self, request: Request, body: wire.SetLimit) -> wire.OrganizationLimit:
        """Set the organization's monthly limit.

        Requests that could cost more than is left of it are refused with `insufficient_quota`.
        """
        cents, enforcement = await self._service.set_limit(request.caller, "", body.threshold_amount)
        return wire.OrganizationLimit(threshold_amount=cents, enforcement=enforcement)

    @operation(
        "DELETE", _ORGANIZATION + "/spend_limit", id="Deleteorganizationspendlimit", tag=_LIMITS, errors=(NotFound,)
    )
    async def delete(self, request: Request) -> wire.OrganizationLimitDeleted:
        """Lift the organization's monthly limit."""
        await self._service.delete_limit(request.caller, "")
        return wire.OrganizationLimitDeleted()

    @operation("GET", _PROJECT + "/spend_limit", id="Getprojectspendlimit", tag=_LIMITS, errors=(NotFound,))
    async def retrieve_of_project(self, request: Request, project_id: str) -> wire.ProjectLimit:
        """Get a project's monthly limit."""
        cents, enforcement = await self._service.limit(request.caller, project_id)
        return wire.ProjectLimit(threshold_amount=cents, enforcement=enforcement)

    @operation("POST", _PROJECT + "/spend_limit", id="Updateprojectspendlimit", tag=_LIMITS, errors=(NotFound,))
    async def update_of_project(self, request: Request, project_id: str, body: wire.SetLimit) -> wire.ProjectLimit:
        """Set a project's monthly limit."""
        cents, enforcement = await self._service.set_limit(request.caller, project_id, body.threshold_amount)
        return wire.ProjectLimit(threshold_amount=cents, enforcement=enforcement)

    @operation("DELETE", _PROJECT + "/spend_limit", id="Deleteprojectspendlimit", tag=_LIMITS, errors=(NotFound,))
    async def delete_of_project(self, request: Request, project_id: str) -> wire.ProjectLimitDeleted:
        """Lift a project's monthly limit."""
        await self._service.delete_limit(request.caller, project_id)
        return wire.ProjectLimitDeleted()


class SpendAlerts:
    def __init__(self, service: SpendService) -> None:
        self._service = service

    @operation(
        "GET", _ORGANIZATION + "/spend_alerts", id="list-organization-spend-alerts", tag=_ALERTS, errors=(NotFound,)
    )
    async def list(self, request: Request, query: wire.ListAlertsQuery) -> wire.OrganizationAlertList:
        """List the organization's alerts."""
        found, more = await self._service.alerts(request.caller, "", query)
        return wire.OrganizationAlertList(
            data=[wire.OrganizationAlert(**each) for each in found],
            first_id=found[0]["id"] if found else None,
            last_id=found[-1]["id"] if found else None,
            has_more=more,
        )

    @operation("POST", _ORGANIZATION + "/spend_alerts", id="create-organization-spend-alert", tag=_ALERTS)
    async def create(self, request: Request, body: wire.SetAlert) -> wire.OrganizationAlert:
        """Be told when the organization has spent so much in a month."""
        return wire.OrganizationAlert(**await self._service.create_alert(request.caller, "", body))

    @operation(
        "GET",
        _ORGANIZATION + "/spend_alerts/{alert_id}",
        id="retrieve-organization-spend-alert",
        tag=_ALERTS,
        errors=(NotFound,),
    )
    async def retrieve(self, request: Request, alert_id: str) -> wire.OrganizationAlert:
        """Get an alert of the organization."""
        return wire.OrganizationAlert(**await self._service.alert(request.caller, "", alert_id))

    @operation(
        "POST",
        _ORGANIZATION + "/spend_alerts/{alert_id}",
        id="update-organization-spend-alert",
        tag=_ALERTS,
        errors=(NotFound,),
    )
    async def update(self, request: Request, alert_id: str, body: wire.SetAlert) -> wire.OrganizationAlert:
        """Change an alert of the organization."""
        return wire.OrganizationAlert(**await self._service.update_alert(request.caller, "", alert_id, body))

    @operation(
        "DELETE",
        _ORGANIZATION + "/spend_alerts/{alert_id}",
        id="delete-organization-spend-alert",
        tag=_ALERTS,
        errors=(NotFound,),
    )
    async def delete(self, request: Request, alert_id: str) -> wire.OrganizationAlertDeleted:
        """Remove an alert of the organization."""
        await self._service.delete_alert(request.caller, "", alert_id)
        return wire.OrganizationAlertDeleted(id=alert_id)

    @operation("GET", _PROJECT + "/spend_alerts", id="list-project-spend-alerts", tag=_ALERTS, errors=(NotFound,))
    async def list_of_project(
        self, request: Request, project_id: str, query: wire.ListAlertsQuery
    ) -> wire.ProjectAlertList:
        """List a project's alerts."""
        found, more = await self._service.alerts(request.caller, project_id, query)
        return wire.ProjectAlertList(
            data=[wire.ProjectAlert(**each) for each in found],
            first_id=found[0]["id"] if found else None,
            last_id=found[-1]["id"] if found else None,
            has_more=more,
        )

    @operation("POST", _PROJECT + "/spend_alerts", id="create-project-spend-alert", tag=_ALERTS, errors=(NotFound,))
    async def create_of_project(self, request: Request, project_id: str, body: wire.SetAlert) -> wire.ProjectAlert:
        """Be told when a project has spent so much in a month."""
        return wire.ProjectAlert(**await self._service.create_alert(request.caller, project_id, body))

    @operation(
        "GET",
        _PROJECT + "/spend_alerts/{alert_id}",
        id="retrieve-project-spend-alert",
        tag=_ALERTS,
        errors=(NotFound,),
    )
    async def retrieve_of_project(self, request: Request, project_id: str, alert_id: str) -> wire.ProjectAlert:
        """Get an alert of a project."""
        return wire.ProjectAlert(**await self._service.alert(request.caller, project_id, alert_id))

    @operation(
        "POST",
        _PROJECT + "/spend_alerts/{alert_id}",
        id="update-project-spend-alert",
        tag=_ALERTS,
        errors=(NotFound,),
    )
    async def update_of_project(
        self, request: Request, project_id: str, alert_id: str, body: wire.SetAlert
    ) -> wire.ProjectAlert:
        """Change an alert of a project."""
        return wire.ProjectAlert(**await self._service.update_alert(request.caller, project_id, alert_id, body))

    @operation(
        "DELETE",
        _PROJECT + "/spend_alerts/{alert_id}",
        id="delete-project-spend-alert",
        tag=_ALERTS,
        errors=(NotFound,),
    )
    async def delete_of_project(self, request: Request, project_id: str, alert_id: str) -> wire.ProjectAlertDeleted:
        """Remove an alert of a project."""
        await self._service.delete_alert(request.caller, project_id, alert_id)
        return wire.ProjectAlertDeleted(id=alert_id)
