"""How far a pull has come: a bar for a terminal, plain lines for a log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar
from rich.table import Column

if TYPE_CHECKING:
    from inhouse.engines.weights.cache import WeightsCache
    from inhouse.engines.weights.manifest import Manifest

Phase = Literal["waiting", "downloading", "assembling", "verifying", "ready"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the pull of one file stands.

    ``waiting``: another process is pulling the same file; ``assembling``: its bytes are read out of a package or
    copied; ``verifying``: bytes already here are hashed; ``ready``: it is in the cache.
    """

    file: str
    done: int
    """Bytes."""
    total: int
    """Bytes."""
    phase: Phase
    source: str
    """What gives the bytes, in words; empty when nothing had to be fetched."""


OnProgress = Callable[[Progress], None]
OnNote = Callable[[str], None]

STEP_PERCENT = 10
"""A log gets a line each time that this much more of a file is here."""


def pull_with_bar(
    cache: WeightsCache, manifest: Manifest, console: Console | None = None, *, check: bool = False
) -> list[Path]:
    """``cache.pull`` told to a person.

    Args:
        console: where to; standard error by default, so that standard output stays for results.
        check: also hash what is here already.

    Raises:
        NotEnoughSpace, PullFailed
    """
    console = console or Console(stderr=True)

    def note(text: str) -> None:
        console.print(f"  {text}", markup=False, highlight=False, soft_wrap=True)

    if not console.is_terminal:
        return cache.pull(manifest, _Lines(console), note, check=check)
    # Only the name gives way on a narrow terminal.
    columns = (
        TextColumn("{task.fields[phase]:>11}", table_column=Column(no_wrap=True)),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        BarColumn(bar_width=16),
        DownloadColumn(table_column=Column(no_wrap=True)),
        TransferSpeedColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
    )
    with Bar(*columns, console=console, expand=True) as bar:
        tasks: dict[str, TaskID] = {}

        def show(progress: Progress) -> None:
            if progress.file not in tasks:
                tasks[progress.file] = bar.add_task(escape(progress.file), total=progress.total, phase=progress.phase)
            bar.update(tasks[progress.file], completed=progress.done, phase=progress.phase)

        return cache.pull(manifest, show, note, check=check)


class _Lines:
    """One line a tenth of a file, and one whenever what is being done changes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[str, str, int] | None = None

    def __call__(self, progress: Progress) -> None:
        percent = 100 * progress.done // progress.total
        # Packages alternate between the two at every part; that is one activity to a reader of a log.
        activity = "fetching" if progress.phase in ("downloading", "assembling") else progress.phase
        now = (progress.file, activity, percent // STEP_PERCENT)
        if now == self._last:
            return
        self._last = now
        origin = f" from {progress.source}" if progress.source and activity == "fetching" else ""
        size = f"{progress.done / 1e6:.0f} of {progress.total / 1e6:.0f} MB"
        self._console.print(
            f"{progress.file}: {activity}{origin}, {percent}% ({size})",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
