"""Operations: the surface as data.

An operation is declared once, on the method that serves it. Routing, validation, ``/openapi.json`` and the coverage
score all read that declaration::

    class Chat:
        @operation("GET", "/chat/completions/{completion_id}", id="getChatCompletion", tag="Chat", errors=(NotFound,))
        async def retrieve(self, request: Request, completion_id: str) -> ChatCompletion:
            \"\"\"Get a stored completion.\"\"\"

What the parameters and the result mean is read from their annotations: ``body`` (a Struct, which is read from a
multipart form if it has a field of type ``UploadedFile``, or ``bytes`` for a raw body; ``| None`` where it may be
empty), ``query`` (a Struct), and one parameter for each ``{name}`` of the path. The
result is a Struct, an ``EventStream[Event]``, a ``Download``, None (204), or a union of them.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote

import msgspec

from inhouse.access.scopes import scope_of
from inhouse.api.forms import file_fields
from inhouse.kit.errors import APIError
from inhouse.kit.sse import EventStream
from inhouse.kit.validation import Style

if TYPE_CHECKING:
    from inhouse.access import Caller

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
BodyKind = Literal["none", "json", "form", "bytes"]
"""How a request body is read. ``json`` and ``form`` are validated against the body type; ``bytes`` comes as it is."""

_PLACEHOLDER = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_PATH = re.compile(r"(/([A-Za-z0-9_.-]+|\{[a-z_][a-z0-9_]*\}))+")
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])


class DeclarationError(TypeError):
    """An operation is declared wrongly. Raised while its module is imported."""


class Download:
    """A result that is not JSON: a file's content, speech, an image.

    Args:
        content: all of it, or pieces of it as they become ready (closed once, like an EventStream's batches).
        media_type: its Content-Type.
        filename: offered to browsers, if given.
        length: bytes in all, if known; always known for ``bytes``.
        status: 206 for a part of something.
    """

    __slots__ = ("content", "filename", "length", "media_type", "status")

    def __init__(
        self,
        content: bytes | AsyncGenerator[bytes, None],
        media_type: str = "application/octet-stream",
        *,
        filename: str | None = None,
        length: int | None = None,
        status: int = 200,
    ) -> None:
        self.status = status
        self.content = content
        self.media_type = media_type
        self.filename = filename
        self.length = len(content) if isinstance(content, bytes) else length

    @property
    def disposition(self) -> str | None:
        """Content-Disposition as RFC 6266: a plain name for everybody, the exact one for those that can read it."""
        name = self.filename
        if name is None:
            return None
        plain = "".join(each if each.isascii() and each.isprintable() and each not in '"\\' else "_" for each in name)
        exact = f"; filename*=UTF-8''{quote(name, safe='')}" if plain != name else ""
        return f'attachment; filename="{plain}"{exact}'


class Headers(Mapping[str, str]):
    """Request headers, by lower-case name; decoded when they are read. Of a repeated header the last one counts."""

    __slots__ = ("_raw",)

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._raw = dict(raw)

    def __getitem__(self, name: str) -> str:
        return self._raw[name.encode("latin-1", "replace")].decode("latin-1")

    def get(self, name: str, default: Any = None) -> Any:
        value = self._raw.get(name.encode("latin-1", "replace"))
        return default if value is None else value.decode("latin-1")

    def __iter__(self) -> Any:
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)


class Request:
    """What a handler knows of the request beside its validated parameters."""

    __slots__ = ("body_bytes", "caller", "client", "headers", "operation", "received_at", "request_id", "respond")

    def __init__(
        self,
        request_id: str,
        operation: Operation,
        caller: Caller,
        headers: Headers,
        client: str | None,
        received_at: float,
    ) -> None:
        self.request_id = request_id
        """``req_`` and 32 hexadecimal digits; the client reads it as ``x-request-id``."""
        self.operation = operation
        self.caller = caller
        self.headers = headers
        self.client = client
        """Address of the peer, without port."""
        self.received_at = received_at
        """``time.perf_counter()`` when the request arrived, seconds."""
        self.body_bytes = 0
        """Length of the body, once it is read."""
        self.respond: dict[str, str] = {}
        """Further response headers, lower-case; set them before the handler returns or raises."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API, as declared."""

    method: Method
    path: str
    """Without the /v1 prefix, with ``{placeholders}``."""
    id: str
    tag: str
    summary: str
    description: str
    status: int
    """Of a success with a body."""
    style: Style
    """How validation errors at the top level are worded."""
    deprecated: bool
    scope: str
    """What the caller's key must allow, see ``access.scopes``."""
    beta: str | None
    """What the header ``OpenAI-Beta`` has to name."""
    errors: tuple[type[APIError], ...]
    """Errors beyond those that every operation can answer with."""
    parameters: tuple[tuple[str, Any], ...]
    """Name and type of each parameter after ``request``, in the order of the signature."""
    body_kind: BodyKind
    body_type: Any
    body_required: bool
    max_bytes: int | None
    """Of a body, or of a form's files together; None for what the server's settings say."""
    query_type: type[msgspec.Struct] | None
    path_types: Mapping[str, Any]
    response_type: Any | None
    """Of the JSON answer; None where there is none."""
    event_type: Any | None
    """Of one event of a stream; None where it cannot stream."""
    downloads: bool
    empty: bool
    """Whether it may answer 204 without a body."""
    handler: Callable[..., Awaitable[Any]]
    """Bound to its face once ``operations_of`` was given an instance."""
    bound: bool = False


def operation(
    method: Method,
    path: str,
    *,
    id: str,
    tag: str,
    errors: Iterable[type[APIError]] = (),
    status: int = 200,
    style: Style = "named",
    deprecated: bool = False,
    scope: str | None = None,
    beta: str | None = None,
    max_bytes: int | None = None,
) -> Callable[[Handler], Handler]:
    """Declare the decorated method as an operation of the API.

    Args:
        path: without the /v1 prefix, e.g. ``/chat/completions/{completion_id}``.
        id: the official operationId.
        tag: the official tag.
        errors: error classes it raises beyond those of every operation.
        status: of a success.
        style: ``legacy`` for the older routes' wording of unknown and missing top-level parameters.
        scope: what the caller's key must allow; by default what ``access.scopes.scope_of`` says.
        beta: what the header ``OpenAI-Beta`` has to name, e.g. ``assistants=v2``.
        max_bytes: that a body, or a form's files together, may have; by default what the settings say.

    Raises:
        DeclarationError: while importing, if the declaration is wrong.
    """

    def declare(handler: Handler) -> Handler:
        handler.__operation__ = _read(  # type: ignore[attr-defined]
            handler,
            method,
            path,
            id,
            tag,
            tuple(errors),
            status,
            style,
            deprecated,
            scope or scope_of(method, path),
            beta,
            max_bytes,
        )
        return handler

    return declare


def operations_of(*faces: Any) -> list[Operation]:
    """The operations of faces, in the order of their declaration.

    Args:
        faces: classes (for documents) or instances (to serve; handlers come bound).

    Raises:
        DeclarationError: a face without operations, or two operations with one id or one method and path.
    """
    found: list[Operation] = []
    for face in faces:
        cls = face if isinstance(face, type) else type(face)
        members: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            members.update(vars(base))
        before = len(found)
        for name, member in members.items():
            declared = getattr(member, "__operation__", None)
            if isinstance(declared, Operation):
                found.append(declared if face is cls else replace(declared, handler=getattr(face, name), bound=True))
        if len(found) == before:
            raise DeclarationError(f"{cls.__qualname__} has no operations")
    seen: dict[str, Operation] = {}
    for each in found:
        for key in (each.id, f"{each.method} {_PLACEHOLDER.sub('{}', each.path)}"):
            other = seen.setdefault(key, each)
            if other is not each:
                raise DeclarationError(f"{each.id}: {key!r} is already declared by {other.id} ({other.path})")
    return found


def _read(
    handler: Callable[..., Any],
    method: Method,
    path: str,
    id: str,
    tag: str,
    errors: tuple[type[APIError], ...],
    status: int,
    style: Style,
    deprecated: bool,
    scope: str,
    beta: str | None,
    max_bytes: int | None,
) -> Operation:
    where = f"{handler.__module__}.{handler.__qualname__} ({method} {path})"

    def wrong(what: str) -> DeclarationError:
        return DeclarationError(f"{where}: {what}")

    if not inspect.iscoroutinefunction(handler):
        raise wrong("an operation must be an `async def` that returns")
    if method not in get_args(Method):
        raise wrong(f"method must be one of {', '.join(get_args(Method))}")
    if not _PATH.fullmatch(path):
        raise wrong("path must look like /noun/{name}")
    for error in errors:
        if not (isinstance(error, type) and issubclass(error, APIError)):
            raise wrong(f"errors must be APIError classes, not {error!r}")
    try:
        hints = get_type_hints(handler, include_extras=True)
    except NameError as error:
        raise wrong(f"{error}; import what annotations name before the class") from error

    names = list(inspect.signature(handler).parameters)
    if names[:2] != ["self", "request"] or hints.get("request") is not Request:
        raise wrong("the first parameters must be `self, request: Request`")
    if "return" not in hints:
        raise wrong("the result has no annotation")
    placeholders = _PLACEHOLDER.findall(path)
    taken = [name for name in names[2:] if name not in ("body", "query")]
    if sorted(taken) != sorted(placeholders):
        raise wrong(f"path parameters are {placeholders}, but the method takes {taken}")

    parameters: list[tuple[str, Any]] = []
    for name in names[2:]:
        if name not in hints:
            raise wrong(f"parameter {name!r} has no annotation")
        parameters.append((name, hints[name]))
    declared = dict(parameters)

    body_kind: BodyKind = "none"
    body_type, body_required = None, False
    if "body" in declared:
        if method == "GET":
            raise wrong("GET takes no body")
        members = _members(declared["body"])
        body_required = types.NoneType not in members
        body_type = _union([member for member in members if member is not types.NoneType])
        body_kind = "bytes" if body_type is bytes else "json"
        if body_kind == "json":
            _check(wrong, "body", body_type)
            body_kind = "form" if file_fields(body_type) else "json"
    query_type = declared.get("query")
    if query_type is not None:
        if not (isinstance(query_type, type) and issubclass(query_type, msgspec.Struct)):
            raise wrong("query must be a Struct")
        _check(wrong, "query", query_type)
    path_types = {name: declared[name] for name in placeholders}
    for name, annotation in path_types.items():
        _check(wrong, name, annotation)

    json_types, event_type, downloads, empty = [], None, False, False
    for member in _members(hints["return"]):
        if member is types.NoneType:
            empty = True
        elif member is Download:
            downloads = True
        elif member is EventStream:
            raise wrong("EventStream needs the type of its events: EventStream[Event]")
        elif get_origin(member) is EventStream:
            (event_type,) = get_args(member)
            _check(wrong, "EventStream", event_type)
        else:
            json_types.append(member)
    response_type = _union(json_types) if json_types else None
    if response_type is not None:
        for one in json_types:  # a union is only ever written, so its Structs need no tags
            _check(wrong, "result", one)

    summary, _, description = (inspect.getdoc(handler) or "").partition("\n")
    if not summary:
        raise wrong("the docstring is missing; its first line becomes the summary")
    return Operation(
        method=method,
        path=path,
        id=id,
        tag=tag,
        summary=summary.strip(),
        description=description.strip(),
        status=status,
        style=style,
        deprecated=deprecated,
        scope=scope,
        beta=beta,
        errors=errors,
        parameters=tuple(parameters),
        body_kind=body_kind,
        body_type=body_type,
        body_required=body_required,
        max_bytes=max_bytes,
        query_type=query_type,
        path_types=path_types,
        response_type=response_type,
        event_type=event_type,
        downloads=downloads,
        empty=empty,
        handler=handler,
    )


def response_types(operation: Operation) -> tuple[Any, ...]:
    """What its JSON answer may be: the members of a union, or the one type."""
    return () if operation.response_type is None else _members(operation.response_type)


def _members(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,) if annotation is not None else (types.NoneType,)


def _union(members: list[Any]) -> Any:
    return members[0] if len(members) == 1 else Union[tuple(members)]  # noqa: UP007


def _check(wrong: Callable[[str], DeclarationError], name: str, annotation: Any) -> None:
    """A type that msgspec cannot read must not wait for the first request to be found."""
    plain = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if plain is Any:
        return
    try:
        msgspec.json.Decoder(annotation)
    except (TypeError, ValueError) as error:
        raise wrong(f"{name}: {error}") from error
