"""Compaction items: a conversation made shorter, sealed so that only this installation, for this project, reads it.

What is sealed is all that a later turn needs: the summary that the model wrote, and the items that are to be read as
they were. The key of a project is derived from one of the installation, so that what was sealed for one project, or
elsewhere, opens nowhere else; any change is noticed (Fernet: AES-128-CBC under HMAC-SHA-256).
"""

from __future__ import annotations

import base64
import hmac
import zlib
from collections.abc import Sequence
from functools import partial

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from inhouse.api.responses import wire
from inhouse.kit.errors import InvalidRequest
from inhouse.storage.database import Database
from inhouse.storage.secrets import find_key, make_key

_MOST_BYTES = 20_971_520
_KEY = "compaction"


class Compacted(msgspec.Struct, frozen=True):
    """What a compaction item carries. It stands for everything before it."""

    summary: str
    kept: list[msgspec.Raw] = []
    """Items that are read after the summary, as a client would send them."""


async def seal(database: Database, project_id: str, compacted: Compacted) -> str:
    """``encrypted_content`` of a compaction item."""
    packed = zlib.compress(msgspec.json.encode(compacted))
    return (await _fernet(database, project_id)).encrypt(packed).decode("ascii")


async def unseal(database: Database, project_id: str, content: str) -> Compacted:
    """What ``seal`` was given.

    Raises:
        InvalidRequest: ``invalid_encrypted_content``: it was not sealed here for this project, or was changed.
    """
    fernet = await _fernet(database, project_id)
    try:
        unpack = zlib.decompressobj()
        told = unpack.decompress(fernet.decrypt(content), _MOST_BYTES)
        if not unpack.eof:
            raise ValueError("too long, or cut")
        return msgspec.json.decode(told, type=Compacted)
    except (InvalidToken, zlib.error, ValueError) as error:
        raise InvalidRequest(
            f"The encrypted content {_shown(content)} could not be verified. Reason: Encrypted content could not "
            "be decrypted or parsed.",
            code="invalid_encrypted_content",
        ) from error


async def opened(
    database: Database, project_id: str, history: list[wire.InputItem], new: Sequence[wire.InputItem]
) -> tuple[list[wire.InputItem], list[wire.InputItem]]:
    """What the model reads of both: what the last compaction item carries in place of it and of all before it.

    Every item of the new ones is checked. A history that is read as it is, is given back itself.

    Raises:
        InvalidRequest: as ``unseal``.
    """
    before, after = history, list(new)
    for index, item in enumerate(new):
        if isinstance(item, wire.InputCompaction):
            compacted = await unseal(database, project_id, item.encrypted_content)
            before, after = [], [*carried(compacted), *new[index + 1 :]]
    last = max((index for index, item in enumerate(before) if isinstance(item, wire.InputCompaction)), default=None)
    if last is not None and isinstance(item := before[last], wire.InputCompaction):
        compacted = await unseal(database, project_id, item.encrypted_content)
        before = [*carried(compacted), *before[last + 1 :]]
    return before, after


async def _fernet(database: Database, project_id: str) -> Fernet:
    key: bytes | None = await database.read(partial(find_key, name=_KEY))
    if key is None:
        key = await database.write(partial(make_key, name=_KEY))
    return Fernet(base64.urlsafe_b64encode(hmac.digest(key, project_id.encode(), "sha256")))


def carried(compacted: Compacted) -> list[wire.InputItem]:
    """What the model reads of a compaction item."""
    summary = wire.InputMessage(
        role="developer",
        content=f"Summary of the conversation so far, of which only this is left:\n\n{compacted.summary}",
    )
    return [summary, *(msgspec.json.decode(each, type=wire.InputItem) for each in compacted.kept)]


def _shown(content: str) -> str:
    return content if len(content) <= 12 else f"{content[:4]}...{content[-4:]}"
