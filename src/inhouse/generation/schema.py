"""Which JSON Schemas are accepted for structured outputs and functions, in the official words.

Structured outputs take a subset of JSON Schema: a root object, every property required, ``additionalProperties`` false
on every object, no composition except ``anyOf``, and bounds on size. Functions without ``strict`` take any schema of an
object. Refusals carry the place in the schema as ``In context=('properties', 'a')``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from inhouse.kit.errors import InvalidRequest

MAX_DEPTH: Final = 10
MAX_PROPERTIES: Final = 5_000
MAX_STRING_LENGTH: Final = 120_000
"""Characters of property names, definition names, enum and const values together."""
MAX_ENUM_VALUES: Final = 1_000
MAX_LARGE_ENUM_LENGTH: Final = 15_000
"""Characters of one enum's strings where it has more than ``LARGE_ENUM`` values."""
LARGE_ENUM: Final = 250

FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"},
)
NOT_STRICT: Final = frozenset(
    {
        *("allOf", "oneOf", "not", "if", "then", "else", "dependencies", "dependentRequired", "dependentSchemas"),
        *("patternProperties", "propertyNames", "minProperties", "maxProperties", "unevaluatedProperties"),
        *("prefixItems", "additionalItems", "contains", "minContains", "maxContains", "uniqueItems"),
        *("unevaluatedItems", "minLength", "maxLength", "$dynamicRef", "$recursiveRef"),
    }
)
"""Keywords that a strict schema may not use."""

_TYPES: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_NUMBERS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_COUNTS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_SUBSCHEMAS: Final = frozenset(
    {"not", "if", "then", "else", "propertyNames", "contains", "unevaluatedItems", "unevaluatedProperties"}
)
_SUBSCHEMA_LISTS: Final = frozenset({"anyOf", "allOf", "oneOf", "prefixItems"})
_SUBSCHEMA_MAPS: Final = frozenset({"patternProperties", "dependentSchemas"})
_DEFINITIONS: Final = ("$defs", "definitions")
_ROOT_ONLY_FOR_RESPONSES: Final = ("oneOf", "anyOf", "allOf", "enum", "not")
_MAX_WALK: Final = 128
"""Levels of any kind. Deeper than this no schema is meant, only the stack."""
_MORE_PROPERTIES: Final = (
    _SUBSCHEMAS
    | _SUBSCHEMA_LISTS
    | _SUBSCHEMA_MAPS
    | frozenset({"$ref", "$dynamicRef", "$recursiveRef", "enum", "const", "minProperties", "dependencies"})
)
"""Keywords by which an object may have properties that ``properties`` does not name."""
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+\Z")

_UNICODE_CLASS: Final = re.compile(r"\\[pP](?:\{[A-Za-z_=-]{1,32}\}|[A-Z])")
"""What engines know of regular expressions and Python does not: letters of any script, ``\\p{L}``."""

Path = tuple[str, ...]


def takes_nothing(parameters: dict[str, Any] | None) -> bool:
    """Whether a function is meant to be called with ``{}``: its schema names no property, and asks for none."""
    if not parameters:
        return True
    named = any(parameters.get(key) for key in ("properties", "required", "additionalProperties"))
    return not named and not parameters.keys() & _MORE_PROPERTIES


def check_name(name: str, *, param: str, longest: int = 64) -> None:
    """The name of a schema, a function or a custom tool: ``^[a-zA-Z0-9_-]{1,64}$``.

    Args:
        param: dotted path, e.g. ``tools[0].function.name``.
        longest: characters.

    Raises:
        InvalidRequest
    """
    if not name:
        raise InvalidRequest(
            f"Invalid '{param}': empty string. Expected a string with minimum length 1, "
            "but got an empty string instead.",
            param=param,
            code="empty_string",
        )
    if len(name) > longest:
        raise InvalidRequest(
            f"Invalid '{param}': string too long. Expected a string with maximum length {longest}, "
            f"but got a string with length {len(name)} instead.",
            param=param,
            code="string_above_max_length",
        )
    if not _NAME.match(name):
        raise InvalidRequest(
            f"Invalid '{param}': string does not match pattern. "
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            param=param,
            code="invalid_value",
        )


