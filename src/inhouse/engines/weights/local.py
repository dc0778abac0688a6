"""Files that are on this machine already."""

from __future__ import annotations

from pathlib import Path

from inhouse.engines.weights.errors import Corrupted, SourceFailed
from inhouse.engines.weights.growing import Growing
from inhouse.engines.weights.manifest import PathSource


def copy(source: PathSource, growing: Growing) -> None:
    """Copies the file into the cache: the original may change or go away later.

    Raises:
        SourceFailed: it cannot be read, or has another size or hash.
    """
    path = Path(source.path).expanduser()
    file = growing.file
    try:
        with path.open("rb") as stream:
            growing.clear()
            growing.append(stream, file.bytes, file.sha256, "assembling")
    except Corrupted as error:
        raise SourceFailed(f"{path} {error}") from error
    except FileNotFoundError as error:
        raise SourceFailed(f"{path} is not there") from error
    except (PermissionError, IsADirectoryError) as error:
        raise SourceFailed(f"{path} cannot be read ({error.strerror})") from error
