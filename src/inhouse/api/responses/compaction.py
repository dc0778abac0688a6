"""Compaction items: a conversation made shorter, sealed so that only this service reads it.

The content is not secret from the client, whose own conversation it is; the seal only keeps it in one piece and lets
it be told from what another service made.
"""

from __future__ import annotations

import base64
import binascii
import zlib

from inhouse.kit.errors import InvalidRequest

_MARK = b"ihc1"
_MOST_BYTES = 20_971_520


def sealed(text: str) -> str:
    """``encrypted_content`` of a compaction item."""
    return base64.b64encode(_MARK + zlib.compress(text.encode())).decode("ascii")


def opened(content: str) -> str:
    """What ``sealed`` was given.

    Raises:
        InvalidRequest: it was not made here.
    """
    try:
        raw = base64.b64decode(content, validate=True)
        if not raw.startswith(_MARK):
            raise ValueError("no mark")
        unpack = zlib.decompressobj()
        text = unpack.decompress(raw[len(_MARK) :], _MOST_BYTES)
        if not unpack.eof:
            raise ValueError("too long, or cut")
        return text.decode()
    except (binascii.Error, zlib.error, ValueError) as error:
        raise InvalidRequest(
            "The compaction item could not be read: it was not made by this service, or it was changed.",
            param="input",
            code="invalid_encrypted_content",
        ) from error
