"""A conversation in fewer words, written by the model itself.

The model reads the conversation as one text, so that neither calls without outputs nor tools that are gone disturb it.
What does not fit the window is read in pieces, each with the summary of those before it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing

from inhouse.calls import Call
from inhouse.engines.upstream import Upstream
from inhouse.generation.core import generate
from inhouse.generation.events import TextDelta
from inhouse.generation.items import (
    File,
    GenerationRequest,
    Image,
    Item,
    Message,
    Part,
    Sampling,
    Text,
    ToolCall,
    ToolOutput,
)
from inhouse.kit.errors import ServerError
from inhouse.limits.demand import estimate

MOST_TOKENS = 2048
"""Of a summary."""
OVERHEAD_TOKENS = 512
"""Kept free for the instructions and the template."""
_INSTRUCTIONS = (
    "You compact conversations. Write a summary of the conversation below with which its assistant can go on as if it "
    "had read all of it. Keep names, numbers, decisions, what the user asked for and prefers, what tools were called "
    "for and what they gave, and what is still to be done. Do not answer the conversation, and add nothing to it."
)


async def summarize(call: Call, items: Sequence[Item], *, most_tokens: int = MOST_TOKENS) -> str:
    """The summary of a conversation. What it takes is counted with the call.

    Args:
        most_tokens: of the summary.

    Raises:
        APIError: what the client is to be told.
    """
    window = await _window(call)
    most = min(most_tokens, MOST_TOKENS, window // 4)
    room = max(window - 2 * most - OVERHEAD_TOKENS, window // 4)
    summary = ""
    async for piece in _pieces(call, items, room):
        earlier = f"Summary of what came before:\n{summary}\n\n" if summary else ""
        request = GenerationRequest(
            items=(
                Message("system", (Text(_INSTRUCTIONS),)),
                Message("user", (Text(f"{earlier}Conversation:\n{piece}\n\nWrite the summary of all of it."),)),
            ),
            sampling=Sampling(max_tokens=most),
            items_param="input",
        )
        written = ""
        async with aclosing(generate(call, request)) as batches:
            async for batch in batches:
                written += "".join(event.text for event in batch if isinstance(event, TextDelta))
        summary = written.strip()
        if not summary:
            raise ServerError("The model wrote no summary of the conversation.")
    return summary


async def _window(call: Call) -> int:
    engine = call.text_engine
    own = await engine.window() if isinstance(engine, Upstream) else engine.window
    return min(call.card.context_window, own or call.card.context_window)


async def _pieces(call: Call, items: Sequence[Item], room: int) -> AsyncIterator[str]:
    """The conversation as text, in pieces of at most so many tokens."""
    piece: list[str] = []
    left = room
    for line in _lines(items):
        tokens = await _tokens(call, line)
        # Cut by characters: a part of a text has fewer tokens than its share only where it is very uneven.
        parts = -(-tokens * 5 // (room * 4)) if tokens > room else 1
        size = -(-len(line) // parts)
        for at in range(0, len(line), size):
            share = -(-tokens // parts)
            if piece and share > left:
                yield "\n".join(piece)
                piece, left = [], room
            piece.append(line[at : at + size])
            left -= share
    if piece:
        yield "\n".join(piece)


async def _tokens(call: Call, text: str) -> int:
    engine = call.text_engine
    if isinstance(engine, Upstream):
        return 2 * estimate(len(text)) + 1
    return len(await engine.tokenize(text)) + 1


def _lines(items: Sequence[Item]) -> Iterator[str]:
    names: dict[str, str] = {}
    for item in items:
        match item:
            case Message(role=role, parts=parts):
                yield f"{role}: {' '.join(_told(part) for part in parts)}"
            case ToolCall(id=id, name=name, arguments=arguments):
                names[id] = name
                yield f"assistant calls {name}: {arguments}"
            case ToolOutput(call_id=id, text=text):
                yield f"{names.get(id, 'tool')} gives: {text}"


def _told(part: Part) -> str:
    match part:
        case Text(text=text):
            return text
        case Image():
            return "[an image]"
        case File(filename=name):
            return f"[a file: {name}]" if name else "[a file]"
        case _:
            return "[audio]"
