"""From what was read of a text to a score for each category: one logistic regression a category.

The coefficients are a table of this project (``head.json``, trained by ``scripts/train_moderation.py`` from packaged
data), not third-party weights. Two categories have no data of their own and are composed of others:

    hate/threatening   as likely as the less likely of hate and of a threat or violence
    sexual/minors      the score of ``sexual`` where the text speaks of a minor, else next to nothing
"""

from __future__ import annotations

from importlib.resources import files

import msgspec
import numpy as np
from numpy.typing import NDArray

from inhouse.engines.moderation.categories import CATEGORIES
from inhouse.engines.moderation.sentences import DIMENSIONS
from inhouse.engines.moderation.signs import SIGNS
from inhouse.engines.moderation.toxicity import LABELS

Array = NDArray[np.float32]
INPUTS = DIMENSIONS + len(LABELS) + len(SIGNS)
_MINOR = DIMENSIONS + len(LABELS) + SIGNS.index("minor")
NO_EVIDENCE = 0.0001
"""Score of ``sexual/minors``, as a part of the score of ``sexual``, where no minor is spoken of."""


class Line(msgspec.Struct, frozen=True):
    """The coefficients of one category."""

    bias: float
    weights: list[float]
    """In the order of ``stack``."""


class Head(msgspec.Struct, frozen=True):
    """All of them, and what they were trained on."""

    data: str
    """SHA-256 of the texts and labels."""
    categories: dict[str, Line]


def load_head() -> Head:
    """The head that the package brings.

    Raises:
        ValueError: it was trained for other inputs than this version reads.
    """
    head = msgspec.json.decode(files(__package__).joinpath("head.json").read_bytes(), type=Head)
    if any(len(line.weights) != INPUTS for line in head.categories.values()):
        raise ValueError(f"head.json has not {INPUTS} weights for each category: train it again")
    return head


def stack(embeddings: Array, toxicity: Array, signs: Array) -> Array:
    """The head's input, shape (texts, INPUTS): unit vectors, log odds bounded and scaled, signs."""
    return np.concatenate([embeddings * 4, np.clip(toxicity, -8, 4) / 4, signs], axis=1).astype(np.float32)


def scores(head: Head, inputs: Array) -> list[dict[str, float]]:
    """For each text the probability of each category, in the order of the contract."""
    learned = {
        name: 1 / (1 + np.exp(-np.clip(inputs @ np.array(line.weights, dtype=np.float32) + line.bias, -30, 30)))
        for name, line in head.categories.items()
    }
    learned["hate/threatening"] = np.minimum(
        learned["hate"], np.maximum(learned["harassment/threatening"], learned["violence"])
    )
    learned["sexual/minors"] = learned["sexual"] * np.where(inputs[:, _MINOR] > 0, 1.0, NO_EVIDENCE)
    return [{name: float(learned[name][row]) for name in CATEGORIES} for row in range(len(inputs))]
