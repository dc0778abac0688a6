"""Pages of administrative lists: by time of creation, after or before an object of the same list."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from sqlalchemy import ColumnElement, Connection, Row, Select, tuple_

from inhouse.api.wire import doc
from inhouse.kit.errors import NotFound

Order = Literal["asc", "desc"]


class ListQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which page."""

    limit: Annotated[Annotated[int, Meta(ge=1, le=100)], doc("Objects in a page.")] = 20
    after: Annotated[str | None, doc("Id of the last object of the page before.")] = None


def page(
    connection: Connection,
    query: Select[Any],
    time: ColumnElement[Any],
    id: ColumnElement[Any],
    *,
    limit: int,
    after: str | None = None,
    before: str | None = None,
    order: Order = "asc",
) -> tuple[list[Row[Any]], bool]:
    """One page of ``query``, and whether more follow.

    Args:
        query: with every condition of the list, so that only its own objects can be named in ``after``.

    Raises:
        NotFound: ``after`` or ``before`` is not in the list.
    """
    key = tuple_(time, id)
    forward = order == "asc"
    for name, edge_id in (("after", after), ("before", before)):
        if edge_id is None:
            continue
        edge = connection.execute(query.with_only_columns(time, id).where(id == edge_id)).first()
        if edge is None:
            raise NotFound(f"No such object: {edge_id}", param=name)
        query = query.where(key > tuple_(*edge) if forward == (name == "after") else key < tuple_(*edge))
    # The page before an object ends at it, so it is read backwards.
    backwards = before is not None and after is None
    ascending = forward != backwards
    query = query.order_by(*(column.asc() if ascending else column.desc() for column in (time, id)))
    rows = list(connection.execute(query.limit(limit + 1)))
    found = rows[:limit]
    return (found[::-1] if backwards else found), len(rows) > limit


def seconds(moment: int) -> int:
    """Unix seconds of Unix microseconds."""
    return moment // 1_000_000


def seconds_or_none(moment: int | None) -> int | None:
    return None if moment is None else seconds(moment)
