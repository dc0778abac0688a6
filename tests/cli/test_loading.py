"""Commands load what they use: a page of help is not to wait for the whole API."""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from inhouse import __version__
from inhouse.cli import main
from inhouse.cli.commands import COMMANDS, load

DATABASE = {"sqlalchemy", "inhouse.storage.database"}
NETWORK = {"aiohttp", "httpx2", "starlette", "uvicorn"}
SERVER = {"inhouse.server", "inhouse.app", "inhouse.api.operation", "inhouse.generation.core", "alembic"}


def started(*arguments: str, **environment: str) -> tuple[str, set[str]]:
    """What a command of its own process said, and the modules that it had loaded."""
    code = "import atexit, json, sys; atexit.register(lambda: print(json.dumps([*sys.modules]), file=sys.stderr))"
    code += "; sys.argv[0] = 'inhouse'; from inhouse.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INHOUSE_")}
    done = subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, set(json.loads(done.stderr.splitlines()[-1]))


def test_help_says_of_each_command_what_its_own_help_says() -> None:
    for name, told in COMMANDS.items():
        command = load(name)
        assert command.name == name
        assert re.sub(r"\s+", " ", command.help or "").startswith(told)


def test_help_loads_no_command() -> None:
    said, loaded = started("--help")
    assert all(name in said for name in COMMANDS)
    assert not loaded & {*DATABASE, *NETWORK, *SERVER, "asyncio", "inhouse.settings"}
    assert not loaded & {f"inhouse.cli.{name}" for name in COMMANDS}


def test_the_version() -> None:
    said, loaded = started("--version")
    assert said == f"inhouse {__version__}\n"
    assert not loaded & {*DATABASE, *NETWORK, *SERVER, "asyncio"}


@pytest.mark.parametrize(
    ("command", "needless"),
    [
        ("models list", {*NETWORK - {"aiohttp"}, *SERVER}),
        ("keys create", {*NETWORK, *SERVER}),
        ("batches run --help", {*DATABASE, *SERVER}),
    ],
)
def test_a_command_loads_no_other_rooms(tmp_path: Path, command: str, needless: set[str]) -> None:
    # The first use of a database migrates it.
    started("models", "list", INHOUSE_DATA_DIR=str(tmp_path))
    _, loaded = started(*command.split(), INHOUSE_DATA_DIR=str(tmp_path))
    assert not loaded & needless


def test_who_interrupts_the_loading_sees_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def __getattr__(self, name: str) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "inhouse.cli.commands", Interrupted())  # type: ignore[arg-type]
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        gc.enable()
    assert ended.value.code == 130


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("ke", ["keys"]), ("keys ", ["create", "list", "revoke"]), ("keys list --j", ["--json"])],
)
def test_a_shell_completes(typed: str, offered: list[str]) -> None:
    words = f"inhouse {typed}"
    place = len(words.split(" ")) - 1
    said, loaded = started(_INHOUSE_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(place))
    assert said.split() == offered
    assert not loaded & {*NETWORK, *SERVER}
