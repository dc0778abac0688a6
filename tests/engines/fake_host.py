"""A host without a model: what a test asks for happens. Run as ``python fake_host.py``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from fake_host_shapes import Answer, Ask

from inhouse.engines.hosting import HostServer, Stop, Upload
from inhouse.engines.protocol import Refused

server = HostServer()


@server.call("/say")
def say(request: Ask, stop: Stop) -> Answer:
    if request.do == "refuse":
        raise Refused("not this", code="no", param="say")
    if request.do == "fail":
        raise RuntimeError("broken inside")
    if request.do == "die":
        os._exit(3)
    end = time.monotonic() + request.seconds
    while time.monotonic() < end:
        if stop.is_set:
            Path(request.mark).write_text("stopped")
        stop.check()
        time.sleep(0.01)
    return Answer(f"{request.say} {server.config.options.get('tone', 'plainly')}", b"\x00\xff")


@server.stream("/count")
def count(request: Ask, stop: Stop) -> Iterator[Answer]:
    if request.do == "refuse":
        raise Refused("nothing to count")
    try:
        for number in range(request.count):
            if number == 2 and request.do == "fail":
                raise RuntimeError("broke in the middle")
            if number == 2 and request.do == "die":
                os._exit(3)
            yield Answer(str(number))
            time.sleep(request.seconds)
    finally:
        if request.mark:
            Path(request.mark).write_text("closed")


@server.stream("/bytes")
def pieces(request: Ask, stop: Stop) -> Iterator[bytes]:
    yield b""
    for _ in range(request.count):
        yield request.say.encode() * 1000


@server.call("/measure")
def measure(request: Ask, stop: Stop, upload: Upload) -> Answer:
    first = upload.read(4)
    upload.seek(0, 2)
    return Answer(f"{request.say} {upload.tell()}", first)


server.run()
