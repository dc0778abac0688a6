"""Vector stores as assistants and threads use them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from inhouse.api.assistants import wire
from inhouse.kit.errors import NotFound
from inhouse.tools.file_search import NewFile, VectorStores

ATTACHED_DAYS = 7
"""How long a store lives, unused, that attachments of a thread were put into. Source: the vendor's guide."""
READY_S = 60.0
"""How long a run waits at most for files that are still taken in. Source: the vendor's guide."""
LOOK_EVERY_S = 0.2


class Stores:
    """What names of stores in tool resources mean, and where attached files go."""

    def __init__(self, stores: VectorStores) -> None:
        self._stores = stores

    async def check(self, project_id: str, ids: Sequence[str], param: str) -> None:
        """Raises NotFound if one of them is not there, InvalidRequest if one has expired."""
        try:
            await self._stores.check(project_id, ids)
        except NotFound as error:
            raise NotFound(error.message, param=param) from None

    async def create(self, project_id: str, store: wire.NewVectorStore) -> str:
        """Make one, and give its id. Raises NotFound if one of its files is not there."""
        sizes = store.chunking_strategy
        files = [NewFile(id) for id in (store.file_ids or ())]
        if isinstance(sizes, wire.StaticChunking):
            chunk, overlap = sizes.static.max_chunk_size_tokens, sizes.static.chunk_overlap_tokens
            files = [msgspec.structs.replace(each, chunk_tokens=chunk, overlap_tokens=overlap) for each in files]
        return await self._make(project_id, files, store.metadata or {}, None)

    async def attach(
        self, project_id: str, resources: wire.ToolResources | None, messages: Sequence[wire.CreateMessage]
    ) -> wire.ToolResources | None:
        """Put what messages attach for ``file_search`` into the thread's store, and make that if there is none.

        Returns:
            The thread's tool resources then.
        """
        wanted = [
            attached.file_id
            for message in messages
            for attached in message.attachments or ()
            if attached.file_id is not UNSET
            and any(isinstance(tool, wire.AttachmentFileSearch) for tool in attached.tools or ())
        ]
        if not wanted:
            return resources
        files = [NewFile(id) for id in dict.fromkeys(wanted)]
        if known := store_ids([resources]):
            await self._stores.add_batch(project_id, known[0], files)
            return resources
        made = await self._make(project_id, files, {}, ATTACHED_DAYS)
        return msgspec.structs.replace(
            resources or wire.ToolResources(), file_search=wire.FileSearchResources(vector_store_ids=[made])
        )

    async def ready(self, project_id: str, ids: Sequence[str]) -> None:
        """Returns when all files of these stores are taken in, or after ``READY_S``. Raises NotFound."""
        for _ in range(round(READY_S / LOOK_EVERY_S)):
            if not any([(await self._stores.get(project_id, id))[1].in_progress for id in ids]):
                return
            await asyncio.sleep(LOOK_EVERY_S)

    async def _make(self, project_id: str, files: list[NewFile], metadata: dict[str, str], days: int | None) -> str:
        made, _ = await self._stores.create(
            project_id, name="", description=None, metadata=metadata, days=days, files=files
        )
        return made.id


def store_ids(resources: Sequence[wire.ToolResources | None]) -> list[str]:
    """Ids of the stores that tool resources name, each once."""
    ids = [
        id
        for each in resources
        if each is not None and each.file_search is not UNSET
        for id in each.file_search.vector_store_ids or ()
    ]
    return list(dict.fromkeys(ids))
