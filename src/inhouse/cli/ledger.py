"""``inhouse ledger``."""

from __future__ import annotations

import typer
from rich.markup import escape

from inhouse.cli.common import DataDir, err, out, settings_of, told, with_database
from inhouse.metering.verify import verify as check

app = typer.Typer(no_args_is_help=True, help="What was used and what it cost.")


@app.command()
def verify(data_dir: DataDir = None) -> None:
    """Prove that calls, costs and sums of usage agree. Exit code 1 if they do not. A server may run meanwhile."""
    with told():
        verdict = with_database(settings_of(data_dir), check)
    out.print(
        f"{verdict.calls:,} calls ({verdict.open:,} under way, {verdict.interrupted:,} interrupted), "
        f"{verdict.sums:,} sums of usage"
    )
    for finding in verdict.findings:
        err.print(f"[bold red]{finding.count:,}[/] {escape(finding.what)}", soft_wrap=True)
        for example in finding.examples:
            err.print(f"    {escape(example)}", soft_wrap=True)
    if not verdict.clean:
        raise typer.Exit(1)
    out.print("everything agrees")
