"""Database with its migrations, and later blobs and vectors."""
