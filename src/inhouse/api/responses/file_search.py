"""The file search of a request: what may be said of it."""

from __future__ import annotations

from inhouse.api.responses import wire
from inhouse.api.responses.hosting import Circumstances, Maker
from inhouse.api.responses.stored import RESULTS
from inhouse.api.vector_stores.reading import filter_of
from inhouse.kit.errors import InvalidRequest
from inhouse.tools.file_search import HYBRID, FileSearch, Search, VectorStores
from inhouse.tools.file_search.index import Weights

MOST_STORES = 16


def file_search_maker(stores: VectorStores) -> Maker:
    """Makes searches of the vector stores of the caller's project."""

    def make(tool: wire.FileSearchTool, circumstances: Circumstances) -> FileSearch:
        path = circumstances.path
        ids = tool.vector_store_ids
        if not 1 <= len(ids) <= MOST_STORES:
            raise _invalid(f"{path}.vector_store_ids", f"expected 1 to {MOST_STORES} vector stores, got {len(ids)}.")
        most = tool.max_num_results or 10
        if not 1 <= most <= 50:
            raise _invalid(f"{path}.max_num_results", f"expected a number from 1 to 50, got {most}.")
        least, weights = _ranking(tool, f"{path}.ranking_options")
        include = circumstances.body.include if isinstance(circumstances.body, wire.CreateResponse) else None
        return FileSearch(
            stores,
            circumstances.call,
            ids,
            Search((), most, filter_of(tool.filters, f"{path}.filters"), weights, least),
            tells=RESULTS in (include or ()),
        )

    return make


def _ranking(tool: wire.FileSearchTool, path: str) -> tuple[float, Weights]:
    options = tool.ranking_options or wire.RankingOptions()
    least = options.score_threshold or 0.0
    if not 0 <= least <= 1:
        raise _invalid(f"{path}.score_threshold", f"expected a number from 0 to 1, got {least}.")
    hybrid = options.hybrid_search
    if not hybrid:
        return least, HYBRID
    weights = Weights(hybrid.embedding_weight, hybrid.text_weight)
    if min(weights.embedding, weights.text) < 0 or weights.embedding + weights.text <= 0:
        raise _invalid(f"{path}.hybrid_search", "the weights cannot be negative, and one must be greater than 0.")
    return least, weights


def _invalid(param: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{param}': {what}", param=param, code="invalid_value")
