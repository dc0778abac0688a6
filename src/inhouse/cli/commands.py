"""All commands. One is loaded when it is used: some need the whole API, which a page of help should not wait for."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from inhouse import __version__

COMMANDS = {
    "serve": "Pull missing weights, migrate the database, and serve.",
    "doctor": "Say what this machine can run, what is missing, and what to do.",
    "models": "Models, and what serves them.",
    "keys": "API keys.",
    "users": "People of the organizations.",
    "console": "The pages that people see.",
    "prompts": "Saved prompts, for `prompt` in Responses.",
    "assistants": "Assistants: take them up from elsewhere, move them off to Responses.",
    "batches": "Batches of a running server.",
    "webhooks": "Receivers of events: background responses that ended, spend alerts.",
    "guardrails": "What of a project's generations is moderated.",
    "tiers": "Usage tiers: which rate limits an organization has.",
    "credits": "Prepaid credits and monthly limits of an organization.",
    "ledger": "What was used and what it cost.",
    "database": "The database as a whole: carried over to another, or backed up.",
    "simulate": "Replay traffic against the limits of a tier: what would get 429, and what the rest would cost.",
    "openapi": "Print the OpenAPI document of the API as implemented.",
}
"""What each is for, as its own help begins: ``inhouse.cli.<name>`` holds an ``app`` that is a group, or one command."""


class Commands(TyperGroup):
    """Knows what each command is for; the command itself is loaded once it is to parse its arguments."""

    def __init__(self, **given: Any) -> None:
        given["commands"] = {name: TyperCommand(name, help=help) for name, help in COMMANDS.items()}
        super().__init__(**given)

    def resolve_command(
        self, ctx: Any, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load(name), rest


def load(name: str) -> TyperCommand | TyperGroup:
    """The command, or group of commands, that a module of this folder holds."""
    group = get_group(import_module(f"inhouse.cli.{name}").app)
    command = group.commands.get(name, group)
    assert isinstance(command, TyperCommand | TyperGroup)
    command.name = name
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    return command


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"inhouse {__version__}")
        raise typer.Exit


@app.callback()
def inhouse(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A model platform with the contracts of the OpenAI API, on your own machines."""
