"""Which files count in a search, by their attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Value = str | int | float | bool
Attributes = Mapping[str, Value]
Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]


class Comparison(msgspec.Struct, frozen=True):
    """``value`` is a list for ``in`` and ``nin``, and for nothing else."""

    operator: Operator
    key: str
    value: Value | list[Value]


class Combination(msgspec.Struct, frozen=True):
    operator: Literal["and", "or"]
    filters: tuple[Filter, ...]


Filter = Comparison | Combination


def passes(attributes: Attributes, wanted: Filter) -> bool:
    """Whether a file with these attributes counts.

    A file without the attribute passes ``ne`` and ``nin`` only. Values of different kinds are never equal, and in no
    order; numbers are of one kind, and strings are in the order of their code points.
    """
    if isinstance(wanted, Combination):
        results = (passes(attributes, each) for each in wanted.filters)
        return all(results) if wanted.operator == "and" else any(results)
    own = attributes.get(wanted.key)
    value = wanted.value
    if isinstance(value, list):
        among = any(_equal(own, each) for each in value)
        return among if wanted.operator == "in" else not among
    match wanted.operator:
        case "eq":
            return _equal(own, value)
        case "ne":
            return not _equal(own, value)
    return _in_order(own, value, wanted.operator)


def _equal(own: Value | None, value: Value) -> bool:
    return isinstance(own, bool) == isinstance(value, bool) and own == value


def _in_order(own: Value | None, value: Value, operator: Operator) -> bool:
    for kinds in (bool, str, (int, float)):
        if isinstance(own, kinds) and isinstance(value, kinds) and isinstance(own, bool) == isinstance(value, bool):
            order = (own > value) - (own < value)  # type: ignore[operator]
            return {"gt": order > 0, "gte": order >= 0, "lt": order < 0, "lte": order <= 0}[operator]
    return False
