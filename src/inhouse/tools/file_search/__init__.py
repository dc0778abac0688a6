"""Vector stores, and the tool that searches them."""

from inhouse.tools.file_search.chunking import Chunker
from inhouse.tools.file_search.embedding import Embedder
from inhouse.tools.file_search.indexes import Indexes
from inhouse.tools.file_search.ingestion import Ingestion
from inhouse.tools.file_search.service import HYBRID, VECTORS_ONLY, Found, NewFile, Search, VectorStores
from inhouse.tools.file_search.storage_fees import StorageFees
from inhouse.tools.file_search.sweeping import StoreSweeper
from inhouse.tools.file_search.tool import FileSearch, FileSearchCall, Result

__all__ = [
    "HYBRID",
    "VECTORS_ONLY",
    "Chunker",
    "Embedder",
    "FileSearch",
    "FileSearchCall",
    "Found",
    "Indexes",
    "Ingestion",
    "NewFile",
    "Result",
    "Search",
    "StorageFees",
    "StoreSweeper",
    "VectorStores",
]
