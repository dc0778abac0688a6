"""Delivery of events: signed, at least once, retried, bounded, to nobody else; on both databases."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from receiver import receiving

from inhouse.storage.database import Database
from inhouse.webhooks import Delivery, record
from inhouse.webhooks.sending import Sender

Make = Callable[..., Any]


async def until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


async def tell(database: Database, object_id: str, project: str = "proj_one", type: Any = "response.completed") -> int:
    return await database.write(partial(record, project_id=project, type=type, object_id=object_id))


async def deliveries(process: Any, endpoint_id: str | None = None) -> list[Delivery]:
    """Oldest first."""
    found: list[Delivery] = (await process.webhooks.deliveries("proj_one", endpoint_id, limit=100))[0]
    return found[::-1]


async def states(process: Any) -> list[str]:
    return [each.state for each in await deliveries(process)]


async def test_the_official_sdk_verifies_what_is_sent(make: Make, database: Database) -> None:
    process = make()
    async with receiving() as receiver:
        made = await process.endpoint(receiver.url)
        await process.runner.start()
        assert await tell(database, "resp_1") == 1
        await until(lambda: len(receiver.taken) == 1)
        (event,) = receiver.events(made.secret)
        assert (event.type, event.object, event.data.id) == ("response.completed", "event", "resp_1")
        headers, body = receiver.taken[0]
        assert headers["content-type"] == "application/json"
        assert list(msgspec.json.decode(body)) == ["id", "object", "created_at", "type", "data"]
        with pytest.raises(ValueError, match="signature"):
            receiver.events("whsec_" + "A" * 44)
        await until(lambda: _all(process, "delivered"))
        (delivery,) = await deliveries(process)
        assert (delivery.attempts, delivery.last_status, delivery.id) == (1, 200, headers["webhook-id"])


async def _all(process: Any, state: str) -> bool:
    return set(await states(process)) == {state}


async def test_only_those_who_asked_are_told(make: Make, database: Database) -> None:
    process = make()
    async with receiving() as mine, receiving() as theirs, receiving() as other_event:
        await process.endpoint(mine.url)
        await process.endpoint(theirs.url, project="proj_two")
        await process.endpoint(other_event.url, "batch.completed")
        await process.runner.start()
        assert await tell(database, "resp_1") == 1
        assert await tell(database, "resp_2", project="proj_none") == 0
        assert await tell(database, "batch_1", type="batch.completed") == 1
        await until(lambda: bool(mine.taken and other_event.taken))
        await until(lambda: _all(process, "delivered"))
        assert theirs.taken == []
        assert len(mine.taken) == len(other_event.taken) == 1


async def test_what_is_rolled_back_is_not_told(make: Make, database: Database) -> None:
    process = make()
    await process.endpoint("http://127.0.0.1:9/")

    def work(connection: Any) -> None:
        assert record(connection, "proj_one", "response.completed", "resp_1") == 1
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(work)
    assert await deliveries(process) == []


async def test_a_receiver_that_was_down_is_told_when_it_is_up(make: Make, database: Database) -> None:
    process = make()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = await process.endpoint(f"http://127.0.0.1:{port}/")
    for number in range(20):
        await tell(database, f"resp_{number}")
    await process.runner.start()

    async def tried() -> bool:
        return sum(each.attempts for each in await deliveries(process)) > 9

    await until(tried)
    tried_ones = [each for each in await deliveries(process) if each.attempts]
    assert all("could not be reached" in str(each.last_error) for each in tried_ones)
    async with receiving(port) as receiver:
        await until(lambda: _all(process, "delivered"))
        assert {event.data.id for event in receiver.events(made.secret)} == {f"resp_{n}" for n in range(20)}


async def test_it_is_retried_under_one_id_until_it_is_taken(make: Make, database: Database) -> None:
    process = make()
    async with receiving(answers=lambda count: 500 if count < 2 else 204) as receiver:
        made = await process.endpoint(receiver.url)
        await process.runner.start()
        await tell(database, "resp_1")
        await until(lambda: _all(process, "delivered"))
        assert len(receiver.taken) == 3
        assert len(set(receiver.ids)) == 1
        assert len({event.id for event in receiver.events(made.secret)}) == 1
        assert (await deliveries(process))[0].last_error is None


async def test_it_is_given_up_in_the_end(make: Make, database: Database) -> None:
    process = make(keep_trying_s=0.3)
    async with receiving(answers=lambda count: 503) as receiver:
        await process.endpoint(receiver.url)
        await process.runner.start()
        await tell(database, "resp_1")
        await until(lambda: _all(process, "failed"))
        assert len(receiver.taken) >= 2
        assert (await deliveries(process))[0].last_error == "it answered 503"


async def test_a_redirect_is_not_followed(make: Make, database: Database) -> None:
    process = make(keep_trying_s=0.0)
    async with receiving() as elsewhere:
        moved = {"location": elsewhere.url}
        async with receiving(answers=lambda count: 307, headers=moved) as receiver:
            await process.endpoint(receiver.url)
            await process.runner.start()
            await tell(database, "resp_1")
            await until(lambda: _all(process, "failed"))
            assert len(receiver.taken) == 1
        assert elsewhere.taken == []


async def test_an_endpoint_that_is_gone_is_disabled(make: Make, database: Database) -> None:
    process = make()
    async with receiving(answers=lambda count: 410) as receiver:
        made = await process.endpoint(receiver.url)
        await tell(database, "resp_1")
        await tell(database, "resp_2")
        await process.runner.start()
        await until(lambda: _all(process, "failed"))
        disabled = await process.webhooks.retrieve("proj_one", made.endpoint.id)
        assert disabled.disabled_because == "it answered 410 Gone"
        assert await tell(database, "resp_3") == 0
        receiver.answers = lambda count: 200
        enabled = await process.webhooks.update("proj_one", made.endpoint.id)
        assert enabled.disabled_at is None
        assert await tell(database, "resp_4") == 1
        await until(lambda: _any(process, "delivered"))


async def _any(process: Any, state: str) -> bool:
    return state in await states(process)


async def test_dead_endpoints_do_not_delay_others(make: Make, database: Database) -> None:
    process = make()
    async with receiving(stalls=True) as dead, receiving() as alive:
        for _ in range(5):
            await process.endpoint(dead.url)
        made = await process.endpoint(alive.url)
        for number in range(10):
            await tell(database, f"resp_{number}")
        await process.runner.start()
        await until(lambda: len(alive.taken) == 10)
        assert {event.data.id for event in alive.events(made.secret)} == {f"resp_{n}" for n in range(10)}
        # None of the dead ones has answered, and none is asked for more at once than it may.
        assert len(dead.taken) <= 5 * 8
        await process.close()


async def test_two_processes_deliver_each_event_once(make: Make, database: Database) -> None:
    one, two = make(), make()
    async with receiving() as receiver:
        made = await one.endpoint(receiver.url)
        await one.runner.start()
        await two.runner.start()
        for number in range(30):
            await tell(database, f"resp_{number}")
        await until(lambda: _all(one, "delivered"))
        assert len(await deliveries(one)) == 30
        assert {event.data.id for event in receiver.events(made.secret)} == {f"resp_{n}" for n in range(30)}


KILLED = """
import asyncio, os, signal, sys
from inhouse.storage.database import Database
from inhouse.webhooks import record

