"""Shapes of the embeddings operation."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from inhouse.api.wire import EndUser, RequestObject, ResponseObject, doc
from inhouse.kit.errors import InvalidRequest

TokenId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Tokens = Annotated[list[TokenId], Meta(min_length=1)]
# One list type, since msgspec takes one list in a union: `__post_init__` keeps the kinds apart.
InputList = Annotated[list[str | TokenId | Tokens], Meta(min_length=1, max_length=2048)]


class CreateEmbeddingRequest(RequestObject, kw_only=True):
    """Turn one text or several into vectors.

    Raises `InvalidRequest` (param `input`) for a list that mixes texts, token ids and lists of token ids.
    """

    input: Annotated[
        str | InputList,
        doc(
            "A text, a list of texts, a list of token ids, or a list of such lists; at most 2,048 entries, 8,192 "
            "tokens each and 300,000 together. Token ids are those of cl100k_base."
        ),
    ]
    model: Annotated[str, doc("Id of the model.")]
    encoding_format: Annotated[
        Literal["float", "base64"] | None,
        doc("`float`: a list of numbers. `base64`: 32-bit little-endian floats, encoded."),
    ] = "float"
    dimensions: Annotated[
        Annotated[int, Meta(ge=1)] | None, doc("Length of the vectors; only for `text-embedding-3` and later models.")
    ] = None
    user: EndUser = None

    def __post_init__(self) -> None:
        given = self.input
        if isinstance(given, list) and len({type(part) for part in given}) > 1:
            raise InvalidRequest(
                "Invalid type for 'input': expected one of a string, array of strings, array of integers, or array of "
                "arrays of integers, but got an array of mixed types instead.",
                param="input",
                code="invalid_type",
            )


class Embedding(ResponseObject, kw_only=True):
    """The vector of one input."""

    object: Annotated[Literal["embedding"], doc("Always `embedding`.")] = "embedding"
    index: Annotated[int, doc("Place of the input in the request.")]
    # With base64 it is a text, which the contract's own schema leaves out, too.
    embedding: Annotated[
        list[float], doc("The vector, of length 1; with `base64`, a text: 32-bit little-endian floats, encoded.")
    ]


class EmbeddingUsage(ResponseObject, kw_only=True):
    """Tokens of a request."""

    prompt_tokens: Annotated[int, doc("Tokens of all inputs.")]
    total_tokens: Annotated[int, doc("The same.")]


class CreateEmbeddingResponse(ResponseObject, kw_only=True):
    """The vectors, in the order of the inputs."""

    object: Annotated[Literal["list"], doc("Always `list`.")] = "list"
    data: Annotated[list[Embedding], doc("One for each input.")]
    model: Annotated[str, doc("The snapshot that answered.")]
    usage: Annotated[EmbeddingUsage, doc("Tokens used.")]
