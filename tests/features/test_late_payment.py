"""Paid means seated or refunded: money that comes late, twice, after a cancellation, or while a job runs."""

import asyncio
from datetime import timedelta

import httpx
import make
import pytest

from boxoffice.bookings.expiry import expire_lapsed
from boxoffice.payments.refunds import send_refund
from boxoffice.postgres.pool import Pool
from boxoffice.seating.holds import tidy_lapsed
from boxoffice.web.office import Office


async def money_of(client: httpx.AsyncClient, buyer: make.Buyer, booking_id: str) -> dict[str, object]:
    answer = await client.get(f"/api/v1/payments/status/{booking_id}", headers=buyer.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def send_refunds(office: Office) -> None:
    """What the durable job does."""
    for refund in await office.pool.fetch("SELECT show_id, id FROM refund WHERE status = 'PENDING'"):
        await send_refund(office.pool, office.gateways, refund["show_id"], refund["id"])


@pytest.mark.parametrize("swept", ["lapsed", "expired by the job", "tidied as well"])
async def test_paid_late_with_the_seats_still_free_is_seated(client: httpx.AsyncClient, pool: Pool, swept: str) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.booking(client, buyer, show, *show.seats[:2])
    session = await make.session(client, buyer, booking["id"])
    await make.lapse(pool, show)
    assert (await make.see(client, buyer, booking["id"]))["status"] == "EXPIRED"
    if swept != "lapsed":
        assert await expire_lapsed(pool) == 1
    if swept == "tidied as well":
        assert await tidy_lapsed(pool) == 2

    answer = await make.deliver(client, make.event(session, booking["id"]))

    assert answer.json() == {"status": "processed"}
    seen = await make.see(client, buyer, booking["id"])
    assert (seen["status"], seen["payment"]["status"]) == ("CONFIRMED", "SUCCEEDED")
    sold = await pool.fetch("SELECT id FROM show_seat WHERE taken_until = 'infinity' ORDER BY position")
    assert [seat["id"] for seat in sold] == show.seats[:2]


@pytest.mark.parametrize("taken", ["held", "booked", "sold"])
async def test_paid_late_with_a_seat_gone_is_refunded_in_full(
    client: httpx.AsyncClient, pool: Pool, office: Office, taken: str
) -> None:
    show, late, quick = await make.show(pool), await make.guest(client), await make.guest(client)
    booking = await make.booking(client, late, show, *show.seats[:2])
    session = await make.session(client, late, booking["id"])
    await make.lapse(pool, show)
    if taken == "held":
        assert (await make.hold(client, quick, show, show.seats[1])).status_code == 201
    elif taken == "booked":
        await make.booking(client, quick, show, show.seats[1])
    else:
        await make.paid_booking(client, quick, show, show.seats[1])

    answer = await make.deliver(client, make.event(session, booking["id"]))

    assert answer.json() == {"status": "processed"}
    seen = await make.see(client, late, booking["id"])
    assert (seen["status"], seen["refundReason"]) == ("EXPIRED", "paid_too_late")
    assert seen["payment"] == {"status": "REFUND_PENDING", "amount": 2 * make.PRICE}
    # The seat that was free is free still, and the quick one keeps the other.
    holders = await pool.fetch("SELECT holder_id FROM show_seat WHERE taken_until > now()")
    assert [row["holder_id"] for row in holders] == [quick.id]
    await send_refunds(office)
    money = await money_of(client, late, booking["id"])
    assert [(r["refundAmount"], r["status"], r["reason"]) for r in money["refunds"]] == [  # type: ignore[attr-defined]
        (2 * make.PRICE, "SUCCEEDED", "paid_too_late")
    ]


async def test_paid_after_cancelling_is_refunded_and_the_seats_stay_free(
    client: httpx.AsyncClient, pool: Pool, office: Office
) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.booking(client, buyer, show, show.seats[0])
    session = await make.session(client, buyer, booking["id"])
    cancelled = await client.patch(f"/api/v1/bookings/{booking['id']}/cancel", headers=buyer.headers)
    assert cancelled.json()["status"] == "CANCELLED"

    assert (await make.deliver(client, make.event(session, booking["id"]))).json() == {"status": "processed"}

    seen = await make.see(client, buyer, booking["id"])
    assert (seen["status"], seen["refundReason"]) == ("CANCELLED", "paid_after_cancel")
    assert await pool.fetchval("SELECT count(*) FROM show_seat WHERE taken_until > now()") == 0
    await send_refunds(office)
    assert (await make.see(client, buyer, booking["id"]))["payment"]["status"] == "REFUNDED"


async def test_paid_late_for_a_show_that_is_over_is_refunded(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.booking(client, buyer, show, show.seats[0])
    session = await make.session(client, buyer, booking["id"])
    await make.lapse(pool, show)
    await make.begin(pool, show, ago=timedelta(hours=3))

    await make.deliver(client, make.event(session, booking["id"]))

    seen = await make.see(client, buyer, booking["id"])
    assert (seen["status"], seen["refundReason"]) == ("EXPIRED", "paid_too_late")


async def test_paying_while_the_expiry_job_runs_ends_seated_or_refunded_every_time(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    buyer = await make.guest(client)
    for _ in range(20):
        show = await make.show(pool)
        booking = await make.booking(client, buyer, show, show.seats[0])
        session = await make.session(client, buyer, booking["id"])
        await make.lapse(pool, show)
        await asyncio.gather(
            expire_lapsed(pool), tidy_lapsed(pool), make.deliver(client, make.event(session, booking["id"]))
        )
        seen = await make.see(client, buyer, booking["id"])
        sold = await pool.fetchval(
            "SELECT count(*) FROM show_seat WHERE show_id = $1 AND taken_until = 'infinity'", show.id
        )
        # Nobody else wants the seat, so there is one right end.
        assert (seen["status"], sold) == ("CONFIRMED", 1)


async def test_paying_late_while_others_grab_the_seats_never_takes_both(client: httpx.AsyncClient, pool: Pool) -> None:
    late, quick = await make.guest(client), await make.guest(client)
    ends: set[tuple[str, int]] = set()
    for _ in range(20):
        show = await make.show(pool)
        booking = await make.booking(client, late, show, *show.seats[:3])
        session = await make.session(client, late, booking["id"])
        await make.lapse(pool, show)
        _, grabbed = await asyncio.gather(
            make.deliver(client, make.event(session, booking["id"])),
            make.book(client, quick, show, *show.seats[1:4]),
        )
        seen = await make.see(client, late, booking["id"])
        ends.add((seen["status"], grabbed.status_code))
        assert (seen["status"], grabbed.status_code) in {("CONFIRMED", 409), ("EXPIRED", 201)}
        assert (seen["refundReason"] == "paid_too_late") == (seen["status"] == "EXPIRED")
    assert ends


async def test_cancelling_while_the_payment_arrives_leaves_seat_or_money(client: httpx.AsyncClient, pool: Pool) -> None:
    buyer = await make.guest(client)
    for _ in range(15):
        show = await make.show(pool)
        booking = await make.booking(client, buyer, show, show.seats[0])
        session = await make.session(client, buyer, booking["id"])
        cancelled, _ = await asyncio.gather(
            client.patch(f"/api/v1/bookings/{booking['id']}/cancel", headers=buyer.headers),
            make.deliver(client, make.event(session, booking["id"])),
        )
        seen = await make.see(client, buyer, booking["id"])
        assert (cancelled.status_code, seen["status"], seen["refundReason"]) in {
            (200, "CANCELLED", "paid_after_cancel"),
            (409, "CONFIRMED", None),
        }


async def test_a_second_payment_of_a_confirmed_booking_is_refunded_and_harms_nothing(
    client: httpx.AsyncClient, pool: Pool, office: Office
) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.booking(client, buyer, show, show.seats[0])
    first = await make.session(client, buyer, booking["id"])
    await make.deliver(client, make.event(first, booking["id"], "payment.failed"))
    second = await make.session(client, buyer, booking["id"])
    assert second["sessionId"] != first["sessionId"]
    await make.deliver(client, make.event(second, booking["id"]))

    # The first session was declined by our books, yet the gateway took money on it after all.
    assert (await make.deliver(client, make.event(first, booking["id"]))).json() == {"status": "processed"}

    seen = await make.see(client, buyer, booking["id"])
    assert (seen["status"], seen["payment"]["status"], seen["refundReason"]) == (
        "CONFIRMED",
        "SUCCEEDED",
        "paid_twice",
    )
    await send_refunds(office)
    money = await money_of(client, buyer, booking["id"])
    assert [(r["refundAmount"], r["status"]) for r in money["refunds"]] == [(make.PRICE, "SUCCEEDED")]  # type: ignore[attr-defined]
