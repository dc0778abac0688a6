"""Which files count in a search, by their attributes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

Value = str | int | float | bool
Attributes = Mapping[str, Value]
Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
Mask = npt.NDArray[np.bool_]
"""A file each."""


class Comparison(msgspec.Struct, frozen=True):
    """``value`` is a list for ``in`` and ``nin``, and for nothing else."""

    operator: Operator
    key: str
    value: Value | list[Value]


class Combination(msgspec.Struct, frozen=True):
    operator: Literal["and", "or"]
    filters: tuple[Filter, ...]


Filter = Comparison | Combination


class _Column:
    """The values of one attribute: those of one kind follow each other in their order, so that a comparison is a range.

    Only files that have the attribute are in it, so that columns together are as large as the attributes are.
    """

    __slots__ = ("codes", "files", "starts", "values")

    def __init__(self, files: Sequence[int], given: Sequence[Value]) -> None:
        self.files = np.array(files, np.int32)
        kinds: list[list[Any]] = [sorted({each for each in given if _kind(each) == kind}) for kind in range(3)]
        self.starts = (0, len(kinds[0]), len(kinds[0]) + len(kinds[1]), sum(map(len, kinds)))
        self.values: list[Any] = [value for values in kinds for value in values]
        places = {(_kind(value), value): place for place, value in enumerate(self.values)}
        self.codes = np.array([places[_kind(each), each] for each in given], np.int32)

    def where(self, operator: Operator, wanted: Value | list[Value]) -> npt.NDArray[np.int32]:
        """The files whose value is in this relation to the one that is wanted, or is one of these."""
        chosen = np.zeros(len(self.values), np.bool_)
        for value in wanted if isinstance(wanted, list) else [wanted]:
            chosen[self._places(operator, value)] = True
        return self.files[chosen[self.codes]]

    def _places(self, operator: Operator, value: Any) -> slice:
        """Where values stand that are in this relation to ``value``."""
        kind = _kind(value)
        first, end = self.starts[kind], self.starts[kind + 1]
        left = bisect_left(self.values, value, first, end)
        right = bisect_right(self.values, value, left, end)
        match operator:
            case "gt":
                return slice(right, end)
            case "gte":
                return slice(left, end)
            case "lt":
                return slice(first, left)
            case "lte":
                return slice(first, right)
        return slice(left, right)


class Columns:
    """The attributes of files, by attribute.

    Args:
        rows: of each file. Masks are in this order.
    """

    def __init__(self, rows: Sequence[Attributes]) -> None:
        self._count = len(rows)
        found: dict[str, tuple[list[int], list[Value]]] = {}
        for file, attributes in enumerate(rows):
            for key, value in attributes.items():
                files, values = found.setdefault(key, ([], []))
                files.append(file)
                values.append(value)
        self._columns = {key: _Column(*each) for key, each in found.items()}

    def passing(self, wanted: Filter) -> Mask:
        """Which files count.

        A file without the attribute passes ``ne`` and ``nin`` only. Values of different kinds are never equal, and in
        no order; numbers are of one kind, and strings are in the order of their code points.
        """
        if isinstance(wanted, Combination):
            every = wanted.operator == "and"
            mask = np.full(self._count, every)
            for each in wanted.filters:
                (np.logical_and if every else np.logical_or)(mask, self.passing(each), out=mask)
            return mask
        opposite = wanted.operator in ("ne", "nin")
        mask = np.full(self._count, opposite)
        column = self._columns.get(wanted.key)
        if column is not None:
            mask[column.where(wanted.operator, wanted.value)] = not opposite
        return mask


def _kind(value: Value) -> int:
    return 0 if isinstance(value, bool) else 2 if isinstance(value, str) else 1
