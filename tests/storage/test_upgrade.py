from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.schema import SchemaItem

from inhouse.storage import upgrade as upgrade_module
from inhouse.storage.connect import open_engine, parse_url
from inhouse.storage.database import Database, MigrationFailed
from inhouse.storage.schema import metadata
from inhouse.storage.upgrade import MIGRATIONS, upgrade

Open = Callable[[str], Database]

HEAD = ScriptDirectory(str(MIGRATIONS)).get_current_head()


def description(connection: Connection) -> dict[str, list[str]]:
    """Everything that the database itself says of its tables, indexes and constraints."""
    if connection.dialect.name == "sqlite":
        query = "SELECT tbl_name, sql FROM sqlite_master WHERE tbl_name NOT LIKE 'sqlite_%' AND sql IS NOT NULL"
    else:
        query = """
            SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid)
                FROM pg_constraint WHERE connamespace = 'public'::regnamespace
            UNION ALL SELECT table_name,
                concat_ws(' ', column_name, data_type, is_nullable, column_default, is_identity)
                FROM information_schema.columns WHERE table_schema = 'public'
        """
    described: dict[str, list[str]] = {}
    for table, line in connection.execute(text(query)):
        if table != "alembic_version":
            described.setdefault(table, []).append(" ".join(line.replace("\t", " ").split()))
    return {table: sorted(lines) for table, lines in described.items()}


def parts(lines: list[str]) -> list[str]:
    """Column and constraint clauses, whatever their order within CREATE TABLE."""
    return sorted(part.strip(" ()") for line in lines for part in line.split(", "))


async def test_the_migrations_give_the_schema(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        def is_made_here(thing: SchemaItem, *_: object) -> bool:
            made = getattr(thing, "_ddl_if", None)  # what ``ddl_if`` said
            return made is None or made.dialect == connection.dialect.name

        opts = {"compare_type": True, "compare_server_default": True, "include_object": is_made_here}
        context = MigrationContext.configure(connection, opts={**opts, "target_metadata": metadata})
        return list(compare_metadata(context, metadata))

    assert await database.read(differences) == []


async def test_the_migrations_give_the_very_same_ddl(bare_database_url: str, open_database: Open) -> None:
    engine = open_engine(parse_url(bare_database_url), "migrate", 1)
    with engine.begin() as connection:
        metadata.create_all(connection)
        wanted = description(connection)
        metadata.drop_all(connection)
    engine.dispose()
    database = open_database(bare_database_url)
    database.migrate()
    found = await database.read(description)
    assert wanted.keys() == found.keys() == metadata.tables.keys()
    for table in wanted:
        assert parts(found[table]) == parts(wanted[table])


async def test_migrating_again_changes_nothing(database: Database) -> None:
    await database.write(lambda c: c.execute(text("INSERT INTO organizations VALUES ('org-1', 'x', 1)")) and None)
    database.migrate()
    assert await database.read(lambda c: c.execute(text("SELECT count(*) FROM organizations")).scalar()) == 1


HEAD = ScriptDirectory(str(MIGRATIONS)).get_current_head()


def with_revision(tmp_path: Path, body: str) -> Path:
    """The migrations and one more, whose upgrade is ``body``."""
    migrations = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    (migrations / "versions" / "9999_next.py").write_text(
        dedent(f"""
            from alembic import op
            revision = "9999"
            down_revision = "{HEAD}"

            def upgrade():
            """)
        + "".join(f"    {line}\n" for line in body.splitlines())
    )
    return migrations


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("op.execute('ALTER TABLE nowhere ADD COLUMN b TEXT')", "nowhere"),
        ("raise RuntimeError('disk on fire')", "disk on fire"),
    ],
)
async def test_a_failed_migration_leaves_everything_as_it_was(
    database: Database, database_url: str, tmp_path: Path, last: str, reason: str
) -> None:
    before = await database.read(description)
    migrations = with_revision(
        tmp_path,
        "op.execute('CREATE TABLE half (a TEXT)')\n"
        "op.execute(\"INSERT INTO organizations VALUES ('org-1', 'x', 1)\")\n"
        f"{last}",
    )
    engine = open_engine(parse_url(database_url), "migrate", 1)
    with pytest.raises(MigrationFailed, match=reason) as failure:
        upgrade(engine, migrations)
    engine.dispose()
    assert "nothing was changed" in failure.value.reason
    assert await database.read(description) == before
    assert await database.read(lambda c: c.execute(text("SELECT count(*) FROM organizations")).scalar()) == 0
    assert await database.read(lambda c: c.execute(text("SELECT version_num FROM alembic_version")).scalar()) == HEAD
    database.migrate()


