"""From the core's events to what a run is told by: steps, messages and the events of its stream.

Whatever is opened is ended, whichever way the run ends: a step is open while its tools are called or its message is
written, a message while it is written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from inhouse.api.assistants import wire
from inhouse.api.assistants.state import usage
from inhouse.generation.events import (
    ChoiceFinished,
    Event,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
)
from inhouse.kit.errors import APIError, InvalidRequest, RateLimited
from inhouse.kit.ids import new_id
from inhouse.metering.usage import Usage
from inhouse.tools.file_search import FileSearchCall
from inhouse.tools.hosted import Cited, HostedItem, ItemDone, ItemStarted, ToolEvent

Ending = Literal["completed", "incomplete", "failed", "cancelled", "expired"]
_MESSAGE_REASONS: Mapping[Ending, wire.IncompleteReason] = {
    "cancelled": "run_cancelled",
    "expired": "run_expired",
    "failed": "run_failed",
    "incomplete": "max_tokens",
}
_CODES: tuple[tuple[type[APIError], wire.ErrorCode], ...] = (
    (RateLimited, "rate_limit_exceeded"),
    (InvalidRequest, "invalid_prompt"),
)
_RUN_EVENTS: Mapping[str, Any] = {
    "in_progress": wire.RunInProgress,
    "requires_action": wire.RunRequiresAction,
    "completed": wire.RunCompleted,
    "incomplete": wire.RunIncompleteEvent,
    "failed": wire.RunFailed,
    "cancelled": wire.RunCancelled,
    "expired": wire.RunExpired,
}
_STEP_EVENTS: Mapping[str, Any] = {
    "completed": wire.StepCompleted,
    "failed": wire.StepFailed,
    "cancelled": wire.StepCancelled,
    "expired": wire.StepExpired,
}


def run_error(error: APIError) -> wire.RunError:
    """How a run tells why it failed."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "server_error")
    return wire.RunError(code=code, message=error.message)  # type: ignore[arg-type]


