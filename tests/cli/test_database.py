"""``inhouse database``; the copies themselves are tested in ``tests/storage``."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from click.testing import Result
from sqlalchemy import select
from tests.walking import migrated
from typer.testing import CliRunner

from inhouse.access import Access
from inhouse.access.keys import PREFIXES
from inhouse.cli import common
from inhouse.cli.commands import app
from inhouse.metering import instances
from inhouse.metering import ledger as ledger_module
from inhouse.metering.ledger import Ledger
from inhouse.storage.database import Database
from inhouse.storage.schema import calls

T = TypeVar("T")
Run = Callable[..., Result]

KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.metering.test_ledger import opening, settlement
from inhouse.access import Access
from inhouse.access.keys import PREFIXES
from inhouse.metering import ledger
from inhouse.metering.ledger import Ledger
from inhouse.storage.database import Database
ledger.GROUP_S = 3600

async def main():
    file = Path(sys.argv[1])
    database = Database(f"sqlite:///{file}")
    await Access(database).bootstrap(sys.argv[2])
    one = Ledger(database, file.with_name(file.name + ".ledger"))
    await one.start()
    whole, half = opening(), opening()
    await one.open(whole)
    await one.open(half)
    await one.settle(settlement(whole.id))
    print(whole.id, half.id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A data folder with a migrated, empty database."""
    for name in [name for name in os.environ if name.startswith("INHOUSE_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "inhouse.db").write_bytes(migrated())
    monkeypatch.setenv("INHOUSE_DATA_DIR", str(folder))
    for console in (common.out, common.err):
        monkeypatch.setattr(console, "width", 500)
    return folder


@pytest.fixture
def run() -> Run:
    def run(*arguments: str, fails: bool = False) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == (1 if fails else 0), result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), "no traceback for what is expected"
        return result

    return run


def on(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    async def main() -> T:
        database = Database(url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(main())


def test_what_a_killed_server_left_is_carried_over(run: Run, data: Path, postgres_url: str) -> None:
    """A call that only the journal knows is billed in the copy, one that was cut off is interrupted there."""
    secret = PREFIXES["project"] + secrets.token_urlsafe(32)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, data / "inhouse.db", secret],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    whole, half = killed.stdout.split()
    result = run("database", "copy", "--to", postgres_url)
    assert re.search(r"[\d,]+ rows of \d+ tables, and as many in the copy", result.output)
    assert "2 calls (0 under way, 1 interrupted)" in result.output
    assert "everything agrees" in result.output
    assert f"set database.url (INHOUSE_DATABASE__URL) to {postgres_url.partition('@')[0]}" in result.output

    async def states(database: Database) -> dict[str, str]:
        rows = await database.read(lambda c: c.execute(select(calls.c.id, calls.c.state)).all())
        await Access(database).authenticate({"authorization": f"Bearer {secret}"})
        return {row.id: row.state for row in rows}

    assert on(postgres_url, states) == {whole: "settled", half: "interrupted"}
    assert not list(data.glob("inhouse.db.ledger/*.jsonl"))


def test_back_to_a_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> None:
    monkeypatch.setenv("INHOUSE_DATABASE__URL", postgres_url)
    run("keys", "create", "for CI")
    run("database", "copy", "--to", f"sqlite:///{tmp_path / 'back' / 'inhouse.db'}")
    monkeypatch.delenv("INHOUSE_DATABASE__URL")
    assert "for CI" in run("keys", "list", "--data-dir", str(tmp_path / "back")).stdout


@pytest.fixture
def served(data: Path) -> Iterator[None]:
    """A server of this data folder runs."""
    with open(data / "server.lock", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.usefixtures("served")
def test_a_database_that_is_served_is_not_copied(run: Run, tmp_path: Path) -> None:
    result = run("database", "copy", "--to", f"sqlite:///{tmp_path / 'copy.db'}", fails=True)
    assert "stop it first, or what it writes meanwhile would be missing in the copy" in result.stderr
    assert not (tmp_path / "copy.db").exists()


def test_nor_one_that_a_server_with_another_folder_works_on(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "LOOK_EVERY_S", 0.05)
    beating = """
import asyncio, sys
from inhouse.metering.ledger import Ledger
from inhouse.storage.database import Database
async def main():
    await Ledger(Database(sys.argv[1]), beat_s=0.05).start()
    print("here", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    url = f"sqlite:///{data / 'inhouse.db'}"
    with subprocess.Popen([sys.executable, "-c", beating, url], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"here\n"
        result = run("database", "copy", "--to", f"sqlite:///{tmp_path / 'copy.db'}", fails=True)
        server.kill()
    assert "servers work on this database (1); stop them first" in result.stderr
    assert not (tmp_path / "copy.db").exists()


def test_a_server_that_begins_at_the_last_moment_is_seen(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recover = Ledger.recover

    async def late(self: Ledger) -> int:
        count = await recover(self)
        await self._database.write(lambda c: instances.register(c, "inst_late", instances.this_process()))
        return count

    monkeypatch.setattr(Ledger, "recover", late)
    result = run("database", "copy", "--to", f"sqlite:///{tmp_path / 'copy.db'}", fails=True)
    assert "servers work on this database (1); stop them first" in result.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://host/name", "--to: mysql is not supported; use sqlite:////path/file.db or postgresql://"),
        ("sqlite://", "--to: SQLite needs a file"),
        ("sqlite:///{data}/inhouse.db", "one database"),
    ],
)
def test_a_target_that_cannot_be_is_told(run: Run, data: Path, url: str, said: str) -> None:
    result = run("database", "copy", "--to", url.replace("{data}", str(data)), fails=True)
    assert result.stderr.startswith("error: ")
    assert said in result.stderr


@pytest.mark.usefixtures("served")
def test_a_backup_is_made_while_a_server_runs_and_can_be_served(run: Run, data: Path, tmp_path: Path) -> None:
    run("keys", "create", "for CI")
    (tmp_path / "backup").mkdir()
    file = tmp_path / "backup" / "inhouse.db"
    assert re.search(r"inhouse\.db: [\d.]+ MB, checked", run("database", "backup", str(file)).output)
    assert "for CI" in run("keys", "list", "--data-dir", str(tmp_path / "backup")).stdout
    assert "everything agrees" in run("ledger", "verify", "--data-dir", str(tmp_path / "backup")).stdout
    assert "exists already" in run("database", "backup", str(file), fails=True).stderr


def test_a_backup_comes_before_the_migration(run: Run, data: Path, tmp_path: Path) -> None:
    with sqlite3.connect(data / "inhouse.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    run("database", "backup", str(tmp_path / "copy.db"))
    with sqlite3.connect(data / "inhouse.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


def test_postgresql_has_its_own_backups(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INHOUSE_DATABASE__URL", "postgresql://inhouse:hunter2@db.example.com/platform")
    result = run("database", "backup", str(tmp_path / "copy.dump"), fails=True)
    assert f"pg_dump --format=custom --file={tmp_path / 'copy.dump'} platform" in result.stderr
    assert "hunter2" not in result.stderr
