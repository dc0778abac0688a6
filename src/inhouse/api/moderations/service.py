"""Moderations: what is asked, who judges, what is answered."""

from __future__ import annotations

import msgspec

from inhouse.api.moderations import wire
from inhouse.api.operation import Request
from inhouse.calls import Calls
from inhouse.catalog.cards import Card
from inhouse.engines.moderation.verdicts import Image, Input, Verdict
from inhouse.generation.moderation.judging import judge
from inhouse.generation.moderation.pictures import Pictures
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.ids import new_id
from inhouse.limits import Demand, estimate
from inhouse.metering.pricing import Bound


class ModerationsService:
    def __init__(self, calls: Calls, pictures: Pictures) -> None:
        self._calls = calls
        self._pictures = pictures

    async def moderate(
        self, request: Request, body: wire.CreateModerationRequest
    ) -> wire.Moderation | wire.TextModeration:
        """A verdict on each input.

        Raises:
            APIError: what the client is to be told.
        """
        inputs = read(body)
        characters = sum(len(text) for each in inputs for text in each.texts)
        async with self._calls.open(
            request.caller,
            request.operation.id,
            body.model,
            request_id=request.request_id,
            endpoint="moderation",
            demand=Demand(
                input_tokens=estimate(characters, images_low=sum(len(each.images) for each in inputs)), max_tokens=0
            ),
            respond=request.respond,
            streams=False,
            most=Bound(input_tokens=request.body_bytes, output_tokens=0),
        ) as call:
            _refuse_what_is_too_much(call.card, inputs)
            verdicts = await judge(call, inputs, body.input, self._pictures)
            return _written(call.card, body.model, verdicts)


def read(body: wire.CreateModerationRequest) -> list[Input]:
    """What is judged: each text of a list by itself, parts together."""
    given = body.input
    if isinstance(given, str):
        return [Input((given,))]
    texts = tuple(part for part in given if isinstance(part, str))
    if texts:
        return [Input((text,)) for text in texts]
    return [
        Input(
            tuple(part.text for part in given if isinstance(part, wire.TextPart)),
            tuple(
                Image(part.image_url.url, f"input[{place}].image_url.url")
                for place, part in enumerate(given)
                if isinstance(part, wire.ImagePart)
            ),
        )
    ]


def _refuse_what_is_too_much(card: Card, inputs: list[Input]) -> None:
    for place, each in enumerate(inputs):
        if each.images and not card.modalities.image.input:
            raise InvalidRequest(
                f"Image inputs are not supported by the model `{card.id}`.", param=each.images[0].param
            )
        tokens = estimate(sum(map(len, each.texts)))
        if tokens > card.context_window:
            raise InvalidRequest(
                f"This model's maximum context length is {card.context_window} tokens. However, your input is about "
                f"{tokens} tokens long. Please reduce the length of the input.",
                param="input" if len(inputs) == 1 else f"input[{place}]",
                code="context_length_exceeded",
            )


def _written(card: Card, asked: str, verdicts: list[Verdict]) -> wire.Moderation | wire.TextModeration:
    """On the wire. The omni model is told as it was asked for, a text model by its version, as the vendor does."""
    id = new_id("modr-")
    if card.modalities.image.input:
        return wire.Moderation(id=id, model=asked, results=[_result(each) for each in verdicts])
    return wire.TextModeration(id=id, model=card.default.id, results=[_text_result(each) for each in verdicts])


def _result(verdict: Verdict) -> wire.ModerationResult:
    return wire.ModerationResult(
        flagged=any(verdict.flags.values()),
        categories=msgspec.convert(verdict.flags, wire.Categories),
        category_scores=msgspec.convert(verdict.scores, wire.CategoryScores),
        category_applied_input_types=msgspec.convert(verdict.applied, wire.CategoryAppliedInputTypes),
    )


def _text_result(verdict: Verdict) -> wire.TextModerationResult:
    """Of what the text models do not know, nothing is told, nor does it flag."""
    return wire.TextModerationResult(
        flagged=any(flag for name, flag in verdict.flags.items() if not name.startswith("illicit")),
        categories=msgspec.convert(verdict.flags, wire.TextCategories),
        category_scores=msgspec.convert(verdict.scores, wire.TextCategoryScores),
    )
