"""A client's JSON Schema as the engines can follow it.

For a strict schema the result allows a subset of its values, so whatever is generated is valid. For others it is the
best that can be enforced; what cannot is left out and named.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Any, Final

_SPACING: Final = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""No free blanks: a small model would fill its whole budget with them. The spacing is what models saw in training."""

_DAY: Final = (
    r"(?:(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-"
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29)"
)
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_N: Final = r"[0-9]{1,6}"
_SPAN: Final = rf"T(?:{_N}H(?:{_N}M(?:{_N}S)?)?|{_N}M(?:{_N}S)?|{_N}S)"
_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,29}[a-zA-Z0-9])?"
_ATOM: Final = r"[a-zA-Z0-9_+-]{1,30}"

FORMATS: Final = {
    "date": f"^{_DAY}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DAY}T{_TIME}$",
    "duration": rf"^P(?:{_N}W|(?:{_N}D|{_N}M(?:{_N}D)?|{_N}Y(?:{_N}M(?:{_N}D)?)?)(?:{_SPAN})?|{_SPAN})$",
    "email": rf"^{_ATOM}(?:\.{_ATOM}){{0,1}}@{_LABEL}(?:\.{_LABEL}){{1,3}}$",
    "hostname": rf"^{_LABEL}(?:\.{_LABEL}){{0,6}}$",
}
"""Formats that would otherwise allow the 29th of any February or parts without end (RFC 3339, 1123, 5321)."""

_MAX_INTEGER: Final = 2**53 - 1
"""Integers that every JSON parser reads exactly (RFC 8259, section 6)."""
_MAX_NUMBER: Final = 10**15
_FINEST: Final = 1e-9
_MANY: Final = 250
MOST_ITEMS: Final = 10_000
"""Of all arrays of a schema together, as ``minItems`` and ``maxItems`` count them. The engines' compiler makes
something of each: ten million took 3 GB, and where memory ends it takes the process with it."""
MOST_ITEMS_ANYWHERE: Final = 4 * MOST_ITEMS
"""What is left after that, wherever it stands; more is not compiled."""
_FEW_ITEMS: Final = 100
"""What an array may have at least where others have used up the bound."""
MOST_OPTIONAL: Final = 500
"""Properties of one object that may be left out. The compiler's work grows with their square, and it gives up soon
after."""
_BOUNDS: Final = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")

_OTHER_FORMATS: Final = frozenset({"ipv4", "ipv6", "uuid", "uri"})
_CANNOT: Final = frozenset(
    {
        *("not", "if", "then", "else", "dependencies", "dependentRequired", "dependentSchemas", "propertyNames"),
        *("contains", "minContains", "maxContains", "uniqueItems", "unevaluatedItems", "unevaluatedProperties"),
        *("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$id", "$anchor", "id"),
        *("minProperties", "maxProperties"),
    }
)
_MAPS: Final = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_VALUES: Final = frozenset({"enum", "const", "default", "examples", "required"})


def with_spacing(schema: dict[str, Any]) -> dict[str, Any]:
    """The root schema with the house's spacing; nothing that a client wrote can change it."""
    return {**schema, "x-guidance": {**_SPACING, "coerce_one_of": True}}


def items_in(value: Any) -> int:
    """How many items a JSON value asks for anywhere: a reference can make a schema of any part of it."""
    if isinstance(value, list):
        return sum(map(items_in, value))
    if not isinstance(value, dict):
        return 0
    counts = (value.get("minItems"), value.get("maxItems"))
    own = max(0, 0, *(int(count) for count in counts if isinstance(count, int | float)))
    return own + sum(map(items_in, value.values()))


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """For a schema that passed ``check_strict``. Everything it allows is valid against ``schema``.

    Raises:
        ValueError: it asks for more items than the bounds above allow.
    """
    rewrite = _Rewrite(strict=True)
    found = with_spacing(rewrite.object(schema))
    if rewrite.dropped or items_in(found) > MOST_ITEMS_ANYWHERE:
        raise ValueError(f"'minItems' asks for more than {MOST_ITEMS} items in all arrays together.")
    return found


