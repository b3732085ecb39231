"""A guest who signs in to an account brings along what was picked and bought: no seat is let go, no limit passed."""

import asyncio
from uuid import UUID

import httpx
import make
import pytest

from boxoffice.bookings.adoption import adopt
from boxoffice.postgres.pool import Pool, transaction

LIVE = "taken_until > now() AND taken_until < 'infinity'"


@pytest.fixture
async def guest(client: httpx.AsyncClient) -> make.Buyer:
    return await make.guest(client)


@pytest.fixture
async def account(client: httpx.AsyncClient, pool: Pool) -> make.Buyer:
    return await make.member(client, pool, "customer")


async def bring(pool: Pool, guest: make.Buyer, account: make.Buyer) -> set[UUID]:
    async with transaction(pool) as conn:
        return await adopt(conn, guest.id, account.id)


async def holders(pool: Pool, show: make.Show) -> list[UUID | None]:
    """Who has which seat, in the hall's order."""
    found = await pool.fetch("SELECT holder_id FROM show_seat WHERE show_id = $1 ORDER BY position", show.id)
    return [one["holder_id"] for one in found]


async def test_holds_unpaid_and_paid_bookings_come_along_and_keep_their_time(
    client: httpx.AsyncClient, pool: Pool, guest: make.Buyer, account: make.Buyer
) -> None:
    show, other = await make.show(pool), await make.show(pool)
    paid = await make.paid_booking(client, guest, show, show.seats[0])
    unpaid = await make.booking(client, guest, show, show.seats[1])
    await make.hold(client, guest, show, show.seats[2])
    await make.hold(client, guest, other, other.seats[0])
    leases = "SELECT taken_until, booking_id FROM show_seat WHERE show_id = $1 ORDER BY position"
    before = await pool.fetch(leases, show.id)

    assert await bring(pool, guest, account) == {show.id, other.id}

    assert (await holders(pool, show))[:4] == [account.id] * 3 + [None]
    assert (await holders(pool, other))[0] == account.id
    assert await pool.fetch(leases, show.id) == before
    listed = await client.get(f"/api/v1/bookings/user/{account.id}", headers=account.headers)
    assert {one["id"] for one in listed.json()["items"]} == {paid["id"], unpaid["id"]}
    assert (await client.get(f"/api/v1/bookings/{paid['id']}", headers=guest.headers)).status_code == 404
    # They are the account's in all that follows: a hold becomes a booking, a booking is paid, a ticket given back.
    assert (await make.book(client, account, show, show.seats[2])).status_code == 201
    opened = await make.session(client, account, unpaid["id"])
    await make.deliver(client, make.event(opened, unpaid["id"]))
    assert (await make.see(client, account, unpaid["id"]))["status"] == "CONFIRMED"
    refund = await client.post(f"/api/v1/payments/refund/{paid['id']}", json={}, headers=account.headers)
    assert refund.status_code == 200
    assert await bring(pool, guest, account) == set()


async def test_a_payment_under_way_confirms_the_accounts_booking(
    client: httpx.AsyncClient, pool: Pool, guest: make.Buyer, account: make.Buyer
) -> None:
    show = await make.show(pool)
    made = await make.booking(client, guest, show, show.seats[0])
    opened = await make.session(client, guest, made["id"])
    await bring(pool, guest, account)

    await make.deliver(client, make.event(opened, made["id"]))

    assert (await make.see(client, account, made["id"]))["status"] == "CONFIRMED"
    assert (await holders(pool, show))[0] == account.id


async def test_what_came_along_counts_towards_the_limit(
    client: httpx.AsyncClient, pool: Pool, guest: make.Buyer, account: make.Buyer
) -> None:
    show = await make.show(pool, rows=3)
    await make.hold(client, guest, show, *show.seats[:6])
    await bring(pool, guest, account)

    refused = await make.hold(client, account, show, *show.seats[6:11])
    assert (refused.status_code, refused.json()["code"]) == (409, "seat_limit_reached")
    assert (await make.hold(client, account, show, *show.seats[6:10])).status_code == 201


async def test_more_than_one_buyer_may_have_stays_behind_but_for_what_is_paid(
    client: httpx.AsyncClient, pool: Pool, guest: make.Buyer, account: make.Buyer
) -> None:
    show, other = await make.show(pool, rows=3), await make.show(pool)
    paid = await make.paid_booking(client, guest, show, show.seats[0])
    unpaid = await make.booking(client, guest, show, show.seats[1])
    await make.hold(client, guest, show, *show.seats[2:6])
    await make.hold(client, account, show, *show.seats[6:12])
    await make.hold(client, guest, other, other.seats[0])

    assert await bring(pool, guest, account) == {show.id, other.id}

    assert await holders(pool, show) == [account.id] + [guest.id] * 5 + [account.id] * 6 + [None] * 3
    assert (await holders(pool, other))[0] == account.id
    assert (await make.see(client, account, paid["id"]))["status"] == "CONFIRMED"
    assert (await make.see(client, guest, unpaid["id"]))["status"] == "PENDING"


async def test_a_lapsed_hold_that_somebody_took_is_not_brought_along(
    client: httpx.AsyncClient, pool: Pool, guest: make.Buyer, account: make.Buyer
) -> None:
    show, other = await make.show(pool), await make.guest(client)
    await make.hold(client, guest, show, *show.seats[:2])
    await make.lapse(pool, show)
    await make.hold(client, other, show, show.seats[0])

    assert await bring(pool, guest, account) == set()
    assert (await holders(pool, show))[0] == other.id


async def test_claims_of_both_at_the_same_moment_never_pass_the_limit(client: httpx.AsyncClient, pool: Pool) -> None:
    for _ in range(8):
        show = await make.show(pool, rows=5)
        guest, account = await make.guest(client), await make.guest(client)
        await make.hold(client, guest, show, *show.seats[:3])
        asked = [make.hold(client, guest, show, *show.seats[n : n + 2]) for n in range(3, 9, 2)]
        asked += [make.hold(client, account, show, *show.seats[n : n + 3]) for n in range(10, 22, 3)]

        bringing = asyncio.create_task(bring(pool, guest, account))
        answers = await asyncio.gather(*asked)
        await bringing

        assert {answer.status_code for answer in answers} <= {201, 409}
        for buyer in (guest, account):
            live = f"SELECT count(*) FROM show_seat WHERE show_id = $1 AND holder_id = $2 AND {LIVE}"
            assert await pool.fetchval(live, show.id, buyer.id) <= 10
        lost = f"""SELECT count(*) FROM show_seat s
                    WHERE s.show_id = $1 AND s.holder_id = $2 AND {LIVE}
                      AND NOT EXISTS (SELECT FROM show_buyer b WHERE b.show_id = s.show_id AND b.user_id = s.holder_id
                                                                 AND s.id = ANY(b.seat_ids))"""
        assert await pool.fetchval(lost, show.id, account.id) == 0, "a seat that the next claim would not count"
