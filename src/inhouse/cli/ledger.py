"""``inhouse ledger``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, TextIO

import msgspec
import typer
from rich.markup import escape
from sqlalchemy import Connection, select

from inhouse.cli.common import AsJson, DataDir, Refused, err, out, settings_of, told
from inhouse.cli.installation import with_database
from inhouse.cli.listing import print_json
from inhouse.metering.usage import BESIDE_REQUESTS
from inhouse.metering.verify import Verdict
from inhouse.metering.verify import verify as check
from inhouse.storage.database import Database
from inhouse.storage.schema import calls

app = typer.Typer(no_args_is_help=True, help="What was used and what it cost.")


@app.command()
def verify(json: AsJson = False, data_dir: DataDir = None) -> None:
    """Prove that calls, costs, sums of usage and the engines' own counts agree.

    Exit code 1 if they do not. A server may run meanwhile.
    """
    with told():
        verdict = with_database(settings_of(data_dir), check)
    if json:
        print_json(verdict)
    else:
        show(verdict)
    if not verdict.clean:
        raise typer.Exit(1)


def show(verdict: Verdict) -> None:
    """What was looked at, and what does not agree."""
    out.print(
        f"{verdict.calls:,} calls ({verdict.open:,} under way, {verdict.interrupted:,} interrupted), "
        f"{verdict.sums:,} sums of usage"
    )
    if verdict.engines.processes:
        out.print(
            f"{verdict.engines.tokens:,} tokens of output counted by {verdict.engines.processes:,} engine "
            f"process{'es' if verdict.engines.processes > 1 else ''}, {verdict.engines.billed:,} billed"
        )
    for finding in verdict.findings:
        err.print(f"[bold red]{finding.count:,}[/] {escape(finding.what)}", soft_wrap=True)
        for example in finding.examples:
            err.print(f"    {escape(example)}", soft_wrap=True)
    if verdict.clean:
        out.print("everything agrees")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to write it; - for stdout.")], data_dir: DataDir = None
) -> None:
    """Write the settled calls as traffic for `inhouse simulate`, oldest first. It holds no keys and no texts."""

    async def work(database: Database) -> int:
        if str(file) == "-":
            return await database.read(lambda connection: _export(connection, sys.stdout))
        try:
            with file.open("w", encoding="utf-8") as target:
                return await database.read(lambda connection: _export(connection, target))
        except OSError as error:
            raise Refused(f"{file}: {error.strerror}") from error

    with told():
        count = with_database(settings_of(data_dir), work)
    err.print(f"{count:,} calls", soft_wrap=True)


def _export(connection: Connection, target: TextIO) -> int:
    names = ("created_at", "settled_at", "snapshot", "input_tokens", "cached_input_tokens", "output_tokens")
    query = select(*(calls.c[name] for name in (*names, "project_id", "batch", "service_tier")))
    query = query.where(calls.c.state == "settled", calls.c.family.not_in(BESIDE_REQUESTS)).order_by(
        calls.c.created_at, calls.c.id
    )
    count = 0
    for row in connection.execution_options(yield_per=10_000).execute(query):
        line = {
            "at": row.created_at / 1e6,
            "model": row.snapshot,
            "input_tokens": row.input_tokens,
            "cached_tokens": row.cached_input_tokens,
            "output_tokens": row.output_tokens,
            "seconds": max(0, row.settled_at - row.created_at) / 1e6,
            "project": row.project_id,
            "batch": bool(row.batch),
            "service_tier": row.service_tier,
        }
        target.write(msgspec.json.encode(line).decode() + "\n")
        count += 1
    return count
