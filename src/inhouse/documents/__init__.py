"""Documents: text of files of many kinds, page by page."""

from inhouse.documents.kinds import ACCEPTED, is_accepted
from inhouse.documents.reading import Document, DocumentError, Documents, Images, Page

__all__ = ["ACCEPTED", "Document", "DocumentError", "Documents", "Images", "Page", "is_accepted"]
