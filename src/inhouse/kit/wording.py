"""How the contract names types and values in its errors: ``one of a string or array of objects``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec import inspect

_MOST_SHOWN = 200


class Huge:
    """A number that no machine type holds."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def whole(self) -> bool:
        return self.text.lstrip("-").isdigit()

    @property
    def negative(self) -> bool:
        return self.text.startswith("-")


TEXTUAL = (
    inspect.BytesType,
    inspect.DateTimeType,
    inspect.DateType,
    inspect.TimeType,
    inspect.TimeDeltaType,
    inspect.UUIDType,
    inspect.DecimalType,
)


def got(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "an array"
    whole = value.whole if isinstance(value, Huge) else isinstance(value, int)
    return "an integer" if whole else "a decimal number"


def noun(type: inspect.Type) -> str:
    """What is expected, with its article: ``one of a string or array of objects``."""
    members = [name for each in _members(type) if (name := _name(each))]
    members = list(dict.fromkeys(members))
    if not members:
        return "null"
    if len(members) == 1:
        return _with_article(members[0])
    return f"one of {any_of([_with_article(members[0]), *members[1:]])}"


def _members(type: inspect.Type) -> list[inspect.Type]:
    if isinstance(type, inspect.UnionType):
        return [each for each in type.types if not isinstance(each, inspect.NoneType)]
    if isinstance(type, inspect.Metadata) and not (type.extra or {}).get("noun"):
        return _members(type.type)
    return [type]


def _name(type: inspect.Type) -> str:
    """One type without article. ``Meta(extra={"noun": ...})`` overrides it, e.g. ``metadata object``."""
    if isinstance(type, inspect.Metadata):
        noun = (type.extra or {}).get("noun")
        return str(noun) if noun else _name(type.type)
    if isinstance(type, inspect.CollectionType):
        return f"array of {plural}" if (plural := _plural(type.item_type)) else "array"
    if isinstance(type, (inspect.LiteralType, inspect.EnumType)):
        return any_of(
            [f"'{each}'" if isinstance(each, str) else str(each) for each in values_of(type) if each is not None]
        )
    for kinds, name in _NAMES:
        if isinstance(type, kinds):
            return name
    return ""


_NAMES: tuple[tuple[tuple[type, ...], str], ...] = (
    ((inspect.IntType,), "integer"),
    ((inspect.FloatType,), "decimal"),
    ((inspect.BoolType,), "boolean"),
    ((inspect.TupleType,), "array"),
    ((inspect.StrType, *TEXTUAL), "string"),
    ((inspect.StructType, inspect.DictType, inspect.TypedDictType, inspect.DataclassType), "object"),
)


def _plural(item: inspect.Type) -> str:
    names = list(dict.fromkeys(name for each in _members(item) if (name := _name(each))))
    if not names:
        return ""
    if len(names) > 1 or names[0].startswith("'"):
        return f"one of {any_of(names)}"
    head, _, rest = names[0].partition(" of ")
    return f"{head}s of {rest}" if rest else f"{head}s"


def _with_article(name: str) -> str:
    if name.startswith("'"):
        return f"one of {name}" if " or " in name else name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def any_of(names: Sequence[str]) -> str:
    return _listed(names, "or")


def all_of(names: Sequence[str]) -> str:
    return _listed(names, "and")


def _listed(names: Sequence[str], word: str) -> str:
    if len(names) < 3:
        return f" {word} ".join(names)
    return f"{', '.join(names[:-1])}, {word} {names[-1]}"


def one_of(names: Sequence[str]) -> str:
    return f"one of {any_of(names)}" if len(names) > 1 else names[0]


def values_of(type: inspect.Type) -> list[Any]:
    if isinstance(type, inspect.LiteralType):
        return list(_declared_order.get(frozenset(type.values), type.values))
    if isinstance(type, inspect.EnumType):
        return [each.value for each in type.cls]
    return []


_declared_order: dict[frozenset[Any], tuple[Any, ...]] = {}


@cache
def learn_order(cls: type) -> None:
    """Note in which order a Struct's Literals list their values: msgspec sorts them, the contract does not."""
    try:
        pending = list(get_type_hints(cls, include_extras=True).values())
    except NameError:
        return
    while pending:
        annotation = pending.pop()
        if get_origin(annotation) is Literal:
            _declared_order[frozenset(get_args(annotation))] = get_args(annotation)
        else:
            pending.extend(get_args(annotation))


def bound_text(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def number_text(value: Any, kind: str = "") -> str:
    if isinstance(value, Huge):
        return shown(value.text)
    decimal = kind == "decimal" and abs(value) < sys.float_info.max
    return shown(repr(float(value)) if decimal else str(value))


def shown(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def abbreviated(name: str) -> str:
    return f"{name[:3]}...{name[-3:]}"
