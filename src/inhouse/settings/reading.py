"""Where settings come from: their names in a file, in the environment and on the command line."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from inhouse.settings.sections import LOCK, Secret, Settings, SettingsError

PREFIX = "INHOUSE_"
CONFIG_VARIABLE = "INHOUSE_CONFIG"
FILE_NAME = "inhouse.toml"

# A Kubernetes service called "inhouse" puts such variables into every container beside it.
_SERVICE_LINK = re.compile(r"INHOUSE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$")
_SERVICE_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")


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
        case kinds.BoolType():
            return "true or false"
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
    default = _default_folder()
    file, named = _file(environ, strong.get("data_dir", default))
    values = {**_from_file(file, named), **strong}
    values["data_dir"] = _folder(values.get("data_dir", default))
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


def _default_folder() -> Path:
    """Where ``make serve`` keeps its data, if it did so here: further commands here are meant for that server."""
    here = Path("data")
    folder: Path = here if (here / LOCK).is_file() else FIELDS["data_dir"].default
    return folder


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
