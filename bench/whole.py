"""Many questions about one text: read whole by the model, cut to its window, and read in passages.

    python -m bench.whole --url http://127.0.0.1:8080/v1 --key sk-... --native gpt-4.1-mini --read gpt-4.1

``--native`` names a model that is bound with its whole window and ``--window-strategy native``, ``--read`` one of the
same weights that reads. All questions of a length share their text: an engine with a prefix cache reads it once.
``all`` is the model that reads the text whole, where it fits; ``last`` is the model that reads the last tokens of it,
as many as its window holds, which is the same up to there. Where what is left does not hold the answer, the model is
not asked: it cannot know it. Each answer is kept as soon as it is there, and not asked for again.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import NamedTuple

from openai import OpenAI

from bench.grid import CHARACTERS_PER_TOKEN, KEPT, LENGTHS, WINDOW, cells, keep
from bench.haystack import CITIES, haystack, hide
from bench.needles import ORDINALS

FACTS = (
    ("The lighthouse of Skagen has {} steps.", "How many steps has the lighthouse of Skagen?"),
    ("Dr. Ferreira's telephone extension is {}.", "What is Dr. Ferreira's telephone extension?"),
    ("The freight train to Odessa pulls {} wagons of barley.", "How many wagons pulls the freight train to Odessa?"),
    ("Invoice of the Kestrel bakery: {} euros.", "How many euros is the invoice of the Kestrel bakery?"),
    ("The glacier museum sold {} tickets.", "How many tickets did the glacier museum sell?"),
    ("The password of the turbine hall is {}.", "What is the password of the turbine hall?"),
    ("The bronze bell of Saint Agatha weighs {} kilograms.", "How many kilograms weighs the bell of Saint Agatha?"),
    ("The parcel for Captain Ibarra has the number {}.", "Which number has the parcel for Captain Ibarra?"),
    ("The violin was insured for {} dollars.", "For how many dollars was the violin insured?"),
    ("The submarine cable ends at buoy {}.", "At which buoy does the submarine cable end?"),
)
"""Sentences that have nothing in common, and what each answers."""
SPARE = 1_024
"""Tokens of the window that are left for the question and the answer."""


class Question(NamedTuple):
    kind: str
    depth: float
    asked: str
    wanted: str


def questions(rng: random.Random) -> tuple[dict[str, float], list[Question]]:
    """What is hidden, by depth, and what is asked: ten single facts, eight notes that only their order tells apart,
    and ten of 35 sentences that differ in one word."""
    hidden: dict[str, float] = {}
    asked: list[Question] = []
    for number, (sentence, question) in enumerate(FACTS):
        depth, code = (number + 0.5) / len(FACTS), str(rng.randint(100_000, 999_999))
        hidden[sentence.format(code)] = depth
        asked.append(Question("one", depth, question, code))
    for number, ordinal in enumerate(ORDINALS):
        depth, code = (number + 0.5) / len(ORDINALS), str(rng.randint(1_000_000, 9_999_999))
        hidden[f"Note about the amber treaty: it is filed under {code}."] = depth
        question = f"Under which number is the {ordinal} note about the amber treaty filed?"
        asked.append(Question("ith", depth, question, code))
    cities = rng.sample(CITIES, len(CITIES))
    for number, city in enumerate(cities):
        depth, code = (number + 0.5) / len(cities), str(rng.randint(1_000_000, 9_999_999))
        hidden[f"The access code for the archive of {city} is {code}."] = depth
        if number % 7 in (1, 4):
            asked.append(Question("similar", depth, f"What is the access code for the archive of {city}?", code))
    return hidden, asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--native", help="a model that reads its whole window; without it only passages are measured")
    parser.add_argument("--read", help="a model that reads passages")
    parser.add_argument("--lengths", type=int, nargs="*", default=LENGTHS)
    parser.add_argument("--kinds", nargs="*", default=["one", "ith", "similar"])
    parser.add_argument("--seconds", type=float, default=3_600, help="after which no further question is asked")
    parser.add_argument("--kept", type=Path, default=KEPT)
    parser.add_argument("--name", default="qwen2.5-coder-0.5b", help="of the weights, in the cells")
    args = parser.parse_args()
    client = OpenAI(base_url=args.url, api_key=args.key, max_retries=0, timeout=3_000)
    until = time.monotonic() + args.seconds
    known = cells(args.kept)
    for length in args.lengths:
        hidden, asked = questions(random.Random(length))
        text = hide(haystack(int(length * CHARACTERS_PER_TOKEN) - sum(map(len, hidden))), hidden)
        cut = text[-int((min(length, WINDOW) - SPARE) * CHARACTERS_PER_TOKEN) :]
        ways = [("read", args.read, text)] if args.read else []
        if args.native:
            ways.append(("last", args.native, cut) if length > WINDOW else ("all", args.native, cut))
        for way, model, given in ways:
            for kind, depth, question, wanted in asked:
                name = f"{args.name}/{way}/{kind}/{length}/{depth:.2f}"
                if name in known or kind not in args.kinds:
                    continue
                if time.monotonic() > until:
                    return
                if wanted not in given:
                    known[name] = 0.0
                    continue
                started = time.perf_counter()
                answer = client.chat.completions.create(
                    model=model,
                    messages=[{"role": "user", "content": f"{given}\n\nQuestion: {question} Answer in one sentence."}],
                    max_completion_tokens=40,
                    temperature=0,
                )
                said = answer.choices[0].message.content or ""
                known[name] = float(wanted in said.replace(",", ""))
                used = answer.usage.prompt_tokens if answer.usage else 0
                print(f"{name}: {known[name]:.0f}, {used:,} tokens, {time.perf_counter() - started:.1f} s", flush=True)
                if not known[name]:
                    print(f"    {question} {wanted} {said!r}", flush=True)
                keep(known, args.kept)
            keep(known, args.kept)


if __name__ == "__main__":
    main()
