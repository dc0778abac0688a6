"""The context window: what fits, what is read of what does not, and what is said when nothing helps.

A card's window is what the contract promises; a deployment's is what its model can read at once. Between the two, the
deployment's strategy decides, see ``WindowStrategy``.
"""

from __future__ import annotations

import asyncio

import msgspec

from inhouse.calls import Call
from inhouse.engines.deployments import READ_TOKENS, WHOLE_TOKENS, Embedded, Hosted, Remote
from inhouse.engines.protocol import TextEngine
from inhouse.generation import tokens
from inhouse.generation.items import GenerationRequest, Item, Message, ToolCall, ToolOutput
from inhouse.generation.prompt import Piece, prompt_pieces, prompt_tokens
from inhouse.generation.reading.passes import Allowance, reading
from inhouse.generation.reading.segments import segments
from inhouse.generation.reading.shelf import Beginning, Key, content_key, shelf_of
from inhouse.generation.reading.steps import of_engine
from inhouse.kit.errors import InvalidRequest

ROOM_FOR_ANSWER = 1024
"""Tokens kept free for the answer where the request names no limit."""
PART_TOKENS = 1_500
"""Tokens of one part of which a note is taken."""
READ_HEADER, READING_HEADER = "x-inhouse-read", "x-inhouse-reading"


class Fitted(msgspec.Struct, frozen=True):
    """A request that fits the deployment's window."""

    request: GenerationRequest
    prompt: list[int]
    total: int
    """Tokens of the prompt as it was sent; more than those of ``prompt`` where only passages of it are read."""
    reused: int = 0
    """Tokens of the beginning of a prompt that was read before, where only passages are read."""
    functions: int = 0
    """Tokens of the tools, of ``total``; counted only for a prompt that is too long."""

    @property
    def partly(self) -> bool:
        return self.total > len(self.prompt)


class _Measured(msgspec.Struct, frozen=True):
    total: int
    reused: int
    beginnings: list[Key]


