"""The header ``OpenAI-Beta``, which some families of operations ask for."""

from __future__ import annotations

from inhouse.kit.errors import InvalidRequest

_NAMES = {"assistants": "Assistants"}


def check_beta(header: str | None, wanted: str) -> None:
    """
    Args:
        header: as it came; it may name several versions.
        wanted: e.g. ``assistants=v2``.

    Raises:
        InvalidRequest: ``invalid_beta``, the official answer.
    """
    if header is not None and wanted in [each.strip() for each in header.split(",")]:
        return
    family = wanted.partition("=")[0]
    raise InvalidRequest(
        f"You must provide the 'OpenAI-Beta' header to access the {_NAMES.get(family, family)} API. "
        f"Please try again by setting the header 'OpenAI-Beta: {wanted}'.",
        code="invalid_beta",
    )
