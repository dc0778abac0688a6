from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from inhouse.engines.weights import WeightsCache, pull_with_bar
from inhouse.engines.weights.hub import Hub

from .stand_ins import file_of, hub_source, manifest_of, payload

DATA = payload(20_000_000)


def test_a_log_gets_plain_lines_in_order(tmp_path: Path) -> None:
    original = tmp_path / "w.bin"
    original.write_bytes(DATA)
    manifest = manifest_of(file_of(DATA, hub_source(), {"kind": "path", "path": str(original)}))
    out = io.StringIO()
    cache = WeightsCache(tmp_path / "cache", hub=Hub("http://127.0.0.1:1"))
    pull_with_bar(cache, manifest, Console(file=out, force_terminal=False, width=40))
    text = out.getvalue()
    assert "\x1b" not in text
    assert "\r" not in text
    lines = text.splitlines()
    assert "cannot be reached" in lines[0]
    assert "trying file" in lines[0]
    percents = [int(line.split("%")[0].rsplit(" ", 1)[1]) for line in lines[1:]]
    assert percents == sorted(percents)
    assert 11 <= len(percents) <= 14
    assert lines[-1] == "w.bin: ready, 100% (20 of 20 MB)"


def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    original = tmp_path / "w.bin"
    original.write_bytes(DATA)
    manifest = manifest_of(file_of(DATA, {"kind": "path", "path": str(original)}))
    out = io.StringIO()
    [path] = pull_with_bar(
        WeightsCache(tmp_path / "cache"), manifest, Console(file=out, force_terminal=True, width=120)
    )
    assert path.read_bytes() == DATA
    assert "20.0/20.0 MB" in out.getvalue()
    assert "ready" in out.getvalue()
