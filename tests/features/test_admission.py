"""At the door: a ticket admits once, however often and at however many doors it is shown."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import make
import pytest

from boxoffice.postgres.pool import Pool
from boxoffice.tickets.codes import TicketedSeat
from boxoffice.web.office import Office


async def scan(client: httpx.AsyncClient, staff: make.Buyer, code: str, **more: Any) -> httpx.Response:
    headers = staff.headers | more.pop("headers", {})
    return await client.post("/api/v1/tickets/check-in", json={"code": code, **more}, headers=headers)


async def codes(client: httpx.AsyncClient, buyer: make.Buyer, booking_id: str) -> list[str]:
    answer = await client.get(f"/api/v1/bookings/{booking_id}/tickets", headers=buyer.headers)
    return [ticket["code"] for ticket in answer.json()["tickets"]]


@pytest.fixture
async def show(pool: Pool) -> make.Show:
    return await make.show(pool)


@pytest.fixture
async def buyer(client: httpx.AsyncClient) -> make.Buyer:
    return await make.guest(client)


@pytest.fixture
async def staff(client: httpx.AsyncClient, pool: Pool) -> make.Buyer:
    return await make.member(client, pool, "staff")


@pytest.fixture
async def booking(client: httpx.AsyncClient, show: make.Show, buyer: make.Buyer) -> dict[str, Any]:
    return await make.paid_booking(client, buyer, show, *show.seats[:2])


@pytest.fixture
async def code(client: httpx.AsyncClient, buyer: make.Buyer, booking: dict[str, Any]) -> str:
    return (await codes(client, buyer, booking["id"]))[0]


async def test_a_ticket_admits_once(
    client: httpx.AsyncClient, show: make.Show, buyer: make.Buyer, staff: make.Buyer, booking: dict[str, Any]
) -> None:
    first, second = await codes(client, buyer, booking["id"])
    answer = await scan(client, staff, first)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["status"] == "admitted"
    assert told["bookingId"] == booking["id"]
    assert (told["seat"]["row"], told["seat"]["number"]) == ("A", 1)
    assert (told["show"]["id"], told["show"]["movie"]["title"]) == (str(show.id), "Sholay")

    again = (await scan(client, staff, f" {first.lower()} ")).json()
    assert again == told | {"status": "already_admitted"}
    assert (await scan(client, staff, second)).json()["status"] == "admitted"
    seen = await client.get(f"/api/v1/bookings/{booking['id']}/tickets", headers=buyer.headers)
    assert seen.json()["tickets"][0]["admittedAt"] == told["at"]


async def test_many_doors_at_once_admit_once(
    client: httpx.AsyncClient, pool: Pool, staff: make.Buyer, code: str
) -> None:
    found = await asyncio.gather(*(scan(client, staff, code) for _ in range(8)))

    assert sorted(one.json()["status"] for one in found) == ["admitted"] + ["already_admitted"] * 7
    assert len({one.json()["at"] for one in found}) == 1
    assert await pool.fetchval("SELECT count(*) FROM ticket_admission") == 1


async def test_an_answer_that_got_lost_is_told_again(client: httpx.AsyncClient, staff: make.Buyer, code: str) -> None:
    key = {"Idempotency-Key": "scan-1"}
    first = await scan(client, staff, code, headers=key)
    again = await scan(client, staff, code, headers=key)

    assert first.json()["status"] == "admitted"
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_customers_admit_nobody(client: httpx.AsyncClient, pool: Pool, buyer: make.Buyer, code: str) -> None:
    assert (await scan(client, buyer, code)).status_code == 403
    assert (await client.post("/api/v1/tickets/check-in", json={"code": code})).status_code == 401
    assert await pool.fetchval("SELECT count(*) FROM ticket_admission") == 0


async def test_what_is_no_ticket_is_refused(client: httpx.AsyncClient, staff: make.Buyer, code: str) -> None:
    tampered = code[:20] + ("B" if code[20] == "A" else "A") + code[21:]
    for wrong in (tampered, code[5:], "\x00", "🎟", code + code):
        answer = await scan(client, staff, wrong)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_ticket_code")


async def test_a_genuine_code_of_other_books_is_unknown(
    client: httpx.AsyncClient, office: Office, show: make.Show, booking: dict[str, Any], staff: make.Buyer
) -> None:
    for seat in (
        TicketedSeat(show_id=uuid4(), booking_id=uuid4(), position=1),
        TicketedSeat(show_id=show.id, booking_id=uuid4(), position=1),
        TicketedSeat(show_id=show.id, booking_id=UUID(booking["id"]), position=9),
    ):
        answer = await scan(client, staff, office.ticket_keys.sign(seat))
        assert (answer.status_code, answer.json()["code"]) == (404, "ticket_not_found")


async def test_a_ticket_given_back_admits_nobody(
    client: httpx.AsyncClient, show: make.Show, buyer: make.Buyer, staff: make.Buyer, booking: dict[str, Any]
) -> None:
    gone, kept = await codes(client, buyer, booking["id"])
    refund = f"/api/v1/payments/refund/{booking['id']}"
    await client.post(refund, json={"showSeatIds": [str(show.seats[0])]}, headers=buyer.headers)
    answer = await scan(client, staff, gone)
    assert (answer.status_code, answer.json()["code"]) == (409, "ticket_refunded")
    assert answer.json()["bookingStatus"] == "CONFIRMED"
    assert (await scan(client, staff, kept)).json()["status"] == "admitted"


async def test_a_ticket_of_an_unpaid_booking_admits_nobody(
    client: httpx.AsyncClient, office: Office, show: make.Show, buyer: make.Buyer, staff: make.Buyer
) -> None:
    unpaid = await make.booking(client, buyer, show, show.seats[5])
    seat = TicketedSeat(show_id=show.id, booking_id=UUID(unpaid["id"]), position=6)
    answer = await scan(client, staff, office.ticket_keys.sign(seat))
    assert (answer.status_code, answer.json()["code"]) == (404, "ticket_not_found")


async def test_a_door_takes_only_tickets_of_its_show(
    client: httpx.AsyncClient, pool: Pool, show: make.Show, staff: make.Buyer, code: str
) -> None:
    answer = await scan(client, staff, code, showId=str((await make.show(pool)).id))
    assert (answer.status_code, answer.json()["code"]) == (409, "ticket_for_other_show")
    assert answer.json()["show"]["id"] == str(show.id)
    assert (await scan(client, staff, code, showId=str(show.id))).json()["status"] == "admitted"


async def test_late_comers_are_let_in_until_the_end(
    client: httpx.AsyncClient,
    pool: Pool,
    show: make.Show,
    buyer: make.Buyer,
    staff: make.Buyer,
    booking: dict[str, Any],
) -> None:
    first, second = await codes(client, buyer, booking["id"])
    await make.begin(pool, show)
    assert (await scan(client, staff, first)).json()["status"] == "admitted"
    await pool.execute(
        "UPDATE show SET starts_at = now() - interval '3 h', ends_at = now() - interval '1 s' WHERE id = $1", show.id
    )
    answer = await scan(client, staff, second)
    assert (answer.status_code, answer.json()["code"]) == (409, "show_over")


async def test_who_has_gone_in_gets_no_money_back(
    client: httpx.AsyncClient, show: make.Show, buyer: make.Buyer, staff: make.Buyer, booking: dict[str, Any]
) -> None:
    used, _ = await codes(client, buyer, booking["id"])
    await scan(client, staff, used)
    path = f"/api/v1/payments/refund/{booking['id']}"

    answer = await client.post(path, headers=buyer.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "seats_admitted")
    assert answer.json()["showSeatIds"] == [str(show.seats[0])]
    # The other seat is the buyer's to give back.
    answer = await client.post(path, json={"showSeatIds": [str(show.seats[1])]}, headers=buyer.headers)
    assert answer.status_code == 200


async def test_a_seat_is_refunded_or_gone_into_whoever_is_first(
    client: httpx.AsyncClient, pool: Pool, buyer: make.Buyer, staff: make.Buyer, booking: dict[str, Any]
) -> None:
    first, _ = await codes(client, buyer, booking["id"])
    seat = {"showSeatIds": [str(await pool.fetchval("SELECT seat_id FROM booking_seat ORDER BY position LIMIT 1"))]}
    path = f"/api/v1/payments/refund/{booking['id']}"
    scanned, refunded = await asyncio.gather(
        scan(client, staff, first), client.post(path, json=seat, headers=buyer.headers)
    )

    assert sorted([scanned.status_code, refunded.status_code]) == [200, 409]
