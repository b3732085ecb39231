"""Tickets: one for each seat that is paid and kept, for its owner alone, verifiable by anyone."""

import base64
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import make
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from paper import Sheet, events_of

from boxoffice.postgres.pool import Pool
from boxoffice.tickets.codes import verify


async def tickets(client: httpx.AsyncClient, buyer: make.Buyer, booking_id: str) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/bookings/{booking_id}/tickets", headers=buyer.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_paid_booking_has_a_ticket_for_each_seat(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.paid_booking(client, buyer, show, *show.seats[:2])
    found = await tickets(client, buyer, booking["id"])

    assert found["bookingId"] == booking["id"]
    assert [(one["seat"]["row"], one["seat"]["number"]) for one in found["tickets"]] == [("A", 1), ("A", 2)]
    assert found["show"]["theatre"]["timezone"] == "Asia/Kolkata"
    assert found["show"]["movie"]["title"] == "Sholay"
    start, end = (datetime.fromisoformat(found["show"][name]) for name in ("startTime", "endTime"))
    assert (end - start).total_seconds() == 2 * 3600
    assert len({one["code"] for one in found["tickets"]}) == 2
    for one in found["tickets"]:
        assert one["admittedAt"] is None
        assert one["qrSvg"].startswith("<svg")
    assert await tickets(client, buyer, booking["id"]) == found


async def test_its_code_is_verified_offline_with_the_published_key(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.paid_booking(client, buyer, show, show.seats[3])
    (ticket,) = (await tickets(client, buyer, booking["id"]))["tickets"]
    answer = await client.get("/api/v1/tickets/keys")
    assert answer.headers["cache-control"] == "max-age=3600, public"
    keys = {
        bytes.fromhex(key["kid"]): Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
        for key in answer.json()["keys"]
    }

    said = verify(keys, ticket["code"])

    assert (said.show_id, said.booking_id) == (show.id, UUID(booking["id"]))
    position = await pool.fetchval(
        "SELECT position FROM show_seat WHERE show_id = $1 AND id = $2", show.id, show.seats[3]
    )
    assert said.position == position


async def test_a_stranger_sees_no_tickets_and_staff_sees_all(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.paid_booking(client, buyer, show, show.seats[0])
    path = f"/api/v1/bookings/{booking['id']}/tickets"

    stranger = await client.get(path, headers=(await make.guest(client)).headers)
    assert (stranger.status_code, stranger.json()["code"]) == (404, "booking_not_found")
    assert (await client.get(path)).status_code == 401
    staff = await client.get(path, headers=(await make.member(client, pool, "staff")).headers)
    assert len(staff.json()["tickets"]) == 1


async def test_an_unpaid_booking_has_none(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.booking(client, buyer, show, show.seats[0])
    answer = await client.get(f"/api/v1/bookings/{booking['id']}/tickets", headers=buyer.headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "booking_without_tickets")
    assert answer.json()["bookingStatus"] == "PENDING"


async def test_a_seat_given_back_has_none(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.paid_booking(client, buyer, show, *show.seats[:2])
    path = f"/api/v1/payments/refund/{booking['id']}"

    await client.post(path, json={"showSeatIds": [str(show.seats[0])]}, headers=buyer.headers)
    (left,) = (await tickets(client, buyer, booking["id"]))["tickets"]
    assert left["seat"]["id"] == str(show.seats[1])

    await client.post(path, headers=buyer.headers)
    answer = await client.get(f"/api/v1/bookings/{booking['id']}/tickets", headers=buyer.headers)
    assert (answer.status_code, answer.json()["bookingStatus"]) == (409, "REFUNDED")


@pytest.mark.parametrize("booking_id", ["x", "00000000-0000-4000-8000-000000000000"])
async def test_of_no_booking_there_are_none(client: httpx.AsyncClient, booking_id: str) -> None:
    buyer = await make.guest(client)
    answer = await client.get(f"/api/v1/bookings/{booking_id}/tickets", headers=buyer.headers)
    assert answer.status_code == (400 if booking_id == "x" else 404)


async def test_they_come_as_a_sheet_to_print(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.paid_booking(client, buyer, show, *show.seats[:2])
    path = f"/api/v1/bookings/{booking['id']}/tickets.pdf"
    answer = await client.get(path, headers=buyer.headers)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["content-disposition"] == f'inline; filename="tickets-{booking["id"]}.pdf"'
    sheet = Sheet(answer.content)
    assert sorted(sheet.scanned()) == sorted(
        ticket["code"] for ticket in (await tickets(client, buyer, booking["id"]))["tickets"]
    )
    in_hindi = await client.get(path, headers=buyer.headers | {"Accept-Language": "hi-IN,hi;q=0.9,en;q=0.5"})
    assert Sheet(in_hindi.content).text != sheet.text


async def test_the_show_comes_for_a_calendar(client: httpx.AsyncClient, pool: Pool) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.paid_booking(client, buyer, show, *show.seats[:2])
    answer = await client.get(f"/api/v1/bookings/{booking['id']}/calendar.ics", headers=buyer.headers)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    (event,) = events_of(answer.content)
    starts_at = await pool.fetchval("SELECT starts_at FROM show WHERE id = $1", show.id)
    assert starts_at.replace(microsecond=0) == event.DTSTART
    assert event["URL"] == f"http://box-office.test/bookings/{booking['id']}"


@pytest.mark.parametrize("file", ["tickets.pdf", "calendar.ics"])
async def test_files_are_for_the_owner_of_a_paid_booking(client: httpx.AsyncClient, pool: Pool, file: str) -> None:
    show, buyer = await make.show(pool), await make.guest(client)
    booking = await make.booking(client, buyer, show, show.seats[0])
    path = f"/api/v1/bookings/{booking['id']}/{file}"

    assert (await client.get(path, headers=buyer.headers)).status_code == 409
    assert (await client.get(path, headers=(await make.guest(client)).headers)).status_code == 404
    assert (await client.get(path)).status_code == 401
