"""The search as a child process: a job comes in, what it found goes out, the process ends.

A process for each job: it takes a tenth of a second to start, keeps nothing of anybody's, gives its memory back, and is
killed when the client leaves. Its parent's death closes its input and output.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import msgspec

from inhouse.generation.reading.search import Found, Job, search

TIMEOUT_S = 120.0
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Libraries of numbers would start one for each core, and wait for each other without rest, for products of a
millisecond."""


class SearchFailed(Exception):
    """The child process ended without a result. The message is fit for a log."""


async def searched(job: Job) -> Found:
    """``search`` in a child process. Cancelling ends it.

    Raises:
        SearchFailed
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "inhouse.generation.reading.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await child.communicate(msgspec.msgpack.encode(job))
        if child.returncode:
            raise SearchFailed(f"the search ended with {child.returncode}: {err[-500:].decode('utf-8', 'replace')}")
        return msgspec.msgpack.decode(out, type=Found)
    except (TimeoutError, msgspec.MsgspecError) as error:
        raise SearchFailed(f"the search gave no result: {error!r}") from error
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await asyncio.shield(child.wait())


def main() -> None:
    os.nice(5)  # streams of others go first
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.msgpack.encode(search(job)))


if __name__ == "__main__":
    main()
