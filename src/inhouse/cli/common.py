"""What the commands share: settings, and errors told as one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from inhouse.kit.errors import ExpectedError
from inhouse.settings import Settings, load

# What is read by a program, or from a file, is not broken into the lines of a terminal.
out = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 10_000)
err = Console(stderr=True, highlight=False)

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the database, the logs and inhouse.toml.")]
Project = Annotated[str | None, typer.Option(help="Id of the project; the default one otherwise.")]
Organization = Annotated[str | None, typer.Option(help="Id of the organization; the default one otherwise.")]
BaseUrl = Annotated[str, typer.Option(help="Of the server's API.", envvar=["OPENAI_BASE_URL"], show_default=True)]
ApiKey = Annotated[
    str | None,
    typer.Option(help="Key of the project; OPENAI_API_KEY or INHOUSE_API_KEY otherwise.", show_default=False),
]
HERE = "http://127.0.0.1:4141/v1"
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


class Refused(ExpectedError):
    """What was asked cannot be done. The message says why and what to do."""


@contextmanager
def told() -> Iterator[None]:
    """Expected failures as one line and exit code 1; anything else is a defect and keeps its traceback."""
    try:
        yield
    except ExpectedError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error


def settings_of(data_dir: Path | None, **flags: Any) -> Settings:
    """The settings, with what was said on the command line: ``server_port=8080`` is ``server.port``."""
    return load({"data_dir": data_dir, **{name.replace("_", ".", 1): value for name, value in flags.items()}})
