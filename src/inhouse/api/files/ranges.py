"""Parts of downloads: the ``Range`` header of RFC 9110."""

from __future__ import annotations

import re

from inhouse.kit.errors import APIError

_ONE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)


class RangeNotSatisfiable(APIError):
    status = 416
    default_type = "invalid_request_error"


def wanted(header: str | None, size: int) -> tuple[int, int] | None:
    """The bytes from ``start`` to before ``end`` that a header asks for; None for all.

    What is not one range of bytes is ignored, as the RFC allows.

    Raises:
        RangeNotSatisfiable: the range begins behind the end.
    """
    match = _ONE.fullmatch(header) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise RangeNotSatisfiable(
            f"The file has {size} bytes; none of them is in the range asked for.",
            headers={"content-range": f"bytes */{size}"},
        )
    return start, end
