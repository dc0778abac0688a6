"""Errors as the API tells them, and what all expected errors are.

    ExpectedError                told as a line
    APIError                     any status; the four-key error object of the official contract
    ├── InvalidRequest           400 invalid_request_error
    ├── Unauthenticated          401 invalid_request_error
    ├── Forbidden                403 invalid_request_error
    ├── NotFound                 404 invalid_request_error
    ├── PayloadTooLarge          413 invalid_request_error
    ├── FailedDependency         424 external_connector_error
    ├── RateLimited              429 requests | tokens | insufficient_quota
    ├── ServerError              500 server_error
    └── Overloaded               503 service_unavailable_error

Raise them from any room; the HTTP face turns them into answers, a stream into its error event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec


class ErrorObject(msgspec.Struct):
    """The error of the official contract. All four keys are always present."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(msgspec.Struct):
    """The body of every answer that is not a success."""

    error: ErrorObject


class ExpectedError(Exception):
    """A failure that is no defect of the program. Its message tells people what it is and what to do; the command line
    shows it as a line, without a traceback."""


class APIError(ExpectedError):
    """An answer that is not a success.

    Args:
        message: what a client reads; names what to change where it can.
        type: the error family, e.g. ``invalid_request_error``.
        param: dotted path of the offending parameter (``messages[0].content``), or None.
        code: the machine-readable cause, e.g. ``model_not_found``, or None.
        headers: further response headers (``retry-after`` and the like).
    """

    status: ClassVar[int] = 500
    default_type: ClassVar[str] = "server_error"

    def __init__(
        self,
        message: str,
        *,
        type: str | None = None,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.type = type or self.default_type
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    @property
    def body(self) -> ErrorResponse:
        return ErrorResponse(ErrorObject(self.message, self.type, self.param, self.code))


class InvalidRequest(APIError):
    status = 400
    default_type = "invalid_request_error"


class Unauthenticated(APIError):
    status = 401
    default_type = "invalid_request_error"


class Forbidden(APIError):
    status = 403
    default_type = "invalid_request_error"


class NotFound(APIError):
    status = 404
    default_type = "invalid_request_error"


class PayloadTooLarge(APIError):
    status = 413
    default_type = "invalid_request_error"


class FailedDependency(APIError):
    """A server that the request names did not do its part."""

    status = 424
    default_type = "external_connector_error"


class RateLimited(APIError):
    status = 429
    default_type = "requests"


class ServerError(APIError):
    status = 500
    default_type = "server_error"


class Overloaded(APIError):
    status = 503
    default_type = "service_unavailable_error"
