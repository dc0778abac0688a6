"""llama.cpp's own server through xllamacpp and nothing else, with the parameters that Inhouse gives its engine.

python -m bench.llama_direct PLAN KEY      PLAN is JSON; prints its port, serves until stdin closes
"""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import msgspec


def main() -> None:
    import xllamacpp

    from inhouse.engines.llama.host import parameters
    from inhouse.engines.llama.spec import Plan

    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    server = xllamacpp.Server(parameters(plan, sys.argv[2]))
    print(urlsplit(server.listening_address).port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
