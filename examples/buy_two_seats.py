"""Buys two seats from a running box office, the way any client would: from browsing to a CONFIRMED booking.

    python examples/buy_two_seats.py [BASE_URL]

Needs httpx and nothing of the box office's own code. BASE_URL may also stand in the
environment; without either it is http://127.0.0.1:8001, where `make demo` serves.
"""

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final
from uuid import uuid4

import httpx

BASE_URL_DEFAULT: Final = "http://127.0.0.1:8001"
CONFIRMED_WITHIN_S: Final = 30.0
"""The gateway tells the box office of the payment by a webhook, a moment after it was made."""
NEEDED: Final = 2

Json = dict[str, Any]


class StoppedError(Exception):
    """The purchase cannot go on; the text says why."""


def main() -> int:
    """Buy, printing each step; returns the exit code."""
    base_url = (sys.argv[1:] or [os.environ.get("BASE_URL") or BASE_URL_DEFAULT])[0].rstrip("/")
    try:
        with httpx.Client(base_url=f"{base_url}/api/v1", timeout=15) as api:
            buy(api)
    except httpx.TransportError as error:
        print(f"No box office answers at {base_url} ({error}). Is `make demo` running?", file=sys.stderr)
        return 1
    except StoppedError as error:
        print(f"Stopped: {error}", file=sys.stderr)
        return 1
    return 0


def buy(api: httpx.Client) -> None:
    """The whole journey."""
    # Buying needs no account: a guest has an identity too, and may register later.
    guest = ask(api, "POST", "/auth/guest")
    api.headers["Authorization"] = f"Bearer {guest['accessToken']}"
    say("You are a guest", guest["userId"])

    show, seats = choose(api)
    say("Show", f"{show['movie']['title']}, {show['theatre']['name']}, {show['startTime']}")
    names = ", ".join(f"{seat['row']}{seat['number']} ({seat['tier']})" for seat in seats)
    say("Two seats beside each other", names)
    wanted = {"showId": show["id"], "showSeatIds": [seat["id"] for seat in seats]}

    # Everything that changes something carries a key: should the answer get lost,
    # the same request again acts once and gives the same answer.
    held = ask(api, "POST", "/bookings/hold-seats", wanted, key=True)
    say("Held for", f"{held['expiresIn']} seconds")

    booking = ask(api, "POST", "/bookings", wanted, key=True)
    amount = f"{booking['totalAmount'] / 100:.2f} {booking['currency']}"
    say("Booked, to be paid", f"{amount} until {booking['expiresAt']}")

    payment = ask(api, "POST", "/payments/initiate", {"bookingId": booking["id"]}, key=True)
    say("Payment session", payment["sessionId"])
    say("A person would pay at", payment["paymentUrl"])

    # In development the built-in gateway can be told what the person does there.
    ask(api, "POST", f"/payments/simulate/{payment['sessionId']}", {"result": "success"})
    say("Paid", amount)

    ticket = confirmed(api, booking["id"])
    say("Booking", f"{ticket['id']} is {ticket['status']}")


def choose(api: httpx.Client) -> tuple[Json, list[Json]]:
    """The first show, among those to come, that has two free seats beside each other."""
    # Times are in UTC and of one form, so that they compare as text.
    soon = (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    cursor: str | None = None
    while True:
        page = ask(api, "GET", "/shows", params={"limit": 20} | ({"cursor": cursor} if cursor else {}))
        for show in page["items"]:
            if show["startTime"] < soon:
                continue
            seat_map = ask(api, "GET", f"/seats/shows/{show['id']}")
            if pair := beside_each_other(seat_map["seats"]):
                return ask(api, "GET", f"/shows/{show['id']}"), pair
        cursor = page.get("nextCursor")
        if not cursor:
            raise StoppedError("no show has two free seats beside each other; try `boxoffice seed`")


def beside_each_other(seats: list[Json]) -> list[Json] | None:
    """Two free ordinary seats of one row with consecutive numbers, nearest to the middle of the list."""
    pairs = [
        [left, right]
        for left, right in pairwise(seats)
        if left["row"] == right["row"]
        and right["number"] - left["number"] == 1
        and all(seat["status"] == "available" and seat["kind"] == "standard" for seat in (left, right))
    ]
    return pairs[len(pairs) // NEEDED] if pairs else None


def confirmed(api: httpx.Client, booking_id: str) -> Json:
    """The booking, once the gateway's word has arrived."""
    deadline = time.monotonic() + CONFIRMED_WITHIN_S
    while True:
        booking = ask(api, "GET", f"/bookings/{booking_id}")
        if booking["status"] != "PENDING":
            break
        if time.monotonic() > deadline:
            raise StoppedError(f"the payment was not heard of within {CONFIRMED_WITHIN_S:.0f} s")
        time.sleep(0.2)
    if booking["status"] != "CONFIRMED":
        raise StoppedError(f"the booking became {booking['status']}")
    return booking


def ask(
    api: httpx.Client,
    method: str,
    path: str,
    body: Json | None = None,
    *,
    params: Json | None = None,
    key: bool = False,
) -> Any:
    """One request; an error is a problem document (RFC 9457) that says what is wrong."""
    headers = {"Idempotency-Key": str(uuid4())} if key else {}
    answer = api.request(method, path, json=body, params=params, headers=headers)
    if answer.is_success:
        return answer.json()
    try:
        problem = answer.json()
        raise StoppedError(f"{method} {path}: {problem['title']}: {problem['detail']} ({problem['code']})")
    except (ValueError, KeyError, TypeError):
        raise StoppedError(f"{method} {path}: {answer.status_code}, and no problem document") from None


def say(what: str, value: str) -> None:
    """Print one step."""
    print(f"{what + ':':<30}{value}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