async def main():
    database = Database(sys.argv[1])
    await database.write(lambda c: record(c, "proj_one", "response.completed", "resp_killed"))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_it_survives_a_kill_between_commit_and_delivery(
    make: Make, database: Database, database_url: str
) -> None:
    process = make()
    async with receiving() as receiver:
        made = await process.endpoint(receiver.url)
        killed = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", KILLED, database_url], timeout=60)
        assert killed.returncode == -signal.SIGKILL
        assert receiver.taken == []
        await process.runner.start()
        await until(lambda: len(receiver.taken) == 1)
        assert receiver.events(made.secret)[0].data.id == "resp_killed"


async def test_a_process_that_dies_while_it_delivers_is_followed_by_another(make: Make, database: Database) -> None:
    dying, next_one = make(), make()
    async with receiving(stalls=True) as receiver:
        await dying.endpoint(receiver.url)
        await tell(database, "resp_1")
        dying.runner._lease_us = 600_000
        await dying.runner.start()
        await until(lambda: len(receiver.taken) == 1)
        # Its loop ends without a word, as if it were killed: the lease runs out.
        dying.runner._loop.cancel()
        receiver.stalls = False
        await next_one.runner.start()
        await until(lambda: len(receiver.taken) == 2)
        assert len(set(receiver.ids)) == 1


async def test_the_time_of_an_attempt_is_bounded() -> None:
    sender = Sender(timeout_s=0.2)
    try:
        async with receiving(stalls=True) as receiver:
            attempt = await sender.send(receiver.url, "wh_1", b"{}", ["whsec_AAAA"], operators=True)
        assert (attempt.status, attempt.error) == (None, "no answer within 0.2 seconds")
    finally:
        await sender.close()


async def test_an_endless_answer_is_not_read() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    sender = Sender(timeout_s=10)
    try:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        attempt = await sender.send(url, "wh_1", b"{}", ["whsec_AAAA"], operators=True)
        assert attempt.status == 200
    finally:
        await sender.close()
        server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1", "0x7f000001", "[::1]"])
async def test_private_addresses_are_not_reached_unless_allowed(host: str) -> None:
    sender = Sender(timeout_s=5)
    try:
        async with receiving() as receiver:
            url = receiver.url.replace("127.0.0.1", host)
            attempt = await sender.send(url, "wh_1", b"{}", ["whsec_AAAA"], operators=False)
            assert attempt.status is None
            assert "public address" in str(attempt.error)
            assert receiver.taken == []
    finally:
        await sender.close()
