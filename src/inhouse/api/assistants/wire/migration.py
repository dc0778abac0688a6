"""What came of moving an assistant off. No part of the official contract."""

from __future__ import annotations

from typing import Annotated, Literal

from inhouse.api.wire import ResponseObject, doc


class MovedThread(ResponseObject, kw_only=True):
    """A thread and the conversation that was made of it."""

    thread_id: Annotated[str, doc("The thread.")]
    conversation_id: Annotated[str, doc("The conversation.")]
    items: Annotated[int, doc("How many items it has.")]
    left_behind: Annotated[list[str], doc("What could not be carried over, in words.")]


class Migration(ResponseObject, kw_only=True):
    """A saved prompt that was made of an assistant, and conversations of its threads."""

    object: Annotated[Literal["assistant.migration"], doc("Always `assistant.migration`.")] = "assistant.migration"
    assistant_id: Annotated[str | None, doc("The assistant; null for threads that none has answered.")] = None
    prompt_id: Annotated[str | None, doc("The saved prompt.")] = None
    left_behind: Annotated[list[str], doc("What of the assistant could not be carried over, in words.")] = []  # noqa: RUF012
    threads: Annotated[list[MovedThread], doc("Its threads.")] = []  # noqa: RUF012
