"""Shapes of Conversations. Their items are those of Responses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from inhouse.api.responses.wire import Include, InputItem, StoredItem, add_types
from inhouse.api.wire import Metadata, PageQuery, RequestObject, ResponseObject, doc

Items = Annotated[list[InputItem], Meta(max_length=20, description="Up to 20 items.")]


class CreateConversationRequest(RequestObject, kw_only=True):
    """Begin a conversation."""

    items: Annotated[Items | None, doc("What it begins with.")] = None
    metadata: Annotated[Metadata | None, doc("Pairs of your own.")] = None

    @staticmethod
    def mend(value: Any) -> bool:
        """See ``kit.validation.decode``."""
        return isinstance(value, dict) and add_types(value.get("items"))


class UpdateConversationRequest(RequestObject, kw_only=True):
    """Replace the metadata of a conversation."""

    metadata: Annotated[Metadata | None, doc("The new pairs; null removes all.")]


class CreateItemsRequest(RequestObject, kw_only=True):
    """Add items at the end of a conversation."""

    items: Annotated[Items, doc("The items.")]

    @staticmethod
    def mend(value: Any) -> bool:
        """See ``kit.validation.decode``."""
        return isinstance(value, dict) and add_types(value.get("items"))


class IncludeQuery(RequestObject, kw_only=True):
    """What to tell of items."""

    include: Include = None


class ListItemsQuery(PageQuery, kw_only=True):
    """Which items of a conversation to list: the last ones first unless asked otherwise."""

    include: Include = None


class Conversation(ResponseObject, kw_only=True):
    """A conversation, which responses can go on with."""

    id: Annotated[str, doc("Id of the conversation.")]
    object: Annotated[Literal["conversation"], doc("Always `conversation`.")] = "conversation"
    created_at: Annotated[int, doc("When it was made, Unix seconds.")]
    metadata: Annotated[dict[str, str], doc("Pairs of your own.")]


class ConversationDeleted(ResponseObject, kw_only=True):
    """A conversation that is gone."""

    id: Annotated[str, doc("Id of the conversation.")]
    object: Annotated[Literal["conversation.deleted"], doc("Always `conversation.deleted`.")] = "conversation.deleted"
    deleted: Annotated[bool, doc("Whether it is gone.")] = True


class ConversationItemList(ResponseObject, kw_only=True):
    """Some items of a conversation."""

    object: Annotated[Literal["list"], doc("Always `list`.")] = "list"
    data: Annotated[list[StoredItem], doc("The items of this page.")]
    first_id: Annotated[str | None, doc("Id of the first item here; null on an empty page.")]
    last_id: Annotated[str | None, doc("Id of the last item here: pass it as `after` for the next page.")]
    has_more: Annotated[bool, doc("Whether another page follows.")]
