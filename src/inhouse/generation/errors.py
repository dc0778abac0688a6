"""What a client is told when an engine fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType

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


def engine_errors(request_id: str, *, constraint_param: str | None = None) -> AbstractContextManager[None]:
    """Turn an engine's failures into the API's errors; the reason goes to the log, not to the client."""
    return _EngineErrors(request_id, constraint_param)


class _EngineErrors:
    """Every request enters some of these: a class costs a third of a generator."""

    __slots__ = ("_constraint_param", "_request_id")

    def __init__(self, request_id: str, constraint_param: str | None) -> None:
        self._request_id = request_id
        self._constraint_param = constraint_param

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, EngineBusy):
            raise Overloaded(
                "The engine is currently overloaded, please try again later.",
                code="server_is_overloaded",
                headers={"retry-after": str(BUSY_RETRY_SECONDS)},
            ) from error
        if isinstance(error, BadConstraint):
            raise InvalidRequest(str(error), param=self._constraint_param) from error
        if isinstance(error, EngineFailed):
            log.error("engine failed", request_id=self._request_id, reason=str(error))
            raise ServerError(
                "The server had an error processing your request. Sorry about that! You can retry your request, or "
                f"look for the request ID {self._request_id} in the server's log."
            ) from error
