"""What a client is told when an engine fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from inhouse.engines.protocol import BadConstraint, EngineBusy, EngineFailed
from inhouse.kit.errors import InvalidRequest, Overloaded, ServerError

log = structlog.get_logger(__name__)

BUSY_RETRY_SECONDS = 5


@contextmanager
def refusals(param: str | None) -> Iterator[None]:
    """Tell the client what an engine refuses of a request: an engine raises ValueError for nothing else."""
    try:
        yield
    except ValueError as error:
        reason = str(error).strip().rsplit("\n", 1)[-1].removeprefix("Error: ").removeprefix("Jinja Exception: ")
        raise InvalidRequest(f"The model deployed here cannot take this request: {reason}", param=param) from error


@contextmanager
def engine_errors(request_id: str, *, constraint_param: str | None = None) -> Iterator[None]:
    """Turn an engine's failures into the API's errors; the reason goes to the log, not to the client."""
    try:
        yield
    except EngineBusy as error:
        raise Overloaded(
            "The engine is currently overloaded, please try again later.",
            code="server_is_overloaded",
            headers={"retry-after": str(BUSY_RETRY_SECONDS)},
        ) from error
    except BadConstraint as error:
        raise InvalidRequest(str(error), param=constraint_param) from error
    except EngineFailed as error:
        log.error("engine failed", request_id=request_id, reason=str(error))
        raise ServerError(
            "The server had an error processing your request. Sorry about that! You can retry your request, or "
            f"look for the request ID {request_id} in the server's log."
        ) from error
