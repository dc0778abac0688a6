from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from tests.storage.filling import content, fill
from tests.walking import migrated

from inhouse.storage.backup import STEP_PAGES, BackupFailed, backup
from inhouse.storage.database import Database


def silent(_done: int, _total: int) -> None:
    pass


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "inhouse.db"
    file.write_bytes(migrated())
    return file


async def test_a_backup_holds_what_the_database_does(file: Path, tmp_path: Path) -> None:
    database, target = Database(f"sqlite:///{file}"), tmp_path / "elsewhere.db"
    await database.write(fill)
    size = backup(file, target, silent)  # while it is open, and its newest rows are in the log beside it
    wanted = await database.read(content)
    await database.close()
    assert size == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("elsewhere*")] == ["elsewhere.db"], "one file is all there is to it"
    copy = Database(f"sqlite:///{target}")
    copy.migrate()
    assert await copy.read(content) == wanted
    await copy.close()


def test_it_is_of_one_moment_although_others_write(file: Path, tmp_path: Path) -> None:
    """A write between two steps neither gets into the copy nor makes it begin anew, and does not wait for it."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE stuff (body TEXT)")
        connection.executemany("INSERT INTO stuff VALUES (?)", [("x" * 4000,) for _ in range(3 * STEP_PAGES)])
        connection.commit()
        told: list[int] = []

        def write(done: int, _total: int) -> None:
            told.append(done)
            connection.execute("UPDATE stuff SET body = 'y'")
            connection.commit()

        backup(file, tmp_path / "copy.db", write)
    assert len(told) > 3
    assert told == sorted(told), "it never begins anew"
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT DISTINCT body FROM stuff").fetchall() == [("x" * 4000,)]


def test_a_writer_that_holds_the_lock_does_not_stop_it(file: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO organizations VALUES ('org-1', 'x', 1)")
        backup(file, tmp_path / "copy.db", silent)
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM organizations").fetchone() == (0,)


def test_an_older_database_is_copied_as_it_is(file: Path, tmp_path: Path) -> None:
    """Before an upgrade is when a backup is needed most."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    backup(file, tmp_path / "copy.db", silent)
    for path in (file, tmp_path / "copy.db"):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


def test_an_existing_file_is_left_alone(file: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("yesterday's")
    with pytest.raises(BackupFailed, match=r"copy\.db exists already"):
        backup(file, tmp_path / "copy.db", silent)
    assert (tmp_path / "copy.db").read_text() == "yesterday's"


def test_there_must_be_a_database(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="there is no database"):
        backup(tmp_path / "inhouse.db", tmp_path / "copy.db", silent)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(file: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="No such file"):
        backup(file, tmp_path / "nowhere" / "copy.db", silent)


def test_a_damaged_database_gives_no_backup(file: Path, tmp_path: Path) -> None:
    damaged = bytearray(file.read_bytes())
    damaged[8192:] = b"\xaa" * (len(damaged) - 8192)
    file.write_bytes(damaged)
    with pytest.raises(BackupFailed):
        backup(file, tmp_path / "copy.db", silent)
    assert not list(tmp_path.glob("copy*"))


def test_what_a_killed_backup_left_does_not_matter(file: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db.partial").write_bytes(b"half")
    backup(file, tmp_path / "copy.db", silent)
    assert {path.name for path in tmp_path.glob("copy*")} == {"copy.db"}


def test_an_error_on_the_way_leaves_nothing(file: Path, tmp_path: Path) -> None:
    def fails(_done: int, _total: int) -> None:
        raise OSError("no space left on device")

    with pytest.raises(BackupFailed, match="no space"):
        backup(file, tmp_path / "copy.db", fails)
    assert not list(tmp_path.glob("copy*"))
