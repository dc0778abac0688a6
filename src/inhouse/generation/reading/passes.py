"""From a prompt that is too long to what the model reads of it: one search, further ones, or notes on parts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from inhouse.engines.protocol import EngineFailed
from inhouse.generation.items import GenerationRequest
from inhouse.generation.reading.excerpts import Excerpts, excerpts
from inhouse.generation.reading.shelf import Shelf
from inhouse.generation.reading.steps import Ask, Notes, further, take_notes
from inhouse.generation.reading.worker import SearchFailed

LEAST_PARTS = 2
"""A question about all of a prompt of which fewer parts may be read is answered from passages."""


MOST_ROUNDS = 3
"""Of notes on notes."""


class Allowance(msgspec.Struct, frozen=True):
    """How much may be read.

    Args:
        characters: of passages.
        most_whole: characters of what is read whole.
        per_token: characters.
        of_all: characters of all parts together, for questions about the whole; 0: none.
        of_part: characters.
        searches: that the model may ask for.
    """

    characters: int
    most_whole: int
    per_token: float
    of_all: int = 0
    of_part: int = 0
    searches: int = 0


class Reading(msgspec.Struct, frozen=True):
    """``read``: tokens that the model read before its answer. ``how`` is told with the answer."""

    found: Excerpts
    how: str
    read: int = 0


async def reading(
    shelf: Shelf, project_id: str, request: GenerationRequest, allowed: Allowance, ask: Ask, vectors: Path | None
) -> Reading:
    """What a model reads of a request.

    Raises:
        EngineFailed
    """

    async def search(names: str = "") -> Excerpts:
        try:
            return await excerpts(
                shelf,
                project_id,
                request,
                characters=allowed.characters,
                most_whole=allowed.most_whole,
                per_token=allowed.per_token,
                vectors=vectors,
                characters_of_all=allowed.of_all,
                further=names,
            )
        except SearchFailed as error:
            raise EngineFailed(str(error)) from error

    found = await search()
    if found.about_all:
        notes = await _notes(found, allowed, ask)
        if notes is None:
            return Reading(found, "sample")
        return Reading(found.noted(_shown(notes)), f"map-reduce; parts={notes.parts}", notes.read)
    read = 0
    asked: list[str] = []
    while len(asked) < allowed.searches:
        count = found.passages_within(allowed.characters)
        shown = "\n[…]\n".join(found.texts(count))
        said = await further(ask, found.question, shown)
        read += said.read
        # Small models believe everything to be the answer, so what they say of that counts from the second time on.
        if not said.name or said.name in asked or (said.found and asked):
            break
        asked.append(said.name)
        found = found.joined(await search(" ".join(asked)), count)
    return Reading(found, f"passages; searches={len(asked)}" if allowed.searches else "passages", read)


async def _notes(found: Excerpts, allowed: Allowance, ask: Ask) -> Notes | None:
    parts = _parts(found.texts(found.passages_within(allowed.of_all)), allowed.of_part)
    if len(parts) < LEAST_PARTS or allowed.of_part <= 0:
        return None
    notes = await take_notes(ask, found.question, parts)
    text, read = notes.text, notes.read
    for _ in range(MOST_ROUNDS):  # notes that are too long themselves
        if len(text) <= allowed.characters:
            break
        again = await take_notes(ask, found.question, _parts(text.splitlines(), allowed.of_part))
        text, read = again.text, read + again.read
    return Notes(text[: allowed.characters], notes.parts, read)


def _parts(texts: Iterable[str], most: int) -> list[str]:
    """Texts put together to parts of at most so many characters."""
    parts: list[str] = []
    for text in texts:
        if parts and len(parts[-1]) + len(text) <= most:
            parts[-1] += f"\n[…]\n{text}"
        else:
            parts.append(text)
    return parts


def _shown(notes: Notes) -> str:
    return f"[Notes on {notes.parts} parts of the text, spread over all of it, in its order]\n{notes.text}"
