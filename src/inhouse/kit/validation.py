"""From bytes and query strings to typed values, or to the error that the API's contract words.

Decoding is msgspec's. Only when it refuses is the request looked at again, here, along the path that msgspec names,
to say what was expected and what was there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable, Mapping
from functools import cache
from itertools import islice
from typing import Any, Literal, TypeVar, cast
from urllib.parse import parse_qsl

import msgspec

from inhouse.kit.errors import InvalidRequest
from inhouse.kit.violations import Step, Violation, find, find_nul
from inhouse.kit.wording import Huge

T = TypeVar("T")
Style = Literal["named", "legacy"]
"""How the top level of a body is refused: ``named`` with param and code, ``legacy`` as Chat Completions and
Completions do (``Unrecognized request argument supplied: x``, ``you must provide a model parameter``)."""

_MAX_PARAMETERS = 1000
MOST_OBJECTS = 32_768
"""JSON objects of a body. Each message, part or item is one, and is worked on by itself: 300,000 of them in 9 MB held
everybody else up for seconds, while a long prompt has few, however long it is."""
_OBJECT = re.compile(rb'\{\s*"')
_PATH = re.compile(r" - at (?:`key` in )?`\$(.*)`$", re.DOTALL)
_STEP = re.compile(r"\.(?P<field>[^.\[]+(?:\[\])?)|\[(?P<index>\d+)\]|(?P<any>\[\.\.\.\])")
_NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. {})"
)


def decode(data: bytes, type: type[T], *, style: Style = "named") -> T:
    """The value of a JSON body.

    A Struct may have a static method ``mend``, for liberties of the contract that types cannot express: it is given
    the decoded body that was refused, changes it in place, and returns whether it did; the body is then tried again.

    Args:
        data: the body as it came.
        type: a Struct, or any type that msgspec reads.
        style: wording for the top level.

    Raises:
        InvalidRequest: with the official message, code and the dotted path of the parameter.
    """
    if len(data) > 2 * MOST_OBJECTS:
        _check_objects(data)
    try:
        value: T = _decoder_of(type).decode(data)
    except msgspec.ValidationError as error:
        value = _mended(data, type, error, style)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error) from None
    if b"\\u0000" in data and (path := find_nul(_reread(data))) is not None:
        raise _holds_nul(path)
    return value


def _check_objects(data: bytes) -> None:
    count = sum(1 for _ in islice(_OBJECT.finditer(data), MOST_OBJECTS + 1))
    if count > MOST_OBJECTS:
        raise InvalidRequest(
            f"Invalid request body: too many objects. Expected JSON with at most {MOST_OBJECTS} objects in all.",
            code="invalid_value",
        )


def _mended(data: bytes, type: type[T], error: msgspec.ValidationError, style: Style) -> T:
    raw = _reread(data)
    mend = getattr(type, "mend", None)
    if mend is not None and mend(raw):
        try:
            return msgspec.convert(raw, type)
        except msgspec.ValidationError as other:
            error = other
    raise _refusal(error, type, raw, style) from None


def convert(values: Mapping[str, Any], type: type[T]) -> T:
    """The value of query parameters, as ``parse_query`` gives them; numbers and booleans are read from their text.

    Raises:
        InvalidRequest: as ``decode`` does.
    """
    if (path := find_nul(values)) is not None:
        raise _holds_nul(path)
    arrays = _arrays(cast(Hashable, type))
    # Some shapes name an array as it is written, with brackets.
    values = {f"{name}[]" if f"{name}[]" in arrays else name: value for name, value in values.items()}
    single = [name for name in arrays if isinstance(values.get(name), str)]
    if single:
        values = {**values, **{name: [values[name]] for name in single}}
    try:
        return msgspec.convert(values, type, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(error, type, values, "named", lax=True) from None


def parse_query(query: bytes) -> dict[str, Any]:
    """Query parameters by name, as the official SDKs write them.

    ``a=1`` gives a string (of a repeated one the list of them), ``a[]=1`` a list, ``a[k]=1`` a dict.

    Raises:
        InvalidRequest: not UTF-8, or more than 1,000 parameters.
    """
    if not query:
        return {}
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError as error:
        raise InvalidRequest(f"We could not parse the query string of your request: {error}.") from None
    return nested(pairs)


def nested(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Pairs of a query string or of a form by name; see ``parse_query`` for what brackets in names mean."""
    values: dict[str, Any] = {}
    for name, text in pairs:
        head, bracket, rest = name.partition("[")
        if not bracket or not head or not rest.endswith("]"):
            seen = values.get(name)
            if seen is None or isinstance(seen, dict):
                values[name] = text
            else:
                values[name] = [*seen, text] if isinstance(seen, list) else [seen, text]
        elif rest == "]":
            seen = values.setdefault(head, [])
            values[head] = [*seen, text] if isinstance(seen, list) else [text]
        else:
            seen = values.setdefault(head, {})
            values[head] = {**seen, rest[:-1]: text} if isinstance(seen, dict) else {rest[:-1]: text}
    return values


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def _decoder_of(type: Any) -> msgspec.json.Decoder[Any]:
    decoder = _decoders.get(type)
    if decoder is None:
        decoder = _decoders[type] = msgspec.json.Decoder(type)
    return decoder


