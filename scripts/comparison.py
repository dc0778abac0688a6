"""Compare two schemas, property by property, by where a property stands in the JSON.

A path reads `messages[](user).content[](image_url).image_url.detail`: `[]` is an item, `{}` a value of a map, and
parentheses name the variant of a union by the value of its discriminator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from shapes import Object, Schema, Shape, Shapes

Direction = Literal["request", "response"]

# Properties that tell variants apart where the document does not name one.
USUAL_TAGS = ("type", "role", "event", "object")


@dataclass
class Findings:
    """Every official property by path, with what is wrong with ours or None; and properties that only we have."""

    official: dict[str, str | None] = field(default_factory=dict)
    extra: set[str] = field(default_factory=set)

    def add(self, path: str, problem: str | None) -> None:
        self.official[path] = self.official.get(path) or problem

    @property
    def covered(self) -> int:
        return sum(problem is None for problem in self.official.values())


@dataclass(frozen=True)
class Variant:
    """An official kind of object. `values` are what its discriminators must be able to be."""

    object: Object
    label: str
    tag: str | None
    values: dict[str, Any]


class Comparison:
    """Compares official schemas with ours in one direction.

    A request property counts if everything the official one takes is taken, and nothing is required that officially
    is optional. A response property counts if it has the official types, no others (null aside, which the vendor sends
    for much that it declares without), all official values, and is there whenever it officially has to be.
    """

    def __init__(self, official: Shapes, ours: Shapes, direction: Direction) -> None:
        self.official = official
        self.ours = ours
        self.direction = direction

    def compare(self, official: Schema, ours: Schema | None) -> Findings:
        """Compare two schemas; None for ours means that all of it is missing."""
        findings = Findings()
        self._walk(self.official.of([official]), self.ours.of([ours] if ours else []), "", frozenset(), findings)
        return findings

    def _walk(self, official: Shape, ours: Shape, path: str, above: frozenset[str], findings: Findings) -> None:
        for variant in self._variants(official.objects):
            if variant.object.refs & above:
                continue
            candidates = self._matching(variant, ours.objects, alone=len(official.objects) == 1)
            self._object(variant, candidates, f"{path}{variant.label}", above | variant.object.refs, findings)
        if official.items:
            self._walk(self.official.of(official.items), self.ours.of(ours.items), f"{path}[]", above, findings)
        if official.values:
            self._walk(self.official.of(official.values), self.ours.of(ours.values), f"{path}{{}}", above, findings)

    def _object(
        self, variant: Variant, candidates: list[Object], path: str, above: frozenset[str], findings: Findings
    ) -> None:
        prefix = f"{path}." if path else ""
        for name, schemas in sorted(variant.object.properties.items()):
            official = self.official.of(schemas)
            if name == variant.tag:
                official.enum = {variant.values[name]}
            holders = [candidate for candidate in candidates if name in candidate.properties]
            ours = self.ours.of(schema for holder in holders for schema in holder.properties[name])
            problem = self._problem(official, ours) if holders else "missing"
            findings.add(f"{prefix}{name}", problem or self._presence(name, variant.object, candidates))
            self._walk(official, ours, f"{prefix}{name}", above, findings)
            findings.extra |= {f"{prefix}{name}={value}" for value in (ours.enum or set()) - (official.enum or set())}
        # What a free object must hold, the official document leaves open.
        told = variant.object.properties or variant.object.closed
        for candidate in candidates:
            for name in candidate.properties.keys() - variant.object.properties:
                findings.extra.add(f"{prefix}{name}")
                if told and self.direction == "request" and name in candidate.required:
                    findings.add(f"{prefix}{name}", "required, officially unknown")

    def _presence(self, name: str, official: Object, candidates: list[Object]) -> str | None:
        if self.direction == "request":
            if name not in official.required and all(name in candidate.required for candidate in candidates):
                return "required, officially optional"
        elif name in official.required:
            # An encoder writes a field that has a default; only one without a default and not required can be absent.
            always = all(name in candidate.required | candidate.defaults for candidate in candidates)
            return None if always else "can be absent, officially required"
        return None

    def _problem(self, official: Shape, ours: Shape) -> str | None:
        """What is wrong with a value, apart from properties of objects, which are reported on their own."""
        if official.any:
            return None if ours.any or ours.types else "missing"
        if ours.any:
            return f"type any, officially {_list(official.types)}"
        wanted = official.types if self.direction == "request" else official.types - {"null"}
        lacking = {kind for kind in wanted if not _allows(ours.types, kind)}
        if lacking:
            return f"lacks type {_list(lacking)}"
        if self.direction == "response":
            strange = {kind for kind in ours.types - {"null"} if not _allows(official.types, kind)}
            if strange:
                return f"type {_list(strange)}, officially {_list(official.types)}"
        if official.enum is not None:
            if ours.enum is None:
                return "values left open"
            if missing := official.enum - ours.enum:
                return f"lacks {_list(missing)}"
        elif ours.enum is not None and self.direction == "request":
            return "values limited, officially open"
        if official.free and self.direction == "request" and all(o.closed for o in ours.objects):
            return "closed object, officially free"
        for inner, our_inner, where in (
            (official.items, ours.items, "items"),
            (official.values, ours.values, "values"),
        ):
            if inner:
                problem = self._problem(self.official.of(inner), self.ours.of(our_inner))
                if problem:
                    return f"{where}: {problem}"
        return None

    def _variants(self, objects: list[Object]) -> Iterator[Variant]:
        """The objects of a union, one for each value of its discriminator; a lone object has no label."""
        if len(objects) == 1:
            yield Variant(objects[0], "", None, self._constants(objects[0]))
            return
        tag = self._tag(objects)
        tagged: dict[tuple[str, Any], list[Object]] = {}
        for object in objects:
            values = self.official.of(object.properties[tag]).enum if tag else None
            if tag is None or values is None:
                yield Variant(object, "", None, self._constants(object))
                continue
            for value in values:
                tagged.setdefault((tag, value), []).append(object)
        for (name, value), alike in sorted(tagged.items(), key=str):
            for merged in self._alike(alike, name):
                yield Variant(merged, f"({value})", name, self._constants(merged) | {name: value})

    def _alike(self, objects: list[Object], tag: str) -> list[Object]:
        """The objects, with those made one that nothing tells apart: what any of them allows is allowed."""
        told: list[Object] = []
        for object in objects:
            same = [other for other in told if not self._apart(object, other, tag)]
            told = [other for other in told if other not in same]
            told.append(_any_of([*same, object]))
        return told

    def _apart(self, one: Object, other: Object, tag: str) -> bool:
        """Whether a property has no value in common."""
        for name in (one.properties.keys() & other.properties.keys()) - {tag}:
            left, right = (self.official.of(each.properties[name]).enum for each in (one, other))
            if left is not None and right is not None and not left & right:
                return True
        return False

    def _tag(self, objects: list[Object]) -> str | None:
        named = [object.tag for object in objects if object.tag]
        for tag in (*named, *USUAL_TAGS):
            if all(tag in o.properties and self.official.of(o.properties[tag]).enum is not None for o in objects):
                return tag
        return None

    def _constants(self, object: Object) -> dict[str, Any]:
        """Properties that have one value only."""
        enums = {name: self.official.of(schemas).enum for name, schemas in object.properties.items()}
        return {name: next(iter(enum)) for name, enum in enums.items() if enum and len(enum) == 1}

    def _matching(self, variant: Variant, ours: list[Object], *, alone: bool) -> list[Object]:
        """Our objects that can be the variant. An official object that is alone is not told apart by its constants
        unless we have several; so that one renamed constant does not hide the rest."""
        matching = [o for o in ours if all(self._can_be(o, name, value) for name, value in variant.values.items())]
        if not alone and len(matching) > 1 and self.direction == "response":
            return self._closest(variant.object, matching)
        return ours if alone and (not matching or len(ours) == 1) else matching

    @staticmethod
    def _closest(official: Object, ours: list[Object]) -> list[Object]:
        """Of objects that no constant tells apart, as in answers of several formats: those most like the official."""

        def distance(candidate: Object) -> tuple[int, int]:
            named, given = official.properties.keys(), candidate.properties.keys()
            return len(named - given), len(given - named)

        least = min(map(distance, ours))
        return [candidate for candidate in ours if distance(candidate) == least]

    def _can_be(self, object: Object, name: str, value: Any) -> bool:
        if name not in object.properties:
            return False
        enum = self.ours.of(object.properties[name]).enum
        return enum is not None and value in enum


def _any_of(objects: list[Object]) -> Object:
    """One object for several, whose properties are theirs."""
    first, *others = objects
    properties = {name: list(schemas) for name, schemas in first.properties.items()}
    for other in others:
        for name, schemas in other.properties.items():
            properties.setdefault(name, []).extend(schemas)
    return replace(
        first,
        properties=properties,
        required=frozenset.intersection(*(each.required for each in objects)),
        values=[schema for each in objects for schema in each.values],
        closed=all(each.closed for each in objects),
        refs=frozenset.union(*(each.refs for each in objects)),
    )


def _allows(types: set[str], kind: str) -> bool:
    return kind in types or (kind == "integer" and "number" in types)


def _list(values: set[Any]) -> str:
    return ", ".join(sorted(map(str, values)))
