"""Guardrails: what goes into a generation and what comes out of it is moderated, and blocked where that is wanted.

One for all faces. Input is what users and tools say; what the developer says, and what models said before, is not
judged. Where flagged output is blocked, an answer is held back in windows of about a sentence, each judged together
with the words before it, and leaves only when its window was found harmless; a tool call leaves whole. At a flagged
window the choice ends with ``content_filter``. A moderation model that cannot be asked blocks, too; where verdicts are
only told, the failure is told in their place.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, TypeVar

import structlog

from inhouse.access.policies import Guardrail
from inhouse.calls import Call
from inhouse.engines.moderation.verdicts import Image, Judged, Moderated, NotJudged, Verdict, combined
from inhouse.generation.events import (
    ChoiceFinished,
    RefusalDelta,
    TextDelta,
    ToolCallDone,
    ToolCallStarted,
)
from inhouse.generation.items import Image as ImagePart
from inhouse.generation.items import Item, Message, ToolOutput
from inhouse.generation.moderation.asking import Moderator
from inhouse.kit.errors import APIError, InvalidRequest
from inhouse.metering.usage import Usage

LEAST, MOST = 40, 320
"""Characters of a streamed window: one that ends a sentence goes from the first on, any from the second."""
WHOLE = 2_000
"""Characters of a window where the answer is not streamed: nobody waits for its parts."""
BEFORE = 240
"""Characters before a window that are judged with it."""
HEADER = "x-inhouse-moderation"

_SENTENCE = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"'\u201d\u2019)\]]*\s|\n")
_NOT_WANTED = NotJudged("not_moderated", "This side is not moderated in this project.")
_NOT_REACHED = NotJudged("not_moderated", "There is nothing to moderate.")

E = TypeVar("E")

log = structlog.get_logger(__name__)


def said_in(items: Iterable[Item]) -> tuple[list[str], list[Image]]:
    """Texts and images of a request that are input of users and tools."""
    texts: list[str] = []
    images: list[Image] = []
    for item in items:
        if isinstance(item, ToolOutput):
            texts.append(item.text)
        elif isinstance(item, Message) and item.role == "user":
            texts.append(item.text)
            for index, part in enumerate(item.parts):
                if isinstance(part, ImagePart):
                    images.append(Image(part.url, f"{item.path}.content[{index}].image_url"))
    return [text for text in texts if text], images


class Guard:
    """The guardrails of a call, for one turn of its model. Enter it with ``async with``.

    The last guardrail is the one whose verdicts are told to the client: what the request asks for, else the project's.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._rules = call.guardrails
        self._moderators = {rule.model: Moderator(call, rule.model) for rule in self._rules}
        self._headers: dict[str, str] = {}
        self._broken: set[str] = set()
        if call.moderated is None:
            told = self._rules[-1]
            call.moderated = Moderated(
                _NOT_WANTED if told.input == "off" else _NOT_REACHED,
                _NOT_WANTED if told.output == "off" else _NOT_REACHED,
            )

    async def __aenter__(self) -> Guard:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for moderator in self._moderators.values():
            await moderator.close()

    async def check(self, texts: Sequence[str], images: Sequence[Image], *, param: str) -> None:
        """Judge the input.

        Args:
            param: where it stands in the request, for the error.

        Raises:
            InvalidRequest: it is flagged, and blocked.
            APIError: it cannot be judged, and what is flagged is to be blocked.
        """
        for rule in self._rules:
            if rule.input == "off":
                continue
            try:
                verdict = await self._moderators[rule.model].on_input(texts, images)
            except APIError as error:
                self._failed(rule, "input", error)
                continue
            flagged = self._note(rule, "input", verdict)
            if rule is self._rules[-1]:
                self._moderated.input = Judged(rule.model, [_by(rule, verdict)])
                self._tell("input", flagged)
            if flagged and rule.input == "block":
                raise InvalidRequest(
                    f"Your request was rejected: its input was flagged as {', '.join(flagged)} by the moderation of "
                    f"this {rule.origin}.",
                    param=param,
                    code="content_policy_violation",
                )

    async def watch(
        self, events: AsyncGenerator[list[E], None], choices: int, *, stream: bool
    ) -> AsyncGenerator[list[E], None]:
        """The events of an answer, as far as they may leave.

        Args:
            events: as ``core.generate`` gives them; closed with this.
            choices: how many answers they have.
            stream: whether somebody waits for every word.

        Raises:
            APIError: as ``check``, and what ``events`` raises.
        """
        rules = [rule for rule in self._rules if rule.output != "off"]
        holds = any(rule.output == "block" for rule in rules)
        watched = [_Choice(index) for index in range(choices)]
        async with aclosing(events) as batches:
            async for batch in batches:
                out: list[Any] = []
                for event in batch:
                    if isinstance(event, Usage):
                        out += await self._last(rules, watched, holds)
                        out.append(event)
                    elif not rules:
                        out.append(event)
                    elif not (choice := watched[event.choice]).blocked:  # type: ignore[attr-defined]
                        choice.add(event)
                        if not holds:
                            out += choice.let_go()
                if holds:
                    least, most = (LEAST, MOST) if stream else (WHOLE, WHOLE)
                    ripe = [choice for choice in watched if choice.ripe(least, most)]
                    out = [*await self._judged(rules, ripe), *out]
                if out:
                    yield out
                if holds and any(each.blocked for each in watched) and all(each.ended for each in watched):
                    # Nothing more may leave, so the engine need not go on.
                    if not any(isinstance(event, Usage) for event in out):
                        await self._last(rules, watched, holds)
                        yield [self._call.usage]  # type: ignore[list-item]
                    return

    async def _last(self, rules: Sequence[Guardrail], watched: Sequence[_Choice], holds: bool) -> list[Any]:
        """What is still held, judged, and the verdict on the whole."""
        out: list[Any] = []
        if holds:
            out = await self._judged(rules, [choice for choice in watched if choice.events])
        else:
            await self._judge(rules, watched)
        for rule in rules:
            if rule.model in self._broken:
                continue
            told = [_by(rule, choice.verdict(rule.model)) for choice in watched]
            flagged = self._note(rule, "output", combined(told), blocked=any(each.blocked for each in watched))
            if rule is self._rules[-1]:
                before = self._moderated.output
                if isinstance(before, Judged):
                    # Of an earlier turn of the model in the same answer.
                    told = [combined(each) for each in zip(before.verdicts, told, strict=True)]
                self._moderated.output = Judged(rule.model, told)
                self._tell("output", flagged)
        return out

    async def _judged(self, rules: Sequence[Guardrail], ripe: Sequence[_Choice]) -> list[Any]:
        """What may leave of choices that hold something, or their end."""
        await self._judge(rules, ripe)
        out: list[Any] = []
        for choice in ripe:
            blocking = [rule for rule in rules if rule.output == "block" and choice.flagged_by(rule)]
            out += choice.block() if blocking else choice.let_go()
        return out

    async def _judge(self, rules: Sequence[Guardrail], choices: Sequence[_Choice]) -> None:
        said = [choice for choice in choices if choice.unjudged]
        windows = [choice.window for choice in said]
        for choice in said:
            choice.unjudged = False
        for model in {rule.model for rule in rules} - self._broken if said else ():
            try:
                told = await self._moderators[model].on_output(windows)
            except APIError as error:
                self._broken.add(model)
                for rule in rules:
                    if rule.model == model:
                        self._failed(rule, "output", error)
                continue
            for choice, verdict in zip(said, told, strict=True):
                choice.judged(model, verdict)

    @property
    def _moderated(self) -> Moderated:
        assert self._call.moderated is not None
        return self._call.moderated

    def _failed(self, rule: Guardrail, side: str, error: APIError) -> None:
        self._call.count_moderation(side, "failed", ())
        log.warning("moderation failed", request_id=self._call.id, side=side, reason=error.message)
        if getattr(rule, side) == "block":
            raise error
        if rule is self._rules[-1]:
            setattr(self._moderated, side, NotJudged(error.code or error.type, error.message))

    def _note(self, rule: Guardrail, side: str, verdict: Verdict, *, blocked: bool = True) -> list[str]:
        """The categories that it flags, counted."""
        flagged = [name for name, flag in rule.flags(verdict).items() if flag]
        blocks = blocked and getattr(rule, side) == "block"
        outcome = "passed" if not flagged else "blocked" if blocks else "flagged"
        self._call.count_moderation(side, outcome, flagged)
        return flagged

    def _tell(self, side: str, flagged: Sequence[str]) -> None:
        self._headers[side] = f"{side}={','.join(flagged) or 'passed'}"
        self._call.tell(HEADER, "; ".join(self._headers.values()))


