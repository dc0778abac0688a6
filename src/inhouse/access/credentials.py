"""The key in a request's headers, and the official answers when there is none or a wrong one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from inhouse.access.keys import MAX_LENGTH, mask
from inhouse.kit.errors import Unauthenticated

MAX_HEADER = 4 * MAX_LENGTH

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API "
    "from your browser and are prompted for a username and password. You can obtain an API key from "
    "https://platform.openai.com/account/api-keys."
)
_NO_BEARER = "Missing bearer authentication in header"
_NO_BEARER_OR_BASIC = "Missing bearer or basic authentication in header"

# Which operation says what was observed on the official service; it does not say the same everywhere.
_MISSING = {
    ("POST", "/v1/chat/completions"): _NO_KEY,
    ("POST", "/v1/completions"): _NO_KEY,
    ("GET", "/v1/models"): _NO_BEARER,
}


def credential(headers: Mapping[str, str], method: str = "", path: str = "") -> str:
    """The key that a request carries: ``Authorization: Bearer KEY``, or ``Basic`` with a blank user and it as password.

    Args:
        headers: names in lower case.
        method, path: of the request; they choose the wording of the refusal.

    Raises:
        Unauthenticated: there is none, or nothing that could be one.
    """
    header = headers.get("authorization", "")
    scheme, _, value = header.strip(" \t").partition(" ")
    value = value.strip(" \t")
    scheme = scheme.lower()
    if scheme == "basic" and len(value) <= MAX_HEADER:
        value = _password(value)
    elif scheme != "bearer":
        value = ""
    if not value:
        raise Unauthenticated(_MISSING.get((method, path), _NO_BEARER_OR_BASIC))
    if len(value) > MAX_LENGTH or not value.isascii() or not value.isprintable():
        raise incorrect_key(value)
    return value


def _password(encoded: str) -> str:
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):  # a UnicodeError is a ValueError
        return ""
    return "" if user else password


def incorrect_key(key: str) -> Unauthenticated:
    """No such key, or one that is revoked or expired: from outside they look the same."""
    return Unauthenticated(
        f"Incorrect API key provided: {mask(key)}. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    )


def check_scope(headers: Mapping[str, str], organization_id: str, project_id: str) -> None:
    """Refuses a request that names another organization or project than its key's.

    Raises:
        Unauthenticated: ``mismatched_organization`` or ``mismatched_project``.
    """
    organization = headers.get("openai-organization")
    if organization and organization != organization_id:
        raise Unauthenticated(
            "OpenAI-Organization header should match organization for API key", code="mismatched_organization"
        )
    project = headers.get("openai-project")
    if project and project != project_id:
        raise Unauthenticated("OpenAI-Project header should match project for API key", code="mismatched_project")