class Writer:
    """Writes one turn of a run: from where it begins, or goes on after outputs, to where it ends or waits for some."""

    def __init__(self, run: wire.Run) -> None:
        self.run = run
        self.told: list[Any] = []
        """Events that are not stored yet."""
        self.messages: dict[str, wire.Message] = {}
        self.steps: dict[str, wire.RunStep] = {}
        """What has changed and is not stored yet, in order."""
        self.usages: dict[str, wire.RunUsage] = {}
        """Of steps that still wait for outputs."""
        self.queries: dict[str, list[str]] = {}
        """What searches looked for, by the ids of their calls."""
        self.reason = "stop"
        self._message: wire.Message | None = None
        self._text: list[str] = []
        self._annotations: list[wire.FileCitation | wire.FilePath] = []
        self._refusal: list[str] = []
        self._step: wire.RunStep | None = None
        self._calls: list[wire.StepCall] = []
        self._index: dict[int, int] = {}
        """Places in the open step of the calls that the model makes now."""
        self._arguments: dict[int, str] = {}
        self._counted = (0, 0, 0)

    def _tell(self, kind: Any, data: Any) -> None:
        # A copy: what is told must not change with what comes later.
        self.told.append(kind(data=msgspec.structs.replace(data)))

    @property
    def waits(self) -> bool:
        """Whether the model called functions of the client."""
        return any(isinstance(call, wire.FunctionCall) for call in self._calls)

    def begin(self) -> None:
        self.run.status = "in_progress"
        self.run.started_at = self.run.started_at or _now()
        self._tell(wire.RunInProgress, self.run)

    def of(self, batch: Sequence[Event | ToolEvent], used: Usage) -> None:
        """Take up what the core tells.

        Args:
            used: tokens so far, of which each step tells its share.
        """
        for event in batch:
            match event:
                case TextDelta(text=text):
                    self._say(text, used)
                case RefusalDelta(text=text):
                    self._refuse(text, used)
                case Cited(annotation=annotation):
                    self._cite(annotation, used)
                case ToolCallStarted(index=index, id=id, name=name):
                    self._index[index] = self._add_call(
                        wire.FunctionCall(id=id, function=wire.FunctionWork(name=name, arguments="")), used
                    )
                case ToolCallDelta(index=index, text=text):
                    self._argue(index, text)
                case ToolCallDone(index=index, arguments=arguments):
                    call = self._calls[self._index.pop(index)]
                    assert isinstance(call, wire.FunctionCall)
                    call.function.arguments = arguments
                case ItemStarted(item=item) if (begun := _hosted_call(item)) is not None:
                    self._add_call(begun, used)
                case ItemDone(item=item) if (done := _hosted_call(item)) is not None:
                    self._replace_call(done)
                    if isinstance(item, FileSearchCall):
                        self.queries[item.id] = item.queries
                case ChoiceFinished(reason=reason):
                    self.reason = reason
                case _:
                    pass

    # Messages

    def _open_message(self, used: Usage) -> wire.Message:
        if self._message is None:
            self._end_step("completed", used)
            message = wire.Message(
                id=new_id("msg_", 24),
                created_at=_now(),
                thread_id=self.run.thread_id,
                assistant_id=self.run.assistant_id,
                run_id=self.run.id,
                role="assistant",
                status="in_progress",
                metadata={},
            )
            self._open_step(
                wire.MessageCreation(message_creation=wire.CreatedMessage(message_id=message.id)), "message_creation"
            )
            self._message = self.messages[message.id] = message
            self._text, self._annotations, self._refusal = [], [], []
            self._tell(wire.MessageCreated, message)
            self._tell(wire.MessageInProgress, message)
        return self._message

    def _say(self, text: str, used: Usage) -> None:
        if not text or self.waits or (self._message is None and not text.strip()):
            return
        message = self._open_message(used)
        piece = wire.TextDelta(value=text) if self._text else wire.TextDelta(value=text, annotations=[])
        self._text.append(text)
        self._change(message, wire.TextPartDelta(index=0, text=piece))

    def _cite(self, annotation: Mapping[str, Any], used: Usage) -> None:
        """A mark in the text that stands for a file: applications of this contract look for it there."""
        if annotation.get("type") != "file_citation" or not self._text or self.waits:
            return
        message = self._open_message(used)
        place = len(self._annotations)
        start = sum(map(len, self._text))
        mark = f"【{place}†source】"
        cited = wire.FileCitation(
            text=mark,
            file_citation=wire.CitedFile(file_id=annotation["file_id"]),
            start_index=start,
            end_index=start + len(mark),
        )
        self._annotations.append(cited)
        self._text.append(mark)
        told = wire.FileCitationDelta(
            index=place,
            text=mark,
            file_citation=wire.CitedFileDelta(file_id=annotation["file_id"]),
            start_index=cited.start_index,
            end_index=cited.end_index,
        )
        self._change(message, wire.TextPartDelta(index=0, text=wire.TextDelta(value=mark, annotations=[told])))

    def _refuse(self, text: str, used: Usage) -> None:
        message = self._open_message(used)
        self._refusal.append(text)
        self._change(message, wire.RefusalDelta(index=1 if self._text else 0, refusal=text))

    def _change(self, message: wire.Message, part: Any) -> None:
        delta = wire.MessageDelta(id=message.id, delta=wire.MessageChange(content=[part]))
        self.told.append(wire.MessageDeltaEvent(data=delta))

    def _end_message(self, ending: Ending) -> None:
        message, self._message = self._message, None
        if message is None:
            return
        if self._text:
            message.content = [
                wire.TextPart(text=wire.TextContent(value="".join(self._text), annotations=self._annotations))
            ]
        if self._refusal:
            message.content = [*message.content, wire.RefusalPart(refusal="".join(self._refusal))]
        end_message(message, ending, filtered=self.reason == "content_filter")
        self.messages[message.id] = message
        self._tell(wire.MessageCompleted if message.status == "completed" else wire.MessageIncompleteEvent, message)

    # Steps

    def _open_step(
        self, details: wire.MessageCreation | wire.ToolCalls, kind: Literal["message_creation", "tool_calls"]
    ) -> None:
        step = wire.RunStep(
            id=new_id("step_"),
            created_at=_now(),
            run_id=self.run.id,
            assistant_id=self.run.assistant_id,
            thread_id=self.run.thread_id,
            type=kind,
            step_details=details,
        )
        self._step = self.steps[step.id] = step
        self._calls, self._index, self._arguments = [], {}, {}
        self._tell(wire.StepCreated, step)
        self._tell(wire.StepInProgress, step)

    def _add_call(self, call: wire.StepCall, used: Usage) -> int:
        """The place of the call in its step."""
        if self._message is not None:
            self._end_step("completed", used)
        if self._step is None:
            self._open_step(wire.ToolCalls(tool_calls=[]), "tool_calls")
        place = len(self._calls)
        self._calls.append(call)
        self._change_step(_begun(place, call))
        return place

    def _argue(self, index: int, text: str) -> None:
        place = self._index[index]
        self._arguments[place] = self._arguments.get(place, "") + text
        self._change_step(wire.FunctionCallDelta(index=place, function=wire.FunctionWorkDelta(arguments=text)))

    def _replace_call(self, call: wire.StepCall) -> None:
        for place, known in enumerate(self._calls):
            if known.id == call.id:
                self._calls[place] = call

    def _change_step(self, call: Any) -> None:
        assert self._step is not None
        change = wire.RunStepChange(step_details=wire.ToolCallsDelta(tool_calls=[call]))
        self.told.append(wire.StepDelta(data=wire.RunStepDelta(id=self._step.id, delta=change)))

    def _share(self, used: Usage) -> wire.RunUsage:
        """What was used since the last step ended."""
        before, self._counted = self._counted, (used.input_tokens, used.output_tokens, used.unread_tokens)
        return usage(*(now - then for now, then in zip(self._counted, before, strict=True)))

    def _end_step(self, ending: Ending, used: Usage, error: wire.RunError | None = None) -> None:
        step = self._step
        if step is None:
            return
        self._end_message(ending)
        self._step = None
        if step.type == "tool_calls":
            for place, written in self._arguments.items():
                call = self._calls[place]
                if isinstance(call, wire.FunctionCall):
                    call.function.arguments = call.function.arguments or written
            step.step_details = wire.ToolCalls(tool_calls=self._calls)
        step.usage = self._share(used)
        end_step(step, ending, error)
        self.steps[step.id] = step
        self._tell(_STEP_EVENTS[step.status], step)

    # Ends

    def wait(self, used: Usage) -> None:
        """The client has to act: the step stays open."""
        step = self._step
        assert step is not None
        step.step_details = wire.ToolCalls(tool_calls=self._calls)
        self.steps[step.id] = step
        self.usages[step.id] = self._share(used)
        self.run.status = "requires_action"
        calls = [
            wire.RequiredCall(
                id=call.id, function=wire.CalledFunction(name=call.function.name, arguments=call.function.arguments)
            )
            for call in self._calls
            if isinstance(call, wire.FunctionCall)
        ]
        self.run.required_action = wire.RequiredAction(submit_tool_outputs=wire.RequiredOutputs(tool_calls=calls))
        self._tell(wire.RunRequiresAction, self.run)

    def end(self, ending: Ending, used: Usage, total: wire.RunUsage | None, error: APIError | None = None) -> None:
        """End the run and all that is open.

        Args:
            total: tokens of the whole run.
        """
        told = run_error(error) if error is not None else None
        self._end_step(ending, used, told)
        end_run(self.run, ending, total, told)
        self._tell(_RUN_EVENTS[ending], self.run)


