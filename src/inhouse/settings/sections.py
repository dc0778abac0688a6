"""Everything that can be set, section by section, with what it means and its default."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from inhouse.kit.addresses import Network, networks_of
from inhouse.kit.errors import ExpectedError


class SettingsError(ExpectedError):
    """A setting cannot be used. The message names where it was given and what is wrong, and shows no secret."""


class Secret:
    """Text that must not appear in logs: only ``reveal`` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret('…')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HTTP server."""

    host: Annotated[
        str, Meta(min_length=1, description="Address to listen on. `0.0.0.0` serves other machines too.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes any free one.")] = 4141
    cors_origins: Annotated[
        list[str],
        Meta(description="Web origins whose pages may call the API, e.g. `https://app.example.com`; `*` for all."),
    ] = []
    trusted_proxies: Annotated[
        list[str],
        Meta(
            description="Addresses or networks of proxies in front, e.g. `127.0.0.1` or `10.0.0.0/8`: from them "
            "`X-Forwarded-For` tells who the client is. Nobody else's is believed."
        ),
    ] = []
    max_body_bytes: Annotated[int, Meta(ge=1024, description="Largest request body, in bytes.")] = 52_428_800
    keepalive_s: Annotated[
        float, Meta(gt=0, description="Seconds of silence after which a stream that waits gets a keep-alive comment.")
    ] = 15.0
    metrics_token: Annotated[
        Secret | None,
        Meta(description="Bearer token that `/metrics` asks for. Without one it is open to all who reach it."),
    ] = None


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where calls, keys and stored completions are kept."""

    url: Annotated[
        Secret | None,
        Meta(
            description="`sqlite:////path/inhouse.db` or `postgresql://user:password@host/name`. "
            "Default: SQLite in the data folder."
        ),
    ] = None


class FileSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What clients upload, and what is made for them."""

    url: Annotated[
        Annotated[str, Meta(pattern="^(s3|gs|az)://.")] | None,
        Meta(
            description="Where contents of files are kept: `s3://bucket/prefix`, `gs://…` or `az://…`; credentials "
            "come from the variables of the provider's own tools. Default: the folder `blobs` in the data folder."
        ),
    ] = None
    project_quota_bytes: Annotated[
        int, Meta(ge=0, description="Bytes that the files of one project may take together; 0 for no limit.")
    ] = 2_500_000_000_000
    fetch: Annotated[
        Literal["public", "any", "off"],
        Meta(
            description="Files that requests name by URL: downloaded from public addresses only, from any (also of "
            "your own network), or not at all."
        ),
    ] = "public"
    document_timeout_s: Annotated[
        float, Meta(gt=0, description="Seconds that reading one document may take, OCR of scanned pages included.")
    ] = 300.0
    document_memory: Annotated[
        int, Meta(ge=268_435_456, description="Bytes of address space that reading one document may take.")
    ] = 3_221_225_472


class VectorStoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stores that files are searched in."""

    embedding_model: Annotated[
        str,
        Meta(
            description="The model whose deployment makes the vectors. Files that were added under another one, or "
            "under another deployment of it, are found by their words only until they are added again."
        ),
    ] = "text-embedding-3-small"
    index_memory: Annotated[
        int, Meta(ge=0, description="Bytes of memory for the stores that were searched last, in each process.")
    ] = 2_147_483_648


