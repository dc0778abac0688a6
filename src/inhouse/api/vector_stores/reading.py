"""From requests to what ``tools.file_search`` takes."""

from __future__ import annotations

from typing import Any

import msgspec

from inhouse.api.responses.wire import hosted_tools
from inhouse.api.vector_stores import wire
from inhouse.kit.errors import InvalidRequest
from inhouse.tools.file_search import HYBRID, VECTORS_ONLY, NewFile, Search
from inhouse.tools.file_search.chunking import MOST_TOKENS, OVERLAP_TOKENS
from inhouse.tools.file_search.filters import Combination, Comparison, Filter

MOST_DEPTH = 16
MOST_FILTERS = 256


def search_of(body: wire.SearchRequest) -> Search:
    """Raises InvalidRequest."""
    queries = [body.query] if isinstance(body.query, str) else body.query
    check_queries(queries)
    options = body.ranking_options or wire.SearchRanking()
    return Search(
        queries=tuple(queries),
        most=body.max_num_results or 10,
        filter=filter_of(body.filters, "filters"),
        weights=VECTORS_ONLY if options.ranker == "none" else HYBRID,
        least=options.score_threshold or 0.0,
        rewrite=bool(body.rewrite_query),
    )


def check_queries(queries: list[str]) -> None:
    if not all(query.strip() for query in queries):
        raise InvalidRequest("Invalid 'query': a query cannot be empty.", param="query", code="invalid_value")


def filter_of(given: hosted_tools.Filter | Any, path: str) -> Filter | None:
    """A filter as it is looked at. Raises InvalidRequest."""
    if not given:
        return None
    return _filter(given, path, [MOST_FILTERS], 1)


def _filter(given: hosted_tools.Filter, path: str, left: list[int], depth: int) -> Filter:
    left[0] -= 1
    if left[0] < 0 or depth > MOST_DEPTH:
        raise InvalidRequest(
            f"Invalid '{path}': there can be {MOST_FILTERS} filters, nested {MOST_DEPTH} deep, at most.",
            param=path,
            code="invalid_value",
        )
    operator: Any = given.__struct_config__.tag
    if isinstance(given, hosted_tools.AllOf):
        parts = [_filter(each, f"{path}.filters[{at}]", left, depth + 1) for at, each in enumerate(given.filters)]
        return Combination(operator, tuple(parts))
    listed = isinstance(given.value, list)
    if listed != (operator in ("in", "nin")):
        expected = "an array" if operator in ("in", "nin") else "a string, a number or a boolean"
        raise InvalidRequest(
            f"Invalid type for '{path}.value': '{operator}' takes {expected}.",
            param=f"{path}.value",
            code="invalid_type",
        )
    return Comparison(operator, given.key, given.value)


def new_files(body: wire.CreateVectorStoreFileBatchRequest) -> list[NewFile]:
    """Raises InvalidRequest."""
    if (body.file_ids is None) == (body.files is None):
        raise InvalidRequest(
            "Exactly one of 'file_ids' and 'files' must be given.",
            param="file_ids",
            code="mutually_exclusive_parameters" if body.files is not None else "missing_required_parameter",
        )
    if body.files is not None:
        return [new_file(each, f"files[{at}].") for at, each in enumerate(body.files)]
    most, overlap = chunk_size(body.chunking_strategy)
    return [NewFile(id, body.attributes or {}, most, overlap) for id in body.file_ids or ()]


def new_file(body: wire.CreateVectorStoreFileRequest, path: str = "") -> NewFile:
    """Raises InvalidRequest."""
    most, overlap = chunk_size(body.chunking_strategy, path)
    return NewFile(body.file_id, body.attributes or {}, most, overlap)


def chunk_size(strategy: wire.AutoChunking | wire.StaticStrategy | None, path: str = "") -> tuple[int, int]:
    """Tokens of a chunk, and how many it repeats. Raises InvalidRequest."""
    if not isinstance(strategy, wire.StaticStrategy):
        return MOST_TOKENS, OVERLAP_TOKENS
    most, overlap = strategy.static.max_chunk_size_tokens, strategy.static.chunk_overlap_tokens
    if overlap > most // 2:
        param = f"{path}chunking_strategy.static.chunk_overlap_tokens"
        raise InvalidRequest(
            f"Invalid '{param}': chunk_overlap_tokens must be less than or equal to half of max_chunk_size_tokens "
            f"({most // 2}), got {overlap}.",
            param=param,
            code="invalid_value",
        )
    return most, overlap


def changes(body: wire.UpdateVectorStoreRequest) -> dict[str, Any]:
    """What is to be different."""
    told: dict[str, Any] = {}
    if body.name is not msgspec.UNSET:
        told["name"] = body.name or ""
    if body.metadata is not msgspec.UNSET:
        told["metadata"] = body.metadata or {}
    if body.expires_after is not msgspec.UNSET:
        told["days"] = None if body.expires_after is None else body.expires_after.days
    return told
