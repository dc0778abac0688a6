"""What is found in prompts of up to 1,047,576 tokens, and how long it takes.

    python -m bench.window                               # retrieval alone, no server: recall and the time of each stage
    python -m bench.window --tokens 100000 --needles 20  # smaller
    python -m bench.window --url http://127.0.0.1:8080/v1 --key sk-... --depths 5   # whole answers of a running server

The text is made from a seed: documentation, code, JSON records, logs and talk of some 100 common words, so that every
word of it stands in thousands of places. What is asked for is in ``bench.needles``; how much of it is found at which
length and depth, in ``bench.grid``.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import time

from bench.grid import CHARACTERS_PER_TOKEN
from bench.haystack import haystack, hide
from bench.needles import KINDS
from inhouse.generation.items import Message, Text
from inhouse.generation.reading.plan import plan
from inhouse.generation.reading.search import Found, Job
from inhouse.generation.reading.segments import segments
from inhouse.generation.reading.worker import searched

LEAST_GAPS = 150
"""Of a stream, so that there is a 99th percentile."""


async def retrieval(tokens: int, needles: int, read: int, kinds: list[str]) -> None:
    """Recall of the search alone, and how long it takes."""
    characters = int(read * CHARACTERS_PER_TOKEN)
    blocks = haystack(int(tokens * CHARACTERS_PER_TOKEN))
    print(f"{tokens:,} tokens, {read:,} of them read, {needles} questions of each kind")
    print("| question | found | first search s | with its index s |\n|---|---|---|---|")
    for kind in kinds:
        make = KINDS[kind]
        rng = random.Random(7)
        right, cold, warm = 0, [], []
        for number in range(needles):
            hidden, question, wanted = make(rng, (number + 0.5) / needles)
            # As the platform gets it: the text with the question at its end.
            made = plan((Message("user", (Text(f"{hide(blocks, hidden)}\n\nQuestion: {question}"),)),), 20_000)
            texts = segments(made.sources[0].searched)
            started = time.perf_counter()
            first = await searched(Job(texts, [None] * len(texts), made.question, characters))
            cold.append(time.perf_counter() - started)
            found = first
            if number < 5:
                started = time.perf_counter()
                found = await searched(Job(texts, [*first.indexes], made.question, characters))
                warm.append(time.perf_counter() - started)
            right += all(each in _read(texts, found) for each in wanted)
        print(
            f"| {kind} | {right}/{needles} | {statistics.median(cold):.2f} | {statistics.median(warm):.2f} |",
            flush=True,
        )


def _read(texts: list[str], found: Found) -> str:
    return "\n".join(texts[text][first:last] for text, first, last in found.passages)


async def answers(url: str, key: str, model: str, tokens: int, depths: int, kinds: list[str], again: bool) -> None:
    """Whole answers of a server, streamed, one after the other."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key=key, max_retries=0, timeout=600)
    blocks = haystack(int(tokens * CHARACTERS_PER_TOKEN))
    print("| question | depth | tokens | read | cached | first token s | right |\n|---|---|---|---|---|---|---|")
    for kind, number in itertools.product(kinds, range(depths)):
        depth = (number + 0.5) / depths
        hidden, question, wanted = KINDS[kind](random.Random(number), depth)
        text = hide(blocks, hidden)
        for _ in range(2 if again else 1):
            started = time.perf_counter()
            stream = await client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": f"{text}\n\nQuestion: {question} Answer in one sentence."}],
                stream=True,
                stream_options={"include_usage": True},
                max_completion_tokens=40,
                temperature=0,
                seed=1,
            )
            first, said, usage = 0.0, "", None
            async for chunk in stream:
                if chunk.usage is not None:
                    usage = chunk.usage
                for choice in chunk.choices:
                    if choice.delta.content:
                        first = first or time.perf_counter() - started
                        said += choice.delta.content
            assert usage is not None
            assert usage.prompt_tokens_details is not None
            details = usage.prompt_tokens_details.model_dump()
            read = details.get("read_tokens", usage.prompt_tokens)
            print(
                f"| {kind} | {depth:.0%} | {usage.prompt_tokens:,} | {read:,} "
                f"| {details['cached_tokens']:,} | {first:.1f} | {'yes' if wanted[-1] in said else f'no: {said!r}'} |",
                flush=True,
            )


async def gaps(url: str, key: str, model: str, beside: str, tokens: int) -> None:
    """Gaps between the chunks of a stream, alone and while a long request is taken in."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key=key, max_retries=0, timeout=600)
    text = "\n\n".join(haystack(int(tokens * CHARACTERS_PER_TOKEN)))

    async def stream() -> list[float]:
        found, last = [], 0.0
        chunks = await client.chat.completions.create(
            model=beside,
            messages=[{"role": "user", "content": "Tell a long story of a lighthouse."}],
            stream=True,
            max_completion_tokens=200,
            temperature=0,
        )
        async for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                now = time.perf_counter()
                if last:
                    found.append((now - last) * 1_000)
                last = now
        return found

    async def long() -> None:
        await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": f"{text}\n\nWhich market gives a signal?"}],
            max_completion_tokens=1,
        )

    await stream()  # the first one loads the model
    print("| stream | chunks | median ms | 99 % ms | longest ms |\n|---|---|---|---|---|")
    for name, other in (("alone", None), (f"beside {tokens:,} tokens", long)):
        task = asyncio.create_task(other()) if other else None
        found: list[float] = []
        while len(found) < LEAST_GAPS or (task is not None and not task.done()):
            found += await stream()
        if task is not None:
            await task
        found.sort()
        print(
            f"| {name} | {len(found)} | {statistics.median(found):.0f} | {found[int(len(found) * 0.99)]:.0f} "
            f"| {found[-1]:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1_040_000)
    parser.add_argument("--needles", type=int, default=40, help="questions of each kind, for the search alone")
    parser.add_argument("--read", type=int, default=1_500, help="tokens of passages, for the search alone")
    parser.add_argument("--url", help="of a running server; then whole answers are measured")
    parser.add_argument("--key", default="")
    parser.add_argument("--model", default="gpt-4.1")
    parser.add_argument("--depths", type=int, default=5)
    parser.add_argument("--kinds", nargs="*", default=["one", "similar", "two"], choices=list(KINDS))
    parser.add_argument("--again", action="store_true", help="ask everything twice, to see what is remembered")
    parser.add_argument("--beside", help="a model; measures its stream's gaps while a long request is taken in")
    args = parser.parse_args()
    if args.beside:
        asyncio.run(gaps(args.url, args.key, args.model, args.beside, args.tokens))
    elif args.url:
        asyncio.run(answers(args.url, args.key, args.model, args.tokens, args.depths, args.kinds, args.again))
    else:
        asyncio.run(retrieval(args.tokens, args.needles, args.read, args.kinds))


if __name__ == "__main__":
    main()