def end_run(run: wire.Run, ending: Ending, total: wire.RunUsage | None, error: wire.RunError | None = None) -> None:
    run.status = ending
    run.required_action = None
    run.expires_at = None
    run.usage = total
    run.last_error = error
    match ending:
        case "completed":
            run.completed_at = _now()
        case "cancelled":
            run.cancelled_at = _now()
        case "failed":
            run.failed_at = _now()
        case "incomplete" if run.incomplete_details is None:
            run.incomplete_details = wire.RunIncomplete(reason="max_completion_tokens")
        case _:
            pass


def end_message(message: wire.Message, ending: Ending, *, filtered: bool = False) -> None:
    if ending == "completed":
        message.status, message.completed_at = "completed", _now()
    else:
        message.status, message.incomplete_at = "incomplete", _now()
        reason: wire.IncompleteReason = "content_filter" if filtered else _MESSAGE_REASONS[ending]
        message.incomplete_details = wire.MessageIncomplete(reason=reason)


def end_step(step: wire.RunStep, ending: Ending, error: wire.RunError | None = None) -> None:
    match ending:
        case "completed" | "incomplete":
            step.status, step.completed_at = "completed", _now()
        case "cancelled":
            step.status, step.cancelled_at = "cancelled", _now()
        case "expired":
            step.status, step.expired_at = "expired", _now()
        case "failed":
            step.status, step.failed_at = "failed", _now()
            if error is not None:
                code: Any = "server_error" if error.code == "invalid_prompt" else error.code
                step.last_error = wire.StepError(code=code, message=error.message)