async def test_a_migration_that_orphans_rows_is_refused_on_sqlite(tmp_path: Path, open_database: Open) -> None:
    url = f"sqlite:///{tmp_path / 'inhouse.db'}"
    database = open_database(url)
    database.migrate()
    migrations = with_revision(
        tmp_path, "op.execute(\"INSERT INTO projects VALUES ('proj_1', 'org-no', 'x', 1, NULL)\")"
    )
    engine = open_engine(parse_url(url), "migrate", 1)
    with pytest.raises(MigrationFailed, match="1 rows pointing to nothing"):
        upgrade(engine, migrations)
    engine.dispose()
    assert await database.read(lambda c: c.execute(text("SELECT count(*) FROM projects")).scalar()) == 0


async def test_a_newer_database_is_refused(database: Database, database_url: str) -> None:
    await database.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")) and None)
    with pytest.raises(MigrationFailed, match=r"schema 9999.*a newer version"):
        database.migrate()


MIGRATE = "import sys; from inhouse.storage.database import Database; Database(sys.argv[1]).migrate()"


async def test_processes_that_migrate_at_once_do_not_disturb_each_other(
    bare_database_url: str, open_database: Open
) -> None:
    processes = await asyncio.gather(
        *(
            asyncio.create_subprocess_exec(
                sys.executable, "-c", MIGRATE, bare_database_url, stderr=asyncio.subprocess.PIPE
            )
            for _ in range(4)
        )
    )
    outcomes = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0] * 4, outcomes
    tables = await open_database(bare_database_url).read(lambda c: inspect(c).get_table_names())
    assert set(tables) == {*metadata.tables, "alembic_version"}


def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "inhouse.db"
    path.write_bytes(b"this is a letter to my aunt, " * 100)
    with pytest.raises(MigrationFailed, match="not a database"):
        Database(f"sqlite:///{path}").migrate()
    assert path.read_bytes() == b"this is a letter to my aunt, " * 100


def test_a_server_that_is_not_there_stops_the_start_without_showing_the_password(tmp_path: Path) -> None:
    with pytest.raises(MigrationFailed, match="nothing was changed") as failure:
        Database(f"postgresql://inhouse:hunter2@/inhouse?host={tmp_path}").migrate()
    assert "hunter2" not in failure.value.reason


def test_a_folder_name_with_a_percent_sign_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrations = tmp_path / "100%(here)s"
    shutil.copytree(MIGRATIONS, migrations)
    engine = open_engine(parse_url(f"sqlite:///{tmp_path / 'inhouse.db'}"), "migrate", 1)
    upgrade_module.upgrade(engine, migrations)
    with engine.connect() as connection:
        assert inspect(connection).has_table("calls")
    engine.dispose()


def test_the_files_of_revisions_begin_with_their_numbers() -> None:
    """By which a start sees that there is nothing to do."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert {script.revision for script in scripts.walk_revisions()} == {
        Path(script.path).name.partition("_")[0] for script in scripts.walk_revisions()
    }
    assert scripts.get_heads() == [max(script.revision for script in scripts.walk_revisions())]


async def test_a_start_with_nothing_to_do_does_without_alembic(database: Database, database_url: str) -> None:
    program = (
        "import sys; from inhouse.storage.database import Database; Database(sys.argv[1]).migrate(); "
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, database_url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
