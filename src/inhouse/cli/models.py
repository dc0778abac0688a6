"""``inhouse models``: what there is, what serves it, and how to change that."""

from __future__ import annotations

import os
from enum import StrEnum
from getpass import getuser
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import to_builtins
from rich.markup import escape

from inhouse.catalog.bindings import Binding
from inhouse.catalog.cards import Card, load_cards
from inhouse.cli.common import HERE, ApiKey, AsJson, BaseUrl, DataDir, Refused, out, settings_of, told
from inhouse.cli.deployments import catalog_of, describe, pull_deployments
from inhouse.cli.installation import with_database
from inhouse.cli.listing import Row, print_json, print_rows
from inhouse.engines.deployments import Deployment, Embedded, Hosted, Remote, deployment_of
from inhouse.engines.hosts import HOSTS, Kind
from inhouse.engines.upstream import Target, UpstreamSpec
from inhouse.engines.weights import WeightsCache, bundled_manifests, find_manifest, inspect_gguf, pull_with_bar
from inhouse.kit.money import format_dollars
from inhouse.storage.database import Database

_LONGER = {"native": "refused", "read": "read in passages", "truncate": "without their oldest items"}


class Strategy(StrEnum):
    """``WindowStrategy``, for the command line."""

    native = "native"
    read = "read"
    truncate = "truncate"


app = typer.Typer(no_args_is_help=True, help="Models, and what serves them.")

Model = Annotated[str, typer.Argument(help="As `inhouse models list` shows it.")]
Weights = Annotated[str, typer.Argument(help="Id from `inhouse models list`, or the name of a model that they serve.")]


@app.command("list")
def list_models(json: AsJson = False, data_dir: DataDir = None) -> None:
    """All models with what serves them here, and all weights that can be pulled."""

    async def work(database: Database) -> list[Row]:
        catalog = await catalog_of(database)
        bound = [(card.id, catalog.bindings.current(card.id)) for card in catalog.cards]
        return [
            {
                "model": id,
                "served_by": describe(None if binding is None else binding.deployment),
                "since": None if binding is None else binding.bound_at or "by default",
            }
            for id, binding in bound
        ]

    with told():
        settings = settings_of(data_dir)
        models = with_database(settings, work, new=True)
        cache = WeightsCache(settings.cache_dir)
        weights = [
            {
                "weights": manifest.id,
                "title": manifest.title,
                "size_bytes": manifest.bytes,
                "licence": manifest.license,
                "here": not cache.missing(manifest),
            }
            for manifest in bundled_manifests()
        ]
    if json:
        print_json({"models": models, "weights": weights})
        return
    print_rows(models, json=False)
    out.print()
    print_rows(weights, json=False)


@app.command()
def show(model: Model, json: AsJson = False, data_dir: DataDir = None) -> None:
    """A model's card, and the history of what serves it."""

    async def work(database: Database) -> None:
        catalog = await catalog_of(database)
        history = await catalog.bindings.history(card.id)
        if json:
            bindings = [{"served_by": describe(each.deployment), **to_builtins(each)} for each in history]
            print_json({"card": card, "bindings": bindings})
            return
        out.print(f"[bold]{card.name}[/]  {card.tagline}")
        most = "" if card.max_output_tokens is None else f", answers up to {card.max_output_tokens:,}"
        out.print(f"  window {card.context_window:,} tokens{most}")
        prices = card.prices.standard
        cached = "" if prices.cached_input is None else f", cached {format_dollars(prices.cached_input.per_million)}"
        output = "" if prices.output is None else f", output {format_dollars(prices.output.per_million)}"
        out.print(f"  per 1M tokens: input {format_dollars(prices.input.per_million)}{cached}{output}")
        out.print(f"  snapshots {', '.join(snapshot.id for snapshot in card.snapshots)}")
        for place, binding in enumerate(history):
            name = "served by" if place == 0 else "before"
            served_by = escape(describe(binding.deployment))
            out.print(f"  {name:9} {served_by}, {_since(binding)}", soft_wrap=True)
            if place == 0 and isinstance(binding.deployment, Embedded | Remote):
                out.print(f"  longer prompts than it holds: {_LONGER[binding.deployment.window_strategy]}")

    with told():
        card = _card(model)
        with_database(settings_of(data_dir), work, new=True)