def check_strict(schema: object, *, context_param: str, name: str) -> None:
    """A schema whose output is guaranteed: ``strict: true`` of a response format or a function.

    Args:
        context_param: where it stands: ``response_format``, ``text.format.schema``, ``tools[0].function.parameters``.
        name: of the response format or function.

    Raises:
        InvalidRequest: code ``invalid_json_schema``, or ``invalid_function_parameters`` under ``tools``.
    """
    _Check(schema, context_param=context_param, name=name, strict=True).run()


def check_lenient(schema: object, *, context_param: str, name: str) -> None:
    """A schema without ``strict``: any well-formed JSON Schema, for functions one of an object.

    Raises:
        InvalidRequest: as ``check_strict``.
    """
    _Check(schema, context_param=context_param, name=name, strict=False).run()


def keeps_strict(schema: object, *, context_param: str, name: str) -> bool:
    """Whether a schema that nobody called strict is; functions of the Responses API are strict where they can be."""
    try:
        check_strict(schema, context_param=context_param, name=name)
    except InvalidRequest:
        return False
    return True


def refusal(message: str, *, context_param: str, name: str) -> InvalidRequest:
    """The official error about the schema ``name`` that stands at ``context_param``."""
    function = context_param.startswith(("tools", "functions"))
    subject = f"function '{name}'" if function else f"response_format '{name}'"
    code = "invalid_function_parameters" if function else "invalid_json_schema"
    return InvalidRequest(f"Invalid schema for {subject}: {message}", param=context_param, code=code)


