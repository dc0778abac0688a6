"""Shapes of the moderations operation.

The categories have names that are no Python identifiers. ``illicit`` came with the omni models, and so did the input
types: the official document knows only their answer; ``TextModeration`` is what its example shows of a text model.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from inhouse.api.wire import RequestObject, ResponseObject, doc
from inhouse.kit.errors import InvalidRequest

TextOnly = Literal["text"]
TextOrImage = Literal["text", "image"]


class ImageURL(RequestObject, kw_only=True):
    """Where an image is."""

    url: Annotated[str, doc("An `https:` or `http:` URL, or a `data:` URL with base64.")]


class ImagePart(RequestObject, kw_only=True, tag_field="type", tag="image_url"):
    """An image to classify."""

    image_url: Annotated[ImageURL, doc("The image.")]


class TextPart(RequestObject, kw_only=True, tag_field="type", tag="text"):
    """A text to classify."""

    text: Annotated[str, doc("The text.")]


class CreateModerationRequest(RequestObject, kw_only=True):
    """Score texts and images in categories of harm.

    Raises `InvalidRequest` (param `input`) for a list that mixes texts and objects.
    """

    # One list type, since msgspec takes one list in a union: `__post_init__` keeps the kinds apart.
    input: Annotated[
        str | Annotated[list[str | TextPart | ImagePart], Meta(min_length=1, max_length=2048)],
        doc(
            "A text; a list of texts, each with a result of its own; or a list of parts that have one result together."
        ),
    ]
    model: Annotated[str, doc("The moderation model. Defaults to `omni-moderation-latest`.")] = "omni-moderation-latest"

    def __post_init__(self) -> None:
        if isinstance(self.input, list) and len({isinstance(part, str) for part in self.input}) > 1:
            raise InvalidRequest(
                "Invalid type for 'input': expected one of a string, array of strings, or array of objects, but got an "
                "array of mixed types instead.",
                param="input",
                code="invalid_type",
            )


class TextCategories(ResponseObject, kw_only=True):
    """Which of the eleven categories of the text models apply."""

    harassment: Annotated[bool, doc("Abuse of any target.")]
    harassment_threatening: Annotated[bool, doc("Abuse that threatens violence or serious harm.")] = msgspec.field(
        name="harassment/threatening"
    )
    hate: Annotated[
        bool, doc("Hatred of people for what they are: origin, religion, gender, orientation, disability, caste.")
    ]
    hate_threatening: Annotated[bool, doc("Such hatred that threatens violence or serious harm.")] = msgspec.field(
        name="hate/threatening"
    )
    self_harm: Annotated[bool, doc("Promotes or shows self-harm: suicide, cutting, eating disorders.")] = msgspec.field(
        name="self-harm"
    )
    self_harm_intent: Annotated[bool, doc("The speaker says to do, or to intend, self-harm.")] = msgspec.field(
        name="self-harm/intent"
    )
    self_harm_instructions: Annotated[bool, doc("Encourages self-harm or tells how.")] = msgspec.field(
        name="self-harm/instructions"
    )
    sexual: Annotated[bool, doc("Meant to arouse, or offers sexual services.")]
    sexual_minors: Annotated[bool, doc("Sexual content with somebody under 18.")] = msgspec.field(name="sexual/minors")
    violence: Annotated[bool, doc("Shows death, violence or injury.")]
    violence_graphic: Annotated[bool, doc("The same in graphic detail.")] = msgspec.field(name="violence/graphic")


class Categories(TextCategories, kw_only=True):
    """Which categories apply."""

    illicit: Annotated[bool, doc("Advice or instructions for wrongdoing.")]
    illicit_violent: Annotated[bool, doc("The same with violence, or to get a weapon.")] = msgspec.field(
        name="illicit/violent"
    )


class TextCategoryScores(ResponseObject, kw_only=True):
    """How likely each of the eleven categories of the text models applies, from 0 to 1."""

    harassment: Annotated[float, doc("Abuse of any target.")]
    harassment_threatening: Annotated[float, doc("Abuse that threatens violence or serious harm.")] = msgspec.field(
        name="harassment/threatening"
    )
    hate: Annotated[
        float, doc("Hatred of people for what they are: origin, religion, gender, orientation, disability, caste.")
    ]
    hate_threatening: Annotated[float, doc("Such hatred that threatens violence or serious harm.")] = msgspec.field(
        name="hate/threatening"
    )
    self_harm: Annotated[float, doc("Promotes or shows self-harm: suicide, cutting, eating disorders.")] = (
        msgspec.field(name="self-harm")
    )
    self_harm_intent: Annotated[float, doc("The speaker says to do, or to intend, self-harm.")] = msgspec.field(
        name="self-harm/intent"
    )
    self_harm_instructions: Annotated[float, doc("Encourages self-harm or tells how.")] = msgspec.field(
        name="self-harm/instructions"
    )
    sexual: Annotated[float, doc("Meant to arouse, or offers sexual services.")]
    sexual_minors: Annotated[float, doc("Sexual content with somebody under 18.")] = msgspec.field(name="sexual/minors")
    violence: Annotated[float, doc("Shows death, violence or injury.")]
    violence_graphic: Annotated[float, doc("The same in graphic detail.")] = msgspec.field(name="violence/graphic")


class CategoryScores(TextCategoryScores, kw_only=True):
    """How likely each category applies, from 0 to 1."""

    illicit: Annotated[float, doc("Advice or instructions for wrongdoing.")]
    illicit_violent: Annotated[float, doc("The same with violence, or to get a weapon.")] = msgspec.field(
        name="illicit/violent"
    )


class CategoryAppliedInputTypes(ResponseObject, kw_only=True):
    """The kinds of input that each score was made from."""

    harassment: Annotated[list[TextOnly], doc("Abuse of any target.")]
    harassment_threatening: Annotated[list[TextOnly], doc("Abuse that threatens violence or serious harm.")] = (
        msgspec.field(name="harassment/threatening")
    )
    hate: Annotated[
        list[TextOnly],
        doc("Hatred of people for what they are: origin, religion, gender, orientation, disability, caste."),
    ]
    hate_threatening: Annotated[list[TextOnly], doc("Such hatred that threatens violence or serious harm.")] = (
        msgspec.field(name="hate/threatening")
    )
    illicit: Annotated[list[TextOnly], doc("Advice or instructions for wrongdoing.")]
    illicit_violent: Annotated[list[TextOnly], doc("The same with violence, or to get a weapon.")] = msgspec.field(
        name="illicit/violent"
    )
    self_harm: Annotated[list[TextOrImage], doc("Promotes or shows self-harm: suicide, cutting, eating disorders.")] = (
        msgspec.field(name="self-harm")
    )
    self_harm_intent: Annotated[list[TextOrImage], doc("The speaker says to do, or to intend, self-harm.")] = (
        msgspec.field(name="self-harm/intent")
    )
    self_harm_instructions: Annotated[list[TextOrImage], doc("Encourages self-harm or tells how.")] = msgspec.field(
        name="self-harm/instructions"
    )
    sexual: Annotated[list[TextOrImage], doc("Meant to arouse, or offers sexual services.")]
    sexual_minors: Annotated[list[TextOnly], doc("Sexual content with somebody under 18.")] = msgspec.field(
        name="sexual/minors"
    )
    violence: Annotated[list[TextOrImage], doc("Shows death, violence or injury.")]
    violence_graphic: Annotated[list[TextOrImage], doc("The same in graphic detail.")] = msgspec.field(
        name="violence/graphic"
    )


class ModerationResult(ResponseObject, kw_only=True):
    """The verdict on one input."""

    flagged: Annotated[bool, doc("Whether any category applies.")]
    categories: Annotated[Categories, doc("Which categories apply.")]
    category_scores: Annotated[CategoryScores, doc("How likely each category applies, from 0 to 1.")]
    category_applied_input_types: Annotated[
        CategoryAppliedInputTypes, doc("The kinds of input that each score was made from.")
    ]


class Moderation(ResponseObject, kw_only=True):
    """Verdicts, one an input."""

    id: Annotated[str, doc("Id of this moderation.")]
    model: Annotated[str, doc("The model that judged.")]
    results: Annotated[list[ModerationResult], doc("One verdict an input.")]


class TextModerationResult(ResponseObject, kw_only=True):
    """The verdict of a text model on one input."""

    flagged: Annotated[bool, doc("Whether any category applies.")]
    categories: Annotated[TextCategories, doc("Which categories apply.")]
    category_scores: Annotated[TextCategoryScores, doc("How likely each category applies, from 0 to 1.")]


class TextModeration(ResponseObject, kw_only=True):
    """What the text models answer: eleven categories, without ``illicit``, and no input types."""

    id: Annotated[str, doc("Id of this moderation.")]
    model: Annotated[str, doc("The model that judged.")]
    results: Annotated[list[TextModerationResult], doc("One verdict an input.")]
