"""The context window of another server: the card's is kept there, too, and what is longer than the server's is read,
dropped or left to it, as the deployment's strategy says (see ``window``)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from inhouse.calls import Call
from inhouse.engines.deployments import READ_TOKENS
from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream import Upstream
from inhouse.generation.items import GenerationRequest, Item, Message, Text
from inhouse.generation.reading.passes import Allowance, reading
from inhouse.generation.reading.segments import segments
from inhouse.generation.reading.shelf import shelf_of
from inhouse.generation.reading.steps import of_upstream
from inhouse.generation.window import (
    ROOM_FOR_ANSWER,
    around,
    context_length_exceeded,
    deployment_of,
    length,
    tell_reading,
    without_excess,
    written,
)

UPSTREAM_SHARE = 0.5
"""Of an upstream's window, that is read of a longer prompt."""
BYTES_PER_TOKEN = 4
"""Of a server that can tell no tokens: four characters of English, one and a third of Chinese."""
SAFE = 0.9
"""Of a window, filled by such an estimate."""
DOUBTFUL = 0.75, 1.5
"""Times the card's window: between these the estimate may be wrong about it, so the server is asked for a token, which
it answers with a count. A longer prompt is refused by the estimate."""
_SURELY_FITS = 4_096
"""Characters that every window holds."""
_AROUND_ITEM = 64
"""Bytes that a template puts around an item, at most."""

Wire = Callable[[GenerationRequest], dict[str, Any]]
"""A request as the body that is sent."""


class Count(msgspec.Struct, frozen=True):
    """Tokens of a prompt. ``exact``: by the server's own tokenizer and template, or as it reported them."""

    total: int
    exact: bool
    functions: int = 0
    """Of them, those of the tools."""


