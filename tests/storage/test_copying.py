from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import OperationalError
from tests.storage.filling import HOSTILE, ROWS, content, fill
from tests.walking import migrated

from inhouse.storage import copying
from inhouse.storage.connect import open_engine, parse_url
from inhouse.storage.copying import CopyFailed, copy_database
from inhouse.storage.database import Database
from inhouse.storage.schema import bindings, calls, metadata

Open = Callable[[str], Database]
BOTH_WAYS = ("sqlite to postgresql", "postgresql to sqlite")


class Pair(NamedTuple):
    source: str
    """URL of a migrated, empty database."""
    target: str
    """URL of another one."""


@pytest.fixture(params=BOTH_WAYS)
def pair(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> Pair:
    file = tmp_path / "inhouse.db"
    file.write_bytes(migrated())
    sqlite = f"sqlite:///{file}"
    return Pair(sqlite, postgres_url) if request.param == BOTH_WAYS[0] else Pair(postgres_url, sqlite)


def silent(_table: str, _done: int, _total: int) -> None:
    pass


async def test_every_row_of_every_table_arrives_as_it_was(pair: Pair, open_database: Open) -> None:
    source, copy = open_database(pair.source), open_database(pair.target)
    await source.write(fill)
    told: list[tuple[int, int]] = []
    counts = copy_database(pair.source, pair.target, lambda _, done, total: told.append((done, total)))
    assert counts == dict.fromkeys(metadata.tables, ROWS)
    assert told[0] == (0, ROWS * len(counts))
    assert told[-1] == (ROWS * len(counts), ROWS * len(counts))
    wanted = await source.read(content)
    assert any(HOSTILE in str(value) for rows in wanted.values() for row in rows for value in row)
    assert await copy.read(content) == wanted


async def test_a_copy_to_the_same_kind_makes_the_tables(
    database: Database, database_url: str, tmp_path: Path, request: pytest.FixtureRequest, open_database: Open
) -> None:
    await database.write(fill)
    if database.dialect == "sqlite":
        target = f"sqlite:///{tmp_path / 'a folder' / 'copy.db'}"
    else:
        target = request.getfixturevalue("bare_postgres_url")
    assert copy_database(database_url, target, silent) == dict.fromkeys(metadata.tables, ROWS)
    copy = open_database(target)
    assert await copy.read(content) == await database.read(content)
    copy.migrate()  # it is at this version's schema


async def test_identities_go_on_after_the_last_that_was_given(pair: Pair, open_database: Open) -> None:
    await open_database(pair.source).write(fill)
    copy_database(pair.source, pair.target, silent)

    def next_given(connection: Connection) -> int:
        row = {"created_at": 1, "model": "m", "deployment": "{}", "actor": "a"}
        return int(connection.execute(insert(bindings).values(row).returning(bindings.c.id)).scalar_one())

    assert await open_database(pair.target).write(next_given) == ROWS + 2, "the last one is gone, and so is its number"


async def test_a_copy_of_nothing_counts_from_the_beginning(pair: Pair, open_database: Open) -> None:
    copy_database(pair.source, pair.target, silent)
    row = {"created_at": 1, "model": "m", "deployment": "{}", "actor": "a"}
    statement = insert(bindings).values(row).returning(bindings.c.id)
    assert await open_database(pair.target).write(lambda c: c.execute(statement).scalar_one()) == 1


async def test_a_target_with_rows_is_refused_and_left_alone(pair: Pair, open_database: Open) -> None:
    await open_database(pair.source).write(fill)
    other = open_database(pair.target)
    await other.write(lambda c: c.execute(text("INSERT INTO organizations VALUES ('org-1', 'x', 1)")) and None)
    await other.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = 'older'")) and None)
    before = await other.read(content)
    with pytest.raises(CopyFailed, match=r"^(sqlite|postgresql):.* is not empty: organizations has rows"):
        copy_database(pair.source, pair.target, silent)
    assert await other.read(content) == before
    assert await other.read(lambda c: c.execute(text("SELECT version_num FROM alembic_version")).scalar()) == "older"


async def test_a_database_is_not_copied_onto_itself(database: Database, database_url: str) -> None:
    with pytest.raises(CopyFailed, match="one database"):
        copy_database(database_url, database_url, silent)


async def test_an_error_leaves_nothing_behind(pair: Pair, open_database: Open) -> None:
    await open_database(pair.source).write(fill)

    def fails(_table: str, done: int, total: int) -> None:
        if done == total:
            raise OSError("the disk is on fire")

    with pytest.raises(CopyFailed, match="nothing was copied: the disk is on fire"):
        copy_database(pair.source, pair.target, fails)
    copy = open_database(pair.target)
    assert {name: len(rows) for name, rows in (await copy.read(content)).items()} == dict.fromkeys(metadata.tables, 0)
    assert copy_database(pair.source, pair.target, silent) == dict.fromkeys(metadata.tables, ROWS)


async def test_what_the_target_refuses_is_told_with_its_table(
    tmp_path: Path, postgres_url: str, open_database: Open
) -> None:
    file = tmp_path / "inhouse.db"
    file.write_bytes(migrated())
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO organizations VALUES ('org-1', 'x', 'yesterday')")
    with pytest.raises(CopyFailed, match=r"nothing was copied: organizations: .*yesterday"):
        copy_database(f"sqlite:///{file}", postgres_url, silent)


async def test_a_missing_row_is_noticed(pair: Pair, open_database: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    await open_database(pair.source).write(fill)
    read = copying._read

    def one_less(connection: Connection, table: Any) -> Any:
        rows = list(read(connection, table))
        return iter(rows[1:] if table is calls else rows)

    monkeypatch.setattr(copying, "_read", one_less)
    with pytest.raises(CopyFailed, match="calls has 3 rows, its copy 2"):
        copy_database(pair.source, pair.target, silent)


async def test_nobody_writes_to_the_source_meanwhile(pair: Pair, open_database: Open) -> None:
    """What was checked at its beginning holds to its end."""
    await open_database(pair.source).write(fill)
    statement = text("INSERT INTO organizations VALUES ('org-late', 'x', 1)")

    def refuses(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            engine = open_engine(parse_url(pair.source), "write", 1)
            with engine.connect() as another, another.begin():
                another.execute(text("SET LOCAL lock_timeout = '50ms'"))
                with pytest.raises(OperationalError, match="lock timeout"):
                    another.execute(statement)
            engine.dispose()
        else:
            file = pair.source.removeprefix("sqlite:///")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                sqlite3.connect(file, timeout=0.05).execute(str(statement))

    copy_database(pair.source, pair.target, silent, refuses)
    assert len((await open_database(pair.target).read(content))["organizations"]) == ROWS


KILLED = """
import os, signal, sys
from inhouse.storage.copying import copy_database
def kill(table, done, total):
    if done == total:
        os.kill(os.getpid(), signal.SIGKILL)
copy_database(sys.argv[1], sys.argv[2], kill)
"""


async def test_a_killed_copy_leaves_nothing_behind(pair: Pair, open_database: Open) -> None:
    await open_database(pair.source).write(fill)
    killed = subprocess.run([sys.executable, "-c", KILLED, pair.source, pair.target], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    copy = open_database(pair.target)
    assert {name: len(rows) for name, rows in (await copy.read(content)).items()} == dict.fromkeys(metadata.tables, 0)
    copy_database(pair.source, pair.target, silent)
    assert await copy.read(content) == await open_database(pair.source).read(content)


MEASURED = """
import resource, sys
from inhouse.storage.copying import copy_database
def used(*_): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = []
print(sum(copy_database(sys.argv[1], sys.argv[2], used, lambda _: before.append(used())).values()))
print(used() - before[0])
"""


async def test_memory_does_not_grow_with_the_rows(pair: Pair, open_database: Open) -> None:
    """Forty megabytes in rows of a megabyte pass through a process that has not half of them at once."""
    statement = text("INSERT INTO response_events VALUES ('resp_1', :number, 1, :body)")
    rows = [{"number": number, "body": "x" * (1 << 20)} for number in range(40)]
    await open_database(pair.source).write(lambda c: c.execute(statement, rows) and None)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *pair], check=True, timeout=120, capture_output=True, text=True
    )
    copied, kilobytes = map(int, done.stdout.split())
    assert copied == 40
    assert kilobytes < 20_000


def test_journals_beside_the_target_are_refused(tmp_path: Path) -> None:
    (tmp_path / "inhouse.db").write_bytes(migrated())
    folder = tmp_path / "copy.db.ledger"
    folder.mkdir()
    (folder / "inst_1.0.jsonl").write_text("{}\n")
    with pytest.raises(CopyFailed, match=r"copy\.db\.ledger holds journals"):
        copy_database(f"sqlite:///{tmp_path / 'inhouse.db'}", f"sqlite:///{tmp_path / 'copy.db'}", silent)
    assert not (tmp_path / "copy.db").exists()


def test_a_target_that_is_not_there_says_so_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "inhouse.db").write_bytes(migrated())
    with pytest.raises(CopyFailed, match="nothing was copied") as failure:
        copy_database(
            f"sqlite:///{tmp_path / 'inhouse.db'}", f"postgresql://inhouse:hunter2@/inhouse?host={tmp_path}", silent
        )
    assert "hunter2" not in str(failure.value)
