"""All commands."""

from __future__ import annotations

import typer

from inhouse.cli import (
    assistants,
    batches,
    console,
    credits,
    database,
    guardrails,
    keys,
    ledger,
    models,
    prompts,
    tiers,
    users,
    webhooks,
)
from inhouse.cli.doctor import doctor
from inhouse.cli.evaluating import evaluate
from inhouse.cli.openapi import openapi
from inhouse.cli.serve import serve
from inhouse.cli.simulate import simulate

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A model platform with the contracts of the OpenAI API, on your own machines.",
)
app.command()(serve)
models.app.command()(evaluate)
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.add_typer(users.app, name="users")
app.add_typer(console.app, name="console")
app.add_typer(prompts.app, name="prompts")
app.add_typer(assistants.app, name="assistants")
app.add_typer(ledger.app, name="ledger")
app.add_typer(database.app, name="database")
app.add_typer(credits.app, name="credits")
app.add_typer(tiers.app, name="tiers")
app.add_typer(guardrails.app, name="guardrails")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(batches.app, name="batches")
app.command()(simulate)
app.command()(doctor)
app.command()(openapi)