async def fitted_for_upstream(
    call: Call, upstream: Upstream, request: GenerationRequest, wire: Wire
) -> tuple[GenerationRequest, int]:
    """The request as an upstream reads it, and how many tokens of it are left out.

    What may be longer than the card's window is counted by the upstream's own tokenizer. One that can tell no tokens is
    asked for an answer of a single token where an estimate leaves it open, since an answer tells them.

    Raises:
        InvalidRequest: ``context_length_exceeded``; the prompt is longer than the card's window.
        UpstreamError, EngineFailed
    """
    deployment, card = deployment_of(call), call.card.context_window
    size = _bytes(request)
    if size <= _SURELY_FITS:
        return request, 0
    reads = deployment.window_strategy == "read"
    drops = deployment.window_strategy == "truncate" or request.truncate
    window = deployment.window
    if window is None and (reads or drops):
        with contextlib.suppress(EngineFailed):  # one that lists no models is asked as it is
            window = await upstream.window()
    window = min(window or card, card)
    reads = reads and window < card
    # A native deployment refuses by itself what only its own window does not hold.
    limit = window if reads or drops else card
    room = limit - min(request.sampling.max_tokens or ROOM_FOR_ANSWER, limit // 4) if limit < card or drops else card
    if size <= room:  # no token is less than a byte
        return request, 0
    count = await _counted(upstream, request, wire)
    most = card if reads else room
    while drops and count.total >= most and len(request.items) > 1:
        shorter = without_excess(request, count.total, most)
        if shorter.items == request.items:
            break
        request = shorter
        count = await _counted(upstream, request, wire)
    if not count.exact and card * DOUBTFUL[0] <= count.total < card * DOUBTFUL[1] and not reads:
        count = await _reported(upstream, request, wire)
    if count.total >= card:
        functions = await _functions(upstream, request, wire, count)
        raise context_length_exceeded(card, count.total, request, functions, exact=count.exact)
    if not reads or count.total <= room * (1 if count.exact else SAFE):
        return request, 0
    return await _read(call, upstream, request, wire, count, window, room)


async def _read(
    call: Call, upstream: Upstream, request: GenerationRequest, wire: Wire, count: Count, window: int, room: int
) -> tuple[GenerationRequest, int]:
    deployment = deployment_of(call)
    total = count.total
    per_token = max(0.1, (sum(map(length, request.items)) + around(request)) / max(1, total))
    wanted = min(deployment.read_tokens or max(READ_TOKENS, int(window * UPSTREAM_SHARE)), int(room * 0.8))
    made = await reading(
        shelf_of(upstream),
        call.project_id,
        request,
        Allowance(
            characters=int(wanted * per_token),
            most_whole=max(0, int((room * SAFE - wanted) * per_token) - around(request)),
            per_token=per_token,
            of_all=int(min(deployment.whole_tokens or 0, total) * per_token),
            of_part=int(wanted * per_token),
            searches=deployment.search_steps,
        ),
        of_upstream(call, upstream),
        call.word_vectors,
    )
    found = made.found
    passages = found.passages_within(int(wanted * per_token))
    while True:
        shorter = found.with_passages(passages)
        read = await _counted(upstream, shorter, wire)
        if read.total <= room or not passages:
            break
        passages = min(passages - 1, passages * room // read.total)
    tell_reading(call, min(total, made.read + read.total), total, made.how)
    return shorter, max(0, total - read.total - made.read)


async def _counted(upstream: Upstream, request: GenerationRequest, wire: Wire) -> Count:
    """By the upstream's template and tokenizer; by its tokenizer alone; by the bytes."""
    body = wire(_texts_of(request))
    with contextlib.suppress(EngineFailed):  # the answer itself tells whether it is down
        if exact := await upstream.count_tokens(body["messages"], body.get("tools")):
            return Count(exact, True)
    functions = 0
    if request.usable_tools:
        functions = await _count_text(upstream, msgspec.json.encode(request.usable_tools).decode())
    total = functions + sum([await _count_text(upstream, written(item)) for item in request.items])
    return Count(total, False, functions)


async def _reported(upstream: Upstream, request: GenerationRequest, wire: Wire) -> Count:
    """As an answer of one token tells it; the estimate where it does not."""
    body = wire(msgspec.structs.replace(request, stream=False, choices=1))
    body |= {"max_tokens": 1}
    answer = await upstream.post("/chat/completions", body)
    with contextlib.suppress(msgspec.MsgspecError):
        if told := msgspec.json.decode(answer.body, type=_Answer).usage.prompt_tokens:
            return Count(told, True)
    return await _counted(upstream, request, wire)


async def _functions(upstream: Upstream, request: GenerationRequest, wire: Wire, count: Count) -> int:
    """How many of the tokens the tools take."""
    if not request.usable_tools or not count.exact:
        return count.functions
    without = await _counted(upstream, msgspec.structs.replace(request, tools=()), wire)
    return max(0, count.total - without.total) if without.exact else 0


async def _count_text(upstream: Upstream, text: str) -> int:
    total = 0
    for piece in segments(text):
        ids = None
        with contextlib.suppress(EngineFailed):
            ids = await upstream.tokenize(piece)
        total += -(-len(piece.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN) if ids is None else len(ids)
    return total


def _bytes(request: GenerationRequest) -> int:
    """No prompt has more tokens than this: its bytes, and what a template may put around them."""
    texts = sum(len(written(item).encode("utf-8", "surrogatepass")) for item in request.items)
    return texts + _AROUND_ITEM * len(request.items) + around(request)


def _texts_of(request: GenerationRequest) -> GenerationRequest:
    """The request without images and sound, which no tokenizer counts."""
    return msgspec.structs.replace(request, items=tuple(map(_text_of, request.items)))


def _text_of(item: Item) -> Item:
    if not isinstance(item, Message) or all(isinstance(part, Text) for part in item.parts):
        return item
    return msgspec.structs.replace(item, parts=tuple(part for part in item.parts if isinstance(part, Text)))


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0


class _Answer(msgspec.Struct):
    usage: _Usage = msgspec.field(default_factory=_Usage)
