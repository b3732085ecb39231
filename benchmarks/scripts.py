"""What a connection asks, as generators: they yield a question and are sent its answer.

Resuming one costs less than waking a task, and a journey still reads from top to bottom.
"""

import hashlib
import hmac
import time
from collections.abc import Generator, Iterator
from itertools import count, cycle
from typing import Final, NamedTuple

import msgspec

from benchmarks.http1 import encode
from benchmarks.plans import Journeys, Purchase, Repeat, Rush
from benchmarks.tally import Tally

API: Final = "/api/v1"
DONE: Final = 200
"""The status that a finished journey is counted under."""
_CREATED: Final = 201
_OK: Final = 200
_UNCHANGED: Final = 304
_ANY: Final = {"If-None-Match": "*"}


class Ask(NamedTuple):
    """One question."""

    operation: str
    data: bytes
    wants_body: bool = False
    begins: bool = True
    """Whether it begins something: past the end of the time no such question is asked."""


class Got(NamedTuple):
    """Its answer; the body is empty unless it was wanted."""

    status: int
    body: bytes


Script = Generator[Ask, Got, None]


def repeat(plan: Repeat, lane: list[bytes]) -> Script:
    """Ask for what the lane says."""
    asks = [Ask(plan.operation, data) for data in lane]
    for ask in cycle(asks) if plan.again else asks:  # noqa: UP028  (what is sent here is for no iterator to take)
        yield ask


class _Made(msgspec.Struct):
    id: str


class _Opened(msgspec.Struct, rename="camel"):
    session_id: str
    amount: int
    currency: str


_events = count(1)


def buy(plan: Journeys, purchases: Iterator[Purchase], tally: Tally) -> Script:
    """Purchases, each as a person goes: the map, a hold, the booking, the payment, the ticket."""
    for purchase in purchases:
        since = time.perf_counter()
        broken_at = yield from purchase_of(plan, purchase)
        if broken_at is None:
            tally.add("journey", DONE, time.perf_counter() - since)
        else:
            tally.failures[f"journey broken at {broken_at}"] += 1


def purchase_of(plan: Journeys | Rush, purchase: Purchase) -> Generator[Ask, Got, str | None]:
    """One purchase; where it broke off, if it did."""
    host, token = f"{plan.host}:{plan.port}", purchase.token
    seats = msgspec.json.encode({"showId": purchase.show_id, "showSeatIds": purchase.seat_ids})
    wants = {"Accept-Encoding": "gzip"} if plan.compressed else {}
    path = f"{API}/seats/shows/{purchase.show_id}"
    for name, headers, status in [("look", wants | _ANY, _UNCHANGED)] * plan.looks or [("map", wants, _OK)]:
        got = yield Ask(name, encode("GET", path, host=host, token=token, headers=headers))
        if got.status != status:
            return name
    hold = encode("POST", f"{API}/bookings/hold-seats", host=host, token=token, body=seats)
    got = yield Ask("hold", hold, begins=False)
    if got.status != _CREATED:
        return "hold"
    book = encode("POST", f"{API}/bookings", host=host, token=token, body=seats)
    got = yield Ask("book", book, wants_body=True, begins=False)
    if got.status != _CREATED:
        return "book"
    booking_id = msgspec.json.decode(got.body, type=_Made).id
    what = msgspec.json.encode({"bookingId": booking_id})
    initiate = encode("POST", f"{API}/payments/initiate", host=host, token=token, body=what)
    got = yield Ask("initiate", initiate, wants_body=True, begins=False)
    if got.status != _CREATED:
        return "initiate"
    event = _paid(msgspec.json.decode(got.body, type=_Opened), booking_id)
    signature = sign(plan.webhook_secret, event, int(time.time()))
    pay = encode("POST", f"{API}/payments/webhook", host=host, body=event, headers={"X-Payment-Signature": signature})
    got = yield Ask("pay", pay, begins=False)
    if got.status != _OK:
        return "pay"
    read = encode("GET", f"{API}/bookings/{booking_id}", host=host, token=token)
    got = yield Ask("read", read, wants_body=True, begins=False)
    return None if got.status == _OK and b'"CONFIRMED"' in got.body else "read"


def _paid(session: _Opened, booking_id: str) -> bytes:
    number = next(_events)
    return msgspec.json.encode(
        {
            # Other runs against the same database had events too: the booking makes it one of its own.
            "eventId": f"evt_{booking_id}_{number}",
            "eventType": "payment.success",
            "sessionId": session.session_id,
            "bookingId": booking_id,
            "amount": session.amount,
            "currency": session.currency,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "gatewayRef": f"pay_{number}",
        }
    )


def sign(secret: str, body: bytes, at: int) -> str:
    """The gateway's signature, made here independently of the product's own code."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
