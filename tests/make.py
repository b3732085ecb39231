"""Builders: what a test needs to exist, in one line, on committed rows.

Time is made by backdating: `lapse` and `begin` move a show's clock, nobody sleeps.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec

from boxoffice.postgres.pool import Pool

WEBHOOK_SECRET = "the-tests-webhook-secret"
PRICE = 25_000
"""Paise."""


@dataclass(frozen=True, slots=True)
class Show:
    """A show of regular seats A1, A2, … B1, …, each at `PRICE`."""

    id: UUID
    seats: list[UUID]
    screen_id: UUID
    theatre_id: UUID
    movie_id: UUID


@dataclass(frozen=True, slots=True)
class Buyer:
    """Somebody with an identity."""

    id: UUID
    headers: dict[str, str] = field(default_factory=dict[str, str])


_SHOW = """
WITH film AS (
    INSERT INTO movie (title, duration_min, language) VALUES ('Sholay', 204, 'Hindi') RETURNING id
), house AS (
    INSERT INTO theatre (name, city, timezone) VALUES ('Regal', 'Mumbai', 'Asia/Kolkata') RETURNING id
), hall AS (
    INSERT INTO screen (theatre_id, name, total_seats) SELECT id, 'Screen 1', $1::int * $2::int FROM house
    RETURNING id, theatre_id
), chairs AS (
    INSERT INTO screen_seat (screen_id, position, row_label, number, tier, kind, x, y)
    SELECT hall.id, (r - 1) * $2 + n, chr(64 + r), n, 'REGULAR', 'standard', n - 1, r - 1
      FROM hall, generate_series(1, $1) r, generate_series(1, $2) n
    RETURNING screen_id, position, row_label, number, tier, kind
), made AS (
    INSERT INTO show (movie_id, theatre_id, screen_id, starts_at, ends_at, screen_free_at, language, format,
                      currency, price_regular, total_seats)
    SELECT film.id, hall.theatre_id, hall.id, now() + $3::interval, now() + $3::interval + '2 hours',
           now() + $3::interval + '135 minutes', 'Hindi', '2D', 'INR', $4, $1 * $2
      FROM film, hall
    RETURNING id, screen_id, theatre_id, movie_id
), seats AS (
    INSERT INTO show_seat (show_id, position, price, number, row_label, tier, kind)
    SELECT made.id, c.position, $4, c.number, c.row_label, c.tier, c.kind FROM made, chairs c
    RETURNING id, position
)
SELECT made.*, (SELECT array_agg(id ORDER BY position) FROM seats) AS seats FROM made
"""


async def show(
    pool: Pool,
    *,
    rows: int = 2,
    seats_a_row: int = 5,
    starts_in: timedelta = timedelta(days=3),
    price: int = PRICE,
) -> Show:
    """A show of a film, on a screen, in a theatre, all of its own."""
    made = await pool.fetchrow(_SHOW, rows, seats_a_row, starts_in, price)
    assert made is not None
    return Show(
        id=made["id"],
        seats=made["seats"],
        screen_id=made["screen_id"],
        theatre_id=made["theatre_id"],
        movie_id=made["movie_id"],
    )


async def guest(client: httpx.AsyncClient) -> Buyer:
    """A guest."""
    answer = await client.post("/api/v1/auth/guest")
    assert answer.status_code == 201, answer.text
    body = answer.json()
    return Buyer(UUID(body["userId"]), {"Authorization": f"Bearer {body['accessToken']}"})


async def member(client: httpx.AsyncClient, pool: Pool, role: str) -> Buyer:
    """Somebody with a role. The token is fetched after the role is set, so that it is known at once."""
    email = f"{uuid4().hex}@boxoffice.example"
    made = await client.post(
        "/api/v1/auth/register", json={"email": email, "password": "correct horse", "name": role.title()}
    )
    assert made.status_code == 201, made.text
    await pool.execute("UPDATE account SET role = $2 WHERE email = $1", email, role)
    answer = await client.post("/api/v1/auth/login", json={"email": email, "password": "correct horse"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return Buyer(UUID(body["userId"]), {"Authorization": f"Bearer {body['accessToken']}"})


async def hold(client: httpx.AsyncClient, buyer: Buyer, of: Show, *seats: UUID, **headers: str) -> httpx.Response:
    """Ask to hold seats."""
    return await client.post(
        "/api/v1/bookings/hold-seats",
        json={"showId": str(of.id), "showSeatIds": [str(seat) for seat in seats]},
        headers=buyer.headers | headers,
    )


async def book(client: httpx.AsyncClient, buyer: Buyer, of: Show, *seats: UUID, **headers: str) -> httpx.Response:
    """Ask to book seats."""
    return await client.post(
        "/api/v1/bookings",
        json={"showId": str(of.id), "showSeatIds": [str(seat) for seat in seats]},
        headers=buyer.headers | headers,
    )


async def booking(client: httpx.AsyncClient, buyer: Buyer, of: Show, *seats: UUID) -> dict[str, Any]:
    """An unpaid booking."""
    answer = await book(client, buyer, of, *seats)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def session(client: httpx.AsyncClient, buyer: Buyer, booking_id: str) -> dict[str, Any]:
    """A payment session for a booking."""
    answer = await client.post("/api/v1/payments/initiate", json={"bookingId": booking_id}, headers=buyer.headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


def event(of: dict[str, Any], booking_id: str, kind: str = "payment.success", **changes: Any) -> dict[str, Any]:
    """A gateway's event about a session, as true as ``changes`` leave it."""
    return {
        "eventId": f"evt_{uuid4().hex}",
        "eventType": kind,
        "sessionId": of["sessionId"],
        "bookingId": booking_id,
        "amount": of["amount"],
        "currency": of["currency"],
        "timestamp": "2026-01-31T01:00:00Z",
        "gatewayRef": f"pay_{uuid4().hex}",
    } | changes


