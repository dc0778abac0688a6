from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from inhouse.storage.database import Database, is_unreachable, lock
from inhouse.storage.schema import bindings, organizations, projects

Open = Callable[[str], Database]


def add(id: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute(insert(organizations).values(id=id, name=id, created_at=1))
        return id

    return work


def names(connection: Connection) -> list[str]:
    return list(connection.execute(select(organizations.c.id).order_by(organizations.c.id)).scalars())


async def test_a_write_is_seen_by_the_next_read(database: Database) -> None:
    assert await database.write(add("org-1")) == "org-1"
    assert await database.read(names) == ["org-1"]


async def test_a_failing_write_keeps_nothing_of_itself(database: Database) -> None:
    def work(connection: Connection) -> None:
        add("org-1")(connection)
        raise LookupError("changed my mind")

    with pytest.raises(LookupError, match="changed my mind"):
        await database.write(work)
    assert await database.read(names) == []


async def test_a_failing_write_undoes_only_itself(database: Database) -> None:
    await database.write(add("org-7"))
    outcomes = await asyncio.gather(*(database.write(add(f"org-{n}")) for n in range(20)), return_exceptions=True)
    assert [type(o).__name__ for o in outcomes if isinstance(o, Exception)] == ["IntegrityError"]
    assert isinstance(outcomes[7], IntegrityError)
    assert await database.read(names) == sorted(f"org-{n}" for n in range(20))


async def test_references_are_enforced(database: Database) -> None:
    orphan = insert(projects).values(id="proj_1", organization_id="org-none", name="x", created_at=1)
    with pytest.raises(IntegrityError):
        await database.write(lambda c: c.execute(orphan) and None)


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        await database.read(add("org-1"))
    assert await database.read(names) == []


async def test_a_read_sees_one_state_throughout(database: Database) -> None:
    started, written = threading.Event(), threading.Event()

    def twice(connection: Connection) -> tuple[list[str], list[str]]:
        before = names(connection)
        started.set()
        assert written.wait(30)
        return before, names(connection)

    reading = asyncio.ensure_future(database.read(twice))
    await asyncio.to_thread(started.wait, 30)
    await database.write(add("org-1"))
    written.set()
    assert await reading == ([], [])
    assert await database.read(names) == ["org-1"]


async def test_concurrent_increments_are_not_lost(database: Database, open_database: Open, database_url: str) -> None:
    await database.write(lambda c: c.execute(insert(organizations).values(id="org-1", name="n", created_at=0)) and None)
    other = open_database(database_url)

    def increment(connection: Connection) -> None:
        lock(connection, "counter")
        value = connection.execute(select(organizations.c.created_at)).scalar_one()
        connection.execute(update(organizations).values(created_at=value + 1))

    await asyncio.gather(*(d.write(increment) for d in (database, other) for _ in range(50)))
    assert await database.read(lambda c: c.execute(select(organizations.c.created_at)).scalar_one()) == 100


async def test_autoincrement_ids_never_come_back(database: Database) -> None:
    def bind(connection: Connection) -> int:
        values = {"created_at": 1, "model": "gpt-4.1", "deployment": "{}", "actor": "test"}
        return int(connection.execute(insert(bindings).values(values).returning(bindings.c.id)).scalar_one())

    first = await database.write(bind)
    await database.write(lambda c: c.execute(bindings.delete()) and None)
    assert await database.write(bind) > first


async def test_work_of_a_cancelled_awaiter_is_whole_or_absent(database: Database) -> None:
    def pair(n: int) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            add(f"org-{n}-a")(connection)
            add(f"org-{n}-b")(connection)

        return work

    tasks = [asyncio.ensure_future(database.write(pair(n))) for n in range(60)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await database.write(lambda c: None)
    found = set(await database.read(names))
    for n in range(60):
        halves = {f"org-{n}-a", f"org-{n}-b"}
        assert len(halves & found) in (0, 2)
        if n % 2:
            assert halves <= found


async def test_a_write_that_waits_and_is_cancelled_never_begins(database: Database) -> None:
    release = threading.Event()
    blockers = [database.submit(lambda c: release.wait(30)) for _ in range(4)]
    ran: list[bool] = []
    waiting = asyncio.ensure_future(database.write(lambda c: ran.append(True)))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.sleep(0.05)  # the thread pool hears of it in one of the loop's next turns
    release.set()
    await asyncio.gather(*blockers)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await database.write(lambda c: None)
    assert ran == []


async def test_a_shielded_submission_outlives_its_task(database: Database) -> None:
    release = threading.Event()

    def slow(connection: Connection) -> None:
        assert release.wait(30)
        add("org-1")(connection)

    async def settle() -> None:
        await asyncio.shield(database.submit(slow))

    task = asyncio.ensure_future(settle())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    await database.close()
    again = Database(str(database._url.render_as_string(hide_password=False)))
    assert await again.read(names) == ["org-1"]
    await again.close()


async def test_close_finishes_what_was_submitted(database: Database, open_database: Open, database_url: str) -> None:
    futures = [database.submit(add(f"org-{n:03}")) for n in range(100)]
    await database.close()
    assert [await future for future in futures] == [f"org-{n:03}" for n in range(100)]
    with pytest.raises(RuntimeError):
        await database.write(add("org-late"))
    await database.close()
    assert len(await open_database(database_url).read(names)) == 100


async def test_a_work_that_raises_stop_iteration_reaches_its_awaiter(database: Database) -> None:
    def work(connection: Connection) -> None:
        raise StopIteration

    with pytest.raises(RuntimeError):
        await asyncio.wait_for(database.write(work), 120)
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(database.read(work), 120)


async def test_sqlite_waits_for_another_process(tmp_path: Path, open_database: Open) -> None:
    path = tmp_path / "inhouse.db"
    database = open_database(f"sqlite:///{path}")
    database.migrate()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sqlite3, sys\n"
            "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "c.execute('BEGIN IMMEDIATE'); print('held', flush=True)\n"
            "sys.stdin.readline(); c.execute('COMMIT')",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    writing = asyncio.ensure_future(database.write(add("org-1")))
    await asyncio.sleep(0.2)
    assert not writing.done()
    assert await database.read(names) == []
    await asyncio.to_thread(holder.communicate, "\n")
    assert await writing == "org-1"


DIE = """
import asyncio, os, signal, sys
from sqlalchemy import text
from inhouse.storage.database import Database

async def main():
    database = Database(sys.argv[1])
    await database.write(lambda c: c.execute(text("INSERT INTO organizations VALUES ('org-1', 'kept', 1)")) and None)

    def half(connection):
        connection.execute(text("INSERT INTO organizations VALUES ('org-2', 'half', 1)"))
        os.kill(os.getpid(), signal.SIGKILL)

    await database.write(half)

asyncio.run(main())
"""


async def test_a_killed_process_leaves_what_was_committed_and_no_halves(database: Database, database_url: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", DIE, database_url)
    assert await process.wait() < 0
    assert await database.read(names) == ["org-1"]
    assert await database.write(add("org-3")) == "org-3"


async def test_sqlite_gives_up_on_a_lock_that_stays(
    tmp_path: Path, open_database: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inhouse.storage.connect.BUSY_TIMEOUT_S", 0.05)
    monkeypatch.setattr("inhouse.storage.writer.BUSY_RETRY_S", 0.2)
    path = tmp_path / "inhouse.db"
    database = open_database(f"sqlite:///{path}")
    database.migrate()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DBAPIError, match="locked"):
        await database.write(add("org-1"))
    holder.execute("ROLLBACK")
    assert await database.write(add("org-2")) == "org-2"
    holder.close()


async def test_sqlite_rolling_back_the_whole_transaction_costs_only_the_failing_write(
    tmp_path: Path, open_database: Open
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'inhouse.db'}")
    database.migrate()
    release = threading.Event()
    blocker = database.submit(lambda c: release.wait(30))  # so that what follows is one group

    def vicious(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT OR ROLLBACK INTO organizations VALUES ('org-1', 'twice', 1)")

    first = database.submit(add("org-1"))
    failing = database.submit(vicious)
    last = database.submit(add("org-2"))
    release.set()
    await blocker
    assert await first == "org-1"
    with pytest.raises(IntegrityError):
        await failing
    assert await last == "org-2"
    assert await database.read(names) == ["org-1", "org-2"]


async def test_sqlite_is_in_wal_mode(tmp_path: Path, open_database: Open) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'inhouse.db'}")
    assert await database.read(lambda c: c.execute(text("PRAGMA journal_mode")).scalar()) == "wal"
    assert await database.write(lambda c: c.execute(text("PRAGMA foreign_keys")).scalar()) == 1


async def test_postgresql_tries_a_conflict_again(postgres_url: str, open_database: Open) -> None:
    database = open_database(postgres_url)
    database.migrate()
    await database.write(add("org-a"))
    await database.write(add("org-b"))
    both = threading.Barrier(2)
    runs: list[str] = []

    def crossed(first: str, second: str) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            runs.append(first)
            for id in (first, second):
                statement = update(organizations).where(organizations.c.id == id)
                connection.execute(statement.values(created_at=organizations.c.created_at + 1))
                if len(runs) <= 2 and id == first:
                    both.wait(30)

        return work

    await asyncio.gather(database.write(crossed("org-a", "org-b")), database.write(crossed("org-b", "org-a")))
    assert len(runs) > 2  # the deadlock happened
    assert await database.read(lambda c: c.execute(select(func.sum(organizations.c.created_at))).scalar_one()) == 6


async def test_a_server_that_is_away_is_told_from_a_defect(
    postgres_url: str, tmp_path: Path, open_database: Open
) -> None:
    async def failure(database: Database, statement: str) -> Exception:
        with pytest.raises(DBAPIError) as raised:
            await database.write(lambda c: c.execute(text(statement)) and None)
        return raised.value

    here = open_database(postgres_url)
    gone = open_database(f"postgresql://inhouse@/inhouse?host={tmp_path}")
    assert is_unreachable(await failure(gone, "SELECT 1"))
    assert is_unreachable(await failure(here, "SELECT pg_terminate_backend(pg_backend_pid())"))
    assert not is_unreachable(await failure(here, "SELECT nonsense"))
    assert not is_unreachable(await failure(here, "SELECT 1 / 0"))
    assert not is_unreachable(await failure(open_database(f"sqlite:///{tmp_path / 'x.db'}"), "SELECT nonsense"))
    assert not is_unreachable(OSError("the disk is full"))


async def test_postgresql_survives_a_lost_connection(postgres_url: str, open_database: Open) -> None:
    database = open_database(postgres_url)
    database.migrate()
    await database.write(add("org-1"))
    await database.read(names)
    other = open_database(postgres_url)
    await other.write(
        lambda c: c.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        ).all()
    )
    assert await database.write(add("org-2")) == "org-2"
    assert await database.read(names) == ["org-1", "org-2"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
        ("mysql://root:hunter2@localhost/x", "mysql is not supported"),
        ("no url at all, hunter2", "cannot be read"),
    ],
)
def test_an_unfit_url_is_refused_without_its_password(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refusal:
        Database(url)
    assert "hunter2" not in str(refusal.value)


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Database("postgresql://inhouse:hunter2@localhost/inhouse"))
