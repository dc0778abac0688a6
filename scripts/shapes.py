"""What a schema of a digest allows, whatever it is composed of: types, values, objects, items.

References are followed, `anyOf` is spread into alternatives, `allOf` is merged into one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Schema = dict[str, Any]

TYPE_OF = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


@dataclass(frozen=True)
class Object:
    """One kind of object. A property may have several schemas: any of them may hold."""

    properties: dict[str, list[Schema]]
    required: frozenset[str]
    defaults: frozenset[str]
    values: list[Schema]
    """Of `additionalProperties`."""
    closed: bool
    """Whether other properties are refused."""
    tag: str | None
    refs: frozenset[str]
    """Components on the way here: it recurs where one of them recurs."""


@dataclass(frozen=True)
class Alternative:
    """One branch of a schema. Type None is any."""

    type: str | None
    enum: frozenset[Any] | None = None
    object: Object | None = None
    items: tuple[Schema, ...] = ()


@dataclass
class Shape:
    """All branches together."""

    types: set[str] = field(default_factory=set)
    any: bool = False
    enum: set[Any] | None = None
    """The allowed values; None if some branch leaves them open."""
    objects: list[Object] = field(default_factory=list)
    items: list[Schema] = field(default_factory=list)

    @property
    def values(self) -> list[Schema]:
        return [schema for object in self.objects for schema in object.values]

    @property
    def free(self) -> bool:
        """Whether objects of unknown properties are allowed."""
        return self.any or any(not (object.properties or object.closed) for object in self.objects)


class Shapes:
    """Resolves schemas against the components of one digest."""

    def __init__(self, components: Mapping[str, Schema]) -> None:
        self.components = components

    def of(self, schemas: Iterable[Schema]) -> Shape:
        """The shape of values that match any of the schemas."""
        shape = Shape()
        enums: list[frozenset[Any] | None] = []
        for schema in schemas:
            for branch in self._branches(schema, frozenset(), None):
                if branch.type is None:
                    shape.any = True
                    continue
                shape.types.add(branch.type)
                if branch.object is not None:
                    shape.objects.append(branch.object)
                elif branch.type == "array":
                    shape.items.extend(branch.items)
                elif branch.type != "null":
                    enums.append(branch.enum)
        if enums and not shape.any and None not in enums:
            shape.enum = {value for enum in enums if enum for value in enum}
        return shape

    def _branches(self, schema: Schema, refs: frozenset[str], tag: str | None) -> list[Alternative]:
        if "$ref" in schema:
            name = schema["$ref"]
            return [] if name in refs else self._branches(self.components[name], refs | {name}, tag)
        tag = schema.get("tag", tag)
        branches = _own(schema, refs, tag)
        if "anyOf" in schema:
            spread = [b for part in schema["anyOf"] for b in self._branches(part, refs, tag)]
            branches = _merge(branches, spread)
        parts = schema.get("allOf", [])
        for part in parts:
            # A component mixed in with others can stand at any depth without recurring; a sole part is a reference.
            merged = self._branches(part, refs if len(parts) == 1 else frozenset(), tag)
            if len(parts) > 1:
                merged = [replace(b, object=b.object and replace(b.object, refs=refs)) for b in merged]
            branches = _merge(branches, merged)
        return branches


def _own(schema: Schema, refs: frozenset[str], tag: str | None) -> list[Alternative]:
    """The branches of a schema's own keywords, one a type."""
    enum = schema.get("enum")
    declared = schema.get("type")
    if declared is not None:
        types = declared if isinstance(declared, list) else [declared]
    elif enum is not None:
        types = sorted({TYPE_OF[type(value)] for value in enum})
    elif "properties" in schema or "additionalProperties" in schema:
        types = ["object"]
    elif "items" in schema:
        types = ["array"]
    else:
        return [Alternative(None, object=_object(schema, refs, tag) if "required" in schema else None)]
    branches = []
    for name in types:
        if name == "object":
            branches.append(Alternative(name, object=_object(schema, refs, tag)))
        elif name == "array":
            branches.append(Alternative(name, items=(schema.get("items", {}),)))
        elif enum is not None and name != "null":
            branches.append(Alternative(name, enum=frozenset(v for v in enum if v is not None)))
        else:
            branches.append(Alternative(name))
    return branches


def _object(schema: Schema, refs: frozenset[str], tag: str | None) -> Object:
    extra = schema.get("additionalProperties")
    return Object(
        properties={name: [value] for name, value in schema.get("properties", {}).items()},
        required=frozenset(schema.get("required", ())),
        defaults=frozenset(schema.get("defaults", ())),
        values=[extra] if isinstance(extra, dict) else [],
        closed=extra is False,
        tag=tag,
        refs=refs,
    )


def _merge(left: list[Alternative], right: list[Alternative]) -> list[Alternative]:
    """The branches of values that match both sides; where no types meet, either side."""
    merged = [both for a in left for b in right if (both := _both(a, b))]
    return merged or left + right


def _both(a: Alternative, b: Alternative) -> Alternative | None:
    if a.type is not None and b.type is not None and a.type != b.type:
        return None
    kind = a.type or b.type
    enum = a.enum & b.enum if a.enum is not None and b.enum is not None else a.enum or b.enum
    if a.object is None or b.object is None:
        return Alternative(kind, enum, a.object or b.object if kind in (None, "object") else None, a.items or b.items)
    x, y = a.object, b.object
    joined = Object(
        properties={
            name: x.properties.get(name, []) + y.properties.get(name, []) for name in x.properties | y.properties
        },
        required=x.required | y.required,
        defaults=x.defaults | y.defaults,
        values=x.values + y.values,
        closed=x.closed or y.closed,
        tag=x.tag or y.tag,
        refs=x.refs | y.refs,
    )
    return Alternative(kind, enum, joined, a.items or b.items)
