from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, sys
import structlog
from sqlalchemy import text
from inhouse.logs import configure_logs
from inhouse.settings import Log
from inhouse.storage.database import Database

configure_logs(Log(format="json"))
log = structlog.get_logger("inhouse.here")

async def main():
    for url, statement in ((sys.argv[1], "SELECT 1"), (sys.argv[2], "SELECT nonsense")):
        database = Database(url)
        try:
            await database.read(lambda c: c.execute(text(statement)).all())
        except Exception:
            log.exception("a query failed", request_id="req_1")
        await database.close()

asyncio.run(main())
"""


def test_a_database_that_is_away_is_a_line_and_a_defect_keeps_its_traceback(tmp_path: Path) -> None:
    urls = [f"postgresql://inhouse:hunter2@/inhouse?host={tmp_path}", f"sqlite:///{tmp_path / 'x.db'}"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *urls], capture_output=True, text=True, check=True, timeout=120
    )
    assert "hunter2" not in done.stderr
    away, defect = map(json.loads, done.stderr.splitlines())
    assert away["reason"].startswith("the database cannot be reached: ")
    assert str(tmp_path) in away["reason"]
    assert (away["event"], away["request_id"], away["level"]) == ("a query failed", "req_1", "error")
    assert "exception" not in away
    assert "Traceback" in defect["exception"]