class _Choice:
    """One answer: what of it was not judged yet, and what was found of the rest."""

    def __init__(self, index: int) -> None:
        self.events: list[Any] = []
        """Held back."""
        self.blocked = False
        self.ended = False
        self.unjudged = False
        """Whether there are words that nobody judged."""
        self._index = index
        self._text: list[str] = []
        self._size = 0
        self._before = ""
        self._calls = 0
        self._verdicts: dict[str, Verdict] = {}
        self._latest: dict[str, Verdict] = {}

    def add(self, event: Any) -> None:
        self.events.append(event)
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                self._say(text)
            case ToolCallStarted():
                self._calls += 1
            case ToolCallDone(arguments=arguments):
                self._calls -= 1
                self._say(f"\n{arguments}")
            case ChoiceFinished():
                self.ended = True

    def _say(self, text: str) -> None:
        if text:
            self._text.append(text)
            self._size += len(text)
            self.unjudged = True

    @property
    def window(self) -> str:
        """What is judged: what is held, after the words before it."""
        return self._before + "".join(self._text)

    def ripe(self, least: int, most: int) -> bool:
        """Whether what is held should be judged, to leave."""
        if not self.events or self.blocked:
            return False
        if self.ended:
            return True
        # A call is of use only when it is whole, so it is held until then.
        if self._calls:
            return False
        if not self._size or self._size >= most:
            return True
        return self._size >= least and _SENTENCE.search("".join(self._text)) is not None

    def judged(self, model: str, verdict: Verdict) -> None:
        self._latest[model] = verdict
        known = self._verdicts.get(model)
        self._verdicts[model] = verdict if known is None else combined((known, verdict))

    def flagged_by(self, rule: Guardrail) -> bool:
        """Whether the window that was judged last is flagged."""
        latest = self._latest.get(rule.model)
        return latest is not None and any(rule.flags(latest).values())

    def verdict(self, model: str) -> Verdict:
        """On all that was judged. An empty answer is harmless."""
        return self._verdicts.get(model) or combined(())

    def let_go(self) -> list[Any]:
        """What is held may leave."""
        out, self.events = self.events, []
        if not self.unjudged:
            self._before, self._text, self._size = self.window[-BEFORE:], [], 0
        return out

    def block(self) -> list[Any]:
        """Nothing more leaves."""
        self.events = []
        self.blocked = self.ended = True
        return [ChoiceFinished("content_filter", self._index)]


def _by(rule: Guardrail, verdict: Verdict) -> Verdict:
    """A verdict with the flags of a guardrail."""
    return Verdict(verdict.scores, rule.flags(verdict), verdict.applied)
