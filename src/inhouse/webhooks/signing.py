"""Signatures after Standard Webhooks (standardwebhooks.com), version ``v1``: symmetric, HMAC-SHA256."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """A signing secret: ``whsec_`` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def hint_of(secret: str) -> str:
    """Enough of a secret to recognise it by."""
    return f"{PREFIX}...{secret[-4:]}"


def headers_of(id: str, moment: int, body: bytes, signing: Iterable[str]) -> dict[str, str]:
    """The three headers of a delivery.

    Args:
        id: of the delivery; the same at every attempt.
        moment: of this attempt, Unix seconds; receivers refuse what is older than five minutes.
        signing: secrets, one signature each; two while one replaces the other.
    """
    signed = b"%s.%d.%s" % (id.encode(), moment, body)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(moment),
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in signing),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
