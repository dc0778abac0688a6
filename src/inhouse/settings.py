"""The settings, where they come from, and what they mean.

Weakest to strongest: the defaults below, a TOML file, the environment, the command line. The file is the one that
``INHOUSE_CONFIG`` names, or ``inhouse.toml`` in the data folder if there is one. One rule gives a setting its names::

    in the file         [server]            data_dir = "…"
                        port = 4141
    in the environment  INHOUSE_SERVER__PORT=4141     INHOUSE_DATA_DIR=…

that is: ``INHOUSE_``, the section and two underscores if it is in one, the name, in capitals. An empty variable counts
as absent. Lists are written with commas. A name that does not exist is an error, wherever it stands.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from inhouse.kit.addresses import Network, networks_of

PREFIX = "INHOUSE_"
CONFIG_VARIABLE = "INHOUSE_CONFIG"
FILE_NAME = "inhouse.toml"

# A Kubernetes service called "inhouse" puts such variables into every container beside it.
_SERVICE_LINK = re.compile(r"INHOUSE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$")
_SERVICE_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")


class SettingsError(Exception):
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


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    data_dir: Annotated[
        Path, Meta(description="Folder of everything this server keeps: database and logs. `make serve` uses `data`.")
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


class Field(msgspec.Struct, frozen=True):
    """One setting as it can be named and documented."""

    path: str
    """Dotted, e.g. ``server.port``."""
    type: Any
    default: Any
    description: str

    @property
    def variable(self) -> str:
        return PREFIX + self.path.replace(".", "__").upper()

    @property
    def takes(self) -> str:
        """What may be given, in words: ``a whole number from 0 to 65535``."""
        return _takes(msgspec.inspect.type_info(self.type))

    @property
    def secret(self) -> bool:
        return self.takes == "a secret"


def fields(struct: type[msgspec.Struct] = Settings, section: str = "") -> Iterator[Field]:
    """All settings, in the order of the documentation."""
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        hint = hints[field.name]
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield from fields(hint, f"{section}{field.name}.")
        else:
            default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            yield Field(section + field.name, hint, default, hint.__metadata__[0].description)


def _takes(type: msgspec.inspect.Type) -> str:
    kinds = msgspec.inspect
    match type:
        case kinds.Metadata():
            return _takes(type.type)
        case kinds.UnionType():
            return _takes(next(option for option in type.types if not isinstance(option, kinds.NoneType)))
        case kinds.IntType() | kinds.FloatType():
            words = "a whole number" if isinstance(type, kinds.IntType) else "a number"
            if type.ge is not None and type.le is not None:
                return f"{words} from {type.ge} to {type.le}"
            if type.ge is not None:
                return f"{words}, at least {type.ge:g}"
            return f"{words} above {type.gt:g}" if type.gt is not None else words
        case kinds.LiteralType():
            return "one of " + ", ".join(map(str, type.values))
        case kinds.ListType():
            return "a list of text"
        case kinds.CustomType(cls=cls):
            return "a secret" if cls is Secret else "a path"
    return "text"


FIELDS = {field.path: field for field in fields()}
VARIABLES = {field.variable: field for field in FIELDS.values()}


def load(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force. Reads one file and changes nothing.

    Args:
        flags: from the command line, by dotted path (``{"server.port": 8080}``); None means not given.
        environ: the process's environment if None.

    Raises:
        SettingsError
    """
    environ = os.environ if environ is None else environ
    strong = {**_from_environment(environ), **_from_flags(flags or {})}
    file, named = _file(environ, strong.get("data_dir", FIELDS["data_dir"].default))
    values = {**_from_file(file, named), **strong}
    values["data_dir"] = _folder(values.get("data_dir", FIELDS["data_dir"].default))
    values["cache_dir"] = _folder(values.get("cache_dir", FIELDS["cache_dir"].default))
    settings: Settings = _build(Settings, values, "")
    return settings


def portable(settings: Settings) -> dict[str, Any]:
    """Settings for a process elsewhere, by dotted path, as JSON has them. With their secrets: for no log or screen."""
    values = {}
    for path in FIELDS:
        value: Any = settings
        for name in path.split("."):
            value = getattr(value, name)
        if isinstance(value, Secret):
            value = value.reveal()
        if value is not None:
            values[path] = str(value) if isinstance(value, Path) else value
    return values


