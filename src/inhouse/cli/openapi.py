"""``inhouse openapi``."""

from __future__ import annotations

import sys

import msgspec
import typer

from inhouse.api.openapi import document

app = typer.Typer()


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of the API as implemented."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n")