class _Check:
    def __init__(self, schema: object, *, context_param: str, name: str, strict: bool) -> None:
        self.root = schema
        self.param = context_param
        self.name = name
        self.strict = strict
        self.function = context_param.startswith(("tools", "functions"))
        self.depth = 0
        self.properties = 0
        self.string_length = 0
        self.enum_values = 0

    def run(self) -> None:
        root = self.root
        if not isinstance(root, dict):
            raise self._refuse(f"{_shown(root)} is not of type 'object'.")
        if self.strict or self.function:
            if root.get("type") != "object":
                raise self._refuse(
                    f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{root.get('type')}\"'."
                )
            if self.function and any(key in root for key in _ROOT_ONLY_FOR_RESPONSES):
                raise self._refuse(
                    "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
                )
            if "anyOf" in root:
                raise self._refuse_at((), "'anyOf' is not permitted.")
        if self.function and not self.strict and "properties" not in root:
            raise self._refuse_at((), "object schema missing properties.")
        self._walk(root, (), 0, 0)
        if self.strict:
            self._check_limits()

    def _refuse(self, message: str) -> InvalidRequest:
        return refusal(message, context_param=self.param, name=self.name)

    def _refuse_at(self, path: Path, message: str) -> InvalidRequest:
        return self._refuse(f"In context={path!r}, {message}")

    def _walk(self, schema: object, path: Path, depth: int, level: int) -> None:
        """``depth`` counts the levels of data, as the official limit does; ``level`` those of the schema."""
        if level > _MAX_WALK:
            raise self._refuse("schema is nested too deeply. Please ensure it is a valid JSON Schema.")
        if isinstance(schema, bool):
            if self.strict:
                raise self._refuse_at(path, "schema must have a 'type' key.")
            return
        if not isinstance(schema, dict):
            raise self._refuse_at(path, f"{_shown(schema)} is not of type 'object', 'boolean'.")
        self.depth = max(self.depth, depth)
        self._check_keywords(schema, path)
        if "$ref" in schema:
            self._check_ref(schema, path)
        for key in _DEFINITIONS:
            for child, sub in self._children(schema, key, path):
                self.string_length += len(child)
                self._walk(sub, (*path, key, child), 0, level + 1)
        if "$ref" in schema and self.strict:
            return
        types = self._types(schema, path)
        for at, kind in types:
            if kind == "object":
                self._check_object(schema, at)
            elif kind == "array" and not isinstance(schema.get("items"), dict | bool) and "prefixItems" not in schema:
                raise self._refuse_at(at, "array schema missing items.")
            elif kind == "string":
                self._check_string(schema, at)
        for child, sub in self._children(schema, "properties", path):
            self.properties += 1
            self.string_length += len(child)
            self._walk(sub, (*path, "properties", child), depth + 1, level + 1)
        if "items" in schema:
            self._walk(schema["items"], (*path, "items"), depth + 1, level + 1)
        self._walk_composition(schema, path, depth, level)

    def _walk_composition(self, schema: dict[str, Any], path: Path, depth: int, level: int) -> None:
        for key in _SUBSCHEMA_LISTS:
            if key not in schema:
                continue
            options = schema[key]
            if not isinstance(options, list) or not options:
                raise self._refuse_at(path, f"{_shown(options)} is not a non-empty array for '{key}'.")
            for i, option in enumerate(options):
                self._walk(option, (*path, key, str(i)), depth, level + 1)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            self._walk(extra, (*path, "additionalProperties"), depth + 1, level + 1)
        for key in _SUBSCHEMAS & schema.keys():
            self._walk(schema[key], (*path, key), depth, level + 1)
        for key in _SUBSCHEMA_MAPS:
            for child, sub in self._children(schema, key, path):
                self._walk(sub, (*path, key, child), depth + 1, level + 1)

    def _children(self, schema: dict[str, Any], key: str, path: Path) -> Iterator[tuple[str, object]]:
        children = schema.get(key, {})
        if not isinstance(children, dict):
            raise self._refuse_at(path, f"{_shown(children)} is not of type 'object' for '{key}'.")
        yield from children.items()

    def _check_keywords(self, schema: dict[str, Any], path: Path) -> None:
        if self.strict:
            for key in schema:
                if key in NOT_STRICT:
                    raise self._refuse_at(path, f"'{key}' is not permitted.")
        for key in schema:
            value = schema[key]
            if key in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise self._refuse_at((*path, key), f"{_shown(value)} is not of type 'number'.")
            if key in _COUNTS and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise self._refuse_at((*path, key), f"{_shown(value)} is not a non-negative integer.")
            if key == "multipleOf" and value <= 0:
                raise self._refuse_at((*path, key), f"{_shown(value)} is less than or equal to the minimum of 0.")
            if key in ("description", "title") and not isinstance(value, str):
                raise self._refuse_at((*path, key), f"{_shown(value)} is not of type 'string'.")
        if "enum" in schema:
            self._check_enum(schema["enum"], path)
        if isinstance(schema.get("const"), str):
            self.string_length += len(schema["const"])

    def _check_enum(self, values: object, path: Path) -> None:
        if not isinstance(values, list) or not values:
            raise self._refuse_at((*path, "enum"), f"{_shown(values)} is not a non-empty array.")
        length = sum(len(value) for value in values if isinstance(value, str))
        self.enum_values += len(values)
        self.string_length += length
        if self.strict and len(values) > LARGE_ENUM and length > MAX_LARGE_ENUM_LENGTH:
            raise self._refuse_at(
                path,
                f"enum has {len(values)} values with a total string length of {length}, which exceeds limit of "
                f"{MAX_LARGE_ENUM_LENGTH} for an enum with more than {LARGE_ENUM} values.",
            )

    def _check_ref(self, schema: dict[str, Any], path: Path) -> None:
        ref = schema["$ref"]
        if not isinstance(ref, str):
            raise self._refuse_at(path, f"{_shown(ref)} is not of type 'string'.")
        beside = sorted(key for key in schema if key not in ("$ref", *_DEFINITIONS))
        if self.strict and beside:
            raise self._refuse(f"context={path!r}, $ref cannot have keywords {{{', '.join(map(repr, beside))}}}.")
        if self.strict and not re.fullmatch(r"#(/(\$defs|definitions)/[^/]+)?", ref):
            raise self._refuse_at(
                path, "reference can only point to definitions defined at the top level of the schema."
            )
        seen = set()
        target: object = schema
        while isinstance(target, dict) and isinstance(hop := target.get("$ref"), str):
            if hop in seen:
                raise self._refuse_at(path, f"reference '{ref}' only refers to itself.")
            seen.add(hop)
            target = resolve(self.root, hop)
            if target is None:
                raise self._refuse_at(path, f"reference to component '{hop}' which was not found in the schema.")

    def _types(self, schema: dict[str, Any], path: Path) -> list[tuple[Path, str]]:
        """Each type with the context that errors about it carry."""
        if "type" not in schema:
            if self.strict and "anyOf" not in schema:
                raise self._refuse_at(path, "schema must have a 'type' key.")
            return []
        declared = schema["type"]
        names = declared if isinstance(declared, list) else [declared]
        if not names or any(not isinstance(name, str) or name not in _TYPES for name in names):
            raise self._refuse_at((*path, "type"), f"{_shown(declared)} is not valid under any of the given schemas.")
        if isinstance(declared, list):
            return [((*path, "type", str(i)), name) for i, name in enumerate(names)]
        return [(path, declared)]

    def _check_object(self, schema: dict[str, Any], path: Path) -> None:
        required = schema.get("required", [])
        if not isinstance(required, list) or any(not isinstance(key, str) for key in required):
            raise self._refuse_at((*path, "required"), f"{_shown(required)} is not of type 'array'.")
        if not self.strict:
            return
        if schema.get("additionalProperties") is not False:
            raise self._refuse_at(path, "'additionalProperties' is required to be supplied and to be false.")
        if "properties" not in schema:
            raise self._refuse_at(path, "object schema missing properties.")
        rule = "'required' is required to be supplied and to be an array including every key in properties."
        properties = dict(self._children(schema, "properties", path))
        for key in properties:
            if key not in required:
                raise self._refuse_at(path, f"{rule} Missing '{key}'.")
        for key in required:
            if key not in properties:
                raise self._refuse_at(path, f"{rule} Extra required key '{key}' supplied.")

    def _check_string(self, schema: dict[str, Any], path: Path) -> None:
        form = schema.get("format")
        if self.strict and form is not None and form not in FORMATS:
            raise self._refuse_at(path, f"{_shown(form)} is not a valid format.")
        pattern = schema.get("pattern")
        if pattern is None:
            return
        try:
            re.compile(_UNICODE_CLASS.sub(r"\\w", pattern))
        except (re.error, TypeError, RecursionError, OverflowError):
            # Outside strict mode a pattern is advice, and other dialects than Python's are common.
            if self.strict or not isinstance(pattern, str):
                raise self._refuse_at(path, f"{_shown(pattern)} is not a 'regex'.") from None

    def _check_limits(self) -> None:
        if self.depth > MAX_DEPTH:
            raise self._refuse(f"{self.depth} levels of nesting exceeds limit of {MAX_DEPTH}.")
        if self.properties > MAX_PROPERTIES:
            raise self._refuse(f"{self.properties} parameters exceeds limit of {MAX_PROPERTIES}.")
        if self.enum_values > MAX_ENUM_VALUES:
            raise self._refuse(f"{self.enum_values} enum values exceeds limit of {MAX_ENUM_VALUES}.")
        if self.string_length > MAX_STRING_LENGTH:
            raise self._refuse(f"{self.string_length} total string length exceeds limit of {MAX_STRING_LENGTH}.")


def resolve(root: object, ref: str) -> object | None:
    """What a local reference (``#/a/b``, RFC 6901) points to in ``root``, or None."""
    if not ref.startswith("#"):
        return None
    target = root
    for raw in ref[1:].lstrip("/").split("/") if len(ref) > 1 else []:
        key = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(target, dict) and key in target:
            target = target[key]
        elif isinstance(target, list) and key.isdigit() and int(key) < len(target):
            target = target[int(key)]
        else:
            return None
    return target


def _shown(value: object) -> str:
    """The value as an error shows it; long ones are cut."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
