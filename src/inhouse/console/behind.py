"""Services that pages ask where no operation tells what they show: the same that the operations use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from inhouse.metering.budgets import Budgets
from inhouse.serving import Serving
from inhouse.webhooks import Webhooks


class Listed(Protocol):
    """A stored response in a list, ``created_at`` in Unix seconds."""

    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> int: ...
    @property
    def status(self) -> str: ...
    @property
    def model(self) -> str: ...


class RecentResponses(Protocol):
    async def __call__(self, project_id: str, after: str | None, limit: int, /) -> tuple[Sequence[Listed], bool]:
        """Stored responses of a project, newest first, and whether there are more."""


class Behind(msgspec.Struct, frozen=True):
    budgets: Budgets
    webhooks: Webhooks
    serving: Serving
    recent_responses: RecentResponses
