"""What is entered in the ledger: that a call began, and what it came to."""

from __future__ import annotations

import msgspec

CHARGE = "-"
"""Between the id of a call and the number of what a tool was charged for in it."""


def charge_id(call_id: str, number: int) -> str:
    """The id of the row of something that has a price of its own, done for a call."""
    return f"{call_id}{CHARGE}{number}"


def charged_to(id: str) -> str:
    """The call that a charge was made for; empty if it is no charge's id."""
    return id.rpartition(CHARGE)[0]


class Opening(msgspec.Struct, tag="open", kw_only=True, frozen=True, omit_defaults=True):
    """What is known when a call is admitted. Times are Unix microseconds, prices nano-dollars a token."""

    id: str
    created_at: int
    organization_id: str
    project_id: str
    key_id: str
    operation: str
    model: str
    snapshot: str
    deployment: str
    service_tier: str
    user_id: str = ""
    family: str = "completions"
    batch: bool = False
    detail: str = ""
    """See ``rollups.Series``."""
    input_price: int = 0
    cached_input_price: int = 0
    output_price: int = 0
    reserved_nanos: int = 0
    """Held on the caller's accounts while the call is open, see ``accounts``."""


class Settlement(msgspec.Struct, tag="settle", kw_only=True, frozen=True, omit_defaults=True):
    """What a call came to. Money in nano-dollars, durations in milliseconds."""

    id: str
    settled_at: int
    status: int
    error_code: str | None
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_nanos: int
    units: int = 0
    fee_nanos: int = 0
    first_token_ms: float | None = None
    prefill_ms: float | None = None
    decode_ms: float | None = None