async def fitted(call: Call, engine: TextEngine, request: GenerationRequest) -> Fitted:
    """The request as its deployment reads it.

    Where the client asks for truncation, or the deployment truncates, the oldest items that do not fit are dropped;
    instructions and the last item stay. Where it reads, passages take the place of what is too long, and truncation
    drops only what the card's window does not hold. At most a quarter
    of the window is kept free for the answer. What neither helps is left as it is, see ``completion_budget``.

    Raises:
        InvalidRequest: ``context_length_exceeded``; the prompt is longer than the card's window.
        EngineFailed
    """
    limit = min(call.card.context_window, engine.window)
    room = limit - min(request.sampling.max_tokens or ROOM_FOR_ANSWER, limit // 4)
    strategy = deployment_of(call).window_strategy
    reads = strategy == "read" and engine.window < call.card.context_window
    drops = strategy == "truncate" or (request.truncate and not reads)
    characters = sum(map(length, request.items))
    if reads and characters and sum(map(_bytes, request.items)) > room:  # no token is less than a byte
        measured = await _measure(call.project_id, engine, request)
        while request.truncate and measured.total >= call.card.context_window and len(request.items) > 1:
            shorter = without_excess(request, measured.total, call.card.context_window)
            if shorter.items == request.items:
                break
            request, characters = shorter, sum(map(length, shorter.items))
            measured = await _measure(call.project_id, engine, request)
        if measured.total >= call.card.context_window:
            functions = await _functions(call.project_id, engine, request, measured.total)
            raise context_length_exceeded(call.card.context_window, measured.total, request, functions)
        if measured.total > room:
            return await _read(call, engine, request, measured, room, characters)
    prompt = await prompt_tokens(engine, request)
    if drops and len(prompt) > room:
        request, prompt = await _dropped(engine, request, room, characters / len(prompt))
    total = len(prompt)
    functions = await _functions(call.project_id, engine, request, total) if total >= limit else 0
    return Fitted(request, prompt, total, functions=functions)


async def count(call: Call, engine: TextEngine, request: GenerationRequest) -> int:
    """Tokens of a request's prompt, by the deployment's tokenizer."""
    return (await _measure(call.project_id, engine, request)).total


async def _functions(project_id: str, engine: TextEngine, request: GenerationRequest, total: int) -> int:
    """How many tokens of a prompt its tools take."""
    if not request.usable_tools:
        return 0
    without = await _measure(project_id, engine, msgspec.structs.replace(request, tools=()))
    return max(0, total - without.total)


async def _measure(project_id: str, engine: TextEngine, request: GenerationRequest) -> _Measured:
    """Count a prompt. Counts of long pieces are remembered."""
    shelf = shelf_of(engine)
    beginning = Beginning(project_id)
    total = reused = 0
    leading = True
    keys: list[Key] = []

    async def counted(piece: Piece) -> int:
        key = content_key(project_id, piece.text)
        known = None if piece.special else shelf.tokens(key)
        if known is None:
            known = len(await engine.tokenize(piece.text, special=piece.special))
            if not piece.special:
                shelf.keep_tokens(key, known)
        else:
            await asyncio.sleep(0)  # a prompt that is known whole lets others run, too
        return known

    whole = await prompt_pieces(engine, request)
    pieces = [Piece(text, piece.special) for piece in whole for text in segments(piece.text)]
    for at in range(0, len(pieces), tokens.AT_ONCE):
        some = pieces[at : at + tokens.AT_ONCE]
        for piece, number in zip(some, await asyncio.gather(*map(counted, some)), strict=True):
            total += number
            key = beginning.then(piece.text)
            keys.append(key)
            leading = leading and shelf.seen(key)
            reused += number if leading else 0
    return _Measured(total, reused, keys)


async def _read(
    call: Call, engine: TextEngine, request: GenerationRequest, measured: _Measured, room: int, characters: int
) -> Fitted:
    shelf = shelf_of(engine)
    per_token = max(0.1, characters / measured.total)
    beside = int(around(request) / per_token)
    deployment = deployment_of(call)
    wanted = max(1, min(deployment.read_tokens or READ_TOKENS, (room - beside) * 2 // 3))
    of_all = WHOLE_TOKENS if deployment.whole_tokens is None else deployment.whole_tokens
    made = await reading(
        shelf,
        call.project_id,
        request,
        Allowance(
            characters=int(wanted * per_token),
            most_whole=max(0, int((room - beside - wanted) * per_token)),
            per_token=per_token,
            of_all=int(min(of_all, measured.total) * per_token),
            of_part=int(min(PART_TOKENS, wanted) * per_token),
            searches=deployment.search_steps,
        ),
        of_engine(call, engine),
        call.word_vectors,
    )
    found = made.found
    bare = len(await prompt_tokens(engine, found.with_passages(0)))
    most = min(room, bare + wanted)
    passages = found.passages_within(int(wanted * per_token))
    while True:
        shorter = found.with_passages(passages)
        prompt = await prompt_tokens(engine, shorter)
        if len(prompt) <= (most if passages > 1 else room) or not passages:  # the best one at least
            break
        passages = min(passages - 1, max(1, passages * wanted // max(1, len(prompt) - bare)))
    for key in measured.beginnings:
        shelf.keep_seen(key)
    tell_reading(call, made.read + len(prompt), measured.total, made.how)
    return Fitted(shorter, prompt, measured.total, measured.reused)


def tell_reading(call: Call, read: int, total: int, how: str) -> None:
    """Say with the answer how many tokens of how many the model read, and how: in the usage, and in headers."""
    read = min(read, total)  # notes on all parts, and then the notes, may be more
    call.usage.unread_tokens += total - read
    call.tell(READ_HEADER, f"{read}/{total}")
    call.tell(READING_HEADER, how)


def without_excess(request: GenerationRequest, total: int, window: int) -> GenerationRequest:
    """The request without the oldest items, as many as have the tokens that are too many, roughly."""
    excess = (total - window + min(ROOM_FOR_ANSWER, window // 16)) * sum(map(length, request.items)) / total
    count = 0
    for item in request.items[:-1]:
        if excess <= 0:
            break
        count += 1
        if not (isinstance(item, Message) and item.role in ("system", "developer")):
            excess -= length(item)
    return msgspec.structs.replace(request, items=without_first(request.items, count))


async def _dropped(
    engine: TextEngine, request: GenerationRequest, room: int, per_token: float
) -> tuple[GenerationRequest, list[int]]:
    """The request without the oldest items that do not fit, and its prompt."""
    # Between these lies how many items have to go. Their characters say roughly how many, so that long prompts need
    # not be counted again and again.
    fewest, most = 0, max(len(request.items) - 1, 0)
    left = sum(map(length, request.items))
    for at, item in enumerate(request.items[:most]):
        if left <= 2 * room * per_token:
            break
        left -= length(item)
        fewest = at
    while fewest < most:
        middle = (fewest + most) // 2
        shorter = msgspec.structs.replace(request, items=without_first(request.items, middle))
        if len(await prompt_tokens(engine, shorter)) <= room:
            most = middle
        else:
            fewest = middle + 1
    shorter = msgspec.structs.replace(request, items=without_first(request.items, fewest))
    return shorter, await prompt_tokens(engine, shorter)


def deployment_of(call: Call) -> Embedded | Remote:
    deployment = call.deployment
    assert not isinstance(deployment, Hosted), "hosts write no text"
    return deployment


def around(request: GenerationRequest) -> int:
    """Characters of what the model reads beside the items, roughly."""
    return len(msgspec.json.encode((request.usable_tools, request.format)))


def written(item: Item) -> str:
    return item.arguments if isinstance(item, ToolCall) else item.text


def length(item: Item) -> int:
    return len(written(item))


def _bytes(item: Item) -> int:
    return len(written(item).encode("utf-8", "surrogatepass"))


def without_first(items: tuple[Item, ...], count: int) -> tuple[Item, ...]:
    """The items after the first ``count``, with all instructions, and without outputs whose calls are dropped."""
    kept: list[Item] = []
    calls: set[str] = set()
    for index, item in enumerate(items):
        if isinstance(item, Message) and item.role in ("system", "developer"):
            kept.append(item)
        elif index >= count and not (isinstance(item, ToolOutput) and item.call_id not in calls):
            kept.append(item)
            if isinstance(item, ToolCall):
                calls.add(item.id)
    return tuple(kept)


def completion_budget(call: Call, fit: Fitted, window: int) -> int:
    """How many tokens the answer may have.

    The card's window and the deployment's are both kept. Where the input leaves less than was asked for, the answer
    is cut there and ends with ``length``.

    Args:
        window: tokens of the deployment's window.

    Raises:
        InvalidRequest: ``context_length_exceeded``.
    """
    limit = min(call.card.context_window, window)
    if len(fit.prompt) >= limit:
        raise context_length_exceeded(limit, fit.total, fit.request, fit.functions)
    room = min(limit - len(fit.prompt), call.card.context_window - fit.total)
    most = min(room, call.card.max_output_of(call.snapshot))
    wanted = fit.request.sampling.max_tokens
    return most if wanted is None else min(most, wanted)


def context_length_exceeded(
    limit: int, tokens: int, request: GenerationRequest, functions: int = 0, *, exact: bool = True
) -> InvalidRequest:
    """
    Args:
        functions: how many of the ``tokens`` the tools take.
        exact: whether they were counted, not estimated.
    """
    told = f"{tokens}" if exact else f"about {tokens}"
    split = f" ({tokens - functions} in the messages, {functions} in the functions)" if functions else ""
    what = "messages or functions" if request.tools else "messages"
    return InvalidRequest(
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {told} tokens"
        f"{split}. Please reduce the length of the {what}.",
        param=request.items_param,
        code="context_length_exceeded",
    )
