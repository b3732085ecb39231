"""What would come back is what comes back: a quote shares its reckoning with the decision, and can be agreed to."""

from datetime import timedelta
from uuid import UUID

import httpx
import make
import pytest

from boxoffice.bookings.cancellation import (
    NotRefundableError,
    RefundChangedError,
    RefundWindowClosedError,
    quote_refund,
    refund_booking,
)
from boxoffice.bookings.refund_policy import RefundPolicy
from boxoffice.postgres.pool import Pool, connection, transaction
from boxoffice.seating.refusals import ForeignSeatsError

POLICY = RefundPolicy()


async def paid(client: httpx.AsyncClient, pool: Pool, seats: int = 2) -> tuple[make.Show, UUID]:
    """A paid booking of a show's first seats."""
    show, buyer = await make.show(pool), await make.guest(client)
    made = await make.paid_booking(client, buyer, show, *show.seats[:seats])
    return show, UUID(made["id"])


@pytest.mark.parametrize("left", [timedelta(days=3), timedelta(hours=23, minutes=59), timedelta(hours=3)])
async def test_what_is_quoted_is_what_comes_back(client: httpx.AsyncClient, pool: Pool, left: timedelta) -> None:
    show, booking_id = await paid(client, pool, 3)
    await make.start_in(pool, show, left)
    async with connection(pool) as conn:
        quote = await quote_refund(conn, show.id, booking_id, seat_ids=None, policy=POLICY)
        part = await quote_refund(conn, show.id, booking_id, seat_ids=show.seats[:1], policy=POLICY)
    assert set(quote.by_seat) == set(show.seats[:3])
    assert part.by_seat == {show.seats[0]: quote.by_seat[show.seats[0]]}

    async with transaction(pool) as conn:
        decided = await refund_booking(
            conn, show.id, booking_id, seat_ids=None, policy=POLICY, expected=quote.refund_amount
        )

    assert decided.refund_amount == quote.refund_amount == sum(quote.by_seat.values())
    assert (decided.original_amount, decided.refund_percentage) == (quote.original_amount, quote.percentage)
    assert {r["seat_id"]: r["amount"] for r in await pool.fetch("SELECT * FROM refund_seat")} == quote.by_seat


async def test_a_quote_decides_nothing(client: httpx.AsyncClient, pool: Pool) -> None:
    show, booking_id = await paid(client, pool)
    async with connection(pool) as conn:
        await quote_refund(conn, show.id, booking_id, seat_ids=None, policy=POLICY)
    assert await pool.fetchval("SELECT count(*) FROM refund") == 0
    assert await pool.fetchval("SELECT status FROM booking") == "CONFIRMED"


async def test_another_amount_than_the_one_agreed_to_is_not_given_back(client: httpx.AsyncClient, pool: Pool) -> None:
    show, booking_id = await paid(client, pool)
    async with connection(pool) as conn:
        quote = await quote_refund(conn, show.id, booking_id, seat_ids=None, policy=POLICY)
    await make.start_in(pool, show, timedelta(hours=23))

    with pytest.raises(RefundChangedError) as refused:
        async with transaction(pool) as conn:
            await refund_booking(conn, show.id, booking_id, seat_ids=None, policy=POLICY, expected=quote.refund_amount)

    assert refused.value.extra == {"refundAmount": make.PRICE, "refundPercentage": 50}
    assert await pool.fetchval("SELECT count(*) FROM refund") == 0
    assert await pool.fetchval("SELECT status FROM booking") == "CONFIRMED"


async def test_too_close_to_the_show_a_quote_says_nothing_comes_back(client: httpx.AsyncClient, pool: Pool) -> None:
    show, booking_id = await paid(client, pool)
    await make.start_in(pool, show, timedelta(hours=1))
    async with connection(pool) as conn:
        quote = await quote_refund(conn, show.id, booking_id, seat_ids=None, policy=POLICY)
    assert (quote.percentage, quote.refund_amount, quote.original_amount) == (0, 0, 2 * make.PRICE)
    with pytest.raises(RefundWindowClosedError):
        async with transaction(pool) as conn:
            await refund_booking(conn, show.id, booking_id, seat_ids=None, policy=POLICY, expected=0)


async def test_only_seats_that_a_paid_booking_still_has_are_quoted(client: httpx.AsyncClient, pool: Pool) -> None:
    show, booking_id = await paid(client, pool)
    async with transaction(pool) as conn:
        await refund_booking(conn, show.id, booking_id, seat_ids=show.seats[:1], policy=POLICY)
        assert set((await quote_refund(conn, show.id, booking_id, seat_ids=None, policy=POLICY)).by_seat) == {
            show.seats[1]
        }
        for gone in (show.seats[0], show.seats[5]):
            with pytest.raises(ForeignSeatsError):
                await quote_refund(conn, show.id, booking_id, seat_ids=[gone], policy=POLICY)
        await refund_booking(conn, show.id, booking_id, seat_ids=None, policy=POLICY)
        with pytest.raises(NotRefundableError):
            await quote_refund(conn, show.id, booking_id, seat_ids=None, policy=POLICY)


async def test_a_client_asks_and_agrees_to_exactly_that(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer, stranger = await make.show(pool), await make.guest(client), await make.guest(client)
    made = await make.paid_booking(client, buyer, show, *show.seats[:2])
    await make.start_in(pool, show, timedelta(hours=5))
    url = f"/api/v1/payments/refund/{made['id']}"
    assert (await client.get(url, headers=stranger.headers)).status_code == 404

    offer = (await client.get(url, headers=buyer.headers)).json()
    assert (offer["originalAmount"], offer["refundAmount"], offer["refundPercentage"]) == (50_000, 25_000, 50)
    assert {seat["seatId"]: seat["refundAmount"] for seat in offer["seats"]} == {
        str(seat): make.PRICE // 2 for seat in show.seats[:2]
    }
    assert offer["fullUntil"] < offer["halfUntil"]
    part = (await client.get(url, params={"showSeatIds": str(show.seats[1])}, headers=buyer.headers)).json()
    assert part["refundAmount"] == make.PRICE // 2

    keyed = buyer.headers | {"Idempotency-Key": "back"}
    other = await client.post(url, json={"expectedAmount": offer["refundAmount"] + 1}, headers=keyed)
    assert (other.status_code, other.json()["code"], other.json()["refundAmount"]) == (
        409,
        "refund_amount_changed",
        offer["refundAmount"],
    )
    agreed = {"expectedAmount": offer["refundAmount"]}
    for _ in range(2):
        answer = await client.post(url, json=agreed, headers=keyed)
        assert (answer.status_code, answer.json()["refundAmount"]) == (200, offer["refundAmount"])
    assert await pool.fetchval("SELECT count(*) FROM refund") == 1


async def test_a_seat_that_somebody_went_in_for_is_not_quoted(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    made = await make.paid_booking(client, buyer, show, *show.seats[:2])
    await pool.execute(
        """INSERT INTO ticket_admission (show_id, booking_id, seat_id, admitted_by)
           SELECT show_id, id, $2, user_id FROM booking WHERE id = $1""",
        made["id"],
        show.seats[0],
    )
    url = f"/api/v1/payments/refund/{made['id']}"

    refused = await client.get(url, headers=buyer.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "seats_admitted")
    assert refused.json()["showSeatIds"] == [str(show.seats[0])]
    other = await client.get(url, params={"showSeatIds": str(show.seats[1])}, headers=buyer.headers)
    assert other.json()["refundAmount"] == make.PRICE