@app.command()
def pull(weights: Weights, data_dir: DataDir = None) -> None:
    """Download weights."""
    with told():
        settings = settings_of(data_dir)
        for path in pull_with_bar(WeightsCache(settings.cache_dir), find_manifest(weights)):
            out.print(str(path), markup=False, soft_wrap=True)


@app.command()
def use(
    model: Model,
    weights: Annotated[
        list[str] | None,
        typer.Argument(
            help="Id of weights, or path: of a GGUF file, or of a folder with a Whisper. Several where the model is "
            "made of several."
        ),
    ] = None,
    upstream: Annotated[
        list[str] | None, typer.Option(help="Base URL of an OpenAI-compatible server; repeat it for several.")
    ] = None,
    upstream_model: Annotated[
        list[str] | None, typer.Option(help="Name of the model there; once for all servers, or once for each.")
    ] = None,
    upstream_key_env: Annotated[
        list[str] | None, typer.Option(help="Environment variable that holds the server's key, likewise.")
    ] = None,
    window: Annotated[int | None, typer.Option(min=1, help="Tokens of the deployment's window.")] = None,
    window_strategy: Annotated[
        Strategy | None,
        typer.Option(
            help="What is done with prompts that are longer: refuse them (native), read passages (read), or drop the "
            "oldest items (truncate). Weights of this machine read, servers refuse, unless told otherwise."
        ),
    ] = None,
    read_tokens: Annotated[
        int | None, typer.Option(min=256, help="Tokens of the passages that are read of a longer prompt.")
    ] = None,
    vision: Annotated[
        bool, typer.Option("--vision", help="The server's model sees: it gets pages of PDF files as images, too.")
    ] = False,
    whole_tokens: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Tokens that are read in parts, with a note on each, where a question is about all of a longer "
            "prompt; 0 for none.",
        ),
    ] = None,
    search_steps: Annotated[
        int | None,
        typer.Option(min=0, max=8, help="Times that the model may ask for a further search in a longer prompt."),
    ] = None,
    slots: Annotated[int | None, typer.Option(min=1, help="Sequences that are generated at once.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the engine.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2, help="Where a request names none.")] = None,
    top_p: Annotated[float | None, typer.Option(min=0, max=1, help="Where a request names none.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the model's host; repeat it for several.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Let nothing serve it.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Change what serves a model. Takes effect within a second, also on a running server."""
    with told():
        settings = settings_of(data_dir)
        card = _card(model)
        if sum([bool(weights), bool(upstream), none]) != 1:
            raise Refused("name weights, or --upstream, or --none")
        local_only = {"--slots": slots, "--threads": threads, "--temperature": temperature, "--top-p": top_p}
        if not weights:
            _refuse({**local_only, "--option": option}, "for weights, which run on this machine")
        if not upstream:
            _refuse({"--upstream-model": upstream_model, "--upstream-key-env": upstream_key_env}, "for --upstream")
            _refuse({"--vision": vision or None}, "for --upstream: what runs on this machine reads text only")
        texts_only = {
            "--window": window,
            "--window-strategy": window_strategy,
            "--read-tokens": read_tokens,
            "--whole-tokens": whole_tokens,
            "--search-steps": search_steps,
        }
        if none:
            _refuse(texts_only, "for what serves the model")
        deployment: Deployment | None = None
        reading: dict[str, Any] = {
            "read_tokens": read_tokens,
            "whole_tokens": whole_tokens,
            "search_steps": search_steps or 0,
        }
        if window_strategy is not None:
            reading["window_strategy"] = window_strategy.value
        if upstream:
            deployment = Remote(
                upstream=UpstreamSpec(targets=_targets(upstream, upstream_model or [], upstream_key_env or [])),
                window=window,
                vision=vision,
                **reading,
            )
        elif weights:
            local = _local(card, weights)
            if isinstance(local, Hosted):
                _refuse({**texts_only, "--temperature": temperature, "--top-p": top_p}, "for models that write text")
                deployment = msgspec.structs.replace(local, slots=slots, threads=threads, options=_options(option))
            elif option:
                raise Refused("--option is for the models of hosts; this one runs on llama.cpp")
            else:
                deployment = _tuned(local, window, slots, threads, temperature, top_p)
                deployment = msgspec.structs.replace(deployment, **reading)
            pull_deployments(settings, [deployment])

        async def work(database: Database) -> None:
            catalog = await catalog_of(database)
            binding = await catalog.bindings.bind(card.id, deployment, _actor())
            if deployment is None:
                out.print(f"{card.id} is not served any more")
            else:
                out.print(f"{card.id} is now served by {escape(describe(binding.deployment))}", soft_wrap=True)

        with_database(settings, work, new=True)


@app.command()
def evaluate(
    model: Model,
    tasks: Annotated[
        Path | None, typer.Option(help="JSONL file of tasks in place of those of the package.", show_default=False)
    ] = None,
    base_url: BaseUrl = HERE,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Give tasks to what serves a model on a running server, grade the answers, and keep the result for its page."""
    from inhouse.cli.evaluating import evaluated

    with told():
        evaluated(settings_of(data_dir), model, tasks, base_url, api_key)


def _refuse(options: dict[str, Any], only: str) -> None:
    """Raises Refused if any of the options was given: it would change nothing."""
    for name, value in options.items():
        if value is not None:
            raise Refused(f"{name} is {only}")


def _card(model: str) -> Card:
    known = load_cards().resolve(model)
    if known is None:
        raise Refused(f"there is no model {model!r}; `inhouse models list` shows them")
    return known[0]


def _targets(urls: list[str], models: list[str], keys: list[str]) -> list[Target]:
    for name, given in (("--upstream-model", models), ("--upstream-key-env", keys)):
        if len(given) not in (0, 1, len(urls)):
            raise Refused(f"give {name} once for all servers, or once for each")

    def each(given: list[str], place: int) -> str | None:
        return None if not given else given[0] if len(given) == 1 else given[place]

    try:
        return [Target(url, each(models, place), each(keys, place)) for place, url in enumerate(urls)]
    except ValueError as error:
        raise Refused(str(error)) from error


def _local(card: Card, weights: list[str]) -> Embedded | Hosted:
    """What runs the weights on this machine.

    Raises:
        Refused: they cannot be had, or cannot do what the model is asked for.
    """
    path = Path(weights[0]).expanduser()
    endpoints = {name for name in card.endpoints.__struct_fields__ if getattr(card.endpoints, name)}
    host: Kind | None = next((kind for kind, host in HOSTS.items() if host.endpoints & endpoints), None)
    if path.suffix == ".gguf":
        if len(weights) > 1:
            raise Refused("name one GGUF file")
        if not path.is_file():
            raise Refused(f"there is no file {path}")
        # Not resolved: caches keep files under their hashes, and links to them under their names.
        file, title = str(path.absolute()), inspect_gguf(path).name or path.stem
        if host == "embedding":
            return Hosted.of_path("embedding", file, title)
        found: Embedded | Hosted = Embedded(weights=file, title=title)
    elif path.is_dir() and host == "whisper":
        if len(weights) > 1 or not (path / "model.bin").is_file():
            raise Refused(f"name one folder with a Whisper as CTranslate2 writes it; {path} holds no model.bin")
        return Hosted.of_path("whisper", str(path.absolute()), path.name)
    else:
        try:
            found = deployment_of([find_manifest(each) for each in weights])
        except ValueError as error:
            raise Refused(str(error)) from error
    able = (
        HOSTS[found.engine].endpoints
        if isinstance(found, Hosted)
        else frozenset({"chat_completions", "completions", "moderation"})
    )
    if not able & endpoints:
        raise Refused(f"{found.title} cannot serve {card.id}: it is for {', '.join(sorted(able))}")
    return found


def _options(given: list[str] | None) -> dict[str, str | int | float | bool]:
    """``NAME=VALUE`` pairs; a value that is a JSON number or boolean is one."""
    options: dict[str, str | int | float | bool] = {}
    for each in given or []:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise Refused(f"--option takes NAME=VALUE, not {each!r}")
        try:
            options[name] = msgspec.json.decode(value, type=bool | int | float)
        except msgspec.DecodeError:
            options[name] = value
    return options


def _tuned(
    base: Embedded,
    window: int | None,
    slots: int | None,
    threads: int | None,
    temperature: float | None,
    top_p: float | None,
) -> Embedded:
    said = {"temperature": temperature, "top_p": top_p}
    decoding = msgspec.structs.replace(
        base.decoding, **{name: value for name, value in said.items() if value is not None}
    )
    return msgspec.structs.replace(base, window=window, slots=slots, threads=threads, decoding=decoding)


def _actor() -> str:
    """Who changes a binding. Containers often run as a user that has no name."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _since(binding: Binding) -> str:
    return (
        "by default" if binding.bound_at is None else f"since {binding.bound_at:%Y-%m-%d %H:%M} UTC by {binding.actor}"
    )
