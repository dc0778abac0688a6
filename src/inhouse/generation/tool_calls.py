"""Splits what a local model writes into content and tool calls, while it is being written."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from inhouse.generation.call_syntax import (
    FENCE,
    FENCE_LANGUAGES,
    RAW_OPENING,
    WRAPPERS,
    Head,
    Kind,
    is_cut_call,
    may_quote_object,
    read_head,
    read_tail,
    same_arguments,
    skip_space,
)
from inhouse.generation.call_values import Known, QuotedText, RawObject, RestOfText, UnwrappedInput, Value
from inhouse.generation.events import TextDelta, ToolCallDelta, ToolCallDone, ToolCallStarted

ToolCallEvent = TextDelta | ToolCallStarted | ToolCallDelta | ToolCallDone

MAX_HELD: Final = 65_536
"""Characters held back while it is open whether they are a call. More than this are content."""

_MAX_BLANKS: Final = 256
_CHUNK: Final = 1024
_ALPHANUMERIC: Final = string.ascii_letters + string.digits
_INTERESTING: Final = re.compile(r"[ \t\r\n]*(?:[<\[{`]|\Z)")
_FENCE_OPENING: Final = re.compile(r"```([A-Za-z_]*)[ \t\r\n]*")
_RAW_NAME: Final = re.compile(re.escape(RAW_OPENING) + r'([A-Za-z0-9_-]{1,64})">')
_RAW_NAME_PART: Final = re.compile(re.escape(RAW_OPENING) + r'[A-Za-z0-9_-]{0,64}"?\Z')

Opened = Literal["yes", "more", "no"]


def new_call_id() -> str:
    """``call_`` and 24 letters or digits."""
    return "call_" + "".join(secrets.choice(_ALPHANUMERIC) for _ in range(24))


def is_repeat(name: str, arguments: str, answered: Iterable[tuple[str, str]]) -> bool:
    """Whether this call equals one that was already answered in the conversation.

    Small models like to repeat a call after its result; the loop has to stop there.

    Args:
        answered: name and arguments of each earlier call that has its output.
    """
    return any(name == other and same_arguments(arguments, given) for other, given in answered)


class ToolCallParser:
    """Reads a text stream; gives content and calls as they come.

    Understood are the wrappers of ``call_syntax.WRAPPERS``, fenced JSON, JSON at the start of a line outside of code,
    lists of calls, ``arguments`` or ``parameters`` as an object or as a string of JSON, and a name that comes after
    them. Calls of names that are not in ``tools`` are content. No text of a call becomes content. How the text is cut
    into pieces makes no difference to what comes out, except where deltas are cut.

    Args:
        tools: names that may be called, each with its kind.
        parallel: whether more than one call may come. If not, ``done`` is true after the first and the rest is ignored.
    """

    def __init__(
        self,
        tools: Mapping[str, Kind],
        *,
        parallel: bool = True,
        choice: int = 0,
        new_id: Callable[[], str] = new_call_id,
    ) -> None:
        self._tools = tools
        self._parallel = parallel
        self._choice = choice
        self._new_id = new_id
        self._buffer = ""
        self._consumed = 0
        self._step: Callable[[bool], bool] = self._text
        self._events: list[ToolCallEvent] = []
        self._line_start = True
        self._in_code = False
        self._has_content = False
        self._closers: tuple[str, ...] = ()
        self._wrapped = False
        self._in_list = False
        self._value: Value = Known("")
        self.calls = 0
        """Calls started so far."""
        self.done = False
        """No further text matters; the engine can be stopped."""
        self.truncated = False
        """The text ended inside a call."""
        self.value_at: int | None = None
        """Offset in the whole text where the latest call's value begins: to go on from there under a constraint."""

    def feed(self, text: str) -> list[ToolCallEvent]:
        """Events that ``text`` brings about; a text that may become a call waits."""
        for start in range(0, len(text), _CHUNK):
            if self.done:
                break
            self._buffer += text[start : start + _CHUNK]
            self._run(final=False)
        return self._take_events()

    def finish(self) -> list[ToolCallEvent]:
        """Events of the end. A call cut short is done with the arguments it has, and ``truncated`` tells."""
        if not self.done:
            self._run(final=True)
        self.done = True
        return self._take_events()

    def _run(self, *, final: bool) -> None:
        while not self.done and (self._buffer or final) and self._step(final):
            pass

    def _take_events(self) -> list[ToolCallEvent]:
        events: list[ToolCallEvent] = []
        for event in self._events:
            last = events[-1] if events else None
            if isinstance(event, TextDelta | ToolCallDelta) and isinstance(last, type(event)):
                last.text += event.text
            else:
                events.append(event)
        self._events = []
        return events

    # Steps. Each takes what it can from the buffer and returns whether the next may go on.

    def _text(self, final: bool) -> bool:
        match = _INTERESTING.search(self._buffer)
        start = match.start() if match else len(self._buffer)
        at = skip_space(self._buffer, start)
        if at == len(self._buffer):  # blanks before a call are not content, so they wait
            self._release(at if final or at - start > _MAX_BLANKS else start)
            return False
        self._release(start)
        at -= start
        line_start = self._line_start or "\n" in self._buffer[:at]
        opened = self._opening(at, final, line_start=line_start)
        if opened == "yes":
            return True
        if opened == "more":
            if not final and len(self._buffer) < MAX_HELD:
                return False
            if final and is_cut_call(self._buffer[at:]):
                self._cut()
                return False
        fence = self._buffer.startswith(FENCE, at)
        self._in_code ^= fence
        self._release(at + (len(FENCE) if fence else 1))
        return True

    def _in_value(self, final: bool) -> bool:
        delta, used, ended = self._value.feed(self._buffer, final)
        self._take(used)
        if delta:
            self._events.append(ToolCallDelta(self.calls - 1, delta, self._choice))
        if not ended and not final:
            return False
        if not ended and not isinstance(self._value, RestOfText):
            self.truncated = True
        self._events.append(ToolCallDone(self.calls - 1, self._value.whole, self._choice))
        self._step = self._tail
        self.done = not self._parallel
        return ended

    def _tail(self, final: bool) -> bool:
        end = read_tail(self._buffer, 0, final=final)
        if end is None:
            return False
        self._take(end)
        self._step = self._between
        return True

    def _between(self, final: bool) -> bool:
        """After a call: the next one, what closes its wrapper or list, or content again."""
        at = skip_space(self._buffer, 0)
        rest = self._buffer[at:]
        if rest[:1] in (",", ";"):
            following = skip_space(rest, 1)
            if following == len(rest) or rest[following] in "{[":
                at, rest = at + following, rest[following:]
        if not rest:
            if final:
                self._take(at)
            return False
        for closer in self._closers:
            if rest.startswith(closer):
                self._take(at + len(closer))
                self._leave()
                return True
            if closer.startswith(rest):
                if final:
                    self._take(len(self._buffer))
                return False
        if rest[0] == "]" and self._in_list:
            self._take(at + 1)
            self._in_list = False
            return True
        if rest[0] in "{[":
            opened = self._enter(at, final, self._closers, wrapped=self._wrapped, in_list=self._in_list)
            if opened == "yes":
                return True
            if opened == "more" and final:
                self._cut()
                return False
            if opened == "more" and len(self._buffer) < MAX_HELD:
                return False
        if not self._has_content:
            self._take(skip_space(self._buffer, 0))
        self._leave()
        self._line_start = True
        self._step = self._text
        return True

    # What begins a call.

    def _opening(self, at: int, final: bool, *, line_start: bool) -> Opened:
        """Enters a call if one begins at ``at`` of the buffer."""
        text = self._buffer
        rest = text[at : at + 32]
        for opener, closers in WRAPPERS.items():
            if rest.startswith(opener):
                return self._enter(skip_space(text, at + len(opener)), final, closers, wrapped=True)
            if opener.startswith(rest):
                return "more"
        if text[at] == "<":
            return self._raw_opening(at)
        if text[at] == "`":
            return "more" if FENCE.startswith(rest) else self._fence_opening(at, final)
        if line_start and not self._in_code:
            return self._enter(at, final, ())
        return "no"

    def _raw_opening(self, at: int) -> Opened:
        text = self._buffer[at:]
        match = _RAW_NAME.match(text)
        if match is None:
            return "more" if RAW_OPENING.startswith(text) or _RAW_NAME_PART.match(text) else "no"
        if self._tools.get(match[1]) != "custom":
            return "no"
        self._start(match[1], RestOfText(), at + match.end())
        return "yes"

    def _fence_opening(self, at: int, final: bool) -> Opened:
        fence = _FENCE_OPENING.match(self._buffer, at)
        if fence is None or self._in_code:
            return "no"
        if fence.end() == len(self._buffer) and any(language.startswith(fence[1]) for language in FENCE_LANGUAGES):
            return "more"
        return self._enter(fence.end(), final, (FENCE,)) if fence[1] in FENCE_LANGUAGES else "no"

    def _enter(
        self, at: int, final: bool, closers: tuple[str, ...], *, wrapped: bool = False, in_list: bool = False
    ) -> Opened:
        """Starts the call whose JSON begins at ``at``, if it is one."""
        text = self._buffer
        if at < len(text) and text[at] == "[" and not in_list:
            in_list = True
            at = skip_space(text, at + 1)
        if at >= len(text):
            return "more"
        if text[at] != "{":
            return "no"
        head = read_head(text, at, self._tools, wrapped=wrapped, final=final)
        if not isinstance(head, Head):
            return head
        opened = self._commit(head, final)
        if opened == "yes":
            self._closers, self._wrapped, self._in_list = closers, wrapped, in_list
        return opened

    def _commit(self, head: Head, final: bool) -> Opened:
        text, at = self._buffer, head.at
        custom = self._tools[head.name] == "custom"
        empty = "" if custom else "{}"
        if head.value == "cut":
            self.truncated = True
            self._start(head.name, Known(""), at)
        elif head.value == "none":
            self._start(head.name, Known(empty), at)
        elif text[at] == "n":
            if len(text) < at + 4 and not final:
                return "more"
            self._start(head.name, Known(empty), at + 4)
        elif text[at] == "{":
            self._start(head.name, UnwrappedInput() if custom else RawObject(), at)
        else:
            possible = True if custom else may_quote_object(text, at + 1)
            if possible is None and not final:
                return "more"
            if possible is False:
                return "no"
            self._start(head.name, QuotedText(empty=empty), at + 1)
        return "yes"

    def _start(self, name: str, value: Value, at: int) -> None:
        """A call starts whose value is read from ``at`` of the buffer."""
        self._take(at)
        self.value_at = self._consumed
        self._value = value
        self._events.append(ToolCallStarted(self.calls, self._new_id(), name, self._tools[name], self._choice))
        self.calls += 1
        self._step = self._in_value

    def _leave(self) -> None:
        self._closers, self._wrapped, self._in_list = (), False, False

    def _cut(self) -> None:
        """The rest is a call that ended before its name: it is told as truncated, not as content."""
        self.truncated = True
        self._take(len(self._buffer))

    def _release(self, count: int) -> None:
        if count <= 0:
            return
        text = self._buffer[:count]
        self._events.append(TextDelta(text, self._choice))
        self._has_content = True
        *before, line = text.rsplit("\n", 1)
        self._line_start = not line.strip(" \t\r") and (self._line_start or bool(before))
        self._take(count)

    def _take(self, count: int) -> None:
        self._consumed += min(count, len(self._buffer))
        self._buffer = self._buffer[count:]
