"""Find the method of the official SDK for each operation: python scripts/sdk_methods.py

The API reference shows calls as people write them, ``client.files.list()``. What a method asks for stands in its
source, as the SDK's generator writes it; this reads it from the installed ``openai`` package and writes
``src/inhouse/console/sdk_methods.json``: by verb and path, the method and the names of the path's parameters.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openai import OpenAI

OUT = Path(__file__).parent.parent / "src" / "inhouse" / "console" / "sdk_methods.json"
_REQUEST = re.compile(
    r'self\._(get|post|delete|get_api_list|put|patch)\(\s*(?:path_template\(\s*)?f?"(/[^"?]*)"(.*)', re.DOTALL
)
_OLD = ("beta.chat", "beta.responses")
"""Under names of their own by now."""
_WORSE = ("retrieve_content",)
"""Other names of methods, given up by the SDK."""


def methods(resource: Any, name: str = "") -> Iterator[tuple[str, str, list[str]]]:
    """Operation, dotted name, names of the path's parameters; of a resource and those under it."""
    kind = type(resource)
    for attribute in dir(kind):
        if attribute.startswith("_") or attribute in ("with_raw_response", "with_streaming_response", *_WORSE):
            continue
        called = f"{name}.{attribute}".removeprefix(".")
        member = inspect.getattr_static(kind, attribute)
        if not inspect.isfunction(member):
            inner = getattr(resource, attribute, None)
            if type(inner).__module__.startswith("openai.resources") and called not in _OLD:
                yield from methods(inner, called)
        elif name and (found := _REQUEST.search(inspect.getsource(member))):
            verb = "POST" if 'method="post"' in found[3] else "GET" if found[1] == "get_api_list" else found[1].upper()
            names = re.findall(r"\{(\w+)\}", found[2])
            positional = [
                each.name
                for each in inspect.signature(member).parameters.values()
                if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and each.name != "self"
            ]
            if positional == names[-1:]:  # as the examples call it
                yield f"{verb} {re.sub(r'{[^}]*}', '{}', found[2])}", called, names


def main() -> int:
    found: dict[str, tuple[str, list[str]]] = {}
    for operation, name, names in methods(OpenAI(api_key="none", admin_api_key="none")):
        found.setdefault(operation, (name, names))
    OUT.write_text(
        "{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(found[key])}" for key in sorted(found)) + "\n}\n", "utf-8"
    )
    print(f"{len(found)} operations")
    return 0


if __name__ == "__main__":
    sys.exit(main())
