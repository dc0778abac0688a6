"""What a model is asked before it answers a question about a prompt that it cannot read whole.

Notes on parts of the prompt, for questions about all of it (map and reduce), and whether a further search is needed.
What these steps read counts as read and what they write is not billed: the prompt is billed whole already.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

import msgspec

from inhouse.calls import Call
from inhouse.engines.protocol import EngineFailed, Finished, Piece, TextEngine
from inhouse.engines.upstream import Upstream, UpstreamError
from inhouse.generation.constraint import json_schema
from inhouse.generation.items import GenerationRequest, JsonSchema, Message, Sampling, Text
from inhouse.generation.prompt import prompt_tokens
from inhouse.generation.sampling import completion

NOTE_TOKENS = 80
"""Of the note on one part, at most."""
QUERY_TOKENS = 96
"""Of what a model says of a search."""
_NOTHING = "nothing"
_NOTES = "You read one part of a long text and take notes for somebody who has to do a task with the whole text."
_NOTE = (
    "Part {number} of {count}:\n\n{text}\n\nThe task: {question}\n\nWrite down in one to three short sentences what "
    "this part says that the task needs. Copy names and numbers exactly. If it says nothing of use, write: nothing"
)
_SEARCHES = "You look whether a question can be answered from passages of a long text."
_SEARCH = (
    "Passages:\n\n{text}\n\nQuestion: {question}\n\nfact: the fact of the passages that has most to do with the "
    "question. name: the person, thing or place of that fact which the question does not name. found: whether the "
    "passages say the answer."
)
"""In this order, and with a name in place of a query: asked first whether it has enough, a model of 0.5 billion
parameters always says yes, and repeats the question as its query; but it names well what leads further."""
_DECISION = JsonSchema(
    name="search",
    schema={
        "type": "object",
        "properties": {"fact": {"type": "string"}, "name": {"type": "string"}, "found": {"type": "boolean"}},
        "required": ["fact", "name", "found"],
        "additionalProperties": False,
    },
    strict=True,
)


class Said(msgspec.Struct, frozen=True):
    """What a model said, and how many tokens it read for that."""

    text: str
    read: int


class Step(msgspec.Struct, frozen=True):
    system: str
    user: str
    most: int
    """Tokens that may be written."""
    form: JsonSchema | None = None


Ask = Callable[[Step], Awaitable[Said]]
"""How a model is asked. Raises EngineFailed."""


class Notes(msgspec.Struct, frozen=True):
    """Notes on ``parts`` parts of a prompt, as text, and how many tokens were read for them."""

    text: str
    parts: int
    read: int


class Further(msgspec.Struct, frozen=True):
    """What a model says of passages: what leads further, empty if nothing does; whether they say the answer, as it
    believes; and how many tokens were read for that."""

    name: str
    found: bool
    read: int


class _Decision(msgspec.Struct):
    name: str
    found: bool


def of_engine(call: Call, engine: TextEngine) -> Ask:
    async def ask(step: Step) -> Said:
        form = step.form
        constraint = (
            None
            if form is None
            else json_schema(form.schema, strict=form.strict, context_param=form.param, name=form.name)
        )
        prompt = await prompt_tokens(engine, GenerationRequest(items=_messages(step)))
        asked = completion(call, Sampling(temperature=0.0, seed=0), prompt, max_tokens=step.most, constraint=constraint)
        text = ""
        async with aclosing(engine.complete(asked)) as batches:
            async for batch in batches:
                text += "".join(each.text for each in batch if isinstance(each, Piece))
                if any(isinstance(each, Finished) for each in batch):
                    break
        return Said(text, len(prompt))

    return ask


def of_upstream(call: Call, upstream: Upstream) -> Ask:
    async def ask(step: Step) -> Said:
        body = {
            "model": call.snapshot.id,
            "messages": [{"role": each.role, "content": each.text} for each in _messages(step)],
            "temperature": 0,
            "max_tokens": step.most,
        }
        if (form := step.form) is not None:
            named = {"name": form.name, "schema": form.schema, "strict": form.strict}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        try:
            answer = msgspec.json.decode((await upstream.post("/chat/completions", body)).body, type=_Answer)
        except (UpstreamError, msgspec.MsgspecError) as error:
            raise EngineFailed(f"the upstream took no part in reading: {error}") from error
        message = answer.choices[0].message.content if answer.choices else None
        return Said(message or "", answer.usage.prompt_tokens if answer.usage else 0)

    return ask


class _Content(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Content


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None


async def take_notes(ask: Ask, question: str, parts: Sequence[str]) -> Notes:
    """A note on each part of a text. Parts that say nothing of use are left out."""
    lines: list[str] = []
    read = 0
    for number, part in enumerate(parts, 1):
        step = Step(_NOTES, _NOTE.format(number=number, count=len(parts), text=part, question=question), NOTE_TOKENS)
        try:
            said = await ask(step)
        except EngineFailed:  # it is started again where it ended; the notes that are there would be lost
            said = await ask(step)
        read += said.read
        note = " ".join(said.text.split())
        if note and note.rstrip(".").casefold() != _NOTHING:
            lines.append(f"Part {number}: {note}")
    return Notes("\n".join(lines) or "No part says anything of use.", len(parts), read)


async def further(ask: Ask, question: str, passages: str) -> Further:
    """What a model says of the passages that were found."""
    said = await ask(Step(_SEARCHES, _SEARCH.format(text=passages, question=question), QUERY_TOKENS, _DECISION))
    try:
        decided = msgspec.json.decode(said.text, type=_Decision)
    except msgspec.MsgspecError:  # cut at its last token
        return Further("", True, said.read)
    return Further(decided.name.strip(), decided.found, said.read)


def _messages(step: Step) -> tuple[Message, Message]:
    return Message("system", (Text(step.system),)), Message("user", (Text(step.user),))