def restored(values: Mapping[str, Any]) -> Settings:
    """What ``portable`` made of settings. Raises SettingsError, of another version's too."""
    unknown = next((path for path in values if path not in FIELDS), None)
    if unknown is not None:
        raise SettingsError(f"there is no setting {unknown} in this version")
    converted = {path: _convert(FIELDS[path], value, path, strict=True) for path, value in values.items()}
    settings: Settings = _build(Settings, converted, "")
    return settings


def _build(struct: type[msgspec.Struct], values: Mapping[str, Any], section: str) -> Any:
    given: dict[str, Any] = {}
    hints = get_type_hints(struct)
    for name in struct.__struct_fields__:
        hint = hints[name]
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            given[name] = _build(hint, values, f"{section}{name}.")
        elif section + name in values:
            given[name] = values[section + name]
    return struct(**given)


def _folder(path: Path) -> Path:
    try:
        return Path(os.path.abspath(path.expanduser()))
    except RuntimeError as error:  # "~" without a home
        raise SettingsError(f"{path}: the home folder is not known; write the path in full") from error


def _file(environ: Mapping[str, str], data_dir: Path) -> tuple[Path, bool]:
    """The TOML file to read, and whether the user named it."""
    if name := environ.get(CONFIG_VARIABLE):
        return _folder(Path(name)), True
    return _folder(data_dir) / FILE_NAME, False


def _from_file(file: Path, named: bool) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            content = tomllib.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        if named:
            raise SettingsError(f"{CONFIG_VARIABLE}: there is no file {file}") from None
        return {}
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not valid TOML: {error}") from error
    values = {}
    for path, value in _flatten(content, file, ""):
        if path == "data_dir" and not named:
            raise SettingsError(
                f"{file}: data_dir cannot be set in the file that is found through it; set INHOUSE_DATA_DIR, or "
                f"{CONFIG_VARIABLE} to this file"
            )
        field = FIELDS.get(path)
        if field is None:
            raise SettingsError(f"{file}: there is no setting {path}{_suggest(path, FIELDS)}")
        values[path] = _convert(field, value, f"{file}: {path}", strict=True)
    return values


def _flatten(content: Mapping[str, Any], file: Path, section: str) -> Iterator[tuple[str, Any]]:
    sections = {path.partition(".")[0] for path in FIELDS if "." in path}
    for name, value in content.items():
        if not section and name in sections:
            if not isinstance(value, dict):
                raise SettingsError(f"{file}: {name} is a section; write [{name}] and its settings below")
            yield from _flatten(value, file, f"{name}.")
        else:
            yield section + name, value


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE or not text:
            continue
        if _SERVICE_LINK.match(name) or _SERVICE_LINK_VALUE.match(text):
            continue
        field = VARIABLES.get(name)
        if field is None:
            raise SettingsError(f"{name}: there is no such setting{_suggest(name, VARIABLES)}")
        value: Any = text
        if _is_list(field):
            value = [item.strip() for item in text.split(",") if item.strip()]
        values[field.path] = _convert(field, value, name, strict=False)
    return values


def _from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for path, value in flags.items():
        if value is None:
            continue
        flag = "--" + path.rpartition(".")[2].replace("_", "-")
        if path not in FIELDS:
            raise SettingsError(f"{flag}: there is no setting {path}{_suggest(path, FIELDS)}")
        values[path] = _convert(FIELDS[path], value, flag, strict=False)
    return values


def _is_list(field: Field) -> bool:
    return isinstance(field.default, list)


def _convert(field: Field, value: Any, source: str, *, strict: bool) -> Any:
    try:
        # Laxly, the text "null" would be None; of a secret it is just a bad one.
        return msgspec.convert(value, field.type, strict=strict or field.secret, dec_hook=_decode)
    except msgspec.ValidationError:
        # The value of a secret, or of what was meant to be one, is not repeated.
        raise SettingsError(f"{source}: takes {field.takes}" + ("" if field.secret else f", not {value!r}")) from None


def _decode(type: type, value: Any) -> Any:
    if not isinstance(value, str | Path) or not str(value):
        raise msgspec.ValidationError("Expected text")
    return type(value) if type is not Secret else Secret(str(value))


def _suggest(name: str, known: Mapping[str, Field]) -> str:
    last = re.split(r"__|\.", name.removeprefix(PREFIX).lower())[-1]
    same = [other for other, field in known.items() if field.path.rpartition(".")[2] == last]
    close = same or difflib.get_close_matches(name, known, 1, 0.7)
    return f"; did you mean {close[0]}?" if close else ""
