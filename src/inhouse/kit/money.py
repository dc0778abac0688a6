"""Money in whole nano-dollars (1e-9 USD), so that adding up never drifts.

A price of 1 USD for a million tokens is exactly 1,000 nano-dollars a token. Prices finer than a whole nano-dollar a
token (0.001 USD for a million) are refused when they are read, so a token cost, ``sum(tokens * price)``, is exact:
nothing is rounded. Only a fee for time or for stored bytes can end between two nano-dollars; ``prorated`` rounds it
once, half up, after everything has been multiplied.
"""

from __future__ import annotations

import re
from decimal import Decimal, localcontext
from typing import Final

NANO: Final = 1_000_000_000
"""Nano-dollars in a dollar."""
GIGABYTE: Final = 1 << 30
"""Bytes in a gigabyte, as the published storage prices count them (2^30)."""
DAY: Final = 86_400
"""Seconds in a day, the other half of a gigabyte-day."""

_AMOUNT = re.compile(r"\d{1,12}(?:\.\d{1,12})?", re.ASCII)


class TokenPrice(int):
    """Nano-dollars for one token. ``tokens * price`` is a plain ``int`` of nano-dollars."""

    @classmethod
    def parse(cls, dollars_per_million: str) -> TokenPrice:
        """Read a price as published, in dollars for a million tokens: ``"2.00"`` is 2,000 nano-dollars a token.

        Raises:
            ValueError: not a plain decimal number, or not whole nano-dollars for each token.
        """
        return cls(_exact(dollars_per_million, Decimal(NANO) / 1_000_000, "nano-dollars a token"))

    @property
    def per_million(self) -> int:
        """Nano-dollars for a million tokens."""
        return int(self) * 1_000_000


class Fee(int):
    """Nano-dollars for one of what is counted: a call, a session, a gigabyte-day."""

    @classmethod
    def parse(cls, dollars: str) -> Fee:
        """Read a fee as published, in dollars.

        Raises:
            ValueError: not a plain decimal number, or finer than a nano-dollar.
        """
        return cls(nano_dollars(dollars))


def nano_dollars(dollars: str) -> int:
    """``"2.00"`` is 2,000,000,000. Signs, exponents, spaces and separators are refused, as is ``float`` input.

    Raises:
        ValueError: not a plain decimal number, or finer than a nano-dollar.
    """
    return _exact(dollars, Decimal(NANO), "nano-dollars")


def prorated(price: int, used: int, unit: int) -> int:
    """The fee in nano-dollars for ``used`` out of ``unit``, rounded half up.

    For storage ``used`` is byte-seconds and ``unit`` is ``GIGABYTE * DAY``; for a session, seconds over its length.
    Add up what was used first and prorate once: the sum of rounded parts is not the rounded sum.

    Raises:
        ValueError: a negative amount, or a unit that is not positive.
    """
    if price < 0 or used < 0 or unit <= 0:
        raise ValueError("a fee needs a price and a use that are not negative, and a positive unit")
    return (2 * price * used + unit) // (2 * unit)


def format_dollars(nano: int) -> str:
    """``$2.00``, ``$0.025``, ``$1,234.50``: at least cents, and further digits only where they say something."""
    sign, nano = ("-", -nano) if nano < 0 else ("", nano)
    whole, rest = divmod(nano, NANO)
    digits = f"{rest:09d}".rstrip("0")
    return f"{sign}${whole:,}.{digits:0<2}"


def format_dollars_short(nano: int) -> str:
    """As ``format_dollars``, without the cents of a round sum: ``$2``, but ``$0.10``."""
    return format_dollars(nano).removesuffix(".00")


def _exact(text: str, scale: Decimal, unit: str) -> int:
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise ValueError(f"{text!r} is not an amount in dollars like '2.00'")
    with localcontext() as context:
        context.prec = 40
        scaled = Decimal(text) * scale
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{text!r} dollars is not a whole number of {unit}")
    return int(scaled)
