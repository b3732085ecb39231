"""Events of one booking that come at once, on separate connections: each sees what the one before has made."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import make

from boxoffice.bookings.settlement import settle
from boxoffice.payments.gateway import EventType, GatewayEvent
from boxoffice.payments.ledger import disagreements
from boxoffice.postgres.pool import Pool

BOOKINGS = 10


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
