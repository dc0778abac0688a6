"""English text as it is spoken: numbers, money, times, abbreviations and symbols become words."""

from __future__ import annotations

import re
import unicodedata

from inhouse.engines.speech.numbers import cardinal, decimal, ordinal, spelled, year

_ABBREVIATIONS = {
    "mr": "Mister",
    "mrs": "Missus",
    "ms": "Miz",
    "dr": "Doctor",
    "prof": "Professor",
    "st": "Saint",
    "jr": "Junior",
    "sr": "Senior",
    "vs": "versus",
    "etc": "et cetera",
    "approx": "approximately",
    "dept": "department",
    "est": "established",
    "no": "number",
    "vol": "volume",
    "fig": "figure",
    "inc": "incorporated",
    "ltd": "limited",
    "co": "company",
    "corp": "corporation",
}
_BEFORE_NUMBERS_ONLY = {"no", "fig", "vol", "est"}
_CURRENCIES = {
    "$": ("dollar", "cent"),
    "€": ("euro", "cent"),
    "£": ("pound", "penny"),
    "¥": ("yen", ""),
    "₹": ("rupee", "paisa"),
}
_UNITS = {
    "km": "kilometer",
    "cm": "centimeter",
    "mm": "millimeter",
    "kg": "kilogram",
    "mg": "milligram",
    "ml": "milliliter",
    "gb": "gigabyte",
    "mb": "megabyte",
    "kb": "kilobyte",
    "tb": "terabyte",
    "hz": "hertz",
    "khz": "kilohertz",
    "mhz": "megahertz",
    "ghz": "gigahertz",
    "ms": "millisecond",
    "min": "minute",
    "hrs": "hour",
    "lbs": "pound",
    "ft": "foot",
    "mph": "mile per hour",
    "km/h": "kilometer per hour",
}
_PLURALS = {"foot": "feet", "hertz": "hertz", "kilohertz": "kilohertz", "megahertz": "megahertz"}
_PLURALS |= {"gigahertz": "gigahertz", "mile per hour": "miles per hour", "penny": "pence", "yen": "yen"}
_PLURALS |= {"kilometer per hour": "kilometers per hour", "paisa": "paise"}
_SYMBOLS = {"&": " and ", "%": " percent", "+": " plus ", "=": " equals ", "@": " at ", "°": " degrees"}
_SYMBOLS |= {"#": " number ", "*": " ", "_": " ", "~": " ", "^": " ", "|": " ", "<": " ", ">": " ", "`": " "}
_SYMBOLS |= {"×": " times ", "÷": " divided by ", "/": " slash ", "\\": " backslash "}
_DOMAIN = re.compile(r"\b(?:https?://)?(?:www\.)?[\w.+-]*@?[\w-]+(?:\.[a-z]{2,6})+(?:/[\w./-]*)?", re.IGNORECASE)
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"', "–": "—", "‑": "-", "\u00a0": " "})


