"""What is hidden in a long text, what is asked about it, and what must be found to answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from bench.haystack import CITIES, WORDS

NAMES = ("Mirela", "Tobias", "Yasmin", "Edgar", "Leonie", "Pavel", "Nadia", "Ruben")
SURNAMES = ("Okonkwo", "Lindqvist", "Marchetti", "Haraldsen", "Vukovic", "Moreau", "Tanaka", "Petrov")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
PARAPHRASED = (
    ("The clinic's head doctor is Ines Valdera.", "Who is the chief physician of the hospital?", "Valdera"),
    ("Our automobile was repaired at Kessler's garage for 840 euros.", "How much did it cost to fix the car?", "840"),
    ("The infant slept in a cradle made of cherry wood.", "What was the baby's bed built from?", "cherry"),
    ("Rowan purchased the cottage in the spring of 1962.", "In which year did Rowan buy the house?", "1962"),
    ("The ferry departs from the northern quay at dawn.", "When does the boat leave the dock?", "dawn"),
    ("Lightning started the blaze that consumed the depot.", "What caused the fire in the building?", "Lightning"),
    ("The orchestra's conductor earns 92,000 crowns.", "What is the salary of the musical director?", "92,000"),
    ("Bandits stole the painting on Sunday night.", "On which day did thieves take the artwork?", "Sunday"),
    ("The pupils' favourite lesson is astronomy.", "Which subject do the students like best?", "astronomy"),
    ("The premier stepped down after the dam broke.", "Why did the prime minister resign?", "dam"),
    ("Hikers must carry 4 litres across the gorge.", "What do walkers need to bring through the canyon?", "4 litres"),
    ("The bakery's dough rests for eleven hours.", "How long does the bread mixture stand?", "eleven"),
    ("Grandmother's wedding ring lies in the attic.", "Where is the jewellery of grandma's marriage?", "attic"),
    ("The pilot landed the aircraft on a frozen lake.", "Where did the plane touch down?", "lake"),
    ("The court sentenced the smuggler to nine years in prison.", "How long must the criminal stay in jail?", "nine"),
    ("The vet prescribed the dog tablets against fleas.", "What medicine did the puppy get?", "tablets"),
    ("Villagers harvest olives in late November.", "When do farmers pick the fruit from the trees?", "November"),
    ("The firm's profits fell because copper became dear.", "What reduced the company's earnings?", "copper"),
    ("The lecture on volcanoes was given by Imre Halasz.", "Which teacher spoke about eruptions?", "Halasz"),
    ("The soup tasted of saffron and peel.", "What flavour did the broth have?", "saffron"),
)
"""Sentences, and questions that share no word with them but such as say nothing."""


class Asked(NamedTuple):
    hidden: dict[str, float]
    """Sentences with their depths."""
    question: str
    wanted: list[str]
    """What must be found; the last of it is the answer where there is one."""


Kind = Callable[[random.Random, float], Asked]


def _code(rng: random.Random) -> str:
    return str(rng.randint(1_000_000, 9_999_999))


def _needle(city: str, code: str) -> str:
    return f"The access code for the archive of {city} is {code}."


def one(rng: random.Random, depth: float) -> Asked:
    city, code = rng.choice(CITIES), _code(rng)
    return Asked({_needle(city, code): depth}, f"What is the access code for the archive of {city}?", [code])


def several(count: int) -> Kind:
    def make(rng: random.Random, depth: float) -> Asked:
        cities = rng.sample(CITIES, count)
        codes = [_code(rng) for _ in cities]
        depths = [(depth + at / count) % 1 for at in range(count)]
        hidden = {_needle(city, code): at for city, code, at in zip(cities, codes, depths, strict=True)}
        named = f"{', '.join(cities[:-1])} and {cities[-1]}"
        return Asked(hidden, f"What are the access codes for the archives of {named}?", codes)

    return make


def similar(rng: random.Random, depth: float) -> Asked:
    """One of 35 sentences that differ in one word."""
    city, code = rng.choice(CITIES), _code(rng)
    hidden = {_needle(other, _code(rng)): rng.random() for other in CITIES if other != city}
    question = f"What is the access code for the archive of {city}?"
    return Asked(hidden | {_needle(city, code): depth}, question, [code])


def ith(rng: random.Random, depth: float) -> Asked:
    """One of eight notes that only their order tells apart, as in OpenAI-MRCR."""
    subject = rng.choice(WORDS)
    codes = [_code(rng) for _ in ORDINALS]
    at = min(len(codes) - 1, int(depth * len(codes)))
    hidden = {
        f"Note about the {subject} treaty: it is filed under {code}.": (n + 0.5) / 8 for n, code in enumerate(codes)
    }
    return Asked(
        hidden, f"Under which number is the {ORDINALS[at]} note about the {subject} treaty filed?", [codes[at]]
    )


def walk(rng: random.Random, depth: float) -> Asked:
    """Three steps through a graph of 150 edges, as in Graphwalks."""
    nodes = [f"{rng.getrandbits(40):010x}" for _ in range(150)]
    hidden = {
        f"Node {node} leads to node {nodes[(at + 1) % len(nodes)]}.": rng.random() for at, node in enumerate(nodes)
    }
    start = rng.randrange(len(nodes))
    hidden[f"Node {nodes[start]} leads to node {nodes[(start + 1) % len(nodes)]}."] = depth
    path = [nodes[(start + step) % len(nodes)] for step in range(4)]
    question = f"Where does one arrive from node {path[0]} after three steps, each to the node that it leads to?"
    return Asked(hidden, question, [f"{one} leads to node {two}" for one, two in pairwise(path)])


def two(rng: random.Random, depth: float) -> Asked:
    """An answer that needs two sentences, of which the question names only the first."""
    city, code = rng.choice(CITIES), _code(rng)
    keeper = f"{rng.choice(NAMES)} {rng.choice(SURNAMES)}"
    hidden = {
        f"The archive of {city} is kept by {keeper}.": depth,
        f"{keeper} can be called at extension {code}.": 1 - depth,
    }
    return Asked(hidden, f"At which extension can the keeper of the archive of {city} be called?", [keeper, code])


def chain(rng: random.Random, depth: float) -> Asked:
    """Likewise, but only words that stand everywhere lead from one to the other."""
    city, code = rng.choice(CITIES), _code(rng)
    keeper = "the {} of the {} {}".format(*rng.sample(WORDS, 3))
    hidden = {
        f"The archive of {city} is kept by {keeper}.": depth,
        f"Dial {code} for {keeper}.": 1 - depth,
    }
    return Asked(hidden, f"At which extension can the keeper of the archive of {city} be called?", [keeper, code])


def paraphrase(rng: random.Random, depth: float) -> Asked:
    """A question in other words than its answer."""
    sentence, question, wanted = PARAPHRASED[int(depth * len(PARAPHRASED)) % len(PARAPHRASED)]
    return Asked({sentence: depth}, question, [sentence, wanted])


KINDS: dict[str, Kind] = {
    "one": one,
    "needles-2": several(2),
    "needles-4": several(4),
    "needles-8": several(8),
    "similar": similar,
    "ith": ith,
    "walk": walk,
    "two": two,
    "chain": chain,
    "paraphrase": paraphrase,
}
