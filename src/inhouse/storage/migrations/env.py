"""Alembic's entry: runs the revisions inside the transaction that the caller opened and will commit.

``storage.upgrade`` passes that connection in ``config.attributes``; there is no other way in, so that nothing can
migrate without the lock taken there.
"""

from __future__ import annotations

from alembic import context

from inhouse.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    compare_server_default=True,
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
