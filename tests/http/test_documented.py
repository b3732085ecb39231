"""The documentation is true: the server takes its examples, and its problems happen as it says."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import make
import pytest
from documented import World, examples_of, operations, read_document, request_examples

from boxoffice.postgres.pool import Pool
from boxoffice.tickets.codes import TicketedSeat
from boxoffice.web.errors import PROBLEM_TYPE
from boxoffice.web.examples import BOOKING_ID, SCREEN_ID, SESSION_ID
from boxoffice.web.office import Office


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return read_document()


@pytest.fixture
async def world(client: httpx.AsyncClient, pool: Pool, office: Office) -> World:
    return World(
        client,
        pool,
        await make.show(pool),
        await make.guest(client),
        await make.member(client, pool, "manager"),
        office.ticket_keys,
    )


async def test_examples_of_requests_are_accepted(document: dict[str, Any], world: World) -> None:
    by_name = {operation.name: operation for operation in operations(document)}
    tried: set[str] = set()

    async def send(name: str, *, as_manager: bool = False, **further: str) -> dict[str, Any]:
        operation = by_name[name]
        (example, *_) = request_examples(operation)
        path = operation.path
        for parameter in operation.parameters("path"):
            path = path.replace(f"{{{parameter}}}", further.get(parameter, ""))
        answer = await world.client.request(
            operation.method,
            path,
            json=world.real(example, **further),
            headers=(world.manager if as_manager else world.buyer).headers,
        )
        assert str(answer.status_code) in operation.said["responses"], answer.text
        assert answer.is_success, (name, answer.text)
        tried.add(name)
        return answer.json() if answer.content else {}

    await send("holdSeats")
    booking = await send("book")
    session = await send("initiatePayment", **{str(BOOKING_ID): booking["id"]})
    webhook = by_name["webhook"]
    told = {str(BOOKING_ID): booking["id"], SESSION_ID: session["sessionId"]}
    for event in request_examples(webhook):
        answer = await make.deliver(world.client, world.real(event, **told))
        assert answer.json() == {"status": "processed"}, answer.text
        tried |= {"webhook", "gatewayWebhook"}
    await send("simulatePayment", sessionId=session["sessionId"])
    await send("setContact", bookingId=booking["id"])
    (ticket,) = (await tickets_of(world, booking["id"]))[:1]
    (scanned,) = request_examples(by_name["checkIn"])
    await send("checkIn", as_manager=True, **{scanned["code"]: ticket["code"]})
    await send("refundBooking", bookingId=booking["id"])
    grant = await send("register")
    await send("login")
    refreshing = request_examples(by_name["refresh"])[0]["refreshToken"]
    await send("refresh", **{refreshing: grant["refreshToken"]})
    await send("addMovie", as_manager=True)
    await send("changeMovie", as_manager=True, movieId=str(world.show.movie_id))
    await send("addTheatre", as_manager=True)
    await send("changeTheatre", as_manager=True, theatreId=str(world.show.theatre_id))
    theatre = {"theatreId": str(world.show.theatre_id)}
    await world.pool.execute("UPDATE screen SET name = 'Old'")
    screen = await send("addScreen", as_manager=True, **theatre)
    await send("changeScreen", as_manager=True, screenId=screen["id"], **theatre)
    made = await send("addShow", as_manager=True, **{str(SCREEN_ID): screen["id"]})
    await send("changeShow", as_manager=True, showId=made["id"])
    assert tried == {operation.name for operation in operations(document) if "requestBody" in operation.said}


Provoke = Callable[[World], Any]


async def seats_taken(world: World) -> httpx.Response:
    other = await make.guest(world.client)
    await make.hold(world.client, other, world.show, world.show.seats[0])
    return await make.hold(world.client, world.buyer, world.show, world.show.seats[0])


async def limit_reached(world: World) -> httpx.Response:
    big = await make.show(world.pool, rows=3)
    await make.hold(world.client, world.buyer, big, *big.seats[:10])
    return await make.book(world.client, world.buyer, big, big.seats[10])


async def begun(world: World) -> httpx.Response:
    await make.begin(world.pool, world.show)
    return await make.book(world.client, world.buyer, world.show, world.show.seats[0])


async def key_reused(world: World) -> httpx.Response:
    key = {"Idempotency-Key": "same"}
    await make.book(world.client, world.buyer, world.show, world.show.seats[0], **key)
    return await make.book(world.client, world.buyer, world.show, world.show.seats[1], **key)


async def for_another(world: World) -> httpx.Response:
    return await world.client.post(
        "/api/v1/bookings/hold-seats",
        json={"showId": str(world.show.id), "showSeatIds": [str(world.show.seats[0])], "userId": str(uuid4())},
        headers=world.buyer.headers,
    )


async def cancel_paid(world: World) -> httpx.Response:
    booking = await make.paid_booking(world.client, world.buyer, world.show, world.show.seats[0])
    return await world.client.patch(f"/api/v1/bookings/{booking['id']}/cancel", headers=world.buyer.headers)


async def sixth_address(world: World) -> httpx.Response:
    booking = await make.booking(world.client, world.buyer, world.show, world.show.seats[0])
    path = f"/api/v1/bookings/{booking['id']}/contact"
    for number in range(5):
        await world.client.put(path, json={"email": f"a{number}@b.example"}, headers=world.buyer.headers)
    return await world.client.put(path, json={"email": "asha@example.com"}, headers=world.buyer.headers)


async def pay_cancelled(world: World) -> httpx.Response:
    booking = await make.booking(world.client, world.buyer, world.show, world.show.seats[0])
    await world.client.patch(f"/api/v1/bookings/{booking['id']}/cancel", headers=world.buyer.headers)
    return await world.client.post(
        "/api/v1/payments/initiate", json={"bookingId": booking["id"]}, headers=world.buyer.headers
    )


async def refund_unpaid(world: World) -> httpx.Response:
    booking = await make.booking(world.client, world.buyer, world.show, world.show.seats[0])
    return await refund(world, booking["id"])


async def refund_late(world: World) -> httpx.Response:
    booking = await make.paid_booking(world.client, world.buyer, world.show, world.show.seats[0])
    await make.start_in(world.pool, world.show, timedelta(minutes=30))
    return await refund(world, booking["id"])


async def refund_changed(world: World) -> httpx.Response:
    booking = await make.paid_booking(world.client, world.buyer, world.show, world.show.seats[0])
    return await refund(world, booking["id"], expectedAmount=1)


async def quote_unpaid(world: World) -> httpx.Response:
    booking = await make.booking(world.client, world.buyer, world.show, world.show.seats[0])
    return await quote(world, booking["id"])


async def quote_foreign(world: World) -> httpx.Response:
    booking = await make.paid_booking(world.client, world.buyer, world.show, world.show.seats[0])
    return await quote(world, booking["id"], showSeatIds=str(world.show.seats[1]))


async def quote(world: World, booking_id: str, **query: str) -> httpx.Response:
    return await world.client.get(f"/api/v1/payments/refund/{booking_id}", params=query, headers=world.buyer.headers)


async def refund_foreign(world: World) -> httpx.Response:
    booking = await make.paid_booking(world.client, world.buyer, world.show, world.show.seats[0])
    return await refund(world, booking["id"], showSeatIds=[str(world.show.seats[1])])


async def refund(world: World, booking_id: str, **body: Any) -> httpx.Response:
    return await world.client.post(f"/api/v1/payments/refund/{booking_id}", json=body, headers=world.buyer.headers)


async def decided(world: World) -> httpx.Response:
    booking = await make.booking(world.client, world.buyer, world.show, world.show.seats[0])
    session = await make.session(world.client, world.buyer, booking["id"])
    path = f"/api/v1/payments/simulate/{session['sessionId']}"
    await world.client.post(path, json={"result": "success"})
    return await world.client.post(path, json={"result": "failed"})


async def tickets_of(world: World, booking_id: str) -> list[dict[str, Any]]:
    answer = await world.client.get(f"/api/v1/bookings/{booking_id}/tickets", headers=world.buyer.headers)
    return answer.json()["tickets"]


async def tickets_unpaid(world: World) -> httpx.Response:
    booking = await make.booking(world.client, world.buyer, world.show, world.show.seats[0])
    return await world.client.get(f"/api/v1/bookings/{booking['id']}/tickets", headers=world.buyer.headers)


async def scan(world: World, code: str, **further: str) -> httpx.Response:
    body = {"code": code} | further
    return await world.client.post("/api/v1/tickets/check-in", json=body, headers=world.manager.headers)


async def scan_refunded(world: World) -> httpx.Response:
    booking = await make.paid_booking(world.client, world.buyer, world.show, world.show.seats[0])
    (ticket,) = await tickets_of(world, booking["id"])
    await refund(world, booking["id"])
    return await scan(world, ticket["code"])


async def scan_elsewhere(world: World) -> httpx.Response:
    booking = await make.paid_booking(world.client, world.buyer, world.show, world.show.seats[0])
    (ticket,) = await tickets_of(world, booking["id"])
    return await scan(world, ticket["code"], showId=str(uuid4()))


async def scan_late(world: World) -> httpx.Response:
    booking = await make.paid_booking(world.client, world.buyer, world.show, world.show.seats[0])
    (ticket,) = await tickets_of(world, booking["id"])
    await make.begin(world.pool, world.show, ago=timedelta(hours=3))
    return await scan(world, ticket["code"])


async def scan_unknown(world: World) -> httpx.Response:
    return await scan(world, world.keys.sign(TicketedSeat(show_id=uuid4(), booking_id=uuid4(), position=0)))


async def scan_twice_with_one_key(world: World) -> httpx.Response:
    booking = await make.paid_booking(world.client, world.buyer, world.show, *world.show.seats[:2])
    answers = [
        await world.client.post(
            "/api/v1/tickets/check-in",
            json={"code": ticket["code"]},
            headers=world.manager.headers | {"Idempotency-Key": "door"},
        )
        for ticket in await tickets_of(world, booking["id"])
    ]
    return answers[-1]


async def refund_admitted(world: World) -> httpx.Response:
    booking = await make.paid_booking(world.client, world.buyer, world.show, world.show.seats[0])
    (ticket,) = await tickets_of(world, booking["id"])
    await scan(world, ticket["code"])
    return await refund(world, booking["id"])


def called(method: str, path: str, *, by: str = "buyer", **request: Any) -> Provoke:
    """One request by somebody: a buyer, nobody, or a stranger with a bad token."""

    async def call(world: World) -> httpx.Response:
        headers = {"buyer": world.buyer.headers, "nobody": {}, "stranger": {"Authorization": "Bearer x.y.z"}}[by]
        where = path.format(show=world.show.id, unknown=uuid4(), user=world.buyer.id)
        return await world.client.request(method, where, headers=headers, **request)

    return call


HOLD = "/api/v1/bookings/hold-seats"
INITIATE = "/api/v1/payments/initiate"
PROVOKED: list[tuple[str, str, Provoke]] = [
    ("holdSeats", "seats_taken", seats_taken),
    ("holdSeats", "forbidden", for_another),
    ("holdSeats", "not_identified", called("POST", HOLD, by="nobody")),
    ("holdSeats", "invalid_token", called("POST", HOLD, by="stranger")),
    ("holdSeats", "malformed", called("POST", HOLD, json={})),
    ("holdSeats", "too_large", called("POST", HOLD, content=b'"' + b"x" * 70_000 + b'"')),
    ("holdSeats", "show_not_found", called("POST", HOLD, json={"showId": str(uuid4()), "showSeatIds": [str(uuid4())]})),
    ("holdSeats", "unknown_seats", lambda world: make.hold(world.client, world.buyer, world.show, uuid4())),
    (
        "holdSeats",
        "repeated_seats",
        lambda world: make.hold(world.client, world.buyer, world.show, *[world.show.seats[0]] * 2),
    ),
    ("book", "seat_limit_reached", limit_reached),
    ("book", "show_begun", begun),
    ("book", "idempotency_key_reused", key_reused),
    ("releaseHolds", "forbidden", called("DELETE", "/api/v1/bookings/holds/{unknown}")),
    ("releaseHolds", "malformed", called("DELETE", "/api/v1/bookings/holds/{user}?showSeatIds=x")),
    ("booking", "booking_not_found", called("GET", "/api/v1/bookings/{unknown}")),
    ("bookingsOf", "bad_cursor", called("GET", "/api/v1/bookings/user/{user}?cursor=x")),
    ("bookingsOf", "forbidden", called("GET", "/api/v1/bookings/user/{unknown}")),
    ("cancelBooking", "booking_not_cancellable", cancel_paid),
    ("cancelBooking", "booking_not_found", called("PATCH", "/api/v1/bookings/{unknown}/cancel")),
    ("initiatePayment", "booking_not_payable", pay_cancelled),
    ("initiatePayment", "booking_not_found", called("POST", INITIATE, json={"bookingId": str(uuid4())})),
    ("paymentStatus", "booking_not_found", called("GET", "/api/v1/payments/status/{unknown}")),
    ("refundBooking", "booking_not_refundable", refund_unpaid),
    ("refundBooking", "refund_window_closed", refund_late),
    ("refundBooking", "seats_admitted", refund_admitted),
    ("refundBooking", "unknown_seats", refund_foreign),
    ("refundBooking", "refund_amount_changed", refund_changed),
    ("quoteRefund", "booking_not_refundable", quote_unpaid),
    ("quoteRefund", "unknown_seats", quote_foreign),
    ("webhook", "bad_signature", called("POST", "/api/v1/payments/webhook", by="nobody", json={})),
    ("webhook", "malformed_event", lambda world: make.deliver(world.client, b"{}")),
    ("gatewayWebhook", "gateway_not_found", called("POST", "/api/v1/payments/webhook/none", json={})),
    ("simulatePayment", "session_decided", decided),
    ("simulatePayment", "session_not_found", called("POST", "/api/v1/payments/simulate/x", json={"result": "failed"})),
    ("seatMap", "show_not_found", called("GET", "/api/v1/seats/shows/{unknown}")),
    ("seatMap", "malformed", called("GET", "/api/v1/seats/shows/x")),
    ("seatMap", "forbidden", called("GET", "/api/v1/seats/shows/{show}?userId={unknown}")),
    ("seatMap", "not_identified", called("GET", "/api/v1/seats/shows/{show}?userId={unknown}", by="nobody")),
    ("seatMap", "invalid_token", called("GET", "/api/v1/seats/shows/{show}", by="stranger")),
    ("availableSeats", "show_not_found", called("GET", "/api/v1/seats/shows/{unknown}/available")),
    ("bestSeats", "show_not_found", called("GET", "/api/v1/seats/shows/{unknown}/best?count=2")),
    ("bestSeats", "malformed", called("GET", "/api/v1/seats/shows/{show}/best?count=11")),
    ("bestSeats", "not_enough_seats", called("GET", "/api/v1/seats/shows/{show}/best?count=1&tier=VIP")),
    ("screenLayout", "screen_not_found", called("GET", "/api/v1/seats/screens/{unknown}")),
    ("tickets", "booking_not_found", called("GET", "/api/v1/bookings/{unknown}/tickets")),
    ("tickets", "booking_without_tickets", tickets_unpaid),
    ("setContact", "contact_addresses_used_up", sixth_address),
    ("setContact", "booking_not_found", called("PUT", "/api/v1/bookings/{unknown}/contact", json={"locale": "en"})),
    ("ticketsPdf", "booking_not_found", called("GET", "/api/v1/bookings/{unknown}/tickets.pdf")),
    ("calendarEntry", "booking_not_found", called("GET", "/api/v1/bookings/{unknown}/calendar.ics")),
    ("checkIn", "forbidden", called("POST", "/api/v1/tickets/check-in", json={"code": "x"})),
    ("checkIn", "bad_ticket_code", lambda world: scan(world, "x")),
    ("checkIn", "ticket_not_found", scan_unknown),
    ("checkIn", "ticket_refunded", scan_refunded),
    ("checkIn", "ticket_for_other_show", scan_elsewhere),
    ("checkIn", "show_over", scan_late),
    ("checkIn", "idempotency_key_reused", scan_twice_with_one_key),
    ("seatEvents", "show_not_found", called("GET", "/api/v1/seats/shows/{unknown}/events")),
]


async def test_documented_problems_happen_as_documented(document: dict[str, Any], world: World) -> None:
    by_name = {operation.name: operation.said for operation in operations(document)}
    for name, code, provoke in PROVOKED:
        # A show of its own for each, so that none is in another's way.
        answer = await provoke(replace(world, show=await make.show(world.pool)))
        where = (name, code, answer.status_code, answer.text)
        assert answer.headers["content-type"].startswith(PROBLEM_TYPE), where
        told = answer.json()
        assert told["code"] == code, where
        assert told["status"] == answer.status_code, where
        example = examples_of(by_name[name], str(answer.status_code))[code]["value"]
        assert told["type"] == example["type"], where
        assert told["title"] == example["title"], where
        assert set(example) - {"errors"} <= set(told), where


def documented_by_hand(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (operation.name, code)
        for operation in operations(document)
        if operation.said["tags"][0] in {"seats", "bookings", "payments", "tickets"}
        for answer in operation.said["responses"].values()
        for code in answer.get("content", {}).get(PROBLEM_TYPE, {}).get("examples", {})
    }


async def test_what_is_documented_is_provoked_somewhere(document: dict[str, Any]) -> None:
    # Of these, others make sure: faults cannot be provoked from outside, and one is for another setting.
    elsewhere = {
        "unavailable",
        "overloaded",
        "outcome_unknown",
        "gateway_unavailable",
        "gateway_refused",
        "not_found",
        "orphan_seat",
        "rate_limited",
        "too_slow",
    }
    provoked = {code for _, code, _ in PROVOKED} | elsewhere
    assert {code for _, code in documented_by_hand(document)} <= provoked
    assert {(name, code) for name, code, _ in PROVOKED} <= documented_by_hand(document)
