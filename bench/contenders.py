"""The gateways that are compared, each started with one worker in front of the same upstream."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.mock_upstream import MODEL
from bench.processes import Server, free_port, spawn, spawn_python, stop, wait_until_answers

CACHE = Path(os.environ.get("INHOUSE_CACHE_DIR", "~/.cache/inhouse")).expanduser() / "bench"
INHOUSE_MODEL = "gpt-4.1"


class Missing(Exception):
    """A contender cannot run here. The message says what to do."""


def start_mock(folder: Path) -> Server:
    process, port = spawn_python("bench.mock_upstream", log=folder / "mock.log")
    return Server(f"http://127.0.0.1:{port}/v1", "none", MODEL, process)


def start_relay(mock_url: str, folder: Path) -> Server:
    process, port = spawn_python("bench.relay", "--upstream", mock_url, log=folder / "relay.log")
    return Server(f"http://127.0.0.1:{port}/v1", "none", MODEL, process)


def start_inhouse(
    mock_url: str,
    folder: Path,
    *,
    database_url: str | None = None,
    program: Sequence[str] = (),
    tier: str = "off",
) -> Server:
    """As a user would: bind the model to the upstream, then serve, with authentication and metering as they come.

    Args:
        database_url: of an empty database; None: SQLite in ``folder``.
        program: in place of the command line's own that serves.
        tier: a card allows 10,000 requests a minute at most; ``off`` shows what a request costs, not what is allowed.
    """
    key = f"sk-{secrets.token_urlsafe(32)}"
    data = folder / "inhouse"
    data.mkdir(parents=True, exist_ok=True)
    log = folder / "inhouse.log"
    database_url = database_url or f"sqlite:///{data / 'inhouse.db'}"
    env = {
        "INHOUSE_API_KEY": key,
        "INHOUSE_ENGINES__PRELOAD": INHOUSE_MODEL,
        "INHOUSE_LIMITS__TIER": tier,
        "INHOUSE_DATABASE__URL": database_url,
    }
    cli = [sys.executable, "-m", "inhouse.cli"]
    asyncio.run(_bind(mock_url, database_url))
    port = free_port()
    process = spawn([*(program or cli), "serve", "--port", str(port), "--data-dir", str(data)], log, env)
    return _ready(Server(f"http://127.0.0.1:{port}/v1", key, INHOUSE_MODEL, process), log)


async def _bind(mock_url: str, database_url: str) -> None:
    """The model to the mock; what embedded models serve by default to nothing, so that no weights are pulled."""
    try:
        from inhouse.catalog.bindings import Bindings, default_bindings
        from inhouse.engines.deployments import Remote
        from inhouse.engines.upstream import Target, UpstreamSpec
        from inhouse.storage.database import Database
    except ImportError as error:
        raise Missing(f"inhouse is not installed here: {error}") from error
    database = Database(database_url)
    database.migrate()
    bindings = Bindings(database)
    for model in default_bindings():
        await bindings.bind(model, None, "bench")
    await bindings.bind(INHOUSE_MODEL, Remote(upstream=UpstreamSpec(targets=[Target(mock_url, MODEL)])), "bench")
    await database.close()


def start_litellm(mock_url: str, folder: Path) -> Server:
    """With a master key and without a database; its price list is the one in the package."""
    program = litellm_program()
    key = f"sk-{secrets.token_urlsafe(32)}"
    config = folder / "litellm.yaml"
    config.write_text(
        f"model_list:\n"
        f"  - model_name: {MODEL}\n"
        f"    litellm_params: {{model: openai/{MODEL}, api_base: {mock_url}, api_key: none}}\n"
        f"general_settings: {{master_key: {key}}}\n"
    )
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}
    port = free_port()
    log = folder / "litellm.log"
    arguments = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    process = spawn([str(program), *arguments], log, env)
    return _ready(Server(f"http://127.0.0.1:{port}/v1", key, MODEL, process), log)


def _ready(server: Server, log: Path) -> Server:
    try:
        wait_until_answers(server, log)
    except RuntimeError as error:
        stop(server.process)
        raise Missing(str(error)) from error
    return server


def litellm_program() -> Path:
    """LiteLLM's proxy in an environment of its own, installed with pip when it is not there."""
    home = CACHE / "litellm"
    program = home / "bin" / "litellm"
    if not program.exists():
        print("installing the newest LiteLLM proxy; this takes some minutes", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        done = subprocess.run(
            [str(home / "bin" / "pip"), "install", "--quiet", "--prefer-binary", "litellm[proxy]"],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise Missing(f"pip could not install litellm[proxy]: {done.stderr.strip()[-500:]}")
    return program


def litellm_version() -> str:
    code = "import importlib.metadata as m; print(m.version('litellm'))"
    done = subprocess.run([str(CACHE / "litellm" / "bin" / "python"), "-c", code], capture_output=True, text=True)
    return done.stdout.strip() or "?"


CONTENDERS: dict[str, Callable[[str, Path], Server]] = {
    "relay": start_relay,
    "inhouse": start_inhouse,
    "litellm": start_litellm,
}
