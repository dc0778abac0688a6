"""What is wrong with a value, in the words of the official contract.

``find`` walks a value and its type together and returns the first violation, in the order the official service reports
them: required parameters that are missing, then unknown ones, then what is wrong inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from msgspec import inspect

from inhouse.kit.wording import (
    TEXTUAL,
    Huge,
    abbreviated,
    all_of,
    bound_text,
    got,
    learn_order,
    noun,
    number_text,
    one_of,
    shown,
    values_of,
)

Step = str | int | None
"""One step to the offending value: a field, an index, or None for some value of a dict."""

_MOST_SEARCHED = 10_000


@dataclass(frozen=True, slots=True)
class Violation:
    message: str
    param: str | None = None
    code: str | None = None
    names: tuple[str, ...] = ()
    """Of the unknown parameters at the top level."""


def find(
    type: inspect.Type, value: Any, hint: Sequence[Step] = (), *, lax: bool = False, path: str = ""
) -> Violation | None:
    """The first violation of ``type`` in ``value``, or None.

    Args:
        type: from ``msgspec.inspect.type_info``.
        value: decoded JSON, or query parameters.
        hint: where to look; without it everything is searched.
        lax: whether text stands for numbers and booleans, as in a query string.
        path: of ``value`` itself, dotted.
    """
    choices = _choices(type)
    if lax and isinstance(value, str):
        value = _from_text(choices, value)
    chosen = _choose(choices, value)
    if not chosen:
        return _wrong_type(type, value, path)
    if isinstance(value, Mapping):
        return _find_in_object(chosen, value, hint, lax, path)
    if isinstance(value, (list, tuple)):
        return _find_in_array(chosen[0], value, hint, lax, path)
    if isinstance(value, str):
        return _find_in_string(chosen, value, path)
    if isinstance(value, (int, float, Huge)) and not isinstance(value, bool):
        return _find_in_number(chosen, value, path)
    return None


def _find_in_object(
    chosen: list[inspect.Type], value: Mapping[str, Any], hint: Sequence[Step], lax: bool, path: str
) -> Violation | None:
    first = chosen[0]
    if isinstance(first, inspect.DictType):
        return _find_in_dict(first, value, hint, lax, path)
    structs = [each for each in chosen if isinstance(each, inspect.StructType)]
    if not structs:
        return None
    for each in structs:
        learn_order(each.cls)
    struct = structs[0]
    field = struct.tag_field
    if field is not None:
        tag = value.get(field, _ABSENT)
        inner = _join(path, field)
        if tag is _ABSENT:
            if len(structs) > 1:
                return _missing(inner)
        else:
            tags = [each.tag for each in structs]
            if tag not in tags or isinstance(tag, bool):
                if not _same_kind(tags[0], tag):
                    return _invalid_type(inner, one_of([repr(each) for each in tags]), tag)
                return _invalid_value(inner, tag, tags)
            struct = structs[tags.index(tag)]
    for member in struct.fields:
        if member.required and member.encode_name not in value:
            return _missing(_join(path, member.encode_name))
    types = {member.encode_name: member.type for member in struct.fields}
    if struct.forbid_unknown_fields:
        unknown = [name for name in value if name not in types and name != field]
        if unknown:
            param = _join(path, shown(unknown[0]))
            top = () if path else tuple(shown(name) for name in islice(unknown, 20))
            return Violation(f"Unknown parameter: '{param}'.", param, "unknown_parameter", top)
    for name in [str(hint[0])] if hint and hint[0] in types else types:
        if name in value:
            found = find(types[name], value[name], hint[1:], lax=lax, path=_join(path, name))
            if found is not None:
                return found
    return None


def _find_in_dict(
    type: inspect.DictType, value: Mapping[str, Any], hint: Sequence[Step], lax: bool, path: str
) -> Violation | None:
    if type.max_length is not None and len(value) > type.max_length:
        return Violation(
            f"Invalid '{path}': too many properties. Expected an object with at most {type.max_length} properties, "
            f"but got an object with {len(value)} properties instead.",
            path,
            "object_above_max_properties",
        )
    if type.min_length is not None and len(value) < type.min_length:
        return Violation(
            f"Invalid '{path}': too few properties. Expected an object with at least {type.min_length} properties, "
            f"but got an object with {len(value)} properties instead.",
            path,
            "object_below_min_properties",
        )
    for name, each in islice(value.items(), _MOST_SEARCHED):
        inner = _join(path, shown(name))
        longest = getattr(_choices(type.key_type)[0], "max_length", None)
        if longest is not None and len(name) > longest:
            return Violation(
                f"Invalid property name in '{path}': '{abbreviated(name)}' is too long. Expected a string with "
                f"maximum length {longest}, but got a string with length {len(name)} instead.",
                inner,
                "property_name_above_max_length",
            )
        if find(type.key_type, name, lax=True, path=inner) is not None:
            return Violation(f"Invalid property name in '{path}': '{shown(name)}'.", inner, "invalid_property_name")
        found = find(type.value_type, each, hint[1:], lax=lax, path=inner)
        if found is not None:
            return found
    return None


def _find_in_array(
    type: inspect.Type, value: Sequence[Any], hint: Sequence[Step], lax: bool, path: str
) -> Violation | None:
    count = len(value)
    exact = len(type.item_types) if isinstance(type, inspect.TupleType) else None
    least: int = exact or getattr(type, "min_length", None) or 0
    most: int | None = exact if exact is not None else getattr(type, "max_length", None)
    if count < least and count == 0:
        return Violation(
            f"Invalid '{path}': empty array. Expected an array with minimum length {least}, "
            "but got an empty array instead.",
            path,
            "empty_array",
        )
    if count < least:
        return Violation(
            f"Invalid '{path}': array too short. Expected an array with minimum length {least}, "
            f"but got an array with length {count} instead.",
            path,
            "array_below_min_length",
        )
    if most is not None and count > most:
        return Violation(
            f"Invalid '{path}': array too long. Expected an array with maximum length {most}, "
            f"but got an array with length {count} instead.",
            path,
            "array_above_max_length",
        )
    step = hint[0] if hint else None
    for index in [step] if isinstance(step, int) and step < count else range(min(count, _MOST_SEARCHED)):
        item = type.item_types[index] if isinstance(type, inspect.TupleType) else getattr(type, "item_type", None)
        if item is None:
            return None
        found = find(item, value[index], hint[1:], lax=lax, path=f"{path}[{index}]")
        if found is not None:
            return found
    return None


def _find_in_string(chosen: list[inspect.Type], value: str, path: str) -> Violation | None:
    first = chosen[0]
    if not isinstance(first, inspect.StrType):
        allowed = [each for type in chosen for each in values_of(type)]
        return _invalid_value(path, value, allowed) if allowed and value not in allowed else None
    length = len(value)
    if first.max_length is not None and length > first.max_length:
        return Violation(
            f"Invalid '{path}': string too long. Expected a string with maximum length {first.max_length}, "
            f"but got a string with length {length} instead.",
            path,
            "string_above_max_length",
        )
    if first.min_length is not None and length < first.min_length:
        if not value:
            return Violation(
                f"Invalid '{path}': empty string. Expected a string with minimum length {first.min_length}, "
                "but got an empty string instead.",
                path,
                "empty_string",
            )
        return Violation(
            f"Invalid '{path}': string too short. Expected a string with minimum length {first.min_length}, "
            f"but got a string with length {length} instead.",
            path,
            "string_below_min_length",
        )
    if first.pattern is not None and not re.search(first.pattern, value):
        return Violation(
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern "
            f"'{first.pattern}'.",
            path,
            "invalid_value",
        )
    return None


def _find_in_number(chosen: list[inspect.Type], value: int | float | Huge, path: str) -> Violation | None:
    whole = next((each for each in chosen if isinstance(each, inspect.IntType)), None)
    type = whole or next((each for each in chosen if isinstance(each, inspect.FloatType)), None)
    if type is None:
        allowed = [each for each in chosen for each in values_of(each)]
        return _invalid_value(path, value, allowed) if allowed and value not in allowed else None
    kind = "decimal" if whole is None else "integer"
    text = number_text(value, kind)
    for bound, sign in ((type.ge, ">="), (type.gt, ">")):
        low = value.negative if isinstance(value, Huge) else False
        if bound is not None and (low or (not isinstance(value, Huge) and _below(value, bound, sign))):
            return Violation(
                f"Invalid '{path}': {kind} below minimum value. Expected a value {sign} {bound_text(bound)}, "
                f"but got {text} instead.",
                path,
                f"{kind}_below_min_value",
            )
    for bound, sign in ((type.le, "<="), (type.lt, "<")):
        high = not value.negative if isinstance(value, Huge) else False
        if bound is not None and (high or (not isinstance(value, Huge) and _above(value, bound, sign))):
            return Violation(
                f"Invalid '{path}': {kind} above maximum value. Expected a value {sign} {bound_text(bound)}, "
                f"but got {text} instead.",
                path,
                f"{kind}_above_max_value",
            )
    if isinstance(value, Huge):
        side, word, edge = ("below", "minimum", ">= -") if value.negative else ("above", "maximum", "<= ")
        most = "9223372036854775807" if kind == "integer" else "1.7976931348623157e+308"
        return Violation(
            f"Invalid '{path}': {kind} {side} {word} value. Expected a value {edge}{most}, but got {text} instead.",
            path,
            f"{kind}_{side}_{word[:3]}_value",
        )
    if type.multiple_of is not None and value % type.multiple_of:
        return Violation(
            f"Invalid '{path}': {kind} is not a multiple of {bound_text(type.multiple_of)}. Got {text}.",
            path,
            "invalid_value",
        )
    return None


def find_nul(value: Any, path: str = "") -> str | None:
    """The path of the first string or property name that holds U+0000, or None. Not every store can keep one."""
    if isinstance(value, str):
        return path if "\0" in value else None
    if isinstance(value, dict):
        for name, each in value.items():
            inner = _join(path, name)
            found = inner if "\0" in name else find_nul(each, inner)
            if found is not None:
                return found
    elif isinstance(value, list):
        for index, each in enumerate(value):
            found = find_nul(each, f"{path}[{index}]")
            if found is not None:
                return found
    return None


_ABSENT = object()


def _choices(type: inspect.Type) -> list[inspect.Type]:
    """The members of a union, plain, without what only annotates them."""
    if isinstance(type, inspect.Metadata):
        return _choices(type.type)
    if isinstance(type, inspect.UnionType):
        return [choice for each in type.types for choice in _choices(each)]
    return [type]


def _choose(choices: list[inspect.Type], value: Any) -> list[inspect.Type]:
    """Those members that take the JSON type of ``value``."""
    return [each for each in choices if _takes(each, value)]


def _takes(type: inspect.Type, value: Any) -> bool:
    if isinstance(type, (inspect.AnyType, inspect.RawType, inspect.CustomType)):
        return True
    if isinstance(type, (inspect.LiteralType, inspect.EnumType)):
        return any(value is each if each is None else _same_kind(each, value) for each in values_of(type))
    if value is None:
        return isinstance(type, inspect.NoneType)
    if isinstance(value, bool):
        return isinstance(type, inspect.BoolType)
    if isinstance(value, Huge):
        return isinstance(type, inspect.FloatType) or (isinstance(type, inspect.IntType) and value.whole)
    if isinstance(value, int):
        return isinstance(type, (inspect.IntType, inspect.FloatType))
    if isinstance(value, float):
        return isinstance(type, inspect.FloatType)
    if isinstance(value, str):
        return isinstance(type, (inspect.StrType, *TEXTUAL))
    if isinstance(value, Mapping):
        return isinstance(type, (inspect.StructType, inspect.DictType, inspect.TypedDictType, inspect.DataclassType))
    return isinstance(type, (inspect.CollectionType, inspect.TupleType))


def _same_kind(member: Any, value: Any) -> bool:
    return isinstance(value, type(member)) and not isinstance(value, bool)


def _from_text(choices: list[inspect.Type], text: str) -> Any:
    for type in choices:
        try:
            if isinstance(type, inspect.IntType) and len(text) < 300:
                return int(text)
            if isinstance(type, inspect.FloatType):
                return float(text)
        except ValueError:
            continue
        if isinstance(type, inspect.BoolType) and text.lower() in ("true", "false", "0", "1"):
            return text.lower() in ("true", "1")
        if isinstance(type, inspect.NoneType) and text.lower() == "null":
            return None
    return text


def _missing(param: str) -> Violation:
    return Violation(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def _invalid_value(param: str, value: Any, allowed: Iterable[Any]) -> Violation:
    text = [f"'{each}'" if isinstance(each, str) else str(each) for each in allowed if each is not None]
    quoted = f"'{shown(value)}'" if isinstance(value, str) else shown(number_text(value))
    return Violation(f"Invalid value: {quoted}. Supported values are: {all_of(text)}.", param, "invalid_value")


def _wrong_type(type: inspect.Type, value: Any, path: str) -> Violation:
    return _invalid_type(path, noun(type), value)


def _invalid_type(path: str, expected: str, value: Any) -> Violation:
    where = f" for '{path}'" if path else ""
    return Violation(
        f"Invalid type{where}: expected {expected}, but got {got(value)} instead.", path or None, "invalid_type"
    )


def _below(value: float, bound: float, sign: str) -> bool:
    return value < bound or (sign == ">" and value == bound)


def _above(value: float, bound: float, sign: str) -> bool:
    return value > bound or (sign == "<" and value == bound)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
