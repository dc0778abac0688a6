"""Schemas of the OpenAPI document as people read them: properties with their types in words."""

from __future__ import annotations

from typing import Any

import msgspec

Schema = dict[str, Any]

DEPTH = 3
"""How deep properties of properties are told on a page."""
MOST_VALUES = 12
"""Of an enumeration that are told by name."""


class Property(msgspec.Struct, frozen=True):
    """One property, parameter or variant. ``kind`` is its type in words, such as ``array of string or null``."""

    name: str
    kind: str
    required: bool
    description: str
    facts: list[str]
    """Further words: allowed values, bounds, the default."""
    children: list[Property]


class Schemas:
    """Reads schemas of one document, following its references."""

    def __init__(self, components: dict[str, Schema]) -> None:
        self._components = components

    def properties(self, schema: Schema, depth: int = DEPTH, seen: tuple[str, ...] = ()) -> list[Property]:
        """Properties of an object; of a union, its variants."""
        name, found = self._follow(schema)
        if name in seen:
            return []
        seen = (*seen, name) if name else seen
        variants = [each for each in found.get("anyOf", ()) if each.get("type") != "null"]
        if variants:
            if len(variants) == 1:
                return self.properties(variants[0], depth, seen)
            return [self._variant(each, depth, seen) for each in variants if self._is_object(each)]
        if found.get("type") == "array":
            return self.properties(found.get("items", {}), depth, seen)
        required = found.get("required", ())
        return [
            self.property(key, each, key in required, depth, seen) for key, each in found.get("properties", {}).items()
        ]

    def property(
        self, name: str, schema: Schema, required: bool, depth: int = DEPTH, seen: tuple[str, ...] = ()
    ) -> Property:
        _, found = self._follow(schema)
        inner = self.properties(schema, depth - 1, seen) if depth > 1 else []
        told = schema.get("description") or found.get("description") or ""
        return Property(name, self.kind(schema), required, _words(told), self._facts(schema), inner)

    def kind(self, schema: Schema) -> str:
        _, found = self._follow(schema)
        if "anyOf" in found:
            kinds = list(dict.fromkeys(self.kind(each) for each in found["anyOf"]))
            if len(kinds) > 4:
                objects = [kind for kind in kinds if kind not in ("string", "null", "integer", "number", "boolean")]
                kinds = [*(kind for kind in kinds if kind not in objects), f"one of {len(objects)} objects"]
            return " or ".join(sorted(kinds, key=lambda kind: kind == "null"))
        kind = found.get("type")
        if kind == "array":
            return f"array of {self.kind(found.get('items', {}))}"
        if isinstance(kind, list):
            return " or ".join(kind)
        if kind is None:
            values = found.get("enum") or ([found["const"]] if "const" in found else [])
            return "string" if values and all(isinstance(each, str) for each in values) else "any"
        return str(kind)

    def events(self, schema: Schema) -> list[Property]:
        """The events of a stream, by the value of their ``type``; of a plain object, that one."""
        _, found = self._follow(schema)
        variants = found.get("anyOf") or [schema]
        return [self._variant(each, 2, ()) for each in variants]

    def _variant(self, schema: Schema, depth: int, seen: tuple[str, ...]) -> Property:
        name, found = self._follow(schema)
        given = found.get("properties", {}).get("type", {})
        tag = given.get("const") or (given.get("enum") or [""])[0] or name or self.kind(schema)
        inner = self.properties(schema, depth - 1, seen) if depth > 1 else []
        return Property(str(tag), self.kind(schema), False, _words(found.get("description", "")), [], inner)

    def _is_object(self, schema: Schema) -> bool:
        _, found = self._follow(schema)
        if found.get("type") == "array":
            return self._is_object(found.get("items", {}))
        return bool(found.get("properties") or found.get("anyOf"))

    def _follow(self, schema: Schema) -> tuple[str, Schema]:
        name = ""
        while "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = self._components[name]
        return name, schema

    def _facts(self, schema: Schema) -> list[str]:
        _, found = self._follow(schema)
        parts = [found, *(self._follow(each)[1] for each in found.get("anyOf", ()))]
        facts = []
        for part in parts:
            values = part.get("enum") or ([part["const"]] if "const" in part else [])
            values = [str(value) for value in values if value is not None]
            if values:
                more = f", and {len(values) - MOST_VALUES} more" if len(values) > MOST_VALUES else ""
                facts.append(f"{', '.join(values[:MOST_VALUES])}{more}")
            low, high = part.get("minimum"), part.get("maximum")
            if low is not None or high is not None:
                facts.append(f"{'' if low is None else low} to {high}" if high is not None else f"at least {low}")
            if "maxLength" in part:
                facts.append(f"at most {part['maxLength']:,} characters")
            if "maxItems" in part:
                facts.append(f"at most {part['maxItems']:,} items")
        default = schema.get("default")
        if default not in (None, [], {}, ""):
            facts.append(f"default {str(default).lower() if isinstance(default, bool) else default}")
        return facts


def _words(text: str) -> str:
    """A docstring as one paragraph, without the marks of its source."""
    return " ".join(text.replace("``", "`").split())
