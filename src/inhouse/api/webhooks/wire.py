"""Shapes of webhook endpoints."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from inhouse.api.wire import Deleted, Page, RequestObject, ResponseObject, doc
from inhouse.webhooks import EventType

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Url = Annotated[str, Meta(min_length=1, max_length=2048)]
EventTypes = Annotated[list[EventType], Meta(min_length=1)]


class CreateEndpoint(RequestObject, kw_only=True):
    """Begin to tell a URL of events."""

    event_types: Annotated[EventTypes, doc("Events to tell of.")]
    name: Annotated[Name, doc("A name for people.")]
    url: Annotated[Url, doc("HTTPS URL that receives the events.")]


class UpdateEndpoint(RequestObject, kw_only=True):
    """Change an endpoint. What is left out stays as it is."""

    event_types: Annotated[EventTypes | None, doc("All events to tell of from now on.")] = None
    name: Annotated[Name | None, doc("A name for people.")] = None
    url: Annotated[Url | None, doc("HTTPS URL that receives the events.")] = None


class RotateSecret(RequestObject, kw_only=True):
    """Replace the signing secret."""

    keep_old_secret_active_for_24_hours: Annotated[
        bool | None, doc("Sign with the old secret as well for 24 hours. Defaults to false.")
    ] = None


class TestEndpoint(RequestObject, kw_only=True):
    """Send a sample event."""

    event_type: Annotated[EventType, doc("Of the sample.")]


class ListEndpointsQuery(RequestObject, kw_only=True):
    """Which page."""

    after: Annotated[str | None, doc("Id of the last endpoint of the page before.")] = None
    limit: Annotated[Annotated[int, Meta(ge=1, le=100)], doc("Endpoints in a page.")] = 20


class WebhookEndpoint(ResponseObject, kw_only=True):
    """A URL that is told of events of the project."""

    id: Annotated[str, doc("Id of the endpoint.")]
    object: Annotated[Literal["webhook_endpoint"], doc("Always `webhook_endpoint`.")] = "webhook_endpoint"
    created_at: Annotated[int, doc("When it was made, Unix seconds.")]
    updated_at: Annotated[int | None, doc("When it or its secret was changed last, Unix seconds.")]
    name: Annotated[str, doc("A name for people.")]
    url: Annotated[str, doc("HTTPS URL that receives the events.")]
    event_types: Annotated[list[str], doc("Events it is told of.")]
    signing_secret_hint: Annotated[str | None, doc("Enough of the secret to recognise it by.")]


class WebhookEndpointWithSecret(WebhookEndpoint, kw_only=True):
    """An endpoint with its signing secret, which is not told again."""

    signing_secret: Annotated[str, doc("Verifies that an event comes from here: `whsec_...`.")]


class WebhookEndpointList(Page[WebhookEndpoint], kw_only=True):
    """Endpoints, newest first."""


class WebhookEndpointDeleted(Deleted, kw_only=True):
    """An endpoint that is gone."""

    object: Annotated[Literal["webhook_endpoint.deleted"], doc("Always `webhook_endpoint.deleted`.")] = (
        "webhook_endpoint.deleted"
    )


class WebhookEndpointTestResult(ResponseObject, kw_only=True):
    """What an endpoint answered to a sample."""

    object: Annotated[Literal["webhook_endpoint.test"], doc("Always `webhook_endpoint.test`.")] = (
        "webhook_endpoint.test"
    )
    webhook_endpoint_id: Annotated[str, doc("Id of the endpoint.")]
    event_type: Annotated[str, doc("Of the sample.")]
    status_code: Annotated[int, doc("HTTP status that it answered.")]
    success: Annotated[Literal[True], doc("Always true: the request was made. See `status_code`.")] = True


class WebhookEventTypeList(ResponseObject, kw_only=True):
    """Events that endpoints can be told of."""

    object: Annotated[Literal["list"], doc("Always `list`.")] = "list"
    data: Annotated[list[str], doc("Event types.")]


class EventData(ResponseObject, kw_only=True):
    """What the event is about."""

    id: Annotated[str, doc("Id of the object.")]


class WebhookEvent(ResponseObject, kw_only=True):
    """What an endpoint is told."""

    id: Annotated[str, doc("Id of the event.")]
    object: Annotated[Literal["event"], doc("Always `event`.")] = "event"
    created_at: Annotated[int, doc("When it happened, Unix seconds.")]
    data: Annotated[EventData, doc("What it is about.")]


def _event(kind: str) -> type[WebhookEvent]:
    name = "Webhook" + "".join(word.capitalize() for word in kind.replace("_", ".").split("."))
    of_type = Annotated[Literal[kind], doc(f"Always `{kind}`.")]  # type: ignore[valid-type]
    made: Any = msgspec.defstruct(name, [("type", of_type)], bases=(WebhookEvent,), kw_only=True)
    event: type[WebhookEvent] = made
    return event


EVENTS: dict[str, type[WebhookEvent]] = {
    kind.replace(".", "_"): _event(kind)
    for kind in (
        *("response.completed", "response.failed", "response.cancelled", "response.incomplete"),
        *("batch.completed", "batch.failed", "batch.expired", "batch.cancelled"),
    )
}
"""Payloads by the official name of the webhook. Whoever begins to ``record`` another official event adds it here."""
