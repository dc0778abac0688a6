"""``inhouse batches``: batches of a running server, over its API."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import httpx2 as httpx
import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from inhouse.cli.common import HERE, ApiKey, BaseUrl, Refused, err, out, told

POLL_S = 0.5
PATIENCE_S = 60.0
"""How long a server may be away while a batch is watched, for instance to be started anew."""
ENDED = ("completed", "failed", "expired", "cancelled")

app = typer.Typer(no_args_is_help=True, help="Batches of a running server.")

Id = Annotated[str, typer.Argument(help="Id of the batch, `batch_…`.")]


class _Counts(msgspec.Struct):
    total: int
    completed: int
    failed: int


class _Error(msgspec.Struct):
    message: str
    line: int | None = None


class _Errors(msgspec.Struct):
    data: list[_Error]


class Batch(msgspec.Struct):
    id: str
    status: str
    request_counts: _Counts
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: _Errors | None = None


@app.command()
def watch(id: Id, base_url: BaseUrl = HERE, api_key: ApiKey = None) -> None:
    """Show how far a batch is until it ends. Exit code 1 unless all of it was answered."""
    with told(), connected(base_url, api_key) as api:
        ask(api, "GET", f"/batches/{id}")  # who is not there now is not waited for
        batch = followed(api, id)
    _summary(batch)


@app.command()
def run(
    source: Annotated[Path, typer.Argument(help="JSONL file of requests.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where answers go; beside the source otherwise.")
    ] = None,
    base_url: BaseUrl = HERE,
    api_key: ApiKey = None,
) -> None:
    """Make a batch of a file, wait for it, and write its answers. It goes on at the server if this is interrupted."""
    target = output or source.with_suffix(".output.jsonl")
    with told(), connected(base_url, api_key) as api:
        endpoint = _endpoint(source)
        with source.open("rb") as file:
            id = started(api, _name(source), file, endpoint)
        batch = followed(api, id)
        _download(api, batch.output_file_id, target)
        _download(api, batch.error_file_id, target.with_suffix(".errors.jsonl"))
    _summary(batch)


def _endpoint(source: Path) -> str:
    """What the first request asks; the server finds what is wrong with the rest."""
    try:
        with source.open("rb") as file:
            first = next((line for line in file if line.strip()), b"")
    except FileNotFoundError:
        raise Refused(f"{source}: no such file") from None
    except OSError as error:
        raise Refused(f"{source}: {error.strerror}") from error
    try:
        url = msgspec.json.decode(first, type=dict[str, Any]).get("url")
    except (msgspec.DecodeError, UnicodeDecodeError):
        url = None
    return url if isinstance(url, str) else "/v1/chat/completions"


def started(api: httpx.Client, name: str, file: BinaryIO, endpoint: str) -> str:
    """Make a batch of requests. Returns its id."""
    uploaded = ask(api, "POST", "/files", data={"purpose": "batch"}, files={"file": (name, file)})
    wanted = {"input_file_id": uploaded["id"], "endpoint": endpoint, "completion_window": "24h"}
    id: str = ask(api, "POST", "/batches", json=wanted)["id"]
    err.print(f"{id}: `inhouse batches watch {id}` shows it again", soft_wrap=True)
    return id


def _name(source: Path) -> str:
    return source.name if source.suffix == ".jsonl" else f"{source.name}.jsonl"


@contextmanager
def connected(base_url: str, api_key: str | None) -> Iterator[httpx.Client]:
    """A client of the API, with a key of a project.

    Raises:
        Refused: there is no key.
    """
    key = api_key or os.environ.get("OPENAI_API_KEY") or os.environ.get("INHOUSE_API_KEY")
    if not key:
        raise Refused("no key: set OPENAI_API_KEY, or pass --api-key")
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=httpx.Timeout(30.0, write=600.0)) as client:
        yield client


def ask(api: httpx.Client, method: str, path: str, **sent: Any) -> Any:
    """What the server answers, decoded.

    Raises:
        Refused: it does not answer, or with an error.
    """
    return asked(api, method, path, **sent).json()


def asked(api: httpx.Client, method: str, path: str, **sent: Any) -> httpx.Response:
    """Like ``ask``, as it is."""
    try:
        answer = api.request(method, path, **sent)
    except httpx.TransportError as error:
        raise Refused(f"{api.base_url} does not answer: {error}") from error
    _check(answer)
    return answer


def _check(answer: httpx.Response) -> None:
    if answer.status_code >= 400:
        try:
            message = answer.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = f"the server answered {answer.status_code}"
        raise Refused(message)


def followed(api: httpx.Client, id: str) -> Batch:
    """The batch once it has ended, with a bar until then."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    seen = time.monotonic()
    with Progress(*columns, console=err) as progress:
        bar = progress.add_task("validating", total=None, failed="")
        while True:
            try:
                batch = msgspec.convert(ask(api, "GET", f"/batches/{id}"), type=Batch)
                seen = time.monotonic()
            except Refused as error:
                if isinstance(error.__cause__, httpx.TransportError) and time.monotonic() - seen < PATIENCE_S:
                    time.sleep(POLL_S)
                    continue
                raise
            counts = batch.request_counts
            progress.update(
                bar,
                description=batch.status,
                total=counts.total or None,
                completed=counts.completed + counts.failed,
                failed=f"{counts.failed} failed" if counts.failed else "",
            )
            if batch.status in ENDED:
                return batch
            time.sleep(POLL_S)


def _download(api: httpx.Client, file_id: str | None, target: Path) -> None:
    if file_id is None:
        return
    try:
        with api.stream("GET", f"/files/{file_id}/content") as answer, target.open("wb") as file:
            if answer.status_code >= 400:
                answer.read()
            _check(answer)
            for piece in answer.iter_bytes():
                file.write(piece)
    except httpx.TransportError as error:
        raise Refused(f"{api.base_url} does not answer: {error}") from error
    except OSError as error:
        raise Refused(f"{target}: {error.strerror}") from error
    out.print(escape(str(target)), soft_wrap=True)


def _summary(batch: Batch) -> None:
    counts = batch.request_counts
    out.print(f"{batch.id} {batch.status}: {counts.completed} answered, {counts.failed} failed", soft_wrap=True)
    for error in batch.errors.data if batch.errors else ():
        where = "" if error.line is None else f"line {error.line}: "
        err.print(escape(f"{where}{error.message}"), soft_wrap=True)
    if batch.status != "completed" or counts.failed:
        raise typer.Exit(1)