@cache
def _arrays(type: Hashable) -> frozenset[str]:
    """Names of the query parameters that are arrays: the SDKs may send one element without brackets."""
    info = msgspec.inspect.type_info(type)
    if not isinstance(info, msgspec.inspect.StructType):
        return frozenset()
    arrays = set()
    for field in info.fields:
        described = field.type.type if isinstance(field.type, msgspec.inspect.Metadata) else field.type
        members = described.types if isinstance(described, msgspec.inspect.UnionType) else (described,)
        for member in members:
            plain = member.type if isinstance(member, msgspec.inspect.Metadata) else member
            if isinstance(plain, msgspec.inspect.CollectionType):
                arrays.add(field.encode_name)
    return frozenset(arrays)


def _reread(data: bytes) -> Any:
    """The body without a type. Numbers that no machine type holds become ``Huge``."""
    try:
        return msgspec.json.decode(data)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error) from None
    try:
        return json.loads(data, parse_int=_integer, parse_float=_decimal)
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from None


def _integer(text: str) -> Any:
    return int(text) if len(text) < 300 else Huge(text)


def _decimal(text: str) -> Any:
    value = float(text)
    return Huge(text) if value in (float("inf"), float("-inf")) else value


def _not_json(error: Exception) -> InvalidRequest:
    if isinstance(error, RecursionError):
        reason = "It is nested too deeply."
    elif isinstance(error, UnicodeDecodeError):
        reason = "It is not valid UTF-8."
    else:
        reason = f"The parser says: {str(error).removeprefix('JSON is malformed: ')}."
    return InvalidRequest(_NOT_JSON.format(reason))


def _holds_nul(path: str) -> InvalidRequest:
    param = path.replace("\0", "\\u0000")
    return InvalidRequest(f"Invalid '{param}': string contains U+0000, which is not allowed.", param=param)


def _refusal(
    error: msgspec.ValidationError, type: Any, value: Any, style: Style, *, lax: bool = False
) -> InvalidRequest:
    text = str(error)
    match = _PATH.search(text)
    hint: list[Step] = [
        step["field"] or (int(step["index"]) if step["index"] else None)
        for step in _STEP.finditer(match[1] if match else "")
    ]
    # A __post_init__ that refused: the text is the Struct's own, and everything else about the value is right.
    own = isinstance(error.__cause__, (ValueError, TypeError))
    found = None if own else find(_info(type), value, hint, lax=lax)
    if found is None:
        param = "".join(f"[{step}]" if isinstance(step, int) else f".{step or '*'}" for step in hint).lstrip(".")
        message = text[: match.start()] if match else text
        if not own:
            what = f"'{param}'" if param else "request body"
            message = f"Invalid {what}: {message[:1].lower()}{message[1:]}."
        return InvalidRequest(message, param=param or None, code="invalid_value")
    if style == "legacy":
        found = _as_legacy(found)
    return InvalidRequest(found.message, param=found.param, code=found.code)


@cache
def _info(type: Hashable) -> msgspec.inspect.Type:
    return msgspec.inspect.type_info(type)


def _as_legacy(found: Violation) -> Violation:
    if found.code == "unknown_parameter" and found.names:
        plural = "s" if len(found.names) > 1 else ""
        return Violation(f"Unrecognized request argument{plural} supplied: {', '.join(sorted(found.names))}")
    if found.param == "model" and found.code == "missing_required_parameter":
        return Violation("you must provide a model parameter")
    if found.param == "model" and found.code == "invalid_type":
        return Violation(_NOT_JSON.format("The parameter 'model' must be a string."))
    return found
