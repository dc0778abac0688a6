"""Log probabilities of a prompt's own tokens.

llama.cpp tells log probabilities only of tokens that it generates, as they were before any sampler or bias. So each
token of the prompt is generated in turn, forced by a bias; what is before it stays in the cache, so one costs one
decoding step.
"""

from __future__ import annotations

from typing import Any

import msgspec

from inhouse.engines.llama.client import Client, Probability, Tokens
from inhouse.engines.protocol import EngineFailed, TokenLogprob
from inhouse.engines.supervisor import Endpoint

LONGEST = 4096
"""Tokens. At 50 decoding steps a second that is 80 s."""
CERTAIN = 1e9
WIDE = (1_000, 1 << 22)
"""How many alternatives to ask for until the token is among them: some, then the whole vocabulary."""


class Scored(msgspec.Struct):
    completion_probabilities: list[Probability] = []


async def score(
    client: Client, endpoint: Endpoint, tokens: list[int], top: int, where: dict[str, Any]
) -> list[TokenLogprob | None]:
    """One entry a token; the first, which nothing precedes, is None. Needs ``len(tokens)`` of the cache.

    Args:
        where: the slot, as ``Place.body`` has it. What a step left in it serves the next one.
    """
    scores: list[TokenLogprob | None] = [None]
    for at in range(1, len(tokens)):
        found = await _generate(client, endpoint, where, tokens[:at], tokens[at], max(1, top))
        if found is None or found.id != tokens[at]:
            found = await _search(client, endpoint, where, tokens[:at], tokens[at], top)
        scores.append(found.as_logprob(top))
    return scores


async def _generate(
    client: Client, endpoint: Endpoint, where: dict[str, Any], prefix: list[int], token: int, top: int
) -> Probability | None:
    body: dict[str, Any] = {
        "prompt": prefix,
        "n_predict": 1,
        "n_probs": top,
        "logit_bias": [[token, CERTAIN]],
        "temperature": 0,
        **where,
    }
    answer = await client.call(endpoint, "/completion", body, Scored)
    return answer.completion_probabilities[0] if answer.completion_probabilities else None


async def _search(
    client: Client, endpoint: Endpoint, where: dict[str, Any], prefix: list[int], token: int, top: int
) -> Probability:
    """For a token that only begins or continues a character.

    llama.cpp tells nothing of such a one when it is generated, but lists it among the alternatives of another.
    """
    other = (await client.call(endpoint, "/tokenize", {"content": "a"}, Tokens)).tokens[-1]
    for width in WIDE:
        found = await _generate(client, endpoint, where, prefix, other, width)
        for one in found.top_logprobs if found else []:
            if one.id == token:
                assert found is not None
                return msgspec.structs.replace(one, top_logprobs=found.top_logprobs[:top])
    raise EngineFailed(f"the engine tells no probability of token {token}")
