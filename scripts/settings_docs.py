"""Writes docs/settings.md from the settings themselves. With ``--check``, only says whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_type_hints

from inhouse.settings import FIELDS, Field, Settings

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"

HEAD = """\
# Settings

<!-- Written by scripts/settings_docs.py from inhouse/settings/sections.py: change it there, then run `make docs`. -->

Every setting can be given in three places. The later one wins:

1. a TOML file: the one that `INHOUSE_CONFIG` names, else `inhouse.toml` in the data folder, if there is one;
2. an environment variable;
3. a flag of `inhouse serve`, for those that have one (`inhouse serve --help`).

One rule gives each setting its names. In the file it stands under its section. Its variable is `INHOUSE_`, then the
section and two underscores if it is in a section, then its name, all in capitals:

```toml
data_dir = "/srv/inhouse"        # INHOUSE_DATA_DIR=/srv/inhouse

[server]
port = 8080                      # INHOUSE_SERVER__PORT=8080

[engines]
preload = ["gpt-4.1", "gpt-4.1-nano"]   # INHOUSE_ENGINES__PRELOAD=gpt-4.1,gpt-4.1-nano
```

An empty variable counts as absent. A name that does not exist, or a value that does not fit, stops the start with a
sentence that says where it was given. Secrets are never shown in logs or errors.
"""


def page() -> str:
    parts = [HEAD, _table("General", "", [field for path, field in FIELDS.items() if "." not in path])]
    for name, struct in get_type_hints(Settings).items():
        mine = [field for path, field in FIELDS.items() if path.startswith(f"{name}.")]
        if mine:
            parts.append(_table(f"`[{name}]`", (struct.__doc__ or "").strip(), mine))
    return "\n".join(parts)


def _table(title: str, text: str, rows: list[Field]) -> str:
    lines = [f"## {title}", ""]
    if text:
        lines += [text, ""]
    lines += ["| Setting | Variable | Takes | Default | |", "|---|---|---|---|---|"]
    for field in rows:
        cells = [f"`{field.path}`", f"`{field.variable}`", field.takes, _default(field.default), field.description]
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def _default(value: Any) -> str:
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return "`" + ",".join(value) + "`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        if PAGE.is_file() and PAGE.read_text() == text:
            return 0
        print("docs/settings.md is not up to date; run: make docs")
        return 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
