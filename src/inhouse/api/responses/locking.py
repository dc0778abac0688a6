"""One turn at a time on a conversation, in however many processes.

Whoever answers with a conversation holds it: another turn is refused meanwhile, so that no two turns read the same
state, and nothing is written in between. A turn that is answered at once holds it as long as its process lives, a
background one as long as its job is open. So nothing that dies leaves a conversation locked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

from sqlalchemy import Connection, delete, insert, select

from inhouse.api.conversations.store import get_conversation
from inhouse.api.responses.past import conversation_not_found
from inhouse.jobs import queue
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.ids import new_id
from inhouse.metering import instances
from inhouse.storage.database import Database, lock
from inhouse.storage.schema import conversation_turns
from inhouse.storage.schema import instances as instances_table


@asynccontextmanager
async def turn_on(
    database: Database, project_id: str, conversation_id: str | None, instance: Callable[[], str]
) -> AsyncGenerator[None, None]:
    """Hold a conversation while a turn is answered at once. Without a conversation there is nothing to hold.

    Args:
        instance: gives the id of this process.

    Raises:
        NotFound: the conversation is not there.
        InvalidRequest: ``conversation_locked``.
    """
    if conversation_id is None:
        yield
        return
    turn = new_id("turn_")
    taking = partial(hold, project_id=project_id, conversation_id=conversation_id, turn=turn, instance=instance())
    held = database.submit(taking)
    ending = partial(let_go, turn=turn)
    try:
        await asyncio.shield(held)
    except asyncio.CancelledError:
        held.add_done_callback(lambda _: database.submit(ending))
        raise
    try:
        yield
    finally:
        await asyncio.shield(database.submit(ending))


def hold(connection: Connection, project_id: str, conversation_id: str, turn: str, instance: str | None) -> None:
    """Begin a turn.

    Args:
        turn: id of the turn; of a background response, its job.
        instance: the process that answers it; None: a job.

    Raises:
        NotFound: the conversation is not there.
        InvalidRequest: ``conversation_locked``.
    """
    refuse_if_held(connection, conversation_id)
    if get_conversation(connection, project_id, conversation_id) is None:
        raise conversation_not_found(conversation_id)
    connection.execute(delete(conversation_turns).where(conversation_turns.c.conversation_id == conversation_id))
    connection.execute(insert(conversation_turns).values(conversation_id=conversation_id, turn=turn, instance=instance))


def refuse_if_held(connection: Connection, conversation_id: str) -> None:
    """For what must not come between the parts of a turn. Until the transaction ends, none begins.

    Raises:
        InvalidRequest: ``conversation_locked``.
    """
    lock(connection, f"conversation {conversation_id}")
    query = select(conversation_turns).where(conversation_turns.c.conversation_id == conversation_id)
    row = connection.execute(query).one_or_none()
    if row is not None and (
        queue.is_open(connection, row.turn) if row.instance is None else _lives(connection, row.instance)
    ):
        raise InvalidRequest(
            "Another process is currently operating on this conversation. Please retry in a few seconds.",
            param="conversation",
            code="conversation_locked",
        )


def let_go(connection: Connection, turn: str) -> None:
    """End a turn."""
    connection.execute(delete(conversation_turns).where(conversation_turns.c.turn == turn))


def _lives(connection: Connection, instance: str) -> bool:
    known = connection.execute(select(instances_table.c.id).where(instances_table.c.id == instance)).one_or_none()
    return known is not None and instance not in instances.dead(connection)
