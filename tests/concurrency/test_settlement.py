"""Events of one booking that come at once, on separate connections: each sees what the one before has made."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import make
import msgspec
import pytest
from workers import StubGateway, owe, state, until

from boxoffice.bookings.settlement import settle
from boxoffice.payments.gateway import EventType, GatewayEvent, RefundReceipt
from boxoffice.payments.ledger import disagreements
from boxoffice.payments.refunds import send_refund
from boxoffice.postgres.pool import Pool

BOOKINGS = 10
LEFT_S = 1.0
"""To a booking whose payment fails: longer than it takes to hear of that."""


def paid(session: dict[str, Any], booking_id: str) -> GatewayEvent:
    return GatewayEvent(
        gateway="fake",
        event_id=f"evt_{uuid4().hex}",
        event_type=EventType.SUCCESS,
        session_id=session["sessionId"],
        booking_id=UUID(booking_id),
        amount=session["amount"],
        currency=session["currency"],
        gateway_ref=f"pay_{uuid4().hex}",
        refund_id=None,
        body=datetime.now(UTC).isoformat(),
    )


async def test_two_payments_of_a_booking_at_once_seat_it_once_and_one_goes_back(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    show = await make.show(pool, rows=2, seats_a_row=BOOKINGS)
    twice: list[GatewayEvent] = []
    for seat in show.seats[:BOOKINGS]:
        buyer = await make.guest(client)
        booking = await make.booking(client, buyer, show, seat)
        # A session that failed by our books can still be paid at the gateway, as the one after it can.
        first = await make.session(client, buyer, booking["id"])
        await make.deliver(client, make.event(first, booking["id"], "payment.failed"))
        second = await make.session(client, buyer, booking["id"])
        assert second["sessionId"] != first["sessionId"]
        twice += [paid(first, booking["id"]), paid(second, booking["id"])]

    settled = await asyncio.gather(*(settle(pool, event) for event in twice))

    assert {one.status for one in settled} == {"processed"}
    assert await pool.fetchval("SELECT count(*) FROM booking WHERE status = 'CONFIRMED'") == BOOKINGS
    assert await pool.fetchval("SELECT count(*) FROM payment WHERE status = 'SUCCEEDED'") == 2 * BOOKINGS
    back = await pool.fetch(
        """SELECT r.amount FROM refund r JOIN booking b ON b.show_id = r.show_id AND b.id = r.booking_id
            WHERE r.payment_id <> b.paid_by"""
    )
    assert [row["amount"] for row in back] == [make.PRICE] * BOOKINGS
    async with pool.acquire() as conn:
        assert await disagreements(conn) == []


async def wait_in_line(pool: Pool, how_many: int) -> None:
    """Until so many wait for a lock."""

    async def they_do() -> bool:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return await pool.fetchval(waiting) >= how_many

    await until(they_do)


@pytest.mark.parametrize("taken", [True, False])
async def test_a_failure_that_waited_until_a_seat_was_gone_brings_nothing_back(
    client: httpx.AsyncClient, pool: Pool, *, taken: bool
) -> None:
    show, buyer, other = await make.show(pool), await make.guest(client), await make.guest(client)
    booking = await make.booking(client, buyer, show, *show.seats[:2])
    session = await make.session(client, buyer, booking["id"])
    async with pool.acquire() as conn, conn.transaction():
        # A row of seats and a booking that end together, as a claim makes them.
        await pool.execute(
            """WITH soon AS (UPDATE booking SET expires_at = now() + make_interval(secs => $2) WHERE id = $1)
               UPDATE show_seat SET taken_until = now() + make_interval(secs => $2), revision = revision + 1
                WHERE booking_id = $1""",
            *(UUID(booking["id"]), LEFT_S),
        )
        await conn.execute("SELECT FROM booking WHERE id = $1 FOR UPDATE", UUID(booking["id"]))
        failing = asyncio.create_task(make.deliver(client, make.event(session, booking["id"], "payment.failed")))
        await wait_in_line(pool, 1)
        await asyncio.sleep(LEFT_S)
        if taken:
            await make.booking(client, other, show, show.seats[0])
    assert (await failing).json() == {"status": "processed"}
    expected = ("EXPIRED", 0) if taken else ("PENDING", 1)
    extensions = await pool.fetchval("SELECT extensions FROM booking WHERE id = $1", UUID(booking["id"]))
    assert ((await make.see(client, buyer, booking["id"]))["status"], extensions) == expected
    its_own = await pool.fetchval(
        "SELECT count(*) FROM show_seat WHERE booking_id = $1 AND taken_until > now()", UUID(booking["id"])
    )
    assert its_own == (0 if taken else 2)


async def test_the_answer_to_a_refund_and_its_event_at_once_do_not_deadlock(pool: Pool) -> None:
    owed = await owe(pool)
    answer = RefundReceipt(gateway_ref="re_1", done=True)
    event = msgspec.structs.replace(
        paid({"sessionId": "sess_x", "amount": 500, "currency": "INR"}, str(owed.booking_id)),
        gateway="stub",
        event_type=EventType.REFUNDED,
        refund_id=owed.refund_id,
    )
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("SELECT FROM payment WHERE id = $1 FOR UPDATE", owed.payment_id)
        hearing = asyncio.create_task(settle(pool, event))
        await wait_in_line(pool, 1)
        sending = asyncio.create_task(send_refund(pool, {"stub": StubGateway(answer)}, owed.show_id, owed.refund_id))
        await wait_in_line(pool, 2)
    await asyncio.gather(hearing, sending)
    assert (await state(pool, owed))[0] == "SUCCEEDED"
    assert await pool.fetchval("SELECT count(*) FROM ledger_entry WHERE kind = 'paid_back'") == 1
