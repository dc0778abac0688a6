"""A moderation model as a step of a generation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

from inhouse.calls import Call
from inhouse.engines.hosted import HostedEngine
from inhouse.engines.moderation.verdicts import Image, Input, Verdict, combined
from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream import Upstream
from inhouse.files.fetching import Fetcher
from inhouse.generation.moderation.judging import judge
from inhouse.generation.moderation.pictures import Pictures
from inhouse.kit.errors import APIError

PIECE = 16_384
"""Characters of a text that are judged as one."""
AT_ONCE = 8
"""Pieces that are asked about at once, so that other requests have their turns in between."""
REMEMBERED = 4_096

_Key = tuple[str, str, bytes]

_remembered: OrderedDict[_Key, Verdict] = OrderedDict()
"""Verdicts on texts, by project and deployment: what stands in a conversation is judged once, not with every turn."""


class Moderator:
    """Asks one moderation model. Its call is opened with the first thing that it has to read.

    Args:
        call: the generation's.
        model: a moderation card's name.
    """

    def __init__(self, call: Call, model: str) -> None:
        self.model = model
        self._of = call
        self._call: Call | None = None
        self._error: APIError | None = None

    async def close(self) -> None:
        """Settle its call, if there was one."""
        if self._call is not None:
            error = self._error
            await self._call.__aexit__(type(error) if error else None, error, None)

    async def on_input(self, texts: Sequence[str], images: Sequence[Image]) -> Verdict:
        """One verdict on all. Those on texts are remembered.

        Raises:
            APIError: the model cannot be asked.
        """
        deployment = self._of.moderation_call(self.model).deployment.id
        pieces: dict[_Key, str] = {}
        for piece in (piece for text in texts for piece in _pieces(text)):
            digest = blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            pieces[self._of.project_id, f"{self.model} {deployment}", digest] = piece
        found = {key: _remembered[key] for key in pieces if key in _remembered}
        new = [key for key in pieces if key not in found]
        found |= zip(new, await self._texts([pieces[key] for key in new]), strict=True)
        for key, verdict in found.items():
            _remembered[key] = verdict
            _remembered.move_to_end(key)
        while len(_remembered) > REMEMBERED:
            _remembered.popitem(last=False)
        return combined([*found.values(), *await self._images(images)])

    async def on_output(self, texts: Sequence[str]) -> list[Verdict]:
        """A verdict on each text. Raises as ``on_input``."""
        return [combined(await self._texts(list(_pieces(text)))) for text in texts]

    async def _texts(self, texts: list[str]) -> list[Verdict]:
        told: list[Verdict] = []
        for start in range(0, len(texts), AT_ONCE):
            some = texts[start : start + AT_ONCE]
            told += await self._ask([Input((text,)) for text in some], some)
        return told

    async def _images(self, images: Sequence[Image]) -> list[Verdict]:
        """Nothing where the model knows texts only."""
        told: list[Verdict] = []
        for image in images:
            told += await self._ask([Input((), (image,))], [{"type": "image_url", "image_url": {"url": image.url}}])
        return told

    async def _ask(self, inputs: list[Input], raw: list[Any]) -> list[Verdict]:
        """Verdicts on inputs. None on images where the model knows texts only."""
        try:
            if self._call is None:
                self._call = await self._of.moderation_call(self.model).__aenter__()
            sees = self._call.card.modalities.image.input
            if any(each.images for each in inputs) and not (sees and _reads_images(self._call)):
                return []
            verdicts = await judge(self._call, inputs, raw, self._pictures())
        except APIError as error:
            self._error = error
            raise
        if not sees:
            # The text models of the contract know nothing of it.
            for verdict in verdicts:
                verdict.flags.update({"illicit": False, "illicit/violent": False})
                verdict.scores.update({"illicit": 0.0, "illicit/violent": 0.0})
        return verdicts

    def _pictures(self) -> Pictures:
        materials = self._of.materials
        return Pictures(materials.fetcher if materials is not None else Fetcher("off"))


def _reads_images(call: Call) -> bool:
    """Chat models that judge read texts only. One that cannot be had fails where it is asked."""
    try:
        return isinstance(call.engine, HostedEngine | Upstream)
    except EngineFailed:
        return True


def _pieces(text: str) -> Iterator[str]:
    if text.strip():
        for start in range(0, len(text), PIECE):
            yield text[start : start + PIECE]
