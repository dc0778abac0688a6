"""The words and fees that are the same for every model: labels of endpoints, features, tools and tiers; tool fees."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Any, Literal

import msgspec

from inhouse.catalog.cards import (
    TIERS,
    CardError,
    Endpoints,
    Fact,
    Features,
    Modalities,
    Positive,
    Text,
    Tools,
    decode_file,
)
from inhouse.kit.money import Fee


class EndpointTerm(Fact, frozen=True, kw_only=True):
    label: Text
    path: Text
    """As the published page writes it."""
    operations: Text = ""
    """Where its operations begin, below ``/v1``, if the page writes it otherwise."""

    @property
    def prefix(self) -> str:
        return self.operations or self.path.removeprefix("v1")


class Terms(Fact, frozen=True, kw_only=True):
    """Labels by key, each table in the order of the published model page."""

    modalities: dict[str, str]
    endpoints: dict[str, EndpointTerm]
    features: dict[str, str]
    tools: dict[str, str]
    tiers: dict[str, str]


class ToolFee(Fact, frozen=True, kw_only=True):
    """A charge beside tokens: ``price`` nano-dollars for every ``per`` units."""

    key: Text
    label: Text
    price: Fee
    per: Positive
    unit: Literal["call", "gigabyte_day", "session"]
    free: int = 0
    """Units at a time for which nothing is charged, of each organization."""
    note: Text | None = None


class _FeeFile(Fact, frozen=True, kw_only=True):
    fees: tuple[ToolFee, ...]


@functools.cache
def load_terms() -> Terms:
    """The labels of everything that a card can speak of.

    Raises:
        CardError: the file does not decode, or leaves something unnamed.
    """
    file = files("inhouse.catalog").joinpath("terms.toml")
    terms = decode_file(file, Terms)
    for table, keys in (
        ("modalities", Modalities.__struct_fields__),
        ("endpoints", Endpoints.__struct_fields__),
        ("features", Features.__struct_fields__),
        ("tools", Tools.__struct_fields__),
        ("tiers", TIERS),
    ):
        if tuple(getattr(terms, table)) != keys:
            raise CardError(f"{file.name}: [{table}] must name exactly {', '.join(keys)}, in this order")
    return terms


def load_fees() -> dict[str, ToolFee]:
    """Tool fees by key.

    Raises:
        CardError: the file does not decode.
    """
    return {fee.key: fee for fee in _shipped_fees()}


@functools.cache
def _shipped_fees() -> tuple[ToolFee, ...]:
    return decode_file(files("inhouse.catalog").joinpath("fees.toml"), _FeeFile).fees


def fields_of(fact: msgspec.Struct) -> list[tuple[str, Any]]:
    """Field names and values of a table of a card, in the order of the page."""
    return [(name, getattr(fact, name)) for name in fact.__struct_fields__]
