"""A server as a user runs it: a process of its own, spoken to over HTTP only."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from openai import AsyncOpenAI, OpenAI
from sqlalchemy import Connection

from inhouse.access import Access, store
from inhouse.storage.database import Database

CHAT = "gpt-4.1"
"""Minds its tools."""
FAST = "gpt-4.1-nano"
"""For all that needs no wit."""
INSTRUCT = "gpt-3.5-turbo-instruct"
COUNTING: dict[str, Any] = {
    "model": CHAT,
    "messages": [{"role": "user", "content": "Count from 1 to 9 like this: 1, 2, 3"}],
    "max_completion_tokens": 12,
    "temperature": 0,
}
"""Something to say of which the model is so sure that it is the same however the engine batches its work."""
CHAT_PATH = "/v1/chat/completions"

READY_S = 180.0
PATIENCE_S = 30.0


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)["error"]
        return told


class Server:
    """One server on a data folder of its own. It can be killed and started again on the same folder.

    Args:
        data_dir: its data folder.
        others: further environment variables.
        settings: environment variables of the product, without their prefix: ``server__keepalive_s="0.5"``.
    """

    def __init__(self, data_dir: Path, *, others: Mapping[str, str] | None = None, **settings: str) -> None:
        self.data_dir = data_dir
        self.settings = {"api_key": f"sk-proj-{secrets.token_urlsafe(32)}", "log__format": "json", **settings}
        self.others = dict(others or {})
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> str:
        """Of the default project."""
        return self.settings["api_key"]

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def environment(self) -> dict[str, str]:
        """That of this process, without settings that somebody made for a server of their own."""
        inherited = {name: value for name, value in os.environ.items() if not _is_setting(name)}
        return {
            **inherited,
            **self.others,
            **{f"INHOUSE_{name.upper()}": value for name, value in self.settings.items()},
        }

    # Its life

    def start(self) -> Server:
        command = [sys.executable, "-m", "inhouse.cli", "serve"]
        command += ["--data-dir", str(self.data_dir), "--port", str(self.port)]
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_S
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                state = self.process.poll()
                self.kill()
                raise AssertionError(f"the server is not ready (exit status {state}); its log:\n{self.log[-8000:]}")
            time.sleep(0.05)
        return self

    def terminate(self) -> int:
        """SIGTERM, and the exit status. Raises TimeoutExpired if it does not end."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL, to the process and to what shares its group."""
        if self.process is not None and self.running:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE_S)

    def stop(self) -> None:
        if self.running:
            try:
                self.terminate()
            except subprocess.TimeoutExpired:
                self.kill()

    # What it leaves

    @property
    def _log(self) -> Path:
        return self.data_dir / "server.log"

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def tracebacks(self) -> list[str]:
        """Failures that nobody foresaw."""
        return [line for line in self.log.splitlines() if "Traceback" in line]

    def engine(self, weights: str) -> int:
        """Process id of the child that runs these weights now."""
        events = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        ready = [e for e in events if e.get("event") == "engine_ready" and e["engine"].startswith(weights)]
        return int(ready[-1]["pid"])

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Reads the database file."""
        path = self.data_dir / "inhouse.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(query, values).fetchall()

    def call(self, request_id: str) -> dict[str, Any]:
        """The ledger's row of a request. What is on the books comes into the database a moment later."""
        columns = (
            "id, state, status, error_code, model, deployment, input_tokens, output_tokens, cost_nanos, settled_at"
        )
        query = f"SELECT {columns} FROM calls WHERE id = ?"
        until(lambda: bool(self.rows(query, request_id)), "the ledger has no such row")
        (row,) = self.rows(query, request_id)
        return dict(zip(columns.split(", "), row, strict=True))

    def settled(self, request_id: str) -> dict[str, Any]:
        """The ledger's row once it is no longer open."""
        until(lambda: self.call(request_id)["state"] != "open", "the ledger's row stays open")
        return self.call(request_id)

    # Ways in

    def client(self, key: str | None = None, **options: Any) -> OpenAI:
        return OpenAI(**{"api_key": key or self.key, "base_url": self.base_url, "max_retries": 0, **options})

    def async_client(self, key: str | None = None, **options: Any) -> AsyncOpenAI:
        return AsyncOpenAI(**{"api_key": key or self.key, "base_url": self.base_url, "max_retries": 0, **options})

    def http(self, method: str, path: str, body: Any = None, headers: Mapping[str, str | None] | None = None) -> Answer:
        """A request as no SDK would send it.

        Args:
            body: sent as JSON unless it is bytes.
            headers: None leaves out one that is sent otherwise.
        """
        sent: dict[str, str | None] = {"authorization": f"Bearer {self.key}"}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["content-type"] = "application/json"
        sent.update(headers or {})
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)) as connection:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value is not None})
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, response.read())

    def bytes(self, data: bytes) -> bytes:
        """What it answers to bytes, until it closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def cli(self, *arguments: str) -> str:
        """Runs a command on the same data folder while the server runs; its output."""
        done = subprocess.run(
            [sys.executable, "-m", "inhouse.cli", *arguments, "--data-dir", str(self.data_dir)],
            env={**self.environment, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=READY_S,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def key_of_another_project(self) -> str:
        """A fresh project in the same organization, and its key."""

        async def make() -> str:
            database = Database(f"sqlite:///{self.data_dir / 'inhouse.db'}")
            try:

                def project(connection: Connection) -> str:
                    default = store.project(connection, None)
                    assert default is not None
                    return store.insert_project(connection, default.organization_id, "Another project").id

                project_id = await database.write(project)
                return (await Access(database).create_key("theirs", project_id=project_id)).secret
            finally:
                await database.close()

        return asyncio.run(make())

    def _is_ready(self) -> bool:
        try:
            return self.http("GET", "/readyz").status == 200
        except OSError:
            return False


def until(condition: Callable[[], bool], otherwise: str, seconds: float = PATIENCE_S) -> None:
    """Wait for what must come to pass, and fail if it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{otherwise}, after {seconds:g} s"
        time.sleep(0.02)


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def _is_setting(name: str) -> bool:
    return name.startswith("INHOUSE_") and name != "INHOUSE_CACHE_DIR"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
