"""Brings a database to the schema of this version, in one transaction that either holds whole or not at all."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from inhouse import __version__
from inhouse.kit.errors import ExpectedError
from inhouse.storage.connect import MIGRATION_TIMEOUT_S

LOCK_ID = 0x696E_686F_7573_6501
"""Key of the PostgreSQL advisory lock that one migration holds; ``inhouse`` in ASCII and a number."""

MIGRATIONS = Path(__file__).with_name("migrations")


class MigrationFailed(ExpectedError):
    """The database is not at this version's schema and was left as it was. The message says why and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def upgrade(engine: Engine, migrations: Path = MIGRATIONS) -> None:
    """Applies what is missing. Safe to run from several processes at once: one works, the others wait for it.

    Args:
        engine: a ``migrate`` engine of ``storage.connect``.
        migrations: the folder of Alembic revisions.

    Raises:
        MigrationFailed
    """
    name = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection, connection.begin():
            _lock(connection)
            if not _is_newest(connection, migrations):
                _upgrade(connection, migrations)
    except MigrationFailed:
        raise
    except DBAPIError as error:
        raise MigrationFailed(f"Migrating {name} failed, nothing was changed: {error.orig}") from error
    except (SQLAlchemyError, OSError) as error:
        raise MigrationFailed(f"Migrating {name} failed, nothing was changed: {error}") from error
    except Exception as error:  # whatever a revision raises
        raise MigrationFailed(
            f"Migrating {name} failed, nothing was changed: {type(error).__name__}: {error}"
        ) from error


def _lock(connection: Connection) -> None:
    """Makes the others wait until this transaction ends. On SQLite ``BEGIN IMMEDIATE`` has done so already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{int(MIGRATION_TIMEOUT_S)}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK_ID})


def _is_newest(connection: Connection, migrations: Path) -> bool:
    """By the name of the newest revision's file, which begins with its number."""
    newest = max(path.name.partition("_")[0] for path in (migrations / "versions").glob("[0-9]*.py"))
    if not inspect(connection).has_table("alembic_version"):
        return False
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [newest]


def _upgrade(connection: Connection, migrations: Path) -> None:
    # Alembic takes 15 MB that a server does without when there is nothing to do, which is nearly always so.
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    current = set(MigrationContext.configure(connection).get_current_heads())
    if newer := sorted(current - known):
        raise MigrationFailed(
            f"The database is at schema {', '.join(newer)}, which Inhouse {__version__} does not know: a newer version "
            "has written to it. Start that version or a newer one, or restore a backup made before the upgrade."
        )
    if current == set(scripts.get_heads()):
        return
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        broken = connection.execute(text("PRAGMA foreign_key_check")).all()
        if broken:
            raise MigrationFailed(f"Migrating would leave {len(broken)} rows pointing to nothing; nothing was changed.")
