"""Pages of the newer administrative lists: each tells where the next one begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct

from inhouse.api.organization.listing import Order
from inhouse.api.wire import ResponseObject, doc
from inhouse.kit.errors import NotFound

T = TypeVar("T")

Limit = Annotated[int, Meta(ge=0, le=1000)]


class CursorPage(ResponseObject, Generic[T], kw_only=True):
    """One page of a list."""

    object: Annotated[Literal["list"], doc("Always `list`.")] = "list"
    data: Annotated[list[T], doc("The objects of this page.")]
    has_more: Annotated[bool, doc("Whether another page follows.")]
    next: Annotated[str | None, doc("Pass it as `after` for the next page; null on the last one.")]


class CursorQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which page."""

    limit: Annotated[Limit, doc("Objects in a page.")] = 1000
    after: Annotated[str | None, doc("The `next` of the page before.")] = None
    order: Annotated[Order, doc("By time of creation.")] = "asc"


def cut(found: Sequence[T], id: Callable[[T], str], query: CursorQuery) -> tuple[list[T], bool, str | None]:
    """A page of what is in order already, whether more follow, and where the next one begins.

    Raises:
        NotFound: ``after`` is not in the list.
    """
    rows = list(found) if query.order == "asc" else list(found)[::-1]
    start = 0
    if query.after is not None:
        start = 1 + next((place for place, row in enumerate(rows) if id(row) == query.after), -1)
        if start == 0:
            raise NotFound(f"No such object: {query.after}", param="after")
    page = rows[start : start + query.limit]
    more = len(rows) > start + query.limit
    return page, more, id(page[-1]) if more and page else None
