"""Numbers in English words."""

from __future__ import annotations

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
MOST_DIGITS = 18


def cardinal(digits: str) -> str:
    """ "1204" as one thousand two hundred four. More than 18 digits are read one by one."""
    if len(digits) > MOST_DIGITS:
        return spelled(digits)
    value = int(digits)
    if value == 0:
        return _ONES[0]
    words: list[str] = []
    for scale in range(len(_SCALES) - 1, -1, -1):
        group = value // 1000**scale % 1000
        if group:
            words += [*_hundreds(group), _SCALES[scale]]
    return " ".join(word for word in words if word)


def ordinal(digits: str) -> str:
    """ "21" as twenty first."""
    *before, last = cardinal(digits).split()
    last = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return " ".join([*before, last])


def spelled(digits: str) -> str:
    """Digit by digit."""
    return " ".join(_ONES[int(digit)] for digit in digits)


def year(digits: str) -> str:
    """Four digits as years are read: nineteen eighty four, two thousand five, nineteen oh one."""
    century, rest = int(digits[:2]), int(digits[2:])
    if century % 10 == 0 and rest < 10:
        return cardinal(digits)
    if rest == 0:
        return f"{cardinal(digits[:2])} hundred"
    return f"{cardinal(digits[:2])} {'oh ' if rest < 10 else ''}{cardinal(digits[2:])}"


def decimal(text: str) -> str:
    """ "3.14" as three point one four; thousands may be set apart by commas."""
    whole, _, fraction = text.replace(",", "").partition(".")
    words = cardinal(whole or "0")
    return f"{words} point {spelled(fraction)}" if fraction else words


def _hundreds(value: int) -> list[str]:
    words = [_ONES[value // 100], "hundred"] if value >= 100 else []
    value %= 100
    if value >= 20:
        words.append(_TENS[value // 10 - 2])
        value %= 10
    if value:
        words.append(_ONES[value])
    return words
