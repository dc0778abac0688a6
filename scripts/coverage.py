"""How much of the official surface is served: operation by operation, property by property.

    python scripts/coverage.py                       # of the document that the server would serve
    python scripts/coverage.py openapi.json          # of a document in a file, `-` for stdin
    python scripts/coverage.py --missing [FAMILY...] # and what is missing, or what is missing of these families
    python scripts/coverage.py --extra               # and the properties that only we have
    python scripts/coverage.py --write               # and keep the score for the API reference of the console

Compares with `scripts/official_surface.json`. Fails when a family that `scripts/coverage.toml` calls complete is not,
or one that it calls complete apart from some paths lacks anything else.
Parameters the server knows and refuses for a model count: they are part of the shape.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comparison import Comparison, Direction, Findings
from official_surface import OUTPUT, Digest, digest
from shapes import Schema, Shapes

PROMISES = Path(__file__).with_name("coverage.toml")
SHOWN = Path(__file__).parents[1] / "src" / "inhouse" / "console" / "coverage.json"
# Parts of an operation, whose properties are compared, and the column they count in.
PARTS: tuple[tuple[str, str, Direction], ...] = (
    ("path", "request", "request"),
    ("query", "request", "request"),
    ("request", "request", "request"),
    ("response", "response", "response"),
    ("stream", "stream", "response"),
)
COLUMNS = ("request", "response", "stream")


@dataclass
class Family:
    """The score of one family. Counts are (covered, official)."""

    name: str
    operations: tuple[int, int] = (0, 0)
    properties: dict[str, tuple[int, int]] = field(default_factory=lambda: dict.fromkeys(COLUMNS, (0, 0)))
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return all(covered == official for covered, official in (self.operations, *self.properties.values()))

    def lacks(self, apart_from: Iterable[str]) -> list[str]:
        """What is missing that is not below one of these paths."""
        paths = tuple(apart_from)
        return [line for line in self.missing if not line.partition(" ")[2].startswith(paths)]

    def count(self, column: str, findings: Findings) -> None:
        covered, official = self.properties[column]
        self.properties[column] = (covered + findings.covered, official + len(findings.official))


def score(official: Digest, ours: Digest) -> list[Family]:
    """The score of every family, by name."""
    families: dict[str, Family] = {}
    shapes = Shapes(official["schemas"]), Shapes(ours["schemas"])
    for key, operation in official["operations"].items():
        name = operation["family"]
        family = families.setdefault(name, Family(name))
        served: Mapping[str, Any] | None = ours["operations"].get(key)
        covered, total = family.operations
        family.operations = (covered + (served is not None), total + 1)
        if served is None:
            family.missing.append(f"{key}: not served")
        for part, column, direction in PARTS:
            findings = _compare(shapes, operation, served or {}, part, direction)
            family.count(column, findings)
            if served is not None:
                family.missing += _lines(key, part, findings)
                family.extra += [f"{key} {part}: {path}" for path in sorted(findings.extra)]
    return [families[name] for name in sorted(families)]


def _compare(
    shapes: tuple[Shapes, Shapes],
    official: Mapping[str, Any],
    ours: Mapping[str, Any],
    part: str,
    direction: Direction,
) -> Findings:
    schema: Schema | None = official.get(part)
    findings = Comparison(*shapes, direction).compare(schema, ours.get(part)) if schema else Findings()
    for media in official.get(f"{part}_media", ()):
        findings.add(f"({media})", None if media in ours.get(f"{part}_media", ()) else "missing")
    return findings


def _lines(key: str, part: str, findings: Findings) -> list[str]:
    """What is missing, without what is below something that is missing itself."""
    lines = []
    gone: set[str] = set()
    for path, problem in sorted(findings.official.items()):
        if problem is None:
            continue
        if problem == "missing":
            gone.add(path)
            if any(path.startswith((f"{above}.", f"{above}[", f"{above}(", f"{above}{{")) for above in gone):
                continue
        lines.append(f"{key} {part}: {path}: {problem}")
    return lines


def report(families: list[Family], promised: Mapping[str, list[str]]) -> str:
    """A table of the families. Promised ones are marked.

    Args:
        promised: families, and the paths that each is promised apart from.
    """
    rows = [["family", "operations", *(f"{column} properties" for column in COLUMNS)]]
    total: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for family in families:
        cells = {"operations": family.operations, **family.properties}
        for column, (covered, official) in cells.items():
            total[column][0] += covered
            total[column][1] += official
        mark = "" if family.name not in promised else " +" if promised[family.name] else " *"
        rows.append([family.name + mark, *(_cell(*count) for count in cells.values())])
    rows.append(["all", *(_cell(*count) for count in total.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", "* promised complete", "+ promised but for some paths"])


def shown(families: list[Family]) -> str:
    """The score as the console shows it: operations and properties of each family, served and official."""
    told = {
        family.name: {
            "operations": family.operations,
            "properties": [sum(each) for each in zip(*family.properties.values(), strict=True)],
        }
        for family in families
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(each)}" for name, each in told.items())
    return f"{{\n{lines}\n}}\n"


def _cell(covered: int, official: int) -> str:
    # Rounded down: 100% is all of it.
    return f"{covered}/{official} {100 * covered // official}%" if official else "-"


def load(source: str | None) -> Mapping[str, Any]:
    """Our OpenAPI document: of a file, of stdin, or of the code itself."""
    document: Mapping[str, Any]
    if source is None:
        from inhouse.api.openapi import document as make

        document = make()
    elif source == "-":
        document = json.load(sys.stdin)
    else:
        document = json.loads(Path(source).read_bytes())
    return document


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="How much of the official surface is served.")
    parser.add_argument("document", nargs="?", help="OpenAPI document, JSON; - for stdin; default: the code's own")
    parser.add_argument("--missing", nargs="*", metavar="FAMILY", help="list what is missing, of these families")
    parser.add_argument("--extra", action="store_true", help="list properties that only we have")
    parser.add_argument("--write", action="store_true", help=f"write {SHOWN.name}, which the console shows")
    options = parser.parse_args(arguments)

    families = score(json.loads(OUTPUT.read_bytes()), digest(load(options.document)))
    promises = tomllib.loads(PROMISES.read_text())
    promised: dict[str, list[str]] = {**{name: [] for name in promises["complete"]}, **promises.get("apart_from", {})}
    if unknown := (promised.keys() | set(options.missing or ())) - {family.name for family in families}:
        parser.error(f"no such family: {', '.join(sorted(unknown))}")
    broken = [family for family in families if family.name in promised and family.lacks(promised[family.name])]

    print(report(families, promised))
    for family in families:
        wanted = options.missing is not None and (not options.missing or family.name in options.missing)
        if wanted or family in broken:
            print("", *(family.missing or [f"{family.name}: nothing is missing"]), sep="\n")
        if options.extra and family.extra:
            print("", *family.extra, sep="\n")
    for family in broken:
        print(f"\n{family.name} is not what is promised: {family.lacks(promised[family.name])[0]}", file=sys.stderr)
    if options.write:
        SHOWN.write_text(shown(families))
    stale = options.document is None and SHOWN.read_text() != shown(families)
    if stale:
        print(f"\n{SHOWN.name} is not of this code: python scripts/coverage.py --write", file=sys.stderr)
    return 1 if broken or stale else 0


if __name__ == "__main__":
    sys.exit(main())
