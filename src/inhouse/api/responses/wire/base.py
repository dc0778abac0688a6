"""What the shapes of Responses and Conversations have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from inhouse.api.wire import doc


class SharedObject(Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of what a client may send as it received it: an absent field stays absent, an unknown one is refused."""


ItemId = Annotated[str, doc("Id of the item.")]
CallId = Annotated[str, doc("Id of the call; its output refers to it.")]
ShortCallId = Annotated[str, Meta(min_length=1, max_length=64, description="Id of the call; its output refers to it.")]
Status = Annotated[Literal["in_progress", "completed", "incomplete"], doc("How far it got.")]
AllowedCallers = Annotated[
    list[Literal["direct", "programmatic"]], doc("Who may call it: the model, or programs that it writes.")
]
SomeAllowedCallers = Annotated[
    list[Literal["direct", "programmatic"]],
    Meta(min_length=1, description="Who may call it: the model, or programs that it writes."),
]
DeferLoading = Annotated[bool, doc("Whether the model sees it only after a search for tools.")]
Description = Annotated[str, doc("When and how to use it: the model reads this.")]
Strict = Annotated[
    bool, doc("Whether the arguments must always match the schema. Left out, they do if the schema allows it.")
]
EncryptedContent = Annotated[str, doc("The content, readable only for the service that made it.")]
ImageURL = Annotated[str, doc("An http(s) URL, or the image itself as a base64 data URL.")]
FileId = Annotated[str, doc("Id of an uploaded file.")]
ToolName = Annotated[
    str,
    Meta(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_-]+$", description="Letters, digits, _ and - only."),
]
