"""The batch queue's limit: how many prompt tokens an organization may have waiting in batches, by family of models.

The account is kept in the database, because batches outlive processes::

    await queue.enqueue(organization_id, project_id, card, batch.id, tokens)   # refused as a whole, or held as a whole
    queue.give_back_in(connection, batch.id, line_tokens)                      # with the line that ended
    queue.release_in(connection, batch.id)                                     # when the batch ended, however

Holding is atomic: two batches that arrive at once cannot both take the last of a limit. What is released goes with the
transaction that ends the line or the batch, so that a crash neither loses nor doubles it.
"""

from __future__ import annotations

import sys

from sqlalchemy import Connection, case, delete, func, insert, select, update

from inhouse.catalog.cards import Card
from inhouse.kit.errors import APIError, RateLimited
from inhouse.limits.buckets import REQUESTS, Bucket
from inhouse.limits.headers import limit_reached
from inhouse.limits.plans import PREFIX, Plan, limits_of
from inhouse.limits.service import Limits
from inhouse.limits.store import now
from inhouse.storage.database import Database, lock
from inhouse.storage.schema import enqueued_batches

HOUR = 3600.0
BATCHES_AN_HOUR = 2000
"""That an organization may create (batch guide)."""


def token_limit_exceeded(card: Card, organization_id: str, limit: int, *, project_id: str | None = None) -> APIError:
    """What a batch fails with that does not fit: an error of its own list, with the official code and words."""
    where = f"project {project_id} in organization" if project_id else "organization"
    return RateLimited(
        f"Enqueued token limit reached for {card.id} in {where} {organization_id}. Limit: {limit:,} enqueued tokens. "
        "Please try again once some in_progress batches have been completed.",
        type="tokens",
        code="token_limit_exceeded",
        headers={"x-should-retry": "false"},
    )


class BatchQueue:
    """Tokens of batches that were accepted and have not ended. ``tokens`` are estimates of prompts (``estimate``)."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    async def admit(self, organization_id: str, project_id: str) -> None:
        """Count a batch that is to be created.

        Raises:
            RateLimited: there were too many in the last hour.
            Overloaded: the shared store of the limits is down.
        """
        if self._limits.off:
            return
        key = f"{PREFIX}{{{organization_id}}}:batches"
        bucket = Bucket(key, BATCHES_AN_HOUR, HOUR, REQUESTS, HOUR / BATCHES_AN_HOUR, "batches per hour", project=False)
        plan = Plan(organization_id, project_id, "batches", (bucket,), (), sys.maxsize)
        _, taken = await self._limits.take(plan, (1, 0, 0))
        if not taken.admitted:
            raise limit_reached(None, plan, (1, 0, 0), taken)

    async def limit(self, organization_id: str, card: Card) -> int | None:
        """The tier's limit; None is no limit."""
        if self._limits.off:
            return None
        tier = await self._limits.accounts.tier(organization_id)
        _, limits = limits_of(card, tier, long=False)
        return None if limits is None else limits.batch_queue

    async def enqueue(self, organization_id: str, project_id: str, card: Card, batch_id: str, tokens: int) -> None:
        """Hold the tokens of a batch. Holding again for the same batch changes nothing, so a retried step is safe.

        Raises:
            RateLimited: ``token_limit_exceeded``; nothing is held. It is what the batch fails with, not an HTTP answer.
        """
        most = await self.limit(organization_id, card)
        own = None if self._limits.off else self._limits.accounts.lowered(project_id, card.family).get("batch")

        def work(connection: Connection) -> APIError | None:
            lock(connection, f"batch queue {organization_id} {card.family}")
            known = select(enqueued_batches.c.batch_id).where(enqueued_batches.c.batch_id == batch_id)
            if connection.execute(known).first() is not None:
                return None
            if most is not None and _held(connection, organization_id, card.family) + tokens > most:
                return token_limit_exceeded(card, organization_id, most)
            if own is not None and _held(connection, organization_id, card.family, project_id) + tokens > own:
                return token_limit_exceeded(card, organization_id, own, project_id=project_id)
            connection.execute(
                insert(enqueued_batches).values(
                    batch_id=batch_id,
                    organization_id=organization_id,
                    project_id=project_id,
                    family=card.family,
                    tokens=tokens,
                    created_at=now(),
                )
            )
            return None

        refused = await self._database.write(work)
        if refused is not None:
            raise refused

    async def held(self, organization_id: str, family: str) -> int:
        """Tokens of an organization that wait or are worked on now."""
        return await self._database.read(lambda c: _held(c, organization_id, family))

    @staticmethod
    def give_back_in(connection: Connection, batch_id: str, tokens: int) -> None:
        """Release the tokens of a line that ended, within the caller's transaction; never more than are held."""
        left = enqueued_batches.c.tokens - tokens
        statement = update(enqueued_batches).where(enqueued_batches.c.batch_id == batch_id)
        connection.execute(statement.values(tokens=case((left > 0, left), else_=0)))

    @staticmethod
    def release_in(connection: Connection, batch_id: str) -> None:
        """Release what a batch still holds, within the caller's transaction: it completed, failed, expired or was
        cancelled. Releasing again changes nothing."""
        connection.execute(delete(enqueued_batches).where(enqueued_batches.c.batch_id == batch_id))


def _held(connection: Connection, organization_id: str, family: str, project_id: str | None = None) -> int:
    query = select(func.coalesce(func.sum(enqueued_batches.c.tokens), 0)).where(
        enqueued_batches.c.organization_id == organization_id, enqueued_batches.c.family == family
    )
    if project_id is not None:
        query = query.where(enqueued_batches.c.project_id == project_id)
    return int(connection.execute(query).scalar_one())