class Engines(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The embedded models. What is not set is chosen for the machine."""

    slots: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | None, Meta(description="Requests that one model works on at once.")
    ] = None
    threads: Annotated[Annotated[int, Meta(ge=1, le=1024)] | None, Meta(description="CPU threads of one model.")] = None
    kv_tokens: Annotated[
        Annotated[int, Meta(ge=256)] | None,
        Meta(description="Tokens that the contexts of all slots of one model hold together."),
    ] = None
    idle_unload_s: Annotated[
        float, Meta(ge=0, description="Seconds without a request after which a model leaves memory; 0 keeps it.")
    ] = 900.0
    max_queue: Annotated[
        int, Meta(ge=0, description="Requests that may wait for a slot of one model; more are answered 503.")
    ] = 128
    queue_timeout_s: Annotated[
        float, Meta(gt=0, description="Seconds that a request may wait for a slot; then it is answered 503.")
    ] = 300.0
    pull: Annotated[
        bool,
        Meta(
            description="Pull the missing weights of all models at the start. Without it, a model whose weights are "
            "missing answers 500 until `inhouse models pull` brought them."
        ),
    ] = True
    preload: Annotated[
        list[str],
        Meta(description="Models that are loaded at the start; `/readyz` waits for them. Others load on demand."),
    ] = msgspec.field(default_factory=lambda: ["gpt-4.1"])


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rate limits. The limits of each tier stand on the models' pages."""

    tier: Annotated[
        Literal["off", "auto", "free", "tier_1", "tier_2", "tier_3", "tier_4", "tier_5"],
        Meta(
            description="The usage tier of every organization that no administrator pinned to another. `auto` promotes "
            "by what was spent; `off` limits nothing and sends no `x-ratelimit-*` headers."
        ),
    ] = "tier_5"
    tier_rule: Annotated[
        Literal["paid", "paid_and_days"],
        Meta(description="What `auto` asks for: an amount spent, or with the older rule some days since, too."),
    ] = "paid"
    usage_limits: Annotated[
        bool,
        Meta(
            description="Whether an organization whose tier is `auto` and not pinned is answered 429 "
            "`insufficient_quota` once it has spent in a month what its tier allows."
        ),
    ] = True
    store_url: Annotated[
        Secret | None,
        Meta(
            description="Valkey or Redis that keeps the limits of several processes together, e.g. "
            "`redis://host:6379/0`. Without it they are kept in memory."
        ),
    ] = None
    on_store_failure: Annotated[
        Literal["refuse", "local_share"],
        Meta(
            description="While that store is down: answer 503, or let each process admit its part of every limit, one "
            "in `processes`."
        ),
    ] = "refuse"
    processes: Annotated[
        int, Meta(ge=1, le=10_000, description="Servers that share the limits. More than one need `store_url`.")
    ] = 1


class BatchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who answers the requests of batches, see `docs/batch.md`."""

    runner: Annotated[
        Literal["here", "ray"],
        Meta(
            description="The servers themselves (`here`), or workers on a Ray cluster, for which the database must be "
            "PostgreSQL, and all that it, the files and the weights need must be reachable from every node."
        ),
    ] = "here"
    ray_address: Annotated[
        str, Meta(min_length=1, description="The cluster's head node, `host:6379`; `auto` is the one of this machine.")
    ] = "auto"
    ray_workers: Annotated[int, Meta(ge=1, le=10_000, description="Workers that one batch may have at once.")] = 2
    ray_worker_cpus: Annotated[float, Meta(gt=0, description="CPUs that Ray sets aside for a worker.")] = 1.0
    ray_worker_gpus: Annotated[float, Meta(ge=0, description="GPUs that Ray sets aside for a worker.")] = 0.0


class MCPSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Servers that speak the Model Context Protocol, which requests name as tools."""

    reach: Annotated[
        Literal["auto", "public", "loopback", "private"],
        Meta(
            description="Addresses that a server may have beside public ones: none (`public`), this machine's own "
            "(`loopback`), or those of private networks too (`private`). `auto` is `loopback` if `server.host` is a "
            "loopback address, else `public`."
        ),
    ] = "auto"
    list_timeout_s: Annotated[
        float, Meta(gt=0, le=600, description="How long a server may take to connect and tell its tools, seconds.")
    ] = 30.0
    call_timeout_s: Annotated[
        float, Meta(gt=0, le=3600, description="How long one call of a tool may take, seconds.")
    ] = 120.0
    max_result_chars: Annotated[
        int,
        Meta(ge=256, le=8_388_608, description="The longest result that a model reads, characters; more is cut off."),
    ] = 262_144


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Notifications of projects' own receivers, see `docs/webhooks.md`."""

    allow_networks: Annotated[
        list[str],
        Meta(
            description="Networks that receivers named through the API may be in although they are not public, e.g. "
            "`127.0.0.0/8,10.0.0.0/8`. Those that `inhouse webhooks create` names may be private without it."
        ),
    ] = []

    @property
    def networks(self) -> tuple[Network, ...]:
        """Raises SettingsError."""
        try:
            return networks_of(self.allow_networks)
        except ValueError as error:
            raise SettingsError(f"webhooks.allow_networks: {error}") from None


class ConsoleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The pages that people see, and how they sign in, see `docs/console.md`."""

    url: Annotated[
        str,
        Meta(
            pattern="^(https?://.+)?$",
            description="Where browsers reach the console, e.g. `https://models.example.com`. Default: as they ask.",
        ),
    ] = ""
    session_hours: Annotated[float, Meta(gt=0, le=8760, description="How long somebody stays signed in, in hours.")] = (
        12.0
    )
    oidc_issuer: Annotated[
        str,
        Meta(
            description="The OpenID Connect provider that people sign in with, e.g. `https://login.example.com`. Its "
            "redirect URI is `/sign-in/provider/callback` of the console."
        ),
    ] = ""
    oidc_client_id: Annotated[str, Meta(description="What the provider calls this console.")] = ""
    oidc_client_secret: Annotated[
        Secret | None, Meta(description="What proves it to the provider; none for a public client.")
    ] = None
    oidc_name: Annotated[str, Meta(min_length=1, description="What people call the provider.")] = "single sign-on"
    oidc_domains: Annotated[
        list[str],
        Meta(description="Domains of addresses whose owners become users without an invite, with `oidc_role`."),
    ] = []
    oidc_role: Annotated[
        Literal["none", "reader", "owner"],
        Meta(description="The role of such users; with `none`, only who was invited gets in."),
    ] = "none"
    oidc_trust_addresses: Annotated[
        bool,
        Meta(description="Take addresses for verified although the provider does not say `email_verified`."),
    ] = False

    @property
    def provider(self) -> str:
        """What people call the provider that they sign in with; empty if there is none. Raises SettingsError."""
        if not self.oidc_issuer:
            return ""
        if not self.oidc_client_id:
            raise SettingsError("console.oidc_client_id: the provider of console.oidc_issuer must have given one")
        if not self.oidc_issuer.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise SettingsError("console.oidc_issuer: a provider is only believed over https://")
        return self.oidc_name


class Log(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the server writes to its standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least severe level that is written.")
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"],
        Meta(description="`json` writes one object a line; `auto` does so unless a person is watching."),
    ] = "auto"


LOCK = "server.lock"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    data_dir: Annotated[
        Path,
        Meta(
            description="Folder of everything this server keeps: database and logs. `make serve` uses `data`, and so "
            "do commands that are run beside it."
        ),
    ] = Path("~/.local/share/inhouse")
    cache_dir: Annotated[
        Path, Meta(description="Folder of downloaded weights, shared by all servers of this user.")
    ] = Path("~/.cache/inhouse")
    api_key: Annotated[
        Secret | None,
        Meta(
            description="Makes this key valid for the default project, for CI and containers. Without it the first "
            "start generates one and shows it once. A key that was set before stays valid until it is revoked."
        ),
    ] = None
    admin_key: Annotated[Secret | None, Meta(description="Makes this key valid for managing the organization.")] = None
    server: Server = Server()
    database: DatabaseSettings = DatabaseSettings()
    files: FileSettings = FileSettings()
    vector_stores: VectorStoreSettings = VectorStoreSettings()
    engines: Engines = Engines()
    limits: LimitSettings = LimitSettings()
    batches: BatchSettings = BatchSettings()
    mcp: MCPSettings = MCPSettings()
    webhooks: WebhookSettings = WebhookSettings()
    console: ConsoleSettings = ConsoleSettings()
    log: Log = Log()

    @property
    def lock_file(self) -> Path:
        """What a server holds locked in its data folder."""
        return self.data_dir / LOCK

    @property
    def database_url(self) -> str:
        """The database to open, with its password."""
        if self.database.url is not None:
            return self.database.url.reveal()
        return f"sqlite:///{self.data_dir / 'inhouse.db'}"

    @property
    def mcp_reach(self) -> Literal["public", "loopback", "private"]:
        """Where MCP servers may be: on this machine too, if all who can ask for it are here as well."""
        if self.mcp.reach != "auto":
            return self.mcp.reach
        try:
            local = self.server.host == "localhost" or ip_address(self.server.host).is_loopback
        except ValueError:
            local = False
        return "loopback" if local else "public"
