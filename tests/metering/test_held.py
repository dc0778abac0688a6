"""What lines of batches come to, with what their tools are charged for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import select
from tests.metering.test_ledger import opening, settlement

from inhouse.metering.entries import charge_id
from inhouse.metering.held import Held, HeldLedger
from inhouse.metering.ledger import Ledger
from inhouse.metering.verify import verify
from inhouse.storage.database import Database
from inhouse.storage.schema import calls


@pytest.fixture
async def held(database: Database) -> Any:
    ledger = Ledger(database)
    await ledger.start()
    yield HeldLedger(ledger)
    await ledger.close()


async def a_line(held: HeldLedger) -> Held:
    """A call with two charges, of which the second is made from a reservation."""
    line = opening()
    held.open_lazily(line)
    for number in (1, 2):
        charge = msgspec.structs.replace(
            line, id=charge_id(line.id, number), family="file_search_calls", input_price=0, cached_input_price=0,
            output_price=0,
        )  # fmt: skip
        if number == 1:
            held.open_lazily(charge)
        else:
            await held.admit(charge)
        await held.settle(settlement(charge.id, (0, 0, 0), cost_nanos=2_500_000, fee_nanos=2_500_000, units=1))
    await held.settle(settlement(line.id))
    taken = held.take(line.id)
    assert taken is not None
    return taken


async def costs(database: Database) -> dict[str, list[int]]:
    rows = await database.read(lambda c: c.execute(select(calls).order_by(calls.c.id)).all())
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row.family, []).append(row.cost_nanos)
    return found


async def test_charges_are_billed_with_their_line(database: Database, held: HeldLedger) -> None:
    lines = [await a_line(held) for _ in range(2)]
    alarms = await database.write(lambda c: held.book_in(c, lines))
    held.booked(lines, alarms)
    found = await costs(database)
    assert found["file_search_calls"] == [2_500_000] * 4
    assert len(found["completions"]) == 2
    assert held._held == {}
    assert (await verify(database)).clean


async def test_charges_of_a_line_that_is_not_kept_are_not_billed(database: Database, held: HeldLedger) -> None:
    await held.drop(await a_line(held))
    await held._ledger.written()
    assert await costs(database) == {"file_search_calls": [0]}
    assert held._held == {}
    assert (await verify(database)).clean
