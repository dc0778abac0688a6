"""Dates as the pages write them: in English, whatever the locale of the process."""

from __future__ import annotations

from datetime import date

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day(value: date) -> str:
    """``Jun 01, 2024``."""
    return f"{short_day(value)}, {value.year}"


def short_day(value: date) -> str:
    """``Jun 01``."""
    return f"{_MONTHS[value.month - 1]} {value.day:02d}"
