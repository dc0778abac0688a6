"""What two transactions may do to one thread at once."""

from __future__ import annotations

import asyncio
import threading
import time

from sqlalchemy import Connection, func, insert, select

from inhouse.api.assistants import store
from inhouse.storage.database import Database
from inhouse.storage.schema import organizations, projects, thread_messages, threads


async def test_a_thread_is_removed_with_what_its_run_is_just_writing(database: Database) -> None:
    def made(connection: Connection) -> None:
        connection.execute(insert(organizations).values(id="org-1", name="one", created_at=1))
        connection.execute(insert(projects).values(id="proj_1", organization_id="org-1", name="one", created_at=1))
        store.add_thread(connection, "proj_1", "thread_1", 1, "{}")
        run = store.StoredRun(
            id="run_1",
            thread_id="thread_1",
            project_id="proj_1",
            created_at=1,
            status="in_progress",
            body="{}",
            state="{}",
        )
        store.add_run(connection, run, "asst_1")

    await database.write(made)
    written, removing = threading.Event(), threading.Event()

    def writing(connection: Connection) -> None:
        store.find_run(connection, "run_1", hold=True)
        store.put_message(connection, "thread_1", "msg_1", "run_1", "{}")
        written.set()
        removing.wait(0.5)  # on SQLite the other transaction does not even begin before this one ends
        time.sleep(0.5)

    def remove(connection: Connection) -> list[str]:
        removing.set()
        store.lock_thread(connection, "thread_1")
        return store.delete_thread(connection, "thread_1")

    first = database.submit(writing)
    await asyncio.to_thread(written.wait)
    assert await database.write(remove) == ["run_1"]
    await first
    for table in (threads, thread_messages):
        query = select(func.count()).select_from(table)
        assert await database.read(lambda connection, query=query: connection.execute(query).scalar()) == 0
