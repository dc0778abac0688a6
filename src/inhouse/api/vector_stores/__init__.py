"""Vector stores: the face of ``tools.file_search``."""
