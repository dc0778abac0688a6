"""What the engine is asked: the client's words, and the deployment's defaults where it said nothing."""

from __future__ import annotations

from inhouse.calls import Call
from inhouse.engines.protocol import Completion
from inhouse.generation.constraint import Constraint
from inhouse.generation.items import Sampling
from inhouse.kit.errors import InvalidRequest


def check_biases(sampling: Sampling, vocabulary: int) -> None:
    """Refuse a bias of a token that is none of the deployment's: it could change nothing.

    Args:
        vocabulary: how many tokens there are; 0 if that is not known.

    Raises:
        InvalidRequest
    """
    if vocabulary and (largest := max(sampling.logit_bias, default=0)) >= vocabulary:
        raise InvalidRequest(
            f"Invalid key in 'logit_bias': {largest}. Maximum value is {vocabulary - 1}.", param="logit_bias"
        )


def completion(
    call: Call,
    sampling: Sampling,
    prompt: list[int],
    *,
    max_tokens: int,
    draw: int = 0,
    constraint: Constraint | None = None,
) -> Completion:
    """The engine's request for one sequence.

    Args:
        max_tokens: most tokens of the answer.
        draw: number of this draw from the same prompt; with a seed each draw still differs.
        constraint: what the text must fit.
    """
    decoding = call.decoding
    return Completion(
        prompt=prompt,
        max_tokens=max_tokens,
        temperature=decoding.temperature if sampling.temperature is None else sampling.temperature,
        top_p=decoding.top_p if sampling.top_p is None else sampling.top_p,
        top_k=decoding.top_k,
        min_p=decoding.min_p,
        repeat_penalty=decoding.repeat_penalty,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        seed=None if sampling.seed is None else (sampling.seed + draw) % 2**32,
        stop=list(sampling.stop),
        logit_bias=sampling.logit_bias,
        logprobs=sampling.logprobs,
        grammar=constraint.grammar if constraint else None,
        priority=call.priority,
        tenant=call.project_id,
    )
