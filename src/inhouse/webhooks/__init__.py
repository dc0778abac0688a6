"""Webhooks: tells projects' own receivers what happened, signed, at least once.

    def work(connection):                                   # whatever changes something ...
        finish_batch(connection, batch_id)
        webhooks.record(connection, project_id, "batch.completed", batch_id)   # ... remembers to tell of it

``events`` is the outbox, ``delivery`` the jobs that empty it, ``service`` the endpoints.
"""

from inhouse.webhooks.events import EVENT_TYPES, EventType, record, record_for_organization
from inhouse.webhooks.service import Made, NotReached, Webhooks
from inhouse.webhooks.store import Delivery, Endpoint

__all__ = [
    "EVENT_TYPES",
    "Delivery",
    "Endpoint",
    "EventType",
    "Made",
    "NotReached",
    "Webhooks",
    "record",
    "record_for_organization",
]
