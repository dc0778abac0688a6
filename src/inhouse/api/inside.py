"""Requests from inside: operations, asked without HTTP.

Everything that an exchange does with a request happens here, too: the scope that the operation needs, the validation of
the body, the handler, and the errors as the API tells them. Only who asks is known already.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter

import msgspec
import structlog

from inhouse.access import Caller
from inhouse.access.scopes import missing_scope
from inhouse.api.exchange import unforeseen
from inhouse.api.operation import Headers, Operation, Request
from inhouse.kit.errors import APIError, InvalidRequest
from inhouse.kit.validation import decode

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("inhouse.api")


class Answer(msgspec.Struct, frozen=True):
    """What an operation answered."""

    status: int
    body: bytes
    """JSON."""
    error: APIError | None = None


class Inside:
    """Asks operations that take a JSON body and no more.

    Args:
        operations: bound to their faces, see ``operations_of``.
        prefix: that the paths of requests begin with.
    """

    def __init__(self, operations: Iterable[Operation], prefix: str = "/v1") -> None:
        self._operations = {
            prefix + each.path: each for each in operations if each.method == "POST" and each.body_kind == "json"
        }

    def operation(self, path: str) -> Operation | None:
        """What is asked with a POST to ``path``; None where nothing is."""
        return self._operations.get(path)

    async def ask(self, operation: Operation, caller: Caller, request_id: str, body: bytes) -> Answer:
        """One request and its answer. Raises only when it is cancelled."""
        request = Request(request_id, operation, caller, Headers(()), None, perf_counter())
        try:
            if not caller.may(operation.scope):
                raise missing_scope(operation.scope)
            request.body_bytes = len(body)
            result = await operation.handler(request, decode(body, operation.body_type, style=operation.style))
            if not isinstance(result, msgspec.Struct):
                raise InvalidRequest("This answer cannot be given as one JSON object.", param="stream")
            return Answer(operation.status, _encode(result))
        except APIError as error:
            return _refused(error)
        except Exception as error:
            _log.exception("request failed", request_id=request_id, operation=operation.id, project=caller.project_id)
            return _refused(unforeseen(request_id, error))


def _refused(error: APIError) -> Answer:
    return Answer(error.status, _encode(error.body), error)