def leftovers(
    steps: Sequence[wire.RunStep],
    messages: Sequence[wire.Message],
    told: Sequence[Mapping[str, Any]],
    ending: Ending,
    error: wire.RunError | None = None,
) -> list[Any]:
    """End what a run left open that is not made any more, in place. Gives the events that tell it.

    Args:
        told: the events of the run so far, which know what open messages say.
    """
    events: list[Any] = []
    for message in messages:
        if message.status == "in_progress":
            said = _said(told, message.id)
            message.content = [wire.TextPart(text=wire.TextContent(value=said))] if said else []
            end_message(message, ending)
            events.append(wire.MessageIncompleteEvent(data=message))
    for step in steps:
        if step.status == "in_progress":
            end_step(step, ending, error)
            events.append(_STEP_EVENTS[step.status](data=step))
    return events


def _said(told: Sequence[Mapping[str, Any]], message_id: str) -> str:
    parts = [
        part
        for event in told
        if event["event"] == "thread.message.delta" and event["data"]["id"] == message_id
        for part in event["data"]["delta"]["content"]
    ]
    return "".join(part["text"]["value"] for part in parts if part["type"] == "text")


def _begun(place: int, call: wire.StepCall) -> Any:
    match call:
        case wire.FunctionCall(id=id, function=function):
            work = wire.FunctionWorkDelta(name=function.name, arguments="", output=None)
            return wire.FunctionCallDelta(index=place, id=id, function=work)
        case wire.FileSearchCall(id=id):
            return wire.FileSearchCallDelta(index=place, id=id)
        case wire.CodeInterpreterCall(id=id, code_interpreter=work):
            begun = wire.CodeInterpreterWorkDelta(input=work.input, outputs=[])
            return wire.CodeInterpreterCallDelta(index=place, id=id, code_interpreter=begun)


def _hosted_call(item: HostedItem) -> wire.StepCall | None:
    """A hosted tool's item, which is in the terms of the Responses contract, as a call of a step."""
    told: dict[str, Any] = msgspec.to_builtins(item)
    if told["type"] == "file_search_call":
        results = [
            wire.SearchResult(
                file_id=str(each.get("file_id") or ""),
                file_name=str(each.get("filename") or ""),
                score=min(max(float(each.get("score") or 0.0), 0.0), 1.0),
                content=[wire.FoundText(type="text", text=str(each.get("text") or ""))],
            )
            for each in told.get("results") or ()
        ]
        return wire.FileSearchCall(id=told["id"], file_search=wire.SearchWork(results=results))
    if told["type"] == "code_interpreter_call":
        outputs = [_output(each) for each in told.get("outputs") or ()]
        work = wire.CodeInterpreterWork(input=told.get("code") or "", outputs=[each for each in outputs if each])
        return wire.CodeInterpreterCall(id=told["id"], code_interpreter=work)
    return None


def _output(told: Mapping[str, Any]) -> wire.Logs | wire.OutputImage | None:
    if told["type"] == "logs":
        return wire.Logs(logs=told["logs"])
    if told.get("file_id"):
        return wire.OutputImage(image=wire.OutputImageFile(file_id=told["file_id"]))
    return None


def without_texts(event: dict[str, Any]) -> dict[str, Any]:
    """The same of an event that was stored; it is changed in place."""
    if event["event"].startswith("thread.run.step.") and "step_details" in event["data"]:
        for call in event["data"]["step_details"].get("tool_calls") or ():
            for result in call.get("file_search", {}).get("results") or ():
                result.pop("content", None)
    return event


def without_content(step: wire.RunStep) -> wire.RunStep:
    """A step without the texts that searches found, which are told only to those who ask for them."""
    if isinstance(step.step_details, wire.ToolCalls):
        for call in step.step_details.tool_calls:
            if isinstance(call, wire.FileSearchCall) and call.file_search.results is not UNSET:
                for result in call.file_search.results:
                    result.content = UNSET
    return step


def _now() -> int:
    return int(time.time())
