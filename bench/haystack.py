"""Long texts made from a seed: documentation, code, records, logs and talk, with sentences hidden in them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

_WORDS = (
    "system value time request user data file service result method server client state number list name order part "
    "place water river city house market school garden morning evening winter summer letter paper story teacher "
    "window table music picture journey mountain forest street bridge harbour engine signal measure pressure report "
    "account record message answer question problem change reason point line level field group model test case "
    "version release branch review process thread memory buffer queue worker schedule policy limit budget invoice "
    "payment customer contract partner project meeting decision plan target team office holiday weather storm cloud"
)
_VERBS = "is gives takes keeps moves reads writes opens closes checks finds needs holds returns starts stops joins"
_SMALL = "the a this that every some its their another no"
_CITIES = (
    "Aalen Bergen Cuenca Dijon Esbjerg Fatima Gijon Haarlem Izmir Jena Kaunas Lund Malaga Narvik Odense Padua Quimper "
    "Ravenna Split Tartu Ulm Vaduz Worms Xanten Ypres Zwolle Arles Bilbao Cork Delft Elche Faro Ghent Husum Imola"
)
WORDS = _WORDS.split()
VERBS = _VERBS.split()
SMALL = _SMALL.split()
CITIES = _CITIES.split()


def sentence(rng: random.Random) -> str:
    words = []
    for _ in range(rng.randint(2, 4)):
        words += [rng.choice(SMALL), rng.choice(WORDS), rng.choice(VERBS), rng.choice(SMALL), rng.choice(WORDS)]
        words.append(rng.choice(["and", "when", "so", "but", "while"]))
    return " ".join(words[:-1]).capitalize() + "."


def paragraph(rng: random.Random) -> str:
    return " ".join(sentence(rng) for _ in range(rng.randint(2, 6)))


def _documentation(rng: random.Random) -> str:
    title = f"{rng.choice(WORDS)} {rng.choice(WORDS)}".title()
    return f"## {title}\n\n" + "\n\n".join(paragraph(rng) for _ in range(rng.randint(1, 4)))


def _code(rng: random.Random) -> str:
    name = f"{rng.choice(WORDS)}_{rng.choice(WORDS)}"
    body = "\n".join(
        f"    {rng.choice(WORDS)}_{i} = {rng.choice(WORDS)}({rng.randint(0, 9999)}, {rng.choice(WORDS)!r})"
        for i in range(rng.randint(2, 9))
    )
    return (
        f"```python\ndef {name}({rng.choice(WORDS)}, {rng.choice(WORDS)}):\n{body}\n    return {rng.choice(WORDS)}\n```"
    )


def _records(rng: random.Random) -> str:
    return "\n".join(
        json.dumps({"id": rng.getrandbits(40), "name": rng.choice(WORDS), "note": sentence(rng), "at": rng.random()})
        for _ in range(rng.randint(2, 6))
    )


def _log(rng: random.Random) -> str:
    return "\n".join(
        f"2025-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randint(0, 23):02}:{rng.randint(0, 59):02} "
        f"{rng.choice(['INFO', 'WARN', 'DEBUG'])} {rng.choice(WORDS)}.{rng.choice(WORDS)} {sentence(rng)}"
        for _ in range(rng.randint(3, 8))
    )


def _talk(rng: random.Random) -> str:
    return "\n".join(f"{rng.choice(['Ana', 'Bo', 'Cem', 'Dee'])}: {sentence(rng)}" for _ in range(rng.randint(3, 8)))


KINDS: tuple[Callable[[random.Random], str], ...] = (_documentation, _documentation, _code, _records, _log, _talk)


def haystack(characters: int, seed: int = 1) -> list[str]:
    """Blocks of together so many characters."""
    rng = random.Random(seed)
    blocks: list[str] = []
    while characters > 0:
        block = rng.choice(KINDS)(rng)
        blocks.append(block)
        characters -= len(block) + 2
    return blocks


def hide(blocks: list[str], needles: dict[str, float]) -> str:
    """The blocks as a text, with sentences at depths from 0 to 1, each at the end of a block."""
    out = blocks[:]
    for needle, depth in needles.items():
        at = min(len(blocks) - 1, int(depth * len(blocks)))
        out[at] = f"{out[at]}\n{needle}" if out[at].endswith("```") else f"{out[at]} {needle}"
    return "\n\n".join(out)
