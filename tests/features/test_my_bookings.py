"""A person's bookings in two lists: what is ahead, to be paid or to be seen, and what is over; each in pages."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import make
import pytest

from boxoffice.bookings.reading import BookingNotFoundError, list_past, list_upcoming, see_booking
from boxoffice.catalog.paging import BadCursorError, encode
from boxoffice.postgres.pool import Pool, connection


async def all_of(pool: Pool, lister: Callable[..., Awaitable[Any]], user_id: UUID, *, limit: int = 2) -> list[str]:
    """The ids of a whole list, page by page."""
    seen: list[str] = []
    cursor = None
    async with connection(pool) as conn:
        while True:
            page = await lister(conn, user_id, limit=limit, cursor=cursor)
            assert len(page.items) <= limit
            seen += [str(item.id) for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return seen


async def test_what_is_to_be_paid_comes_first_and_then_the_tickets_by_their_shows(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    buyer = await make.guest(client)
    later, sooner, third = [await make.show(pool, starts_in=timedelta(days=days)) for days in (5, 2, 3)]
    last = (await make.paid_booking(client, buyer, later, later.seats[0]))["id"]
    first = (await make.paid_booking(client, buyer, sooner, sooner.seats[0]))["id"]
    second = (await make.paid_booking(client, buyer, third, third.seats[0]))["id"]
    unpaid = (await make.booking(client, buyer, later, later.seats[1]))["id"]
    unpaid_sooner = (await make.booking(client, buyer, sooner, sooner.seats[1]))["id"]

    assert await all_of(pool, list_upcoming, buyer.id) == [unpaid_sooner, unpaid, first, second, last]
    assert await all_of(pool, list_past, buyer.id) == []


async def test_what_is_over_is_past_however_it_ended_the_newest_first(client: httpx.AsyncClient, pool: Pool) -> None:
    buyer, stranger = await make.guest(client), await make.guest(client)
    show, seen = await make.show(pool), await make.show(pool)
    watched = (await make.paid_booking(client, buyer, seen, seen.seats[0]))["id"]
    await make.begin(pool, seen, ago=timedelta(hours=3))
    cancelled = (await make.booking(client, buyer, show, show.seats[0]))["id"]
    await client.patch(f"/api/v1/bookings/{cancelled}/cancel", headers=buyer.headers)
    refunded = (await make.paid_booking(client, buyer, show, show.seats[1]))["id"]
    await client.post(f"/api/v1/payments/refund/{refunded}", headers=buyer.headers)
    lapsed = (await make.booking(client, buyer, show, show.seats[2]))["id"]
    await make.lapse(pool, show)
    kept = (await make.paid_booking(client, buyer, show, show.seats[3]))["id"]
    await make.paid_booking(client, stranger, show, show.seats[4])

    assert await all_of(pool, list_past, buyer.id) == [lapsed, refunded, cancelled, watched]
    assert await all_of(pool, list_upcoming, buyer.id) == [kept]


async def test_a_ticket_counts_until_its_show_is_over(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    ticket = (await make.paid_booking(client, buyer, show, show.seats[0]))["id"]
    await make.begin(pool, show)
    assert await all_of(pool, list_upcoming, buyer.id) == [ticket]


async def test_a_cursor_of_another_list_is_refused(client: httpx.AsyncClient, pool: Pool) -> None:
    buyer = await make.guest(client)
    async with connection(pool) as conn:
        for lister in (list_upcoming, list_past):
            for cursor in ("garbage", encode(("x",)), encode((True, "2026-01-01T00:00:00", str(buyer.id)))):
                with pytest.raises(BadCursorError):
                    await lister(conn, buyer.id, limit=2, cursor=cursor)


async def test_a_booking_is_seen_with_the_time_of_the_clock_that_decides(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer, stranger = await make.show(pool), await make.guest(client), await make.guest(client)
    made = await make.booking(client, buyer, show, show.seats[0])
    async with connection(pool) as conn:
        booking, now = await see_booking(conn, UUID(made["id"]), owner=buyer.id)
        assert timedelta(minutes=14) < booking.expires_at - now <= timedelta(minutes=15)
        with pytest.raises(BookingNotFoundError):
            await see_booking(conn, UUID(made["id"]), owner=stranger.id)
