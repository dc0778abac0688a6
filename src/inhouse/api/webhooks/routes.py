"""Webhook endpoints over HTTP."""

from __future__ import annotations

from typing import Any

from inhouse.api.operation import Request, operation
from inhouse.api.webhooks import wire
from inhouse.kit.errors import NotFound
from inhouse.webhooks import EVENT_TYPES, Endpoint, NotReached, Webhooks

ENDPOINT = "/webhook_endpoints/{webhook_endpoint_id}"
TAG = "Webhooks"


class WebhookEndpoints:
    def __init__(self, service: Webhooks) -> None:
        self._service = service

    @operation("POST", "/webhook_endpoints", id="createWebhookEndpoint", tag=TAG)
    async def create(self, request: Request, body: wire.CreateEndpoint) -> wire.WebhookEndpointWithSecret:
        """Make an endpoint.

        The answer has its signing secret, which is not told again.
        """
        caller = request.caller
        made = await self._service.create(
            caller.organization_id, caller.project_id, name=body.name, url=body.url, event_types=body.event_types
        )
        return wire.WebhookEndpointWithSecret(**_fields(made.endpoint), signing_secret=made.secret)

    @operation("GET", "/webhook_endpoints", id="listWebhookEndpoints", tag=TAG, errors=(NotFound,))
    async def list_endpoints(self, request: Request, query: wire.ListEndpointsQuery) -> wire.WebhookEndpointList:
        """List the endpoints of the project."""
        found, more = await self._service.endpoints(request.caller.project_id, after=query.after, limit=query.limit)
        return wire.WebhookEndpointList(
            data=[wire.WebhookEndpoint(**_fields(each)) for each in found],
            first_id=found[0].id if found else None,
            last_id=found[-1].id if found else None,
            has_more=more,
        )

    @operation("GET", ENDPOINT, id="getWebhookEndpoint", tag=TAG, errors=(NotFound,))
    async def retrieve(self, request: Request, webhook_endpoint_id: str) -> wire.WebhookEndpoint:
        """Get an endpoint."""
        found = await self._service.retrieve(request.caller.project_id, webhook_endpoint_id)
        return wire.WebhookEndpoint(**_fields(found))

    @operation("POST", ENDPOINT, id="updateWebhookEndpoint", tag=TAG, errors=(NotFound,))
    async def update(
        self, request: Request, webhook_endpoint_id: str, body: wire.UpdateEndpoint
    ) -> wire.WebhookEndpoint:
        """Change an endpoint.

        One that was disabled because it answered 410 is enabled again.
        """
        changed = await self._service.update(
            request.caller.project_id,
            webhook_endpoint_id,
            name=body.name,
            url=body.url,
            event_types=body.event_types,
        )
        return wire.WebhookEndpoint(**_fields(changed))

    @operation("DELETE", ENDPOINT, id="deleteWebhookEndpoint", tag=TAG, errors=(NotFound,))
    async def delete(self, request: Request, webhook_endpoint_id: str) -> wire.WebhookEndpointDeleted:
        """Delete an endpoint."""
        await self._service.delete(request.caller.project_id, webhook_endpoint_id)
        return wire.WebhookEndpointDeleted(id=webhook_endpoint_id)

    @operation("POST", f"{ENDPOINT}/rotate_secret", id="rotateWebhookEndpointSecret", tag=TAG, errors=(NotFound,))
    async def rotate_secret(
        self, request: Request, webhook_endpoint_id: str, body: wire.RotateSecret | None
    ) -> wire.WebhookEndpointWithSecret:
        """Replace the signing secret of an endpoint."""
        keep = body is not None and bool(body.keep_old_secret_active_for_24_hours)
        made = await self._service.rotate_secret(request.caller.project_id, webhook_endpoint_id, keep_old=keep)
        return wire.WebhookEndpointWithSecret(**_fields(made.endpoint), signing_secret=made.secret)

    @operation("POST", f"{ENDPOINT}/test", id="testWebhookEndpoint", tag=TAG, errors=(NotFound, NotReached))
    async def test(
        self, request: Request, webhook_endpoint_id: str, body: wire.TestEndpoint
    ) -> wire.WebhookEndpointTestResult:
        """Send a sample event to an endpoint."""
        attempt = await self._service.test(request.caller.project_id, webhook_endpoint_id, body.event_type)
        assert attempt.status is not None
        return wire.WebhookEndpointTestResult(
            webhook_endpoint_id=webhook_endpoint_id, event_type=body.event_type, status_code=attempt.status
        )

    @operation("GET", "/webhook_event_types", id="listWebhookEventTypes", tag=TAG)
    async def event_types(self, request: Request) -> wire.WebhookEventTypeList:
        """List the events that endpoints can be told of."""
        return wire.WebhookEventTypeList(data=[*EVENT_TYPES])


def _fields(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "created_at": endpoint.created_at // 1_000_000,
        "updated_at": endpoint.updated_at // 1_000_000,
        "name": endpoint.name,
        "url": endpoint.url,
        "event_types": endpoint.event_types,
        "signing_secret_hint": endpoint.secret_hint,
    }
