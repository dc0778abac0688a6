"""Scopes: what a key may do, by the names that the official errors use.

Every operation needs one scope (``scope_of`` unless its declaration says otherwise). Project keys reach a project's
operations, admin keys those of administration, never the other way round; within that a key may do everything, only
read, or only what its list of scopes names.
"""

from __future__ import annotations

from typing import Literal

from inhouse.kit.errors import Forbidden

Permission = Literal["all", "restricted", "read_only"]

ADMINISTRATION = frozenset(
    {
        "api.usage.read",
        "api.audit_logs.read",
        "api.management.read",
        "api.management.write",
        "api.groups.read",
        "api.groups.write",
    }
)
"""Scopes of admin keys alone."""

_REQUESTS = {"chat": "model.request", "completions": "model.request", "embeddings": "model.request"}
"""First segments of paths that ask a model, with the scope the official service names for them."""
_RESOURCES = {"models": "model", "images": "model.images", "audio": "model.audio", "moderations": "model.moderations"}
_REPORTS = {"usage": "api.usage.read", "costs": "api.usage.read", "audit_logs": "api.audit_logs.read"}


def scope_of(method: str, path: str) -> str:
    """The scope that an operation needs, e.g. ``model.request`` or ``api.files.read``.

    Args:
        path: without the /v1 prefix.
    """
    first, _, rest = path.strip("/").partition("/")
    verb = "read" if method == "GET" else "write"
    if first == "organization" and rest.partition("/")[0] == "groups":
        return f"api.groups.{verb}"
    if first in ("organization", "projects"):
        return _REPORTS.get(rest.partition("/")[0], f"api.management.{verb}")
    if first in _REQUESTS and method == "POST" and "/{" not in path:
        return _REQUESTS[first]
    if first in ("images", "audio", "moderations"):
        return f"api.{_RESOURCES[first]}.request"
    return f"api.{_RESOURCES.get(first, first)}.{verb}"


def allows(permission: Permission, scopes: tuple[str, ...], admin: bool, scope: str) -> bool:
    """Whether a key may do what needs ``scope``."""
    if (scope in ADMINISTRATION) != admin:
        return False
    match permission:
        case "all":
            return True
        case "read_only":
            return scope.endswith(".read")
        case _:
            return scope in scopes


def missing_scope(scope: str) -> Forbidden:
    """The official refusal."""
    return Forbidden(
        f"You have insufficient permissions for this operation. Missing scopes: {scope}. Check that you have the "
        "correct role in your organization (Reader, Writer, Owner) and project (Member, Owner), and if you're using a "
        "restricted API key, that it has the necessary scopes."
    )
