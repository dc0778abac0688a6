"""What audio costs: tokens of sound by the second, time by the minute, speech by the character.

Sound is counted at one token for each 100 ms that is heard and one for each 50 ms that is spoken, as the vendor's guide
to the costs of its Realtime API says.
"""

from __future__ import annotations

from math import ceil

from inhouse.api.audio import wire
from inhouse.api.audio.hearing import by_time
from inhouse.calls import Call
from inhouse.catalog.cards import Card, Snapshot
from inhouse.metering.usage import Usage

HEARD_TOKENS_A_SECOND = 10
SPOKEN_TOKENS_A_SECOND = 20
_LEAST_BYTES_A_SECOND = 500
"""Of audio that holds speech: 4 kbit/s, below what any of these codecs is made for."""


def heard(call: Call, seconds: float, prompt_tokens: int, output_tokens: int) -> None:
    """Bring the call's usage up to date with what was heard so far."""
    usage = call.usage
    usage.units = ceil(seconds)
    if by_time(call.card):
        usage.fee_nanos = _time_fee(call.card, usage.units)
        return
    audio = ceil(seconds * HEARD_TOKENS_A_SECOND)
    usage.input_tokens = prompt_tokens + audio
    usage.output_tokens = output_tokens
    usage.fee_nanos = audio * _surcharge(call.card, call.snapshot)


def most_heard(card: Card, snapshot: Snapshot, size: int, longest: int) -> int:
    """Nano-dollars that a file of ``size`` bytes can cost beside its tokens of text."""
    seconds = min(longest, ceil(size / _LEAST_BYTES_A_SECOND))
    return (
        _time_fee(card, seconds)
        if by_time(card)
        else seconds
        * HEARD_TOKENS_A_SECOND
        * (_surcharge(card, snapshot) + int(card.prices_of(snapshot).standard.input))
    )


def spoken(call: Call, characters: int, text_tokens: int, seconds: float) -> None:
    """Bring the call's usage up to date with what was spoken so far."""
    usage = call.usage
    usage.units = characters
    price = call.card.prices.million_characters
    if price is not None:
        usage.fee_nanos = characters * int(price) // 1_000_000
        return
    usage.input_tokens = text_tokens
    usage.output_tokens = ceil(seconds * SPOKEN_TOKENS_A_SECOND)


def tokens_told(usage: Usage, prompt_tokens: int) -> wire.UsageTokens:
    return wire.UsageTokens(
        input_tokens=usage.input_tokens,
        input_token_details=wire.InputTokenDetails(
            text_tokens=prompt_tokens, audio_tokens=usage.input_tokens - prompt_tokens
        ),
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
    )


def told(call: Call, prompt_tokens: int) -> wire.Usage:
    """Usage as the model's card bills it."""
    if by_time(call.card):
        return wire.UsageDuration(seconds=call.usage.units)
    return tokens_told(call.usage, prompt_tokens)


def _time_fee(card: Card, seconds: int) -> int:
    return seconds * int(card.prices.audio_minute or 0) // 60


def _surcharge(card: Card, snapshot: Snapshot) -> int:
    """What a token of sound costs more than one of text."""
    prices = card.prices_of(snapshot).standard
    return int(prices.audio_input or prices.input) - int(prices.input)
