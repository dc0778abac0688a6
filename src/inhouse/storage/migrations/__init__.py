"""Alembic revisions, applied by ``Database.migrate``. A revision is never edited once released; a new one is added."""
