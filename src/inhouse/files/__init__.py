"""Files of projects: what clients upload, and what other rooms make for them."""

from inhouse.files.service import Files, Removing, file_not_found
from inhouse.files.store import StoredFile

__all__ = ["Files", "Removing", "StoredFile", "file_not_found"]