def lenient(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """For any other schema: what can be enforced, and the keywords that were left out.

    Objects that name properties and say nothing of others are closed, since a small model fills open ones with noise.
    """
    rewrite = _Rewrite(strict=False)
    return with_spacing(rewrite.object(schema)), sorted(rewrite.dropped)


class _Rewrite:
    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.dropped: set[str] = set()
        self._items_left = MOST_ITEMS

    def any(self, schema: Any) -> Any:
        return self.object(schema) if isinstance(schema, dict) else schema

    def object(self, schema: dict[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in schema.items():
            if key == "x-guidance":
                continue
            if not self.strict and key in _CANNOT:
                self.dropped.add(key)
            elif key in _MAPS and isinstance(value, dict):
                out[key] = {name: self.any(sub) for name, sub in value.items()}
            elif (key in _LISTS or key == "items") and isinstance(value, list):
                out[key] = [self.any(sub) for sub in value]
            elif key in _VALUES:
                out[key] = value
            else:
                out[key] = self.any(value)
        self._format(out)
        self._digits(out)
        self._count(out)
        if not self.strict:
            self._options(out)
            self._close(out)
            self._array_without_items(out)
        return out

    def _format(self, schema: dict[str, Any]) -> None:
        form = schema.get("format")
        if form in FORMATS and "pattern" not in schema and "enum" not in schema and "const" not in schema:
            del schema["format"]
            schema["pattern"] = FORMATS[form]
        elif not self.strict and form is not None and form not in FORMATS and form not in _OTHER_FORMATS:
            del schema["format"]
            self.dropped.add("format")

    def _count(self, schema: dict[str, Any]) -> None:
        """Keeps the numbers of items within ``MOST_ITEMS``: fewer at most, and where so many have to be, any number."""
        least, most = (schema.get(key) for key in ("minItems", "maxItems"))
        wanted = max(0, 0, *(value for value in (least, most) if isinstance(value, int | float)))
        if wanted <= self._items_left:
            self._items_left -= int(wanted)
            return
        if isinstance(least, int | float) and least > self._items_left:
            self.dropped.add("minItems")
            del schema["minItems"]
            least = 0
        if most is not None:
            schema["maxItems"] = max(int(least or 0), self._items_left, _FEW_ITEMS)
            self._items_left = max(0, self._items_left - schema["maxItems"])

    def _options(self, schema: dict[str, Any]) -> None:
        names, required = schema.get("properties"), schema.get("required")
        if isinstance(names, dict) and len(names.keys() - set(_strings(required))) > MOST_OPTIONAL:
            self.dropped.add("properties")
            for key in ("properties", "required", "additionalProperties"):
                schema.pop(key, None)

    def _digits(self, schema: dict[str, Any]) -> None:
        """Ends numbers, as a small model likes to write digits without end, and states bounds inclusively.

        llguidance lets 0 pass under ``exclusiveMinimum: 0, maximum: 0.1``. A number without bounds is left alone: it
        may be meant to have an exponent, which every bound rules out.
        """
        types = schema.get("type")
        types = types if isinstance(types, list) else [types]
        bounds = {key: Decimal(str(schema[key])) for key in _BOUNDS if isinstance(schema.get(key), int | float)}
        if "enum" in schema or "const" in schema or not ("integer" in types or "number" in types):
            return
        whole = "number" not in types
        if not whole and not bounds:
            return
        limit = Decimal(_MAX_INTEGER if whole else _MAX_NUMBER)
        step = Decimal(1) if whole else Decimal(str(schema.get("multipleOf", _FINEST)))
        with localcontext(prec=60):
            low, high = _inclusive(bounds, limit, step)
            if not whole and "multipleOf" not in schema and high - low < step * 1000:
                step = step.scaleb(-12)
                low, high = _inclusive(bounds, limit, step)
            if low > high:
                return
            if "multipleOf" in schema and low < 0 and set(types) <= {"integer", "number", "null"}:
                self._enumerate(schema, low, high, types)
                return
        for key in bounds:
            del schema[key]
        schema["minimum"], schema["maximum"] = (int(low), int(high)) if whole else (float(low), float(high))
        if not whole and low >= 0 and step == Decimal(str(_FINEST)):
            schema["multipleOf"] = _FINEST

    def _enumerate(self, schema: dict[str, Any], low: Decimal, high: Decimal, types: list[Any]) -> None:
        """Multiples as an enum, those nearest to zero, since llguidance knows no negative multiples."""
        factor = Decimal(str(schema["multipleOf"]))
        first = (max(low, min(high, Decimal(0)) - factor * _MANY) / factor).to_integral_value(ROUND_CEILING)
        last = (min(high, max(low, Decimal(0)) + factor * _MANY) / factor).to_integral_value(ROUND_FLOOR)
        multiples = [n * factor for n in range(int(first), int(last) + 1)]
        if "number" not in types:
            multiples = [value for value in multiples if value == value.to_integral_value()]
        values: list[Any] = [int(value) if value == int(value) else float(value) for value in multiples]
        for key in (*_BOUNDS, "multipleOf"):
            schema.pop(key, None)
        schema["enum"] = [*values, None] if "null" in types else values

    def _close(self, schema: dict[str, Any]) -> None:
        composed = any(key in schema for key in ("anyOf", "oneOf", "allOf", "$ref", "patternProperties"))
        if schema.get("properties") and "additionalProperties" not in schema and not composed:
            schema["additionalProperties"] = False

    def _array_without_items(self, schema: dict[str, Any]) -> None:
        if isinstance(schema.get("items"), list):
            schema["prefixItems"] = schema.pop("items")


def _strings(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _inclusive(bounds: dict[str, Decimal], limit: Decimal, step: Decimal) -> tuple[Decimal, Decimal]:
    """The least and the greatest multiple of ``step`` within ``bounds`` and ``limit``."""
    low, high = -limit, limit
    for key, bound in bounds.items():
        steps = bound / step
        if key.endswith("inimum"):
            first = steps.to_integral_value(ROUND_CEILING)
            low = max(low, (first + 1 if key == "exclusiveMinimum" and first == steps else first) * step)
        else:
            last = steps.to_integral_value(ROUND_FLOOR)
            high = min(high, (last - 1 if key == "exclusiveMaximum" and last == steps else last) * step)
    return low, high
