"""Logs: lines for a terminal, JSON for everything else. Both structlog's and the standard library's go one way."""

from __future__ import annotations

import logging
import sys

import structlog
from sqlalchemy.exc import DBAPIError

from inhouse.settings import Log
from inhouse.storage.database import is_unreachable


def configure_logs(settings: Log) -> None:
    """Set up logging for the process. Logs go to standard error."""
    terminal = sys.stderr.isatty() if settings.format == "auto" else settings.format == "console"
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _database_away,
    ]
    renderer: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for chatty in ("alembic", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _database_away(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """The reason in a line, instead of a traceback for every request that fails while PostgreSQL is away."""
    given = event.get("exc_info")
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, DBAPIError) and is_unreachable(error):
        del event["exc_info"]
        event["reason"] = "the database cannot be reached: " + " ".join(str(error.orig).split())
    return event
