"""From method and path to an operation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from inhouse.api.operation import DeclarationError, Operation
from inhouse.kit.errors import APIError, NotFound

_LONGEST_VALUE = 512
_LONGEST_SHOWN = 200
_PLACE = re.compile(r"\{[^}]*\}")


class MethodNotAllowed(APIError):
    status = 405
    default_type = "invalid_request_error"


@dataclass(slots=True)
class Route:
    operation: Operation
    names: tuple[str, ...]
    """Of the path parameters, in the order of the path."""


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    wild: _Node | None = None
    routes: dict[str, Route] = field(default_factory=dict)


_NO_VALUES: Mapping[str, str] = {}


class Router:
    """Finds operations in a tree of path segments; paths without parameters in one look-up.

    Args:
        official: all that the contract has, as ``POST /files/{}``, so that who calls what is not served is told so.
    """

    def __init__(self, operations: Iterable[Operation], prefix: str, official: Iterable[str] = ()) -> None:
        self.prefix = prefix.rstrip("/")
        self._tree = _Node()
        self._plain: dict[str, dict[str, Route]] = {}
        served = set()
        for operation in operations:
            self._add(operation)
            served.add(f"{operation.method} {_PLACE.sub('{}', operation.path)}")
        missing = (re.escape(each).replace(r"\{\}", "[^/]+") for each in official if each not in served)
        self._missing = re.compile("|".join(missing))

    def find(self, scope: MutableMapping[str, Any]) -> tuple[Route, Mapping[str, str]]:
        """The route and its path parameters' values.

        Raises:
            NotFound: no operation has this path.
            MethodNotAllowed: some has, but not with this method.
        """
        full = _raw_path(scope)
        path = self._below_prefix(full, scope.get("root_path") or "")
        method: str = scope["method"]
        routes, segments = self._plain.get(path), _NO_SEGMENTS
        if routes is None:
            routes, segments = self._walk(path)
        route = routes.get(method) or (routes.get("GET") if method == "HEAD" else None)
        if route is None:
            missing = self._missing.fullmatch(f"{method} {path}")
            if missing or not routes:
                why = ". The official API has this operation, but it is not served here." if missing else ""
                raise NotFound(f"Invalid URL ({method} {full[:_LONGEST_SHOWN]}){why}")
            raise MethodNotAllowed(
                f"Not allowed to {method} on {full[:_LONGEST_SHOWN]}. "
                "(HINT: Perhaps you meant to use a different HTTP method?)",
                headers={"allow": ", ".join(sorted(routes))},
            )
        if not route.names:
            return route, _NO_VALUES
        return route, dict(zip(route.names, segments, strict=True))

    def has(self, method: str, path: str) -> bool:
        """Whether an operation has this path, which is given without the prefix."""
        return method in (self._plain.get(path) or self._walk(path)[0])

    def _below_prefix(self, path: str, root: str) -> str:
        """The path without prefix and without a trailing slash; empty where the prefix is another."""
        if root and path.startswith(root):
            path = path[len(root) :]
        if not root.endswith(self.prefix):
            if not path.startswith(self.prefix + "/"):
                return ""
            path = path[len(self.prefix) :]
        if not path.startswith("/"):
            return ""
        return path[:-1] if path.endswith("/") else path

    def _walk(self, path: str) -> tuple[dict[str, Route], list[str]]:
        values: list[str] = []
        for part in path.split("/")[1:]:
            try:
                value = unquote(part, errors="strict") if "%" in part else part
            except UnicodeDecodeError:
                return {}, []
            if not value or len(value) > _LONGEST_VALUE or not value.isprintable():
                return {}, []
            values.append(value)
        taken: list[str] = []
        node = _descend(self._tree, values, 0, taken)
        return (node.routes, taken) if node is not None else ({}, [])

    def _add(self, operation: Operation) -> None:
        if not operation.bound:
            raise DeclarationError(f"{operation.id} is not bound; give operations_of() an instance of its face")
        node, names = self._tree, []
        for part in operation.path.split("/")[1:]:
            if part.startswith("{"):
                names.append(part[1:-1])
                node.wild = node.wild or _Node()
                node = node.wild
            else:
                node = node.children.setdefault(part, _Node())
        if operation.method in node.routes:
            raise DeclarationError(f"{operation.id}: {operation.method} {operation.path} is declared twice")
        node.routes[operation.method] = Route(operation, tuple(names))
        if not names:
            self._plain[operation.path] = node.routes


_NO_SEGMENTS: list[str] = []


def _raw_path(scope: MutableMapping[str, Any]) -> str:
    """The path, still percent-encoded, so that an encoded slash stays inside its segment."""
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("latin-1") if raw else quote(scope["path"])


def _descend(node: _Node, values: list[str], depth: int, taken: list[str]) -> _Node | None:
    if depth == len(values):
        return node if node.routes else None
    value = values[depth]
    child = node.children.get(value)
    if child is not None:
        found = _descend(child, values, depth + 1, taken)
        if found is not None:
            return found
    if node.wild is not None:
        taken.append(value)
        found = _descend(node.wild, values, depth + 1, taken)
        if found is not None:
            return found
        taken.pop()
    return None