async def deliver(
    client: httpx.AsyncClient,
    body: dict[str, Any] | bytes,
    *,
    secret: str = WEBHOOK_SECRET,
    at: int | None = None,
) -> httpx.Response:
    """Send an event as a gateway would, signed independently of the product's own code."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    stamp = int(time.time()) if at is None else at
    signature = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return await client.post(
        "/api/v1/payments/webhook",
        content=raw,
        headers={"X-Payment-Signature": f"t={stamp},v1={signature}", "Content-Type": "application/json"},
    )


async def paid_booking(client: httpx.AsyncClient, buyer: Buyer, of: Show, *seats: UUID) -> dict[str, Any]:
    """A confirmed booking; its session is under ``session``."""
    made = await booking(client, buyer, of, *seats)
    opened = await session(client, buyer, made["id"])
    answer = await deliver(client, event(opened, made["id"]))
    assert answer.json() == {"status": "processed"}, answer.text
    return made | {"session": opened}


async def see(client: httpx.AsyncClient, buyer: Buyer, booking_id: str) -> dict[str, Any]:
    """The booking as its owner sees it."""
    answer = await client.get(f"/api/v1/bookings/{booking_id}", headers=buyer.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def lapse(pool: Pool, of: Show) -> None:
    """Every lease and every unpaid booking of the show ran out a moment ago."""
    await pool.execute(
        """UPDATE show_seat SET held_since = held_since - (taken_until - now()) - interval '1 second',
                  taken_until = now() - interval '1 second', revision = revision + 1
            WHERE show_id = $1 AND taken_until > now() AND taken_until < 'infinity'""",
        of.id,
    )
    await pool.execute(
        "UPDATE booking SET expires_at = now() - interval '1 second' WHERE show_id = $1 AND status = 'PENDING'",
        of.id,
    )


async def begin(pool: Pool, of: Show, *, ago: timedelta = timedelta(seconds=1)) -> None:
    """The show began so long ago."""
    await start_in(pool, of, -ago)


async def start_in(pool: Pool, of: Show, left: timedelta) -> None:
    """The show starts in so long."""
    await pool.execute(
        """UPDATE show SET starts_at = now() + $2::interval, ends_at = now() + $2::interval + '2 hours',
                  screen_free_at = now() + $2::interval + '135 minutes' WHERE id = $1""",
        of.id,
        left,
    )