def normalize(text: str) -> str:
    """The words that a reader would say, with the punctuation that shapes how. Letters lose accents English lacks."""
    text = unicodedata.normalize("NFC", text).translate(_QUOTES)
    text = re.sub(r"```.*?```", " ", text, flags=re.DOTALL)
    text = re.sub(r"\b(e\.g\.|i\.e\.)", lambda m: "for example" if m[0][0] == "e" else "that is", text)
    text = _DOMAIN.sub(_address, text)
    text = re.sub(r"\b([A-Za-z]+)\.(?=\s|$|,)", _abbreviation, text)
    text = re.sub(rf"([$€£¥₹])\s?({_NUMBER})(?:\s?(million|billion|trillion|thousand|[kKmMbB])\b)?", _money, text)
    text = re.sub(r"\b(\d{1,2}):(\d{2})(?::\d{2})?\s*([ap])\.?m\b\.?", _time, text, flags=re.IGNORECASE)
    text = re.sub(r"\b(\d{1,2}):(\d{2})\b", _time, text)
    text = re.sub(r"\b(\d+)(st|nd|rd|th)\b", lambda m: ordinal(m[1]), text)
    text = re.sub(r"\b(1[1-9]|20)(\d)0s\b", lambda m: _decade(m[1] + m[2] + "0"), text)
    units = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
    text = re.sub(rf"\b({_NUMBER})\s?({units})\b", _measure, text, flags=re.IGNORECASE)
    text = re.sub(r"\b\d{3}-\d{3}-\d{4}\b|\b\d{3}-\d{4}\b", lambda m: ", ".join(map(spelled, m[0].split("-"))), text)
    text = re.sub(r"(?<![\d.,])0\d+\b", lambda m: spelled(m[0]), text)
    text = re.sub(r"\b(\d+)-(\d+)\b", r"\1 to \2", text)
    text = re.sub(r"(?<![\d.,])(?:1[1-9]|20)\d\d(?![\d,.]\d|\d)", lambda m: year(m[0]), text)
    text = re.sub(rf"(?<!\w)-(?=({_NUMBER}))", "minus ", text)
    text = re.sub(_NUMBER, lambda m: f" {decimal(m[0])} ", text)
    for symbol, words in _SYMBOLS.items():
        text = text.replace(symbol, words)
    text = "".join(each for each in unicodedata.normalize("NFD", text) if not unicodedata.combining(each))
    return re.sub(r"[ \t\r\f\v]+", " ", text).strip()


def _abbreviation(match: re.Match[str]) -> str:
    word = match[1].lower()
    after = match.string[match.end() :].lstrip()
    if word not in _ABBREVIATIONS or (word in _BEFORE_NUMBERS_ONLY and not after[:1].isdigit()):
        return match[0]
    if word == "st" and not after[:1].isupper():
        return "Street"
    ends = "." if not after and word in ("etc", "inc", "ltd", "co", "corp", "jr", "sr") else ""
    return _ABBREVIATIONS[word] + ends


def _address(match: re.Match[str]) -> str:
    """Web and mail addresses with their marks in words. What has no letters before its last dot is no address."""
    text = re.sub(r"^(https?://)?(www\.)?", "", match[0], flags=re.IGNORECASE)
    if text.count(".") and re.fullmatch(r"(?:[A-Za-z]\.)+[A-Za-z]+", text) and "@" not in text and len(text) < 8:
        return match[0]  # "U.S.A", not a host
    ends = "." if text.endswith(".") else ""
    for mark, words in ((".", " dot "), ("@", " at "), ("/", " slash "), ("-", " dash ")):
        text = text.rstrip("./").replace(mark, words)
    return text + ends


def _money(match: re.Match[str]) -> str:
    unit, part = _CURRENCIES[match[1]]
    amount, scale = match[2], match[3]
    if scale:
        words = {"k": "thousand", "m": "million", "b": "billion"}.get(scale.lower(), scale)
        return f"{decimal(amount)} {words} {_plural(unit)}"
    whole, _, fraction = amount.replace(",", "").partition(".")
    said = f"{cardinal(whole)} {unit if int(whole) == 1 else _plural(unit)}"
    if len(fraction) == 2 and int(fraction) and part:
        said += f" and {cardinal(fraction)} {part if int(fraction) == 1 else _plural(part)}"
    elif fraction and int(fraction):
        said = f"{decimal(amount)} {_plural(unit)}"
    return said


def _time(match: re.Match[str]) -> str:
    hour, minute = match[1], match[2]
    half = match[3] if match.re.groups > 2 else None
    if int(hour) > 24 or int(minute) > 59:
        return match[0].replace(":", " to ")
    minutes = "" if minute == "00" else f" {'oh ' if minute[0] == '0' else ''}{cardinal(minute)}"
    if half:
        return f"{cardinal(hour)}{minutes} {half.upper()} M"
    return f"{cardinal(hour)}{minutes or ' o clock'}"


def _decade(digits: str) -> str:
    words = year(digits)
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def _measure(match: re.Match[str]) -> str:
    unit = _UNITS[match[2].lower()]
    return f"{decimal(match[1])} {unit if match[1] == '1' else _plural(unit)}"


def _plural(unit: str) -> str:
    return _PLURALS.get(unit, unit + "s")
